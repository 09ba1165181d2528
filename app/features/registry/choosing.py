"""The champion among several bundles: each challenges in turn, and the gate alone decides.

Which one had the lowest error while training is not asked: that is what overfits. The order is fixed before anybody
looks at the gate's days, and every test spends of what the champion's challengers may spend together.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.registry import crud
from app.models.challenge import Challenge
from app.models.promotion import BundleRow
from app.supervisor.one_session import one_session
from ml_lifecycle.export.manifest import BundleKind
from ml_lifecycle.training.config import parse_config
from ml_lifecycle.training.config_document import DataChoice, as_document
from ml_lifecycle.training.tuning_errors import NothingToChooseError

MOST_CANDIDATES = 5  # the fifth test may spend 0.17 %: more of them could prove nothing


def new_candidates(settings: Settings) -> list[str]:
    """Networks registered since the champion became one and not tested against it, newest first; five at most."""
    return asyncio.run(_new_candidates(settings))


def champion_document(settings: Settings, *, by: str, decided: Sequence[Challenge] = ()) -> dict[str, Any]:
    """The configuration that the champion was trained with, as ``closecast train --config`` takes it.

    Parameters
    ----------
    decided : challenges of this choice; the figures of the one that made the champion are told.

    Raises
    ------
    NothingToChooseError : the champion is the reference.
    """
    champion_id, manifest = asyncio.run(_champion(settings))
    if manifest["kind"] == BundleKind.REFERENCE.value:
        raise NothingToChooseError
    gate = next((challenge for challenge in decided if challenge.passed and challenge.bundle_id == champion_id), None)
    metadata = {
        "chosen_by": by,
        "chosen_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bundle": champion_id,
        "challenged_by": [challenge.bundle_id for challenge in decided],
        "gate": None if gate is None else dict(_figures(gate.verdict)),
    }
    config = parse_config(manifest["config"], where=f"bundle {champion_id[:12]}")
    tickers = manifest.get("parent_tickers") or manifest["tickers"]
    return as_document(config, metadata=metadata, data=DataChoice(tickers=tuple(tickers)))


def _figures(verdict: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name, verdict[name]) for name in ("n_days", "n_tickers", "first_day", "last_day"))
    yield from ((name, verdict["test"][name]) for name in ("number", "alpha", "gain", "p_value", "median_ratio"))


async def _new_candidates(settings: Settings) -> list[str]:
    async with one_session(settings) as db:
        newest = await crud.newest_promotions(db, limit=1)
        if not newest:
            return []
        tested = select(Challenge.bundle_id).where(
            Challenge.champion_id == newest[0].bundle_id, Challenge.test_number.is_not(None)
        )
        untested = (
            select(BundleRow.id)
            .where(
                BundleRow.kind == BundleKind.NETWORK.value,
                BundleRow.registered_at >= newest[0].decided_at,
                BundleRow.id != newest[0].bundle_id,
                BundleRow.id.not_in(tested),
            )
            .order_by(BundleRow.registered_at.desc(), BundleRow.id)
            .limit(MOST_CANDIDATES)
        )
        return list((await db.scalars(untested)).all())


async def _champion(settings: Settings) -> tuple[str, dict[str, Any]]:
    async with one_session(settings) as db:
        return await _manifest_of_champion(db)


async def _manifest_of_champion(db: AsyncSession) -> tuple[str, dict[str, Any]]:
    newest = await crud.newest_promotions(db, limit=1)
    row = await crud.find_bundle(db, newest[0].bundle_id) if newest else None
    if row is None:
        raise NothingToChooseError
    return row.id, row.manifest
