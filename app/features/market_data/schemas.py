"""What goes out about stored bars."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """A part of an answer, read from a row or given."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class TickerRead(Part):
    """A ticker that can be forecast without collecting it first."""

    ticker: str
    exchange: str
    currency: str
    source: str
    live: bool = Field(description="Whether the source will have tomorrow's bar by itself.")
    price_basis: str
    cutoff: date = Field(description="Newest stored trading day.")
    published_at: datetime


class BarRead(Part):
    """One trading day, in listing currency."""

    trading_day: date
    open: float
    high: float
    low: float
    close: float
    adj_close: float
    volume: float


class BarsRead(Part):
    """The newest stored bars of one ticker, oldest first."""

    ticker: str
    exchange: str
    currency: str
    source: str
    price_basis: str
    data_version: int
    bars: list[BarRead]


class DataVersionRead(Part):
    """One state of the stored bars."""

    table_id: str
    version: int
    content_sha256: str
    published_at: datetime


class QualityRead(Part):
    """What the checks dropped or flagged in one ticker's bars."""

    ticker: str
    table_id: str
    version: int
    report: dict[str, Any]
