"""Which days an exchange trades, when each opens, and from when its bar is final.

Calendars come from exchange_calendars, opened over whole decades around the days asked for: its default schedule begins
twenty years ago and ends a year ahead. Where a calendar itself is bounded (some Asian ones end in 2049) the days beyond
count as weekdays with the hours of the last day known.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pandas as pd
from exchange_calendars.errors import InvalidCalendarName

from data_pipeline.errors import UnknownCalendarError
from data_pipeline.processing.bar_arrays import DayArray

_NEXT_DAYS_SLACK = 21  # calendar days; longer than any closure since 2001, a Chinese golden week included


def trading_days(exchange: str, start: date, end: date) -> DayArray:
    """Days with ``start <= day < end`` on which ``exchange`` trades, ascending, ``datetime64[D]``.

    Days before the calendar's own first day (`first_known_day`) are not listed.

    Raises
    ------
    UnknownCalendarError : no calendar has that name.
    """
    sessions = _sessions(exchange, start, end)
    return sessions[np.searchsorted(sessions, _day64(start)) : np.searchsorted(sessions, _day64(end))]


def next_trading_days(exchange: str, after: date, n: int) -> tuple[date, ...]:
    """The ``n`` trading days that follow ``after``, oldest first."""
    days: list[date] = []
    span = timedelta(days=2 * n + _NEXT_DAYS_SLACK)
    while len(days) < n:
        days = trading_days(exchange, after + timedelta(days=1), after + span).tolist()
        span *= 2
    return tuple(days[:n])


def opens_at(exchange: str, day: date) -> datetime:
    """Instant at which ``exchange`` opens on ``day``, UTC; midnight there where ``day`` is no trading day."""
    return _instant(exchange, day, "open")


def closes_at(exchange: str, day: date) -> datetime:
    """Instant at which ``exchange`` closes on ``day``, UTC; the next midnight there where ``day`` is no trading day."""
    return _instant(exchange, day, "close")


def final_at(exchange: str, day: date, final_after: timedelta) -> datetime:
    """Instant from which the bar of ``day`` counts as final, UTC."""
    return closes_at(exchange, day) + final_after


def last_final_day(exchange: str, now: datetime, final_after: timedelta) -> date:
    """Newest trading day whose bar is final at ``now``."""
    # A session may be dated a day ahead of UTC (Sydney), and the one before may lie behind a long closure.
    days = trading_days(exchange, (now - timedelta(days=2 * _NEXT_DAYS_SLACK)).date(), (now + timedelta(days=2)).date())
    final: date = next(day for day in reversed(days.tolist()) if final_at(exchange, day, final_after) <= now)
    return final


def first_known_day(exchange: str) -> date:
    """First day the calendar of ``exchange`` can speak about."""
    bound = _calendar_class(exchange).bound_min()
    return date.min if bound is None else bound.date()


def _last_known_day(exchange: str) -> date:
    bound = _calendar_class(exchange).bound_max()
    return date.max if bound is None else bound.date()


@lru_cache(maxsize=64)
def _calendar_class(exchange: str) -> Any:
    return type(_open_calendar(exchange))


def _open_calendar(exchange: str, start: date | None = None, end: date | None = None) -> Any:
    try:
        return exchange_calendars.get_calendar(exchange, start=start, end=end)
    except InvalidCalendarName as error:
        raise UnknownCalendarError(exchange) from error


@lru_cache(maxsize=32)
def _calendar_of_decades(exchange: str, first_year: int, end_year: int) -> Any:
    first = max(date(first_year, 1, 1), first_known_day(exchange))
    last = min(date(end_year - 1, 12, 31), _last_known_day(exchange))
    return _open_calendar(exchange, first, last)


def _calendar(exchange: str, start: date, end: date) -> Any:
    """The calendar over the decades that hold ``start`` and ``end``, as far as it is bounded."""
    known_start = min(max(start, first_known_day(exchange)), _last_known_day(exchange))
    known_end = max(min(end, _last_known_day(exchange)), known_start)
    return _calendar_of_decades(exchange, known_start.year // 10 * 10, known_end.year // 10 * 10 + 10)


def _sessions(exchange: str, start: date, end: date) -> DayArray:
    known: DayArray = _calendar(exchange, start, end).sessions.to_numpy().astype("datetime64[D]")
    last_known = _last_known_day(exchange)
    if end <= last_known:
        return known
    beyond = np.arange(max(_day64(last_known) + 1, _day64(start)), _day64(end))
    return np.concatenate([known, beyond[np.is_busday(beyond)]])


def _instant(exchange: str, day: date, edge: Literal["open", "close"]) -> datetime:
    calendar = _calendar(exchange, day, day)
    instants = calendar.opens if edge == "open" else calendar.closes
    if (known := instants.get(pd.Timestamp(day))) is not None:
        instant: datetime = known.to_pydatetime().astimezone(UTC)
        return instant
    zone = ZoneInfo(str(calendar.tz))
    if day > _last_known_day(exchange):
        hours = calendar.open_times if edge == "open" else calendar.close_times
        return datetime.combine(day, hours[-1][1], zone).astimezone(UTC)
    midnight = datetime.combine(day if edge == "open" else day + timedelta(days=1), time(), zone)
    return midnight.astimezone(UTC)


def _day64(day: date) -> np.datetime64:
    return np.datetime64(day, "D")
