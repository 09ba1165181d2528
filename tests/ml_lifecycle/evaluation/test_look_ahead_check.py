"""No look-ahead from bars to bundle, and the check itself on leaks that were planted for it, one at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.lstm_preprocessor import InputSpec, IntArray, PreparedSeries, Windows, prepare_series
from data_pipeline.processing.own_columns import OwnColumns, allow
from data_pipeline.processing.scaler import Scaler, fit_scaler
from data_pipeline.processing.volatility import log_returns
from ml_lifecycle.evaluation.adaptive import Adapted, Past, adaptive_along
from ml_lifecycle.evaluation.backtest import Block, Method, Plan, backtest
from ml_lifecycle.evaluation.forecasters import Cutoffs, GivenForecast, NaiveForecaster, Trainable
from ml_lifecycle.evaluation.look_ahead_backtest import check_adaptive, check_backtest
from ml_lifecycle.evaluation.look_ahead_check import (
    Fault,
    InputStages,
    check_bundle,
    check_columns,
    check_forecaster,
    check_inputs,
    check_windows,
)
from ml_lifecycle.evaluation.look_ahead_training import DataStages, Universe, check_data, check_training
from ml_lifecycle.evaluation.methods.drift import DriftMethod
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.manifest import LEVELS
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.writing import write_bundle
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.config import CONTEXT_COLUMNS, TrainingConfig
from ml_lifecycle.training.pairs import PairSet, TrainingData, gather
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.train import train
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.conftest import UNIVERSES, plain_config, tiny_config, tiny_universe
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest

SPEC = InputSpec(columns=("log_return", "volume_ratio"), context_columns=("jump_share",), lookback=10, scale_length=60)


def universe(n_bars: int = 600) -> dict[str, BarArrays]:
    return {f"T{seed}": make_bars(n_bars, seed=seed) for seed in (1, 2)}


def told(faults: object) -> list[str]:
    return [str(fault) for fault in faults]  # type: ignore[attr-defined]  # whatever a check yields


def test_our_own_columns_and_windows_see_no_future() -> None:
    spec = InputSpec(columns=("log_return", "gap", "market_return"), context_columns=CONTEXT_COLUMNS, lookback=60)

    assert told(check_inputs(spec, universe(900), n_places=1)) == []


def test_our_own_market_parts_targets_and_scaler_see_no_future() -> None:
    """One ticker gets its first whole window in the test part: that must move nothing of the others either."""
    newcomer = make_bars(80, start="2013-01-07")

    assert told(check_data(tiny_config(every_days=8), {"A": newcomer, **tiny_universe()})) == []


def test_both_kinds_of_bundle_pass(tmp_path: Path) -> None:
    contents = make_contents()
    network = load_bundle(write_bundle(tmp_path, contents, make_manifest(contents)))

    assert check_bundle(network, universe()) == []
    assert check_bundle(load_bundle(write_reference_bundle(tmp_path)), universe()) == []


def test_a_bundle_that_could_not_be_tried_does_not_pass(tmp_path: Path) -> None:
    bundle = load_bundle(write_reference_bundle(tmp_path))

    assert check_bundle(bundle, universe(250)) == ["forecast, no ticker: has the 293 bars that the check needs"]


def test_changing_bars_after_calibration_end_changes_no_weight_and_no_offset() -> None:
    """A training for real; only the scores, which decide nothing, may notice."""
    config = plain_config(columns=["log_return", "range_volatility", "market_absolute_return"])

    faults = check_training(partial(train, universes=UNIVERSES), config, tiny_universe(), bounds=("calibration_end",))

    assert told(faults) == []


# Seven leaks that are met in practice, each put in the place of one stage.


def global_scaler(config: TrainingConfig, data: TrainingData) -> Scaler:
    """Fitted on everything, as whoever scales first and splits afterwards does."""
    rows = np.concatenate([pairs.rows for pairs in data.pairs.values()])
    windows = data.series.windows(rows)
    return fit_scaler(config.scaler, windows.window, windows.context)


def shuffled_split(config: TrainingConfig, bars: Universe, parts: Parts) -> TrainingData:
    """Pairs are dealt to the parts like cards."""
    data = gather(config, bars, parts)
    deck = PairSet.joined(list(data.pairs.values()))
    dealt = np.array_split(np.random.default_rng(0).permutation(len(deck)), len(data.pairs))
    pairs = {
        name: PairSet(deck.rows[chosen], deck.targets[chosen]) for name, chosen in zip(data.pairs, dealt, strict=True)
    }
    return replace(data, pairs=pairs)


def overhanging_targets(config: TrainingConfig, bars: Universe, parts: Parts) -> TrainingData:
    """Parts are split by cutoff alone: the last targets of one are known only in the next."""
    later = replace(parts, train_end=parts.train_end + timedelta(days=config.horizons[-1]))
    return replace(gather(config, bars, parts), pairs=gather(config, bars, later).pairs)


@pytest.mark.parametrize(
    ("stages", "fault"),
    [
        (DataStages(scaler=global_scaler), "scaler, window center, all tickers"),
        (DataStages(gather=shuffled_split), "parts, targets, all tickers"),
        (DataStages(gather=overhanging_targets), "parts, targets, all tickers"),
    ],
    ids=["global scaler", "shuffled split", "overhanging targets"],
)
def test_a_leak_between_the_parts_is_caught(stages: DataStages, fault: str) -> None:
    faults = told(check_data(tiny_config(every_days=8), universe(), stages))

    assert any(one.startswith(fault) and "bars after train_end changed: the train" in one for one in faults) or any(
        one.startswith(fault) and "bars after train_end changed: the scaler" in one for one in faults
    )


def centred_mean(bars: BarArrays) -> FloatArray:
    """A window of five days around the day."""
    return np.convolve(log_returns(bars.adj_close), np.full(5, 0.2), mode="same")


def adjustment_to_come(bars: BarArrays) -> FloatArray:
    """The factor of all splits and dividends that are still to come."""
    return np.log(bars.close / bars.adj_close)


@pytest.mark.parametrize(
    ("compute", "what"),
    [(centred_mean, "bars after the cutoff changed"), (adjustment_to_come, "a later adjustment factor")],
)
def test_a_column_with_a_leak_is_caught(compute: Callable[[BarArrays], FloatArray], what: str) -> None:
    faults = list(check_columns([InputColumn("mine", 5, compute)], universe()))

    assert what in {fault.what.partition(":")[0] for fault in faults}
    assert {(fault.stage, fault.column) for fault in faults} == {("columns", "mine")}
    assert all(fault.cutoff is not None and fault.ticker in universe() for fault in faults)


def test_no_fault_of_one_kind_is_told_twice_of_a_column() -> None:
    faults = told(check_columns([InputColumn("mine", 5, centred_mean)], universe(), n_places=6))

    kinds = [fault.split(": ")[1] for fault in faults]
    assert len(kinds) == len(set(kinds))


def back_filled(bars: BarArrays, spec: InputSpec) -> PreparedSeries:
    """Missing values become the next known one."""
    series = prepare_series(bars, spec)
    columns = series.columns.copy()
    for column in columns.T:
        rows = np.where(np.isnan(column), len(column) - 1, np.arange(len(column)))
        column[:] = column[np.minimum.accumulate(rows[::-1])[::-1]]
    return replace(series, columns=columns)


def one_bar_too_many(series: PreparedSeries, ends: IntArray) -> Windows:
    """The window ends at the bar that is to be foretold."""
    return series.windows(ends + 1)


@pytest.mark.parametrize(
    ("stages", "column"),
    [(InputStages(prepare=back_filled), "volume_ratio"), (InputStages(windows=one_bar_too_many), "log_return")],
    ids=["back-fill", "target among the inputs"],
)
def test_a_leak_on_the_way_to_the_windows_is_caught(stages: InputStages, column: str) -> None:
    faults = list(check_windows(SPEC, universe(), stages))

    assert ("windows", column) in {
        (fault.stage, fault.column) for fault in faults if fault.what.startswith("bars after the cutoff changed")
    }


def test_inputs_that_serving_makes_otherwise_than_training_are_caught() -> None:
    def newest(bars: BarArrays, spec: InputSpec) -> tuple[FloatArray, FloatArray, float]:
        window, context, scale = InputStages().newest(bars[:-1], spec)
        return window, context, scale

    faults = list(check_windows(SPEC, universe(), InputStages(newest=newest), n_places=1))

    assert {fault.what for fault in faults} == {"training and serving make other inputs of the same bars"}


def stopping_on_the_test_part(
    config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays], /, *, out_dir: Path, **options: Any
) -> Checkpoint:
    """The part that ends the training reaches to the end of the bars."""
    newest = max(bars.cutoff for bars in bars_by_ticker.values())
    ends = {"validation_end": newest - timedelta(days=60), "calibration_end": newest}
    return train(config.model_copy(update=ends), bars_by_ticker, out_dir=out_dir, **options)


def test_early_stopping_on_the_test_part_is_caught() -> None:
    config = plain_config(epochs=1)

    faults = told(check_training(stopping_on_the_test_part, config, universe(900), bounds=("calibration_end",)))

    assert any(fault.endswith("bars after calibration_end changed: other looks") for fault in faults)


def test_tuning_on_the_test_part_is_caught(tiny_checkpoint: Checkpoint) -> None:
    """Whatever is called like a training is checked like one; this one looks at the newest bar to choose its width."""

    def tune(config: TrainingConfig, bars_by_ticker: Universe, /, **_: object) -> Checkpoint:
        risen = np.diff(bars_by_ticker["T1"].close[-2:])[0] > 0.0
        chosen = config.model_copy(update={"hidden_size": 16 if risen else 64})
        return replace(tiny_checkpoint, content=tiny_checkpoint.content.model_copy(update={"config": chosen}))

    faults = told(
        fault
        for seed in range(4)
        for fault in check_training(tune, tiny_config(), tiny_universe(), bounds=("calibration_end",), seed=seed)
    )

    assert set(faults) == {
        f"training, all tickers at {tiny_checkpoint.content.calibration_end}: "
        "bars after calibration_end changed: other configuration"
    }


@pytest.mark.parametrize(
    ("decided", "bound", "told_of"),
    [
        ("weights_sha256", "validation_end", ["weights"]),
        ("weights_sha256", "train_end", []),  # the validation part may choose among the looks
        ("scaler", "train_end", ["scaler"]),
        ("calibration_offsets", "validation_end", []),  # that is what the calibration part is for
        ("calibration_offsets", "calibration_end", ["calibration"]),
        ("train_loss", "train_end", ["training losses"]),
        ("validation_loss", "train_end", []),
        ("validation_loss", "validation_end", ["looks"]),
    ],
)
def test_each_part_may_decide_what_it_is_there_for_and_nothing_before(
    tiny_checkpoint: Checkpoint, decided: str, bound: str, told_of: list[str]
) -> None:
    """Trainings that let one thing hang on the newest bar, which every other future changes."""

    def deciding(config: TrainingConfig, bars_by_ticker: Universe, /, **_: object) -> Checkpoint:
        content, newest = tiny_checkpoint.content, float(bars_by_ticker["T1"].close[-1])
        if decided.endswith("_loss"):
            moved = {"history": [look.model_copy(update={decided: newest}) for look in content.history]}
        else:
            moved = {decided: newest}
        return replace(tiny_checkpoint, content=content.model_copy(update={**moved, "config": config}))

    faults = told(check_training(deciding, tiny_config(), tiny_universe(), bounds=(bound,)))

    assert [fault.rpartition("changed: other ")[2] for fault in faults] == told_of


class WholeSeriesForecaster(NaiveForecaster):
    """Its width is that of all returns there are, later ones too."""

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        answers = super().forecast_cutoffs(cutoffs, horizons)
        widths = [np.nanstd(log_returns(entry.bars.adj_close)) for entry in cutoffs]
        return [answer * width for answer, width in zip(answers, widths, strict=True)]


class ForgetfulForecaster(NaiveForecaster):
    """It says that it reads 600 bars and reads all that it is given."""

    history_used = 600  # more than twice what it needs

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        return [GivenForecast(np.full((30, len(LEVELS)), len(bars), dtype=np.float64)) for bars in many_bars]


def test_a_forecaster_that_looks_ahead_or_reads_more_than_it_says_is_caught() -> None:
    ahead: list[Fault] = list(check_forecaster(WholeSeriesForecaster(), universe(), stage="mine"))
    forgetful = list(check_forecaster(ForgetfulForecaster(), universe(1500)))

    assert {fault.stage for fault in ahead} == {"mine"}
    assert any(fault.what == "bars after the cutoff cut: a value moved" for fault in ahead)
    assert "bars before the last 600 change the answer" in {fault.what for fault in forgetful}


def test_walking_forward_and_adaptive_calibration_see_no_future() -> None:
    assert told(check_backtest(universe(), {"drift": DriftMethod()})) == []
    assert told(check_adaptive()) == []


def test_a_refit_on_bars_after_the_cutoff_is_caught() -> None:
    def learning_from_everything(methods: Mapping[str, Method], bars: Universe, plan: Plan) -> Iterator[Block]:
        learnt = {name: method.fitted(bars) for name, method in methods.items() if isinstance(method, Trainable)}
        return backtest({**methods, **learnt}, bars, plan)

    faults = told(check_backtest(universe(), walk=learning_from_everything))

    assert all(fault.startswith("backtest, what is learnt, all tickers at ") for fault in faults)
    assert [fault.rpartition("cutoff ")[2] for fault in faults] == [
        "changed: a forecast moved", "shifted: a forecast moved", "cut: a forecast moved"
    ]  # fmt: skip


def test_adaptive_calibration_by_outcomes_not_yet_known_is_caught() -> None:
    """It takes the next cutoff for late enough, whatever the horizon."""

    def hasty(past: Past, levels: tuple[float, ...], horizons: Sequence[int]) -> Adapted:
        return adaptive_along(replace(past, bars=100 * past.bars), levels, horizons)

    assert {fault.column for fault in check_adaptive(hasty)} == {"quantiles", "alphas"}


def test_the_example_of_the_guide_is_a_clean_module(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "look-ahead.md").read_text()
    (tmp_path / "my_columns.py").write_text(page.split("```python\n")[1].split("```")[0])

    own = OwnColumns.of(str(tmp_path / "my_columns.py"))
    allow(None)

    assert told(check_columns([own.column("day_range")], universe())) == []
