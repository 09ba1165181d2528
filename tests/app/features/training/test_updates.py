"""The champion's update as it was asked for over HTTP: which bars it is given, and which configuration."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.collecting import collect_tickers
from app.features.training import run_update
from data_pipeline.sources import yfinance_state
from data_pipeline.sources.sample_source import SampleSource
from ml_lifecycle.training.config import load_config
from tests.app import networks
from tests.app.accounts import Account
from tests.fake_yahoo import FakeYahoo, Listing

NEWER = 60  # bars that Yahoo has since
LISTING = Listing.of(SampleSource().fetch_bars("AAPL", None, None))


@pytest.fixture
def yahoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeYahoo]:
    """Yahoo as it was when the champion was trained."""
    yfinance_state.forget_client()
    with FakeYahoo(tmp_path) as fake:
        for name, value in fake.environment().items():
            for spelled in (name, name.lower()):
                monkeypatch.setenv(spelled, value)
        fake.listings["AAPL"] = replace(LISTING, bars=LISTING.bars[:-NEWER])
        yield fake
    yfinance_state.forget_client()


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was to be trained on what; training itself is that of `closecast train` (test_updating)."""
    asked: list[Any] = []

    def keep(_settings: Settings, _asked: Any, config: Any, bars: Any, _emit: Any, **_: Any) -> dict[str, Any]:
        asked.append((config, bars))
        return {}

    monkeypatch.setattr(run_update, "train_and_export", keep)
    return asked


async def spec_of_update(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession, body: dict[str, Any]
) -> dict[str, Any]:
    """What the job of `POST /train/update` is told; the job itself is cancelled."""
    answer = await client.post("/train/update", json=body, headers=trainer.headers)
    assert answer.status_code == 202, answer.text
    await client.delete(answer.headers["location"], headers=trainer.headers)
    newest = "SELECT spec FROM training_jobs ORDER BY created_at DESC LIMIT 1"
    spec: dict[str, Any] = await db.scalar(text(newest))
    return {**spec, "job_id": answer.json()["job_id"], "work_dir": "x"}


async def test_force_download_collects_again_and_a_period_is_learnt_from(
    client: httpx.AsyncClient,
    trainer: Account,
    db: AsyncSession,
    settings: Settings,
    yahoo: FakeYahoo,
    trained: list[Any],
) -> None:
    """Newer bars are stored, published, and given to the training; without it, and without new ones, nothing is."""
    content = load_config("closes", gate_days=7).model_dump(mode="json")
    folder = networks.write_network(settings.bundles, config=content, tickers=["AAPL"])
    await networks.promote(db, await networks.register(db, folder))
    await asyncio.to_thread(collect_tickers, settings, ["AAPL"])
    yahoo.listings["AAPL"] = LISTING
    quiet = SimpleNamespace(log=lambda _: None, progress=lambda **_: None)

    asked_before = len(yahoo.asked("prices"))
    for body in ({}, {"period": "30d", "force_download": True}):
        spec = await spec_of_update(client, trainer, db, body)
        told = await asyncio.to_thread(run_update.run, settings, spec, quiet)
        assert told == {"updated_from": folder.name}
        if not body:
            assert len(yahoo.asked("prices")) == asked_before

    (plain, old_bars), (month, new_bars) = trained
    assert len(yahoo.asked("prices")) > asked_before
    assert len(new_bars.by_ticker["AAPL"]) == len(old_bars.by_ticker["AAPL"]) + NEWER == len(LISTING.bars)
    assert new_bars.version.version == old_bars.version.version + 1
    assert (plain.train_period, month.train_period) == (None, "30d")
    assert plain.gate_days == month.gate_days == settings.gate_days  # not the seven that it was trained with
    published = await db.scalar(text("SELECT cutoff FROM serving_windows WHERE ticker = 'AAPL'"))
    assert published == LISTING.bars.index[-1].date() == date(2013, 3, 1)


async def test_what_is_no_period_is_refused_at_once(client: httpx.AsyncClient, trainer: Account) -> None:
    for period in ("0d", "30", "30 days", "1.5y", "", "99999d", 30):
        answer = await client.post("/train/update", json={"period": period}, headers=trainer.headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), period
        assert "period" in answer.text
