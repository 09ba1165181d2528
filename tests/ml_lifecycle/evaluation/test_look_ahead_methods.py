"""Every method of a backtest is looked at; the command does so with real trainings, these tests with cheap ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from data_pipeline.processing.volatility import log_returns
from ml_lifecycle.evaluation.look_ahead_methods import LEARNT_BARS, check_method, methods_that_learn_little
from ml_lifecycle.evaluation.methods.per_ticker import PerTickerMethod
from ml_lifecycle.evaluation.methods.registry import METHODS
from ml_lifecycle.export.manifest import LEVELS
from tests.made_up_bars import make_bars


def universe() -> dict[str, BarArrays]:
    return {f"T{seed}": make_bars(700, seed=seed) for seed in (1, 2)}


class Spread(PerTickerMethod):
    """What has been learnt, times the return ``later`` bars after the cutoff."""

    history_needed = history_used = 252

    def __init__(self, learnt: float, later: int) -> None:
        super().__init__()
        self.learnt, self.later = learnt, later

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        newest = log_returns(bars.adj_close)[np.minimum(ends + self.later, len(bars) - 1)]
        shape = np.sqrt(np.array(horizons))[:, None] * (np.array(self.levels) - 0.5)
        quantiles: FloatArray = self.learnt * newest[:, None, None] * shape
        return quantiles


@dataclass(frozen=True)
class Learner:
    """Learns the width of the past, and of one ticker's where ``one_ticker``."""

    one_ticker: bool
    later: int = 0
    levels: tuple[float, ...] = LEVELS
    history_needed: int = 252
    fits: list[int] = field(default_factory=list)  # bars that each training was given

    def fitted(self, bars_by_ticker: Mapping[str, BarArrays]) -> Spread:
        """See ``Trainable``."""
        if self.one_ticker and len(bars_by_ticker) > 1:
            raise AssertionError("it learns of one ticker alone")
        self.fits.append(sum(map(len, bars_by_ticker.values())))
        return Spread(
            float(np.mean([np.nanstd(log_returns(bars.adj_close)) for bars in bars_by_ticker.values()])), self.later
        )


@pytest.mark.parametrize("one_ticker", [False, True])
def test_a_method_that_learns_is_trained_and_walked_with(one_ticker: bool) -> None:
    clean, peeking = (list(check_method("mine", Learner(one_ticker, later), universe())) for later in (0, 1))

    assert clean == []
    assert {(fault.stage, fault.column) for fault in peeking} == {("backtest", "mine")}


def test_where_each_ticker_is_trained_for_itself_one_is_trained_four_times_on_its_newest_bars() -> None:
    """On the bars as they are and with three other futures: minutes become seconds."""
    method = Learner(one_ticker=True)

    list(check_method("mine", method, universe()))

    assert method.fits == [LEARNT_BARS] * 4


def test_a_method_that_does_not_learn_is_looked_at_by_its_forecasts() -> None:
    clean, peeking = (list(check_method("mine", Spread(1.0, later), universe())) for later in (0, 1))

    assert clean == []
    assert {fault.stage for fault in peeking} == {"forecast of mine"}


def test_none_is_left_out_and_what_learns_learns_little() -> None:
    methods = methods_that_learn_little(LEVELS)

    assert list(methods) == list(METHODS)
    assert (methods["lightgbm"].rounds, methods["tutorial_lstm"].epochs) == (10, 1)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["drift", "ewma_fhs", "autoets"])
def test_ours_see_no_future(name: str) -> None:
    """The rest takes longer: the command looks at all seven."""
    bars = {"T1": make_bars(1000, seed=1)}

    assert list(check_method(name, methods_that_learn_little(LEVELS)[name], bars)) == []
