"""Simulated markets of which the truth is known, as the gate sees them; NumPy, all series at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.gate import GATE_HORIZONS, Evidence, judge
from ml_lifecycle.export.manifest import LEVELS

GATE_DAYS = 250  # as the setting has it: of them, those whose 21st close is known can be judged
WARM_UP = 500
SIGMA = 0.015
NORMAL = np.array([-1.959964, -1.644854, -1.281552, -0.674490, 0.0, 0.674490, 1.281552, 1.644854, 1.959964])
ROOT_H = np.sqrt(np.array(GATE_HORIZONS, dtype=np.float64))

# GARCH(1,1) with Student-t shocks, as fitted to daily stock returns again and again
ARCH, GARCH, DEGREES = 0.08, 0.90, 5
TABLE_STATES = np.linspace(np.log(0.1), np.log(12.0), 25)  # log of the variance over its mean


@dataclass(frozen=True)
class Series:
    """Simulated series with the true conditional quantiles of their future.

    Attributes
    ----------
    returns : shape ``(n_series, n_days)``.
    ends : columns of the cutoffs.
    actual : shape ``(n_series, n_ends, n_horizons)``.
    truth : shape ``(n_series, n_ends, n_horizons, n_levels)``.
    """

    returns: FloatArray
    ends: np.ndarray
    actual: FloatArray
    truth: FloatArray


def random_walks(rng: np.random.Generator, n_series: int, *, gate_days: int = GATE_DAYS) -> Series:
    """Normal steps of one size."""
    returns = SIGMA * rng.standard_normal((n_series, WARM_UP + gate_days))
    ends, actual = outcomes(returns, gate_days)
    truth = np.broadcast_to(SIGMA * ROOT_H[:, None] * NORMAL, (*actual.shape, len(LEVELS)))
    return Series(returns, ends, actual, truth)


def garch_series(rng: np.random.Generator, n_series: int, *, gate_days: int = GATE_DAYS, paths: int = 20_000) -> Series:
    """Volatility that clusters, tails of a Student's t, no direction.

    The truth has no formula beyond one day: its quantiles are tabulated from ``paths`` simulated futures of each of
    25 states of the variance, and read between them.
    """
    states = np.full(n_series, 0.0)
    returns = np.empty((n_series, WARM_UP + gate_days))
    state_after = np.empty_like(returns)
    for day in range(returns.shape[1]):
        shocks = _student(rng, n_series)
        returns[:, day] = SIGMA * np.exp(states / 2.0) * shocks
        states = _next_state(states, shocks)
        state_after[:, day] = states
    ends, actual = outcomes(returns, gate_days)
    table = SIGMA * _quantile_table(rng, paths)
    known = np.clip(state_after[:, ends], TABLE_STATES[0], TABLE_STATES[-1])
    place = np.clip(np.searchsorted(TABLE_STATES, known) - 1, 0, len(TABLE_STATES) - 2)
    share = ((known - TABLE_STATES[place]) / (TABLE_STATES[1] - TABLE_STATES[0]))[..., None, None]
    return Series(returns, ends, actual, (1.0 - share) * table[place] + share * table[place + 1])


def correlated_ar1(
    rng: np.random.Generator, n_tickers: int, *, phi: float, gate_days: int = GATE_DAYS, correlation: float = 0.3
) -> Evidence:
    """Tickers that lean on their own last return, and a challenger whose median knows it.

    Champion and reference know the distribution that holds on all days; the challenger shifts it by what yesterday
    says and leaves its width as it is: the median is all that it has to offer.
    """
    n_days = WARM_UP + gate_days
    common, own = rng.standard_normal(n_days), rng.standard_normal((n_tickers, n_days))
    shocks = SIGMA * (np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own)
    returns = np.empty_like(shocks)
    returns[:, 0] = shocks[:, 0]
    for day in range(1, n_days):
        returns[:, day] = phi * returns[:, day - 1] + shocks[:, day]
    ends, actual = outcomes(returns, gate_days)
    steps = np.arange(1, max(GATE_HORIZONS) + 1)
    reach = (1.0 - phi**steps) / (1.0 - phi)  # what one shock has added after so many days
    lean = phi * reach[np.array(GATE_HORIZONS) - 1]
    spread = SIGMA**2 * np.cumsum(reach**2)[np.array(GATE_HORIZONS) - 1] + lean**2 * SIGMA**2 / (1.0 - phi**2)
    always = np.broadcast_to(np.sqrt(spread)[:, None] * NORMAL, (*actual.shape, len(LEVELS)))
    shift = returns[:, ends][:, :, None, None] * lean[:, None]
    return evidence_of(actual, challenger=always + shift, champion=always)


def evidence_of(actual: FloatArray, *, challenger: FloatArray, champion: FloatArray) -> Evidence:
    """What ``judge`` takes, of tickers ``(n_tickers, n_ends, …)``; the champion is the reference too."""
    n_tickers, n_ends = actual.shape[:2]
    days = np.busday_offset("2024-01-02", np.arange(n_ends), roll="forward")
    shape = (-1, *challenger.shape[2:])
    return Evidence(
        horizons=GATE_HORIZONS,
        levels=LEVELS,
        ticker=np.repeat([f"T{number}" for number in range(n_tickers)], n_ends),
        cutoff=np.tile(days, n_tickers),
        actual=actual.reshape(-1, actual.shape[2]),
        challenger=challenger.reshape(shape),
        champion=champion.reshape(shape),
        reference=champion.reshape(shape),
    )


def outcomes(returns: FloatArray, gate_days: int) -> tuple[np.ndarray, FloatArray]:
    """The newest ``gate_days`` cutoffs whose outcomes are known at every horizon, and those outcomes."""
    n_days = returns.shape[1]
    ends = np.arange(n_days - gate_days, n_days - max(GATE_HORIZONS))
    level = np.cumsum(returns, axis=1)
    return ends, np.stack([level[:, ends + horizon] - level[:, ends] for horizon in GATE_HORIZONS], axis=-1)


def short_memory(series: Series, *, days: int = 60) -> FloatArray:
    """A challenger that takes its width from the last ``days`` returns."""
    spans = np.lib.stride_tricks.sliding_window_view(series.returns, days, axis=1)[:, series.ends - days + 1]
    return spans.std(axis=-1)[:, :, None, None] * ROOT_H[:, None] * NORMAL


def momentum(series: Series, *, days: int = 250) -> FloatArray:
    """A challenger that fitted a lean on yesterday to the days before the gate's, where there was none."""
    past = series.returns[:, series.ends[0] - days : series.ends[0]]
    lean = np.sum(past[:, 1:] * past[:, :-1], axis=1) / np.sum(past[:, :-1] ** 2, axis=1)
    return series.truth + (lean[:, None] * series.returns[:, series.ends])[:, :, None, None]


def nudged(rng: np.random.Generator, series: Series) -> FloatArray:
    """A challenger that is the truth but for a slightly other width, and a small lean on yesterday."""
    n_series = len(series.returns)
    width = np.exp(rng.normal(0.0, 0.03, n_series))[:, None, None, None]
    lean = rng.normal(0.0, 0.03, n_series)[:, None] * series.returns[:, series.ends]
    return width * series.truth + lean[:, :, None, None]


def guessed(rng: np.random.Generator, series: Series) -> FloatArray:
    """The truth with a guess of each day's direction: as near to a draw as luck can be, and another one each time."""
    lean = rng.normal(0.0, 0.03, series.actual.shape[:2]) * SIGMA
    return series.truth + lean[:, :, None, None]


def noisy(rng: np.random.Generator, series: Series) -> FloatArray:
    """The truth, blurred day by day: two of these are equally good, whoever is called champion."""
    shape = series.actual.shape[:2]
    lean = rng.normal(0.0, 0.1, shape) * SIGMA
    width = np.exp(rng.normal(0.0, 0.1, shape))
    return width[:, :, None, None] * series.truth + lean[:, :, None, None]


def one_by_one(series: Series, challenger: FloatArray, champion: FloatArray | None = None) -> Iterator[Evidence]:
    """Each series with its challenger; the champion knows the truth unless another one is given."""
    known = series.truth if champion is None else champion
    for place in range(len(series.returns)):
        one = slice(place, place + 1)
        yield evidence_of(series.actual[one], challenger=challenger[one], champion=known[one])


def _student(rng: np.random.Generator, shape: int | Sequence[int]) -> FloatArray:
    """Student-t shocks of variance 1."""
    return rng.standard_t(DEGREES, shape) * np.sqrt((DEGREES - 2.0) / DEGREES)


def _next_state(states: FloatArray, shocks: FloatArray) -> FloatArray:
    """Log of tomorrow's variance over its mean."""
    return np.log(1.0 - ARCH - GARCH + np.exp(states) * (GARCH + ARCH * shocks**2))


def _quantile_table(rng: np.random.Generator, paths: int) -> FloatArray:
    """Quantiles of the sum of returns, in units of ``SIGMA``, shape ``(n_states, n_horizons, n_levels)``."""
    states = np.repeat(TABLE_STATES, paths).reshape(len(TABLE_STATES), paths)
    total, table = np.zeros_like(states), []
    for step in range(1, max(GATE_HORIZONS) + 1):
        shocks = _student(rng, states.shape)
        total = total + np.exp(states / 2.0) * shocks
        states = _next_state(states, shocks)
        if step in GATE_HORIZONS:
            halves = np.quantile(np.concatenate([total, -total], axis=1), LEVELS, axis=1).T  # no direction
            table.append(halves)
    return np.stack(table, axis=1)


def challengers(rng: np.random.Generator, series: Series) -> dict[str, FloatArray]:
    """Four ways to believe in an edge where there is none."""
    return {
        "width of the last 60 days": short_memory(series),
        "lean fitted to the last 250 days": momentum(series),
        "another width and lean": nudged(rng, series),
        "blurred day by day": noisy(rng, series),
    }


def promoting_series(rng: np.random.Generator, series: Series, rounds: int, *, spending: bool) -> int:
    """How many of the series promote one of ``rounds`` successive challengers; without ``spending`` each is the first.

    All are judged on the same days, as when somebody trains again and again until it fits.
    """
    open_series = np.arange(len(series.returns))
    for number in range(1, rounds + 1):
        left = Series(series.returns[open_series], series.ends, series.actual[open_series], series.truth[open_series])
        passed = [
            judge(evidence, test_number=number if spending else 1).passed
            for evidence in one_by_one(left, guessed(rng, left))
        ]
        open_series = open_series[~np.array(passed, dtype=np.bool_)]
        if not len(open_series):
            break
    return len(series.returns) - len(open_series)
