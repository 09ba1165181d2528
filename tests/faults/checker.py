"""Holds what was answered against what is stored: nothing lost, nothing twice."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from tests.faults.acknowledged import Acknowledged


@dataclass(frozen=True)
class Findings:
    """What the two say together.

    Attributes
    ----------
    answered, keyed : requests answered with 200; those of them that were repeated under a key until they were.
    lost_rows : answered, and no row in the prediction log.
    lost_forecasts : forecasts that were answered and are not stored.
    doubled : request ids with more than one row.
    unanswered_rows : rows of requests whose answer never arrived; there may be some.
    """

    answered: int
    keyed: int
    lost_rows: int
    lost_forecasts: int
    doubled: int
    unanswered_rows: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing was lost and nothing is there twice."""
        return not (self.lost_rows or self.lost_forecasts or self.doubled)

    def lines(self) -> list[str]:
        """The counts, to be printed."""
        return [
            f"answered with 200            {self.answered:>8,}",
            f"  of them under a key        {self.keyed:>8,}",
            f"acknowledged rows lost       {self.lost_rows:>8,}",
            f"answered forecasts lost      {self.lost_forecasts:>8,}",
            f"duplicates per key or id     {self.doubled:>8,}",
            f"rows whose answer was cut off{self.unanswered_rows:>8,}",
        ]


def check(database_url: str, answered: Iterable[Acknowledged]) -> Findings:
    """Compare the files of acknowledged requests with the database."""
    with psycopg.connect(database_url) as connection:
        rows = Counter(row[0] for row in connection.execute("SELECT request_id FROM prediction_log"))
        forecasts = {str(row[0]) for row in connection.execute("SELECT id FROM forecasts")}
    acknowledged = list(answered)
    ids = {each.request_id for each in acknowledged}
    return Findings(
        answered=len(acknowledged),
        keyed=sum(each.keyed for each in acknowledged),
        lost_rows=sum(each not in rows for each in ids),
        lost_forecasts=len({each.forecast_id for each in acknowledged} - forecasts),
        doubled=sum(count > 1 for count in rows.values()),
        unanswered_rows=sum(each not in ids for each in rows),
    )
