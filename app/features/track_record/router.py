"""What came of forecasts, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Security
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import DatabaseUnavailableError, DbSession
from app.core.openapi import problem_responses
from app.core.paging import PageLimit, TickerCursor
from app.core.security import AccessToken, ApiKeyText, PredictUser, admit_request
from app.features.market_data.errors import TickerNotStoredError
from app.features.registry.champion import ChampionHolder
from app.features.registry.errors import BundleNotFoundError, NoChampionError
from app.features.registry.shelf import BundleShelf
from app.features.stock_prediction.errors import ForecastNotFoundError
from app.features.stock_prediction.service import find_answered_forecast
from app.features.track_record import explaining, service
from app.features.track_record.schemas import ExplanationRead, TickerTrackRecordRead, TrackRecordRead, Window
from app.models.user import Scope
from data_pipeline.errors import ClosecastError
from data_pipeline.ticker import MalformedTickerError, parse_ticker
from ml_lifecycle.export.bundle import Bundle
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.manifest import HORIZONS


async def admit_reader(request: Request, _token: AccessToken, _key: ApiKeyText) -> None:
    """Whoever may predict; everybody, where the setting says so."""
    settings: Settings = request.app.state.settings
    if not settings.public_track_record:
        await admit_request(request, [Scope.PREDICT])


router = APIRouter(
    tags=["track record"],
    dependencies=[Security(admit_reader, scopes=[Scope.PREDICT])],
    responses=problem_responses(DatabaseUnavailableError),
)

explanations = APIRouter(tags=["forecasts"], responses=problem_responses(DatabaseUnavailableError))

WindowAsked = Annotated[Window, Query(description="Calendar days, by the day of the outcome.")]


def a_head(horizon: int) -> int:
    """``horizon``, where figures are worked out for it."""
    if horizon not in HORIZONS:
        raise ValueError(f"figures are of horizons {', '.join(map(str, HORIZONS))}")
    return horizon


HorizonAsked = Annotated[
    Annotated[int, AfterValidator(a_head), Field(json_schema_extra={"enum": list(HORIZONS)})] | None,
    Query(description="Trading days ahead; left out: every one of these."),
]


@router.get("/track-record")
async def read_track_record(
    request: Request,
    db: DbSession,
    window: WindowAsked = "all",
    horizon: HorizonAsked = None,
    bundle: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="Left out: every one.")] = None,
    cursor: TickerCursor = None,
    limit: PageLimit = 50,
) -> TrackRecordRead:
    """What forecasts were worth beside the naive, of every bundle and ticker, and the head of the hash chain."""
    wish = service.RecordWish(window, horizon, bundle, cursor, limit)
    now = datetime.now(UTC)
    return await service.track_record(db, wish, served_bundle_id=_served(request, now), now=now)


# `:path` as in /predict/{ticker}: whatever is asked for reaches the check that says what is wrong with it.
@router.get("/track-record/{ticker:path}", responses=problem_responses(MalformedTickerError, TickerNotStoredError))
async def read_ticker_track_record(
    db: DbSession,
    ticker: Annotated[str, Path(description="As Yahoo spells it.", examples=["AAPL"])],
    window: WindowAsked = "all",
    horizon: HorizonAsked = None,
) -> TickerTrackRecordRead:
    """What one ticker's forecasts were worth beside the naive."""
    now = datetime.now(UTC)
    return await service.ticker_track_record(db, parse_ticker(ticker), window=window, horizon=horizon, now=now)


@explanations.get("/forecasts/{forecast_id}/explain", responses=problem_responses(ForecastNotFoundError))
async def explain_forecast(
    request: Request,
    db: DbSession,
    user: PredictUser,
    forecast_id: Annotated[UUID, Path(examples=["630bff24-561a-4ad2-88e6-8bb4ef82c9b2"])],
) -> ExplanationRead:
    """Inputs, their drift and lineage of a forecast that you were answered; what came after windows like its own."""
    forecast = await find_answered_forecast(db, forecast_id, user.user_id)
    window = await explaining.published_window(db, forecast)
    return await explaining.explain(db, forecast, window, await _bundle(request, db, forecast.bundle_id))


async def _bundle(request: Request, db: AsyncSession, bundle_id: str) -> Bundle | ClosecastError:
    """The champion's bundle or another registered one, or why it cannot be had."""
    if _served(request, now := datetime.now(UTC)) == bundle_id:
        champions: ChampionHolder = request.app.state.champions
        return champions.serving(now).bundle
    shelf: BundleShelf = request.app.state.bundle_shelf
    try:
        return (await shelf.find(db, bundle_id)).bundle
    except (BundleNotFoundError, BundleRefusedError) as error:
        return error


def _served(request: Request, now: datetime) -> str | None:
    champions: ChampionHolder = request.app.state.champions
    try:
        return champions.serving(now).bundle_id
    except NoChampionError:
        return None
