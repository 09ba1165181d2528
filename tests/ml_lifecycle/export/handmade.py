"""A network bundle put together by hand, file by file, without TensorFlow: what the loader sees, and nothing else.

The network is an LSTM of three units over five bars of two columns, one context number beside it, weights drawn once.
Its ``.keras`` file is what Keras would write for it; on the ONNX engine it is looked through but not run.
"""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from data_pipeline.processing.lstm_preprocessor import InputSpec
from data_pipeline.processing.scaler import Scaler
from ml_lifecycle.export.bundle import Bundle, Network
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.conformal import AdaptiveStart, Calibration, nominal_alphas
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import (
    HORIZONS,
    LEVELS,
    STEPS,
    BundleKind,
    GoldenWindow,
    Manifest,
    MarketUniverse,
    bundle_id,
)
from ml_lifecycle.export.onnx_engine import OnnxEngine
from tests.made_up_bars import make_bars

SPEC = InputSpec(columns=("log_return", "volume_ratio"), context_columns=("weekday_sine",), lookback=5, scale_length=20)
UNITS, HEADS, N_LEVELS = 3, len(HORIZONS), len(LEVELS)


def make_onnx(
    *, batch: str | int = "batch", window: str = "window", seed: int = 5, spec: InputSpec = SPEC
) -> onnx.ModelProto:
    """The graph; quantiles are a fixed spread around a median that the LSTM and the context move a little."""
    random, n_context = np.random.default_rng(seed), len(spec.context_columns)
    weights = {
        "w": random.normal(size=(1, 4 * UNITS, len(spec.columns))),
        "r": random.normal(size=(1, 4 * UNITS, UNITS)),
        "b": np.zeros((1, 8 * UNITS)),
        "kernel": np.repeat(0.05 * random.normal(size=(UNITS + n_context, HEADS)), N_LEVELS, axis=1),
        "bias": np.tile(np.linspace(-2.0, 2.0, N_LEVELS), HEADS)[None],
    }
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    constants.append(numpy_helper.from_array(np.array([-1, HEADS, N_LEVELS]), "shape"))
    constants.append(numpy_helper.from_array(np.array([0]), "first_axis"))
    nodes = [
        helper.make_node("Transpose", [window], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "w", "r", "b"], ["", "last"], hidden_size=UNITS),
        helper.make_node("Squeeze", ["last", "first_axis"], ["hidden"]),
        helper.make_node("Concat", ["hidden", "context"], ["joined"], axis=1),
        helper.make_node("MatMul", ["joined", "kernel"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["quantiles"]),
    ]
    inputs = [
        helper.make_tensor_value_info(window, TensorProto.FLOAT, [batch, spec.lookback, len(spec.columns)]),
        helper.make_tensor_value_info("context", TensorProto.FLOAT, [batch, n_context]),
    ]
    output = helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, [batch, HEADS, N_LEVELS])
    graph = helper.make_graph(nodes, "handmade", inputs, [output], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 15)])


def make_keras_config() -> dict[str, Any]:
    """``config.json`` as Keras spells it, shortened."""
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "closecast",
            "layers": [
                _layer("InputLayer", {"batch_shape": [None, SPEC.lookback, 2], "dtype": "float32", "name": "window"}),
                _layer(
                    "LSTM",
                    {
                        "units": UNITS,
                        "activation": "tanh",
                        "recurrent_activation": "sigmoid",
                        "kernel_initializer": {
                            "module": "keras.initializers",
                            "class_name": "GlorotUniform",
                            "config": {"seed": None},
                            "registered_name": None,
                        },
                    },
                ),
            ],
        },
        "registered_name": "Functional",
    }


def _layer(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None}


def make_weights_file(fill: Callable[[h5py.File], None] | None = None) -> bytes:
    """``model.weights.h5`` with one array, and whatever ``fill`` puts beside it."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("layers/lstm/vars/0", data=np.ones((2, 12), dtype=np.float32))
        if fill:
            fill(file)
    return content.getvalue()


def make_archive(
    *,
    config: Mapping[str, Any] | bytes | None = None,
    weights: bytes | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """``network.keras``."""
    content = io.BytesIO()
    described = make_keras_config() if config is None else config
    members = {
        "metadata.json": '{"keras_version": "3.15.1", "date_saved": "2026-11-21@11:09:38"}',
        "config.json": described if isinstance(described, bytes) else json.dumps(described),
        "model.weights.h5": make_weights_file() if weights is None else weights,
    }
    with zipfile.ZipFile(content, "w") as archive:
        for name, held in members.items():
            archive.writestr(zipfile.ZipInfo(name), held, compress_type=compression)  # a ZipInfo holds no clock's time
    return content.getvalue()


def make_calibration() -> Calibration:
    """Every interval a tenth of the scale wider on both sides."""
    row = tuple(0.1 * np.sign(level - 0.5) for level in LEVELS)
    return Calibration(offsets=(row,) * HEADS, adaptive=AdaptiveStart(alphas=nominal_alphas(LEVELS), step=0.005))


def make_contents(spec: InputSpec = SPEC) -> dict[str, bytes]:
    """Every file but the manifest; ``spec`` has two columns."""
    scaling = {"center": [0.0, 1.0], "width": [1.0, 0.5]}
    n_context = len(spec.context_columns)
    scaler = {
        "kind": "standard",
        "window": scaling,
        "context": {"center": [0.0] * n_context, "width": [0.7] * n_context},
    }
    return {
        "network.keras": make_archive(),
        "network.onnx": make_onnx(spec=spec).SerializeToString(),
        "scaler.json": canonical_json(scaler),
        "calibration.json": canonical_json(make_calibration().model_dump(mode="json")),
        "reference.json": canonical_json({"columns": []}),
    }


def make_manifest(
    contents: Mapping[str, bytes], spec: InputSpec = SPEC, market_universe: MarketUniverse | None = None
) -> Manifest:
    """A manifest whose golden window is answered by the files themselves, which were made for the same ``spec``."""
    bars = make_bars(spec.history_needed, seed=11)
    draft = Manifest(
        kind=BundleKind.NETWORK,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        files={},
        weights_sha256="0" * 64,
        history_needed=spec.history_needed,
        history_used=spec.history_needed,
        input_columns=spec.columns,
        context_columns=spec.context_columns,
        input_spec=spec,
        input_kind=spec.input_kind,
        market_universe=market_universe,
        train_end=date(2012, 1, 2),
        calibration_end=date(2013, 1, 2),
        member_weights={"network.onnx": 1.0},
        golden=GoldenWindow.of(bars, np.zeros((STEPS, N_LEVELS))),
    )
    return draft.model_copy(update={"golden": answered(draft, contents)})


def answered(manifest: Manifest, contents: Mapping[str, bytes]) -> GoldenWindow:
    """The golden bars of a draft with the answer that these files give."""
    assert manifest.input_spec is not None
    scaler = Scaler.from_dict(json.loads(contents["scaler.json"]))
    calibration = Calibration.model_validate_json(contents["calibration.json"])
    graphs = {name: contents[name] for name in manifest.member_weights}
    network = Network(manifest.input_spec, scaler, OnnxEngine(graphs, manifest))
    bars = manifest.golden.bars()
    answer = BundleForecaster(Bundle("draft", manifest, calibration, network)).forecast(bars).log_returns
    return GoldenWindow.of(bars, answer)


def add_member(folder: Path, graph: bytes, weight: float) -> Path:
    """A bundle that averages its network with one graph more, whose share is ``weight``; gives the new folder."""
    (folder / "member_1.onnx").write_bytes(graph)
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    shares = {"network.onnx": 1.0 - weight, "member_1.onnx": weight}
    manifest = Manifest.parse(json.loads(contents["manifest.json"])).model_copy(update={"member_weights": shares})
    golden = answered(manifest, contents).model_dump(mode="json")
    return reseal(folder, lambda content: content.update(member_weights=shares, golden=golden))


def reseal(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Path:
    """Give a tampered folder the digests and the name that fit it, as whoever tampered would; gives the new folder.

    ``change`` alters the manifest's content first.
    """
    manifest = json.loads((folder / "manifest.json").read_bytes())
    held = [file for file in folder.iterdir() if file.name != "manifest.json" and file.is_file()]
    manifest["files"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in held}
    change(manifest)
    (folder / "manifest.json").write_bytes(canonical_json(manifest))
    return folder.rename(folder.with_name(bundle_id(manifest)))


def copy_bundle(folder: Path, into: Path) -> Path:
    """The same bundle under another folder of bundles."""
    return Path(shutil.copytree(folder, into / folder.name))
