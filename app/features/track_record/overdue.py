"""From which day on a bar that has not come will not be waited for. Worker only: this brings the calendars.

What counts is not the clock but that others' bars came: a worker that was away for a month has collected nothing, and a
file that ends in 2013 may be continued.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from app.features.track_record.crud import StoredSeries
from data_pipeline.processing.calendars import last_final_day, trading_days

VOID_AFTER = 15  # further trading days without the bar that a step waits for
_CALENDAR_DAYS = timedelta(days=60)  # longer than so many trading days anywhere


def overdue_days(
    series: Sequence[StoredSeries], newest: Mapping[tuple[str, bool], date], *, now: datetime, final_after: timedelta
) -> dict[str, date]:
    """By ticker, the last expected day that ``VOID_AFTER`` further trading days have passed since.

    They have passed where half of the exchange's tickers have bars of them, or where a live source was asked for this
    ticker after they were final and had none.

    Parameters
    ----------
    newest : by exchange and liveness, see ``crud.newest_days``.
    final_after : how long after its close a bar is final.
    """
    known: dict[tuple[str, date], date] = {}
    found = {}
    for one in series:
        until = max(one.cutoff, newest[one.exchange, one.live])
        if one.live:
            until = max(until, last_final_day(one.exchange, min(one.published_at, now), final_after))
        key = one.exchange, until
        if key not in known:
            days = trading_days(one.exchange, until - _CALENDAR_DAYS, until + timedelta(days=1))
            known[key] = days[-VOID_AFTER - 1].item()
        found[one.ticker] = known[key]
    return found
