"""Methods that train a network: the tutorial's recipe, and this project's own along the way."""

import numpy as np
import pytest

from data_pipeline.errors import InsufficientHistoryError
from ml_lifecycle.evaluation.forecasters import Cutoffs, forecast_at
from ml_lifecycle.evaluation.methods.tutorial_lstm import TutorialLstmMethod
from tests.made_up_bars import bars_of_closes
from tests.ml_lifecycle.conftest import plain_config, tiny_universe


def test_the_recipe_reads_sixty_closes_and_cannot_say_a_price_it_never_saw() -> None:
    """Scaled to the past's highest close, it lags behind a share that has doubled since: why it is here."""
    past = bars_of_closes(np.linspace(10.0, 20.0, 150))
    later = bars_of_closes(np.linspace(10.0, 40.0, 600))

    fitted = TutorialLstmMethod((0.1, 0.5, 0.9), epochs=2).fitted({"A": past})

    long, short = (
        forecast_at(fitted, [Cutoffs(given, np.array([end]))], (1, 5))[0][0]
        for given, end in ((later, 590), (later[:591].last(60), 59))
    )
    assert long[0, 1] < np.log(0.9)
    assert (np.diff(long, axis=1) > 0.0).all()
    np.testing.assert_array_equal(long, short)
    with pytest.raises(InsufficientHistoryError):
        forecast_at(fitted, [Cutoffs(later.last(59), np.array([58]))], (1,))
    with pytest.raises(InsufficientHistoryError):
        TutorialLstmMethod().fitted({"A": later.last(61)})


def test_a_network_spreads_its_parts_over_all_that_it_is_given() -> None:
    """The test part is the backtest itself, so calibration ends with the bars."""
    from ml_lifecycle.evaluation.methods.network import NetworkMethod, part_ends

    bars = {"T1": tiny_universe()["T1"]}
    day = bars["T1"].trading_day
    method = NetworkMethod(plain_config(epochs=1))

    fitted = method.fitted(bars)

    quantiles = forecast_at(fitted, [Cutoffs(bars["T1"], np.array([800, 899]))], (1, 7))[0]
    assert part_ends(method.config, bars)["calibration_end"] == day[-1].item()
    assert part_ends(method.config, bars)["train_end"] == day[699].item()
    assert quantiles.shape == (2, 2, 9)
    assert (np.diff(quantiles, axis=-1) >= 0.0).all()
    assert (quantiles[:, 1, -1] > quantiles[:, 0, -1]).all()
