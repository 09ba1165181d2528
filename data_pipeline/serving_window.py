"""What the pipeline hands to the API for one ticker: bars, calendar and lineage, without the pipeline's libraries."""

from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray

PUBLISHED_BARS = 1_280  # the reference reads 1,030 bars, an EWMA 0.99 reads 1,000 beside a window of 60: room for both
PUBLISHED_DAYS = 30  # steps in a forecast row


@dataclass(frozen=True)
class DataVersion:
    """One state of the store of bars, named so that it can be read again."""

    table_id: str
    version: int
    content_sha256: str


@dataclass(frozen=True)
class MarketInputs:
    """Cross-sectional means over a universe, aligned with a window's bars; NaN where the day does not count."""

    universe: str
    mean_return: FloatArray
    mean_absolute_return: FloatArray


def with_market(bars: BarArrays, market: MarketInputs | None) -> BarArrays:
    """The same bars with these means on their days; without any where ``market`` is None."""
    unknown = np.full(len(bars), np.nan)
    return replace(
        bars,
        market_return=unknown if market is None else market.mean_return,
        market_absolute_return=unknown if market is None else market.mean_absolute_return,
    )


@dataclass(frozen=True)
class ServingWindow:
    """One ticker's newest bars with all that an answer needs to say about them.

    Attributes
    ----------
    bars : the newest ``PUBLISHED_BARS`` bars up to the cutoff (fewer where the ticker has fewer).
    target_trading_days : the ``PUBLISHED_DAYS`` trading days after the cutoff, by the exchange's calendar.
    opens_at : opening instant of the first of them, UTC; a forecast made later is a hindcast.
    known_at : instants at which each of them is final, UTC, ascending.
    as_of : None for the newest window, else the day that the caller asked for (``cutoff <= as_of``).
    market : the means that ``bars`` carry, by the name of their universe; None where the exchange has none.
    repaired_bars : bars inside the window that the quality report dropped or flagged.
    """

    ticker: str
    exchange: str
    currency: str
    source: str
    live: bool
    price_basis: str
    bars: BarArrays
    target_trading_days: tuple[date, ...]
    opens_at: datetime
    known_at: tuple[datetime, ...]
    data_version: DataVersion
    repaired_bars: int
    market: MarketInputs | None = None
    as_of: date | None = None

    @property
    def cutoff(self) -> date:
        """Last trading day in the window."""
        return self.bars.cutoff
