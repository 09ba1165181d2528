"""What a process serves, and how it changes its mind without a stop."""

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import AsyncMock

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.core.notifications import CHAMPION_CHANNEL
from app.features.market_data.service import publish_windows
from app.features.registry import champion as champion_module
from app.features.registry import promotion, service
from app.features.registry.champion import Champion, ChampionHolder
from app.features.registry.errors import NoChampionError
from app.models.promotion import Promotion
from ml_lifecycle.export.manifest import BundleKind
from tests.app.accounts import Account
from tests.app.bundles import write_bundle_with
from tests.app.windows import make_window

Sessions = async_sessionmaker[AsyncSession]
NOW = datetime(2026, 11, 5, tzinfo=UTC)


@pytest.fixture
async def holder(db: AsyncSession, settings: Settings, sessions: Sessions) -> ChampionHolder:
    """A process that serves the reference."""
    await service.ensure_reference_champion(db, settings)
    holder = ChampionHolder(sessions, settings)
    await holder.reload()
    return holder


async def promote(db: AsyncSession, settings: Settings, **fields: object) -> str:
    """Force another bundle into the championship."""
    bundle_id = await service.register_bundle(db, write_bundle_with(settings.bundles, **fields))  # type: ignore[arg-type]  # manifest fields
    await promotion.force(db, bundle_id, reason="demo", by="ada")
    return bundle_id


async def test_nothing_is_served_before_anything_is_loaded(sessions: Sessions, settings: Settings) -> None:
    """A 503 that says so, not a crash."""
    with pytest.raises(NoChampionError):
        ChampionHolder(sessions, settings).serving(NOW)


async def test_a_promotion_is_served_by_every_process_within_seconds(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """Without a restart, and told as forced in every answer."""
    await publish_windows(db, [make_window("AAPL")])
    before = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()

    promoted = await promote(db, settings, history_used=910)
    async with asyncio.timeout(30):
        after = before
        while after["bundle"]["id"] != promoted:
            answer = await client.get("/predict/AAPL", headers=registered_user.headers)
            assert answer.status_code == 200
            after = answer.json()

    assert (before["bundle"]["promotion"], after["bundle"]["promotion"]) == ("reference", "forced")
    assert before["forecast_id"] != after["forecast_id"]


async def test_a_refused_bundle_leaves_the_former_champion(
    holder: ChampionHolder, db: AsyncSession, settings: Settings
) -> None:
    """Its folder was damaged after it was registered."""
    former = holder.serving(NOW).bundle_id
    broken = await promote(db, settings, history_used=920)
    (settings.bundles / broken / "calibration.json").write_text("{}")

    await holder.reload()

    assert holder.serving(NOW).bundle_id == former


async def test_a_process_that_starts_with_a_refused_champion_serves_the_one_before(
    holder: ChampionHolder, db: AsyncSession, settings: Settings, sessions: Sessions
) -> None:
    """A missing folder is a refusal too."""
    former = holder.serving(NOW).bundle_id
    missing = await promote(db, settings, history_used=930)
    shutil.rmtree(settings.bundles / missing)

    started = ChampionHolder(sessions, settings)
    await started.reload()

    assert started.serving(NOW).bundle_id == former


async def test_a_database_that_is_away_leaves_the_champion(holder: ChampionHolder, settings: Settings) -> None:
    """And does not stop the process."""
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:9/none")})
    champion = holder.serving(NOW)
    holder._sessions = session_factory(create_engine(away))

    await holder.reload()

    assert holder.serving(NOW) is champion


class AgedChampion(Champion):
    """A network of a certain age: only its kind and its age count here."""

    is_reference = False


@pytest.mark.parametrize(
    ("days", "flagged", "stands_in"), [(90, False, False), (91, True, False), (365, True, False), (366, True, True)]
)
async def test_an_old_network_is_flagged_and_past_the_hard_limit_the_reference_serves(
    holder: ChampionHolder, days: int, flagged: bool, stands_in: bool
) -> None:
    """Settings: 90 and 365 days."""
    reference = holder.serving(NOW)
    manifest = reference.bundle.manifest.model_copy(update={"created_at": NOW - timedelta(days=days)})
    network = AgedChampion(replace(reference.bundle, manifest=manifest), reference.forecaster, "gate", NOW)
    holder._champion = network

    served = holder.serving(NOW)

    assert holder.is_flagged(network, NOW) is flagged
    assert holder.age(NOW) == timedelta(days=days)
    assert (served.promotion == champion_module.STAND_IN) is stands_in
    assert (served.bundle.manifest.kind is BundleKind.REFERENCE and served is not network) is stands_in


async def test_past_the_hard_limit_without_a_reference_nothing_is_served(holder: ChampionHolder) -> None:
    """A bundle too old to be believed does not answer in silence."""
    reference = holder.serving(NOW)
    manifest = reference.bundle.manifest.model_copy(update={"created_at": NOW - timedelta(days=366)})
    holder._champion = AgedChampion(replace(reference.bundle, manifest=manifest), reference.forecaster, "gate", NOW)
    holder._reference = None

    with pytest.raises(NoChampionError, match="past its hard age and the reference cannot be loaded"):
        holder.serving(NOW)


async def test_the_reference_does_not_age(holder: ChampionHolder) -> None:
    """It has no training that could grow old."""
    much_later = NOW + timedelta(days=4_000)

    assert holder.serving(much_later).is_reference
    assert not holder.is_flagged(holder.serving(much_later), much_later)


async def test_a_promotion_whose_notification_was_lost_is_noticed(
    holder: ChampionHolder, db: AsyncSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens here at all: the ledger is looked at now and then; a refused bundle is not tried each time."""
    monkeypatch.setattr(champion_module, "POLL_SECONDS", 0.02)
    promoted = await promote(db, settings, history_used=940)
    holder.start()
    async with asyncio.timeout(30):
        while holder.serving(NOW).bundle_id != promoted:  # noqa: ASYNC110 (what tells of it is what is lost here)
            await asyncio.sleep(0.01)
    tried: list[Promotion] = []
    monkeypatch.setattr(holder, "_load", AsyncMock(side_effect=lambda line, **_: tried.append(line)))

    refused = await promote(db, settings, history_used=941)
    await asyncio.sleep(0.3)
    await holder.stop()

    assert [line.bundle_id for line in tried] == [refused]
    assert holder.serving(NOW).bundle_id == promoted


async def test_an_error_that_nobody_foresaw_does_not_end_the_watch(
    holder: ChampionHolder, db: AsyncSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champion_module, "POLL_SECONDS", 0.02)
    load, failures = holder._load, [RuntimeError("unforeseen"), MemoryError()]

    async def fail_at_first(line: Promotion, *, promotion: str) -> Champion | None:
        if failures:
            raise failures.pop()
        return await load(line, promotion=promotion)

    monkeypatch.setattr(holder, "_load", fail_at_first)
    promoted = await promote(db, settings, history_used=942)
    holder.start()
    async with asyncio.timeout(30):
        while holder.serving(NOW).bundle_id != promoted:  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.01)
    await holder.stop()

    assert failures == []


async def test_reloading_tells_what_serves_and_what_stays_out(
    client: httpx.AsyncClient, admin: Account, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """The newest promotion is damaged; once its files are right again, asking again is enough."""
    before = (await client.get("/model/info", headers=admin.headers)).json()["version"]
    folder = write_bundle_with(settings.bundles, history_used=950)
    damaged = await service.register_bundle(db, folder)
    calibration = folder / "calibration.json"
    whole = calibration.read_bytes()
    calibration.write_text("{}")
    await promotion.force(db, damaged, reason="demo", by="ada")

    refused = await client.post("/model/reload", headers=admin.headers)
    calibration.write_bytes(whole)
    loaded = await client.post("/model/reload", headers=admin.headers)
    forbidden = await client.post("/model/reload", headers=registered_user.headers)

    assert (refused.status_code, refused.json()["version"]) == (200, before)
    assert [each["bundle_id"] for each in refused.json()["refused"]] == [damaged]
    assert (loaded.status_code, loaded.json()["version"], loaded.json()["refused"]) == (200, damaged, [])
    assert forbidden.status_code == 403


async def test_what_is_served_stays_where_its_files_read_anew_are_refused(
    holder: ChampionHolder, db: AsyncSession, settings: Settings
) -> None:
    """It is not the one before it that then serves: what is in memory was checked when it was loaded."""
    promoted = await promote(db, settings, history_used=960)
    await holder.reload()
    (settings.bundles / promoted / "calibration.json").write_text("{}")

    refused = await holder.load_anew()

    assert holder.serving(NOW).bundle_id == promoted
    assert [each.bundle_id for each in refused] == [promoted]
    assert "calibration.json" in refused[0].reason


async def test_reloading_reaches_the_other_processes(
    client: httpx.AsyncClient, admin: Account, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is told to read the files anew, not only the ledger."""
    told: asyncio.Queue[str | None] = asyncio.Queue()
    app.state.notifications.on(CHAMPION_CHANNEL, told.put)

    await client.post("/model/reload", headers=admin.headers)

    async with asyncio.timeout(30):
        while (what := await told.get()) is None:  # whoever listens anew is told nothing but that
            pass
    assert what == champion_module.LOAD_ANEW


@pytest.mark.parametrize(
    ("days", "told"),
    [(89, ("gate", False)), (91, ("gate", True)), (364, ("gate", True)), (366, (champion_module.STAND_IN, False))],
)
async def test_answers_tell_a_champion_s_age_and_who_stands_in_for_it(
    app: FastAPI,
    client: httpx.AsyncClient,
    registered_user: Account,
    db: AsyncSession,
    days: int,
    told: tuple[str, bool],
) -> None:
    """As old as it is at each request: nothing has to be loaded again for that."""
    await publish_windows(db, [make_window("AAPL")])
    champions: ChampionHolder = app.state.champions
    reference = champions.serving(NOW)
    manifest = reference.bundle.manifest.model_copy(update={"created_at": datetime.now(UTC) - timedelta(days=days)})
    champions._champion = AgedChampion(replace(reference.bundle, manifest=manifest), reference.forecaster, "gate", NOW)

    answer = (await client.get("/predict/AAPL", headers=registered_user.headers)).json()["bundle"]
    info = (await client.get("/model/info", headers=registered_user.headers)).json()

    assert (answer["promotion"], answer["past_max_age"]) == (info["promotion"], info["past_max_age"]) == told
