"""Where daily bars come from: one small protocol, and what can go wrong behind it.

The API maps these errors to problem documents, so this module must not import pandas when it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from data_pipeline.errors import ClosecastError

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    import pandas as pd

BAR_COLUMNS = ("open", "high", "low", "close", "adj_close", "volume", "dividend", "split")


class PriceBasis(StrEnum):
    """What the ``close`` of a series has been corrected for already."""

    RAW = "raw"
    SPLIT_ADJUSTED = "split_adjusted"
    FULLY_ADJUSTED = "fully_adjusted"


@dataclass(frozen=True)
class FetchedBars:
    """One ticker's answer of one source.

    Attributes
    ----------
    bars : index ``trading_day`` (``datetime64[s]``, naive, the exchange's own date), ascending; columns
        ``open high low close adj_close volume dividend split``, float64, in ``currency``. ``dividend`` is cash per
        share on the ex-day, else 0; ``split`` is new shares per old one on its day, else 0. Not cleaned yet.
    exchange : market identifier code as exchange_calendars knows it (``XNYS``, ``BVMF``).
    live : whether the source will have tomorrow's bar tomorrow (Yahoo) or never (files, sample).
    passed_over : why each source that was asked before gave none, in the order asked; empty: no fall-back.
    """

    ticker: str
    bars: pd.DataFrame
    exchange: str
    currency: str
    price_basis: PriceBasis
    source: str
    live: bool
    passed_over: tuple[PriceSourceError, ...] = ()


class PriceSource(Protocol):
    """Where daily bars come from: yfinance when live, files, the sample, a frame in memory in tests."""

    name: str

    def tickers(self) -> list[str]:
        """Every ticker the source holds by itself; empty where it must be asked by name (Yahoo)."""

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """Daily bars with ``start <= trading_day < end`` (None: from the first, to the newest), oldest first.

        A day still being traded may be the last row: the caller drops it by the calendar. A range without trading
        days gives an empty frame.

        Raises
        ------
        PriceSourceError : one of its subclasses, each of which says what the caller can do.
        """


class PriceSourceError(ClosecastError):
    """A price source gave no usable bars for one ticker."""

    cause = "source"

    def __init__(self, ticker: str, source: str, detail: str) -> None:
        super().__init__(f"{ticker} from {source}: {detail}")
        self.ticker, self.source, self.detail = ticker, source, detail


class UnknownTickerError(PriceSourceError):
    """The source knows no such symbol: check its spelling (Yahoo writes PETR4.SA and BRK-B). Do not repeat."""

    cause = "unknown_ticker"


class NoDataError(PriceSourceError):
    """The symbol is known but has no prices, as delisted shares have: try another source. Do not repeat."""

    cause = "no_data"


class BeforeListingError(PriceSourceError):
    """The whole range lies before the first trade: ask for a later end."""

    cause = "before_listing"


class PriceSourceUnavailableError(PriceSourceError):
    """No answer to rely on just now: the same request may succeed after ``retry_after_seconds``."""

    cause = "unavailable"

    def __init__(self, ticker: str, source: str, detail: str, *, retry_after_seconds: float = 60.0) -> None:
        super().__init__(ticker, source, detail)
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(PriceSourceUnavailableError):
    """The source refuses this address for a while: wait, and ask less often."""

    cause = "rate_limited"


class SourceNetworkError(PriceSourceUnavailableError):
    """The source could not be reached in time: check the connection, repeat later."""

    cause = "network"


class MalformedAnswerError(PriceSourceUnavailableError):
    """The source answered something that is no price history (HTML, half a document): repeat later."""

    cause = "malformed"


class CircuitOpenError(PriceSourceUnavailableError):
    """Too many failures in a row: the source is not asked at all until ``retry_after_seconds`` have passed."""

    cause = "circuit_open"


class UnusableFileError(PriceSourceError):
    """A file of bars is missing, unreadable or contradicts another: mend it or name another. Do not repeat."""

    cause = "unusable_file"

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(str(path), "files", detail)
        self.path = path
