"""Which bundles there are, and which one is champion by whose decision."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.paging import page_of
from app.features.registry import crud
from app.features.registry.champion import ALL_TICKERS, LOAD_ANEW, Champion, ChampionHolder
from app.features.registry.errors import BundleNotFoundError, NoChampionError
from app.features.registry.schemas import (
    BundleDetails,
    BundleRead,
    CalibrationRead,
    DecisionRead,
    ListedBundle,
    ModelInfo,
    PromotionRead,
    RefusedBundle,
    ReloadedModel,
    ServedMetrics,
    ServedParams,
    SkillFigures,
)
from app.models.challenge import ShadowDecision
from app.models.promotion import Promotion
from app.schemas.page import Page
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.reference import write_reference_bundle

INSTALLER = "closecast"  # who decided, where nobody was asked


async def register_bundle(db: AsyncSession, folder: Path) -> str:
    """Check a bundle, make it known and commit; gives its id. A second time changes nothing.

    Raises
    ------
    BundleRefusedError : it is not what it says it is.
    """
    bundle = await asyncio.to_thread(load_bundle, folder)
    await crud.add_bundle(db, bundle.bundle_id, bundle.manifest)
    await db.commit()
    return bundle.bundle_id


async def ensure_reference_champion(db: AsyncSession, settings: Settings) -> str:
    """See that the reference bundle lies in the bundles folder and that the ledger has a first line; gives its id.

    Runs after every migration; while any bundle is champion, the ledger stays as it is.
    """
    folder = await asyncio.to_thread(write_reference_bundle, settings.bundles)
    reference = await register_bundle(db, folder)
    await crud.lock_ledger(db)
    if not await crud.newest_promotions(db, limit=1):
        await crud.add_promotion(db, Promotion(bundle_id=reference, kind="reference", decided_by=INSTALLER))
    await db.commit()
    return reference


async def list_bundles(db: AsyncSession, *, limit: int) -> list[ListedBundle]:
    """Registered bundles, newest first."""
    bundles = [BundleRead.model_validate(row) for row in await crud.list_bundles(db, limit=limit)]
    scores = await crud.scores_of(db, [bundle.id for bundle in bundles])
    return [ListedBundle(**dict(bundle), figures=_all_figures(scores[bundle.id])) for bundle in bundles]


def _all_figures(scores: Sequence[Mapping[str, Any]]) -> list[SkillFigures]:
    """Those over all tickers, by horizon."""
    whole = [score for score in scores if score.get("ticker") == ALL_TICKERS]
    return [figures_of(score) for score in sorted(whole, key=lambda score: score["horizon"])]


async def read_bundle(db: AsyncSession, bundle_id: str) -> BundleDetails:
    """One registered bundle with its figures.

    Raises
    ------
    BundleNotFoundError
    """
    row = await crud.find_bundle(db, bundle_id)
    if row is None:
        raise BundleNotFoundError(bundle_id)
    return BundleDetails.model_validate({**row.manifest, **BundleRead.model_validate(row).model_dump()})


async def require_bundle(db: AsyncSession, bundle_id: str) -> None:
    """Raise BundleNotFoundError where no bundle of this id is registered, or its files have been deleted."""
    row = await crud.find_bundle(db, bundle_id)
    if row is None or row.files_deleted_at is not None:
        raise BundleNotFoundError(bundle_id)


async def champion_manifest(db: AsyncSession) -> tuple[str, dict[str, Any]]:
    """Id of the champion, and what it says of itself.

    Raises
    ------
    NoChampionError : the installation was not prepared.
    """
    newest = await crud.newest_promotions(db, limit=1)
    row = await crud.find_bundle(db, newest[0].bundle_id) if newest else None
    if row is None:
        raise NoChampionError("no bundle is champion: the installation was not prepared")
    return row.id, row.manifest


async def champion_and_shadows(db: AsyncSession) -> tuple[str | None, Sequence[ShadowDecision]]:
    """Id of the champion, and the bundles that forecast in its shadow, by the line that made them do so."""
    newest = await crud.newest_promotions(db, limit=1)
    champion_id = newest[0].bundle_id if newest else None
    return champion_id, [line for line in await crud.shadows(db) if line.bundle_id != champion_id]


async def list_promotions(db: AsyncSession, *, cursor: int | None, limit: int) -> Page[PromotionRead]:
    """One page of the ledger, newest first."""
    rows = await crud.newest_promotions(db, limit=limit + 1, before=cursor)
    return page_of(rows, limit, item=PromotionRead.model_validate, cursor=lambda last: str(last.id))


def describe(champion: Champion, now: datetime, *, flagged: bool) -> ModelInfo:
    """What answers at this moment, and what is known of it."""
    manifest = champion.bundle.manifest
    return ModelInfo(
        version=champion.bundle_id,
        kind=manifest.kind.value,
        promotion=champion.promotion,
        promoted_at=champion.promoted_at,
        created_at=manifest.created_at,
        age=champion.age(now).days,
        past_max_age=flagged,
        history_needed=manifest.history_needed,
        history_used=manifest.history_used,
        horizons=list(manifest.horizons),
        quantile_levels=list(manifest.quantile_levels),
        train_start=manifest.train_start,
        train_end=manifest.train_end,
        calibration_end=manifest.calibration_end,
        tickers=list(manifest.tickers),
        data_version=None if manifest.data_version is None else manifest.data_version.model_dump(),
        figures=[figures_of(score) for _, score in sorted(champion.scores.items())],
        calibration=calibration_of(champion.bundle),
        decision=DecisionRead(
            kind=champion.promotion,
            decided_at=champion.promoted_at,
            decided_by=champion.decided_by,
            reason=champion.reason,
            gate=champion.gate,
        ),
        current_params=ServedParams(
            seq_length=manifest.input_spec.lookback if manifest.input_spec else manifest.history_needed,
            hidden_size=hidden_size(manifest.config),
        ),
        metrics=ServedMetrics(**{name: champion.scores.get(1, {}).get(name) for name in ServedMetrics.model_fields}),
    )


async def reload_champion(db: AsyncSession, champions: ChampionHolder, now: datetime) -> ReloadedModel:
    """Read ledger and files again here, and have every other process do so, at once; what serves here then.

    Raises
    ------
    NoChampionError : nothing that the ledger names can be loaded.
    """
    refused = await champions.load_anew()
    await crud.tell_champions(db, LOAD_ANEW)
    await db.commit()
    champion = champions.serving(now)
    shown = describe(champion, now, flagged=champions.is_flagged(champion, now))
    return ReloadedModel(**dict(shown), refused=[RefusedBundle.model_validate(each) for each in refused])


def figures_of(score: Mapping[str, Any]) -> SkillFigures:
    """One horizon's figures of a manifest, those of all tickers together."""
    skill = score.get("skill", {})
    return SkillFigures(
        horizon=score["horizon"],
        n=score.get("n"),
        n_days=score.get("n_days"),
        pinball=score.get("pinball"),
        naive_pinball=score.get("naive_pinball"),
        relative_mae=skill.get("relative_mae"),
        pinball_skill=skill.get("pinball_skill"),
        skill_interval=skill.get("interval"),
        label=skill.get("label", "not_yet_measured"),
        coverage={str(each["level"]): each["coverage"] for each in score.get("intervals", ())},
        naive_coverage={str(each["level"]): each["naive_coverage"] for each in score.get("intervals", ())},
    )


def calibration_of(bundle: Bundle) -> CalibrationRead:
    """How a bundle's intervals were calibrated; the reference's are empirical and need none."""
    manifest = bundle.manifest
    return CalibrationRead(
        method="none" if manifest.calibration_end is None else "split_conformal",
        calibrated_until=manifest.calibration_end,
        horizons=list(manifest.horizons),
        levels=list(manifest.quantile_levels),
        offsets=[list(row) for row in bundle.calibration.offsets],
    )


def hidden_size(config: Mapping[str, Any]) -> int | None:
    """Units of the first layer that has any; where no layers are named, of every LSTM."""
    units = [layer["units"] for layer in config.get("layers", ()) if layer.get("units")]
    return units[0] if units else config.get("hidden_size")
