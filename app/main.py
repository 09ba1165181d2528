"""The API: one factory that puts the parts together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from app.config import Settings
from app.core.bodies import SingleKeysInBodiesMiddleware
from app.core.body_limit import BodyLimitMiddleware
from app.core.brake import Brake, allowances_of
from app.core.cors import allow_origins
from app.core.database import create_engine, session_factory
from app.core.docs import install_docs
from app.core.error_handlers import install_error_handlers
from app.core.header_limit import HeaderLimitMiddleware
from app.core.identities import Identities
from app.core.limits import Limits
from app.core.migrations import newest_revision
from app.core.monitoring.collector import spans_told
from app.core.monitoring.logging import configure_logging
from app.core.monitoring.metrics import instrument
from app.core.monitoring.requests import RequestMiddleware
from app.core.monitoring.server_spans import ServerSpans
from app.core.monitoring.tallies import write_tallies
from app.core.monitoring.unanswered import UnansweredTally
from app.core.openapi import install_openapi
from app.core.passwords import PasswordHasher
from app.core.paths import CanonicalPathMiddleware
from app.core.security import Tokens, admit_forecast, tokens_from
from app.core.undeclared import refuse_what_is_not_declared
from app.features.auth.router import router as auth_router
from app.features.auth.service import SignIns
from app.features.configuration.router import router as configuration_router
from app.features.drift.router import router as drift_router
from app.features.market_data.router import router as market_data_router
from app.features.monitoring.lifespan import watched
from app.features.monitoring.router import metrics_router
from app.features.monitoring.router import router as monitoring_router
from app.features.operations.router import router as operations_router
from app.features.registry.router import router as registry_router
from app.features.stock_prediction.lifespan import forecasting
from app.features.stock_prediction.router import router as stock_prediction_router
from app.features.stock_prediction.warm_route import Spellings, WarmRoute
from app.features.track_record.overview_router import router as overview_router
from app.features.track_record.router import explanations as explanations_router
from app.features.track_record.router import router as track_record_router
from app.features.training.router import router as training_router
from app.features.training.streams import JobStreams
from app.features.training.tune_router import router as tune_router
from app.features.users.router import router as users_router
from app.features.web.router import router as web_router
from app.features.web.session_router import router as web_session_router
from data_pipeline.processing.own_columns import allow

DESCRIPTION = (
    "Honest forecasts of the next closes of a stock: an LSTM beside the naive forecast, frozen before the "
    "outcome. No investment advice."
)

# Ours are in the log, at /metrics and, without paths and queries, in the spans of app.core.monitoring.
TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application of one worker; nothing is opened until it starts.

    Raises
    ------
    StartRefusedError : it must not start like this; the message is one line.
    """
    settings = settings or Settings()
    tokens = tokens_from(settings)
    configure_logging(settings.log_level)
    allow(settings.columns)
    app = FastAPI(
        title="Closecast",
        description=DESCRIPTION,
        version=version("closecast"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        dependencies=[Depends(refuse_what_is_not_declared)],
        redirect_slashes=False,  # both spellings are served as they are
        docs_url=None,  # ours need no other host
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs_enabled and settings.internal_port is None else None,
        generate_unique_id_function=operation_id,
        telemetry=TELEMETRY,
    )
    app.state.settings, app.state.tokens = settings, tokens
    _include_routers(app, settings)
    install_openapi(app)
    install_error_handlers(app)
    _add_middleware(app, settings)
    return app


def create_inner_app(app: FastAPI) -> FastAPI:
    """What answers at the internal port, where one is set: docs and metrics of ``app``, with its state."""
    settings: Settings = app.state.settings
    inner = FastAPI(
        title=app.title,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs_enabled else None,
        telemetry=TELEMETRY,
    )
    inner.state = app.state
    inner.openapi = app.openapi  # type: ignore[method-assign]  # FastAPI's documented way to replace it
    _include_inner_routers(inner, settings)
    inner.add_middleware(RequestMiddleware, log_requests=settings.log_requests)
    inner.add_middleware(CanonicalPathMiddleware)
    return inner


def operation_id(route: APIRoute) -> str:
    """The endpoint's own name: stable as long as nobody renames the function."""
    return route.name


def _include_routers(app: FastAPI, settings: Settings) -> None:
    for router in (
        monitoring_router,
        operations_router,
        auth_router,
        users_router,
        stock_prediction_router,
        overview_router,  # before what takes the rest of its paths for tickers
        track_record_router,
        explanations_router,
        registry_router,
        market_data_router,
        drift_router,
        training_router,
        tune_router,
        configuration_router,
    ):
        app.include_router(router)
    if settings.pages_enabled:
        app.include_router(web_router)
        app.include_router(web_session_router)
    if settings.internal_port is None:
        _include_inner_routers(app, settings)


def _include_inner_routers(app: FastAPI, settings: Settings) -> None:
    """What need not be seen by everybody who may ask for forecasts."""
    if settings.metrics_enabled:
        app.include_router(metrics_router)
    if settings.docs_enabled:
        install_docs(app)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one added is the first to see a request."""
    app.add_middleware(SingleKeysInBodiesMiddleware)
    app.add_middleware(BodyLimitMiddleware, limit_bytes=settings.body_limit_bytes)
    instrument(app)
    app.state.spellings = Spellings()
    app.add_middleware(WarmRoute, admit=admit_forecast)  # counts by itself what it answers
    allow_origins(app, settings.cors_origins)
    app.add_middleware(HeaderLimitMiddleware, limit_bytes=settings.header_limit_bytes)
    if settings.otlp_endpoint is not None:
        app.add_middleware(ServerSpans)
    app.add_middleware(RequestMiddleware, log_requests=settings.log_requests)
    app.add_middleware(CanonicalPathMiddleware)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What a worker holds while it lives: what records its spans, and the rest."""
    with spans_told(app.state.settings, "closecast-api"):
        async with _at_work(app):
            yield


@asynccontextmanager
async def _at_work(app: FastAPI) -> AsyncIterator[None]:
    """Connections, the champion, threads that hash passwords."""
    settings: Settings = app.state.settings
    engine = create_engine(settings)
    app.state.session_factory = session_factory(engine)
    app.state.wanted_revision = newest_revision()
    app.state.passwords = passwords = PasswordHasher(settings.password_threads)
    app.state.brake = brake = Brake(allowances_of(settings))
    tokens: Tokens = app.state.tokens
    app.state.identities = identities = Identities(partial(tokens.verify, kind="access"), app.state.session_factory)
    app.state.sign_ins = SignIns(tokens, passwords, brake, identities, settings)
    app.state.limits = limits = Limits(settings, app.state.session_factory)
    app.state.unanswered = unanswered = UnansweredTally(app.state.session_factory)
    unanswered.start()
    try:
        async with forecasting(app), watched(app, engine):
            app.state.job_streams = JobStreams(app.state.session_factory, app.state.notifications)
            yield
    finally:
        write_tallies()
        await unanswered.stop()
        await limits.close()
        passwords.close()
        await engine.dispose()
