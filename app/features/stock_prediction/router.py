"""Forecasts over HTTP."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from starlette.responses import Response

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.etags import json_or_not_modified
from app.core.idempotency import KEY_PROBLEMS, Key, answer_once
from app.core.limits_daily import DailyQuotaError
from app.core.openapi import Responses, problem_responses
from app.core.paging import Cursor, InvalidCursorError, PageLimit
from app.core.security import ForecastUser, PredictUser
from app.features.market_data.errors import (
    CollectionFailedError,
    CollectionPendingError,
    NewTickerQuotaError,
    StaleBarsError,
    TickerNotStoredError,
)
from app.features.registry.champion import ChampionHolder
from app.features.registry.errors import BundleNotFoundError, NoChampionError
from app.features.stock_prediction import service
from app.features.stock_prediction.errors import (
    ClosesNetworkMissingError,
    ForecastNotFoundError,
    ModelPathRefusedError,
)
from app.features.stock_prediction.log_writer import LogQueueFullError
from app.features.stock_prediction.posted import Posted, PostedBatch
from app.features.stock_prediction.predict_bodies import BatchRequest, PredictRequest
from app.features.stock_prediction.samples import SampleSize, sample_of
from app.features.stock_prediction.schemas import (
    BatchRead,
    ForecastRead,
    ForecastWish,
    InferredForecastRead,
    InferredWindowRead,
    OwnWindowForecastRead,
    PredictionRead,
    SampleData,
    StoredForecastRead,
)
from app.features.stock_prediction.service import ForecastDesk, Question
from app.schemas.page import Page
from data_pipeline.errors import InsufficientHistoryError, NothingStoredError
from data_pipeline.processing.lstm_preprocessor import InputKind, UnusableBarsError
from data_pipeline.serving_window import PUBLISHED_BARS
from data_pipeline.sources.base import (
    BeforeListingError,
    NoDataError,
    PriceSourceUnavailableError,
    UnknownTickerError,
)
from data_pipeline.ticker import MalformedTickerError, parse_ticker
from ml_lifecycle.export.errors import BundleRefusedError, WholeBarsNeededError

router = APIRouter(tags=["forecasts"], responses=problem_responses(DatabaseUnavailableError))

FORECAST_PROBLEMS = (
    DatabaseUnavailableError,
    MalformedTickerError,
    UnknownTickerError,
    NoDataError,
    BeforeListingError,
    InsufficientHistoryError,
    NewTickerQuotaError,
    DailyQuotaError,
    CollectionPendingError,
    CollectionFailedError,
    StaleBarsError,
    PriceSourceUnavailableError,
    NoChampionError,
    LogQueueFullError,
)

BATCH_PROBLEMS = problem_responses(
    DatabaseUnavailableError,
    NoChampionError,
    LogQueueFullError,
    DailyQuotaError,
    *KEY_PROBLEMS,
)
POST_PROBLEMS = problem_responses(
    *FORECAST_PROBLEMS,
    ModelPathRefusedError,
    ClosesNetworkMissingError,
    WholeBarsNeededError,
    UnusableBarsError,
    BundleNotFoundError,
    BundleRefusedError,
    *KEY_PROBLEMS,
)
NOT_MODIFIED: Responses = {304: {"description": "You hold this answer already (`If-None-Match`); it is logged too."}}


async def forecast_desk(request: Request) -> ForecastDesk:
    """The one of this process."""
    desk: ForecastDesk = request.app.state.forecast_desk
    return desk


Desk = Annotated[ForecastDesk, Depends(forecast_desk)]


@router.get("/predict/batch", include_in_schema=False)
async def no_ticker() -> None:
    """Tell the right method, where the route below would take the word for a ticker and collect it."""
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})


# `:path` lets a slash reach the check of the ticker, which says what is wrong, instead of "no such route".
@router.get(
    "/predict/{ticker:path}",
    response_model=ForecastRead,
    responses={**problem_responses(*FORECAST_PROBLEMS), **NOT_MODIFIED},
)
async def predict(
    request: Request,
    db: DbSession,
    desk: Desk,
    user: ForecastUser,
    ticker: Annotated[str, Path(description="As Yahoo spells it.", examples=["AAPL"])],
    wish: Annotated[ForecastWish, Query()],
) -> Response:
    """Forecast one ticker's coming closes, keep the forecast for good, and answer it."""
    question = Question(
        ticker=parse_ticker(ticker),
        days_ahead=wish.steps,
        as_of=wish.as_of,
        user_id=user.user_id,
        api_key_id=user.api_key_id,
        route="GET /predict/{ticker}",
        request_id=getattr(request.state, "request_id", None),
    )
    sent = await desk.answer(db, question)
    request.app.state.spellings.note(request.scope, question)  # the next one may take the short way
    return json_or_not_modified(sent.body, sent.etag, request.headers.get("if-none-match"))


@router.post("/predict", response_model=ForecastRead | OwnWindowForecastRead, responses=POST_PROBLEMS)
async def predict_from_body(
    request: Request, db: DbSession, user: ForecastUser, body: PredictRequest, key: Key = None
) -> Response:
    """Forecast a ticker, as GET does; or a window of your own, which is logged but neither frozen nor scored."""
    return await answer_once(request, db, user.user_id, key, Posted(request, db, user, body).answer)


@router.post("/infer", response_model=InferredForecastRead | InferredWindowRead, responses=POST_PROBLEMS)
async def infer(request: Request, db: DbSession, user: ForecastUser, body: PredictRequest, key: Key = None) -> Response:
    """The same, with the names that clients of another system read."""
    return await answer_once(request, db, user.user_id, key, Posted(request, db, user, body).infer)


@router.post("/predict/batch", response_model=BatchRead, responses=BATCH_PROBLEMS)
async def predict_batch(
    request: Request, db: DbSession, user: ForecastUser, body: BatchRequest, key: Key = None
) -> Response:
    """Forecast up to 100 tickers in one pass of the network: a forecast or a problem for each."""
    return await answer_once(request, db, user.user_id, key, PostedBatch(request, db, user, body).answer)


@router.get(
    "/sample-data",
    response_model_exclude_none=True,
    responses=problem_responses(
        MalformedTickerError,
        TickerNotStoredError,
        NothingStoredError,
        InsufficientHistoryError,
        UnusableBarsError,
        NoChampionError,
    ),
)
async def sample_data(
    request: Request,
    db: DbSession,
    _user: PredictUser,
    ticker: Annotated[str | None, Query(description="A stored one; left out: the first by alphabet.")] = None,
    rows: Annotated[
        int | None, Query(ge=1, le=PUBLISHED_BARS, description="Left out: as many as the champion uses, or are stored.")
    ] = None,
) -> SampleData:
    """A body that `POST /predict` and `POST /infer` take, from stored bars."""
    champions: ChampionHolder = request.app.state.champions
    if rows is None:
        manifest = champions.serving(datetime.now(UTC)).bundle.manifest
        whole_bars = manifest.input_kind is InputKind.OHLCV
        size = SampleSize(manifest.history_needed, manifest.history_used, whole_bars=whole_bars)
    else:
        size = SampleSize(rows, rows)
    return await sample_of(db, None if ticker is None else parse_ticker(ticker), size)


@router.get("/predictions", responses=problem_responses(InvalidCursorError, MalformedTickerError))
async def list_predictions(
    db: DbSession,
    user: PredictUser,
    ticker: Annotated[str | None, Query(description="Left out: every one, and your own windows.")] = None,
    cursor: Cursor = None,
    limit: PageLimit = 50,
) -> Page[PredictionRead]:
    """What you were answered, newest first."""
    asked = None if ticker is None else parse_ticker(ticker)
    return await service.list_predictions(db, user.user_id, ticker=asked, cursor=cursor, limit=limit)


@router.get("/forecasts/{forecast_id}", responses=problem_responses(ForecastNotFoundError))
async def read_forecast(
    db: DbSession,
    user: PredictUser,
    forecast_id: Annotated[UUID, Path(examples=["630bff24-561a-4ad2-88e6-8bb4ef82c9b2"])],
) -> StoredForecastRead:
    """A forecast that you were answered, all of its 30 steps."""
    return await service.read_forecast(db, forecast_id, user.user_id)
