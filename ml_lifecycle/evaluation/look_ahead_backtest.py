"""Hunting look-ahead in walking forward: what is learnt along the way, and how intervals follow the errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.look_ahead import Named, moved
from data_pipeline.processing.volatility import log_returns
from ml_lifecycle.evaluation.adaptive import Adapted, Past, adaptive_along
from ml_lifecycle.evaluation.backtest import Block, Method, Plan, backtest
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED
from ml_lifecycle.evaluation.forecasters import GivenForecast
from ml_lifecycle.evaluation.look_ahead_check import Fault, Universe
from ml_lifecycle.evaluation.look_ahead_training import ALL, universe_variants
from ml_lifecycle.export.manifest import LEVELS, STEPS

Walk = Callable[[Mapping[str, Method], Universe, Plan], Iterator[Block]]
Adapt = Callable[[Past, tuple[float, ...], Sequence[int]], Adapted]
KINDS = ("changed", "shifted", "cut")  # a method may refuse bars that were erased
CUTOFFS, EVERY, REFIT_EVERY = 12, 5, 20
ALL_DAYS = 2 * CUTOFFS * EVERY  # trading days that are walked over: half of them before the day in question
HORIZONS = (1, 5, 21)


@dataclass(frozen=True)
class AllThatWasGiven:
    """A method that learns one number from every bar it is given, so that no bar too many stays unseen."""

    levels: tuple[float, ...] = LEVELS
    history_needed: int = HISTORY_NEEDED
    one_ticker: bool = False

    def fitted(self, bars_by_ticker: Mapping[str, BarArrays]) -> "FixedWidth":
        """See ``Trainable``."""
        returns = [log_returns(bars.adj_close)[1:] for bars in bars_by_ticker.values()]
        return FixedWidth(float(np.std(np.concatenate(returns))), self.levels)


@dataclass(frozen=True)
class FixedWidth:
    """The same quantiles whatever the bars."""

    width: float
    levels: tuple[float, ...]
    history_needed: int = HISTORY_NEEDED
    history_used: int = HISTORY_NEEDED

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        """See ``Forecaster``."""
        spread = self.width * (np.array(self.levels) - 0.5)
        return [GivenForecast(np.tile(spread, (STEPS, 1))) for _ in many_bars]


def check_backtest(
    universe: Universe,
    methods: Mapping[str, Method] | None = None,
    *,
    walk: Walk = backtest,
    refit_every: int = REFIT_EVERY,
    tolerance: float = 0.0,
    seed: int = 0,
) -> Iterator[Fault]:
    """Faults of walking forward with refits: forecasts up to a day may not depend on bars after it.

    Parameters
    ----------
    methods : by name; one that learns from every bar it is given takes part anyway.
    walk : called as ``backtest``.
    refit_every : trading days between two trainings.
    tolerance : relative; 0: bit for bit.
    """
    every: dict[str, Method] = {"what is learnt": AllThatWasGiven(), **(methods or {})}
    days = np.unique(np.concatenate([bars.trading_day for bars in universe.values()])).astype("datetime64[D]")
    start: date = days[-ALL_DAYS].item()
    day: date = days[-CUTOFFS * EVERY].item()
    plan = Plan(start=start, every=EVERY, refit_every=refit_every, horizons=HORIZONS)
    known = _forecasts(walk, every, universe, plan, day)
    variants = universe_variants(universe, day, seed, last=True)
    for kind in KINDS:
        for name in moved(_forecasts(walk, every, variants[kind], plan, day), known, tolerance):
            yield Fault("backtest", name, ALL, day, f"bars after the cutoff {kind}: a forecast moved")


def _forecasts(walk: Walk, methods: Mapping[str, Method], universe: Universe, plan: Plan, day: date) -> Named:
    """Quantiles of each method at cutoffs up to ``day``, tickers in order."""
    with np.errstate(all="ignore"):
        rows = Block.joined(list(walk(methods, universe, plan)))
    until = rows.where(rows.cutoff <= np.datetime64(day, "D"))
    return until.quantiles


def check_adaptive(adapt: Adapt = adaptive_along, *, n_cutoffs: int = 90, seed: int = 0) -> Iterator[Fault]:
    """Faults of adaptive calibration: at a cutoff no outcome may count whose bar was still to come."""
    rng = np.random.default_rng(seed)
    past = _made_up(rng, n_cutoffs)
    known = adapt(past, LEVELS, HORIZONS)
    for cutoff in rng.integers(n_cutoffs // 3, n_cutoffs - 1, size=5):
        final = past.bars[:, None] + np.array(HORIZONS) <= past.bars[cutoff]
        later = (past.bars > past.bars[cutoff])[:, None, None]
        other = adapt(
            replace(
                past,
                actual=np.where(final, past.actual, past.actual + 5.0),
                quantiles=np.where(later, 3.0 * past.quantiles, past.quantiles),
            ),
            LEVELS,
            HORIZONS,
        )
        day: date = past.days[cutoff].astype("datetime64[D]").item()
        for name in moved(_up_to(other, cutoff), _up_to(known, cutoff)):
            yield Fault(
                "adaptive calibration", name, "made-up", day, "outcomes after the cutoff changed: a value moved"
            )


def _up_to(adapted: Adapted, cutoff: int) -> Named:
    return {"quantiles": adapted.quantiles[: cutoff + 1], "alphas": adapted.alphas[: cutoff + 1]}


def _made_up(rng: np.random.Generator, n: int) -> Past:
    """Outcomes wilder than the forecasts, so that every α has reason to move."""
    spread: FloatArray = np.tile(2.0 * (np.array(LEVELS) - 0.5), (n, len(HORIZONS), 1))
    days = np.datetime64("2020-01-01", "D") + np.arange(n)
    return Past(days, np.arange(n), spread, rng.normal(0.0, 1.0, (n, len(HORIZONS))))
