"""What was wrong with a ticker's bars: every dropped or flagged row, told per ticker, and doubts about the calendar."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Self

EARLY_END = timedelta(days=7)  # a series that stops this long before others of its market has probably ended
_SHOWN_DAYS = 3  # in a table cell


class Action(StrEnum):
    """What was done about a defect."""

    DROPPED = "dropped"  # the row is not stored
    FLAGGED = "flagged"  # the row is stored as it came
    MISSING = "missing"  # there is no row, and none was made up


class Defect(StrEnum):
    """What can be wrong with a daily bar."""

    UNFINISHED = "unfinished"
    NON_TRADING_DAY = "non_trading_day"
    NULL_CLOSE = "null_close"
    NULL_FIELD = "null_field"
    NON_POSITIVE_PRICE = "non_positive_price"
    NEGATIVE_AMOUNT = "negative_amount"  # of volume, dividend or split
    HIGH_BELOW_LOW = "high_below_low"
    DUPLICATE_DAY = "duplicate_day"
    CLOSE_OUTSIDE_RANGE = "close_outside_range"
    UNADJUSTED_SPLIT = "unadjusted_split"
    LARGE_MOVE = "large_move"
    STALE_REPEAT = "stale_repeat"
    ZERO_VOLUME = "zero_volume"
    FLAT_BAR = "flat_bar"
    BEFORE_CALENDAR = "before_calendar"
    HOLE = "hole"
    ENDED_EARLY = "ended_early"

    @property
    def action(self) -> Action:
        """What `check_bars` does about it."""
        return _ACTIONS[self]


_DROPPED = (
    Defect.UNFINISHED,
    Defect.NON_TRADING_DAY,
    Defect.NULL_CLOSE,
    Defect.NULL_FIELD,
    Defect.NON_POSITIVE_PRICE,
    Defect.NEGATIVE_AMOUNT,
    Defect.HIGH_BELOW_LOW,
    Defect.DUPLICATE_DAY,
)
_ACTIONS: Mapping[Defect, Action] = {
    **dict.fromkeys(Defect, Action.FLAGGED),
    **dict.fromkeys(_DROPPED, Action.DROPPED),
    **dict.fromkeys((Defect.HOLE, Defect.ENDED_EARLY), Action.MISSING),
}


@dataclass(frozen=True)
class QualityReport:
    """What `check_bars` found in one ticker's bars.

    Attributes
    ----------
    rows_in, rows_out : rows that the source gave, rows that are stored.
    days : by defect, the day of each row concerned, ascending; a day stands twice where two of its rows were dropped.
        For ``HOLE``: the trading days between first and last bar that have none; for ``ENDED_EARLY``: the last day.
    unexpected : days of dropped ``NON_TRADING_DAY`` rows on which shares changed hands.
    """

    ticker: str
    exchange: str
    source: str
    rows_in: int
    rows_out: int
    first_day: date | None
    last_day: date | None
    days: Mapping[Defect, tuple[date, ...]] = field(default_factory=dict)
    unexpected: tuple[date, ...] = ()

    def count(self, defect: Defect) -> int:
        """Rows (for holes: days) with this defect."""
        return len(self.days.get(defect, ()))

    def rows(self, action: Action) -> int:
        """Rows dropped, distinct days flagged, or days missing."""
        found = [day for defect, days in self.days.items() if defect.action is action for day in days]
        return len(found) if action is Action.DROPPED else len(set(found))

    def repaired_days(self) -> frozenset[date]:
        """Days on which a row was dropped or flagged; a bar that merely was not finished yet is neither."""
        return frozenset(
            day for defect, days in self.days.items() if defect not in (Defect.UNFINISHED, Defect.HOLE) for day in days
        )

    def continued_by(self, newer: Self, *, rows_out: int) -> Self:
        """The report on a stored history of ``rows_out`` rows whose end was checked again.

        What this report says up to the first day of ``newer`` stays (a first bar has no bar before it to be compared
        with), what ``newer`` says after it is taken.
        """
        if newer.first_day is None:
            return self
        seam = newer.first_day
        days = {
            defect: joined
            for defect in Defect
            if (joined := _joined(self.days.get(defect, ()), newer.days.get(defect, ()), seam))
        }
        dropped = sum(len(found) for defect, found in days.items() if defect.action is Action.DROPPED)
        return replace(
            newer,
            rows_in=rows_out + dropped,
            rows_out=rows_out,
            first_day=min(filter(None, (self.first_day, newer.first_day))),
            days=days,
            unexpected=_joined(self.unexpected, newer.unexpected, seam),
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it; `from_dict` reads it back."""
        return {
            "ticker": self.ticker,
            "exchange": self.exchange,
            "source": self.source,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "first_day": _iso(self.first_day),
            "last_day": _iso(self.last_day),
            "defects": [
                {"defect": str(defect), "action": str(defect.action), "count": len(days), "days": [*map(_iso, days)]}
                for defect, days in self.days.items()
            ],
            "unexpected": [*map(_iso, self.unexpected)],
        }

    @classmethod
    def from_dict(cls, report: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(
            ticker=report["ticker"],
            exchange=report["exchange"],
            source=report["source"],
            rows_in=report["rows_in"],
            rows_out=report["rows_out"],
            first_day=_day(report["first_day"]),
            last_day=_day(report["last_day"]),
            days={Defect(found["defect"]): _days(found["days"]) for found in report["defects"]},
            unexpected=_days(report["unexpected"]),
        )

    def table_rows(self) -> list[tuple[str, str, str, int, str]]:
        """One row per defect: ticker, defect, action, count, the first days."""
        return [
            (self.ticker, str(defect), str(defect.action), len(days), _shown(days))
            for defect, days in self.days.items()
        ]


@dataclass(frozen=True)
class CalendarQuestion:
    """A day on which half of an exchange's tickers or more contradict its calendar: is the calendar wrong?

    ``expected`` is what the calendar says: a trading day (and there are no bars) or none (and there are).
    """

    exchange: str
    day: date
    expected: bool
    n_disagreeing: int
    n_tickers: int

    def __str__(self) -> str:
        said, seen = ("a trading day", "no bar") if self.expected else ("no trading day", "a bar with volume")
        return (
            f"{self.exchange} {self.day}: {said} by the calendar, but {self.n_disagreeing} of {self.n_tickers} tickers "
            f"have {seen}"
        )


def compare_tickers(reports: Sequence[QualityReport]) -> tuple[list[QualityReport], list[CalendarQuestion]]:
    """What only several tickers together can tell: doubts about calendars, and series that end before the others.

    Returns
    -------
    reports : in the same order; a hole that became a question is none, ``ENDED_EARLY`` is added.
    questions : by exchange and day.
    """
    asked, questions = ask_calendars(reports)
    return mark_early_ends(asked), questions


def mark_early_ends(reports: Sequence[QualityReport]) -> list[QualityReport]:
    """Add ``ENDED_EARLY`` where the same source has bars of the same exchange over a week newer."""
    newest: dict[tuple[str, str], date] = {}
    for report in reports:
        if report.last_day is not None:
            market = (report.exchange, report.source)
            newest[market] = max(report.last_day, newest.get(market, date.min))
    return [
        replace(report, days={**report.days, Defect.ENDED_EARLY: (report.last_day,)})
        if report.last_day is not None and newest[report.exchange, report.source] - report.last_day > EARLY_END
        else report
        for report in reports
    ]


def ask_calendars(
    reports: Sequence[QualityReport], *, share: float = 0.5
) -> tuple[list[QualityReport], list[CalendarQuestion]]:
    """Turn holes and extra days that ``share`` of an exchange's tickers have in common into questions.

    A ticker counts on a day that lies between its first and last bar; one ticker alone asks nothing.

    Returns
    -------
    reports : in the same order, without the holes that became questions.
    questions : by exchange and day.
    """
    by_exchange: dict[str, list[QualityReport]] = defaultdict(list)
    for report in reports:
        by_exchange[report.exchange].append(report)
    questions = [
        question for exchange, known in sorted(by_exchange.items()) for question in _questions(exchange, known, share)
    ]
    doubted = {(question.exchange, question.day) for question in questions if question.expected}
    return [_without_holes(report, doubted) for report in reports], questions


def _questions(exchange: str, reports: Sequence[QualityReport], share: float) -> list[CalendarQuestion]:
    found = []
    for expected in (True, False):
        for day, n_disagreeing in _disagreements(reports, expected=expected).items():
            n_tickers = sum(
                report.first_day <= day <= report.last_day for report in reports if report.first_day and report.last_day
            )
            if n_disagreeing >= 2 and n_disagreeing >= share * n_tickers:
                found.append(CalendarQuestion(exchange, day, expected, n_disagreeing, n_tickers))
    return sorted(found, key=lambda question: question.day)


def _disagreements(reports: Iterable[QualityReport], *, expected: bool) -> Counter[date]:
    return Counter(
        day
        for report in reports
        for day in frozenset(report.days.get(Defect.HOLE, ()) if expected else report.unexpected)
    )


def _without_holes(report: QualityReport, doubted: set[tuple[str, date]]) -> QualityReport:
    holes = tuple(day for day in report.days.get(Defect.HOLE, ()) if (report.exchange, day) not in doubted)
    others = {defect: days for defect, days in report.days.items() if defect is not Defect.HOLE}
    return replace(report, days=others | ({Defect.HOLE: holes} if holes else {}))


def _joined(older: Sequence[date], newer: Sequence[date], seam: date) -> tuple[date, ...]:
    return (*(day for day in older if day <= seam), *(day for day in newer if day > seam))


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _days(texts: Iterable[str]) -> tuple[date, ...]:
    return tuple(map(date.fromisoformat, texts))


def _shown(days: Sequence[date]) -> str:
    shown = ", ".join(map(str, days[:_SHOWN_DAYS]))
    return f"{shown}, …" if len(days) > _SHOWN_DAYS else shown
