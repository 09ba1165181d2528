"""Training for real, on a tiny network: the same twice, resumable, and blind to the test part."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.look_ahead import LATER_FACTOR, future_variants
from data_pipeline.processing.lstm_preprocessor import latest_window
from data_pipeline.processing.scaler import fit_scaler
from ml_lifecycle.evaluation.forecasters import Cutoffs
from ml_lifecycle.evaluation.network_forecaster import NetworkForecaster, answer_one
from ml_lifecycle.models.weights import network_sha256
from ml_lifecycle.training.checkpoint import Checkpoint, CheckpointUnreadableError
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.fitting import Progress
from ml_lifecycle.training.pairs import gather
from ml_lifecycle.training.parts import part_dates
from ml_lifecycle.training.train import train
from ml_lifecycle.training.training_statistics import sample_rows, unconditional_quantiles
from tests.ml_lifecycle.conftest import DATA_VERSION, UNIVERSES, market_config, plain_config, tiny_config, tiny_universe


def run(folder: Path, config: TrainingConfig | None = None, **options: object) -> Checkpoint:
    bars = options.pop("bars", tiny_universe())
    universes = options.pop("universes", UNIVERSES)
    return train(
        config or market_config(), bars, data_version=DATA_VERSION, out_dir=folder, universes=universes, **options
    )


def load_network(checkpoint: Checkpoint):  # type: ignore[no-untyped-def]  # Keras ships no types
    import keras

    return keras.models.load_model(checkpoint.network_path, compile=False, safe_mode=True)


def test_the_same_data_config_and_seed_give_the_same_weights(tmp_path: Path, tiny_checkpoint: Checkpoint) -> None:
    again = run(tmp_path / "again")

    assert again.content.weights_sha256 == tiny_checkpoint.content.weights_sha256
    assert again.content.calibration_offsets == tiny_checkpoint.content.calibration_offsets
    assert again.content.scores == tiny_checkpoint.content.scores


def test_the_kept_weights_are_those_of_the_best_look(tiny_checkpoint: Checkpoint) -> None:
    content = tiny_checkpoint.content
    losses = [record.validation_loss for record in content.history]

    assert losses[content.best_round] == min(losses)
    assert content.history[0].train_loss is None
    assert network_sha256(load_network(tiny_checkpoint)) == content.weights_sha256


def test_averaged_weights_are_looked_at_and_training_goes_on_with_its_own(tiny_checkpoint: Checkpoint) -> None:
    """An average that hardly forgets the first batch stays there, whatever is learnt meanwhile."""
    from ml_lifecycle.models.lstm_model import build_network
    from ml_lifecycle.training.fitting import fit

    config, usual = tiny_config(weight_average=0.9999), tiny_checkpoint.content.history
    data = gather(config, tiny_universe(), part_dates(config, tiny_universe()))
    sample = data.series.windows(sample_rows(data.pairs["train"]))
    networks = build_network(config, unconditional_quantiles(data.pairs["train"], config))
    at_looks = [networks.trained.get_weights()]

    def remember(_: Progress) -> None:
        at_looks.append(networks.trained.get_weights())

    scaler = fit_scaler(config.scaler, sample.window, sample.context)
    slow = fit(config, networks, data, scaler, progress=remember).history

    kept, own = (
        max(np.abs(now - before).max() for now, before in zip(weights, at_looks[0], strict=True))
        for weights in (networks.trained.get_weights(), at_looks[-1])
    )
    assert kept < 0.5 * own
    moved = [abs(history[-1].validation_loss - history[0].validation_loss) for history in (slow, usual)]
    assert moved[0] < 0.1 * moved[1]


def test_a_small_universe_is_looked_at_twice_an_epoch(tmp_path: Path) -> None:
    checkpoint = run(tmp_path, plain_config(validate_every=1000, epochs=2))

    assert [record.batches for record in checkpoint.content.history] == [0, 3, 6, 9, 12]


def test_where_nothing_can_be_learnt_the_untrained_network_is_kept(tmp_path: Path) -> None:
    """With a learning rate that throws the weights far away, no later look is better than the first."""
    checkpoint = run(tmp_path, plain_config(learning_rate=1.0, patience=2, validate_every=1))

    assert checkpoint.content.best_round == 0
    assert len(checkpoint.content.history) == 3  # patience: two looks without improvement
    golden = checkpoint.content.golden
    zeros = np.zeros_like(golden.window, dtype=np.float32), np.zeros_like(golden.context, dtype=np.float32)
    np.testing.assert_allclose(answer_one(load_network(checkpoint), *zeros), golden.answer, atol=1e-6)


def test_the_golden_window_is_answered_by_the_stored_network(tiny_checkpoint: Checkpoint) -> None:
    golden, spec = tiny_checkpoint.content.golden, tiny_checkpoint.content.input_spec
    window, context, scale = latest_window(golden.bar_arrays(), spec)
    scaled = tiny_checkpoint.scaler.apply(window, context)

    answer = load_network(tiny_checkpoint).predict_on_batch({"window": scaled[0][None], "context": scaled[1][None]})

    assert scale == golden.scale
    np.testing.assert_array_equal(scaled[0], np.array(golden.window, dtype=np.float32))
    np.testing.assert_allclose(answer[0], golden.answer, atol=1e-6)
    assert golden.bar_arrays().cutoff <= tiny_checkpoint.content.calibration_end


def test_the_checkpoint_tells_what_it_was_made_from(tiny_checkpoint: Checkpoint) -> None:
    content = tiny_checkpoint.content

    assert content.data_version.model_dump() == {
        "table_id": "made-up", "version": 3, "content_sha256": "0" * 64
    }  # fmt: skip
    assert content.market_universe == {"XETR": ("T2",), "XNYS": ("T1", "T3")}
    assert content.skipped_tickers == ("NEW",)
    assert content.train_end < content.validation_end < content.calibration_end
    assert content.library_versions.keys() >= {"python", "keras", "numpy"}
    assert min(content.pairs.values()) > 0
    assert all(abs(sum(column.shares) - 1.0) < 1e-9 for column in content.reference_distribution)


def test_a_network_that_reads_the_market_needs_a_universe(tmp_path: Path) -> None:
    """Served, it would not know whose means to read."""
    with pytest.raises(ConfigurationError, match="no exchange has a universe"):
        run(tmp_path, universes={})


def test_every_score_stands_beside_the_naives(tiny_checkpoint: Checkpoint) -> None:
    scores = tiny_checkpoint.content.scores

    assert [row["horizon"] for row in scores] == [1, 2, 3, 4, 5, 10, 21, 30]
    for row in scores:
        figures = {name for name in row if f"naive_{name}" in row}
        assert figures >= {"mae", "rmse", "mape", "r2", "pinball", "information_coefficient"}
        assert row["n"] > 0
        assert {interval["level"] for interval in row["intervals"]} == {0.5, 0.8, 0.9, 0.95}


def forecaster_of(checkpoint: Checkpoint) -> NetworkForecaster:
    config = checkpoint.content.config
    return NetworkForecaster(
        load_network(checkpoint),
        config.input_spec,
        checkpoint.scaler,
        horizons=config.horizons,
        levels=config.levels,
        offsets=checkpoint.offsets,
    )


def test_forecasts_from_a_whole_series_are_those_of_the_bars_up_to_the_cutoff(tiny_checkpoint: Checkpoint) -> None:
    rows = tiny_checkpoint.forecasts()
    assert rows is not None
    first = rows.where((rows.ticker == "T1") & (rows.cutoff == rows.cutoff.min()))
    bars = tiny_universe()["T1"].until(first.cutoff[0].item())

    steps = forecaster_of(tiny_checkpoint).forecast_many([bars])[0].log_returns

    assert steps.shape == (30, 9)
    np.testing.assert_array_equal(steps[first.horizon - 1], first.quantiles)


def test_a_forecast_stays_bit_for_bit_whatever_comes_after_its_cutoff(tiny_checkpoint: Checkpoint) -> None:
    forecaster, bars, ends = forecaster_of(tiny_checkpoint), tiny_universe()["T2"], np.array([700, 760, 800])

    def forecast(some: BarArrays) -> FloatArray:
        return forecaster.forecast_cutoffs([Cutoffs(some, ends)], (1, 5, 30))[0]

    known = forecast(bars)
    for seed in range(3):
        for variant in future_variants(bars, 800, seed).values():
            np.testing.assert_array_equal(forecast(variant), known)
    rescaled = replace(bars, adj_close=bars.adj_close * LATER_FACTOR)
    np.testing.assert_allclose(forecast(rescaled), known, rtol=1e-12)


def test_an_unfinished_or_foreign_folder_is_refused_in_one_line(tmp_path: Path, tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointUnreadableError, match="no finished checkpoint"):
        Checkpoint.load(tmp_path)
    content = json.loads((tiny_checkpoint.folder / "checkpoint.json").read_text())
    (tmp_path / "checkpoint.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointUnreadableError, match=r"holds no network\.keras"):
        Checkpoint.load(tmp_path)
    unknown = {**content["input_spec"], "columns": ["a_column_of_tomorrow"]}
    (tmp_path / "checkpoint.json").write_text(json.dumps({**content, "input_spec": unknown}))
    with pytest.raises(CheckpointUnreadableError, match="no input column 'a_column_of_tomorrow'"):
        Checkpoint.load(tmp_path)
    (tmp_path / "checkpoint.json").write_text(json.dumps({**content, "seed": "seven"}))
    with pytest.raises(CheckpointUnreadableError, match=r"checkpoint\.json: seed: ") as refused:
        Checkpoint.load(tmp_path)
    assert "\n" not in str(refused.value)


def test_damaged_forecasts_are_refused(tmp_path: Path, tiny_checkpoint: Checkpoint) -> None:
    (tmp_path / "forecasts.npz").write_bytes(b"no archive")

    assert Checkpoint(tmp_path / "none", tiny_checkpoint.content).forecasts() is None
    with pytest.raises(CheckpointUnreadableError, match=r"forecasts\.npz"):
        Checkpoint(tmp_path, tiny_checkpoint.content).forecasts()


def test_data_that_ends_with_the_calibration_part_leaves_no_score(tmp_path: Path) -> None:
    config = plain_config(train_end="2012-01-02", validation_end="2012-10-01", calibration_end="2014-01-01", epochs=1)

    checkpoint = run(tmp_path, config)

    assert checkpoint.content.scores == []
    assert checkpoint.forecasts() is None
