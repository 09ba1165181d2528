"""A track record with content: live forecasts of the sample's past, frozen and scored by the service's own code.

The clock is the test's: each forecast is frozen before its first target day opened, as a process of that day would.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.registry.champion import Champion
from app.features.track_record.service import score_final_steps
from data_pipeline.publishing import build_serving_windows
from data_pipeline.run_pipeline import collect
from data_pipeline.serving_window import DataVersion, ServingWindow
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.writing import write_bundle
from tests.app import networks
from tests.app.features.track_record.truth import Truth, version
from tests.ml_lifecycle.export.handmade import SPEC, make_contents, make_manifest

TICKERS = ("AAPL", "IBM", "MSFT")
FORECASTS = 30  # of each ticker
EVERY = 5  # trading days between two of them
TRAINED_ON = [
    networks.training_column(name) for name in (*SPEC.columns, *SPEC.context_columns)
]  # what drift is measured against

SKILL = {"label": "better", "relative_mae": 0.991, "pinball_skill": 0.021, "interval": [0.004, 0.038]}
LOSSES = {"n": 900, "n_days": 300, "pinball": 0.00389, "naive_pinball": 0.00397, "skill": SKILL}
HELD = {"level": 0.8, "coverage": 0.79, "naive_coverage": 0.83}
SCORES = [{"ticker": "all", "horizon": horizon, "intervals": [HELD], **LOSSES} for horizon in (1, 5)]  # made up


async def make_record(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> Truth:
    """Bars stored and published, a network and the reference that forecast them, all scored; gives the installation."""
    truth = Truth(settings, sessions)
    store = FeatureStore(settings.bars_uri)
    collect(store, SampleSource(), TICKERS)
    reference = await truth.champion()
    async with sessions() as db:
        network = await networks.register(db, _write_network(settings.bundles))
        await networks.promote(db, network)
    champions = (reference, await truth.champion())
    newest = _windows(store, settings, None)
    days = newest[0].bars.trading_day.astype(object)[-FORECASTS * EVERY - 1 :: EVERY]
    for number, day in enumerate(days, start=1):
        await _live_through(truth, champions, _as_of(store, settings, day, version(number)))
    await score_final_steps(truth.tools)
    async with sessions() as db:
        await publish_windows(db, newest)  # as the installation has them: from a file, all of the newest version
    return truth


def _write_network(bundles: Path) -> Path:
    """The handmade one, with a training that drift is measured against and figures beside the naive."""
    contents = {**make_contents(SPEC), "reference.json": canonical_json({"columns": TRAINED_ON})}
    manifest = make_manifest(contents, SPEC).model_copy(update={"scores": SCORES})
    return write_bundle(bundles, contents, manifest)


async def _live_through(truth: Truth, champions: Sequence[Champion], windows: Sequence[ServingWindow]) -> None:
    await truth.publish(*windows)
    for window in windows:
        for champion in champions:
            await truth.freeze(champion, window.ticker)


def _as_of(store: FeatureStore, settings: Settings, day: date, known: DataVersion) -> list[ServingWindow]:
    """The windows that a live source would have brought on a past day."""
    return [replace(window, as_of=None, live=True, data_version=known) for window in _windows(store, settings, day)]


def _windows(store: FeatureStore, settings: Settings, day: date | None) -> list[ServingWindow]:
    found = build_serving_windows(store, TICKERS, as_of=day, final_after=settings.final_after)
    return sorted(found, key=lambda window: window.ticker)
