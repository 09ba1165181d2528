"""All looks at an installation, one after the other; none of them changes anything."""

from collections.abc import Iterable
from datetime import UTC, datetime

from app.config import Settings
from app.doctor.database import look_at_database
from app.doctor.finding import Finding, State
from app.doctor.machine import look_at_disks, look_at_settings
from app.doctor.stored import look_at_bars, look_at_champion
from app.doctor.yahoo import YahooLook


def examine(settings: Settings, names: Iterable[str]) -> list[Finding]:
    """What there is to tell; ``names`` as ``look_at_settings`` takes them."""
    now = datetime.now(UTC)
    yahoo = YahooLook(settings, now.date())
    findings = [*look_at_settings(settings, names), *look_at_disks(settings), *look_at_database(settings)]
    answers = all(each.state is not State.FAIL for each in findings if each.subject in ("database", "migrations"))
    if answers:
        findings.append(look_at_champion(settings, now))
    return [*findings, *look_at_bars(settings, now), yahoo.finding()]
