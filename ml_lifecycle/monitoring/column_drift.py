"""Whether many recent inputs of a network are spread as they were: each input column, day by day, over many tickers.

Days follow each other and tickers move together, so thousands of values are worth a few dozen that know nothing of each
other. A test that counts values finds drift in every quiet month. Here the distance counts with the sample size that
the values are worth, and its limits are those past which undisturbed real bars rarely lie (docs/drift.md).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from scipy import stats

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputSpec, IntArray, prepare_series
from ml_lifecycle.monitoring.dependent_days import long_run_variance
from ml_lifecycle.monitoring.drift import MOST_EDGES, read_parts, stability_index

Severity = Literal["none", "moved", "far"]

CHANCE = 0.01  # that any column of undisturbed, stationary bars counts as moved
MOVED_KS, MOVED_PSI = 0.15, 0.2  # less is true of two ordinary years, and no reason to do anything
FAR_KS, FAR_PSI = 0.4, 1.0
WORTH_OF_A_MEMORY = 20.0  # most independent values in as many days as a column looks back: one a ticker, up to so many
FEWEST_DAYS = 20  # a handful of days is one state of the market
DECILES = np.arange(0.1, 1.0, 0.1)


class TooFewDaysError(ClosecastError):
    """Fewer days than a distribution can be judged by: ask for more, or collect more bars."""

    def __init__(self, found: int, *, which: str) -> None:
        super().__init__(f"{which}: {FEWEST_DAYS} days with usable inputs needed, {found} found")
        self.needed, self.found = FEWEST_DAYS, found


@dataclass(frozen=True)
class ColumnSample:
    """Unscaled inputs of one network at each of the newest days.

    Attributes
    ----------
    names : of the window's columns, then of the context's.
    memory : how many bars each value looks at.
    values : shape ``(n, n_names)``, one row per ticker and day; NaN where a value is unknown.
    days : shape ``(n,)``, ``datetime64[D]``.
    """

    names: tuple[str, ...]
    memory: tuple[int, ...]
    values: FloatArray
    days: DayArray

    @property
    def n_days(self) -> int:
        """Different days."""
        return len(np.unique(self.days))

    @classmethod
    def of(cls, many_bars: Iterable[tuple[str, BarArrays]], spec: InputSpec, *, days: int, which: str) -> Self:
        """The newest ``days`` days of all tickers together; ``which`` names the sample where it is refused.

        Raises
        ------
        TooFewDaysError
        """
        parts = [part for _, bars in many_bars for part in _newest_inputs(bars, spec, days)]
        values = np.concatenate([values for values, _ in parts]) if parts else np.empty((0, 0))
        dated = np.concatenate([dated for _, dated in parts]) if parts else np.empty(0, dtype="datetime64[D]")
        different = np.unique(dated)
        if len(different) < FEWEST_DAYS:
            raise TooFewDaysError(len(different), which=which)
        recent = dated >= different[-min(days, len(different))]
        names = (*spec.columns, *spec.context_columns)
        return cls(names, tuple(1 + spec.find(name).warm_up for name in names), values[recent], dated[recent])


@dataclass(frozen=True)
class TrainingColumns:
    """What ``reference.json`` says of each column.

    ``edges (n_names, MOST_EDGES)``, infinite where there are fewer; ``shares (n_names, MOST_EDGES + 1)``.
    """

    names: tuple[str, ...]
    edges: FloatArray
    shares: FloatArray

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self | None:
        """None where it describes no column."""
        listed = content["columns"]
        if not listed:
            return None
        parts = [read_parts(each["edges"], each["shares"]) for each in listed]
        edges, shares = (np.stack(arrays) for arrays in zip(*parts, strict=True))
        return cls(tuple(each["name"] for each in listed), edges, shares)


@dataclass(frozen=True)
class ColumnFinding:
    """How far one column lies from its reference.

    Attributes
    ----------
    psi, ks : population stability index over the reference's deciles; largest distance of the distribution functions.
    effective_n : how many independent values the comparison is worth.
    p_value : of ``ks`` by Kolmogorov's distribution with ``effective_n``.
    provable : whether so many values could prove a difference at all, were it as large as can be.
    severity : ``moved`` is told, ``far`` speaks for training anew when many columns are.
    """

    column: str
    psi: float
    ks: float
    effective_n: float
    p_value: float
    provable: bool
    severity: Severity


def compare_samples(reference: ColumnSample, production: ColumnSample) -> list[ColumnFinding]:
    """Each column of two samples of the same columns; they may share days.

    Distance by the two-sample statistic of Kolmogorov and Smirnov, over all values.
    """
    found = []
    for place, name in enumerate(reference.names):
        old, new = (_known(sample, place) for sample in (reference, production))
        if not len(old.values) or not len(new.values):
            continue  # a market that is not known on any of the days
        edges, shares = parts_of(old.values)
        floored = np.maximum(shares, 1.0 / len(old.values))
        found.append(
            _finding(
                name,
                len(reference.names),
                psi=float(stability_index(_counts(new.values, edges), floored / floored.sum())),
                ks=float(stats.ks_2samp(old.values, new.values, method="asymp").statistic),
                effective_n=min(
                    _effective_size(edges, np.cumsum(shares)[:-1], new, old),
                    *(_worth(each, reference.memory[place]) for each in (new, old)),
                ),
            )
        )
    return found


def compare_with_training(training: TrainingColumns, production: ColumnSample) -> list[ColumnFinding]:
    """Each column beside the training part, of which the deciles are kept: the distance is the largest one at them.

    The training part spans years; it is taken as known exactly.
    """
    found = []
    for place, name in enumerate(training.names):
        new = _known(production, place)
        if not len(new.values):
            continue
        known = np.isfinite(training.edges[place])
        edges, shares = training.edges[place][known], training.shares[place]
        counts = _counts(new.values, edges, n_parts=MOST_EDGES + 1)
        known_below = np.cumsum(shares)[: len(edges)]
        below = np.cumsum(counts)[: len(edges)] / len(new.values) - known_below
        found.append(
            _finding(
                name,
                len(training.names),
                psi=float(stability_index(counts, shares)),
                ks=float(np.abs(below).max(initial=0.0)),
                effective_n=min(_effective_size(edges, known_below, new), _worth(new, production.memory[place])),
            )
        )
    return found


def parts_of(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The deciles of some values, each once, and the shares between them; an edge belongs to the part above it."""
    edges: FloatArray = np.unique(np.quantile(values, DECILES))
    return edges, _counts(values, edges) / len(values)


@dataclass(frozen=True)
class _Dated:
    values: FloatArray
    days: DayArray


def _newest_inputs(bars: BarArrays, spec: InputSpec, days: int) -> Iterator[tuple[FloatArray, DayArray]]:
    """Values ``(n, n_names)`` and days at the newest usable cutoffs of one ticker; nothing where its bars are few."""
    newest = bars.last(spec.history_needed + days).after_last_hole()
    if len(newest) < spec.history_needed:
        return
    series = prepare_series(newest, spec)
    ends = series.usable_ends()[-days:]
    if len(ends):
        inputs = series.windows(ends)
        yield np.concatenate([inputs.window[:, -1], inputs.context], axis=1), newest.trading_day[ends]


def _known(sample: ColumnSample, place: int) -> _Dated:
    values = sample.values[:, place]
    known = np.isfinite(values)
    return _Dated(values[known], sample.days[known])


def _counts(values: FloatArray, edges: FloatArray, *, n_parts: int | None = None) -> IntArray:
    counted: IntArray = np.bincount(np.searchsorted(edges, values, side="right"), minlength=n_parts or len(edges) + 1)
    return counted


def _finding(name: str, n_columns: int, *, psi: float, ks: float, effective_n: float) -> ColumnFinding:
    p_value = float(stats.kstwobign.sf(ks * np.sqrt(effective_n)))
    proven = p_value < CHANCE / n_columns
    provable = bool(stats.kstwobign.sf(np.sqrt(effective_n)) < CHANCE / n_columns)
    far, moved = ks > FAR_KS or psi > FAR_PSI, ks > MOVED_KS or psi > MOVED_PSI
    severity: Severity = "far" if proven and far else "moved" if proven and moved else "none"
    return ColumnFinding(name, psi, ks, effective_n, p_value, provable, severity)


def _worth(known: _Dated, memory: int) -> float:
    """The most that values of one column can be worth: within its own memory each ticker tells of one state of its own.

    Tickers move together, so that many of them tell of no more than ``WORTH_OF_A_MEMORY`` states.
    """
    n_days = len(np.unique(known.days))
    tickers = len(known.values) / n_days
    return min(WORTH_OF_A_MEMORY, tickers) * max(1.0, n_days / memory)


def _effective_size(edges: FloatArray, known: FloatArray, new: _Dated, old: _Dated | None = None) -> float:
    """Independent values that would leave the shares below the edges as uncertain as these days do; the median edge's.

    Each day counts as one observation of those shares, whatever its number of tickers, and days know of each other: see
    ``long_run_variance``. A day that both samples hold with the same values takes no part in their difference.

    Parameters
    ----------
    known : the reference's shares below the edges.
    """
    if not len(edges):
        return 1.0
    days = np.unique(new.days if old is None else np.concatenate([new.days, old.days]))
    parts, found = _contributions(edges, new, days)
    if old is not None:
        parts = parts - _contributions(edges, old, days)[0]
    largest = 1.0 / (1.0 / len(new.values) + (0.0 if old is None else 1.0 / len(old.values)))
    p = (found + known) / 2.0  # a column that stands still now has no spread of its own to judge it by
    single = p * (1.0 - p)
    inside = single > 0.0
    sizes = single[inside] / np.maximum(long_run_variance(parts)[inside], single[inside] / largest)
    return float(np.median(sizes)) if len(sizes) else 1.0


def _contributions(edges: FloatArray, sample: _Dated, days: DayArray) -> tuple[FloatArray, FloatArray]:
    """What each of ``days`` adds to the deviation of the shares below ``edges``, ``(n_days, n_edges)``; the shares."""
    place = np.searchsorted(days, sample.days)
    per_day = np.bincount(place, minlength=len(days))
    below = np.stack(
        [np.bincount(place, weights=(sample.values < edge).astype(np.float64), minlength=len(days)) for edge in edges],
        axis=1,
    )
    held = per_day > 0
    shares = below[held] / per_day[held, None]
    mean: FloatArray = shares.mean(axis=0)
    parts: FloatArray = np.zeros(below.shape)
    parts[held] = (shares - mean) / held.sum()
    return parts, mean


def worst(findings: Sequence[ColumnFinding]) -> list[ColumnFinding]:
    """The findings that moved, farthest first."""
    return sorted((each for each in findings if each.severity != "none"), key=lambda each: -each.ks)
