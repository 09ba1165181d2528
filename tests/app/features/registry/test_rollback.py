"""Back to the champion before, one step at a time."""

import asyncio

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.registry import crud, promotion, service
from app.features.registry.errors import NothingToRollBackError
from app.models.promotion import Promotion
from tests.app.accounts import Account
from tests.app.bundles import write_bundle_with


def ledger(*lines: str) -> list[Promotion]:
    """Promotions of "A", "B" and so on; "<" is a roll-back."""
    return [Promotion(bundle_id=name, kind="rollback" if name == "<" else "forced") for name in lines]


@pytest.mark.parametrize(
    ("lines", "reigns"),
    [
        ("A", "A"),
        ("AB", "AB"),
        ("AB<", "A"),
        ("ABC<", "AB"),
        ("ABC<<", "A"),
        ("ABC<D", "ABD"),
        ("ABC<D<", "AB"),
        ("ABB", "AB"),
        ("ABA", "ABA"),
        ("ABA<", "AB"),
    ],
)
def test_each_roll_back_takes_one_reign_away(lines: str, reigns: str) -> None:
    """What was rolled back from is not gone back to."""
    assert "".join(promotion.reigns_of(ledger(*lines))) == reigns


async def test_a_roll_back_is_served_within_seconds_and_told(
    client: httpx.AsyncClient, admin: Account, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    (first,) = await crud.newest_promotions(db, limit=1)
    bundle = await service.register_bundle(db, write_bundle_with(settings.bundles, history_used=950))
    await promotion.force(db, bundle, reason="a test", by="ada")

    forbidden = await client.post("/models/rollback", headers=registered_user.headers, json={})
    shown = (await client.get("/models/rollback", headers=admin.headers)).json()
    steering = await client.post("/models/rollback", headers=admin.headers, json={"reason": "too \x1b[31mwide"})
    answer = await client.post("/models/rollback", headers=admin.headers, json={"reason": "too wide"})

    assert steering.status_code == 422  # of whoever's terminal shows the ledger
    assert forbidden.status_code == 403
    line = answer.json()
    assert shown == {"bundle_id": first.bundle_id, "previous_bundle_id": bundle}  # it did what was told before
    assert (line["bundle_id"], line["previous_bundle_id"], line["kind"]) == (first.bundle_id, bundle, "rollback")
    assert (line["reason"], line["decided_by"]) == ("too wide", f"user {admin.id}")
    async with asyncio.timeout(30):
        info = (await client.get("/model/info", headers=admin.headers)).json()
        while info["promotion"] != "rollback":
            await asyncio.sleep(0.02)  # a user may ask a hundred times a second
            info = (await client.get("/model/info", headers=admin.headers)).json()
    assert (info["version"], info["decision"]["reason"]) == (first.bundle_id, "too wide")
    for nothing in (
        await client.post("/models/rollback", headers=admin.headers),
        await client.get("/models/rollback", headers=admin.headers),
    ):
        assert (nothing.status_code, nothing.json()["type"]) == (409, "/problems/nothing-to-roll-back")


async def test_the_first_champion_has_none_before_it(db: AsyncSession, settings: Settings) -> None:
    await service.ensure_reference_champion(db, settings)

    with pytest.raises(NothingToRollBackError):
        await promotion.roll_back(db, reason=None, by="ada")
