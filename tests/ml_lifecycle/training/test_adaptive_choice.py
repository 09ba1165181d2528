"""Whether to adapt is measured on the calibration part, at the end of a training, and goes into the bundle."""

from collections.abc import Mapping
from datetime import date
from statistics import NormalDist

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.scaler import Float32Array, fit_scaler
from ml_lifecycle.export.conformal import AdaptiveChoice
from ml_lifecycle.export.from_checkpoint import read_calibration
from ml_lifecycle.training.adaptive_choice import measure_adaptive
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.parts import Parts
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.conftest import tiny_config

CONFIG = tiny_config()
BARS = {f"T{seed}": make_bars(500, seed=seed) for seed in (1, 2)}
DAYS = BARS["T1"].trading_day
PARTS = Parts(DAYS[250].item(), DAYS[300].item(), DAYS[420].item())
PLAIN = fit_scaler("standard", np.array([[[-1.0, -1.0], [1.0, 1.0]]]), np.array([[-1.0], [1.0]]))


class Normal:
    """A network that foretells a standard normal distribution whatever it sees."""

    quantiles: FloatArray = np.array([NormalDist().inv_cdf(level) for level in CONFIG.levels])

    def predict_on_batch(self, inputs: Mapping[str, Float32Array]) -> FloatArray:
        return np.tile(self.quantiles, (len(inputs["window"]), len(CONFIG.horizons), 1))


def measured(bars: Mapping[str, BarArrays], parts: Parts = PARTS) -> AdaptiveChoice:
    return measure_adaptive(CONFIG, bars, sorted(bars), parts, Normal(), PLAIN)


def test_the_bundle_says_what_the_checkpoint_measured(tiny_checkpoint: Checkpoint) -> None:
    choice = read_calibration(tiny_checkpoint).adaptive_choice

    assert choice == tiny_checkpoint.content.adaptive
    assert choice.figures is not None
    assert choice.figures.n > 100
    assert choice.on is (choice.figures.adaptive_pinball <= choice.figures.pinball)


def test_every_bar_of_the_newer_half_is_counted_at_every_horizon() -> None:
    """120 days less the 30 that their targets need: 90, of which 45 are the newer half; two tickers, eight horizons."""
    figures = measured(BARS).figures

    assert figures is not None
    assert figures.n == 45 * 2 * 8


def test_what_comes_after_the_calibration_part_is_not_looked_at() -> None:
    until: date = PARTS.calibration_end

    assert measured({ticker: bars.until(until) for ticker, bars in BARS.items()}) == measured(BARS)


def test_of_many_tickers_some_are_looked_at() -> None:
    """Of 50 every third: 17."""
    many = {f"T{seed:02}": make_bars(440, seed=seed) for seed in range(50)}

    figures = measured(many).figures

    assert figures is not None
    assert figures.n == 45 * 17 * 8


def test_a_calibration_part_without_a_whole_target_leaves_it_off() -> None:
    parts = Parts(DAYS[250].item(), DAYS[300].item(), DAYS[320].item())

    assert measured(BARS, parts) == AdaptiveChoice(on=False, figures=None)
