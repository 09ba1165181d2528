"""Stored bars over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Security

from app.core.database import DatabaseUnavailableError, DbSession
from app.core.openapi import problem_responses
from app.core.paging import PageLimit, TickerCursor
from app.core.security import admit
from app.features.market_data import service
from app.features.market_data.errors import TickerNotStoredError
from app.features.market_data.schemas import BarsRead, DataVersionRead, QualityRead, TickerRead
from app.models.user import Scope
from app.schemas.page import Page
from data_pipeline.serving_window import PUBLISHED_BARS
from data_pipeline.ticker import MalformedTickerError, parse_ticker

router = APIRouter(
    tags=["data"],
    dependencies=[Security(admit, scopes=[Scope.PREDICT])],
    responses=problem_responses(DatabaseUnavailableError),
)

TickerStart = Annotated[
    str, Query(pattern=r"^[A-Z0-9.=^-]{0,20}$", description="Only those that begin with it; left out: all.")
]


@router.get("/tickers")
async def list_tickers(
    db: DbSession, starts_with: TickerStart = "", cursor: TickerCursor = None, limit: PageLimit = 50
) -> Page[TickerRead]:
    """Tickers whose bars are stored, in alphabetical order."""
    return await service.list_tickers(db, starts_with=starts_with, cursor=cursor, limit=limit)


# `:path` as in /predict/{ticker}: whatever is asked for reaches the check that says what is wrong with it.
@router.get("/bars/{ticker:path}", responses=problem_responses(MalformedTickerError, TickerNotStoredError))
async def read_bars(
    db: DbSession,
    ticker: Annotated[str, Path(description="As Yahoo spells it.", examples=["AAPL"])],
    limit: Annotated[int, Query(ge=1, le=PUBLISHED_BARS, description="Trading days.")] = 100,
) -> BarsRead:
    """The newest stored bars of one ticker, oldest first."""
    return await service.read_bars(db, parse_ticker(ticker), limit=limit)


@router.get("/data/versions")
async def list_data_versions(db: DbSession, limit: PageLimit = 50) -> list[DataVersionRead]:
    """States of the stored bars that windows were published from, newest first."""
    return await service.list_versions(db, limit=limit)


@router.get("/data/quality")
async def list_quality(db: DbSession, cursor: TickerCursor = None, limit: PageLimit = 50) -> Page[QualityRead]:
    """The newest quality report of each ticker: what was dropped or flagged, how often, and when first."""
    return await service.list_quality(db, cursor=cursor, limit=limit)
