"""From a checkpoint to a bundle: ``python -m ml_lifecycle.export.export_model CHECKPOINT BUNDLES`` trains nothing."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.own_columns import allow
from ml_lifecycle.export.bundle import Bundle, Network
from ml_lifecycle.export.canonical_json import canonical_json, parse_json_object
from ml_lifecycle.export.conformal import Calibration
from ml_lifecycle.export.engine import Engine
from ml_lifecycle.export.errors import ExportError
from ml_lifecycle.export.folder import CALIBRATION, NETWORK_KERAS, NETWORK_ONNX
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.from_checkpoint import data_files, draft_manifest, read_calibration
from ml_lifecycle.export.keras_archive import CONFIG, read_keras_archive
from ml_lifecycle.export.keras_layers import count_layers
from ml_lifecycle.export.manifest import GoldenWindow, Manifest
from ml_lifecycle.export.onnx_conversion import ConvertedNetwork, convert_to_onnx
from ml_lifecycle.export.onnx_engine import OnnxEngine
from ml_lifecycle.export.onnx_graph import operators
from ml_lifecycle.export.parity import PARITY_TOLERANCE, parity_inputs, require_parity
from ml_lifecycle.export.writing import write_bundle
from ml_lifecycle.training.checkpoint import TREES, Checkpoint

_GOLDEN_DECIMALS = 7  # the last bits differ between machines; the id of a bundle should not
_EXIT_REFUSED = 5


def export_bundle(checkpoint_dir: Path, bundles_dir: Path, *, progress: Callable[[str], None] | None = None) -> Path:
    """Turn a checkpoint into a bundle; the same checkpoint gives the same id. Gives the bundle's folder.

    Parameters
    ----------
    bundles_dir : made where it is missing.
    progress : called with what is done next; the conversion takes some 15 s, most of it TensorFlow's import.

    Raises
    ------
    CheckpointUnreadableError : the folder holds no finished checkpoint.
    ExportError : the ONNX twin differs from the network, or the checkpoint from itself.
    BundleRefusedError : the network holds something that no bundle may hold.
    """
    tell = progress or (lambda _: None)
    tell("reading the checkpoint")
    checkpoint = Checkpoint.load(checkpoint_dir)
    draft, calibration = draft_manifest(checkpoint), read_calibration(checkpoint)
    archive = checkpoint.network_path.read_bytes()
    tell("converting the network to ONNX")
    converted = _converted(checkpoint, archive, draft)
    tell("writing the bundle")
    members = _members(checkpoint, converted)
    _require_golden_example(checkpoint, OnnxEngine(members, draft))
    manifest = draft.model_copy(update={"golden": _golden(checkpoint, draft, calibration, members)})
    contents = {
        NETWORK_KERAS: archive,
        **members,
        CALIBRATION: canonical_json(calibration.model_dump(mode="json")),
        **data_files(checkpoint),
    }
    return write_bundle(bundles_dir, contents, manifest)


def _converted(checkpoint: Checkpoint, archive: bytes, draft: Manifest) -> ConvertedNetwork:
    """The ONNX twin, after it answered as Keras does on every parity input."""
    lstm_layers = count_layers(parse_json_object(read_keras_archive(archive)[CONFIG], name=CONFIG), "LSTM")
    bars, spec = checkpoint.content.golden.bar_arrays(), checkpoint.content.input_spec
    inputs = parity_inputs(bars, spec, checkpoint.scaler)
    converted = convert_to_onnx(archive, inputs)
    if converted.weights_sha256 != checkpoint.content.weights_sha256:
        raise ExportError("network.keras holds other weights than the checkpoint says")
    if (native := operators(converted.graph).count("LSTM")) != lstm_layers:
        raise ExportError(f"{lstm_layers} LSTM layers became {native} LSTM operators: build them with use_cudnn=False")
    alone = draft.model_copy(update={"member_weights": {NETWORK_ONNX: 1.0}})
    require_parity(OnnxEngine({NETWORK_ONNX: converted.graph}, alone), inputs, converted.keras_quantiles)
    return converted


def _members(checkpoint: Checkpoint, converted: ConvertedNetwork) -> dict[str, bytes]:
    """Every graph of the average by its file name."""
    trees = checkpoint.trees()
    return {NETWORK_ONNX: converted.graph} if trees is None else {NETWORK_ONNX: converted.graph, TREES: trees}


def _require_golden_example(checkpoint: Checkpoint, engine: Engine) -> None:
    """The members answer the checkpoint's own example as they did right after training."""
    golden = checkpoint.content.golden
    window, context = np.array([golden.window], np.float32), np.array([golden.context], np.float32)
    distance = float(np.max(np.abs(engine.quantiles(window, context)[0] - np.array(golden.answer))))
    if not distance <= PARITY_TOLERANCE:
        raise ExportError(f"the network answers its example {distance:.1e} away from what it did after training")


def _golden(
    checkpoint: Checkpoint, draft: Manifest, calibration: Calibration, members: dict[str, bytes]
) -> GoldenWindow:
    """The golden bars with what this very bundle forecasts from them."""
    engine = OnnxEngine(members, draft)
    network = Network(checkpoint.content.input_spec, checkpoint.scaler, engine)
    bars = draft.golden.bars()
    answer = BundleForecaster(Bundle("draft", draft, calibration, network)).forecast(bars).log_returns
    return GoldenWindow.of(bars, answer.round(_GOLDEN_DECIMALS))


def main(arguments: list[str] | None = None) -> int:
    """Export one checkpoint; prints the bundle's folder."""
    parser = argparse.ArgumentParser(prog="export_model", description="Turn a checkpoint into a bundle.")
    parser.add_argument("checkpoint", type=Path, help="folder that a training run wrote")
    parser.add_argument("bundles", type=Path, help="folder of bundles")
    parser.add_argument("--columns", metavar="MODULE", help="the input columns of one's own that it was trained with")
    asked = parser.parse_args(arguments)
    allow(asked.columns)
    try:
        folder = export_bundle(asked.checkpoint, asked.bundles, progress=lambda stage: _say(sys.stderr, stage))
    except ClosecastError as error:
        _say(sys.stderr, str(error))
        return _EXIT_REFUSED
    _say(sys.stdout, str(folder))
    return 0


def _say(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
