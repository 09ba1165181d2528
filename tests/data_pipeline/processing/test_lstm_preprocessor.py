"""From bars to windows, contexts, scales and targets."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from data_pipeline.errors import ConfigurationError, InsufficientHistoryError
from data_pipeline.processing.lstm_preprocessor import (
    InputSpec,
    PreparedSeries,
    UnusableBarsError,
    latest_window,
    make_targets,
    prepare_series,
)
from tests.made_up_bars import bars_of_closes, make_bars

SPEC = InputSpec(columns=("log_return", "volume_ratio"), context_columns=("drawdown",), lookback=5, scale_length=20)


def test_the_needed_history_is_the_longest_of_window_context_and_scale() -> None:
    def needed(**changes: object) -> int:
        return InputSpec(**{**SPEC.model_dump(), **changes}).history_needed

    assert needed() == 250  # the drawdown's year
    assert needed(context_columns=()) == 24  # 5 bars after a warm-up of 19
    assert needed(context_columns=(), scale_length=60) == 61  # 60 returns need 61 closes


def test_a_window_holds_the_newest_bars_oldest_first_with_returns_in_units_of_the_scale() -> None:
    bars = make_bars(260)
    returns = np.diff(np.log(bars.adj_close))

    window, context, scale = latest_window(bars, SPEC)

    assert window.shape == (5, 2)
    np.testing.assert_allclose(window[:, 0] * scale, returns[-5:], rtol=1e-9)
    assert context == pytest.approx([np.log(bars.adj_close[-1] / bars.adj_close[-250:].max())])


def test_a_window_just_long_enough_is_made_and_one_bar_less_is_refused() -> None:
    bars = make_bars(250)

    latest_window(bars, SPEC)
    with pytest.raises(InsufficientHistoryError, match="250 trading days needed, 249 found"):
        latest_window(bars[1:], SPEC)


def test_sixty_closes_always_suffice_where_only_closes_are_read() -> None:
    """59 returns: as many as the longest of window, volatility scale and context asks for."""
    spec = InputSpec(
        columns=("log_return", "absolute_return"),
        context_columns=("short_volatility_level", "short_volatility_state"),
        lookback=59,
        scale_length=59,
    )
    bars = make_bars(61)

    assert spec.history_needed == 60
    for value, known in zip(latest_window(bars[1:], spec), latest_window(bars, spec), strict=True):
        np.testing.assert_array_equal(value, known)
    with pytest.raises(InsufficientHistoryError, match="60 trading days needed, 59 found"):
        latest_window(bars[2:], spec)


def test_a_missing_price_inside_the_window_is_an_error_that_names_the_day() -> None:
    bars = make_bars(250)
    broken = replace(bars, volume=np.where(np.arange(250) == 245, np.nan, bars.volume))

    with pytest.raises(UnusableBarsError, match=str(bars.cutoff)):
        latest_window(broken, SPEC)


def test_a_day_on_which_the_market_is_unknown_makes_no_window_unusable() -> None:
    bars = make_bars(300)
    holiday = replace(bars, market_return=np.where(np.arange(300) == 295, np.nan, bars.market_return))
    spec = SPEC.model_copy(update={"columns": ("log_return", "market_return")})

    window, _, _ = latest_window(holiday, spec)

    assert np.flatnonzero(np.isnan(window[:, 1])).tolist() == [spec.lookback - 5]
    assert prepare_series(holiday, spec).usable_ends().tolist() == prepare_series(bars, spec).usable_ends().tolist()


def test_cutoffs_begin_with_enough_history_and_skip_windows_that_hold_a_gap() -> None:
    bars = make_bars(300)
    gap = replace(bars, volume=np.where(np.arange(300) == 260, np.nan, bars.volume))

    assert prepare_series(bars, SPEC).usable_ends().tolist() == list(range(249, 300))
    # The missing volume spoils the mean of 20 days, and a window of 5 reads those means.
    assert prepare_series(gap, SPEC).usable_ends().tolist() == [*range(249, 260), *range(284, 300)]


def test_joined_series_keep_each_tickers_windows() -> None:
    first, second = (prepare_series(make_bars(260, seed=seed), SPEC) for seed in (1, 2))

    joined = PreparedSeries.joined([first, second])

    np.testing.assert_array_equal(joined.windows([255, 260 + 255]).window[0], first.windows([255]).window[0])
    np.testing.assert_array_equal(joined.windows([255, 260 + 255]).window[1], second.windows([255]).window[0])


def test_a_strided_array_gives_the_same_bits_as_a_packed_one() -> None:
    bars = make_bars(260)
    strided = replace(bars, adj_close=np.repeat(bars.adj_close, 3)[::3])

    for value, known in zip(latest_window(strided, SPEC), latest_window(bars, SPEC), strict=True):
        np.testing.assert_array_equal(value, known)


def test_targets_count_stored_bars_not_days() -> None:
    bars = bars_of_closes(np.array([100.0, 110.0, 121.0, 100.0]))

    targets = make_targets(bars.adj_close, np.array([0, 2]), (1, 2))

    np.testing.assert_allclose(targets, [[np.log(1.1), np.log(1.21)], [np.log(100 / 121), np.nan]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": ()}, "at least 1 item"),
        ({"columns": ("log_return", "log_return")}, "named twice"),
        ({"scale_decays": (1.0,)}, "less than 1"),
        ({"lookback": 1}, "greater than or equal to 2"),
        ({"surprise": 1}, "not permitted"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InputSpec(**{**SPEC.model_dump(), **changes})


def test_a_spec_with_an_unknown_column_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no input column 'nonsense'"):
        InputSpec(columns=("nonsense",), lookback=5)
