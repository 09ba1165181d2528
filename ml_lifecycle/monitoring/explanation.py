"""What a forecast was made from: its window as the network saw it, and what came after the windows most like it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import (
    IntArray,
    PreparedSeries,
    latest_window,
    make_targets,
    prepare_series,
)
from data_pipeline.processing.volatility import log_returns
from ml_lifecycle.export.bundle import Bundle, Network
from ml_lifecycle.export.manifest import HORIZONS

NEAREST = 20
REFERENCE_WINDOW = 60  # daily log returns that stand for the inputs of the reference, which has no network
AT_ONCE = 256  # past windows scaled at a time


@dataclass(frozen=True)
class SeenInputs:
    """One window, unscaled and as the network saw it.

    Attributes
    ----------
    days : of its bars, shape ``(lookback,)``.
    columns, scaled : one array of ``lookback`` values by column; NaN where a value was not known.
    context, scaled_context : one value by column, read at the cutoff only.
    scale : daily volatility that the network's answer is in units of; None for the reference.
    """

    days: DayArray
    columns: Mapping[str, FloatArray]
    scaled: Mapping[str, FloatArray]
    context: Mapping[str, float]
    scaled_context: Mapping[str, float]
    scale: float | None


@dataclass(frozen=True)
class PastWindow:
    """A window of the ticker's own past.

    Attributes
    ----------
    cutoff : its last day.
    distance : root mean square difference of the scaled inputs.
    log_returns : what came after it, by horizon.
    """

    cutoff: date
    distance: float
    log_returns: Mapping[int, float]


def seen_inputs(bars: BarArrays, bundle: Bundle) -> SeenInputs:
    """The inputs after the last of ``bars``.

    Raises
    ------
    InsufficientHistoryError, UnusableBarsError : as the forecast itself would.
    """
    network = bundle.network
    if network is None:
        returns = _reference_windows(bars, np.array([len(bars) - 1]))[0]
        days = bars.trading_day[-REFERENCE_WINDOW:]
        return SeenInputs(days, {"log_return": returns}, {"log_return": returns}, {}, {}, None)
    spec = network.spec
    window, context, scale = latest_window(bars, spec)
    scaled, scaled_context = network.scaler.apply(window[None], context[None])
    return SeenInputs(
        days=bars.trading_day[-spec.lookback :],
        columns=dict(zip(spec.columns, window.T, strict=True)),
        scaled=dict(zip(spec.columns, scaled[0].T.astype(np.float64), strict=True)),
        context=dict(zip(spec.context_columns, context.tolist(), strict=True)),
        scaled_context=dict(zip(spec.context_columns, scaled_context[0].tolist(), strict=True)),
        scale=scale,
    )


def nearest_windows(bars: BarArrays, bundle: Bundle, *, n: int = NEAREST) -> list[PastWindow]:
    """The past windows most like the newest one, nearest first, among those whose outcomes were all known by then.

    Parameters
    ----------
    bars : up to the forecast's cutoff, without a hole.
    """
    newest = len(bars) - 1
    inputs = _InputSpace(bars, bundle.network)
    ends = inputs.usable_ends()
    ends = ends[ends + HORIZONS[-1] <= newest]
    here = inputs.at(np.array([newest]))[0]
    parts = [inputs.at(ends[first : first + AT_ONCE]) - here for first in range(0, len(ends), AT_ONCE)]
    distances = np.concatenate([np.sqrt(np.mean(np.square(part), axis=1)) for part in parts] or [np.empty(0)])
    order = np.argsort(distances, kind="stable")[:n]
    outcomes = make_targets(bars.adj_close, ends[order], HORIZONS)
    return [
        PastWindow(bars.trading_day[end].item(), float(distance), dict(zip(HORIZONS, came, strict=True)))
        for end, distance, came in zip(ends[order], distances[order], outcomes.tolist(), strict=True)
    ]


class _InputSpace:
    """Scaled inputs at any cutoff of one series, one row of numbers each."""

    def __init__(self, bars: BarArrays, network: Network | None) -> None:
        self._bars, self._network = bars, network
        self._series: PreparedSeries | None = None if network is None else prepare_series(bars, network.spec)

    def usable_ends(self) -> IntArray:
        if self._series is None:
            return np.arange(REFERENCE_WINDOW, len(self._bars))
        return self._series.usable_ends()

    def at(self, ends: IntArray) -> FloatArray:
        if self._series is None or self._network is None:
            return _reference_windows(self._bars, ends)
        windows = self._series.windows(ends)
        scaled, context = self._network.scaler.apply(windows.window, windows.context)
        return np.concatenate([scaled.reshape(len(ends), -1), context], axis=1).astype(np.float64)


def _reference_windows(bars: BarArrays, ends: Sequence[int] | IntArray) -> FloatArray:
    """The ``REFERENCE_WINDOW`` newest daily log returns at each cutoff; shape ``(n, REFERENCE_WINDOW)``."""
    last = np.asarray(ends, dtype=np.int64)
    if len(last) and last.min() < REFERENCE_WINDOW:
        raise InsufficientHistoryError(needed=REFERENCE_WINDOW + 1, found=int(last.min()) + 1)
    returns: FloatArray = log_returns(bars.adj_close)[last[:, None] + np.arange(1 - REFERENCE_WINDOW, 1)]
    return returns
