"""What the service says about itself."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Security
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from app.config import Settings
from app.core.database import DatabaseUnavailableError, DbSession
from app.core.monitoring import metrics
from app.core.monitoring.tallies import WRITTEN_EVERYWHERE_SECONDS
from app.core.openapi import problem_responses
from app.core.problems import problem_by_slug
from app.core.security import admit, now_utc
from app.features.monitoring.schemas import About, Alive, Health, MonitorRead, ProblemExplanation, Ready
from app.features.monitoring.service import NotReadyError, UnknownProblemError, check_readiness, read_monitor
from app.features.registry.champion import ChampionHolder
from app.features.registry.errors import NoChampionError
from app.features.web.pages import START, render
from app.models.user import Scope
from ml_lifecycle.evaluation.intervals import INTERVALS
from ml_lifecycle.monitoring.coverage_test import CoverageTest

router = APIRouter(tags=["service"])
metrics_router = APIRouter(tags=["service"])

COVERAGE_WATCHED = (1, 365)  # horizon and days: outcomes that do not overlap, and of this year


# Probes ask by HEAD too; the server sends the head of the answer alone.
@router.head("/", include_in_schema=False, response_model=None)
@router.get("/", response_model=About, responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}})
async def about(request: Request, response: Response) -> Response | About:
    """What this is: JSON, or a page for browsers, by `Accept`."""
    shown = About(title=request.app.title, description=request.app.description, version=request.app.version)
    settings: Settings = request.app.state.settings
    if settings.pages_enabled and "text/html" in request.headers.get("accept", ""):
        return render(request, START)
    response.headers["Vary"] = "Accept"
    return shown


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> Alive:
    """The process answers."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=problem_responses(NotReadyError))
async def readyz(request: Request) -> Ready:
    """Forecasts can be answered: database and its tables, a champion, and who logs the answers."""
    return Ready(checks=await _readiness(request))


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health(request: Request) -> Health:
    """Always 200: `degraded` where /readyz would say no."""
    try:
        await _readiness(request)
    except NotReadyError:
        return Health(status="degraded", version=request.app.version, timestamp=now_utc())
    return Health(status="ok", version=request.app.version, timestamp=now_utc())


@router.get(
    "/monitor",
    dependencies=[Security(admit, scopes=[Scope.PREDICT])],
    responses=problem_responses(DatabaseUnavailableError),
)
async def monitor(request: Request, db: DbSession) -> MonitorRead:
    """Forecasts answered, how fast, and not answered: the last hour, the last day, all time.

    All processes together, from the prediction log. The last hour and day begin with their first ten minutes.
    """
    try:
        await _readiness(request)
    except NotReadyError:
        return await read_monitor(db, now_utc(), ready=False)
    return await read_monitor(db, now_utc(), ready=True)


@router.get("/problems/{slug}", responses=problem_responses(UnknownProblemError))
async def explain_problem(
    slug: Annotated[str, Path(max_length=64, examples=["expired-token"])],
) -> ProblemExplanation:
    """What a problem document's `type` points to."""
    kind = problem_by_slug(slug)
    if kind is None:
        raise UnknownProblemError
    return ProblemExplanation(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        explanation=kind.explanation,
        example=kind.example,
    )


@metrics_router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": "http_requests_total 1.0"}}}},
)
async def prometheus(request: Request) -> Response:
    """What Prometheus scrapes: of all worker processes together."""
    _tell_champion_age(request)
    _tell_live_coverage(request)
    await asyncio.sleep(WRITTEN_EVERYWHERE_SECONDS)
    return Response(metrics.exposition(request.app.state.database_figures), media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _readiness(request: Request) -> dict[str, str]:
    state = request.app.state
    return await check_readiness(
        state.session_factory, state.champions, state.prediction_log, wanted_revision=state.wanted_revision
    )


def _tell_champion_age(request: Request) -> None:
    """An age is true only at the moment it is asked for."""
    champions: ChampionHolder = request.app.state.champions
    metrics.champion_max_age_seconds.set(champions.max_age.total_seconds())
    try:
        age = champions.age(now_utc())
    except NoChampionError:
        return
    metrics.champion_age_seconds.set(age.total_seconds())


def _tell_live_coverage(request: Request) -> None:
    """Of whatever is served; a promise that nothing has tested yet is not broken."""
    champions: ChampionHolder = request.app.state.champions
    try:
        live = champions.serving(now_utc()).live
    except NoChampionError:
        return
    tests = [CoverageTest(**test) for test in live.get(COVERAGE_WATCHED, {}).get("coverage", ())]
    rejected = {test.level: test.rejected for test in tests}
    for level in INTERVALS:
        metrics.live_coverage_rejected.labels(f"{100 * level:.0f}").set(bool(rejected.get(level)))
