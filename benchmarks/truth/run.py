"""How long scoring takes: so many tickers, all 30 steps of one forecast each, in a database of its own.

    python -m benchmarks.truth.run --tickers 10000

The figures of docs/track-record.md come from here. The database is made in a temporary folder and deleted.
"""

import argparse
import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from pydantic import SecretStr
from sqlalchemy import func, select, text

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.features.track_record.chain import verify_chain
from app.features.track_record.service import score_final_steps
from app.models.forecast import Forecast
from app.models.score import Score
from app.models.serving_window import ServingWindowRow
from tests.app.features.track_record.truth import Truth, windows_at
from tests.database import migrated_template, temporary_database

COPIES = 500  # in one statement, far within its deadline


async def measure(settings: Settings, tickers: int) -> None:
    """Print what scoring, and verifying, takes."""
    engine = create_engine(settings)
    truth = Truth(settings, session_factory(engine))
    early, late = windows_at([300, 330])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    await truth.publish(late)
    await _copy(truth, tickers)
    started, worked = perf_counter(), process_time()
    run = await score_final_steps(truth.tools)
    took, worker = perf_counter() - started, process_time() - worked
    print(f"{tickers} tickers, {run.scored} steps: {took:.1f} s, of which the worker computes {worker:.1f} s")
    started = perf_counter()
    again = await score_final_steps(truth.tools)
    print(f"nothing new ({again.scored} steps): {perf_counter() - started:.1f} s")
    started = perf_counter()
    verified = await verify_chain(truth.tools.sessions)
    print(
        f"{verified.forecasts} forecasts verified: {perf_counter() - started:.1f} s, {len(verified.findings)} findings"
    )
    async with truth.tools.sessions() as db:
        rows = await db.scalar(select(func.count()).select_from(Score))
        size = await db.scalar(text("SELECT pg_total_relation_size('scores')"))
    print(f"{size / rows:.0f} bytes a score, indexes included")
    await engine.dispose()


async def _copy(truth: Truth, tickers: int) -> None:
    """The one window and forecast under other names."""
    for first in range(1, tickers, COPIES):
        async with truth.tools.sessions() as db:
            for model in (ServingWindowRow, Forecast):
                names = (column.name for column in model.__table__.columns)
                others = ", ".join(name for name in names if name not in {"id", "ticker"})
                await db.execute(
                    text(
                        f"INSERT INTO {model.__tablename__} (id, ticker, {others}) "  # noqa: S608 (our own names)
                        f"SELECT gen_random_uuid(), 'T' || n, {others} FROM {model.__tablename__}, "
                        "generate_series(CAST(:first AS int), CAST(:last AS int)) AS n WHERE ticker = 'AAPL'"
                    ),
                    {"first": first, "last": min(first + COPIES, tickers) - 1},
                )
            await db.commit()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=10_000)
    told = parser.parse_args()
    with temporary_database(migrated_template()) as url, TemporaryDirectory() as home:
        secret = SecretStr("a-benchmark-key-of-3f9c1e77b2d04a68-characters")
        settings = Settings(_env_file=None, home=Path(home), database_url=SecretStr(url), jwt_secret=secret)
        asyncio.run(measure(settings, told.tickers))


if __name__ == "__main__":
    main()
