"""The track record as a whole, over HTTP: for tables, plots and spreadsheets."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security
from pydantic import AfterValidator, Field
from starlette.responses import Response

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.openapi import problem_responses
from app.core.paging import PageLimit
from app.features.track_record import overview
from app.features.track_record.overview import TableWish
from app.features.track_record.overview_schemas import CalibrationCurveRead, ErrorsOverTimeRead, Period, Sort
from app.features.track_record.router import WindowAsked, a_head, admit_reader
from app.features.track_record.schemas import Kind, TickerRecordRead
from app.models.user import Scope
from app.schemas.page import Page
from ml_lifecycle.export.manifest import HORIZONS

# Before the router that takes whatever follows /track-record/ for a ticker.
router = APIRouter(
    prefix="/track-record",
    tags=["track record"],
    dependencies=[Security(admit_reader, scopes=[Scope.PREDICT])],
    responses=problem_responses(DatabaseUnavailableError),
)

EXAMPLE_CSV = (
    f"{','.join(overview.CSV_HEADER)}\r\nAAPL,live,1,all,250,249,0.98,0.02,0.53,2013-12-31,0.5,0.8,0.9,0.95\r\n"
)

OneHorizon = Annotated[
    Annotated[int, AfterValidator(a_head), Field(json_schema_extra={"enum": list(HORIZONS)})],
    Query(description="Trading days ahead."),
]
BundleAsked = Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="Left out: every one.")]


async def table_wish(
    kind: Kind = "live",
    window: WindowAsked = "all",
    horizon: OneHorizon = 1,
    sort: Annotated[Sort, Query(description="Tickers without the figure come last, both ways.")] = "ticker",
    descending: bool = False,
) -> TableWish:
    """What the query says of the table."""
    return TableWish(kind, window, horizon, sort, descending)


TableAsked = Annotated[TableWish, Depends(table_wish)]


@router.get("/tickers")
async def list_ticker_records(
    db: DbSession,
    wish: TableAsked,
    cursor: Annotated[int, Query(ge=0, le=1_000_000, description="`next_cursor` of the page before.")] = 0,
    limit: PageLimit = 50,
) -> Page[TickerRecordRead]:
    """Figures of every stored ticker beside the naive, good and bad alike, by any of them."""
    return await overview.ticker_table(db, wish, offset=cursor, limit=limit, now=datetime.now(UTC))


@router.get(
    "/tickers.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}, "example": EXAMPLE_CSV}}}},
)
async def download_ticker_records(db: DbSession, wish: TableAsked) -> Response:
    """The same of all stored tickers at once, as CSV; no cell begins as a formula does."""
    return await overview.ticker_csv(db, wish, now=datetime.now(UTC))


@router.get("/calibration")
async def read_calibration(
    db: DbSession, window: WindowAsked = "all", horizon: OneHorizon = 1, bundle: BundleAsked = None
) -> CalibrationCurveRead:
    """How often outcomes were at or below each quantile, beside how often they should have been."""
    return await overview.calibration(db, window=window, horizon=horizon, bundle_id=bundle, now=datetime.now(UTC))


@router.get("/errors")
async def read_errors_over_time(
    db: DbSession,
    window: WindowAsked = "all",
    horizon: OneHorizon = 1,
    bundle: BundleAsked = None,
    by: Annotated[Period, Query(description="Of the day of the outcome.")] = "month",
) -> ErrorsOverTimeRead:
    """Errors over time beside the naive's: skill that came and went shows here."""
    now = datetime.now(UTC)
    return await overview.errors_over_time(db, window=window, horizon=horizon, bundle_id=bundle, by=by, now=now)
