"""What a forecast reads of its ticker's market, and what the answer says about it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data import crud
from app.features.market_data.service import publish_windows
from app.features.registry.champion import Champion
from app.features.registry.crud import add_promotion
from app.features.registry.service import register_bundle
from app.features.stock_prediction.answers import stored_answer_of
from app.features.stock_prediction.predictor import forecast_values
from app.models.forecast import Forecast
from app.models.promotion import Promotion
from app.models.serving_window import ServingWindowRow
from data_pipeline.market_update import SMALLEST_UNIVERSE
from data_pipeline.processing.lstm_preprocessor import latest_window
from data_pipeline.publishing import build_serving_window
from data_pipeline.run_pipeline import collect
from data_pipeline.serving_window import MarketInputs, ServingWindow
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import MarketUniverse
from ml_lifecycle.export.writing import write_bundle
from tests.app.accounts import Account
from tests.app.windows import make_window
from tests.data_pipeline.made_bars import HOUR, NOW, MemorySource, first_days, make_bars, make_fetched
from tests.ml_lifecycle.export.handmade import SPEC, make_contents, make_manifest

UNIVERSE = MarketUniverse(tickers={"XNYS": ("A", "B"), "XETR": ("C",)}, borrowed={"XFRA": "XETR"})
READING = SPEC.model_copy(update={"columns": ("log_return", "market_return")})
LOOKBACK = READING.lookback


def champion_of(folder: Path) -> Champion:
    bundle = load_bundle(folder)
    return Champion(bundle, BundleForecaster(bundle), "forced", datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    """A network that reads its market's return on the five newest days."""
    contents = make_contents()
    manifest = make_manifest(contents, READING, UNIVERSE)
    return champion_of(write_bundle(tmp_path_factory.mktemp("reading"), contents, manifest))


@pytest.fixture(scope="module")
def not_reading(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    """The same without a market column."""
    contents = make_contents()
    return champion_of(write_bundle(tmp_path_factory.mktemp("not_reading"), contents, make_manifest(contents)))


def window_with(universe: str | None, *, exchange: str = "XNYS", unknown: int | None = None) -> ServingWindow:
    """300 bars with a market on each day but the ``unknown``-th newest; without any where ``universe`` is None."""
    window = replace(make_window(), exchange=exchange)
    if universe is None:
        return window
    returns = 0.02 * np.sin(np.arange(300.0))
    if unknown is not None:
        returns[-unknown] = np.nan
    return replace(window, market=MarketInputs(universe, returns, np.abs(returns)))


def forecast(champion: Champion, window: ServingWindow) -> dict[str, Any]:
    """What would be frozen, from the row that would be stored."""
    return forecast_values(champion, ServingWindowRow(**crud.values_of(window)), datetime(2026, 1, 2, tzinfo=UTC))


def test_a_market_known_on_every_day_read_is_used(reading: Champion) -> None:
    """The network sees it: another market gives another forecast."""
    known, none = forecast(reading, window_with("XNYS")), forecast(reading, window_with(None))

    assert known["market_inputs"] == "used"
    assert known["log_returns"] != none["log_returns"]


@pytest.mark.parametrize(("unknown", "told"), [(1, "fallback"), (LOOKBACK, "fallback"), (LOOKBACK + 1, "used")])
def test_one_day_without_a_market_among_those_read_is_told(reading: Champion, unknown: int, told: str) -> None:
    """The newest day, where the universe is not final yet, or any other of the window; what lies before is not read."""
    assert forecast(reading, window_with("XNYS", unknown=unknown))["market_inputs"] == told


def test_without_a_universe_every_day_is_an_ordinary_one(reading: Champion) -> None:
    """0 after scaling: the centre of the training part, and not a market that stood still."""
    without = forecast(reading, window_with(None))
    network, bars = reading.bundle.network, make_window().bars
    assert network is not None
    scale = latest_window(bars, READING)[2]
    ordinary = replace(bars, market_return=np.full(300, network.scaler.window.center[1] * scale))

    assert without["market_inputs"] == "fallback"
    np.testing.assert_allclose(without["log_returns"], reading.forecaster.forecast(ordinary).log_returns, atol=1e-9)


@pytest.mark.parametrize(
    ("exchange", "universe", "told"),
    [("XFRA", "XETR", "used"), ("XETR", "XETR", "used"), ("BVMF", "BVMF", "fallback"), ("BVMF", "XNYS", "fallback")],
)
def test_only_the_universe_that_the_bundle_names_for_an_exchange_is_read(
    reading: Champion, exchange: str, universe: str, told: str
) -> None:
    """Another market's means are numbers that the network has never been shown for such a ticker."""
    read = forecast(reading, window_with(universe, exchange=exchange))
    none = forecast(reading, window_with(None, exchange=exchange))

    assert read["market_inputs"] == told
    assert (read["log_returns"] == none["log_returns"]) == (told == "fallback")


def test_a_network_without_market_columns_does_not_use_it(not_reading: Champion) -> None:
    """Nor does it change a bit of the forecast."""
    with_market, without = forecast(not_reading, window_with("XNYS")), forecast(not_reading, window_with(None))

    assert with_market["market_inputs"] == without["market_inputs"] == "not_used"
    assert with_market["log_returns"] == without["log_returns"]


def test_what_was_read_is_told_as_long_as_the_forecast_is(reading: Champion) -> None:
    """It is frozen with it: a market that becomes known later changes neither."""
    frozen = Forecast(id=uuid4(), **forecast(reading, window_with("XNYS", unknown=1)))

    assert stored_answer_of(frozen, []).market_inputs == "fallback"


DAYS = first_days(40)
MEMBERS = [f"M{number}" for number in range(SMALLEST_UNIVERSE)]


def collected(store: FeatureStore, *tickers: str, n_days: int) -> None:
    """Collect so many days of each ticker, every one a walk of its own."""
    walks = {
        name: 50.0 * np.exp(np.cumsum(np.sin((index + 2.0) * np.arange(40)) / 50)) for index, name in enumerate(tickers)
    }
    answers = {name: make_fetched(make_bars(DAYS[:n_days], walk[:n_days]), name) for name, walk in walks.items()}
    collect(store, MemorySource(answers), now=NOW)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Ten tickers that are their exchange's universe, an eleventh collected on demand with a day more."""
    store = FeatureStore(tmp_path_factory.mktemp("bars"))
    collected(store, *MEMBERS, n_days=39)
    collected(store, "ONDEMAND", n_days=40)
    return store


def test_a_window_is_answered_as_a_backtest_would_from_the_same_data_version(
    reading: Champion, store: FeatureStore
) -> None:
    """The means come from one table by one path, whether they go through the database or not."""
    served = forecast(reading, build_serving_window(store, "M3", final_after=HOUR))

    assert served["market_inputs"] == "used"
    backtest = reading.forecaster.forecast(store.read_bar_arrays("M3", served["data_version"]))
    np.testing.assert_array_equal(served["log_returns"], backtest.log_returns)


def test_a_ticker_that_is_ahead_of_its_universe_reads_what_is_known(reading: Champion, store: FeatureStore) -> None:
    """The newest day counts once four fifths of the universe have it; a ticker asked for on demand adds nothing."""
    ahead = forecast(reading, build_serving_window(store, "ONDEMAND", final_after=HOUR))
    day_before = forecast(reading, build_serving_window(store, "ONDEMAND", as_of=DAYS[38], final_after=HOUR))

    assert (ahead["market_inputs"], day_before["market_inputs"]) == ("fallback", "used")


async def test_the_answer_and_the_stored_forecast_say_what_was_read(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """Over HTTP, through the database, from a network that is champion."""
    contents = make_contents()
    folder = write_bundle(settings.bundles, contents, make_manifest(contents, READING, UNIVERSE))
    bundle_id = await register_bundle(db, folder)
    await add_promotion(db, Promotion(bundle_id=bundle_id, kind="forced", decided_by="ada", reason="for the test"))
    known, unknown = window_with("XNYS"), window_with("XNYS", unknown=1)
    await publish_windows(db, [replace(known, ticker="KNOWN"), replace(unknown, ticker="UNKNOWN")])
    await db.commit()
    await app.state.champions.reload()

    told = {}
    for ticker in ("KNOWN", "UNKNOWN"):
        answer = (await client.get(f"/predict/{ticker}", headers=registered_user.headers)).json()
        stored = (await client.get(f"/forecasts/{answer['forecast_id']}", headers=registered_user.headers)).json()
        told[ticker] = (answer["bundle"]["id"], answer["market_inputs"], stored["market_inputs"])

    assert told == {"KNOWN": (bundle_id, "used", "used"), "UNKNOWN": (bundle_id, "fallback", "fallback")}
