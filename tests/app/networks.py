"""Champions that are networks, put together by hand in milliseconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.registry.crud import add_promotion
from app.features.registry.service import register_bundle
from app.models.promotion import Promotion
from data_pipeline.processing.lstm_preprocessor import InputSpec
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.long_run import long_run_history
from ml_lifecycle.export.writing import write_bundle
from tests.ml_lifecycle.export.handmade import HEADS, SPEC, answered, make_contents, make_manifest


def training_column(name: str, *, deviation: float = 10.0) -> dict[str, Any]:
    """An entry of ``reference.json`` that ordinary values do not leave: one part, and a wide spread."""
    return {"name": name, "mean": 0.0, "deviation": deviation, "edges": [], "shares": [1.0]}


def write_network(
    bundles: Path,
    spec: InputSpec = SPEC,
    *,
    trained_on: Sequence[dict[str, Any]] = (),
    config: Mapping[str, Any] | None = None,
    tickers: Sequence[str] = (),
) -> Path:
    """A bundle whose two-column network reads ``spec``, and says that ``config`` and ``tickers`` made it."""
    contents = {**make_contents(spec), "reference.json": canonical_json({"columns": list(trained_on)})}
    told = {"config": dict(config or {}), "tickers": tuple(tickers)}
    return write_bundle(bundles, contents, make_manifest(contents, spec).model_copy(update=told))


def write_network_with_long_run(bundles: Path) -> Path:
    """A network that needs fewer bars than it uses: 271 and 1,031."""
    spec = SPEC.model_copy(update={"lookback": 252})
    contents = make_contents(spec)
    plain = make_manifest(contents, spec)
    shares = (0.25,) * HEADS
    used = long_run_history(spec.history_needed, shares)
    draft = plain.model_copy(update={"long_run_shares": shares, "history_used": used})
    manifest = draft.model_copy(update={"golden": answered(draft, contents)})
    return write_bundle(bundles, contents, manifest)


async def register(db: AsyncSession, folder: Path) -> str:
    """Make a bundle known; gives its id."""
    return await register_bundle(db, folder)


async def promote(db: AsyncSession, bundle_id: str) -> None:
    """Make it champion, in the ledger; a process follows when it reads the ledger again."""
    await add_promotion(db, Promotion(bundle_id=bundle_id, kind="forced", reason="a test", decided_by="test"))
    await db.commit()
