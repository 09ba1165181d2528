"""What can go wrong about stored bars over HTTP."""

from datetime import date
from http import HTTPStatus

from app.core.problems import problem
from data_pipeline.errors import ClosecastError


@problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "collection-pending",
    example="bars of AAPL are being collected, repeat shortly",
    members=("ticker",),
)
class CollectionPendingError(ClosecastError):
    """The ticker is not stored yet and its bars are being fetched: repeat after `Retry-After`."""

    def __init__(self, ticker: str) -> None:
        super().__init__(f"bars of {ticker} are being collected, repeat shortly")
        self.ticker = ticker
        self.retry_after_seconds = 5.0


@problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "collection-failed",
    example="bars of AAPL could not be prepared: store unavailable",
    members=("ticker", "cause"),
)
class CollectionFailedError(ClosecastError):
    """Bars could not be prepared: ``cause`` is the problem behind it; it is tried again after `Retry-After`."""

    def __init__(self, ticker: str, cause: str, detail: str, *, retry_after_seconds: float) -> None:
        super().__init__(f"bars of {ticker} could not be prepared: {detail}")
        self.ticker, self.cause, self.retry_after_seconds = ticker, f"/problems/{cause}", retry_after_seconds


@problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "stale-bars",
    example="the newest bar of AAPL is of 2025-05-01, 4 trading days are missing",
    members=("ticker", "cutoff", "missing_trading_days"),
)
class StaleBarsError(ClosecastError):
    """The stored bars are too old to forecast from and are being refreshed: repeat after `Retry-After`."""

    def __init__(self, ticker: str, cutoff: date, missing: int) -> None:
        super().__init__(f"the newest bar of {ticker} is of {cutoff}, {missing} trading days are missing")
        self.ticker, self.cutoff, self.missing_trading_days = ticker, cutoff.isoformat(), missing
        self.retry_after_seconds = 60.0


@problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "new-ticker-quota",
    example="20 new tickers and past days may be asked for in a day, repeat tomorrow (UTC)",
)
class NewTickerQuotaError(ClosecastError):
    """You asked for as much that was not stored as one may in a day: tickers, and past days of them."""

    def __init__(self, limit: int, retry_after_seconds: float) -> None:
        super().__init__(f"{limit} new tickers and past days may be asked for in a day, repeat tomorrow (UTC)")
        self.retry_after_seconds = retry_after_seconds


@problem(HTTPStatus.NOT_FOUND, "data-version-not-found", example="no data version 7 was published")
class DataVersionNotFoundError(ClosecastError):
    """No windows were ever published from a data version of this number: /data/versions lists those that there are."""

    def __init__(self, version: int) -> None:
        super().__init__(f"no data version {version} was published")


@problem(HTTPStatus.NOT_FOUND, "ticker-not-stored", example="no bars of AAPL are stored", members=("ticker",))
class TickerNotStoredError(ClosecastError):
    """No bars of this ticker are stored: ask for a forecast of it, which collects them."""

    def __init__(self, ticker: str) -> None:
        super().__init__(f"no bars of {ticker} are stored")
        self.ticker = ticker
