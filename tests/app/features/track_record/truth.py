"""Frozen forecasts and the bars that came after them, without HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import connection_string
from app.core.jobs import WorkerTools
from app.features.market_data.service import publish_windows, read_window
from app.features.registry.champion import Champion, ChampionHolder
from app.features.registry.service import ensure_reference_champion
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import forecast_values
from app.features.track_record.learning import alphas_in_use
from app.models.forecast import Forecast
from data_pipeline.serving_window import DataVersion, ServingWindow
from tests.app.windows import make_window


def version(number: int) -> DataVersion:
    """A data version of the table that all windows here are from."""
    return DataVersion(table_id="test-table", version=number, content_sha256=f"{number:064d}")


def windows_at(
    n_bars: Sequence[int], ticker: str = "AAPL", *, live: bool = True, seed: int = 7, whole: int = 330
) -> list[ServingWindow]:
    """The windows of one ticker when so many of its bars had come, each of a data version of its own, from 1 on."""
    last = make_window(ticker, whole, live=live, seed=seed)
    found = []
    for number, n in enumerate(n_bars, start=1):
        day = last.bars.trading_day[n - 1]
        targets = tuple(np.busday_offset(day, np.arange(1, 31)).tolist())
        opens_at = datetime(targets[0].year, targets[0].month, targets[0].day, 14, 30, tzinfo=UTC)
        known_at = tuple(datetime(t.year, t.month, t.day, 22, tzinfo=UTC) for t in targets)
        window = replace(last, bars=last.bars[:n], data_version=version(number), target_trading_days=targets)
        found.append(replace(window, opens_at=opens_at, known_at=known_at))
    return found


class Truth:
    """One installation whose clock the test sets."""

    def __init__(self, settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> None:
        self.now = datetime(2013, 1, 1, tzinfo=UTC)
        self.tools = WorkerTools(settings, sessions, clock=lambda: self.now)

    async def champion(self) -> Champion:
        """What is served; the reference where nothing else was promoted."""
        holder = ChampionHolder(self.tools.sessions, self.tools.settings)
        async with self.tools.sessions() as db:
            await ensure_reference_champion(db, self.tools.settings)
        await holder.reload()
        return holder.serving(datetime.now(UTC))

    async def publish(self, *windows: ServingWindow) -> None:
        """Have the newest bars come; the clock stands an hour before the next opening."""
        async with self.tools.sessions() as db:
            await publish_windows(db, windows)
        self.now = max(window.opens_at for window in windows) - timedelta(hours=1)

    async def freeze(self, champion: Champion, ticker: str = "AAPL") -> Forecast:
        """What a process would freeze now."""
        async with self.tools.sessions() as db:
            alphas = await alphas_in_use(db, champion.bundle, [ticker])
            values = forecast_values(champion, await read_window(db, ticker), self.now, alphas)
            frozen = await crud.freeze_forecast(db, values)
            await db.commit()
            return frozen

    def days_later(self, days: int) -> date:
        """Set the clock forward."""
        self.now += timedelta(days=days)
        return self.now.date()


def note_transactions(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *functions: tuple[object, str]
) -> dict[str, int]:
    """By name of a function, how many transactions were open when it was last called; filled by its calls."""
    seen: dict[str, int] = {}
    counted = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
    )

    def noting(name: str, called: Callable[..., object]) -> Callable[..., object]:
        def noted(*args: object, **named: object) -> object:
            with psycopg.connect(connection_string(settings)) as connection:
                ((seen[name],),) = connection.execute(counted).fetchall()
            return called(*args, **named)

        return noted

    for owner, name in functions:
        monkeypatch.setattr(owner, name, noting(name, getattr(owner, name)))
    return seen
