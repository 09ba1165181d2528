"""Baselines against the libraries that they stand on, and against their own definition."""

from collections.abc import Callable

import numpy as np
import pytest
from arch import arch_model
from statsforecast.models import AutoETS

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.volatility import ewma_volatility, log_returns
from ml_lifecycle.evaluation.baselines import naive_quantiles_at
from ml_lifecycle.evaluation.forecasters import Cutoffs, forecast_at
from ml_lifecycle.evaluation.methods.autoets import AutoEtsMethod
from ml_lifecycle.evaluation.methods.drift import DriftMethod
from ml_lifecycle.evaluation.methods.ewma_fhs import EwmaFhsMethod
from ml_lifecycle.evaluation.methods.garch_t import GarchTMethod, fit_garch, variances
from ml_lifecycle.evaluation.methods.lightgbm_quantiles import LightGbmMethod
from ml_lifecycle.evaluation.methods.per_ticker import PerTickerMethod, last_quarter_ends
from ml_lifecycle.export.manifest import LEVELS
from tests.made_up_bars import bars_of_closes, make_bars

BARS = make_bars(1500, seed=4)
MEDIAN = LEVELS.index(0.5)
METHODS = [DriftMethod, EwmaFhsMethod, GarchTMethod, AutoEtsMethod]


@pytest.mark.parametrize("method", METHODS)
def test_many_cutoffs_at_once_give_what_the_newest_bars_give_alone(method: Callable[[], PerTickerMethod]) -> None:
    """A method that read more than ``history_used``, or a later bar, would differ."""
    one = method()
    ends = np.array([1450, 1499])

    at_once = one.quantiles_at(BARS, ends, (1, 10))

    assert isinstance(one, PerTickerMethod)
    for end, quantiles in zip(ends, at_once, strict=True):
        alone = one.forecast_many([BARS[: end + 1].last(one.history_used)])[0].log_returns
        assert alone.shape == (30, 9)
        np.testing.assert_allclose(quantiles, alone[[0, 9]], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_quantiles_do_not_cross_and_widen_with_the_horizon(method: Callable[[], PerTickerMethod]) -> None:
    quantiles = method().quantiles_at(BARS, np.array([1499]), (1, 5, 21))[0]

    assert (np.diff(quantiles, axis=1) > 0.0).all()
    assert (np.diff(quantiles[:, -1] - quantiles[:, 0]) > 0.0).all()


@pytest.mark.parametrize("method", METHODS)
def test_too_few_bars_are_refused(method: Callable[[], PerTickerMethod]) -> None:
    one = method()
    enough = make_bars(one.history_needed)

    assert np.isfinite(one.forecast_many([enough])[0].log_returns).all()
    with pytest.raises(InsufficientHistoryError):
        one.forecast_many([enough[1:]])


def test_drift_is_the_naive_moved_by_the_mean_log_return() -> None:
    bars = bars_of_closes(np.exp(np.where(np.arange(1101) % 2, 0.01, 0.0) + 0.001 * np.arange(1101)))

    quantiles = DriftMethod().quantiles_at(bars, np.array([1100]), (1, 10))[0]

    naive = naive_quantiles_at(bars.adj_close, np.array([1100]), (1, 10), LEVELS)[0]
    np.testing.assert_allclose(quantiles - naive, np.repeat([[0.001], [0.01]], 9, axis=1), atol=1e-12)


def test_one_step_of_filtered_simulation_is_todays_volatility_times_all_past_residuals() -> None:
    """Nothing is drawn on the first day: each of the last 1,000 residuals is there, four times."""
    returns = log_returns(BARS.adj_close)
    volatility = ewma_volatility(returns, 0.94, 250)
    residuals = (returns[1:] / volatility[:-1])[-1000:]

    quantiles = EwmaFhsMethod().quantiles_at(BARS, np.array([1499]), (1,))[0, 0]

    expected = volatility[-1] * np.quantile(np.repeat(residuals - residuals.mean(), 4), LEVELS)
    others = np.delete(np.arange(9), MEDIAN)
    np.testing.assert_allclose(quantiles[others], expected[others], atol=1e-12)


def test_filtered_simulation_leans_nowhere_by_the_luck_of_the_draw() -> None:
    """The middle between the quartiles moves by 0.5 % of the volatility from seed to seed; with random paths by 2 %."""
    volatility = ewma_volatility(log_returns(BARS.adj_close), 0.94, 250)[-1]

    told = np.stack([EwmaFhsMethod(seed=seed).quantiles_at(BARS, np.array([1499]), (5, 21))[0] for seed in range(10)])

    middle = told[..., [3, 5]].mean(axis=-1) / (volatility * np.sqrt([5.0, 21.0]))
    assert 0.0 < middle.std(axis=0).max() < 0.008
    assert (told[..., MEDIAN] == 0.0).all()


def test_filtered_simulation_keeps_fat_tails_over_many_days() -> None:
    """Volatility is constant to the filter's eye, so five days spread like the root of five."""
    rng = np.random.default_rng(0)
    bars = bars_of_closes(50.0 * np.exp(np.cumsum(0.01 * rng.choice([-1.0, 1.0], 1400))))

    one, five = EwmaFhsMethod().quantiles_at(bars, np.array([1399]), (1, 5))[0]

    assert one[[0, -1]] == pytest.approx([-0.01, 0.01], rel=0.1)
    assert five[-1] - five[0] == pytest.approx(0.01 * np.sqrt(5) * 2 * 1.96, rel=0.15)


def garch_returns(n: int, seed: int) -> np.ndarray:
    """Per cent; omega 0.1, alpha 0.1, beta 0.8, normal shocks: unconditional variance 1."""
    rng, variance, returns = np.random.default_rng(seed), 1.0, []
    for shock in rng.standard_normal(n):
        returns.append(np.sqrt(variance) * shock)
        variance = 0.1 + 0.1 * returns[-1] ** 2 + 0.8 * variance
    return np.array(returns)


def test_the_variance_at_a_cutoff_is_archs() -> None:
    """Fitted on 1,000 returns and run over 40 more, as arch runs its own parameters over all 1,040."""
    returns = garch_returns(1040, seed=1)
    fitted = fit_garch(returns[:1000])
    assert fitted is not None

    ours = variances(fitted, returns[1000:])

    model = arch_model(returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    fixed = model.fix([fitted.omega, fitted.alpha, fitted.beta, fitted.nu])
    np.testing.assert_allclose(ours[:-1], fixed.conditional_volatility[1000:] ** 2, rtol=1e-6)
    assert ours[-1] == pytest.approx(fixed.forecast(horizon=1).variance.to_numpy()[-1, 0], rel=1e-6)


def test_simulated_garch_has_archs_variance_at_every_step() -> None:
    returns = garch_returns(1500, seed=2)
    bars = bars_of_closes(50.0 * np.exp(np.cumsum(returns / 100.0)))
    levels = tuple(((np.arange(499) + 1.0) / 500.0).tolist())
    end = int(last_quarter_ends(bars.trading_day, np.array([1490]))[0]) + 1  # the first bar after the fit

    quantiles, later = GarchTMethod(levels).quantiles_at(bars, np.array([end, end + 2]), (1, 10))

    returns = 100.0 * log_returns(bars.adj_close)[1 : end + 1]
    found = fit_garch(returns[:-1])
    assert found is not None
    model = arch_model(returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    steps = model.fix([found.omega, found.alpha, found.beta, found.nu]).forecast(horizon=10).variance.to_numpy()[-1]
    assert np.var(100.0 * quantiles[0]) == pytest.approx(steps[0], rel=0.1)
    assert np.var(100.0 * quantiles[1]) == pytest.approx(steps.sum(), rel=0.1)
    assert quantiles[:, 249] == pytest.approx(0.0, abs=1e-12)
    ours = variances(found, 100.0 * log_returns(bars.adj_close)[end : end + 3])
    np.testing.assert_allclose(later[0], quantiles[0] * np.sqrt(ours[3] / ours[1]), atol=1e-12)  # the same shocks


def test_a_share_that_stands_still_has_no_garch_and_no_smoothing() -> None:
    still = bars_of_closes(np.full(800, 20.0))

    assert np.isnan(GarchTMethod().quantiles_at(still, np.array([799]), (1,))).all()
    assert np.isnan(AutoEtsMethod().quantiles_at(still, np.array([799]), (1,))).all()


def test_on_the_day_of_its_fit_autoets_says_what_statsforecast_does() -> None:
    end = int(last_quarter_ends(BARS.trading_day, np.array([1499]))[0])
    log_close = np.log(BARS.adj_close / BARS.adj_close[end - 499])
    first_of_quarter = end + 1

    quantiles = AutoEtsMethod().quantiles_at(BARS, np.array([first_of_quarter]), (1, 5))[0]

    fitted = AutoETS(season_length=1).fit(log_close[end - 499 : end + 1])
    told = fitted.forward(log_close[first_of_quarter - 499 : first_of_quarter + 1], h=5, level=[80, 95])
    expected = np.stack([told[name] for name in ("lo-95", "lo-80", "mean", "hi-80", "hi-95")], axis=-1)[[0, 4]]
    np.testing.assert_allclose(quantiles[:, [0, 2, 4, 6, 8]], expected - log_close[first_of_quarter], atol=1e-9)


def test_another_currency_changes_nothing_that_autoets_says() -> None:
    """Nor does a later dividend: a factor shifts every log close, and the choice among forms must not see it."""
    halved = bars_of_closes(0.5 * BARS.adj_close)

    ours, theirs = (AutoEtsMethod().quantiles_at(bars, np.array([1499]), (1, 10)) for bars in (BARS, halved))

    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_quarters_end_by_the_calendar() -> None:
    days = np.array(["2023-12-29", "2024-01-02", "2024-03-28", "2024-04-01"], dtype="datetime64[D]")

    assert last_quarter_ends(days, np.arange(4)).tolist() == [-1, 0, 0, 2]


def test_trees_learn_which_months_are_stormy() -> None:
    """Of each 200 days half are ten times as volatile: intervals must follow."""
    rng = np.random.default_rng(6)
    size = np.where(np.arange(3000) // 100 % 2 == 0, 0.004, 0.04)
    bars = {str(n): bars_of_closes(50.0 * np.exp(np.cumsum(size * rng.standard_normal(3000)))) for n in range(8)}
    learnt = {ticker: each[:2500] for ticker, each in bars.items()}

    fitted = LightGbmMethod((0.1, 0.5, 0.9), rounds=40).fitted(learnt)

    ends = np.arange(2500, 2999)
    quantiles = forecast_at(fitted, [Cutoffs(bars["0"], ends)], (1,))[0][:, 0]
    returns = log_returns(bars["0"].adj_close)[ends + 1]
    inside = (quantiles[:, 0] <= returns) & (returns <= quantiles[:, 2])
    width = quantiles[:, 2] - quantiles[:, 0]
    late = ends % 100 >= 50  # the state has been there for so long
    assert inside.mean() == pytest.approx(0.8, abs=0.1)
    assert np.median(width[late & (size[ends] > 0.01)]) > 3.0 * np.median(width[late & (size[ends] < 0.01)])
