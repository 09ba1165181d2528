"""Failed attempts at a window, remembered as rows and raised again as the errors they were."""

from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from sqlalchemy.ext.asyncio import AsyncSession

import app.core.inner_problems  # noqa: F401 (registers the inner packages' errors)
from app.core.problems import problem_of
from app.features.market_data import crud
from app.features.market_data.errors import CollectionFailedError
from app.models.market_data import WindowFailure
from data_pipeline.errors import ClosecastError, InsufficientHistoryError
from data_pipeline.sources import base

REMEMBERED = timedelta(hours=1)  # what the source said about the ticker itself
TROUBLE_SECONDS = 60.0  # of what does not say itself when to come back
INSUFFICIENT_HISTORY = "insufficient_history"

PERMANENT = {each.cause: each for each in (base.UnknownTickerError, base.NoDataError, base.BeforeListingError)}
PASSING = {
    each.cause: each
    for each in (
        base.PriceSourceUnavailableError,
        base.RateLimitedError,
        base.SourceNetworkError,
        base.MalformedAnswerError,
        base.CircuitOpenError,
    )
}


async def remember(db: AsyncSession, ticker: str, error: ClosecastError, *, as_of: date | None = None) -> None:
    """Keep ``error`` for whoever waits or asks next, tell them, and commit.

    What the source says about the ticker itself is believed for an hour, trouble as long as it says, or a minute.
    """
    await crud.remember_failure(
        db,
        ticker=ticker,
        as_of=as_of,
        cause=cause_of(error),
        source=getattr(error, "source", ""),
        detail=detail_of(error),
        bars_needed=getattr(error, "needed", None),
        bars_found=getattr(error, "found", None),
        expires_at=datetime.now(UTC) + _believed_for(error),
    )
    await crud.notify_windows(db, [ticker])
    await db.commit()


def detail_of(error: ClosecastError) -> str:
    """What of an error may be told: trouble on our side is named, its addresses and settings stay in the log."""
    if isinstance(error, base.PriceSourceError):
        return error.detail
    kind = problem_of(error)
    return kind.title.lower() if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR else str(error)


def _believed_for(error: ClosecastError) -> timedelta:
    if isinstance(error, (InsufficientHistoryError, *PERMANENT.values())):
        return REMEMBERED
    return timedelta(seconds=getattr(error, "retry_after_seconds", TROUBLE_SECONDS))


def cause_of(error: ClosecastError) -> str:
    """Under which name an error is remembered."""
    if isinstance(error, InsufficientHistoryError):
        return INSUFFICIENT_HISTORY
    return error.cause if isinstance(error, base.PriceSourceError) else problem_of(error).slug


async def raise_failure(db: AsyncSession, ticker: str, *, as_of: date | None = None) -> None:
    """Raise what is remembered about a ticker, if anything is."""
    failure = await crud.find_failure(db, ticker, as_of)
    if failure is not None:
        raise as_error(failure)


def as_error(failure: WindowFailure) -> ClosecastError:
    """The error that a row remembers."""
    if failure.cause == INSUFFICIENT_HISTORY:
        return InsufficientHistoryError(
            needed=failure.bars_needed or 0, found=failure.bars_found or 0, ticker=failure.ticker
        )
    if failure.cause in PERMANENT:
        return PERMANENT[failure.cause](failure.ticker, failure.source, failure.detail)
    seconds = (failure.expires_at - datetime.now(UTC)).total_seconds()
    if failure.cause in PASSING:
        error_class = PASSING[failure.cause]
        return error_class(failure.ticker, failure.source, failure.detail, retry_after_seconds=max(1.0, seconds))
    return CollectionFailedError(failure.ticker, failure.cause, failure.detail, retry_after_seconds=max(1.0, seconds))
