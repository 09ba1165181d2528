"""Daily bars are checked here, by one schema, before anything is stored: rows are dropped or flagged, never made up."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import BarArrays, DayArray
from data_pipeline.processing.calendars import first_known_day, last_final_day, trading_days
from data_pipeline.processing.quality import Defect, QualityReport
from data_pipeline.sources.base import BAR_COLUMNS, FetchedBars, MalformedAnswerError, PriceBasis

BoolArray = NDArray[np.bool_]

PRICE_COLUMNS = ("open", "high", "low", "close", "adj_close")
LARGE_MOVE = 0.35  # log return of a day; real ones exist (B3 on 2020-03-09), so they are flagged only
RANGE_TOLERANCE = 1e-3  # a close this far outside low..high is rounding, not an error
ROUNDING = 1e-6  # prices pass through float32 on their way
SPLIT_RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 50.0, 100.0)
SPLIT_TOLERANCE = 0.05  # the opening price moves by itself on top of the split's ratio
SPLIT_DAY_MOVE = 0.10  # a split is not a crash: from open to close such a day is like any other

_price = pa.Column(float, pa.Check.gt(0.0), coerce=True)
_event = pa.Column(float, pa.Check.ge(0.0), coerce=True)

BAR_SCHEMA = pa.DataFrameSchema(
    {**dict.fromkeys(PRICE_COLUMNS, _price), "volume": _event, "dividend": _event, "split": _event},
    index=pa.Index("datetime64[s]", name="trading_day", unique=True),
    checks=[
        pa.Check(lambda bars: bars.index.is_monotonic_increasing, error="trading days ascend"),
        pa.Check(lambda bars: bars["high"] >= bars["low"] * (1 - ROUNDING), error="high is not below low"),
        pa.Check(lambda bars: np.isfinite(bars).all(axis=None), error="every value is finite"),
    ],
    strict=True,
    ordered=True,
)


@dataclass(frozen=True)
class CheckedBars:
    """Bars that meet `BAR_SCHEMA`, index ``trading_day``, and what was found on the way."""

    bars: pd.DataFrame
    report: QualityReport


def check_bars(fetched: FetchedBars, *, now: datetime, final_after: timedelta) -> CheckedBars:
    """Drop what is no bar, flag what is doubtful, count both.

    Parameters
    ----------
    now : aware instant; bars that are not final then are dropped as ``UNFINISHED``.
    final_after : how long after its exchange's close a bar becomes final.

    Raises
    ------
    UnknownCalendarError : no calendar is known for the exchange.
    MalformedAnswerError : a column is absent or holds no numbers, or the index holds no days.
    """
    bars = _numbers(fetched).sort_index(kind="stable")
    days: dict[Defect, DayArray] = {}
    unexpected = np.array([], dtype="datetime64[D]")
    if len(bars):
        calendar = _Calendar.around(fetched.exchange, _trading_days_of(bars))
        final_day = np.datetime64(last_final_day(fetched.exchange, now, final_after), "D")
        unexpected = _unexpected_days(bars, calendar)
        bars = _drop_rows(bars, calendar, final_day, days)
        _flag_rows(bars, calendar, fetched.price_basis, days)
    return CheckedBars(BAR_SCHEMA.validate(bars), _report(fetched, bars, days, unexpected))


def as_bar_arrays(bars: pd.DataFrame) -> BarArrays:
    """Checked bars as the arrays that columns are computed from."""
    values = {name: bars[name].to_numpy(np.float64) for name in (*PRICE_COLUMNS, "volume")}
    return BarArrays(trading_day=_trading_days_of(bars), **values)


def _numbers(fetched: FetchedBars) -> pd.DataFrame:
    """The bar columns as float64 on days without a time of day, nulls as NaN."""
    try:
        bars = fetched.bars.loc[:, list(BAR_COLUMNS)].astype(np.float64)
        days = bars.index.astype("datetime64[s]").to_numpy().astype("datetime64[D]").astype("datetime64[s]")
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedAnswerError(fetched.ticker, fetched.source, f"no table of daily bars: {error}") from error
    return bars.set_axis(pd.DatetimeIndex(days, name="trading_day"))


@dataclass(frozen=True)
class _Calendar:
    """The trading days around some bars, and the day before which the calendar cannot speak."""

    days: DayArray
    begins: np.datetime64

    @classmethod
    def around(cls, exchange: str, bar_days: DayArray) -> "_Calendar":
        first, last = bar_days.min().item(), bar_days.max().item()
        return cls(
            trading_days(exchange, first, last + timedelta(days=1)), np.datetime64(first_known_day(exchange), "D")
        )

    def unknown(self, days: DayArray) -> BoolArray:
        return days < self.begins

    def closed(self, days: DayArray) -> BoolArray:
        return ~np.isin(days, self.days) & ~self.unknown(days)


def _unexpected_days(bars: pd.DataFrame, calendar: _Calendar) -> DayArray:
    """Days without trading, by the calendar, on which shares changed hands all the same."""
    days = _trading_days_of(bars)
    traded = (bars["volume"].to_numpy() > 0) & (bars["close"].to_numpy() > 0)
    return np.unique(days[calendar.closed(days) & traded])


def _drop_rows(
    bars: pd.DataFrame, calendar: _Calendar, final_day: np.datetime64, days: dict[Defect, DayArray]
) -> pd.DataFrame:
    """The rows that are bars; a row counts under the first defect that it has."""
    bar_days = _trading_days_of(bars)
    values = {name: bars[name].to_numpy() for name in BAR_COLUMNS}
    prices = np.stack([values[name] for name in PRICE_COLUMNS])
    fields = np.stack(list(values.values()))
    defects: dict[Defect, BoolArray] = {
        Defect.UNFINISHED: bar_days > final_day,
        Defect.NON_TRADING_DAY: calendar.closed(bar_days),
        Defect.NULL_CLOSE: ~np.isfinite(values["close"]) | ~np.isfinite(values["adj_close"]),
        Defect.NULL_FIELD: ~np.isfinite(fields).all(axis=0),
        Defect.NON_POSITIVE_PRICE: np.any(prices <= 0, axis=0),
        Defect.NEGATIVE_AMOUNT: np.any(fields < 0, axis=0),
        Defect.HIGH_BELOW_LOW: values["high"] < values["low"] * (1 - ROUNDING),
    }
    kept = np.ones(len(bars), dtype=bool)
    for defect, rows in defects.items():
        _note(days, defect, bar_days[kept & rows])
        kept &= ~rows
    # Of two good rows of one day the later one stays: sources append their corrections.
    repeated = kept.copy()
    repeated[kept] = pd.Index(bar_days[kept]).duplicated(keep="last")
    _note(days, Defect.DUPLICATE_DAY, bar_days[repeated])
    return bars[kept & ~repeated]


def _flag_rows(bars: pd.DataFrame, calendar: _Calendar, basis: PriceBasis, days: dict[Defect, DayArray]) -> None:
    """Note what is doubtful about rows that stay, and the trading days that have none."""
    if bars.empty:
        return
    bar_days = _trading_days_of(bars)
    opened, high, low, close, adj_close, volume = (bars[name].to_numpy() for name in (*PRICE_COLUMNS, "volume"))
    flat = (opened == high) & (high == low) & (low == close)
    repeats = np.append(False, close[1:] == close[:-1])
    _note(days, Defect.CLOSE_OUTSIDE_RANGE, bar_days[_outside(close, low, high)])
    if basis is PriceBasis.RAW:
        _note(days, Defect.UNADJUSTED_SPLIT, bar_days[_split_jumps(bars)])
    _note(
        days, Defect.LARGE_MOVE, bar_days[np.abs(np.diff(np.log(adj_close), prepend=np.log(adj_close[0]))) > LARGE_MOVE]
    )
    _note(days, Defect.STALE_REPEAT, bar_days[flat & repeats & (volume == 0)])
    _note(days, Defect.ZERO_VOLUME, bar_days[volume == 0])
    _note(days, Defect.FLAT_BAR, bar_days[flat])
    _note(days, Defect.BEFORE_CALENDAR, bar_days[calendar.unknown(bar_days)])
    within = (calendar.days > bar_days[0]) & (calendar.days < bar_days[-1])
    _note(days, Defect.HOLE, np.setdiff1d(calendar.days[within], bar_days))


def _outside(close: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> BoolArray:
    return np.asarray((close < low * (1 - RANGE_TOLERANCE)) | (close > high * (1 + RANGE_TOLERANCE)))


def _split_jumps(bars: pd.DataFrame) -> BoolArray:
    """Rows whose prices jump by a usual split ratio that the source does not declare.

    The jump must stand at the open already and the day go on as usual: AAPL lost half on 2000-09-29 without a split.
    """
    opened, close = bars["open"].to_numpy(), bars["close"].to_numpy()
    ratio = np.ones(len(bars))
    ratio[1:] = close[:-1] / opened[1:]
    folded = np.maximum(ratio, 1 / ratio)  # a reverse split jumps the other way
    near = (np.abs(folded[:, None] / np.array(SPLIT_RATIOS) - 1) < SPLIT_TOLERANCE).any(axis=1)
    calm = np.abs(np.log(close / opened)) < SPLIT_DAY_MOVE
    return np.asarray(near & calm & (bars["split"].to_numpy() == 0))


def _report(
    fetched: FetchedBars, bars: pd.DataFrame, days: dict[Defect, DayArray], unexpected: DayArray
) -> QualityReport:
    bar_days: list[date] = _trading_days_of(bars).tolist()
    return QualityReport(
        ticker=fetched.ticker,
        exchange=fetched.exchange,
        source=fetched.source,
        rows_in=len(fetched.bars),
        rows_out=len(bars),
        first_day=bar_days[0] if bar_days else None,
        last_day=bar_days[-1] if bar_days else None,
        days={defect: tuple(found.tolist()) for defect, found in days.items()},
        unexpected=tuple(unexpected.tolist()),
    )


def _trading_days_of(bars: pd.DataFrame) -> DayArray:
    days: DayArray = bars.index.to_numpy().astype("datetime64[D]")
    return days


def _note(days: dict[Defect, DayArray], defect: Defect, found: DayArray) -> None:
    if len(found):
        days[defect] = found
