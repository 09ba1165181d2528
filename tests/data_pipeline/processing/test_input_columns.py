"""Columns against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import MARKET_ARRAYS, BarArrays
from data_pipeline.processing.bar_columns import gap, range_volatility, volume_ratio
from data_pipeline.processing.context_columns import calendar_wave, drawdown, jump_share, momentum, volatility_state
from data_pipeline.processing.input_columns import COLUMNS, compute_columns, find_column, warm_up
from data_pipeline.processing.volatility import MINIMUM_SCALE, ewma_volatility, volatility_scale
from tests.made_up_bars import bars_of_closes, make_bars, weekdays


def two_bars(*, split: bool = False) -> BarArrays:
    """Close 100, then open 102, high 104, low 101, close 103; or the same day after a 2:1 split."""
    factor = 0.5 if split else 1.0
    return BarArrays(
        trading_day=weekdays(2),
        open=np.array([100.0, 102.0 * factor]),
        high=np.array([100.0, 104.0 * factor]),
        low=np.array([100.0, 101.0 * factor]),
        close=np.array([100.0, 103.0 * factor]),
        adj_close=np.array([50.0, 51.5]),
        volume=np.array([10.0, 20.0]),
    )


@pytest.mark.parametrize("split", [False, True])
def test_a_gap_is_the_adjusted_return_from_close_to_open(split: bool) -> None:
    assert gap(two_bars(split=split))[1] == pytest.approx(np.log(102 / 100))


@pytest.mark.parametrize("split", [False, True])
def test_range_volatility_adds_the_gap_to_rogers_and_satchell(split: bool) -> None:
    up, down, end = np.log(104 / 102), np.log(101 / 102), np.log(103 / 102)
    expected = np.sqrt(up * (up - end) + down * (down - end) + np.log(1.02) ** 2)

    assert range_volatility(two_bars(split=split))[1] == pytest.approx(expected)


def test_volume_ratio_is_0_on_an_ordinary_day_and_finite_without_trade() -> None:
    bars = bars_of_closes(np.full(41, 10.0))
    quiet = np.where(np.arange(41) > 20, 0.0, bars.volume)
    ratio = volume_ratio(BarArrays(bars.trading_day, *[bars.close] * 5, quiet))

    assert ratio[19] == pytest.approx(0.0, abs=1e-12)
    assert ratio[21] == pytest.approx(-np.log(2.0))
    assert ratio[40] == 0.0  # nothing traded for 20 days: there is no ratio, and no day stands out


def test_ewma_volatility_is_the_root_of_weighted_squares() -> None:
    returns = np.array([np.nan, 0.01, -0.02, 0.03])

    expected = np.sqrt((0.03**2 + 0.5 * 0.02**2 + 0.25 * 0.01**2) / 1.75)
    np.testing.assert_allclose(ewma_volatility(returns, 0.5, 3), [np.nan, np.nan, np.nan, expected])


def test_the_scale_is_the_geometric_mean_of_its_volatilities_and_never_0() -> None:
    returns = np.array([np.nan, 0.01, 0.04])
    both = [ewma_volatility(returns, decay, 2)[2] for decay in (0.5, 0.9)]

    assert volatility_scale(returns, (0.5, 0.9), 2)[2] == pytest.approx(np.sqrt(both[0] * both[1]))
    assert volatility_scale(np.zeros(3), (0.5, 0.9), 2)[2] == MINIMUM_SCALE


def test_drawdown_is_0_at_a_high_and_the_log_distance_below_it() -> None:
    closes = np.concatenate([np.full(249, 100.0), [200.0], [100.0]])

    assert drawdown(bars_of_closes(closes))[-2:].tolist() == pytest.approx([0.0, -np.log(2.0)])


def test_jump_share_is_1_when_one_day_made_all_the_moves() -> None:
    closes = np.where(np.arange(80) < 40, 100.0, 110.0)

    assert jump_share(bars_of_closes(closes))[79] == pytest.approx(1.0)


def test_momentum_of_a_steady_rise_is_the_root_of_its_days() -> None:
    """Each return equals the volatility, so 21 of them are 21 volatilities over a root of 21."""
    closes = 100.0 * np.exp(0.01 * np.arange(300))

    assert momentum(bars_of_closes(closes), days=21)[-1] == pytest.approx(np.sqrt(21.0))


def test_a_storm_lifts_the_fast_volatility_over_the_slow_one() -> None:
    rng = np.random.default_rng(0)
    size = np.where(np.arange(400) < 390, 0.01, 0.05)
    bars = bars_of_closes(100.0 * np.exp(np.cumsum(size * rng.choice([-1.0, 1.0], 400))))

    state = volatility_state(bars, decay=0.8)

    assert state[389] == pytest.approx(0.0, abs=1e-9)
    assert state[-1] > 0.5


def test_the_week_begins_on_monday() -> None:
    bars = bars_of_closes(np.full(5, 1.0), start="2024-01-01")  # a Monday

    np.testing.assert_allclose(
        calendar_wave(bars, wave=np.sin, period="week"), np.sin(2 * np.pi * np.arange(5) / 7), atol=1e-12
    )


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_column_reads_what_it_declares_and_nothing_else(name: str) -> None:
    """``closes`` promises that a client's closes suffice, ``bars`` that the market may be anything."""
    column, bars = COLUMNS[name], make_bars(400)
    others = {field: np.full(400, np.nan) for field in ("open", "high", "low", "close", "volume")}
    no_market = dict.fromkeys(MARKET_ARRAYS, np.full(400, np.nan))
    unread = {
        "closes": {"trading_day": bars.trading_day + 2, **others, **no_market},
        "bars": no_market,
        "market": {"trading_day": bars.trading_day + 2, "adj_close": others["close"], **others},
    }

    np.testing.assert_array_equal(column.compute(replace(bars, **unread[column.reads])), column.compute(bars))


def test_columns_stand_side_by_side_in_the_order_asked_for() -> None:
    bars = make_bars(300)

    both = compute_columns(bars, ["volume_ratio", "log_return"])

    np.testing.assert_array_equal(both[:, 0], COLUMNS["volume_ratio"].compute(bars))
    np.testing.assert_array_equal(both[:, 1], COLUMNS["log_return"].compute(bars))
    assert compute_columns(bars, []).shape == (300, 0)


def test_the_longest_warm_up_counts() -> None:
    assert (warm_up([]), warm_up(["log_return", "volume_ratio", "volatility_level"])) == (0, 250)


def test_an_unknown_column_is_named_with_those_spelt_like_it() -> None:
    with pytest.raises(ConfigurationError, match=r"no input column 'rsi_7'; of \d+ like it: rsi"):
        find_column("rsi_7")


def test_a_price_stands_within_the_range_of_sixty_bars() -> None:
    closes = np.concatenate([np.full(59, 10.0), [20.0, 15.0]])
    bars = bars_of_closes(closes)

    assert COLUMNS["close_in_range"].compute(bars)[-2:].tolist() == [1.0, 0.5]
    assert COLUMNS["volume_in_range"].compute(bars)[-1] == 0.5
    np.testing.assert_array_equal(find_column("raw_close").compute(bars), closes)
