"""Rows that are no bars are dropped, doubtful ones flagged, both counted; nothing is made up."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.errors import UnknownCalendarError
from data_pipeline.processing.bars import BAR_SCHEMA, CheckedBars, as_bar_arrays, check_bars
from data_pipeline.processing.quality import Action, Defect
from data_pipeline.sources.base import BAR_COLUMNS, MalformedAnswerError, PriceBasis
from tests.data_pipeline.made_bars import HOUR, NOW, first_days, make_bars, make_fetched

DAYS = first_days(6)  # 2024-01-02, 03, 04, 05, 08, 09


def check(bars: pd.DataFrame, *, exchange: str = "XNYS", basis: PriceBasis = PriceBasis.SPLIT_ADJUSTED) -> CheckedBars:
    return check_bars(make_fetched(bars, exchange=exchange, price_basis=basis), now=NOW, final_after=HOUR)


def stored_days(checked: CheckedBars) -> list[date]:
    return [day.date() for day in checked.bars.index]


def test_good_bars_pass_untouched() -> None:
    bars = make_bars(DAYS)

    checked = check(bars)

    pd.testing.assert_frame_equal(checked.bars, bars)
    assert (checked.report.rows_in, checked.report.rows_out, checked.report.days) == (6, 6, {})
    assert (checked.report.first_day, checked.report.last_day) == (DAYS[0], DAYS[-1])


@pytest.mark.parametrize(
    ("column", "value", "defect"),
    [
        ("close", np.nan, Defect.NULL_CLOSE),
        ("adj_close", np.nan, Defect.NULL_CLOSE),
        ("close", np.inf, Defect.NULL_CLOSE),
        ("open", np.nan, Defect.NULL_FIELD),
        ("volume", np.nan, Defect.NULL_FIELD),
        ("open", 0.0, Defect.NON_POSITIVE_PRICE),
        ("close", -1.0, Defect.NON_POSITIVE_PRICE),
        ("volume", -1.0, Defect.NEGATIVE_AMOUNT),
        ("split", -1.0, Defect.NEGATIVE_AMOUNT),
        ("high", 9.0, Defect.HIGH_BELOW_LOW),
    ],
)
def test_a_row_that_is_no_bar_is_dropped_and_counted(column: str, value: float, defect: Defect) -> None:
    bars = make_bars(DAYS)
    bars.loc["2024-01-04", column] = value

    checked = check(bars)

    assert stored_days(checked) == [day for day in DAYS if day != date(2024, 1, 4)]
    assert checked.report.days[defect] == (date(2024, 1, 4),)
    assert checked.report.rows(Action.DROPPED) == 1
    assert checked.report.days[Defect.HOLE] == (date(2024, 1, 4),)


def test_of_two_good_rows_of_one_day_the_later_stays() -> None:
    bars = pd.concat([make_bars(DAYS), make_bars([DAYS[2]], [10.5])])

    checked = check(bars)

    assert checked.report.days == {Defect.DUPLICATE_DAY: (DAYS[2],)}
    assert checked.bars["close"].loc["2024-01-04"] == 10.5


def test_a_broken_repetition_does_not_push_out_the_good_row() -> None:
    broken = make_bars([DAYS[2]], [np.nan])

    checked = check(pd.concat([make_bars(DAYS), broken]))

    assert checked.report.days == {Defect.NULL_CLOSE: (DAYS[2],)}
    assert len(checked.bars) == 6


def test_weekend_rows_are_dropped() -> None:
    checked = check(make_bars([*DAYS[:4], "2024-01-06", *DAYS[4:]]))

    assert checked.report.days == {Defect.NON_TRADING_DAY: (date(2024, 1, 6),)}
    assert checked.report.unexpected == (date(2024, 1, 6),)


def test_a_repeated_holiday_row_without_volume_says_nothing_about_the_calendar() -> None:
    bars = make_bars([*DAYS[:4], "2024-01-06", *DAYS[4:]])
    bars.loc["2024-01-06", "volume"] = 0.0

    assert check(bars).report.unexpected == ()


@pytest.mark.parametrize(
    ("now", "n_bars"),
    [(datetime(2024, 1, 9, 21, 59, tzinfo=UTC), 5), (datetime(2024, 1, 9, 22, tzinfo=UTC), 6)],
)
def test_a_bar_counts_an_hour_after_the_close_and_not_before(now: datetime, n_bars: int) -> None:
    checked = check_bars(make_fetched(make_bars(DAYS)), now=now, final_after=HOUR)

    assert len(checked.bars) == n_bars
    assert checked.report.count(Defect.UNFINISHED) == 6 - n_bars


def test_missing_trading_days_are_told_and_left_missing() -> None:
    checked = check(make_bars([DAYS[0], DAYS[3], DAYS[5]]))

    assert checked.report.days == {Defect.HOLE: (DAYS[1], DAYS[2], DAYS[4])}
    assert stored_days(checked) == [DAYS[0], DAYS[3], DAYS[5]]


def test_a_close_outside_the_days_range_is_kept_and_flagged() -> None:
    bars = make_bars(DAYS)
    bars.loc["2024-01-04", "low"] = bars["close"].loc["2024-01-04"] * 1.005
    bars.loc["2024-01-05", "high"] = bars["close"].loc["2024-01-05"] * 0.9995  # half the tolerance: rounding

    checked = check(bars)

    assert checked.report.days == {Defect.CLOSE_OUTSIDE_RANGE: (DAYS[2],)}
    assert len(checked.bars) == 6


def test_a_day_without_trade_is_flagged_as_what_it_is() -> None:
    bars = make_bars(DAYS, [10.0, 10.1, 10.1, 10.2, 10.3, 10.4])
    bars.loc["2024-01-04", ["open", "high", "low", "close", "volume"]] = [10.1, 10.1, 10.1, 10.1, 0.0]
    bars.loc["2024-01-08", "volume"] = 0.0  # moved all the same: an index, or volume that was not told

    report = check(bars).report

    assert report.days == {
        Defect.STALE_REPEAT: (DAYS[2],),
        Defect.ZERO_VOLUME: (DAYS[2], DAYS[4]),
        Defect.FLAT_BAR: (DAYS[2],),
    }
    assert report.rows(Action.FLAGGED) == 2


@pytest.mark.parametrize("factor", [1 / 2, 1 / 4, 1 / 20, 2 / 3, 8.0])
def test_a_split_that_raw_prices_show_and_nobody_declares_is_flagged_on_its_day(factor: float) -> None:
    closes = np.array([100.0, 101.0, 102.0, 103.0, 102.0, 101.0])
    closes[3:] *= factor

    assert check(make_bars(DAYS, closes), basis=PriceBasis.RAW).report.days[Defect.UNADJUSTED_SPLIT] == (DAYS[3],)


def test_a_declared_split_is_no_defect() -> None:
    bars = make_bars(DAYS, [100.0, 101.0, 102.0, 51.0, 51.5, 52.0])
    bars.loc["2024-01-05", "split"] = 2.0

    assert Defect.UNADJUSTED_SPLIT not in check(bars, basis=PriceBasis.RAW).report.days


def test_the_same_jump_on_adjusted_prices_is_a_move() -> None:
    report = check(make_bars(DAYS, [100.0, 101.0, 102.0, 51.0, 51.5, 52.0])).report

    assert report.days == {Defect.LARGE_MOVE: (DAYS[3],)}


def test_a_crash_is_kept_and_never_taken_for_a_split() -> None:
    """PETR4 on 2020-03-09 lost 30 % and AAPL on 2000-09-29 lost 52 %: half of that within the day."""
    bars = make_bars(DAYS, [53.5, 53.0, 53.5, 25.75, 24.0, 22.0])
    bars.loc["2024-01-05", ["open", "high", "low"]] = [28.2, 29.0, 25.4]

    checked = check(bars, basis=PriceBasis.RAW)

    assert checked.report.days == {Defect.LARGE_MOVE: (DAYS[3],)}
    assert len(checked.bars) == 6


def test_a_crash_that_opens_at_half_by_chance_gives_itself_away_by_the_day_that_follows() -> None:
    bars = make_bars(DAYS, [100.0, 101.0, 100.0, 38.0, 37.0, 38.0])
    bars.loc["2024-01-05", ["open", "high"]] = [50.0, 51.0]

    assert check(bars, basis=PriceBasis.RAW).report.days == {Defect.LARGE_MOVE: (DAYS[3],)}


def test_days_before_a_calendar_begins_are_kept_and_flagged() -> None:
    checked = check(make_bars(["1959-12-30", "1959-12-31", "1960-01-01"]), exchange="XHKG")

    assert checked.report.days == {Defect.BEFORE_CALENDAR: (date(1959, 12, 30), date(1959, 12, 31))}
    assert len(checked.bars) == 3


def test_rows_come_out_in_order() -> None:
    assert stored_days(check(make_bars(DAYS).iloc[::-1])) == DAYS


def test_an_empty_answer_is_an_empty_report() -> None:
    checked = check(make_bars([]))

    assert (len(checked.bars), checked.report.rows_in, checked.report.last_day) == (0, 0, None)


def test_when_no_row_is_a_bar_nothing_is_left() -> None:
    bars = make_bars(DAYS, [np.nan] * 6)

    checked = check(bars)

    assert checked.bars.empty
    assert checked.report.days == {Defect.NULL_CLOSE: tuple(DAYS)}


@pytest.mark.parametrize(
    "bars",
    [
        make_bars(DAYS).drop(columns="split"),
        make_bars(DAYS).assign(close="ten"),
        make_bars(DAYS).tz_localize("America/New_York"),
    ],
    ids=["column missing", "text for a price", "days in a zone"],
)
def test_what_is_no_table_of_bars_is_refused(bars: pd.DataFrame) -> None:
    with pytest.raises(MalformedAnswerError, match="AAA from memory"):
        check(bars)


def test_an_exchange_without_calendar_is_refused() -> None:
    with pytest.raises(UnknownCalendarError):
        check(make_bars(DAYS), exchange="NOWHERE")


def test_arrays_hold_the_checked_bars() -> None:
    arrays = as_bar_arrays(check(make_bars(DAYS)).bars)

    assert arrays.cutoff == DAYS[-1]
    assert arrays.adj_close.tolist() == pytest.approx([10.0, 10.01, 10.02, 10.03, 10.04, 10.05])


VALUES = st.sampled_from([10.0, 10.1, 9.5, 0.0, -1.0, float("nan"), float("inf"), 1e-9, 1e12])


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 12), st.lists(VALUES, min_size=8, max_size=8)), min_size=1, max_size=12))
def test_whatever_comes_in_the_schema_holds_and_every_row_is_accounted_for(
    rows: list[tuple[int, list[float]]],
) -> None:
    """Every stored row is one that came in; every other row is counted under exactly one defect."""
    days = [date(2024, 1, 2 + offset) for offset, _ in rows]
    bars = pd.DataFrame([values for _, values in rows], columns=list(BAR_COLUMNS), index=pd.DatetimeIndex(days))

    checked = check(bars.rename_axis("trading_day"))

    BAR_SCHEMA.validate(checked.bars)
    assert len(checked.bars) + checked.report.rows(Action.DROPPED) == len(bars)
    came_in = {(day, *values) for day, (_, values) in zip(days, rows, strict=True)}
    assert {
        (day.date(), *row) for day, row in zip(checked.bars.index, checked.bars.to_numpy().tolist(), strict=True)
    } <= came_in
