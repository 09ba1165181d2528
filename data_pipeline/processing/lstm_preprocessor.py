"""Bars to network inputs: the one path that training, backtest and serving take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_pipeline.errors import ClosecastError, InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.input_columns import compute_columns, find_column, warm_up
from data_pipeline.processing.own_columns import OwnColumns
from data_pipeline.processing.volatility import log_returns, volatility_scale

IntArray = NDArray[np.int64]
Decay = Annotated[float, Field(gt=0.0, lt=1.0)]


class UnusableBarsError(ClosecastError):
    """A bar inside the window gives no finite input (a price of 0, a missing volume): collect the ticker anew."""


class InputKind(StrEnum):
    """Which prices the input columns read: adjusted closes alone, or more."""

    OHLCV = "ohlcv"
    CLOSES = "closes"


class InputSpec(BaseModel):
    """What a network reads of a ticker's bars; travels with the network.

    Attributes
    ----------
    columns : names of the window's columns, one value per bar.
    context_columns : names of columns read at the cutoff only.
    lookback : bars in a window.
    scale_decays, scale_length : the volatility scale (``volatility.volatility_scale``).
    own_columns : the user's module that some of the columns are from; None where all are ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...] = Field(min_length=1)
    context_columns: tuple[str, ...] = ()
    lookback: int = Field(ge=2, le=500)
    scale_decays: tuple[Decay, ...] = Field(default=(0.94, 0.99), min_length=1)
    scale_length: int = Field(default=250, ge=5, le=1000)
    own_columns: OwnColumns | None = None

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        names = (*self.columns, *self.context_columns)
        for name in names:
            self.find(name)
        if len(set(self.columns)) < len(self.columns) or len(set(self.context_columns)) < len(self.context_columns):
            raise ValueError("an input column is named twice")
        return self

    @property
    def history_needed(self) -> int:
        """Bars that one forecast needs, warm-up included; a forecast reads exactly so many."""
        for_window = self.lookback + warm_up(self.columns, self.find)
        return max(for_window, 1 + warm_up(self.context_columns, self.find), 1 + self.scale_length)

    def find(self, name: str) -> InputColumn:
        """The column of that name: of the network's own module, or one of ours.

        Raises
        ------
        ConfigurationError : there is none, or the module is absent or differs.
        """
        own = self.own_columns
        return own.column(name) if own is not None and name in own.names else find_column(name)

    @property
    def input_kind(self) -> InputKind:
        """As the columns declare it by ``InputColumn.reads``; the volatility scale reads adjusted closes anyway."""
        reads = {self.find(name).reads for name in (*self.columns, *self.context_columns)}
        return InputKind.CLOSES if reads <= {"closes"} else InputKind.OHLCV

    @property
    def market_bars(self) -> int:
        """How many of the newest bars' market inputs a forecast reads; 0 where no column reads the market."""
        window, context = (
            [name for name in names if self.find(name).reads == "market"]
            for names in (self.columns, self.context_columns)
        )
        return max(
            self.lookback + warm_up(window, self.find) if window else 0,
            1 + warm_up(context, self.find) if context else 0,
        )


@dataclass(frozen=True)
class Windows:
    """Unscaled network inputs at ``n`` cutoffs.

    Attributes
    ----------
    window : shape ``(n, lookback, n_columns)``.
    context : shape ``(n, n_context)``.
    scale : shape ``(n,)``, daily volatility; log return over h bars = ``scale * sqrt(h) * network output``.
    """

    window: FloatArray
    context: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class PreparedSeries:
    """One ticker's columns, computed once, from which windows at any cutoff are cut.

    ``columns (n_bars, n_columns)``, ``context (n_bars, n_context)``, ``scale (n_bars,)``.
    """

    spec: InputSpec
    columns: FloatArray
    context: FloatArray
    scale: FloatArray

    def usable_ends(self) -> IntArray:
        """Rows that can be a cutoff: enough bars before them, every input finite."""
        rows = np.arange(len(self.scale))
        finite = known_values(self.columns, self.spec.columns, self.spec.find).all(axis=1)
        newest_unusable = np.maximum.accumulate(np.where(finite, -1, rows))
        usable = (rows - newest_unusable >= self.spec.lookback) & (rows >= self.spec.history_needed - 1)
        usable &= known_values(self.context, self.spec.context_columns, self.spec.find).all(axis=1) & np.isfinite(
            self.scale
        )
        return np.flatnonzero(usable)

    def windows(self, ends: IntArray | Sequence[int]) -> Windows:
        """Inputs at the cutoffs in rows ``ends``."""
        last = np.asarray(ends, dtype=np.int64)
        rows = last[:, None] + np.arange(1 - self.spec.lookback, 1)
        window, scale = self.columns[rows], self.scale[last]
        in_scale_units = np.array([self.spec.find(name).in_scale_units for name in self.spec.columns])
        divisor = np.where(in_scale_units, scale[:, None, None], 1.0)
        return Windows(window / divisor, self.context[last], scale)

    @classmethod
    def joined(cls, many: Sequence["PreparedSeries"]) -> Self:
        """Several tickers' series one after the other; a window must not begin before its own ticker does."""
        arrays = {
            name: np.concatenate([getattr(one, name) for one in many]) for name in ("columns", "context", "scale")
        }
        return cls(many[0].spec, **arrays)


def prepare_series(bars: BarArrays, spec: InputSpec) -> PreparedSeries:
    """Compute all that windows are cut from.

    Raises
    ------
    InsufficientHistoryError : fewer than ``spec.history_needed`` bars.
    """
    if len(bars) < spec.history_needed:
        raise InsufficientHistoryError(needed=spec.history_needed, found=len(bars))
    # NumPy may take another path, with other last bits, through memory with gaps in it (a frame's column).
    packed = BarArrays(**{field.name: np.ascontiguousarray(getattr(bars, field.name)) for field in fields(bars)})
    return PreparedSeries(
        spec,
        columns=compute_columns(packed, spec.columns, spec.find),
        context=compute_columns(packed, spec.context_columns, spec.find),
        scale=volatility_scale(log_returns(packed.adj_close), spec.scale_decays, spec.scale_length),
    )


def latest_window(bars: BarArrays, spec: InputSpec) -> tuple[FloatArray, FloatArray, float]:
    """Unscaled inputs at the newest bar: ``window (lookback, n_columns)``, ``context (n_context,)``, ``scale``.

    Reads exactly the last ``spec.history_needed`` bars; what stands before them changes nothing.

    Raises
    ------
    InsufficientHistoryError : fewer bars than that.
    UnusableBarsError : an input is not finite.
    """
    series = prepare_series(bars.last(spec.history_needed), spec)
    newest = series.windows([len(series.scale) - 1])
    window, context, scale = newest.window[0], newest.context[0], float(newest.scale[0])
    known = known_values(window, spec.columns, spec.find).all()
    known = known and known_values(context, spec.context_columns, spec.find).all()
    if not (known and np.isfinite(scale)):
        raise UnusableBarsError(f"inputs at {bars.cutoff} are not finite: a bar of its window is unusable")
    return window, context, scale


def known_values(
    values: FloatArray, names: Sequence[str], find: Callable[[str], InputColumn] = find_column
) -> NDArray[np.bool_]:
    """Which values, shape ``(..., n_columns)``, are finite or may be unknown by their column's definition."""
    can_be_unknown = np.array([find(name).can_be_unknown for name in names], dtype=np.bool_)
    known: NDArray[np.bool_] = np.isfinite(values) | (np.isnan(values) & can_be_unknown)
    return known


def make_targets(adj_close: FloatArray, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
    """Log returns from each cutoff over ``h`` stored bars, shape ``(n, n_horizons)``; NaN where the bar is yet to come.

    >>> make_targets(np.array([1.0, np.e, np.e**3]), np.array([0, 1]), [1, 2]).round(9).tolist()
    [[1.0, 3.0], [2.0, nan]]
    """
    targets = np.full((len(ends), len(horizons)), np.nan)
    for place, horizon in enumerate(horizons):
        known = ends + horizon < len(adj_close)
        targets[known, place] = np.log(adj_close[ends[known] + horizon] / adj_close[ends[known]])
    return targets
