"""How often a source may be asked, and whether at all: kept in PostgreSQL, so that all processes stop together.

Each call is one statement on a connection of its own: they come at the pace of requests to the source, which is slow.
"""

import time
from collections.abc import Callable
from typing import Any, cast

import psycopg

from data_pipeline.sources.throttle import DEFAULT_BURST, BudgetSpentError, CircuitRecord, CircuitStateName

CLOCKS_DIFFER_SECONDS = 60.0  # at most, between two machines with a worker each

# What the bucket holds now; `b` is the stored row. The database's clock is the one that all processes share. Where that
# was put back, a bucket filled in what is now the future would stay empty until then: it counts as full.
FILLED = """CASE WHEN b.filled_at > clock_timestamp() + interval '1 minute' THEN %(burst)s
    ELSE LEAST(%(burst)s, b.tokens
        + GREATEST(0, EXTRACT(epoch FROM clock_timestamp() - b.filled_at)) * %(per_second)s) END"""
TAKE = f"""
INSERT INTO source_budgets AS b (source, tokens, filled_at)
VALUES (%(source)s, %(burst)s - %(taken)s, clock_timestamp())
ON CONFLICT (source) DO UPDATE SET tokens = {FILLED} - %(taken)s, filled_at = clock_timestamp()
WHERE {FILLED} - %(taken)s >= %(lowest)s
RETURNING tokens
"""  # noqa: S608 (no value of anybody's is part of it)
READ = f"SELECT {FILLED} FROM source_budgets AS b WHERE source = %(source)s"  # noqa: S608 (as above)


class PostgresBudget:
    """A ``RequestBudget`` for every process that reaches the same database.

    Parameters
    ----------
    connection_string : libpq's.
    source : name of the bucket.
    requests_per_minute : refill rate.
    burst : tokens in a full bucket.
    """

    def __init__(
        self,
        connection_string: str,
        source: str,
        requests_per_minute: float,
        burst: int = DEFAULT_BURST,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection_string = connection_string
        self._per_second = requests_per_minute / 60
        self._values = {"source": source, "burst": float(burst), "per_second": self._per_second}
        self._sleep = sleep

    def acquire(self, deadline_seconds: float) -> None:
        """See ``RequestBudget``."""
        tokens = self._take(1, lowest=-deadline_seconds * self._per_second)
        if tokens is None:
            raise BudgetSpentError((1 - self._read()) / self._per_second)
        if tokens < 0:
            self._sleep(-tokens / self._per_second)

    def charge(self, requests: int) -> None:
        """See ``RequestBudget``."""
        self._take(requests, lowest=float("-inf"))

    def _take(self, taken: int, *, lowest: float) -> float | None:
        """Tokens left, negative where owed; None, and nothing taken, where they would fall below ``lowest``."""
        row = self._execute(TAKE, {**self._values, "taken": taken, "lowest": lowest})
        return None if row is None else float(row[0])

    def _read(self) -> float:
        row = self._execute(READ, self._values)
        return 0.0 if row is None else float(row[0])

    def _execute(self, statement: str, values: dict[str, Any]) -> Any:
        with psycopg.connect(self._connection_string, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).fetchone()


class PostgresCircuit:
    """A ``CircuitState`` for every process that reaches the same database."""

    def __init__(self, connection_string: str, source: str) -> None:
        self._connection_string = connection_string
        self._source = source

    def read(self) -> CircuitRecord:
        """See ``CircuitState``."""
        statement = "SELECT state, failures, opened_at FROM source_circuits WHERE source = %s"
        with psycopg.connect(self._connection_string, autocommit=True) as connection:
            row = connection.execute(statement, [self._source]).fetchone()
        if row is None:
            return CircuitRecord()
        state, failures, opened_at = row
        if opened_at is not None and opened_at > time.time() + CLOCKS_DIFFER_SECONDS:
            opened_at = 0.0  # by a clock that was put back since: its time is over, or it would be open until then
        return CircuitRecord(cast(CircuitStateName, state), failures, opened_at)

    def set_state(self, state: CircuitStateName, opened_at: float | None) -> None:
        """See ``CircuitState``."""
        self._execute(
            "INSERT INTO source_circuits (source, state, opened_at) VALUES (%(source)s, %(state)s, %(opened_at)s) "
            "ON CONFLICT (source) DO UPDATE SET state = excluded.state, opened_at = excluded.opened_at",
            state=state,
            opened_at=opened_at,
        )

    def add_failure(self) -> None:
        """See ``CircuitState``."""
        self._execute(
            "INSERT INTO source_circuits AS c (source, failures) VALUES (%(source)s, 1) "
            "ON CONFLICT (source) DO UPDATE SET failures = c.failures + 1"
        )

    def reset_failures(self) -> None:
        """See ``CircuitState``."""
        self._execute("UPDATE source_circuits SET failures = 0 WHERE source = %(source)s")

    def _execute(self, statement: str, **values: Any) -> None:
        with psycopg.connect(self._connection_string, autocommit=True) as connection:
            connection.execute(statement.encode(), {"source": self._source, **values})
