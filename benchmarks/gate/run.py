"""How often luck passes the gate, and how often merit does, on simulated markets of which the truth is known.

    make gate-study, or: python -m benchmarks.gate.run

Prints the tables of docs/promotion.md and ends with 1 where one of them breaks what is promised there: at most 5 % of
challengers without an edge pass, at most 5 % of series promote any of 50 in a row, a median that knows an
autocorrelation of 0.15 passes in 80 %, and random walks are called not distinguishable from naive in 95 %. Allowed is
what comes by chance in 99 of 100 such studies where the promise is just kept. NumPy; some three minutes on one core.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from benchmarks.gate import simulation
from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.gate import GATE_HORIZONS, judge
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.skill_label import Label, skill_label

SEED = 20261121
DEFAULT_TICKERS, PHI = 100, 0.15
SHARE, POWER, NOT_DISTINGUISHABLE = 0.05, 0.80, 0.95


@dataclass(frozen=True)
class Promise:
    """How many of so many trials came out, and whether that is within what is promised.

    Attributes
    ----------
    excess : trials beyond the promised share; None where nothing is promised.
    chance : as many as chance adds in 99 of 100 studies where the share is just as promised.
    """

    what: str
    came: int
    trials: int
    excess: float | None = None
    chance: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether it is, chance allowed for."""
        return self.excess is None or self.excess <= self.chance

    def line(self) -> str:
        """One row of a table."""
        return f"| {self.what} | {self.came} of {self.trials} | {self._answer()} |"

    def _answer(self) -> str:
        if self.excess is None:
            return "–"
        if self.excess <= 0.0:
            return "yes"
        return "within chance" if self.kept else "**no**"


def main() -> int:
    """Print the tables; 0, or 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200, help="simulated series for each question")
    parser.add_argument("--rounds", type=int, default=50, help="successive challengers on one series")
    told = parser.parse_args()
    started, rng = time.monotonic(), np.random.default_rng(SEED)
    print(f"{datetime.now(UTC):%Y-%m-%d}; {platform.machine()}, {os.cpu_count()} cores, {_python()}. Seed {SEED}.\n")
    promises = [*no_edge(rng, told.series), *in_a_row(rng, told.series, told.rounds), *labels(rng, told.series)]
    print("| trial | came out | within the promise |\n|---|---|---|")
    for promise in promises:
        print(promise.line())
    print()
    promises += power_curve(rng, told.series)
    print(f"\n{time.monotonic() - started:.0f} s.")
    return 0 if all(promise.kept for promise in promises) else 1


def no_edge(rng: np.random.Generator, n_series: int) -> Iterator[Promise]:
    """Four ways to fool oneself, each on random walks and on GARCH series, and all of them together."""
    makers: dict[str, Callable[[np.random.Generator, int], simulation.Series]] = {
        "random walk": simulation.random_walks,
        "GARCH, t shocks": simulation.garch_series,
    }
    every = 0
    for market, make in makers.items():
        series = make(rng, n_series // 2)
        for kind, challenger in simulation.challengers(rng, series).items():
            passed = sum(judge(each).passed for each in simulation.one_by_one(series, challenger))
            every += passed
            yield at_most(SHARE, f"{market}: {kind}", passed, n_series // 2)
        equal = simulation.noisy(rng, series), simulation.noisy(rng, series)
        passed = sum(judge(each).passed for each in simulation.one_by_one(series, *equal))
        yield at_most(SHARE, f"{market}: champion and challenger equally blurred", passed, n_series // 2)
    yield at_most(SHARE, "all challengers against the truth", every, 8 * (n_series // 2))


def in_a_row(rng: np.random.Generator, n_series: int, rounds: int) -> Iterator[Promise]:
    """One guess after the other on the same days, until one passes."""
    series = simulation.random_walks(rng, n_series)
    promoting = simulation.promoting_series(rng, series, rounds, spending=True)
    yield at_most(SHARE, f"series that promote one of {rounds} guesses in a row", promoting, n_series)
    unspent = simulation.promoting_series(rng, series, rounds, spending=False)
    yield Promise("the same, were each guess the first (for comparison)", unspent, n_series)


def labels(rng: np.random.Generator, n_series: int) -> Iterator[Promise]:
    """The skill label of a forecaster without an edge: its width is that of the 60 days before, the truth known."""
    series = simulation.random_walks(rng, n_series, gate_days=500)
    days = np.busday_offset("2024-01-02", np.arange(len(series.ends)), roll="forward")
    honest = simulation.short_memory(series, days=400)
    for place, horizon in enumerate(GATE_HORIZONS):
        told = [
            _label(series.actual[one, :, place], honest[one, :, place], series.truth[one, :, place], days, horizon)
            for one in range(n_series)
        ]
        came = told.count(Label.NOT_DISTINGUISHABLE)
        yield at_least(
            NOT_DISTINGUISHABLE, f"random walks labelled {Label.NOT_DISTINGUISHABLE}, h = {horizon}", came, n_series
        )


def _label(actual: FloatArray, ours: FloatArray, naive: FloatArray, days: np.ndarray, horizon: int) -> Label:
    losses, naive_losses = (pinball_losses(actual, each, simulation.LEVELS) for each in (ours, naive))
    return skill_label(losses, naive_losses, days, horizon=horizon).label


def power_curve(rng: np.random.Generator, n_trials: int) -> Iterator[Promise]:
    """Share that passes as first challenge, by autocorrelation, tickers and days; prints the table."""
    print("| φ | tickers | days | gain | passes |\n|---|---|---|---|---|")
    for phi, tickers, days in _cells():
        verdicts = [judge(simulation.correlated_ar1(rng, tickers, phi=phi, gate_days=days)) for _ in range(n_trials)]
        passed = sum(verdict.passed for verdict in verdicts)
        gain = np.mean([verdict.test.gain for verdict in verdicts if verdict.test is not None])
        print(f"| {phi:.2f} | {tickers} | {days} | {gain:+.2%} | {passed / n_trials:.1%} |", flush=True)
        if (phi, tickers, days) == (PHI, DEFAULT_TICKERS, simulation.GATE_DAYS):
            yield at_least(POWER, "power", passed, n_trials)


def _cells() -> Iterator[tuple[float, int, int]]:
    yield from ((phi, DEFAULT_TICKERS, simulation.GATE_DAYS) for phi in (0.0, 0.05, 0.10, PHI, 0.20))
    yield from ((PHI, tickers, simulation.GATE_DAYS) for tickers in (1, 5, 20, 50))
    yield from ((PHI, DEFAULT_TICKERS, days) for days in (150, 500))


def at_most(share: float, what: str, came: int, trials: int) -> Promise:
    """That no more than such a share came out."""
    return _promise(share, what, came, trials, too_many=came)


def at_least(share: float, what: str, came: int, trials: int) -> Promise:
    """That no less than such a share came out."""
    return _promise(round(1.0 - share, 9), what, came, trials, too_many=trials - came)


def _promise(share: float, what: str, came: int, trials: int, *, too_many: int) -> Promise:
    from scipy.stats import binom

    promised = round(share * trials, 9)
    return Promise(what, came, trials, too_many - promised, float(binom.ppf(0.99, trials, share)) - promised)


def _python() -> str:
    return f"Python {platform.python_version()}, NumPy {np.__version__}"


if __name__ == "__main__":
    sys.exit(main())
