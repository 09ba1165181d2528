"""One symbol of the fake Yahoo and its chart document, generated from bars."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from typing import Any, Self

import numpy as np
import pandas as pd

from data_pipeline.sources.base import FetchedBars, PriceBasis
from tests.fake_yahoo.answers import Answer, before_listing

VALID_RANGES = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"]
PRICES = ["open", "high", "low", "close"]

# Yahoo's exchange code, zone and the opening that daily rows are stamped with.
_VENUES = {
    "XNYS": ("NMS", "America/New_York", time(9, 30)),
    "BVMF": ("SAO", "America/Sao_Paulo", time(10)),
    "XLON": ("LSE", "Europe/London", time(8)),
    "XETR": ("GER", "Europe/Berlin", time(9)),
}


@dataclass(frozen=True)
class Listing:
    """What Yahoo knows about one symbol.

    Attributes
    ----------
    bars : as ``FetchedBars.bars``, with Yahoo's split-adjusted prices.
    null_days : rows that come with nothing but a time stamp.
    volume_only_days : rows that come with a volume and no prices.
    running_at : local time of the last trade, when the newest bar is the running session: stamped with it.
    appends_newest : whether the newest bar comes with every range, asked for or not.
    capital_gains : of funds, by day.
    """

    ticker: str
    bars: pd.DataFrame
    currency: str | None = "USD"
    yahoo_exchange: str = "NMS"
    zone: str = "America/New_York"
    opens_at: time = time(9, 30)
    instrument: str = "EQUITY"
    null_days: frozenset[date] = frozenset()
    volume_only_days: frozenset[date] = frozenset()
    running_at: time | None = None
    appends_newest: bool = False
    capital_gains: Mapping[date, float] | None = None

    @classmethod
    def of(cls, fetched: FetchedBars) -> Self:
        """The listing that Yahoo would have for the bars of another source."""
        yahoo_exchange, zone, opens_at = _VENUES[fetched.exchange]
        bars = _split_adjusted(fetched.bars) if fetched.price_basis == PriceBasis.RAW else fetched.bars
        return cls(fetched.ticker, bars, fetched.currency, yahoo_exchange, zone, opens_at)

    def moved_to_end(self, last_days: pd.DatetimeIndex) -> Self:
        """The newest bars on other days, so that old bars can stand for this week's."""
        newest = self.bars.tail(len(last_days))
        return replace(self, bars=newest.set_axis(last_days[-len(newest) :], axis=0))

    def answer(self, query: Mapping[str, str]) -> Answer:
        """What ``GET /v8/finance/chart/SYMBOL`` says to ``query``."""
        if "period1" not in query:
            rows = self.bars.tail({"1d": 1, "5d": 5}.get(query.get("range", ""), len(self.bars)))
            return Answer.of_json(self._document(rows))
        period1, period2 = int(query["period1"]), int(query["period2"])
        stamps = self._stamps(self.bars)
        if len(stamps) and period2 <= stamps[0]:
            return before_listing(period1, period2)
        asked = (stamps >= period1) & (stamps < period2)
        if self.appends_newest:
            asked[-1] = True
        return Answer.of_json(self._document(self.bars[asked]))

    def _document(self, rows: pd.DataFrame) -> dict[str, Any]:
        result: dict[str, Any] = {"meta": self._meta(), "indicators": {"quote": [{}]}}
        if len(rows) and self.currency:
            stamps = self._stamps(rows).tolist()
            shown = self._with_gaps(rows)
            result["timestamp"] = stamps
            result["events"] = self._events(rows, stamps)
            result["indicators"] = {
                "quote": [{name: _column(shown[name]) for name in PRICES} | {"volume": _column(shown["volume"], int)}],
                "adjclose": [{"adjclose": _column(shown["adj_close"])}],
            }
        return {"chart": {"result": [result], "error": None}}

    def _with_gaps(self, rows: pd.DataFrame) -> pd.DataFrame:
        shown = rows.copy()
        shown.loc[self._on(rows, self.null_days | self.volume_only_days), [*PRICES, "adj_close"]] = np.nan
        shown.loc[self._on(rows, self.null_days), "volume"] = np.nan
        return shown

    @staticmethod
    def _on(rows: pd.DataFrame, days: frozenset[date]) -> pd.Series:
        return pd.Series([day.date() in days for day in rows.index], index=rows.index)

    def _stamps(self, rows: pd.DataFrame) -> np.ndarray:
        opening = pd.Timedelta(hours=self.opens_at.hour, minutes=self.opens_at.minute)
        stamps = (rows.index + opening).tz_localize(self.zone).as_unit("s").asi8.copy()
        if self.running_at is not None and len(rows) and rows.index[-1] == self.bars.index[-1]:
            since_opening = pd.Timedelta(str(self.running_at)) - opening
            stamps[-1] += int(since_opening.total_seconds())
        return stamps

    def _events(self, rows: pd.DataFrame, stamps: list[int]) -> dict[str, Any]:
        events: dict[str, dict[str, Any]] = {"dividends": {}, "splits": {}, "capitalGains": {}}
        for stamp, day, dividend, split in zip(stamps, rows.index, rows["dividend"], rows["split"], strict=True):
            if dividend:
                events["dividends"][str(stamp)] = {"amount": dividend, "date": stamp}
            if split:
                events["splits"][str(stamp)] = {
                    "date": stamp, "numerator": split, "denominator": 1, "splitRatio": f"{split:g}:1"
                }  # fmt: skip
            gain = (self.capital_gains or {}).get(day.date())
            if gain:
                events["capitalGains"][str(stamp)] = {"amount": gain, "date": stamp}
        return {name: found for name, found in events.items() if found}

    def _meta(self) -> dict[str, Any]:
        return {
            "currency": self.currency,
            "symbol": self.ticker,
            "exchangeName": self.yahoo_exchange if self.currency else "YHD",
            "instrumentType": self.instrument,
            "firstTradeDate": int(self._stamps(self.bars)[0]) if len(self.bars) else None,
            "exchangeTimezoneName": self.zone,
            "priceHint": 2,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": VALID_RANGES,
        }


def _split_adjusted(bars: pd.DataFrame) -> pd.DataFrame:
    """Raw bars as Yahoo tells them: prices, dividends and volume in today's shares."""
    splits = bars["split"].where(bars["split"] > 0, 1.0)
    later_splits = splits[::-1].cumprod()[::-1] / splits
    adjusted = bars.copy()
    for name in (*PRICES, "dividend"):
        adjusted[name] = bars[name] / later_splits
    adjusted["volume"] = bars["volume"] * later_splits
    return adjusted


def _column(values: pd.Series, kind: type = float) -> list[float | int | None]:
    return [None if np.isnan(value) else kind(value) for value in values]
