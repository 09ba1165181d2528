"""A client's closes alone: 60 of them suffice, and nothing but them can change the answer."""

from dataclasses import replace

import numpy as np
import pytest

from data_pipeline.errors import ConfigurationError, InsufficientHistoryError
from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.lstm_preprocessor import UnusableBarsError
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.errors import WholeBarsNeededError
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import InputKind
from ml_lifecycle.export.writing import write_bundle
from ml_lifecycle.training.config import load_config
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest

SPEC = load_config("closes").input_spec


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> BundleForecaster:
    """A bundle with the inputs of the packaged ``closes`` configuration."""
    contents = make_contents(SPEC)
    folder = write_bundle(tmp_path_factory.mktemp("closes"), contents, make_manifest(contents, SPEC))
    return BundleForecaster(load_bundle(folder))


def closes(n: int) -> FloatArray:
    """The newest ``n`` of one and the same series."""
    return make_bars(200, seed=4).adj_close[-n:]


def test_60_closes_suffice_and_59_do_not(forecaster: BundleForecaster) -> None:
    """59 returns, and the close that the first of them starts from."""
    assert forecaster.history_needed == 60
    assert forecaster.forecast_closes(closes(60)).log_returns.shape == (30, 9)
    with pytest.raises(InsufficientHistoryError, match="60 trading days needed, 59 found"):
        forecaster.forecast_closes(closes(59))


@pytest.mark.parametrize("n", [61, 200])
def test_closes_before_the_newest_60_change_nothing(forecaster: BundleForecaster, n: int) -> None:
    """Bit for bit, be they wrong: they are not read."""
    more = closes(n).copy()
    more[:-60] = -1.0

    answer = forecaster.forecast_closes(more)

    np.testing.assert_array_equal(answer.log_returns, forecaster.forecast_closes(closes(60)).log_returns)


@pytest.mark.parametrize("row", [0, 1, 30, 59])
def test_each_of_the_60_closes_counts(forecaster: BundleForecaster, row: int) -> None:
    """The first by the return to the second."""
    changed = closes(60).copy()
    changed[row] *= 1.05

    answer = forecaster.forecast_closes(changed)

    assert (answer.log_returns != forecaster.forecast_closes(closes(60)).log_returns).any()


def test_closes_are_answered_as_the_bars_they_come_from(forecaster: BundleForecaster) -> None:
    """One path: other prices, volumes, days and the market may be anything."""
    bars = make_bars(60, seed=4)
    none = np.full(60, np.nan)
    flat = replace(bars, open=bars.adj_close, high=bars.adj_close, low=bars.adj_close, close=none, volume=none)

    alone = forecaster.forecast_closes(bars.adj_close).log_returns

    for known in (bars, flat):
        np.testing.assert_array_equal(forecaster.forecast(known).log_returns, alone)


@pytest.mark.parametrize("close", [0.0, -1.0, np.nan, np.inf])
def test_a_close_that_is_none_is_refused(forecaster: BundleForecaster, close: float) -> None:
    """Rather than answered with NaN."""
    broken = closes(60).copy()
    broken[7] = close

    with pytest.raises(UnusableBarsError, match="a close is missing or not positive"):
        forecaster.forecast_closes(broken)


def test_a_network_of_whole_bars_refuses_closes(network_bundle: Bundle) -> None:
    """By name, and not for a missing volume."""
    with pytest.raises(WholeBarsNeededError):
        BundleForecaster(network_bundle).forecast_closes(closes(200))


def test_the_reference_answers_closes_too(reference_bundle: Bundle) -> None:
    """It reads nothing else."""
    bars = make_bars(300)

    answer = BundleForecaster(reference_bundle).forecast_closes(bars.adj_close)

    np.testing.assert_array_equal(answer.log_returns, BundleForecaster(reference_bundle).forecast(bars).log_returns)


def test_a_configuration_that_declares_another_kind_is_refused() -> None:
    """Before anything is trained."""
    assert load_config("closes").input_kind is InputKind.CLOSES
    with pytest.raises(ConfigurationError, match="declared as closes, but these columns make it ohlcv"):
        load_config("closes", columns=["log_return", "volume_ratio"])


def test_the_kind_follows_from_the_columns(forecaster: BundleForecaster) -> None:
    """Nobody declares it."""
    ranged = SPEC.model_copy(update={"columns": ("log_return", "range_volatility")})
    at_market = SPEC.model_copy(update={"context_columns": ("market_return",)})

    assert forecaster.bundle.manifest.input_kind is SPEC.input_kind is InputKind.CLOSES
    assert ranged.input_kind is at_market.input_kind is InputKind.OHLCV
