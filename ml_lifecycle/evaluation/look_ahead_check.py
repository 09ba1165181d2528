"""Hunting look-ahead in input columns, windows, forecasts and bundles: another future may change nothing before it.

The hunt itself is ``data_pipeline.processing.look_ahead``; what trains is looked at by ``look_ahead_training``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.look_ahead import (
    START_TOLERANCE,
    Named,
    agree,
    future_moves,
    look_ahead_faults,
    reading_faults,
    rescaling_moves,
    starting_moves,
)
from data_pipeline.processing.lstm_preprocessor import (
    InputSpec,
    IntArray,
    PreparedSeries,
    Windows,
    latest_window,
    prepare_series,
)
from ml_lifecycle.evaluation.forecasters import Cutoffs, Forecaster, forecast_at
from ml_lifecycle.export.forecaster import BundleForecaster

if TYPE_CHECKING:
    from ml_lifecycle.export.bundle import Bundle

Universe = Mapping[str, BarArrays]

FUTURE = 40  # bars after a cutoff, at least: longer than any horizon
SURROUNDINGS = 300  # bars after a cutoff, at most
CONTEXT_MARK = " (context)"  # a column may stand in the window and in the context
RECENT = 20  # windows up to the cutoff that are compared
HORIZONS = (1, 5, 10, 21)
BATCH_TOLERANCE = 1e-6  # in units of the forecast's own spread: a graph in single precision, fed in other batches
# Dividing by a power of two is exact, so that not even a network in single precision may round otherwise.
EXACT_FACTOR = 0.5


@dataclass(frozen=True)
class Fault:
    """One thing that saw what it must not, or forgot what it must not; ``column`` is empty where none is meant."""

    stage: str
    column: str
    ticker: str
    cutoff: date | None
    what: str

    def __str__(self) -> str:
        where = f"{self.ticker} at {self.cutoff}" if self.cutoff else self.ticker
        return ", ".join(part for part in (self.stage, self.column, where) if part) + f": {self.what}"


@dataclass(frozen=True)
class Place:
    """A cutoff in a piece of one ticker's bars, at row ``end``."""

    ticker: str
    bars: BarArrays
    end: int

    def fault(self, stage: str, column: str, what: str) -> Fault:
        """A fault found here."""
        return Fault(stage, column, self.ticker, self.bars[: self.end + 1].cutoff, what)


@dataclass(frozen=True)
class InputStages:
    """From bars to network inputs; put another function in the place of one to see what the check says of it."""

    prepare: Callable[[BarArrays, InputSpec], PreparedSeries] = prepare_series
    windows: Callable[[PreparedSeries, IntArray], Windows] = PreparedSeries.windows
    newest: Callable[[BarArrays, InputSpec], tuple[FloatArray, FloatArray, float]] = latest_window


def check_bundle(bundle: "Bundle", bars: Universe, *, seed: int = 0) -> list[str]:
    """What is wrong with a bundle, one line each; empty: its columns, windows and forecasts see no future.

    Takes a few seconds, whatever the number of tickers.

    Parameters
    ----------
    bars : some tickers' bars by ticker; a bundle that none of them is long enough for does not pass.
    seed : of the cutoffs and of the futures tried.
    """
    return [str(fault) for fault in check_bundle_faults(bundle, bars, seed=seed)]


def check_bundle_faults(bundle: "Bundle", bars: Universe, *, seed: int = 0) -> Iterator[Fault]:
    """``check_bundle``, with what each fault is about."""
    yield from check_forecaster(BundleForecaster(bundle), bars, seed=seed)
    if bundle.network is not None:
        yield from check_inputs(bundle.network.spec, bars, seed=seed)


def check_inputs(
    spec: InputSpec, bars: Universe, stages: InputStages | None = None, *, n_places: int = 3, seed: int = 0
) -> Iterator[Fault]:
    """Faults of every column that a network reads, and of windows that are cut from columns without one."""
    named = {name: spec.find(name) for name in (*spec.columns, *spec.context_columns)}
    of_columns = list(check_columns(named.values(), bars, seed=seed))
    yield from of_columns
    faulty = {fault.column for fault in of_columns}
    for fault in check_windows(spec, bars, stages or InputStages(), n_places=n_places, seed=seed):
        if fault.column.removesuffix(CONTEXT_MARK) not in faulty:
            yield fault


def check_columns(
    columns: Iterable[InputColumn], bars: Universe, *, n_places: int = 3, seed: int = 0
) -> Iterator[Fault]:
    """Faults of columns by themselves, one of each kind per column."""
    for column in columns:
        places = random_places(bars, column.warm_up + 1, n_places, seed)
        if not places:
            yield too_short("columns", column.name, column.warm_up + 1)
        told: set[str] = set()
        for place in places:
            for what in _column_faults(column, place, seed):
                kind = what.split(":")[0].split(" bars later")[0].rstrip("0123456789")
                if kind not in told:
                    yield place.fault("columns", column.name, what)
                told.add(kind)


def _column_faults(column: InputColumn, place: Place, seed: int) -> Iterator[str]:
    yield from look_ahead_faults(
        column.compute,
        place.bars,
        end=place.end,
        warm_up=column.warm_up,
        seed=seed,
        can_be_unknown=column.can_be_unknown,
    )
    yield from reading_faults(column, place.bars)


def check_windows(
    spec: InputSpec, bars: Universe, stages: InputStages, *, n_places: int = 3, seed: int = 0
) -> Iterator[Fault]:
    """Faults of the windows up to the cutoff; the newest must be what serving makes of the bars up to there."""
    places = random_places(bars, spec.history_needed, n_places, seed)
    if not places:
        yield too_short("windows", "", spec.history_needed)
    for place in places:
        yield from _window_faults(spec, place, stages, seed)


def _window_faults(spec: InputSpec, place: Place, stages: InputStages, seed: int) -> Iterator[Fault]:
    end = place.end

    def inputs(some: BarArrays, last: int = end) -> Named:
        ends = np.arange(max(last - RECENT, spec.history_needed - 1), last + 1)
        return _by_column(spec, stages.windows(stages.prepare(some, spec), ends))

    def begun_later(some: BarArrays) -> Named:
        return inputs(some, end - (len(place.bars) - len(some)))

    def served(some: BarArrays) -> Named:
        window, context, scale = stages.newest(some[: end + 1], spec)
        return _by_column(spec, Windows(window[None], context[None], np.array([scale])))

    start = max(0, end - spec.history_needed - RECENT)
    moves = [*future_moves(inputs, place.bars, end=end, seed=seed), *rescaling_moves(inputs, place.bars)]
    moves += starting_moves(inputs, begun_later, place.bars, start=start)
    yield from (place.fault("windows", column, what) for column, what in moves)
    yield from _other_than_served(place, served, inputs)


def _other_than_served(
    place: Place, served: Callable[[BarArrays], Named], inputs: Callable[[BarArrays], Named]
) -> Iterator[Fault]:
    """The training path at a cutoff against the serving path on the bars up to it."""
    with np.errstate(all="ignore"):
        answers, trained = served(place.bars), inputs(place.bars)
    for column, values in answers.items():
        if not agree(trained[column][-len(values) :], values, START_TOLERANCE):
            yield place.fault("windows", column, "training and serving make other inputs of the same bars")


def check_forecaster(
    forecaster: Forecaster, bars: Universe, *, stage: str = "forecast", n_places: int = 3, seed: int = 0
) -> Iterator[Fault]:
    """Faults of a forecaster's answers at cutoffs that have a future: a bundle, a backtest method, one of one's own.

    Its answer must also be the one that it gives on the bars up to the cutoff, of which only the last
    ``history_used`` count.
    """
    places = random_places(bars, forecaster.history_needed, n_places, seed, kept=forecaster.history_used + RECENT)
    if not places:
        yield too_short(stage, "", forecaster.history_needed)
    for place in places:

        def answer(some: BarArrays, end: int = place.end) -> Named:
            quantiles = forecast_at(forecaster, [Cutoffs(some, np.array([end - 1, end]))], HORIZONS)[0]
            return {f"{horizon} days": quantiles[:, row] for row, horizon in enumerate(HORIZONS)}

        moves = [*future_moves(answer, place.bars, end=place.end, seed=seed)]
        moves += rescaling_moves(answer, place.bars, factor=EXACT_FACTOR)
        yield from (place.fault(stage, column, what) for column, what in moves)
        yield from _other_than_alone(forecaster, place, answer, stage)


def _other_than_alone(
    forecaster: Forecaster, place: Place, answer: Callable[[BarArrays], Named], stage: str
) -> Iterator[Fault]:
    """The answer with a future behind the cutoff against the answers on what may be known."""
    until = place.bars[: place.end + 1]
    whole, used = forecaster.forecast_many([until, until.last(forecaster.history_used)])
    if not agree(used.log_returns, whole.log_returns, START_TOLERANCE):
        yield place.fault(stage, "", f"bars before the last {forecaster.history_used} change the answer")
    for row, (column, quantiles) in enumerate(answer(place.bars).items()):
        alone = whole.log_returns[HORIZONS[row] - 1]
        if not np.max(np.abs(quantiles[-1] - alone)) <= BATCH_TOLERANCE * np.ptp(alone):
            yield place.fault(stage, column, "the backtest's answer is another than that on the bars up to the cutoff")


def random_places(bars: Universe, needed: int, n_places: int, seed: int, *, kept: int = 0) -> list[Place]:
    """Cutoffs drawn from the tickers that are long enough: ``needed`` bars up to them, twice that where there are.

    ``kept`` bars before a cutoff stay with it, where there are so many, even if that is more than twice ``needed``.
    """
    rng = np.random.default_rng(seed)
    longest = {ticker: max(some.pieces(), key=len) for ticker, some in bars.items() if len(some)}
    enough = {ticker: piece for ticker, piece in longest.items() if len(piece) >= max(needed, 10) + 1 + FUTURE}
    if not enough:
        return []
    drawn = rng.permutation(sorted(enough)).tolist()
    return [_place(drawn[number % len(drawn)], enough, needed, kept, rng) for number in range(n_places)]


def _place(ticker: str, enough: Universe, needed: int, kept: int, rng: np.random.Generator) -> Place:
    """One cutoff with its surroundings: a hunt reruns everything dozens of times, on bars that can matter."""
    piece = enough[ticker]
    last = len(piece) - 1 - FUTURE
    end = int(rng.integers(min(2 * needed + 10, last), last + 1))
    first = max(0, end - max(2 * needed + 10, kept))
    return Place(ticker, piece[first : end + 1 + SURROUNDINGS], end - first)


def too_short(stage: str, column: str, needed: int) -> Fault:
    """Nothing could be checked, which is not the same as nothing found."""
    return Fault(stage, column, "no ticker", None, f"has the {max(needed, 10) + 1 + FUTURE} bars that the check needs")


def _by_column(spec: InputSpec, windows: Windows) -> dict[str, FloatArray]:
    """A window column ``(n * lookback,)`` or context column ``(n,)`` by its name, and the scale."""
    of_window = {name: windows.window[:, :, place].ravel() for place, name in enumerate(spec.columns)}
    of_context = {f"{name}{CONTEXT_MARK}": windows.context[:, place] for place, name in enumerate(spec.context_columns)}
    return {**of_window, **of_context, "volatility scale": windows.scale}
