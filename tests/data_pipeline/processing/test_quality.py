"""Reports survive storage and continuation; what several tickers share becomes a question about the calendar."""

import json
from datetime import date

from data_pipeline.processing.bars import check_bars
from data_pipeline.processing.quality import (
    Action,
    CalendarQuestion,
    Defect,
    QualityReport,
    ask_calendars,
    compare_tickers,
    mark_early_ends,
)
from tests.data_pipeline.made_bars import HOUR, NOW, first_days, make_bars, make_fetched

DAYS = first_days(10)


def report_on(days: list[date], ticker: str = "AAA", exchange: str = "XNYS") -> QualityReport:
    fetched = make_fetched(make_bars(days), ticker, exchange=exchange)
    return check_bars(fetched, now=NOW, final_after=HOUR).report


def without(*days: date) -> list[date]:
    return [day for day in DAYS if day not in days]


def test_a_report_is_read_back_as_it_was_written() -> None:
    report = report_on([*without(DAYS[3]), date(2024, 1, 6)])

    assert QualityReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_table_row_tells_count_and_first_days() -> None:
    report = report_on(without(*DAYS[2:6]))

    assert report.table_rows() == [("AAA", "hole", "missing", 4, "2024-01-04, 2024-01-05, 2024-01-08, …")]


def test_a_continued_report_keeps_the_past_and_takes_the_new_end() -> None:
    """The end was checked again from the sixth day on; the first day of that check has nothing before it."""
    past = report_on(without(DAYS[1], DAYS[7]))
    newer = report_on([*DAYS[5:8], DAYS[9]])

    joined = past.continued_by(newer, rows_out=9)

    assert joined.days == {Defect.HOLE: (DAYS[1], DAYS[8])}
    assert (joined.rows_in, joined.rows_out, joined.first_day, joined.last_day) == (9, 9, DAYS[0], DAYS[9])


def test_a_continued_report_counts_dropped_rows_of_both_parts() -> None:
    past = report_on([*DAYS[:6], date(2024, 1, 6)])
    newer = report_on([*DAYS[4:], date(2024, 1, 13)])

    joined = past.continued_by(newer, rows_out=10)

    assert joined.days == {Defect.NON_TRADING_DAY: (date(2024, 1, 6), date(2024, 1, 13))}
    assert (joined.rows_in, joined.rows_out, joined.rows(Action.DROPPED)) == (12, 10, 2)


def test_an_empty_check_changes_nothing() -> None:
    past = report_on(DAYS)

    assert past.continued_by(report_on([]), rows_out=10) == past


def test_repaired_days_are_those_dropped_or_flagged_not_those_missing() -> None:
    report = report_on([*without(DAYS[3]), date(2024, 1, 6)])

    assert report.repaired_days() == {date(2024, 1, 6)}


def test_a_hole_that_half_of_the_tickers_share_is_a_question_and_no_hole() -> None:
    reports = [report_on(without(DAYS[4]), "AAA"), report_on(without(DAYS[4], DAYS[6]), "BBB")]
    reports += [report_on(DAYS, "CCC"), report_on(DAYS, "DDD")]

    explained, questions = ask_calendars(reports)

    assert questions == [CalendarQuestion("XNYS", DAYS[4], expected=True, n_disagreeing=2, n_tickers=4)]
    assert [report.days for report in explained] == [{}, {Defect.HOLE: (DAYS[6],)}, {}, {}]
    assert str(questions[0]) == ("XNYS 2024-01-08: a trading day by the calendar, but 2 of 4 tickers have no bar")


def test_a_hole_of_fewer_than_half_stays_a_hole() -> None:
    reports = [report_on(without(DAYS[4]), "AAA"), report_on(without(DAYS[4]), "BBB")]
    reports += [report_on(DAYS, name) for name in ("CCC", "DDD", "EEE")]

    explained, questions = ask_calendars(reports)

    assert (questions, explained) == ([], reports)


def test_a_ticker_that_was_not_listed_yet_does_not_vote() -> None:
    reports = [report_on(without(DAYS[4]), "AAA"), report_on(without(DAYS[4]), "BBB")]
    reports += [report_on(DAYS[6:], name) for name in ("CCC", "DDD", "EEE")]

    assert [question.n_tickers for question in ask_calendars(reports)[1]] == [2]


def test_one_ticker_alone_asks_nothing() -> None:
    assert ask_calendars([report_on(without(DAYS[4]))])[1] == []


def test_exchanges_do_not_vote_on_each_other() -> None:
    reports = [report_on(without(DAYS[4]), "AAA"), report_on(without(DAYS[4]), "BBB.SA", exchange="BVMF")]

    assert ask_calendars(reports)[1] == []


def test_bars_that_half_of_the_tickers_have_on_a_closed_day_are_a_question_too() -> None:
    saturday = date(2024, 1, 6)
    reports = [report_on([*DAYS, saturday], "AAA"), report_on([*DAYS, saturday], "BBB"), report_on(DAYS, "CCC")]

    questions = ask_calendars(reports)[1]

    assert questions == [CalendarQuestion("XNYS", saturday, expected=False, n_disagreeing=2, n_tickers=3)]
    assert "2 of 3 tickers have a bar with volume" in str(questions[0])


def test_a_series_that_stops_over_a_week_before_the_others_is_marked() -> None:
    reports = [report_on(DAYS, "AAA"), report_on(DAYS[:4], "BBB"), report_on(DAYS[:9], "CCC"), report_on([], "DDD")]

    marked = mark_early_ends(reports)

    assert [report.days for report in marked] == [{}, {Defect.ENDED_EARLY: (DAYS[3],)}, {}, {}]


def test_reports_are_compared_in_their_order() -> None:
    reports = [report_on(DAYS, "BBB"), report_on(DAYS[:3], "AAA")]

    compared, questions = compare_tickers(reports)

    assert [report.ticker for report in compared] == ["BBB", "AAA"]
    assert questions == []


def test_every_defect_says_what_is_done_about_it() -> None:
    assert {defect.action for defect in Defect} == set(Action)
