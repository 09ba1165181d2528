"""A backtest with adaptive intervals: beside each method, without a look at what was not known yet."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from ml_lifecycle.evaluation.adaptive import Past, adaptive_along
from ml_lifecycle.evaluation.backtest import Plan, backtest
from ml_lifecycle.evaluation.backtest_run import run_backtest
from ml_lifecycle.evaluation.forecasters import NaiveForecaster
from ml_lifecycle.export.manifest import LEVELS
from tests.made_up_bars import make_bars

BARS = {"A": make_bars(700, seed=1), "B": make_bars(690, seed=2)}
FROM: date = BARS["A"].trading_day[600].item()
PLAN = Plan(FROM, None, 1, (1, 5))


def adaptive_quantiles(bars: BarArrays, until: int) -> FloatArray:
    """What ticker A is told at its first ``until`` cutoffs, shape ``(n, n_levels)``."""
    blocks = list(backtest({"naive": NaiveForecaster()}, {"A": bars}, PLAN, adaptive=["naive"]))
    return blocks[0].quantiles["naive+adaptive"][: until * len(PLAN.horizons)]


def test_each_method_is_shown_and_written_once_more(tmp_path: Path) -> None:
    out = tmp_path / "q.parquet"

    result = run_backtest({"naive": NaiveForecaster()}, BARS, PLAN, out=out, adaptive=True)

    assert [row.method for row in result.scores] == ["naive", "naive+adaptive"] * 2
    assert {name: path.name for name, path in result.files.items()} == {
        "naive": "q.naive.parquet",
        "naive+adaptive": "q.naive_adaptive.parquet",
    }
    fixed, adapted = (pl.read_parquet(path) for path in result.files.values())
    assert fixed.height == adapted.height
    assert (fixed["price"] != adapted["price"]).any()
    medians = [each.filter(pl.col("quantile") == 0.5)["price"].to_list() for each in (fixed, adapted)]
    assert medians[0] == medians[1]


def test_the_intervals_are_those_that_the_outcomes_along_each_ticker_give() -> None:
    block = next(backtest({"naive": NaiveForecaster()}, BARS, PLAN, adaptive=["naive"]))

    for ticker in BARS:
        rows = block.where(block.ticker == ticker)
        n = len(rows) // 2
        bars = np.flatnonzero(BARS[ticker].trading_day >= np.datetime64(FROM))
        past = Past(rows.cutoff[::2], bars, rows.quantiles["naive"].reshape(n, 2, -1), rows.actual.reshape(n, 2))
        expected = adaptive_along(past, LEVELS, PLAN.horizons).quantiles
        np.testing.assert_array_equal(rows.quantiles["naive+adaptive"].reshape(n, 2, -1), expected)


def test_later_bars_move_no_earlier_interval() -> None:
    """A crash after the fortieth cutoff."""
    bars = BARS["A"]
    crash = np.where(np.arange(len(bars)) > 639, 0.1, 1.0)
    crashed = replace(bars, adj_close=bars.adj_close * crash)

    np.testing.assert_array_equal(adaptive_quantiles(crashed, 40), adaptive_quantiles(bars, 40))
    assert (adaptive_quantiles(crashed, 41) != adaptive_quantiles(bars, 41)).any()
