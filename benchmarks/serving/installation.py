"""What the servers need: a migrated PostgreSQL, a champion, published windows of made-up bars, accounts with tokens."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
from psycopg import sql
from pydantic import SecretStr

from app.config import Settings
from app.core.security import Tokens, tokens_from
from app.supervisor.environment import as_environment
from app.supervisor.home import hold
from app.supervisor.postgres import EmbeddedPostgres
from app.supervisor.preparation import prepare_database
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import PUBLISHED_DAYS, DataVersion, ServingWindow

N_BARS = 1_300  # some five years, as the worker publishes them
TOKEN_LIFETIME = timedelta(hours=2)
SECRET = "5f0c1d3a9be24786a1f7c3d2e4b60918"  # noqa: S105 (a server for minutes on this machine's own loopback)
UNLIMITED = 1_000_000_000
TRAINING_TICKERS = "AAPL,GOOG,IBM,MSFT"  # of the packaged sample


@dataclass(frozen=True)
class Installation:
    """A prepared home whose database runs."""

    settings: Settings
    tickers: Sequence[str]
    tokens: Sequence[str]

    @property
    def database_url(self) -> str:
        """The embedded PostgreSQL."""
        assert self.settings.database_url is not None
        return self.settings.database_url.get_secret_value()

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a child process."""
        return {**os.environ, **as_environment(self.settings), **more}


@contextmanager
def installed(home: Path, *, bundle: Path | None, tickers: int, accounts: int) -> Iterator[Installation]:
    """A running database with everything in it; stopped on leaving, the folder is kept for the next run.

    Parameters
    ----------
    bundle : the network to serve; None: a small one is trained on the packaged sample, once.
    tickers, accounts : how many there are.
    """
    settings = Settings(
        _env_file=None,
        home=home.resolve(),
        jwt_secret=SecretStr(SECRET),
        log_requests=False,
        log_level="WARNING",
        sources=["sample"],
        burst_per_second=UNLIMITED,  # the limits are counted as ever, and never reached
        forecasts_per_day=UNLIMITED,
    )
    with hold(settings.home):
        server = EmbeddedPostgres(settings.home / "postgres")
        server.start()
        try:
            settings = settings.model_copy(update={"database_url": SecretStr(server.url())})
            prepare_database(settings)
            names = [f"T{number:05d}" for number in range(tickers)]
            folder = bundle or _trained(settings)
            tokens = asyncio.run(_fill(settings, folder, names, accounts))
            yield Installation(settings, names, tokens)
        finally:
            server.stop()


def _trained(settings: Settings) -> Path:
    """The network of a former run in this home, or a new one: half a minute."""
    manifests = settings.bundles.glob("*/manifest.json")
    known = [found.parent for found in manifests if (found.parent / "network.onnx").is_file()]
    if known:
        return known[0]
    environment = {**os.environ, **as_environment(settings)}
    for command in (
        ["collect", *TRAINING_TICKERS.split(","), "--source", "sample"],
        ["train", "--config", "demo", "--tickers", TRAINING_TICKERS],
    ):
        subprocess.run([sys.executable, "-m", "cli", *command], env=environment, check=True, stdout=sys.stderr)
    return _trained(settings)


async def _fill(settings: Settings, bundle: Path, names: Sequence[str], accounts: int) -> list[str]:
    from sqlalchemy import delete

    from app.features.market_data.service import publish_windows
    from app.features.registry import crud as registry
    from app.features.registry.promotion import force
    from app.features.registry.service import register_bundle
    from app.models.serving_window import ServingWindowRow
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        await db.execute(delete(ServingWindowRow))  # the shares that the network learnt from are not measured
        bundle_id = await register_bundle(db, bundle)
        if (await registry.newest_promotions(db, limit=1))[0].bundle_id != bundle_id:
            await force(db, bundle_id, reason="benchmark", by="benchmark")
        for first in range(0, len(names), 100):
            await publish_windows(db, [made_up_window(name) for name in names[first : first + 100]])
        return [await _signed_in(db, tokens_from(settings), number) for number in range(accounts)]


async def _signed_in(db: object, tokens: Tokens, number: int) -> str:
    """A token of one account, as signing in gives it; without the password, whose hashing is not measured here."""
    from sqlalchemy import select
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.models.token import SignIn
    from app.models.user import Scope, User

    assert isinstance(db, AsyncSession)
    email = f"benchmark-{number}@example.org"
    user = await db.scalar(select(User).where(User.email == email))
    if user is None:
        user = User(email=email, password_hash="none", scopes=[Scope.PREDICT])  # noqa: S106 (nobody signs in with it)
        db.add(user)
        await db.flush()
    sign_in = SignIn(user_id=user.id)
    db.add(sign_in)
    await db.commit()
    return tokens.sign("access", user_id=user.id, sign_in_id=sign_in.id, lifetime=TOKEN_LIFETIME)


def made_up_window(ticker: str, *, n_bars: int = N_BARS, cutoff: date | None = None) -> ServingWindow:
    """A live, fresh window of a random walk that depends on the ticker alone."""
    now = datetime.now(UTC)
    last = np.busday_offset(np.datetime64(cutoff or now.date() - timedelta(days=1), "D"), 0, roll="backward")
    days = np.busday_offset(last, np.arange(1 - n_bars, 1))
    random = np.random.default_rng([ord(letter) for letter in ticker])
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, n_bars)))
    spread = np.exp(np.abs(random.normal(0, 0.005, n_bars)))
    bars = BarArrays(
        trading_day=days,
        open=close * np.exp(random.normal(0, 0.002, n_bars)),
        high=close * spread,
        low=close / spread,
        close=close,
        adj_close=close * 0.9,
        volume=np.exp(random.normal(14, 0.3, n_bars)),
    )
    targets = tuple(np.busday_offset(last, np.arange(1, PUBLISHED_DAYS + 1)).tolist())
    known_at = tuple(now + timedelta(days=day, hours=12) for day in range(PUBLISHED_DAYS))
    return ServingWindow(
        ticker=ticker,
        exchange="XNYS",
        currency="USD",
        source="yfinance",
        live=True,
        price_basis="split_adjusted",
        bars=bars,
        target_trading_days=targets,
        opens_at=known_at[0] - timedelta(hours=8),
        known_at=known_at,
        data_version=DataVersion(table_id="benchmark", version=1, content_sha256="0" * 64),
        repaired_bars=0,
    )


def copy_windows(installation: Installation, tickers: Sequence[str]) -> None:
    """Store the first ticker's window under more names, without building them one by one."""
    with psycopg.connect(installation.database_url) as connection:
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'serving_windows' AND column_name NOT IN ('id', 'ticker')"
        ).fetchall()
        columns = sql.SQL(", ").join(sql.Identifier(str(name)) for (name,) in found)
        copy = sql.SQL(
            "INSERT INTO serving_windows (id, ticker, {0}) SELECT gen_random_uuid(), name, {0} "
            "FROM serving_windows, unnest(%s::text[]) AS name WHERE ticker = %s ON CONFLICT DO NOTHING"
        )
        connection.execute(copy.format(columns), (list(tickers), installation.tickers[0]))


def drop_windows(installation: Installation, tickers: Sequence[str]) -> None:
    """Delete windows; what was forecast from them stays."""
    with psycopg.connect(installation.database_url) as connection:
        connection.execute("DELETE FROM serving_windows WHERE ticker = ANY(%s)", (list(tickers),))
