"""How long `GET /monitor` reads, and how long a worker counts, on a prediction log of many rows.

    python benchmarks/monitor/run.py --rows 10000000

Rows are spread over 30 days, latencies are log-normal. Needs the embedded PostgreSQL (extra `dev`) and some gigabytes;
prints three lines.
"""

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psycopg
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parents[2]))

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.core.jobs import WorkerTools
from app.features.monitoring.counting import count_answers, read_counts
from app.features.stock_prediction.partitions import ensure_partitions
from tests.database import migrated_template, temporary_database

DAYS = 30
READS = 20
FILL = """
INSERT INTO prediction_log (answered_at, id, route, latency_ms)
SELECT %(now)s - (%(rows)s - row) * interval '30 days' / %(rows)s, gen_random_uuid(), '/predict/{ticker:path}',
       exp(1.0 + sqrt(-2 * ln(1 - random())) * cos(6.283 * random()))
FROM generate_series(1, %(rows)s) AS row
"""


def main() -> int:
    """Fill, count, read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with temporary_database(migrated_template()) as url:
        asyncio.run(measure(url, rows))
    return 0


async def measure(url: str, rows: int) -> None:
    """Print what was found."""
    now = datetime.now(UTC)
    engine = create_engine(Settings(_env_file=None, database_url=SecretStr(url)))
    sessions = session_factory(engine)
    async with sessions() as db:
        await ensure_partitions(db, now)
        await ensure_partitions(db, now - timedelta(days=DAYS))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL, {"now": now, "rows": rows})
        connection.execute("ANALYZE prediction_log")
    started = time.perf_counter()
    counted = await count_answers(WorkerTools(Settings(_env_file=None), sessions, clock=lambda: now))
    print(f"counted {counted:,} of {rows:,} rows in {time.perf_counter() - started:.0f} s, once")
    seconds = []
    for _ in range(READS):
        started = time.perf_counter()
        async with sessions() as db:
            counts = await read_counts(db, now)
        seconds.append(time.perf_counter() - started)
    found = counts.all_time.answered
    print(f"read in {1000 * median(seconds):.0f} ms (median of {READS}), {1000 * max(seconds):.0f} ms at most")
    p50, p99 = (found.percentile_ms(share) for share in (0.5, 0.99))
    print(f"all time: {found.answers:,} answers, p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    await engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
