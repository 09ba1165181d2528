"""Challengers before the gate: asked for over HTTP, judged by the worker, recorded for good, promoted if they pass."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import DATA_QUEUE, open_queue
from app.features.registry import crud, promotion, service, tasks
from app.features.registry.errors import AlreadyChampionError
from app.models.challenge import Challenge
from app.worker import restart_stalled_jobs
from ml_lifecycle.evaluation.gate import GateVerdict, Reason
from tests.app.accounts import Account
from tests.app.bundles import write_bundle_with
from tests.app.features.registry.challengers import store_bars, wide_network
from tests.app.features.registry.quick_judge import proven, unproven


async def challenger(db: AsyncSession, settings: Settings, history_used: int = 940) -> str:
    """Another bundle that is registered."""
    return await service.register_bundle(db, write_bundle_with(settings.bundles, history_used=history_used))


async def decided(
    db: AsyncSession, bundle_id: str, champion_id: str, verdict: GateVerdict, *, challenge_id: UUID | None = None
) -> Challenge:
    """A challenge that came to its verdict."""
    contest = promotion.Contest(challenge_id or uuid4(), bundle_id, champion_id, "ada")
    return await promotion.decide(db, contest, verdict)


async def test_who_passes_becomes_champion_with_the_gates_figures(db: AsyncSession, settings: Settings) -> None:
    """In the same transaction as the record of the challenge."""
    reference = await service.ensure_reference_champion(db, settings)
    bundle = await challenger(db, settings)

    row = await decided(db, bundle, reference, proven())

    (newest, _) = await crud.newest_promotions(db, limit=2)
    assert (newest.bundle_id, newest.previous_bundle_id, newest.kind) == (bundle, reference, "gate")
    assert (newest.figures, newest.decided_by) == (row.verdict, "ada")
    assert (row.passed, row.test_number, row.verdict["test"]["alpha"]) == (True, 1, 0.025)


async def test_every_test_counts_and_what_was_not_tested_does_not(db: AsyncSession, settings: Settings) -> None:
    """Passed or not: the next challenger of the same champion may spend less."""
    reference = await service.ensure_reference_champion(db, settings)
    bundle = await challenger(db, settings)
    verdicts = [
        unproven(),
        GateVerdict(n_days=119, n_tickers=3),
        GateVerdict(refusal=Reason.BUNDLE_REFUSED, detail="a digest differs"),
        unproven(),
        unproven(),
    ]

    rows = [await decided(db, bundle, reference, verdict) for verdict in verdicts]

    assert [row.test_number for row in rows] == [1, None, None, 2, 3]
    assert [row.verdict["reasons"] for row in rows[1:3]] == [["too_few_days"], ["bundle_refused"]]
    assert rows[4].verdict["test"]["alpha"] == pytest.approx(0.05 / 12)
    assert [line.kind for line in await crud.newest_promotions(db, limit=9)] == ["reference"]

    passed = await decided(db, bundle, reference, proven())  # 1 in 100,000: less than a twentieth by 4 · 5
    another = await challenger(db, settings, 941)
    first_of_the_next = await decided(db, another, bundle, unproven())
    assert (passed.test_number, passed.passed, first_of_the_next.test_number) == (4, True, 1)


async def test_a_test_of_more_than_a_year_ago_is_paid_for(db: AsyncSession, settings: Settings) -> None:
    """5 % are for each span of 365 days."""
    reference = await service.ensure_reference_champion(db, settings)
    bundle = await challenger(db, settings)
    now = await db.scalar(text("SELECT now()"))
    for days_ago in (364, 366):
        tested = {"test_number": 1, "p_value": 0.5, "passed": False, "verdict": {}, "decided_by": "ada"}
        when = {"decided_at": now - np.timedelta64(days_ago, "D").item()}
        await crud.add_challenge(db, Challenge(bundle_id=bundle, champion_id=reference, **tested, **when))
    await db.commit()

    assert (await decided(db, bundle, reference, unproven())).test_number == 2


async def test_a_champion_that_changed_meanwhile_is_not_replaced(db: AsyncSession, settings: Settings) -> None:
    """The figures are beside another bundle's."""
    reference = await service.ensure_reference_champion(db, settings)
    bundle, other = await challenger(db, settings), await challenger(db, settings, 942)
    await promotion.force(db, other, reason="meanwhile", by="bob")

    row = await decided(db, bundle, reference, proven())

    assert (row.passed, row.verdict["reasons"]) == (False, ["champion_changed"])
    assert (await crud.newest_promotions(db, limit=1))[0].bundle_id == other


@pytest.mark.parametrize(
    "change", ["UPDATE challenges SET passed = true, test_number = 1, p_value = 0", "DELETE FROM challenges"]
)
async def test_what_was_decided_is_not_changed(db: AsyncSession, settings: Settings, change: str) -> None:
    """Else a challenge could be tried again for free."""
    reference = await service.ensure_reference_champion(db, settings)
    await decided(db, await challenger(db, settings), reference, unproven())

    with pytest.raises(DBAPIError, match="challenges is refused: what was written stays as it is"):
        await db.execute(text(change))


async def test_the_champion_does_not_challenge_itself(db: AsyncSession, settings: Settings) -> None:
    reference = await service.ensure_reference_champion(db, settings)

    with pytest.raises(AlreadyChampionError):
        await promotion.champion_of(db, reference)


@pytest.fixture
def stored_bars(settings: Settings) -> None:
    """Bars that a challenge can be judged on."""
    store_bars(settings)


async def work(settings: Settings) -> None:
    """A worker that runs what waits and ends."""
    async with open_queue(settings) as (app, tools):
        tasks.add_tasks(app)
        context: dict[str, Any] = {"tools": tools}
        await app.run_worker_async(
            queues=[DATA_QUEUE], wait=False, install_signal_handlers=False, additional_context=context
        )


async def test_a_network_that_is_worse_is_asked_for_judged_and_refused(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession, settings: Settings, stored_bars: None
) -> None:
    """All over HTTP; the worker does the judging, on stored bars later than its calibration."""
    bundle = await wide_network(db, settings)

    asked = await client.post(f"/models/{bundle}/promote", headers=admin.headers)
    again = await client.post(f"/models/{bundle}/promote", headers=admin.headers)
    place = asked.headers["location"]
    waiting = (await client.get(place, headers=admin.headers)).json()
    await work(settings)
    after = (await client.get(place, headers=admin.headers)).json()
    listed = (await client.get("/challenges", headers=admin.headers)).json()

    assert (asked.status_code, asked.json()["status"], waiting["status"]) == (202, "waiting", "waiting")
    assert again.json()["id"] == asked.json()["id"]  # while it waits it is one and the same
    assert (after["status"], after["decision"]["test_number"]) == ("refused", 1)
    verdict = after["decision"]["verdict"]
    assert "gain_not_proven" in verdict["reasons"]
    assert (verdict["first_day"], verdict["n_tickers"], verdict["look_ahead_faults"]) == ("2013-01-03", 1, [])
    assert after["decision"]["decided_by"] == f"user {admin.id}"
    assert listed["items"] == [after["decision"]]


async def test_the_reference_wins_back_what_a_worse_network_was_given_by_force(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession, settings: Settings, stored_bars: None
) -> None:
    """And every answer then tells that it was the gate."""
    (first,) = await crud.newest_promotions(db, limit=1)
    reference, bundle = first.bundle_id, await wide_network(db, settings)
    await promotion.force(db, bundle, reason="a test", by="ada")

    asked = await client.post(f"/models/{reference}/promote", headers=admin.headers)
    await work(settings)

    after = (await client.get(asked.headers["location"], headers=admin.headers)).json()
    (newest, *_) = (await client.get("/promotions", headers=admin.headers)).json()["items"]
    assert after["status"] == "passed", after["decision"]["verdict"]["reasons"]
    assert (newest["bundle_id"], newest["kind"]) == (reference, "gate")
    assert newest["figures"]["test"]["p_value"] < 0.025


async def test_a_challenge_that_is_being_judged_is_the_one_that_is_open(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession, settings: Settings
) -> None:
    """Were there a second one, and the first one's worker killed, the first one could not wait again."""
    bundle = await challenger(db, settings)
    first = await client.post(f"/models/{bundle}/promote", headers=admin.headers)
    left = "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') "
    taken = "RETURNING id) UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)"
    await db.execute(text(left + taken))
    await db.commit()

    again = await client.post(f"/models/{bundle}/promote", headers=admin.headers)
    async with open_queue(settings) as (app, _):
        assert await restart_stalled_jobs(app) == 1

    assert again.json() == {**first.json(), "status": "judging"}
    assert (await client.get(first.headers["location"], headers=admin.headers)).json()["status"] == "waiting"


async def test_a_damaged_challenger_is_refused_and_a_missing_store_is_told(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession, settings: Settings
) -> None:
    """Neither spends anything."""
    sound, damaged = await wide_network(db, settings), await challenger(db, settings, 943)
    (settings.bundles / damaged / "calibration.json").write_text("{}")

    for bundle in (sound, damaged):
        await client.post(f"/models/{bundle}/promote", headers=admin.headers)
    await work(settings)

    found = {row.bundle_id: row for row in await crud.list_challenges(db, limit=9, before=None)}
    assert found[damaged].verdict["reasons"] == ["bundle_refused"]
    assert found[sound].verdict["reasons"] == ["not_judged"]
    assert found[sound].verdict["detail"] == "no bars are stored"
    assert {row.test_number for row in found.values()} == {None}


async def test_only_an_administrator_may_ask_and_what_nobody_asked_for_is_not_found(
    client: httpx.AsyncClient, registered_user: Account, admin: Account, db: AsyncSession, settings: Settings
) -> None:
    bundle = await challenger(db, settings)
    (champion,) = await crud.newest_promotions(db, limit=1)

    forbidden = await client.post(f"/models/{bundle}/promote", headers=registered_user.headers)
    unknown = await client.post(f"/models/{'0' * 64}/promote", headers=admin.headers)
    itself = await client.post(f"/models/{champion.bundle_id}/promote", headers=admin.headers)
    missing = await client.get(f"/challenges/{uuid4()}", headers=admin.headers)

    assert (forbidden.status_code, unknown.status_code, missing.status_code) == (403, 404, 404)
    assert (itself.status_code, itself.json()["type"]) == (409, "/problems/already-champion")
    assert await db.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
