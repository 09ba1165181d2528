"""Who is champion, from when, by whose decision."""

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.registry import crud, promotion, service
from app.features.registry.errors import AlreadyChampionError, BundleNotFoundError, PromotionReasonMissingError
from app.models.promotion import BundleRow
from ml_lifecycle.export.errors import BundleRefusedError
from tests.app.accounts import Account
from tests.app.bundles import write_bundle_with


async def test_an_empty_installation_has_the_reference_as_champion(db: AsyncSession, settings: Settings) -> None:
    """However often it is prepared."""
    first = await service.ensure_reference_champion(db, settings)
    second = await service.ensure_reference_champion(db, settings)

    assert first == second
    assert (settings.bundles / first / "manifest.json").is_file()
    (line,) = await crud.newest_promotions(db, limit=10)
    assert (line.bundle_id, line.kind, line.previous_bundle_id) == (first, "reference", None)


async def test_preparing_again_leaves_a_later_champion(db: AsyncSession, settings: Settings) -> None:
    """A restart is no roll-back."""
    reference = await service.ensure_reference_champion(db, settings)
    challenger = await service.register_bundle(db, write_bundle_with(settings.bundles, history_used=900))
    await promotion.force(db, challenger, reason="demo", by="ada@example.org")

    await service.ensure_reference_champion(db, settings)

    newest, oldest = await crud.newest_promotions(db, limit=10)
    assert (newest.bundle_id, newest.previous_bundle_id, newest.kind) == (challenger, reference, "forced")
    assert (newest.reason, newest.decided_by) == ("demo", "ada@example.org")
    assert oldest.kind == "reference"


async def test_a_forced_promotion_needs_a_reason(db: AsyncSession, settings: Settings) -> None:
    """And a bundle that exists, and is not champion already."""
    reference = await service.ensure_reference_champion(db, settings)

    for reason in (None, "", "  "):
        with pytest.raises(PromotionReasonMissingError):
            await promotion.force(db, reference, reason=reason, by="x")
    with pytest.raises(BundleNotFoundError):
        await promotion.force(db, "0" * 64, reason="demo", by="x")
    with pytest.raises(AlreadyChampionError):
        await promotion.force(db, reference, reason="demo", by="x")

    assert len(await crud.newest_promotions(db, limit=10)) == 1


async def test_a_bundle_that_is_refused_is_not_registered(db: AsyncSession, settings: Settings, tmp_path: Path) -> None:
    """A changed file is enough."""
    folder = write_bundle_with(tmp_path, history_used=800)
    (folder / "calibration.json").write_bytes((folder / "calibration.json").read_bytes() + b" ")

    with pytest.raises(BundleRefusedError):
        await service.register_bundle(db, folder)

    assert await crud.list_bundles(db, limit=10) == []


async def test_bundles_and_ledger_are_read_over_http(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """Page by page, newest first."""
    challenger = await service.register_bundle(db, write_bundle_with(settings.bundles, history_used=901))
    await promotion.force(db, challenger, reason="demo", by="ada")
    headers = registered_user.headers

    models = (await client.get("/models", headers=headers)).json()
    details = (await client.get(f"/models/{challenger}", headers=headers)).json()
    first = (await client.get("/promotions?limit=1", headers=headers)).json()
    rest = (await client.get(f"/promotions?limit=1&cursor={first['next_cursor']}", headers=headers)).json()
    missing = await client.get(f"/models/{'0' * 64}", headers=headers)

    assert models[0]["id"] == challenger
    assert (details["history_used"], details["history_needed"], details["kind"]) == (901, 252, "reference")
    assert [first["items"][0]["reason"], rest["items"][0]["kind"]] == ["demo", "reference"]
    assert rest["next_cursor"] is None
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/bundle-not-found")


async def test_listed_bundles_stand_beside_the_naive(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """By horizon, over all tickers together."""
    skill = {"label": "worse", "relative_mae": 1.1, "pinball_skill": -0.02, "interval": [-0.03, -0.01]}
    whole = {"ticker": "all", "n": 9, "n_days": 9, "pinball": 0.02, "naive_pinball": 0.01, "skill": skill}
    scores = [{**whole, "horizon": 5}, {**whole, "horizon": 1}, {**whole, "horizon": 1, "ticker": "AAPL"}]
    await service.register_bundle(db, write_bundle_with(settings.bundles, scores=scores))

    listed, reference = (await client.get("/models", headers=registered_user.headers)).json()

    assert [(each["horizon"], each["pinball"], each["naive_pinball"]) for each in listed["figures"]] == [
        (1, 0.02, 0.01),
        (5, 0.02, 0.01),
    ]
    assert listed["figures"][0]["label"] == "worse"
    assert reference["figures"] == []


async def test_a_bundle_whose_files_were_deleted_is_told_from_those_that_can_serve(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    gone = await service.register_bundle(db, write_bundle_with(settings.bundles, history_used=902))
    await db.execute(update(BundleRow).where(BundleRow.id == gone).values(files_deleted_at=func.now()))
    await db.commit()

    deleted, reference = (await client.get("/models", headers=registered_user.headers)).json()
    details = (await client.get(f"/models/{gone}", headers=registered_user.headers)).json()

    assert deleted["id"] == gone
    assert deleted["files_deleted_at"] == details["files_deleted_at"] is not None
    assert reference["files_deleted_at"] is None


async def test_model_info_names_what_answers(client: httpx.AsyncClient, registered_user: Account) -> None:
    """With the fields that clients of other systems read."""
    info = (await client.get("/model/info", headers=registered_user.headers)).json()

    assert (info["kind"], info["promotion"], info["past_max_age"]) == ("reference", "reference", False)
    assert (info["history_needed"], info["history_used"]) == (252, 1_031)
    assert info["current_params"] == {"seq_length": 252, "hidden_size": None}
    assert {name: info["metrics"][name] for name in ("mae", "rmse", "mape")} == {
        "mae": None,
        "rmse": None,
        "mape": None,
    }
    assert len(info["version"]) == 64


async def test_model_info_tells_errors_in_log_returns_beside_those_in_currency(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """Errors in currency mix all tickers, and the schema says so."""
    errors = {"mae": 1.5, "rmse": 2.5, "mae_log_return": 0.01, "rmse_log_return": 0.02}
    naive = {f"naive_{name}": 2 * value for name, value in errors.items()}
    scores = [{"ticker": "all", "horizon": 1, **errors, **naive}]
    scored = await service.register_bundle(db, write_bundle_with(settings.bundles, scores=scores))
    await promotion.force(db, scored, reason="demo", by="ada")
    async with asyncio.timeout(30):
        info = (await client.get("/model/info", headers=registered_user.headers)).json()
        while info["version"] != scored:
            await asyncio.sleep(0.05)  # a burst of questions is limited
            info = (await client.get("/model/info", headers=registered_user.headers)).json()

    assert info["metrics"] == {**errors, **naive, "mape": None, "naive_mape": None}
    schema = (await client.get("/openapi.json")).json()["components"]["schemas"]["ServedMetrics"]["properties"]
    assert {name for name, field in schema.items() if "listing currency" in field.get("description", "")} == {
        *("mae", "rmse", "naive_mae", "naive_rmse")
    }


def test_hidden_size_is_that_of_the_first_layer_that_has_units() -> None:
    """Or of every LSTM, where only their number was given."""
    layers = [{"type": "Dropout", "rate": 0.1}, {"type": "LSTM", "units": 48}, {"type": "Dense", "units": 8}]

    assert service.hidden_size({"layers": layers, "hidden_size": 32}) == 48
    assert service.hidden_size({"layers": [], "hidden_size": 32}) == 32
    assert service.hidden_size({}) is None
