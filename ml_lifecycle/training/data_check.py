"""Whether a data version can be trained on: its digest, its bars, and windows and targets cut from them."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipeline.errors import NothingStoredError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import (
    InputSpec,
    IntArray,
    PreparedSeries,
    Windows,
    known_values,
    latest_window,
    make_targets,
    prepare_series,
)
from data_pipeline.processing.volatility import log_returns
from data_pipeline.serving_window import DataVersion
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.training.config import TrainingConfig

CUTOFFS = 4  # of each ticker, spread over its newest bars
EXTRA_BARS = 120  # beyond those of one window: the cutoffs lie within them, and so do the longest targets of the first
ALIGNED = 40  # tickers, evenly spread, whose windows are cut once more from the bars until their cutoff alone
SAME = 1e-9  # relative: a column that was started earlier differs in its last bits
ROUNDING = 1e-6  # prices passed through float32 on their way


@dataclass(frozen=True)
class DataCheck:
    """What was looked at and what is wrong with it, one line each.

    Attributes
    ----------
    short : tickers with fewer bars in one piece than a window needs; no fault.
    """

    version: DataVersion
    n_tickers: int
    n_bars: int
    n_windows: int
    short: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def check_data(
    store: FeatureStore,
    config: TrainingConfig,
    *,
    tickers: Collection[str] | None = None,
    version: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> DataCheck:
    """Read a data version whole and build windows at some cutoffs of each ticker, as training would.

    Parameters
    ----------
    tickers : those whose bars and windows are checked; None: all. The digest is that of all bars in any case.
    progress : called with (tickers done, tickers in all, the one just done).

    Raises
    ------
    NothingStoredError, UnknownDataVersionError : there is nothing to check.
    """
    named = store.version(version)
    snapshot = store.at(named.version)
    known = sorted(info.ticker for info in snapshot.series())
    if absent := sorted(set(tickers or ()) - set(known)):
        raise NothingStoredError(absent[0])
    found = snapshot.content_sha256()
    digest = [] if found == named.content_sha256 else [f"data version {named.version}: its bars are not as written"]
    n_bars, n_windows, faults, short = 0, 0, digest, []
    wanted = len(tickers or known)
    every = max(1, wanted // ALIGNED)
    for done, (ticker, bars) in enumerate(snapshot.iterate_bar_arrays(tickers), start=1):
        n_bars += len(bars)
        piece = _newest_piece(bars, config.input_spec)
        if piece is None:
            short.append(ticker)
        else:
            n_windows += CUTOFFS
        cut = () if piece is None else _window_faults(piece, config, aligned=done % every == 0)
        faults += [f"{ticker}: {fault}" for fault in (*_bar_faults(bars), *cut)]
        if progress is not None:
            progress(done, wanted, ticker)
    return DataCheck(named, wanted, n_bars, n_windows, tuple(sorted(short)), tuple(faults))


def _newest_piece(bars: BarArrays, spec: InputSpec) -> BarArrays | None:
    """The newest bars without a hole that a window fits in; None where none does."""
    whole = [piece for piece in bars.pieces() if len(piece) >= spec.history_needed]
    return whole[-1].last(spec.history_needed + EXTRA_BARS) if whole else None


def _bar_faults(bars: BarArrays) -> Iterator[str]:
    days = bars.trading_day
    if (np.diff(days) <= np.timedelta64(0, "D")).any():
        yield "trading days do not ascend"
    for name in ("open", "high", "low", "close", "adj_close"):
        values = getattr(bars, name)
        if values.dtype != np.float64 or not (np.isfinite(values) & (values > 0.0)).all():
            yield f"{name}: not every value is a positive number"
    if not (np.isfinite(bars.volume) & (bars.volume >= 0.0)).all():
        yield "volume: a value is missing or negative"
    if (bars.high < bars.low * (1 - ROUNDING)).any():
        yield "a high is below its low"


def _window_faults(bars: BarArrays, config: TrainingConfig, *, aligned: bool) -> Iterator[str]:
    spec = config.input_spec
    series = prepare_series(bars, spec)
    usable = series.usable_ends()
    if not len(usable):
        yield "no bar can be a cutoff: every window holds an unusable value"
        return
    ends = usable[np.linspace(0, len(usable) - 1, CUTOFFS).astype(np.int64)]
    windows = series.windows(ends)
    yield from _shape_faults(windows, spec, ends)
    if aligned:
        yield from _alignment_faults(bars, series, windows, ends)
    yield from _target_faults(bars, ends, config)


def _shape_faults(windows: Windows, spec: InputSpec, ends: IntArray) -> Iterator[str]:
    expected = {
        "window": (len(ends), spec.lookback, len(spec.columns)),
        "context": (len(ends), len(spec.context_columns)),
        "scale": (len(ends),),
    }
    for name, shape in expected.items():
        values: np.ndarray[Any, Any] = getattr(windows, name)
        if values.shape != shape or values.dtype != np.float64:
            yield f"{name}: {values.dtype} of shape {values.shape}, float64 of shape {shape} wanted"
            return
    if not known_values(windows.window, spec.columns, spec.find).all():
        yield "a window holds a value that is not finite"
    if not known_values(windows.context, spec.context_columns, spec.find).all():
        yield "a context holds a value that is not finite"
    if not (np.isfinite(windows.scale) & (windows.scale > 0.0)).all():
        yield "a volatility scale is not a positive number"


def _alignment_faults(bars: BarArrays, series: PreparedSeries, windows: Windows, ends: IntArray) -> Iterator[str]:
    """A window ends with its cutoff: cut from the bars until then and no later, it is the same."""
    for place, end in enumerate(ends.tolist()):
        window, context, scale = latest_window(bars[: end + 1], series.spec)
        pairs = ((window, windows.window[place]), (context, windows.context[place]), (scale, windows.scale[place]))
        if not all(_same(np.asarray(one), np.asarray(other)) for one, other in pairs):
            yield f"the window of {bars.trading_day[end]} is another one without the bars after it"


def _target_faults(bars: BarArrays, ends: IntArray, config: TrainingConfig) -> Iterator[str]:
    """A target is the sum of the daily returns after its cutoff."""
    targets = make_targets(bars.adj_close, ends, config.horizons)
    daily = log_returns(bars.adj_close)
    for row, end in enumerate(ends.tolist()):
        for column, horizon in enumerate(config.horizons):
            following = daily[end + 1 : end + 1 + horizon]
            summed = following.sum() if len(following) == horizon else np.nan
            if not np.isclose(targets[row, column], summed, rtol=SAME, atol=1e-12, equal_nan=True):
                yield f"the target of {bars.trading_day[end]}, {horizon} bars ahead, is not what its returns sum to"


def _same(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.allclose(one, other, rtol=SAME, atol=1e-12, equal_nan=True))
