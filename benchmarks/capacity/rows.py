"""How many bytes of PostgreSQL a ticker, a forecast, an answer and a score take, and how many of its write-ahead log.

    python -m benchmarks.capacity.rows

Windows and one forecast for each are made by the application's own functions; further forecasts, answers and scores are
copies under other keys. Needs the embedded PostgreSQL (extra `dev`); prints one table.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.registry.champion import ChampionHolder
from app.features.registry.service import ensure_reference_champion
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import forecast_values
from app.models.serving_window import ServingWindowRow
from app.supervisor.one_session import own_sessions
from benchmarks.serving.installation import made_up_window
from benchmarks.serving.page import machine, table
from tests.database import migrated_template, temporary_database

COPIES = 50  # cutoffs of each ticker
ANSWERS_PER_FORECAST = 20
STEPS = 30

# Each with keys of its own; everything else as the application wrote it.
MORE_FORECASTS = """
INSERT INTO forecasts ({columns})
SELECT {values} FROM forecasts, generate_series(1, {copies}) AS days
"""
ANSWERS = """
INSERT INTO prediction_log (answered_at, id, user_id, route, request_id, forecast_id, days_ahead, latency_ms)
SELECT now() + n * interval '1 ms', gen_random_uuid(), '00000000-0000-0000-0000-000000000001',
       '/predict/{ticker:path}', replace(gen_random_uuid()::text, '-', ''), id, 5, 0.9 + random()
FROM forecasts, generate_series(1, %s) AS n
"""
USER = """
INSERT INTO users (id, email, password_hash, scopes)
VALUES ('00000000-0000-0000-0000-000000000001', 'capacity@example.org', 'none', '{predict}')
"""
SCORES = """
INSERT INTO scores (forecast_id, step, status, trading_day, data_table_id, data_version, log_return, absolute_error,
    naive_absolute_error, pinball, naive_pinball, direction_hit, inside_50, inside_80, inside_90, inside_95,
    naive_inside_50, naive_inside_80, naive_inside_90, naive_inside_95)
SELECT id, step, 'scored', cutoff + step, data_table_id, data_version, random(), random(), random(), random(), random(),
    true, true, true, true, true, true, true, true, true
FROM forecasts, generate_series(1, %s) AS step
"""
SIZES = """
SELECT sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint FROM pg_class
WHERE relkind = 'r' AND (oid = %(name)s::regclass OR oid IN (SELECT relid FROM pg_partition_tree(%(name)s::regclass)))
"""


@dataclass(frozen=True)
class Measured:
    """What so many rows took."""

    what: str
    rows: int
    heap: int
    indexes: int
    wal: int

    def cells(self) -> tuple[str, ...]:
        """Bytes a row."""
        each = [count / self.rows for count in (self.heap, self.indexes, self.heap + self.indexes, self.wal)]
        return (self.what, f"{self.rows:,}", *(f"{count:,.0f}" for count in each))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=200)
    n_tickers = parser.parse_args().tickers
    with temporary_database(migrated_template()) as url:
        rows = [found.cells() for found in measure(url, n_tickers)]
    print(table(("what", "rows", "table, bytes a row", "indexes", "together", "write-ahead log"), rows))
    print(f"\nMeasured {machine()}.")
    return 0


def measure(url: str, n_tickers: int) -> Iterator[Measured]:
    """Fill one table after the other, each by what depends on the ones before."""
    with psycopg.connect(url, autocommit=True) as connection:
        position = _position(connection)
        asyncio.run(_windows_and_forecasts(url, n_tickers))
        yield _sizes(connection, "serving_windows", "window of a ticker, 1,300 bars", n_tickers, position)
        position = _position(connection)
        connection.execute(_more_forecasts(connection))
        yield _sizes(connection, "forecasts", "frozen forecast, 30 steps", n_tickers * (COPIES + 1), position)
        connection.execute(USER)
        position = _position(connection)
        connection.execute(ANSWERS.encode(), [ANSWERS_PER_FORECAST])
        answers = n_tickers * (COPIES + 1) * ANSWERS_PER_FORECAST
        yield _sizes(connection, "prediction_log", "answer in the log", answers, position)
        position = _position(connection)
        connection.execute(SCORES.encode(), [STEPS])
        yield _sizes(connection, "scores", "score of a step", n_tickers * (COPIES + 1) * STEPS, position)


async def _windows_and_forecasts(url: str, n_tickers: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(_env_file=None, home=Path(home), database_url=SecretStr(url), database_timeout_seconds=60.0)
        async with own_sessions(settings) as sessions:
            holder = ChampionHolder(sessions, settings)
            async with sessions() as db:
                await ensure_reference_champion(db, settings)
                await holder.reload()
                names = [f"T{number:05d}" for number in range(n_tickers)]
                await publish_windows(db, [made_up_window(name) for name in names])
            now = datetime.now(UTC)
            async with sessions() as db:
                found = await crud.windows_with_bars(db, await _all_windows(db))
                champion = holder.serving(now)
                await crud.freeze_forecasts(db, [forecast_values(champion, window, now) for window in found])
                await db.commit()


async def _all_windows(db: AsyncSession) -> Sequence[ServingWindowRow]:
    return (await db.scalars(select(ServingWindowRow))).all()


def _more_forecasts(connection: psycopg.Connection) -> sql.Composed:
    """Every column as it is, but for the key: another id, another cutoff."""
    found = connection.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'forecasts'")
    names = [str(name) for (name,) in found]
    other = {"id": sql.SQL("gen_random_uuid()"), "cutoff": sql.SQL("cutoff - days")}
    values = [other.get(name, sql.Identifier(name)) for name in names]
    return sql.SQL(MORE_FORECASTS).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, names)), values=sql.SQL(", ").join(values), copies=COPIES
    )


def _position(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return str(row[0])


def _sizes(connection: psycopg.Connection, relation: str, what: str, rows: int, position: str) -> Measured:
    wal = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", [position]).fetchone()
    connection.execute(f"VACUUM ANALYZE {relation}".encode())
    sizes = connection.execute(SIZES, {"name": relation}).fetchone()
    assert wal is not None
    assert sizes is not None
    return Measured(what, rows, *sizes, int(wal[0]))


if __name__ == "__main__":
    sys.exit(main())
