"""One forecast, many forecasts, and what may and may not change them."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import UnusableBarsError, latest_window
from ml_lifecycle.evaluation.baselines import naive_quantiles
from ml_lifecycle.evaluation.forecasters import BatchForecaster, Cutoffs
from ml_lifecycle.export.bundle import Bundle
from ml_lifecycle.export.conformal import AdaptiveStart, AdaptiveState, Calibration
from ml_lifecycle.export.forecaster import BATCH, BundleForecaster
from ml_lifecycle.export.manifest import HORIZONS, LEVELS
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.export.handmade import SPEC


@pytest.fixture(scope="session", params=["network", "reference"])
def forecaster(request: pytest.FixtureRequest) -> BundleForecaster:
    """Both kinds of bundle behind the same door."""
    return BundleForecaster(request.getfixturevalue(f"{request.param}_bundle"))


def test_the_reference_says_what_the_naive_says(reference_bundle: Bundle) -> None:
    """Its quantiles are the empirical ones, its probability of a rise one half."""
    bars = make_bars(1_100)

    answer = BundleForecaster(reference_bundle).forecast(bars)

    np.testing.assert_array_equal(answer.log_returns, naive_quantiles(bars, LEVELS))
    np.testing.assert_array_equal(answer.probability_up, np.full(30, 0.5))
    np.testing.assert_array_equal(answer.naive, np.zeros(30))


def test_a_head_is_scale_times_root_h_times_output_plus_offset(network_bundle: Bundle) -> None:
    """The order: graph, scaled units, offset in scaled units; here redone for each head from its parts."""
    bars, network = make_bars(60), network_bundle.network
    assert network is not None
    window, context, scale = latest_window(bars, SPEC)
    scaled = network.engine.quantiles(*network.scaler.apply(window[None], context[None]))[0]
    offset = 0.1 * np.sign(np.array(LEVELS) - 0.5)

    answer = BundleForecaster(network_bundle).forecast(bars).log_returns

    for row, h in enumerate(HORIZONS):
        np.testing.assert_allclose(answer[h - 1], scale * np.sqrt(h) * (scaled[row] + offset), rtol=1e-12)


def test_offsets_come_after_the_interpolation(network_bundle: Bundle) -> None:
    """Step 7 lies between heads 5 and 10: its variance is interpolated without offsets, its own is then added."""
    bars = make_bars(60)
    silent = Calibration(offsets=((0.0,) * 9,) * 8, adaptive=AdaptiveStart(alphas=(0.05, 0.1, 0.2, 0.5), step=0.01))
    plain = BundleForecaster(replace(network_bundle, calibration=silent)).forecast(bars).log_returns
    _, _, scale = latest_window(bars, SPEC)

    calibrated = BundleForecaster(network_bundle).forecast(bars).log_returns

    offset = 0.1 * np.sign(np.array(LEVELS) - 0.5) * scale * np.sqrt(7.0)
    np.testing.assert_allclose(calibrated[6], plain[6] + offset, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), spare=st.integers(0, 40))
def test_quantiles_never_cross(forecaster: BundleForecaster, seed: int, spare: int) -> None:
    """On any bars, at every step."""
    bars = make_bars(forecaster.history_needed + spare, seed=seed)

    answer = forecaster.forecast(bars)

    assert answer.log_returns.shape == (30, 9)
    assert (np.diff(answer.log_returns, axis=-1) >= 0.0).all()
    assert ((answer.probability_up > 0.0) & (answer.probability_up < 1.0)).all()


@settings(max_examples=20, deadline=None)
@given(
    offsets=st.lists(st.floats(-3.0, 3.0), min_size=72, max_size=72),
    alphas=st.lists(st.floats(-1, 1), min_size=4, max_size=4),
)
def test_quantiles_never_cross_after_any_calibration(
    network_bundle: Bundle, offsets: list[float], alphas: list[float]
) -> None:
    """Offsets and α that would turn levels around are put in order at the end."""
    wild = Calibration(
        offsets=tuple(map(tuple, np.reshape(offsets, (8, 9)).tolist())),
        adaptive=AdaptiveStart(alphas=(0.05, 0.1, 0.2, 0.5), step=0.01),
    )
    forecaster = BundleForecaster(replace(network_bundle, calibration=wild))

    answer = forecaster.forecast(make_bars(40), adaptive=AdaptiveState(np.array(alphas)))

    assert (np.diff(answer.log_returns, axis=-1) >= 0.0).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), earlier=st.integers(1, 60))
def test_bars_before_the_history_used_change_nothing(forecaster: BundleForecaster, seed: int, earlier: int) -> None:
    """Bit for bit, however wild they are."""
    bars = make_bars(forecaster.history_used, seed=seed)
    wild = replace(make_bars(earlier, seed=seed + 1), adj_close=np.full(earlier, 1e-3), volume=np.zeros(earlier))

    alone, preceded = forecaster.forecast(bars), forecaster.forecast(_joined(wild, bars))

    np.testing.assert_array_equal(alone.log_returns, preceded.log_returns)
    np.testing.assert_array_equal(alone.probability_up, preceded.probability_up)


@pytest.mark.parametrize(("kind", "row"), [("network", 0), ("reference", 1)])
def test_the_oldest_bars_of_the_history_used_count(request: pytest.FixtureRequest, kind: str, row: int) -> None:
    """What is declared as used is used: without this the test above would pass on a constant."""
    forecaster = BundleForecaster(request.getfixturevalue(f"{kind}_bundle"))
    bars = make_bars(forecaster.history_used)
    before = forecaster.forecast(bars).log_returns

    # In both directions: an empirical quantile does not notice when an extreme becomes more extreme.
    after = [forecaster.forecast(_with_bar_times(bars, row, factor)).log_returns for factor in (0.1, 10.0)]

    assert any((changed != before).any() for changed in after)


def _joined(first: BarArrays, second: BarArrays) -> BarArrays:
    """One after the other; the days need not fit."""
    names = [field.name for field in fields(BarArrays)]
    return BarArrays(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


def _with_bar_times(bars: BarArrays, row: int, factor: float) -> BarArrays:
    factors = np.where(np.arange(len(bars)) == row, factor, 1.0)
    return replace(bars, adj_close=bars.adj_close * factors, volume=bars.volume * factors)


def test_a_batch_answers_as_one_by_one_does(forecaster: BundleForecaster) -> None:
    """To 1e-7, whatever stands beside a series in the batch."""
    series = [make_bars(forecaster.history_needed + extra, seed=extra) for extra in range(12)]

    together = forecaster.forecast_many(series)

    for bars, answer in zip(series, together, strict=True):
        np.testing.assert_allclose(answer.log_returns, forecaster.forecast(bars).log_returns, rtol=0, atol=1e-7)


def test_many_cutoffs_of_one_series_answer_as_single_forecasts_do(forecaster: BundleForecaster) -> None:
    """The backtest's fast way and the way of serving are one forecast."""
    bars = make_bars(forecaster.history_needed + 50)
    ends = np.array([forecaster.history_needed - 1, forecaster.history_needed + 20, len(bars) - 1])
    assert isinstance(forecaster, BatchForecaster)

    (quantiles,) = forecaster.forecast_cutoffs([Cutoffs(bars, ends)], horizons=(1, 7, 30))

    for end, rows in zip(ends, quantiles, strict=True):
        single = forecaster.forecast(bars[: end + 1]).log_returns[[0, 6, 29]]
        np.testing.assert_allclose(rows, single, rtol=0, atol=1e-7)


def test_more_cutoffs_than_one_pass_holds_are_all_answered(network_bundle: Bundle) -> None:
    """In order, none lost at the seams between passes."""
    forecaster, bars = BundleForecaster(network_bundle), make_bars(BATCH + 200)
    ends = np.arange(forecaster.history_needed - 1, len(bars))

    (quantiles,) = forecaster.forecast_cutoffs([Cutoffs(bars, ends)], horizons=(5,))

    assert quantiles.shape == (len(ends), 1, 9)
    at_seam = forecaster.forecast(bars[: ends[BATCH] + 1]).log_returns[4]
    np.testing.assert_allclose(quantiles[BATCH, 0], at_seam, rtol=0, atol=1e-7)


def test_no_series_no_forecast(forecaster: BundleForecaster) -> None:
    """An empty batch is an empty answer."""
    assert forecaster.forecast_many([]) == []


def test_one_bar_too_few_names_needed_and_found(forecaster: BundleForecaster) -> None:
    """What every 422 says."""
    bars = make_bars(forecaster.history_needed - 1)

    with pytest.raises(InsufficientHistoryError) as caught:
        forecaster.forecast(bars)

    assert (caught.value.needed, caught.value.found) == (forecaster.history_needed, forecaster.history_needed - 1)
    with pytest.raises(InsufficientHistoryError):
        forecaster.forecast_cutoffs([Cutoffs(bars, np.array([len(bars) - 1]))], horizons=(1,))


def test_bars_before_a_hole_are_no_history(forecaster: BundleForecaster) -> None:
    """After three months without a bar a forecast begins anew, and needs its whole history after them."""
    before, after = make_bars(40, seed=1), make_bars(forecaster.history_needed, seed=2, start="2012-06-01")

    joined = forecaster.forecast(_joined(before, after))

    np.testing.assert_array_equal(joined.log_returns, forecaster.forecast(after).log_returns)
    with pytest.raises(InsufficientHistoryError):
        forecaster.forecast(_joined(before, after[1:]))


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
def test_a_price_that_is_none_is_refused(forecaster: BundleForecaster, price: float) -> None:
    """Rather than answered with NaN, or with a warning on the side."""
    bars = make_bars(forecaster.history_needed)
    bars.adj_close[-3] = price

    with pytest.raises(UnusableBarsError):
        forecaster.forecast(bars)


def test_a_share_that_never_moves_has_no_width_in_the_reference(reference_bundle: Bundle) -> None:
    """And rises with probability one half."""
    bars = make_bars(300)
    bars.adj_close[:] = 7.0

    answer = BundleForecaster(reference_bundle).forecast(bars)

    np.testing.assert_array_equal(answer.log_returns, np.zeros((30, 9)))
    np.testing.assert_array_equal(answer.probability_up, np.full(30, 0.5))


def test_a_wider_alpha_gives_wider_intervals(network_bundle: Bundle) -> None:
    """The state given by the caller is what is used."""
    forecaster, bars = BundleForecaster(network_bundle), make_bars(60)

    wide = forecaster.forecast(bars, adaptive=AdaptiveState(np.array([0.01, 0.05, 0.1, 0.3]))).log_returns
    usual = forecaster.forecast(bars).log_returns

    assert (wide[:, 5:] - usual[:, 5:] > 0).all()
    assert (wide[:, :4] - usual[:, :4] < 0).all()
    np.testing.assert_array_equal(wide[:, 4], usual[:, 4])
