"""Days that looked like earnings, by hand: one wide day on high volume among quiet ones."""

from dataclasses import replace

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.event_columns import QUARTER_DAYS, days_since_event, event_score, seasonal_event
from tests.made_up_bars import bars_of_closes

EVENT = 200
SCORE, QUIET = np.log(1.0 + 5.0 * (1.0 + 4.0) / 2.0), np.log(2.0)


def bars_with_one_event(n_bars: int = 520) -> BarArrays:
    """Flat bars that go up or down by 1 %, and one day that jumps by 5 % on four times the volume."""
    returns = np.where(np.arange(n_bars) % 2 == 0, 0.01, -0.01)
    returns[EVENT] = 0.05
    bars = bars_of_closes(100.0 * np.exp(np.cumsum(returns)))
    return replace(bars, volume=np.where(np.arange(n_bars) == EVENT, 4e6, 1e6))


def test_an_event_is_measured_by_the_range_and_the_volume_usual_until_the_day_before() -> None:
    score = event_score(bars_with_one_event())

    assert score[EVENT] == pytest.approx(SCORE)
    assert score[EVENT - 1] == pytest.approx(QUIET)
    assert score[EVENT + 1] < QUIET  # an ordinary day after a wide one is below the new usual


def test_where_nothing_is_traded_a_day_is_scored_by_its_range_alone() -> None:
    bars = bars_with_one_event()

    score = event_score(replace(bars, volume=np.zeros(len(bars))))

    assert score[EVENT] == pytest.approx(np.log(6.0))


@pytest.mark.parametrize("quarter", [1, 2, 3, 4])
def test_an_event_is_seen_again_whole_quarters_before_the_days_a_forecast_is_about(quarter: int) -> None:
    """Days 6 to 10 after the cutoff, with two days of slack on either side."""
    seen = np.flatnonzero(seasonal_event(bars_with_one_event(), first=6, last=10, quarters=(quarter,)) > 1.0)

    expected = EVENT + quarter * QUARTER_DAYS - np.arange(12, 3, -1)
    assert seen.tolist() == expected.tolist()


def test_quarters_are_averaged() -> None:
    bars, cutoff = bars_with_one_event(), EVENT + 3 * QUARTER_DAYS - 1

    assert seasonal_event(bars, first=1, last=1, quarters=(1, 2, 3, 4))[cutoff] == pytest.approx(
        (SCORE + 3 * QUIET) / 4, abs=0.02
    )


def test_the_newest_event_is_dated_until_a_quarter_has_passed() -> None:
    days = days_since_event(bars_with_one_event())

    assert days[[EVENT, EVENT + 10, EVENT + 63]].tolist() == pytest.approx([0.0, 10 / 63, 1.0])
    assert days[EVENT + 64] != pytest.approx(64 / 63)
