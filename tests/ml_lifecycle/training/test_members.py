"""A network averaged with boosted trees and with the ticker's own long run: what is trained is what is served."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import prepare_series
from data_pipeline.processing.scaler import Float32Array
from ml_lifecycle.evaluation.baselines import naive_quantiles
from ml_lifecycle.evaluation.calibration import conformal_offsets
from ml_lifecycle.evaluation.forecasters import Cutoffs
from ml_lifecycle.evaluation.methods.network import checkpoint_forecaster
from ml_lifecycle.evaluation.network_forecaster import scaled_quantiles
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.engine import Engine
from ml_lifecycle.export.export_model import export_bundle
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.onnx_engine import OnnxEngine, open_graph, run_graph
from ml_lifecycle.export.scale_trees_graph import scale_trees_graph
from ml_lifecycle.models import scale_trees
from ml_lifecycle.models.scale_trees import fit_scale_trees
from ml_lifecycle.training.checkpoint import TREES, Checkpoint, CheckpointUnreadableError
from ml_lifecycle.training.config import TrainingConfig, parse_config
from ml_lifecycle.training.fine_tuning import Parent, fine_tune
from ml_lifecycle.training.member_average import load_average
from ml_lifecycle.training.pairs import gather, long_run_averaged
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.train import train
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.conftest import DATA_VERSION, plain_config

HORIZONS, LEVELS = (1, 5, 21, 30), (0.1, 0.5, 0.9)
LONG_RUN = (0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.3)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Trees with a share of a quarter; 251 bars would not do for the long run, so the scale takes 260.

    Every cutoff of 1,300 bars, since a leaf takes 400: of fewer pairs every tree would be one leaf, whatever it reads.
    """
    config = plain_config(
        tree_share=0.25,
        long_run_shares=LONG_RUN,
        scale_length=260,
        context_columns=["jump_share", "volatility_level", "drawdown"],
        every_days=1,
        batch_size=256,
        epochs=1,
    )
    folder = tmp_path_factory.mktemp("members") / "averaged"
    return train(config, universe(), data_version=DATA_VERSION, out_dir=folder)


def universe() -> dict[str, BarArrays]:
    return {f"T{seed}": make_bars(1_300, seed=seed) for seed in (1, 2, 3)}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def forecaster(checkpoint: Checkpoint, bundles: Path) -> BundleForecaster:
    return BundleForecaster(load_bundle(export_bundle(checkpoint.folder, bundles)))


def learnable(n: int, seed: int = 0) -> tuple[Float32Array, Float32Array]:
    """Moves whose size doubles where the first of three columns is above 0.3."""
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(n, 3)).astype(np.float32)
    size = np.where(context[:, 0] > 0.3, 2.0, 1.0)[:, None]
    return context, (size * rng.standard_normal((n, len(HORIZONS)))).astype(np.float32)


def test_trees_find_what_scales_the_moves() -> None:
    learnt = fit_scale_trees(*learnable(8_000), horizons=HORIZONS, levels=LEVELS, seed=7)

    low, high = answered(scale_trees_graph(learnt, lookback=2, n_columns=1, n_context=3), [[-1.0, 0, 0], [1.0, 0, 0]])

    np.testing.assert_allclose(high[:, 2] / low[:, 2], 2.0, rtol=0.15)
    np.testing.assert_allclose(low[:, 2], 1.28, rtol=0.15)


def test_the_graph_answers_as_lightgbm_does_also_at_the_very_thresholds() -> None:
    context, targets = learnable(4_000)
    learnt = fit_scale_trees(context, targets, horizons=HORIZONS, levels=LEVELS, seed=7)
    tree = learnt.trees[0][0]
    at_threshold = np.tile(np.array([tree.threshold[0]], np.float32), (1, 3))
    asked = np.concatenate([context[:200], at_threshold])

    told = answered(scale_trees_graph(learnt, lookback=2, n_columns=1, n_context=3), asked)

    for place, group in enumerate(learnt.group):
        booster = scale_trees._fit_group(context, targets[:, [n for n, g in enumerate(learnt.group) if g == group]], 7)
        scale = np.exp(booster.predict(asked, raw_score=True))
        np.testing.assert_allclose(told[:, place], scale[:, None] * learnt.quantiles[place], rtol=0, atol=1e-5)


def test_the_same_trees_give_the_same_bytes() -> None:
    graphs = {
        scale_trees_graph(
            fit_scale_trees(*learnable(1_000), horizons=HORIZONS, levels=LEVELS, seed=7),
            lookback=2,
            n_columns=1,
            n_context=3,
        )
        for _ in range(2)
    }

    assert len(graphs) == 1


def test_the_bundle_forecasts_as_the_trained_average_does(checkpoint: Checkpoint, forecaster: BundleForecaster) -> None:
    bars = make_bars(1_100, seed=9)

    exported = forecaster.forecast(bars).log_returns
    (trained,) = checkpoint_forecaster(checkpoint).forecast_many([bars])

    heads = np.array(forecaster.bundle.manifest.horizons) - 1  # between them the two add offsets in another order
    np.testing.assert_allclose(exported[heads], trained.log_returns[heads], rtol=0, atol=1e-6)
    assert forecaster.bundle.manifest.member_weights == {"network.onnx": 0.75, TREES: 0.25}


def test_the_served_trees_split_and_answer_as_lightgbm_does_on_columns_by_their_names(
    checkpoint: Checkpoint, forecaster: BundleForecaster
) -> None:
    """From training to serving: LightGBM learns here from context that is put together column by column."""
    config, every, scaler = checkpoint.content.config, universe(), checkpoint.scaler
    data = gather(config, every, parts_of(checkpoint))
    train_pairs, places = data.pairs["train"], np.array([1_100, 1_200, 1_299])
    learnt_from = scaler.context.apply(np.concatenate([context_by_name(bars, config) for bars in every.values()]))
    asked = scaler.context.apply(np.concatenate([context_by_name(bars, config)[places] for bars in every.values()]))

    told = trees_served(forecaster.bundle, [bars[: end + 1] for bars in every.values() for end in places])

    group = [scale_trees._group_of(horizon) for horizon in config.horizons]
    for place, number in enumerate(group):
        targets = train_pairs.targets[:, [other for other, its in enumerate(group) if its == number]]
        booster = scale_trees._fit_group(learnt_from[train_pairs.rows], targets, config.seed)
        assert all(len(tree.value) > 1 for tree in scale_trees._trees_of(booster))
        usual = np.exp(booster.predict(learnt_from[train_pairs.rows], raw_score=True))
        quantiles = np.quantile(train_pairs.targets[:, place] / usual, config.levels)
        scale = np.exp(booster.predict(asked, raw_score=True))
        assert np.ptp(scale) > 0.02
        np.testing.assert_allclose(told[:, place], scale[:, None] * quantiles, rtol=0, atol=1e-5)


def trees_served(bundle: Bundle, many_bars: Sequence[BarArrays]) -> FloatArray:
    """What the trees alone answer while the bundle forecasts, shape ``(n, n_horizons, n_levels)``."""
    assert bundle.network is not None
    engine = TreesAlone(bundle.network.engine, bundle.manifest.member_weights[TREES])
    watched = BundleForecaster(replace(bundle, network=replace(bundle.network, engine=engine)))
    for bars in many_bars:
        watched.forecast(bars)
    return np.concatenate(engine.answers)


class TreesAlone:
    """The trees of an average, which keep what they answered."""

    def __init__(self, engine: Engine, share: float) -> None:
        assert isinstance(engine, OnnxEngine)
        self._trees, self._share = engine.without("network.onnx"), share
        self.answers: list[FloatArray] = []

    def quantiles(self, window: Float32Array, context: Float32Array) -> FloatArray:
        self.answers.append(self._trees.quantiles(window, context) / self._share)
        return self.answers[-1]


def context_by_name(bars: BarArrays, config: TrainingConfig) -> FloatArray:
    """Before the scaler, shape ``(n_bars, n_context)``: each column computed by itself, in the order of their names."""
    each = (config.input_spec.model_copy(update={"context_columns": (name,)}) for name in config.context_columns)
    return np.concatenate([prepare_series(bars, spec).context for spec in each], axis=1)


def parts_of(checkpoint: Checkpoint) -> Parts:
    content = checkpoint.content
    return Parts(content.train_end, content.validation_end, content.calibration_end)


def test_the_long_run_takes_its_share_of_every_head(forecaster: BundleForecaster) -> None:
    """With the share taken away, the heads are the members' own; the difference is the share of the empirical ones."""
    bars = make_bars(1_100, seed=9)
    bundle = forecaster.bundle
    plain = bundle.manifest.model_copy(update={"long_run_shares": (), "history_used": forecaster.history_needed})
    uncalibrated = bundle.calibration.model_copy(update={"offsets": ((0.0,) * 9,) * 8})
    one, other = (
        BundleForecaster(type(bundle)("x", manifest, uncalibrated, bundle.network)).forecast(bars).log_returns
        for manifest in (bundle.manifest, plain)
    )
    empirical = naive_quantiles(bars, bundle.manifest.quantile_levels)

    for horizon, share in zip(bundle.manifest.horizons, LONG_RUN, strict=True):
        row = horizon - 1
        np.testing.assert_allclose(one[row], (1 - share) * other[row] + share * empirical[row], rtol=0, atol=1e-12)


def test_the_offsets_are_those_of_the_whole_average_and_believed_by_the_days_of_its_cutoffs(
    checkpoint: Checkpoint,
) -> None:
    content, bars = checkpoint.content, universe()
    config = content.config
    data = gather(config, bars, parts_of(checkpoint))
    part = data.pairs["calibration"]
    heads = scaled_quantiles(load_average(checkpoint), data.series, part.rows, checkpoint.scaler)
    whole = long_run_averaged(config, data, part.rows, heads)
    full = conformal_offsets(part.targets.astype(np.float64), whole, config.levels)
    days = np.concatenate([bars[ticker].trading_day for ticker in content.tickers])[part.rows]
    independent = len(np.unique(days)) / np.array(config.horizons)

    np.testing.assert_allclose(checkpoint.offsets, full * (independent / (independent + 100))[:, None], atol=1e-6)
    assert not np.allclose(whole, heads)


def test_one_ticker_says_less_than_several_that_are_asked_on_other_days(checkpoint: Checkpoint) -> None:
    """One that is asked every fourth day has as many days as outcomes; three in turn have three times as many."""
    config, every = checkpoint.content.config.model_copy(update={"every_days": 4}), universe()

    one, three = (gather(config, bars, parts_of(checkpoint)) for bars in ({"T1": every["T1"]}, every))

    assert one.calibration_days == len(one.pairs["calibration"])
    assert three.calibration_days == len(three.pairs["calibration"]) > 2.5 * one.calibration_days


def test_bars_of_the_long_run_count_and_older_ones_do_not(forecaster: BundleForecaster) -> None:
    bars = make_bars(1_200, seed=9)

    assert forecaster.history_used == 1_031
    whole, used, short = (forecaster.forecast(bars.last(n)).log_returns for n in (1_200, 1_031, 900))

    assert np.array_equal(whole, used)
    assert not np.array_equal(used, short)


def test_many_cutoffs_are_forecast_as_each_by_itself(forecaster: BundleForecaster) -> None:
    bars, ends = make_bars(1_200, seed=4), np.array([300, 1_100, 1_199])

    (many,) = forecaster.forecast_cutoffs([Cutoffs(bars, ends)], range(1, 31))

    for end, told in zip(ends, many, strict=True):
        np.testing.assert_allclose(told, forecaster.forecast(bars[: end + 1]).log_returns, rtol=0, atol=1e-9)


def test_trees_that_were_changed_afterwards_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    copied = Checkpoint(tmp_path, checkpoint.content)
    (tmp_path / TREES).write_bytes(b"another")

    with pytest.raises(CheckpointUnreadableError, match="not the file that training wrote"):
        copied.trees()


def test_fine_tuning_keeps_its_parents_trees(
    checkpoint: Checkpoint, forecaster: BundleForecaster, tmp_path: Path, bundles: Path
) -> None:
    """Trees of three tickers' own windows would be others."""
    parent = Parent.read(bundles / forecaster.bundle.bundle_id)
    told = parse_config({"name": "tuned", "epochs": 1})
    fewer = {"T1": universe()["T1"]}

    tuned = fine_tune(parent, told, fewer, data_version=DATA_VERSION, out_dir=tmp_path)

    assert tuned.content.trees_sha256 == checkpoint.content.trees_sha256
    assert tuned.trees() == checkpoint.trees()
    assert tuned.content.reference_distribution == checkpoint.content.reference_distribution
    assert tuned.content.train_start == checkpoint.content.train_start


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"long_run_shares": [0.1]}, "one per horizon"),
        ({"long_run_shares": [0.1] * 8, "scale_length": 60}, "252 bars or more"),
        ({"long_run_shares": [1.0] * 8, "scale_length": 260}, "less than 1"),
        ({"tree_share": 1.0}, "less than 1"),
    ],
)
def test_shares_that_cannot_be_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        plain_config(**changes)


def answered(graph: bytes, context: object) -> np.ndarray:
    shapes = {"window": (2, 1), "context": (3,), "quantiles": (len(HORIZONS), len(LEVELS))}
    rows = np.asarray(context, dtype=np.float32)
    return run_graph(
        open_graph(graph, TREES, shapes), {"window": np.zeros((len(rows), 2, 1), np.float32), "context": rows}
    )
