"""Forecasts over HTTP."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from app.core.database import DbSession
from app.core.security import PredictUser
from app.features.stock_prediction.schemas import DEFAULT_DAYS_AHEAD, DaysAhead, ForecastRead, PredictRequest
from app.features.stock_prediction.service import ForecastDesk, Question
from data_pipeline.ticker import parse_ticker

router = APIRouter(tags=["forecasts"])


def forecast_desk(request: Request) -> ForecastDesk:
    """The one of this process."""
    desk: ForecastDesk = request.app.state.forecast_desk
    return desk


Desk = Annotated[ForecastDesk, Depends(forecast_desk)]


# `:path` lets a slash reach the check of the ticker, which says what is wrong, instead of "no such route".
@router.get("/predict/{ticker:path}")
async def predict(
    request: Request,
    db: DbSession,
    desk: Desk,
    user: PredictUser,
    ticker: Annotated[str, Path(description="As Yahoo spells it.", examples=["AAPL"])],
    days_ahead: Annotated[DaysAhead, Query(description="Trading days shown.")] = DEFAULT_DAYS_AHEAD,
    as_of: Annotated[date | None, Query(description="Forecast as if made after this day's close.")] = None,
) -> ForecastRead:
    """Forecast one ticker's coming closes, keep the forecast for good, and answer it."""
    question = Question(
        ticker=parse_ticker(ticker),
        days_ahead=days_ahead,
        as_of=as_of,
        user_id=user.user_id,
        route="GET /predict/{ticker}",
        request_id=getattr(request.state, "request_id", None),
    )
    return await desk.answer(db, question)


@router.post("/predict")
async def predict_from_body(
    request: Request, db: DbSession, desk: Desk, user: PredictUser, body: PredictRequest
) -> ForecastRead:
    """The same, asked with a body."""
    question = Question(
        ticker=body.ticker,
        days_ahead=body.days_ahead,
        as_of=body.as_of,
        user_id=user.user_id,
        route="POST /predict",
        request_id=getattr(request.state, "request_id", None),
    )
    return await desk.answer(db, question)
