"""No look-ahead, exactly: columns, scaler, windows and targets; and the checker itself, on leaks planted for it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.causal_filters import trailing_mean
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.input_columns import COLUMNS, COMPARED_COLUMNS
from data_pipeline.processing.look_ahead import LATER_FACTOR, future_variants, look_ahead_faults, reading_faults
from data_pipeline.processing.lstm_preprocessor import InputSpec, latest_window, prepare_series
from data_pipeline.processing.volatility import log_returns, volatility_scale
from tests.made_up_bars import make_bars

SPEC = InputSpec(
    columns=("log_return", "range_volatility", "gap", "volume_ratio", "market_return", "market_absolute_return"),
    context_columns=("volatility_level", "volatility_state_fast", "drawdown", "weekday_sine"),
    lookback=40,
)
seeds = st.integers(0, 2**20)
few = settings(max_examples=8, deadline=None)


@pytest.mark.parametrize("name", sorted(COLUMNS))
@few
@given(seed=seeds, distance=st.integers(1, 60))
def test_a_column_reads_nothing_after_the_cutoff_and_forgets_what_lies_before_its_warm_up(
    name: str, seed: int, distance: int
) -> None:
    column = COLUMNS[name]
    bars = make_bars(column.warm_up + 200, seed=seed)

    faults = look_ahead_faults(column.compute, bars, end=len(bars) - 1 - distance, warm_up=column.warm_up, seed=seed)

    assert faults == []


@pytest.mark.parametrize("name", sorted(COMPARED_COLUMNS))
def test_a_raw_price_moves_with_a_later_split_and_with_nothing_else(name: str) -> None:
    """Which is why no network that reads one can be promoted."""
    faults = look_ahead_faults(COMPARED_COLUMNS[name].compute, make_bars(200), end=150, warm_up=0)

    assert faults == ["a later split: a value moved"]


@few
@given(seed=seeds, distance=st.integers(1, 60))
def test_the_volatility_scale_reads_nothing_after_the_cutoff(seed: int, distance: int) -> None:
    bars = make_bars(500, seed=seed)

    def scale(some: BarArrays) -> FloatArray:
        return volatility_scale(log_returns(some.adj_close), (0.94, 0.99), 250)

    assert look_ahead_faults(scale, bars, end=499 - distance, warm_up=250, seed=seed) == []


@few
@given(seed=seeds, distance=st.integers(1, 60))
def test_windows_cut_from_a_whole_series_are_bit_for_bit_those_of_the_serving_path(seed: int, distance: int) -> None:
    bars = make_bars(460, seed=seed)
    end = len(bars) - 1 - distance

    trained = prepare_series(bars, SPEC).windows([end])
    window, context, scale = latest_window(bars[: end + 1], SPEC)

    np.testing.assert_array_equal(trained.window[0], window)
    np.testing.assert_array_equal(trained.context[0], context)
    assert trained.scale[0] == scale


@few
@given(seed=seeds, distance=st.integers(1, 60))
def test_windows_stay_bit_for_bit_whatever_comes_after_the_cutoff(seed: int, distance: int) -> None:
    bars = make_bars(460, seed=seed)
    end = len(bars) - 1 - distance
    known = prepare_series(bars, SPEC).windows([end - 1, end])

    for variant in future_variants(bars, end, seed).values():
        other = prepare_series(variant, SPEC).windows([end - 1, end])
        np.testing.assert_array_equal(other.window, known.window)
        np.testing.assert_array_equal(other.context, known.context)
        np.testing.assert_array_equal(other.scale, known.scale)


@few
@given(seed=seeds)
def test_a_later_adjustment_factor_leaves_the_latest_window_alone(seed: int) -> None:
    bars = make_bars(400, seed=seed)
    rescaled = replace(bars, adj_close=bars.adj_close * LATER_FACTOR)

    for value, known in zip(latest_window(rescaled, SPEC), latest_window(bars, SPEC), strict=True):
        np.testing.assert_allclose(value, known, rtol=1e-12, atol=1e-12)


def test_bars_before_the_needed_history_change_nothing_at_all() -> None:
    bars = make_bars(700, seed=3)

    for value, known in zip(latest_window(bars[200:], SPEC), latest_window(bars, SPEC), strict=True):
        np.testing.assert_array_equal(value, known)


def centred_mean(bars: BarArrays) -> FloatArray:
    """Leak: the mean of five returns, two of them from tomorrow on."""
    return np.convolve(log_returns(bars.adj_close), np.full(5, 0.2), mode="same")


def whole_series_score(bars: BarArrays) -> FloatArray:
    """Leak: standardised by mean and deviation of the whole series."""
    returns = log_returns(bars.adj_close)
    return (returns - np.nanmean(returns)) / np.nanstd(returns)


def back_filled(bars: BarArrays) -> FloatArray:
    """Leak: days without a new high take the value of the next day that has one."""
    new_high = np.where(np.diff(bars.close, prepend=0.0) > 0.0, bars.close / bars.open, np.nan)
    rows = np.where(np.isnan(new_high), len(bars) - 1, np.arange(len(bars)))
    return new_high[np.minimum.accumulate(rows[::-1])[::-1]]


def tomorrows_return(bars: BarArrays) -> FloatArray:
    """Leak: the target among the inputs."""
    return np.roll(log_returns(bars.adj_close), -1)


def days_to_next_bar(bars: BarArrays) -> FloatArray:
    """Leak: the date of the next bar, which is not known where a holiday may come."""
    return np.diff(bars.trading_day.astype("datetime64[D]"), append=np.datetime64("2030-01-01")).astype(np.float64)


def rank_in_series(bars: BarArrays) -> FloatArray:
    """Leak: how this volume compares with all others, later ones too."""
    return np.argsort(np.argsort(bars.volume)).astype(np.float64)


def tomorrows_market(bars: BarArrays) -> FloatArray:
    """Leak: how the universe does on the day after."""
    return np.roll(bars.market_return, -1)


@pytest.mark.parametrize(
    "leak",
    [
        centred_mean,
        whole_series_score,
        back_filled,
        tomorrows_return,
        days_to_next_bar,
        rank_in_series,
        tomorrows_market,
    ],
)
def test_a_planted_leak_from_the_future_is_caught(leak: Callable[[BarArrays], FloatArray]) -> None:
    faults = look_ahead_faults(leak, make_bars(300, seed=1), end=200, warm_up=20)

    assert any(fault.startswith("bars after the cutoff") for fault in faults)


def test_a_price_level_among_the_columns_is_caught() -> None:
    """A later dividend would rescale it: the network would see another input for the same past."""

    def level(bars: BarArrays) -> FloatArray:
        return trailing_mean(bars.adj_close, 5)

    assert look_ahead_faults(level, make_bars(300), end=200, warm_up=4) == [
        "a later adjustment factor: a value moved",
        "a later split: a value moved",
    ]


def test_last_bits_of_a_volume_that_never_changes_are_no_fault() -> None:
    """Over its mean it is 1 but for rounding, which another split rounds otherwise; a billionth is no rounding."""
    bars = replace(make_bars(300), volume=np.full(300, 1e6))

    def scaled_down(some: BarArrays) -> FloatArray:
        return 1e-9 * some.adj_close / some.close

    assert look_ahead_faults(COLUMNS["volume_ratio"].compute, bars, end=200, warm_up=19) == []
    assert "a later adjustment factor: a value moved" in look_ahead_faults(scaled_down, bars, end=200, warm_up=0)


def test_a_split_to_come_among_the_columns_is_caught() -> None:
    """Prices of a split-adjusted source fall with every later split; their level tells how many are to come."""

    def cheap(bars: BarArrays) -> FloatArray:
        return (bars.close < 20.0).astype(np.float64)

    def adjustment(bars: BarArrays) -> FloatArray:
        return bars.adj_close / bars.close

    bars = make_bars(300)
    level = replace(bars, close=np.full(300, 20.1))
    assert look_ahead_faults(cheap, level, end=200, warm_up=0) == ["a later split: a value moved"]
    assert "a later adjustment factor: a value moved" in look_ahead_faults(adjustment, bars, end=200, warm_up=0)


@pytest.mark.parametrize("hole", ["volume", "market_return", "log_return"])
def test_what_fills_holes_from_behind_is_caught_although_these_bars_have_none(hole: str) -> None:
    """A filler does nothing on whole bars; the check brings days without trade, volume or market of its own."""

    def filled(bars: BarArrays) -> FloatArray:
        values = log_returns(bars.adj_close) if hole == "log_return" else getattr(bars, hole)
        known = np.isfinite(values) & (values != 0.0)
        rows = np.where(known, np.arange(len(bars)), len(bars) - 1)
        return values[np.minimum.accumulate(rows[::-1])[::-1]]

    faults = look_ahead_faults(filled, make_bars(300), end=200, warm_up=1)

    assert any("at the cutoff): a value moved" in fault for fault in faults)
    assert not any(fault.startswith("bars after the cutoff changed:") for fault in faults)


def test_a_column_that_draws_lots_is_caught() -> None:
    lots = np.random.default_rng(0)

    faults = look_ahead_faults(lambda bars: lots.random(len(bars)), make_bars(300), end=200, warm_up=0)

    assert faults[0] == "the same bars again: a value moved"


def test_a_column_that_reads_more_than_it_says_is_caught() -> None:
    """A bundle whose columns all read closes serves windows of closes alone: that must hold."""
    bars = make_bars(300)

    for column in COLUMNS.values():
        assert list(reading_faults(column, bars)) == []
    volume = InputColumn("volume", 0, lambda some: some.volume, reads="closes")
    assert list(reading_faults(volume, bars)) == ["it says that it reads the closes; without the volume: a value moved"]
    market = InputColumn("market", 0, lambda some: some.market_return)
    assert list(reading_faults(market, bars)) == ["it says that it reads the bars; without the market: a value moved"]


def test_a_warm_up_declared_too_short_is_caught() -> None:
    """A recursive average remembers where the series began."""

    def recursive(bars: BarArrays) -> FloatArray:
        squares = np.square(np.nan_to_num(log_returns(bars.adj_close)))
        average = np.zeros(len(bars))
        for row in range(1, len(bars)):
            average[row] = 0.99 * average[row - 1] + 0.01 * squares[row]
        return average

    faults = look_ahead_faults(recursive, make_bars(400), end=300, warm_up=100)

    assert faults == ["the series starts 100 bars later: a value moved beyond the warm-up of 100"]


def test_a_value_missing_beyond_the_warm_up_is_caught() -> None:
    faults = look_ahead_faults(COLUMNS["drawdown"].compute, make_bars(400), end=300, warm_up=100)

    assert "a value beyond the warm-up of 100 is not finite" in faults


def test_a_column_that_cannot_do_without_its_future_is_caught() -> None:
    def needs_tomorrow(bars: BarArrays) -> FloatArray:
        return np.full(len(bars), bars.close[201] / bars.close[200])

    faults = look_ahead_faults(needs_tomorrow, make_bars(300), end=200, warm_up=0)

    assert "bars after the cutoff cut: IndexError: index 201 is out of bounds for axis 0 with size 201" in faults


def test_a_column_of_another_length_is_caught() -> None:
    faults = look_ahead_faults(lambda bars: np.diff(bars.close), make_bars(300), end=200, warm_up=0)

    assert faults[0] == "the bars: ValueError: 299 values for 300 bars"
