"""Challengers that the gate can really judge, and bars to judge them on."""

from datetime import date

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.registry import service
from data_pipeline.processing.lstm_preprocessor import InputSpec
from data_pipeline.run_pipeline import collect
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.manifest import HORIZONS, LEVELS
from ml_lifecycle.export.writing import write_bundle
from tests.app.scripted_source import ScriptedSource
from tests.ml_lifecycle.export.handmade import make_calibration, make_contents, make_manifest

SPEC = InputSpec(columns=("log_return", "volume_ratio"), context_columns=("weekday_sine",), lookback=5, scale_length=20)


async def wide_network(db: AsyncSession, settings: Settings, *, width: float = 1.0) -> str:
    """A registered network whose intervals are far too wide: each bound lies ``width`` scales farther out."""
    far = tuple(width * float(np.sign(level - 0.5)) for level in LEVELS)
    calibration = make_calibration().model_copy(update={"offsets": (far,) * len(HORIZONS)})
    wide = {"calibration.json": canonical_json(calibration.model_dump(mode="json"))}
    contents = make_contents(SPEC) | wide
    return await service.register_bundle(db, write_bundle(settings.bundles, contents, make_manifest(contents, SPEC)))


def store_bars(settings: Settings) -> None:
    """One ticker's bars up to eighteen months after the handmade network's calibration."""
    source = ScriptedSource(bars={"AAPL": 900}, cutoff=date(2014, 6, 30))
    collect(FeatureStore(settings.bars_uri), source, ["AAPL"])
