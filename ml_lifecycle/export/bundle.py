"""Loading a bundle: everything is checked before anything is used, and a doubt refuses it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.lstm_preprocessor import InputSpec
from data_pipeline.processing.scaler import Scaler
from ml_lifecycle.export.canonical_json import canonical_json, parse_json_object
from ml_lifecycle.export.conformal import Calibration
from ml_lifecycle.export.engine import Engine
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.folder import (
    CALIBRATION,
    DRIFT_REFERENCE,
    NETWORK_KERAS,
    SCALER,
    BundleFiles,
    read_bundle_folder,
)
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.keras_archive import WEIGHTS, read_keras_archive
from ml_lifecycle.export.manifest import Manifest
from ml_lifecycle.export.onnx_engine import OnnxEngine
from ml_lifecycle.monitoring.drift import DriftReference

EngineName = Literal["onnx", "keras"]
GOLDEN_TOLERANCE = 1e-5  # in log returns; the engines differ by some 1e-7, a changed weight or column by far more


@dataclass(frozen=True)
class Network:
    """What turns bars into quantiles at the heads: how inputs are made, how they are scaled, the graph.

    ``drift`` knows how the inputs were distributed in training; None where ``reference.json`` does not say.
    """

    spec: InputSpec
    scaler: Scaler
    engine: Engine
    drift: DriftReference | None = None


@dataclass(frozen=True)
class Bundle:
    """A checked bundle, ready to forecast; ``network`` is None for the reference."""

    bundle_id: str
    manifest: Manifest
    calibration: Calibration
    network: Network | None


def load_bundle(folder: Path, engine: EngineName = "onnx") -> Bundle:
    """Check a bundle and load it; its golden window has been answered when this returns.

    Parameters
    ----------
    folder : named by the bundle's id.
    engine : what computes the network. ``keras`` imports TensorFlow, ``onnx`` does not; they agree to 1e-5.

    Raises
    ------
    BundleRefusedError : says in one line what is wrong. Nothing was written and no code of the bundle's was run.
    """
    files = read_bundle_folder(Path(folder))
    bundle = Bundle(files.bundle_id, files.manifest, _read_calibration(files), _load_network(files, engine))
    _require_golden_answer(bundle)
    return bundle


def _read_calibration(files: BundleFiles) -> Calibration:
    content = parse_json_object(files.contents[CALIBRATION], name=CALIBRATION)
    try:
        calibration = Calibration.model_validate_json(canonical_json(content), strict=True)
        calibration.require_shape(files.manifest)
    except ValidationError as error:
        raise BundleRefusedError(f"{CALIBRATION}: {error.errors(include_url=False)[0]['msg']}") from error
    except ValueError as error:
        raise BundleRefusedError(f"{CALIBRATION}: {error}") from error
    return calibration


def _load_network(files: BundleFiles, engine: EngineName) -> Network | None:
    spec = files.manifest.input_spec
    if spec is None:
        return None
    drift = _read_drift_reference(files, spec)
    scaler = _read_scaler(files, spec)
    return Network(spec, scaler, _load_engine(files, engine), drift)


def _read_drift_reference(files: BundleFiles, spec: InputSpec) -> DriftReference | None:
    content = parse_json_object(files.contents[DRIFT_REFERENCE], name=DRIFT_REFERENCE)
    try:
        return DriftReference.from_dict(content, spec.columns, spec.context_columns)
    except (KeyError, TypeError, ValueError, OverflowError) as error:  # the last: a number of four hundred digits
        raise BundleRefusedError(f"{DRIFT_REFERENCE} holds no training distributions: {error}") from error


def _read_scaler(files: BundleFiles, spec: InputSpec) -> Scaler:
    try:
        scaler = Scaler.from_dict(parse_json_object(files.contents[SCALER], name=SCALER))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleRefusedError(f"{SCALER} holds no scaler: {error}") from error
    if (len(scaler.window.center), len(scaler.context.center)) != (len(spec.columns), len(spec.context_columns)):
        raise BundleRefusedError(f"{SCALER} scales another number of columns than the network reads")
    return scaler


def _load_engine(files: BundleFiles, engine: EngineName) -> Engine:
    graphs = {name: files.contents[name] for name in files.manifest.member_weights}
    twin = OnnxEngine(graphs, files.manifest)
    archive = read_keras_archive(files.contents[NETWORK_KERAS])  # on either engine: a bundle is good as a whole
    if engine == "onnx":
        return twin
    from ml_lifecycle.export.keras_weights import require_plain_weights  # brings h5py, which comes with Keras only

    require_plain_weights(archive[WEIGHTS])
    from ml_lifecycle.export.keras_engine import KerasEngine  # brings TensorFlow, 9 s and 500 MiB: after the checks

    return KerasEngine(files.contents[NETWORK_KERAS], twin, files.manifest)


def _require_golden_answer(bundle: Bundle) -> None:
    golden = bundle.manifest.golden
    try:
        answer = BundleForecaster(bundle).forecast(golden.bars()).log_returns
    except ClosecastError as error:
        raise BundleRefusedError(f"the golden window cannot be answered: {error}") from error
    distance = float(np.max(np.abs(answer - golden.answer())))
    if not distance <= GOLDEN_TOLERANCE:
        raise BundleRefusedError(f"the golden window is answered {distance:.1e} away from what the manifest says")
