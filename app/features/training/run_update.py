"""The champion learns on from newer bars: the runner of the kind `update`. It brings TensorFlow."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from app.config import Settings
from app.features.market_data.collecting import collect_tickers
from app.features.market_data.service import publish_windows
from app.features.registry.service import champion_manifest
from app.features.training.kinds import Emit
from app.features.training.run_train import read_bars, train_and_export
from app.features.training.train_spec import TrainSpec
from app.supervisor.one_session import one_session
from ml_lifecycle.training.config_document import DataChoice
from ml_lifecycle.training.fine_tuning import Parent
from ml_lifecycle.training.updating import update, updated_config

OWN = frozenset({"period", "force_download"})  # of an update; the rest is as of a training


def run(settings: Settings, spec: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Ask for newer bars where ``force_download`` says so, then train on from the champion's weights.

    With ``period`` only the newest cutoffs of the training part are learnt from (``TrainingConfig.train_period``).

    Returns
    -------
    see ``run_train.outcome``, with ``updated_from``.

    Raises
    ------
    NothingNewerError : the stored bars end too early.
    ConfigurationError : the champion has no weights.
    ClosecastError : of bars, training or export; nothing is registered then.
    """
    asked = TrainSpec.of({name: value for name, value in spec.items() if name not in OWN})
    bundle_id, tickers = asyncio.run(_champion(settings))
    if spec.get("force_download"):
        _collect(settings, tickers, emit)
    parent = Parent.read(settings.bundles / bundle_id)
    config = updated_config(parent, gate_days=settings.gate_days, period=spec.get("period"))
    bars = read_bars(settings, DataChoice(tickers=tuple(tickers)))
    updated = train_and_export(settings, asked, config, bars, emit, train_network=partial(update, parent))
    return {**updated, "updated_from": bundle_id}


async def _champion(settings: Settings) -> tuple[str, list[str]]:
    async with one_session(settings) as db:
        bundle_id, manifest = await champion_manifest(db)
        return bundle_id, list(manifest["tickers"])


def _collect(settings: Settings, tickers: Sequence[str], emit: Emit) -> None:
    """Bring the bars up to date; what a source does not have stays as it is stored, and is told."""
    emit.log(f"asking the sources for newer bars of {len(tickers)} tickers")
    collected = collect_tickers(settings, tickers)
    for ticker, error in collected.errors.items():
        emit.log(f"no newer bars of {ticker}: {error}")
    asyncio.run(_publish(settings, collected.windows, collected.reports))


async def _publish(settings: Settings, windows: Sequence[Any], reports: Mapping[str, Any]) -> None:
    async with one_session(settings) as db:
        await publish_windows(db, windows, reports)
