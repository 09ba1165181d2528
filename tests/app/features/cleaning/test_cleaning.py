"""The clean-up deletes what is old and referred to by nothing, tells it beforehand, and may be killed."""

import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest
from procrastinate import JobContext
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import CHALLENGE, WorkerTools, defer
from app.features.cleaning import tasks
from app.features.cleaning.bundles import Bundles
from app.features.cleaning.items import Kind, Workplace
from app.features.cleaning.runs import Runs
from app.features.cleaning.service import Cleaned, clean_up
from app.features.market_data.crud import add_data_version
from app.features.registry import crud as registry_crud
from app.features.registry import promotion, service, shadows
from app.models.challenge import Challenge
from app.models.forecast import Forecast
from app.models.promotion import BundleRow
from app.models.score import Score, ScoredSeries
from app.models.training_job import TrainingJob, TrainingJobEvent
from data_pipeline.errors import UnknownDataVersionError
from data_pipeline.serving_window import DataVersion
from data_pipeline.storage.feature_store import FeatureStore
from tests.app.freezing import freeze
from tests.app.windows import make_window
from tests.data_pipeline.storage.rows import make_rows

DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11)]
LONG_AGO = timedelta(days=200)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Bundles of this test's own, and no MLflow."""
    return settings.model_copy(
        update={"bundle_dir": tmp_path / "bundles", "tracking": False, "log_retention_months": 2}
    )


@pytest.fixture
def at(db: AsyncSession, settings: Settings) -> Workplace:
    """Now."""
    return Workplace(db, settings, datetime.now(UTC))


async def add_bundle(
    db: AsyncSession, settings: Settings, name: str, *, version: int | None = None, old: bool = True, **manifest: object
) -> str:
    """A registered network with a folder; what it forecasts is of no interest here."""
    bundle_id = name.ljust(64, "0")
    data = None if version is None else {"version": version}
    at = datetime.now(UTC) - (LONG_AGO if old else timedelta())
    db.add(
        BundleRow(
            id=bundle_id,
            kind="network",
            created_at=at,
            registered_at=at,
            manifest={"data_version": data, "input_kind": "ohlcv", "history_needed": 60, **manifest},
        )
    )
    await db.commit()
    (settings.bundles / bundle_id).mkdir(parents=True)
    (settings.bundles / bundle_id / "network.onnx").write_bytes(b"x" * 1000)
    return bundle_id


async def add_forecast(
    sessions: async_sessionmaker[AsyncSession], settings: Settings, bundle_id: str, ticker: str, *, scored: bool
) -> None:
    """A frozen forecast of a bundle, on data version 0."""
    window = make_window(ticker)
    like = await freeze(sessions, settings, window)
    async with sessions() as db:
        columns = {column.key: getattr(like, column.key) for column in Forecast.__table__.columns}
        forecast = Forecast(**{**columns, "id": uuid4(), "bundle_id": bundle_id, "data_version": 7})
        db.add(forecast)
        await db.flush()
        if scored:
            day = forecast.target_trading_days[-1]
            for each in (like.id, forecast.id):
                db.add(
                    Score(forecast_id=each, step=30, status="void", trading_day=day, data_table_id="t", data_version=1)
                )
        await db.execute(text("DELETE FROM serving_windows"))
        await db.commit()


def age(settings: Settings, days: int) -> None:
    """Put back the instants in the store's log, as if every version had been written so long ago."""
    for file in Path(settings.bars_uri, "bars", "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            for part, field in (("commitInfo", "timestamp"), ("remove", "deletionTimestamp")):
                if part in line:
                    line[part][field] -= days * 86_400_000
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def names(done: Cleaned, kind: Kind) -> list[str]:
    return [item.name for item in done.items if item.kind == kind]


async def test_a_dry_run_tells_exactly_what_the_next_run_deletes(at: Workplace, settings: Settings) -> None:
    """One of each kind; the second real run finds nothing left."""
    store = FeatureStore(settings.bars_uri)
    versions = [store.merge(make_rows("AAA", DAYS, [price] * 8)).version for price in (1.0, 2.0, 3.0, 4.0)]
    age(settings, 100)
    unused = await add_bundle(at.db, settings, "aa", version=versions[2])
    young = await add_bundle(at.db, settings, "bb", version=versions[1], old=False)
    job = TrainingJob(kind="train", reason="a test", spec={}, status="succeeded", finished_at=at.now - LONG_AGO)
    at.db.add(job)
    await at.db.flush()
    for seq, kind in enumerate(("status", "progress", "log", "status"), start=1):
        at.db.add(TrainingJobEvent(job_id=job.id, seq=seq, kind=kind, payload={}))
    await at.db.execute(
        text(
            "CREATE TABLE prediction_log_2020_01 PARTITION OF prediction_log "
            "FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')"
        )
    )
    await at.db.commit()
    dead, finished, fresh = [settings.home / "checkpoints" / name for name in ("dead", "finished", "fresh")]
    for folder in (dead, finished, fresh):
        folder.mkdir(parents=True)
        (folder / "state.npz").write_bytes(b"y" * 10)
    (finished / "checkpoint.json").write_text("{}")
    for path in (dead / "state.npz", dead, finished / "checkpoint.json", finished / "state.npz", finished):
        os.utime(path, (0, 0))

    told = await clean_up(at, dry_run=True)
    before = store.read_bar_arrays("AAA", versions[2]).close[0]
    done = await clean_up(at, dry_run=False)
    again = await clean_up(at, dry_run=False)

    # The bars that only the deleted bundle named are free once it is gone: told the next time.
    assert done == told
    assert [item.kind for item in again.items] == [Kind.BARS]
    assert before == 3.0
    assert names(done, Kind.BUNDLE) == [unused]
    assert len(names(done, Kind.BARS)) == 1
    assert store.read_bar_arrays("AAA", versions[1]).close[0] == 2.0
    assert store.read_bar_arrays("AAA").close[0] == 4.0
    for gone in (versions[0], versions[2]):
        with pytest.raises((UnknownDataVersionError, FileNotFoundError)):
            store.read_bar_arrays("AAA", gone)
    assert names(done, Kind.JOB_EVENTS) == [str(job.id)]
    kinds = (await at.db.scalars(select(TrainingJobEvent.kind).where(TrainingJobEvent.job_id == job.id))).all()
    assert kinds == ["status", "status"]
    assert names(done, Kind.LOG) == ["prediction_log_2020_01"]
    assert await at.db.scalar(text("SELECT to_regclass('prediction_log_2020_01')")) is None
    assert names(done, Kind.CHECKPOINT) == [str(dead)]
    assert [dead.exists(), finished.exists(), fresh.exists()] == [False, True, True]
    row = await at.db.get(BundleRow, unused, populate_existing=True)
    assert row is not None
    assert row.files_deleted_at is not None
    assert sorted(path.name for path in settings.bundles.iterdir()) == [young]


async def test_a_bundle_that_anything_refers_to_stays(
    at: Workplace, settings: Settings, sessions: async_sessionmaker[AsyncSession]
) -> None:
    """Champion now or once, shadow now or once, challenger, challenged, waiting, awaited by a forecast, in a job."""
    db = at.db
    reference = await service.ensure_reference_champion(db, settings)
    kept = {
        name: await add_bundle(db, settings, f"{number:02x}ab")
        for number, name in enumerate(
            ("former", "champion", "shadow", "no shadow now", "challenger", "waiting", "awaited", "in a job"), start=1
        )
    }
    for name in ("former", "champion"):
        await promotion.force(db, kept[name], reason="a test", by="ann")
    for name, shadowing in (("shadow", True), ("no shadow now", True), ("no shadow now", False)):
        await shadows.decide(db, kept[name], shadowing=shadowing, reason=None, by="ann")
    db.add(Challenge(bundle_id=kept["challenger"], champion_id=reference, decided_by="ann", passed=False, verdict={}))
    await defer(db, CHALLENGE, lock="any", bundle_id=kept["waiting"], challenge_id=str(uuid4()), asked_by="ann")
    db.add(TrainingJob(kind="train", reason="a test", spec={"fine_tune": kept["in a job"][:12]}))
    await db.commit()
    await add_forecast(sessions, settings, kept["awaited"], "AAPL", scored=False)
    scored = await add_bundle(db, settings, "ffab")
    await add_forecast(sessions, settings, scored, "MSFT", scored=True)
    closes = await add_bundle(db, settings, "eeab", input_kind="closes")

    done = await clean_up(at, dry_run=False)

    assert names(done, Kind.BUNDLE) == [scored]
    left = {path.name for path in settings.bundles.iterdir()}
    assert left == {reference, closes, *kept.values()}  # `closes` answers clients that send closes


async def test_data_versions_that_anything_names_are_kept(
    at: Workplace, settings: Settings, sessions: async_sessionmaker[AsyncSession]
) -> None:
    """Bundle with files, forecast without its scores, published window, job under way; not a deleted bundle."""
    from app.features.cleaning import crud

    bundle = await add_bundle(at.db, settings, "aa", version=2)
    gone = await add_bundle(at.db, settings, "bb", version=3)
    await at.db.execute(update(BundleRow).where(BundleRow.id == gone).values(files_deleted_at=func.now()))
    at.db.add(TrainingJob(kind="train", reason="a test", spec={"data_version": 11}))
    await at.db.commit()
    await service.ensure_reference_champion(at.db, settings)
    await add_forecast(sessions, settings, bundle, "AAPL", scored=False)
    assert await crud.named_data_versions(at.db) == {1, 2, 7, 11}  # 1 is what `freeze` forecast from

    await freeze(sessions, settings, make_window("AAPL"))
    await at.db.execute(text("UPDATE serving_windows SET data_version = 13"))
    assert await crud.named_data_versions(at.db) == {1, 2, 7, 11, 13}


async def test_data_versions_that_scoring_has_yet_to_go_through_are_kept(
    at: Workplace, settings: Settings, sessions: async_sessionmaker[AsyncSession]
) -> None:
    """However long scoring stood still; not those before the forecast, gone through, or of a ticker all scored."""
    from app.features.cleaning import crud

    for ticker in ("AAPL", "NONE"):
        forecast = await freeze(sessions, settings, make_window(ticker))
    table_id, made_from = forecast.data_table_id, forecast.data_version
    at.db.add(
        Score(forecast_id=forecast.id, step=30, status="void", trading_day=DAYS[0], data_table_id="t", data_version=1)
    )
    for number, ticker in ((made_from - 1, "AAPL"), (20, "AAPL"), (22, "AAPL"), (24, "AAPL"), (26, "NONE")):
        await add_data_version(at.db, DataVersion(table_id, number, f"{number:064d}"), {ticker: {}})
    await at.db.commit()
    assert await crud.named_data_versions(at.db) == {made_from, 20, 22, 24}

    at.db.add(ScoredSeries(ticker="AAPL", data_table_id=table_id, data_version=20, at=at.now))
    at.db.add(ScoredSeries(ticker="NONE", data_table_id=table_id, data_version=made_from, at=at.now))
    await at.db.commit()
    assert await crud.named_data_versions(at.db) == {made_from, 20, 22, 24}  # 20: what scoring stands at

    await at.db.execute(update(ScoredSeries).where(ScoredSeries.ticker == "AAPL").values(data_version=24))
    assert await crud.named_data_versions(at.db) == {made_from, 24}


async def test_what_is_promoted_between_finding_and_deleting_stays(at: Workplace, settings: Settings) -> None:
    bundle = await add_bundle(at.db, settings, "aa")
    rule = Bundles()
    found = await rule.find(at)
    await promotion.force(at.db, bundle, reason="just now", by="ann")

    removed = await rule.remove(at, found)

    assert [item.name for item in found] == [bundle]
    assert removed == []
    assert (settings.bundles / bundle / "network.onnx").exists()


@pytest.mark.parametrize("broken", ["rename", "rmtree"])
async def test_a_deletion_that_broke_off_is_gone_on_with(
    at: Workplace, settings: Settings, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Killed once the row is marked, or half-way through the files: no half of a bundle is left under its name."""
    bundle = await add_bundle(at.db, settings, "aa")

    def kill(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path if broken == "rename" else shutil, broken, kill)
        with pytest.raises(KeyboardInterrupt):
            await clean_up(at, dry_run=False)
    await at.db.rollback()
    row = await at.db.get(BundleRow, bundle, populate_existing=True)
    assert row is not None
    assert row.files_deleted_at is not None

    done = await clean_up(at, dry_run=False)

    assert [(item.name, item.why) for item in done.items] == [(bundle, "its deletion broke off")]
    assert list(settings.bundles.iterdir()) == []


async def test_a_bundle_that_is_registered_again_has_its_files(at: Workplace, settings: Settings) -> None:
    """The same training gives the same id: its folder, written anew, is not taken for one to delete."""
    reference = await service.ensure_reference_champion(at.db, settings)
    await at.db.execute(update(BundleRow).values(files_deleted_at=func.now()))
    await at.db.commit()

    await service.register_bundle(at.db, settings.bundles / reference)

    row = await registry_crud.find_bundle(at.db, reference)
    assert row is not None
    await at.db.refresh(row)
    assert row.files_deleted_at is None
    assert await clean_up(at, dry_run=True) == Cleaned()


async def test_trouble_with_one_kind_leaves_the_others_alone(
    at: Workplace, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = await add_bundle(at.db, settings, "aa")
    monkeypatch.setattr("sys.executable", "/bin/false")
    tracked = Workplace(at.db, settings.model_copy(update={"tracking": True}), at.now)

    done = await clean_up(tracked, dry_run=False, rules=[Runs(), Bundles()])

    assert names(done, Kind.BUNDLE) == [bundle]
    assert done.skipped["run"].startswith("MLflow at sqlite:///")


async def test_the_worker_cleans_up_and_leaves_mlflow_to_the_image_that_has_it(
    at: Workplace, settings: Settings, sessions: async_sessionmaker[AsyncSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = await add_bundle(at.db, settings, "aa")
    monkeypatch.setattr("sys.executable", "/bin/false")
    tools = WorkerTools(settings.model_copy(update={"tracking": True}), sessions)
    job = cast("JobContext", SimpleNamespace(additional_context={"tools": tools}))
    now = int(at.now.timestamp())

    await tasks.clean_up_runs(job, now)
    assert (settings.bundles / bundle).is_dir()
    await tasks.clean_up(job, now)
    assert not (settings.bundles / bundle).exists()
