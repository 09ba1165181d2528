"""How scoring one day, and telling the track record, grow with all history: the same tickers, ever more scores.

    python -m benchmarks.truth.growth --scores 1000000 10000000 --tickers 500

The figures of docs/track-record.md come from here. Each history is made in a database of its own at the schema before
the lists and sums that triggers keep, so that the migration is timed too. Forecasts that are scored to the end are made
without their quantiles, which nothing here reads.
"""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import psycopg
from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.core.migrations import upgrade
from app.features.registry.crud import live_figures
from app.features.track_record import service
from app.features.track_record.recount import recount
from app.models.forecast import Forecast
from app.models.score import OpenForecast, Score, TickerScoreDay, TickerScoreSum
from app.models.serving_window import ServingWindowRow
from ml_lifecycle.export.manifest import STEPS
from tests.app.features.track_record.truth import Truth, windows_at
from tests.database import temporary_database

BEFORE = "0010"
REPEATS = 15
FROZEN = 2_000

# Without triggers and checks of keys: what is made here is whole.
FILLING = "SET session_replication_role = replica; SET work_mem = '256MB'; ALTER TABLE scores DROP CONSTRAINT pk_scores"
FILLED = "ALTER TABLE scores ADD CONSTRAINT pk_scores PRIMARY KEY (forecast_id, step)"
OPEN = """
INSERT INTO forecasts (id, ticker, cutoff, {others})
SELECT gen_random_uuid(), name.ticker, one.days[array_length(one.days, 1) - back.bars], {others}
FROM forecasts, (SELECT array_agg(day ORDER BY day) AS days FROM unnest(CAST(%(days)s AS date[])) AS day) AS one,
     (SELECT 'T' || n AS ticker FROM generate_series(1, %(tickers)s) AS n) AS name, generate_series(1, 29) AS back(bars)
WHERE forecasts.ticker = 'AAPL'
"""
FINISHED = """
INSERT INTO forecasts (id, ticker, cutoff, log_returns, naive_log_returns, {others})
SELECT gen_random_uuid(), 'T' || n, CAST(%(oldest)s AS date) - back, '{{{{0}}}}', NULL, {others}
FROM forecasts, generate_series(1, %(tickers)s) AS n, generate_series(1, %(finished)s) AS back
WHERE forecasts.ticker = 'AAPL'
"""
SCORES = """
INSERT INTO scores (forecast_id, step, status, trading_day, data_table_id, data_version, log_return, absolute_error,
    naive_absolute_error, pinball, naive_pinball, direction_hit, inside_50, inside_80, inside_90, inside_95,
    naive_inside_50, naive_inside_80, naive_inside_90, naive_inside_95)
SELECT id, step, 'scored', cutoff + step, data_table_id, 1, x, abs(x) * y, abs(x), abs(x) * y / 3, abs(x) / 3, y < 1,
    y < 1, y < 1.6, y < 1.8, y < 1.9, y < 1, y < 1.6, y < 1.8, y < 1.9
FROM (SELECT id, cutoff, data_table_id, step, random() - 0.5 AS x, 2 * random() AS y FROM forecasts,
      LATERAL generate_series(1, CASE WHEN cutoff < CAST(%(oldest)s AS date) THEN 30 ELSE cardinality(array(
          SELECT day FROM unnest(CAST(%(days)s AS date[])) AS day WHERE day > cutoff)) END) AS step
      WHERE ticker <> 'AAPL') AS made
ORDER BY cutoff + step
"""
SUMS_OF_DAYS = """
INSERT INTO score_days (kind, bundle_id, step, trading_day, n, voids, absolute_error, naive_absolute_error, pinball,
    compared, compared_pinball, naive_pinball, directions, direction_hits, inside_50, inside_80, inside_90, inside_95)
SELECT kind, bundle_id, step, trading_day, count(*), 0, sum(absolute_error), sum(naive_absolute_error), sum(pinball),
    count(*), sum(pinball), sum(naive_pinball), count(*), count(*) FILTER (WHERE direction_hit),
    count(*) FILTER (WHERE inside_50), count(*) FILTER (WHERE inside_80),
    count(*) FILTER (WHERE inside_90), count(*) FILTER (WHERE inside_95)
FROM scores JOIN forecasts ON forecasts.id = forecast_id GROUP BY kind, bundle_id, step, trading_day
"""
GONE_THROUGH = """
INSERT INTO scored_series (ticker, data_table_id, data_version, at)
SELECT ticker, data_table_id, data_version, now() FROM serving_windows
"""

# One link over all of it, which nobody verifies: sealing goes by days, and is measured by `benchmarks.truth.run`.
SEALED = """
WITH link AS (
    INSERT INTO chain_days (day, previous, n_forecasts, leaves, head)
    SELECT max(made_at)::date, '', 0, '', 'made up' FROM forecasts RETURNING day, head
) INSERT INTO chain_seals (day, head) SELECT day, head FROM link
"""


async def measure(settings: Settings, url: str, *, scores: int, tickers: int) -> dict[str, float]:
    """Seconds by what was done."""
    engine = create_engine(settings)
    truth = Truth(settings, session_factory(engine))
    early, late = windows_at([329, 330])
    await truth.publish(early)
    await truth.freeze(await truth.champion())
    finished = max(1, scores // STEPS // tickers)
    _fill(url, [day.item() for day in early.bars.trading_day[-30:]], tickers, finished)
    took = {}
    started = perf_counter()
    await asyncio.to_thread(upgrade, url)
    took["migration"] = perf_counter() - started
    _at_once(url, "ANALYZE")
    await _tell_sizes(truth)
    took |= await _ask(truth, tickers)
    await truth.publish(late)
    _copy_window(url, tickers)
    for name in ("one day scored", "nothing new"):
        started = perf_counter()
        run = await service.score_final_steps(truth.tools)
        took[name] = perf_counter() - started
        print(f"  {name}: {run.scored} steps")
    took["all sums counted anew"] = await _recounting(truth.tools.sessions)
    took["freezing one"], took["without trigger"] = await _freezing(truth)
    await engine.dispose()
    return took


def _fill(url: str, days: Sequence[date], tickers: int, finished: int) -> None:
    """Forecasts that are scored to the end, and of each of the last 29 days one that is open; their windows."""
    frozen = {column.name for column in Forecast.__table__.columns} - {"id", "ticker", "cutoff"}
    whole, short = ", ".join(frozen), ", ".join(frozen - {"log_returns", "naive_log_returns"})
    made = (FILLING, OPEN.format(others=whole), FINISHED.format(others=short), SCORES, FILLED, SUMS_OF_DAYS, "ANALYZE")
    _at_once(url, *made, days=list(days), oldest=days[0], tickers=tickers, finished=finished)
    _copy_window(url, tickers)
    _at_once(url, GONE_THROUGH, SEALED)


def _copy_window(url: str, tickers: int) -> None:
    names = ", ".join({column.name for column in ServingWindowRow.__table__.columns} - {"id", "ticker"})
    copies = (
        f"INSERT INTO serving_windows (id, ticker, {names}) "  # noqa: S608 (our own names)
        f"SELECT gen_random_uuid(), 'T' || n, {names} FROM serving_windows, generate_series(1, %(tickers)s) AS n "
        "WHERE ticker = 'AAPL'"
    )
    _at_once(url, "DELETE FROM serving_windows WHERE ticker <> 'AAPL'", copies, tickers=tickers)


def _at_once(url: str, *statements: str, **told: object) -> None:
    """On a connection of its own: the pool's have deadlines."""
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement, told if "%(" in statement else None)


async def _tell_sizes(truth: Truth) -> None:
    async with truth.tools.sessions() as db:
        rows = (await db.execute(select(func.count()).select_from(Score))).scalar_one()
        for model in (Score, TickerScoreDay, TickerScoreSum, OpenForecast):
            size = (await db.execute(select(func.pg_total_relation_size(model.__tablename__)))).scalar_one()
            print(f"  {model.__tablename__}: {size / rows:.0f} bytes a score, indexes included")


async def _ask(truth: Truth, tickers: int) -> dict[str, float]:
    """The routes' functions, each with a session of its own, as the median of some calls."""
    now = datetime.now(UTC)
    champion = await truth.champion()
    names = [f"T{n}" for n in range(1, tickers + 1)]

    async def page(db: AsyncSession, window: Any, turn: int) -> None:
        wish = service.RecordWish(window, None, None, names[turn], 50)
        await service.track_record(db, wish, served_bundle_id=champion.bundle_id, now=now)

    async def ticker(db: AsyncSession, window: Any, turn: int) -> None:
        await service.ticker_track_record(db, names[turn], window=window, horizon=None, now=truth.now)

    async def skill(db: AsyncSession, _window: Any, _turn: int) -> None:
        await live_figures(db, [champion.bundle_id])

    asked: dict[str, tuple[Callable[..., Awaitable[None]], Any]] = {
        "/track-record": (page, "all"),
        "/track-record?window=365": (page, "365"),
        "/track-record/{ticker}": (ticker, "all"),
        "/track-record/{ticker}?window=90": (ticker, "90"),
        "live skill of the served bundle": (skill, None),
    }
    return {name: await _median(truth, call, window) for name, (call, window) in asked.items()}


async def _recounting(sessions: async_sessionmaker[AsyncSession]) -> float:
    """As `closecast verify-log` does, behind the chain."""
    started = perf_counter()
    recounted = await recount(sessions)
    took = perf_counter() - started
    if recounted.findings:
        raise SystemExit(f"counted anew: {recounted.findings[0]}")
    return took


async def _median(truth: Truth, call: Callable[..., Awaitable[None]], window: Any) -> float:
    took = []
    for turn in range(REPEATS):
        async with truth.tools.sessions() as db:
            started = perf_counter()
            await call(db, window, turn)
            took.append(perf_counter() - started)
    return median(took)


async def _freezing(truth: Truth) -> tuple[float, float]:
    """Seconds for one forecast's row, with the trigger that puts it on the list, and without; in turns."""
    names = ", ".join(column.name for column in Forecast.__table__.columns if column.name not in {"id", "ticker"})
    insert = text(
        f"INSERT INTO forecasts (id, ticker, {names}) SELECT gen_random_uuid(), :ticker, {names} "  # noqa: S608 (as above)
        "FROM forecasts WHERE ticker = 'AAPL'"
    )
    took: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    for turn in range(FROZEN // 100):
        for how, each in took.items():
            async with truth.tools.sessions() as db:
                await db.execute(text(f"ALTER TABLE forecasts {how} TRIGGER forecasts_are_open_at_first"))
                for n in range(100):
                    started = perf_counter()
                    await db.execute(insert, {"ticker": f"{how}{turn}-{n}"})
                    each.append(perf_counter() - started)
                await db.commit()
    async with truth.tools.sessions() as db:
        await db.execute(text("ALTER TABLE forecasts ENABLE TRIGGER forecasts_are_open_at_first"))
        await db.commit()
    return median(took["ENABLE"]), median(took["DISABLE"])


def main() -> None:
    """Measure each size, then print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--tickers", type=int, default=500)
    told = parser.parse_args()
    columns = []
    for scores in told.scores:
        with temporary_database() as url, TemporaryDirectory() as home:
            upgrade(url, BEFORE)
            secret = SecretStr("a-benchmark-key-of-3f9c1e77b2d04a68-characters")
            settings = Settings(_env_file=None, home=Path(home), database_url=SecretStr(url), jwt_secret=secret)
            started = perf_counter()
            print(f"{scores} scores:")
            columns.append(asyncio.run(measure(settings, url, scores=scores, tickers=told.tickers)))
            print(f"  {perf_counter() - started:.0f} s in all, load average {os.getloadavg()[0]:.1f}")
    print(f"{'milliseconds at':34}" + "".join(f"{scores:>14,}" for scores in told.scores))
    for name in columns[0]:
        print(f"{name:34}" + "".join(f"{1000 * column[name]:14.2f}" for column in columns))


if __name__ == "__main__":
    main()
