"""No window and no target spans a hole: the return over years of silence is not the return of a day."""

from dataclasses import replace

import numpy as np
import pytest

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.evaluation.evaluate import cutoff_days, evaluate
from ml_lifecycle.evaluation.forecasters import NaiveForecaster
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.pairs import gather
from ml_lifecycle.training.parts import part_dates
from tests.made_up_bars import make_bars

JUMP = 3.0  # log return over the hole; a day's is a hundredth of it


def bars_with_hole(n_before: int, n_after: int) -> BarArrays:
    """A share that vanished for two years and came back twenty times as dear."""
    bars = make_bars(n_before + n_after, seed=3)
    after = np.arange(len(bars)) >= n_before
    factor = np.where(after, np.exp(JUMP), 1.0)
    return replace(
        bars,
        trading_day=bars.trading_day + np.where(after, 730, 0).astype("timedelta64[D]"),
        close=bars.close * factor,
        adj_close=bars.adj_close * factor,
        open=bars.open * factor,
        high=bars.high * factor,
        low=bars.low * factor,
    )


def test_no_training_pair_knows_the_jump_over_a_hole() -> None:
    bars = {"GONE": bars_with_hole(700, 900)}
    config = TrainingConfig(every_days=1)
    data = gather(config, bars, part_dates(config, bars))
    for pairs in data.pairs.values():
        returns = pairs.targets * data.series.scale[pairs.rows, None] * np.sqrt(np.array(config.horizons))
        assert np.abs(returns).max() < JUMP / 2
    assert np.nanmax(data.series.scale) < JUMP / 20


def test_no_scored_outcome_spans_a_hole() -> None:
    bars = {"GONE": bars_with_hole(500, 500)}
    table = evaluate(NaiveForecaster(), bars, cutoff_days(bars))
    assert np.abs(table.forecasts.actual).max() < JUMP / 2
    assert np.abs(table.forecasts.naive).max() < JUMP / 2


def test_bars_before_a_hole_are_no_history(tmp_path) -> None:
    """A share that came back 100 days ago has 100 days of history, whatever it did before."""
    forecaster = BundleForecaster(load_bundle(write_reference_bundle(tmp_path)))
    with pytest.raises(InsufficientHistoryError) as refused:
        forecaster.forecast(bars_with_hole(900, 100))
    assert refused.value.found == 100


def test_a_forecast_after_a_hole_reads_only_what_came_after_it(tmp_path) -> None:
    forecaster = BundleForecaster(load_bundle(write_reference_bundle(tmp_path)))
    bars = bars_with_hole(400, 600)
    np.testing.assert_array_equal(forecaster.forecast(bars).log_returns, forecaster.forecast(bars[400:]).log_returns)
