"""The long runs of `make faults` and `make soak` fail where they show nothing."""

from collections import Counter

import pytest

from tests.faults.checker import Findings
from tests.faults.siege import Outcome, Siege
from tests.faults.soak import Soaked

SIEGE = Siege(requests=50, per_second=10, kills=3, seconds=9, pause_seconds=1)


@pytest.mark.parametrize(
    ("answered", "keyed", "lost_rows", "kills", "requests", "shortfalls"),
    [
        (40, 20, 0, 3, 50, 0),
        (40, 20, 1, 3, 50, 1),
        (40, 20, 0, 2, 50, 1),
        (40, 20, 0, 3, 49, 1),
        (40, 0, 0, 3, 50, 1),
        (0, 0, 0, 0, 0, 3),
    ],
)
def test_a_siege_that_was_less_than_told_shows_nothing(
    answered: int, keyed: int, lost_rows: int, kills: int, requests: int, shortfalls: int
) -> None:
    findings = Findings(answered, keyed, lost_rows, lost_forecasts=0, doubled=0, unanswered_rows=1)
    outcome = Outcome(findings, Counter(), kills, Counter({"200": requests}), seconds=9.0)

    assert len(outcome.shortfalls(SIEGE)) == shortfalls


@pytest.mark.parametrize(
    ("asked", "answered", "growth", "is_shown"),
    [(100, 100, 0, True), (100, 99, 0, False), (100, 0, 0, False), (0, 0, 0, False), (100, 100, 20_000, False)],
)
def test_a_soak_that_is_not_answered_shows_nothing(asked: int, answered: int, growth: int, is_shown: bool) -> None:
    """Twenty kilobytes in ten seconds are 1.2 MB in ten minutes."""
    seconds = [10.0 * number for number in range(12)]
    resident = [10**8 + growth * number for number in range(12)]

    assert Soaked(seconds, resident, asked, answered).is_shown == is_shown
