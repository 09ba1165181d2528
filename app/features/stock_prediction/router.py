"""Forecasts over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.etags import json_or_not_modified
from app.core.openapi import Responses, problem_responses
from app.core.paging import Cursor, InvalidCursorError, PageLimit
from app.core.security import PredictUser
from app.features.market_data.errors import (
    CollectionFailedError,
    CollectionPendingError,
    NewTickerQuotaError,
    StaleBarsError,
)
from app.features.registry.errors import NoChampionError
from app.features.stock_prediction import service
from app.features.stock_prediction.errors import ForecastNotFoundError, ModelPathRefusedError
from app.features.stock_prediction.log_writer import LogQueueFullError
from app.features.stock_prediction.schemas import (
    ForecastRead,
    ForecastWish,
    PredictionRead,
    PredictRequest,
    StoredForecastRead,
)
from app.features.stock_prediction.service import ForecastDesk, Question
from app.schemas.page import Page
from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.sources.base import (
    BeforeListingError,
    NoDataError,
    PriceSourceUnavailableError,
    UnknownTickerError,
)
from data_pipeline.ticker import MalformedTickerError, parse_ticker

router = APIRouter(tags=["forecasts"], responses=problem_responses(DatabaseUnavailableError))

FORECAST_PROBLEMS = (
    DatabaseUnavailableError,
    MalformedTickerError,
    UnknownTickerError,
    NoDataError,
    BeforeListingError,
    InsufficientHistoryError,
    NewTickerQuotaError,
    CollectionPendingError,
    CollectionFailedError,
    StaleBarsError,
    PriceSourceUnavailableError,
    NoChampionError,
    LogQueueFullError,
)

NOT_MODIFIED: Responses = {304: {"description": "You hold this answer already (`If-None-Match`); it is logged too."}}


def forecast_desk(request: Request) -> ForecastDesk:
    """The one of this process."""
    desk: ForecastDesk = request.app.state.forecast_desk
    return desk


Desk = Annotated[ForecastDesk, Depends(forecast_desk)]


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
    user: PredictUser,
    ticker: Annotated[str, Path(description="As Yahoo spells it.", examples=["AAPL"])],
    wish: Annotated[ForecastWish, Query()],
) -> Response:
    """Forecast one ticker's coming closes, keep the forecast for good, and answer it."""
    question = Question(
        ticker=parse_ticker(ticker),
        days_ahead=wish.steps,
        as_of=wish.as_of,
        user_id=user.user_id,
        route="GET /predict/{ticker}",
        request_id=getattr(request.state, "request_id", None),
    )
    sent = await desk.answer(db, question)
    return json_or_not_modified(sent.body, sent.etag, request.headers.get("if-none-match"))


@router.post(
    "/predict", response_model=ForecastRead, responses=problem_responses(*FORECAST_PROBLEMS, ModelPathRefusedError)
)
async def predict_from_body(
    request: Request, db: DbSession, desk: Desk, user: PredictUser, body: PredictRequest
) -> Response:
    """The same, asked with a body."""
    question = Question(
        ticker=body.ticker,
        days_ahead=body.steps,
        as_of=body.as_of,
        user_id=user.user_id,
        route="POST /predict",
        request_id=getattr(request.state, "request_id", None),
    )
    sent = await desk.answer(db, question)
    return Response(sent.body, media_type="application/json")


@router.get("/predictions", responses=problem_responses(InvalidCursorError))
async def list_predictions(
    db: DbSession, user: PredictUser, cursor: Cursor = None, limit: PageLimit = 50
) -> Page[PredictionRead]:
    """What you were answered, newest first."""
    return await service.list_predictions(db, user.user_id, cursor=cursor, limit=limit)


@router.get("/forecasts/{forecast_id}", responses=problem_responses(ForecastNotFoundError))
async def read_forecast(
    db: DbSession,
    user: PredictUser,
    forecast_id: Annotated[UUID, Path(examples=["630bff24-561a-4ad2-88e6-8bb4ef82c9b2"])],
) -> StoredForecastRead:
    """A forecast that you were answered, all of its 30 steps."""
    return await service.read_forecast(db, forecast_id, user.user_id)
