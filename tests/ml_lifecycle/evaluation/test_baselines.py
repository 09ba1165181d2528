"""The naive forecast and its empirical quantiles."""

import numpy as np
import pytest

from data_pipeline.errors import InsufficientHistoryError
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED, HISTORY_USED, naive_quantiles, naive_quantiles_at
from ml_lifecycle.export.manifest import LEVELS
from tests.made_up_bars import bars_of_closes, make_bars


def test_the_median_is_the_last_close_and_quantiles_do_not_cross() -> None:
    quantiles = naive_quantiles(make_bars(1200), LEVELS)

    assert quantiles.shape == (30, 9)
    assert (quantiles[:, 4] == 0.0).all()
    assert (np.diff(quantiles, axis=1) >= 0.0).all()


def test_quantiles_are_those_of_the_last_thousand_returns_of_each_length() -> None:
    bars = make_bars(1500)
    log_price = np.log(bars.adj_close)

    quantiles = naive_quantiles(bars, LEVELS)

    for horizon in (1, 30):
        returns = (log_price[horizon:] - log_price[:-horizon])[-1000:]
        assert quantiles[horizon - 1, 0] == pytest.approx(np.quantile(returns, 0.025))
        assert quantiles[horizon - 1, 8] == pytest.approx(np.quantile(returns, 0.975))


def test_bars_older_than_the_history_used_change_nothing() -> None:
    bars = make_bars(1500)

    np.testing.assert_array_equal(naive_quantiles(bars, LEVELS), naive_quantiles(bars.last(HISTORY_USED), LEVELS))
    assert (naive_quantiles(bars, LEVELS) != naive_quantiles(bars.last(1000), LEVELS)).any()


def test_steady_growth_stops_the_lower_quantiles_at_the_naive_forecast() -> None:
    """Every return was +1 %: nothing ever fell, and the centre is still the last close."""
    bars = bars_of_closes(1.01 ** np.arange(300))

    quantiles = naive_quantiles(bars, (0.1, 0.5, 0.9))

    np.testing.assert_allclose(quantiles[0], [0.0, 0.0, np.log(1.01)], atol=1e-12)


def test_a_trading_year_is_enough_and_one_bar_less_is_not() -> None:
    naive_quantiles(make_bars(HISTORY_NEEDED), LEVELS)
    with pytest.raises(InsufficientHistoryError, match="252 trading days needed, 251 found"):
        naive_quantiles(make_bars(HISTORY_NEEDED - 1), LEVELS)


def test_many_cutoffs_at_once_give_what_each_gives_alone() -> None:
    bars = make_bars(1400)
    ends = np.array([251, 600, 1030, 1031, 1399])

    at_once = naive_quantiles_at(bars.adj_close, ends, (1, 5, 30), LEVELS)

    for end, quantiles in zip(ends, at_once, strict=True):
        np.testing.assert_array_equal(quantiles, naive_quantiles(bars[: end + 1], LEVELS)[[0, 4, 29]])
