"""Trading days, opening and closing instants, and when a bar is final; expected values from the exchanges' notices."""

from datetime import UTC, date, datetime, timedelta

import pytest

from data_pipeline.errors import UnknownCalendarError
from data_pipeline.processing.calendars import (
    closes_at,
    final_at,
    first_known_day,
    last_final_day,
    next_trading_days,
    opens_at,
    trading_days,
)

HOUR = timedelta(hours=1)


def test_a_range_begins_with_its_first_day_and_leaves_out_its_end() -> None:
    days = trading_days("XNYS", date(2024, 7, 3), date(2024, 7, 8))  # 4 July is closed, 6 and 7 July are a weekend

    assert days.tolist() == [date(2024, 7, 3), date(2024, 7, 5)]


def test_days_before_the_default_schedule_are_known() -> None:
    days = trading_days("XNYS", date(1970, 1, 1), date(1970, 1, 6))

    assert days.tolist() == [date(1970, 1, 2), date(1970, 1, 5)]


def test_brazil_is_closed_on_black_awareness_day_since_2024() -> None:
    assert trading_days("BVMF", date(2025, 11, 20), date(2025, 11, 21)).tolist() == []


def test_the_next_days_skip_weekend_and_holiday() -> None:
    assert next_trading_days("XNYS", date(2024, 7, 3), 3) == (date(2024, 7, 5), date(2024, 7, 8), date(2024, 7, 9))


def test_the_next_days_of_a_closed_day_begin_after_it() -> None:
    assert next_trading_days("XNYS", date(2024, 7, 6), 1) == (date(2024, 7, 8),)


def test_days_far_ahead_of_the_default_schedule_keep_the_holidays() -> None:
    days = next_trading_days("XNYS", date(2035, 7, 3), 1)

    assert days == (date(2035, 7, 5),)


def test_the_next_days_cross_the_end_of_a_decade() -> None:
    days = next_trading_days("XNYS", date(2029, 12, 28), 30)

    assert len(days) == 30
    assert days[:2] == (date(2029, 12, 31), date(2030, 1, 2))


def test_beyond_a_bounded_calendar_days_are_weekdays_with_its_usual_hours() -> None:
    days = next_trading_days("XHKG", date(2049, 12, 30), 3)  # the calendar of Hong Kong ends with 2049

    assert days == (date(2049, 12, 31), date(2050, 1, 3), date(2050, 1, 4))
    assert opens_at("XHKG", days[-1]) == datetime(2050, 1, 4, 1, 30, tzinfo=UTC)
    assert closes_at("XHKG", days[-1]) == datetime(2050, 1, 4, 8, tzinfo=UTC)


def test_before_a_bounded_calendar_no_day_is_listed() -> None:
    assert first_known_day("XHKG") == date(1960, 1, 1)
    assert trading_days("XHKG", date(1959, 12, 1), date(1960, 1, 1)).tolist() == []


def test_a_half_day_closes_early_and_is_final_early() -> None:
    day_after_thanksgiving = date(2026, 11, 27)

    assert opens_at("XNYS", day_after_thanksgiving) == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    assert closes_at("XNYS", day_after_thanksgiving) == datetime(2026, 11, 27, 18, tzinfo=UTC)
    assert final_at("XNYS", day_after_thanksgiving, HOUR) == datetime(2026, 11, 27, 19, tzinfo=UTC)


def test_summer_time_moves_the_close() -> None:
    assert closes_at("XNYS", date(2024, 3, 8)) == datetime(2024, 3, 8, 21, tzinfo=UTC)
    assert closes_at("XNYS", date(2024, 3, 11)) == datetime(2024, 3, 11, 20, tzinfo=UTC)


def test_a_closed_day_lasts_from_midnight_to_midnight_of_its_exchange() -> None:
    saturday = date(2024, 7, 6)

    assert opens_at("XNYS", saturday) == datetime(2024, 7, 6, 4, tzinfo=UTC)
    assert closes_at("XNYS", saturday) == datetime(2024, 7, 7, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2024, 7, 5, 20, 59, 59, tzinfo=UTC), date(2024, 7, 3)),  # an hour after the close, less a second
        (datetime(2024, 7, 5, 21, tzinfo=UTC), date(2024, 7, 5)),
        (datetime(2024, 7, 7, 12, tzinfo=UTC), date(2024, 7, 5)),  # a Sunday
    ],
)
def test_a_bar_is_final_an_hour_after_the_close(now: datetime, day: date) -> None:
    assert last_final_day("XNYS", now, HOUR) == day


def test_sydney_is_done_before_the_day_has_begun_in_greenwich() -> None:
    assert last_final_day("XASX", datetime(2024, 7, 3, 8, tzinfo=UTC), HOUR) == date(2024, 7, 3)


def test_an_unknown_exchange_is_named() -> None:
    with pytest.raises(UnknownCalendarError, match="NOWHERE"):
        trading_days("NOWHERE", date(2024, 1, 1), date(2024, 2, 1))
