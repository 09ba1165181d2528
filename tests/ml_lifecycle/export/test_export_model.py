"""A real network is trained, exported, and answers alike on Keras and on ONNX Runtime.

One training and two exports serve all tests here; TensorFlow's import is most of their time.
"""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_lifecycle.export import export_model, onnx_conversion
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.errors import BundleRefusedError, ExportError
from ml_lifecycle.export.export_model import export_bundle, main
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.from_checkpoint import draft_manifest
from ml_lifecycle.export.manifest import InputKind
from ml_lifecycle.export.onnx_conversion import ConvertedNetwork, convert_to_onnx
from ml_lifecycle.export.onnx_graph import operators
from ml_lifecycle.export.parity import RANDOM_WINDOWS, parity_inputs
from ml_lifecycle.training.checkpoint import Checkpoint
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.export.handmade import add_member, copy_bundle, make_onnx, reseal

MEMBERS = 2


@dataclass(frozen=True)
class Exported:
    """A checkpoint, the bundle that this process made of it, and what the command line made of it."""

    checkpoint: Checkpoint
    folder: Path
    by_command: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Checkpoint) -> Exported:
    """Two small members and a context, trained for real."""
    place, checkpoint = tmp_path_factory.mktemp("export"), tiny_checkpoint.folder
    command = [sys.executable, "-m", "ml_lifecycle.export.export_model", checkpoint, place / "by_command"]
    with ThreadPoolExecutor(1) as pool:
        by_command = pool.submit(subprocess.run, command, capture_output=True, text=True, timeout=110, check=True)
        folder = export_bundle(checkpoint, place / "bundles")
        return Exported(tiny_checkpoint, folder, by_command.result())


@pytest.fixture(scope="module")
def on_onnx(exported: Exported) -> Bundle:
    """The exported bundle on ONNX Runtime."""
    return load_bundle(exported.folder)


@pytest.fixture(scope="module")
def on_keras(exported: Exported) -> Bundle:
    """The exported bundle on Keras."""
    return load_bundle(exported.folder, "keras")


def test_the_same_checkpoint_gives_the_same_id(exported: Exported) -> None:
    """In another process, at another time, byte for byte."""
    other = Path(exported.by_command.stdout.strip())

    assert other.name == exported.folder.name
    assert other.parent != exported.folder.parent
    for file in exported.folder.iterdir():
        assert (other / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_command_tells_its_stages(exported: Exported) -> None:
    """On standard error; standard output is the folder alone."""
    stages = ["reading the checkpoint", "converting the network to ONNX", "writing the bundle"]

    assert exported.by_command.stderr.splitlines() == stages


def test_the_manifest_says_what_the_checkpoint_says(exported: Exported, on_onnx: Bundle) -> None:
    """Every field that a reader relies on."""
    manifest, content = on_onnx.manifest, exported.checkpoint.content

    assert manifest.weights_sha256 == content.weights_sha256
    assert (manifest.train_end, manifest.calibration_end) == (content.train_end, content.calibration_end)
    assert manifest.data_version is not None
    assert manifest.data_version.model_dump() == content.data_version.model_dump()
    assert (manifest.seed, manifest.git_commit) == (content.seed, content.git_commit)
    assert manifest.created_at == content.created_at
    assert manifest.history_needed == content.input_spec.history_needed
    assert manifest.input_columns == ("log_return", "range_volatility", "market_absolute_return")
    assert manifest.context_columns == ("jump_share",)
    assert manifest.market_universe is not None
    assert manifest.market_universe.tickers == content.market_universe
    assert manifest.market_universe.borrowed["XFRA"] == "XETR"
    assert manifest.golden.bars().market_return.tolist() == content.golden.bars["market_return"]
    assert manifest.input_kind is InputKind.OHLCV
    assert manifest.library_versions == content.library_versions
    assert manifest.scores == json.loads(json.dumps(content.scores))
    assert "naive_pinball" in manifest.scores[0]
    assert np.array(on_onnx.calibration.offsets).tolist() == content.calibration_offsets
    assert set(manifest.files) == {
        "network.keras", "network.onnx", "scaler.json", "calibration.json", "reference.json", "report.html"
    }  # fmt: skip


def test_both_engines_answer_alike(on_onnx: Bundle, on_keras: Bundle) -> None:
    """To 1e-5 on bars of many kinds, one by one and together."""
    series = [make_bars(on_onnx.manifest.history_needed + seed, seed=seed) for seed in range(40)]

    onnx_answers = BundleForecaster(on_onnx).forecast_many(series)
    keras_answers = BundleForecaster(on_keras).forecast_many(series)

    for bars, one, other in zip(series[:5], onnx_answers, keras_answers, strict=False):
        np.testing.assert_allclose(BundleForecaster(on_keras).forecast(bars).log_returns, one.log_returns, atol=1e-5)
        np.testing.assert_allclose(one.probability_up, other.probability_up, atol=1e-4)
    distance = np.max([np.abs(a.log_returns - b.log_returns) for a, b in zip(onnx_answers, keras_answers, strict=True)])
    assert distance <= 1e-5


def test_a_further_member_counts_alike_on_both_engines(exported: Exported, on_onnx: Bundle, tmp_path: Path) -> None:
    """Keras runs the network, ONNX Runtime what stands beside it."""
    spec = on_onnx.manifest.input_spec
    assert spec is not None
    graph = make_onnx(spec=spec).SerializeToString()
    folder = add_member(copy_bundle(exported.folder, tmp_path), graph, weight=0.4)
    bars = make_bars(spec.history_needed)

    on_each = [BundleForecaster(load_bundle(folder, engine)).forecast(bars).log_returns for engine in ("onnx", "keras")]

    np.testing.assert_allclose(*on_each, rtol=0, atol=1e-5)
    assert np.abs(on_each[0] - BundleForecaster(on_onnx).forecast(bars).log_returns).max() > 1e-3


def test_a_trained_network_answers_a_batch_as_one_by_one(on_onnx: Bundle) -> None:
    """The batch axis is open and rows do not touch."""
    forecaster = BundleForecaster(on_onnx)
    series = [make_bars(forecaster.history_needed, seed=seed) for seed in range(33)]

    for bars, answer in zip(series, forecaster.forecast_many(series), strict=True):
        np.testing.assert_allclose(forecaster.forecast(bars).log_returns, answer.log_returns, rtol=0, atol=1e-7)


def test_each_member_keeps_its_native_lstm_operator(exported: Exported) -> None:
    """One operator per LSTM layer, not hundreds of small ones."""
    held = operators((exported.folder / "network.onnx").read_bytes())

    assert held.count("LSTM") == MEMBERS
    assert len(held) < 60


def test_the_reference_distribution_and_the_report_travel_along(exported: Exported) -> None:
    """Drift is measured against the former; the latter is for people."""
    columns = json.loads((exported.folder / "reference.json").read_bytes())["columns"]

    assert {column["name"] for column in columns} >= {"log_return", "range_volatility"}
    assert (exported.folder / "report.html").read_text(encoding="utf-8").startswith("<!")


def test_parity_is_tried_on_random_and_on_real_windows(exported: Exported) -> None:
    """Random ones up to the clip, and every window that the golden bars hold, the newest last as it is served."""
    content = exported.checkpoint.content
    bars, spec = content.golden.bar_arrays(), content.input_spec

    inputs = parity_inputs(bars, spec, exported.checkpoint.scaler)

    n_real = len(inputs["window"]) - RANDOM_WINDOWS
    assert n_real >= 30
    assert np.abs(inputs["window"]).max() == 10.0
    np.testing.assert_allclose(inputs["window"][-1], content.golden.window, atol=1e-6)
    np.testing.assert_allclose(inputs["context"][-1], content.golden.context, atol=1e-6)


# What stops an export. The conversion takes some 13 s, so these are given its result. --------------------------------


@pytest.fixture
def converted(exported: Exported, on_keras: Bundle) -> ConvertedNetwork:
    """What the conversion of this checkpoint gives."""
    content = exported.checkpoint.content
    inputs = parity_inputs(content.golden.bar_arrays(), content.input_spec, exported.checkpoint.scaler)
    assert on_keras.network is not None
    return ConvertedNetwork(
        graph=(exported.folder / "network.onnx").read_bytes(),
        keras_quantiles=on_keras.network.engine.quantiles(inputs["window"], inputs["context"]),
        weights_sha256=content.weights_sha256,
    )


def changed_checkpoint(exported: Exported, into: Path, **fields: Any) -> Path:
    """A copy of the checkpoint with fields of its record replaced; dots reach into parts."""
    folder = Path(shutil.copytree(exported.checkpoint.folder, into / "checkpoint"))
    record = json.loads((folder / "checkpoint.json").read_bytes())
    for path, value in fields.items():
        part = record
        *parents, last = path.split("__")
        for parent in parents:
            part = part[parent]
        part[last] = value
    (folder / "checkpoint.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def stopped(
    monkeypatch: pytest.MonkeyPatch, converted: ConvertedNetwork, checkpoint: Path, into: Path, reason: str
) -> None:
    """The export is stopped for ``reason`` and leaves nothing."""
    monkeypatch.setattr(export_model, "convert_to_onnx", lambda *_: converted)

    with pytest.raises(ExportError, match=reason):
        export_bundle(checkpoint, into / "bundles")

    assert not (into / "bundles").exists()


def test_the_given_conversion_does_export(
    exported: Exported, converted: ConvertedNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that the refusals below are due to what each of them changes."""
    monkeypatch.setattr(export_model, "convert_to_onnx", lambda *_: converted)

    assert export_bundle(exported.checkpoint.folder, tmp_path).name == exported.folder.name


def test_a_twin_that_answers_otherwise_stops_the_export(
    exported: Exported, converted: ConvertedNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One window in hundreds, off by 0.00003."""
    off = converted.keras_quantiles.copy()
    off[100, 3, 4] += 3e-5

    stopped(
        monkeypatch, replace(converted, keras_quantiles=off), exported.checkpoint.folder, tmp_path, "away from Keras"
    )


def test_other_weights_than_the_checkpoint_says_stop_the_export(
    exported: Exported, converted: ConvertedNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``network.keras`` of another run."""
    changed = changed_checkpoint(exported, tmp_path, weights_sha256="0" * 64)

    stopped(monkeypatch, converted, changed, tmp_path, "holds other weights")


def test_a_lost_lstm_operator_stops_the_export(
    exported: Exported, converted: ConvertedNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two layers must not become one operator, or none."""
    other = replace(converted, graph=make_onnx().SerializeToString())

    stopped(monkeypatch, other, exported.checkpoint.folder, tmp_path, "2 LSTM layers became 1 LSTM operators")


def test_an_example_answered_otherwise_stops_the_export(
    exported: Exported, converted: ConvertedNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The network must still say what it said right after training."""
    answer = (np.array(exported.checkpoint.content.golden.answer) + 1e-4).tolist()
    changed = changed_checkpoint(exported, tmp_path, golden__answer=answer)

    stopped(monkeypatch, converted, changed, tmp_path, "away from what it did after training")


@pytest.mark.parametrize("part", ["window", "context"])
def test_input_columns_computed_otherwise_stop_the_export(
    exported: Exported, converted: ConvertedNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str
) -> None:
    """A column whose code changed since training would serve what was never trained."""
    numbers = (np.array(getattr(exported.checkpoint.content.golden, part)) + 1e-3).tolist()
    changed = changed_checkpoint(exported, tmp_path, **{f"golden__{part}": numbers})

    stopped(monkeypatch, converted, changed, tmp_path, "input columns are no longer computed")


def test_columns_of_closes_alone_are_told(exported: Exported) -> None:
    """Then a client may send closes alone; the columns that read more are taken out of the window here."""
    content = exported.checkpoint.content
    spec = content.input_spec.model_copy(update={"columns": ("log_return",)})
    window = [row[:1] for row in content.golden.window]
    scaler = {**content.scaler, "window": {key: values[:1] for key, values in content.scaler["window"].items()}}
    golden = content.golden.model_copy(update={"window": window})
    record = content.model_copy(update={"input_spec": spec, "golden": golden, "scaler": scaler})

    assert draft_manifest(Checkpoint(exported.checkpoint.folder, record)).input_kind is InputKind.CLOSES


def test_a_conversion_that_fails_says_why_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's exit status where it said nothing."""
    monkeypatch.setattr(onnx_conversion.sys, "executable", "/bin/false")

    with pytest.raises(ExportError, match="the conversion to ONNX failed: exit status 1"):
        convert_to_onnx(b"", {})


def test_a_conversion_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child must not keep a training job for ever."""
    monkeypatch.setattr(onnx_conversion, "_TIMEOUT_SECONDS", 0.05)

    with pytest.raises(ExportError, match="took over"):
        convert_to_onnx(b"", {})


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 5, as everywhere."""
    assert main([str(tmp_path / "nothing"), str(tmp_path / "bundles")]) == 5

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].endswith("holds no finished checkpoint (checkpoint.json is missing)")


# What Keras itself wrote, and what it would load ---------------------------------------------------------------------


def test_keras_refuses_other_weights_than_the_manifest_says(exported: Exported, tmp_path: Path) -> None:
    """The digest of the arrays, which no time of writing changes."""
    folder = copy_bundle(exported.folder, tmp_path)
    resealed = reseal(folder, lambda manifest: manifest.update(weights_sha256="0" * 64))

    with pytest.raises(BundleRefusedError, match="other weights than the manifest says"):
        load_bundle(resealed, "keras")


def test_keras_refuses_a_network_of_another_shape(exported: Exported, tmp_path: Path) -> None:
    """Another lookback than the manifest's."""
    import keras

    window, context = keras.Input((11, 2), name="window"), keras.Input((1,), name="context")
    joined = keras.layers.Concatenate()([keras.layers.LSTM(2, use_cudnn=False)(window), context])
    quantiles = keras.layers.Reshape((8, 9))(keras.layers.Dense(72)(joined))
    folder = copy_bundle(exported.folder, tmp_path)
    keras.Model({"window": window, "context": context}, quantiles).save(folder / "network.keras")

    with pytest.raises(BundleRefusedError, match=r"network\.keras has inputs and outputs"):
        load_bundle(reseal(folder), "keras")


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_a_lambda_layer_as_keras_writes_it_is_refused(exported: Exported, tmp_path: Path, engine: Any) -> None:
    """Not a made-up one."""
    import keras

    window = keras.Input((10, 2), name="window")
    folder = copy_bundle(exported.folder, tmp_path)
    keras.Model(window, keras.layers.Lambda(lambda x: x * 2)(window)).save(folder / "network.keras")

    with pytest.raises(BundleRefusedError, match="'Lambda'"):
        load_bundle(reseal(folder), engine)


def test_weights_that_do_not_fit_the_layers_are_refused(exported: Exported, tmp_path: Path) -> None:
    """Whatever Keras raises about them becomes one refusal."""
    import io
    import zipfile

    folder = copy_bundle(exported.folder, tmp_path)
    with zipfile.ZipFile(folder / "network.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = members["config.json"].replace(b'"units": 4', b'"units": 5')
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, held in members.items():
            archive.writestr(name, held)
    (folder / "network.keras").write_bytes(content.getvalue())

    with pytest.raises(BundleRefusedError, match=r"network\.keras cannot be loaded"):
        load_bundle(reseal(folder), "keras")
