"""Windows of the track record: the last so many calendar days of outcomes, or all of them."""

from datetime import date, datetime, timedelta

from app.features.track_record.schemas import Window
from app.models.live_skill import ALL_DAYS


def days_of(window: Window) -> int:
    """As ``LiveSkill`` counts windows."""
    return ALL_DAYS if window == "all" else int(window)


def day_before(window: Window, now: datetime) -> date:
    """The day after which outcomes count."""
    days = days_of(window)
    return date.min if days == ALL_DAYS else now.date() - timedelta(days=days)
