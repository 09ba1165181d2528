"""Loading a bundle: everything is checked before anything is used, and a doubt refuses it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from data_pipeline.errors import ClosecastError
from ml_lifecycle.export.canonical_json import canonical_json, parse_json_object
from ml_lifecycle.export.conformal import Calibration
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.folder import CALIBRATION, BundleFiles, read_bundle_folder
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import Manifest

GOLDEN_TOLERANCE = 1e-5  # in log returns; the engines differ by some 1e-7, a changed weight or column by far more


@dataclass(frozen=True)
class Bundle:
    """A checked bundle, ready to forecast."""

    bundle_id: str
    manifest: Manifest
    calibration: Calibration


def load_bundle(folder: Path) -> Bundle:
    """Check a bundle and load it; its golden window has been answered when this returns.

    Parameters
    ----------
    folder : named by the bundle's id.

    Raises
    ------
    BundleRefusedError : says in one line what is wrong. Nothing was written and no foreign code was run.
    """
    files = read_bundle_folder(Path(folder))
    bundle = Bundle(bundle_id=files.bundle_id, manifest=files.manifest, calibration=_read_calibration(files))
    _require_golden_answer(bundle)
    return bundle


def _read_calibration(files: BundleFiles) -> Calibration:
    content = parse_json_object(files.contents[CALIBRATION], name=CALIBRATION)
    try:
        calibration = Calibration.model_validate_json(canonical_json(content))
        calibration.require_shape(files.manifest)
    except (ValidationError, ValueError) as error:
        raise BundleRefusedError(f"{CALIBRATION}: {error}") from error
    return calibration


def _require_golden_answer(bundle: Bundle) -> None:
    golden = bundle.manifest.golden
    try:
        answer = BundleForecaster(bundle).forecast(golden.bars()).log_returns
    except ClosecastError as error:
        raise BundleRefusedError(f"the golden window cannot be answered: {error}") from error
    distance = float(np.max(np.abs(answer - golden.answer())))
    if not distance <= GOLDEN_TOLERANCE:
        raise BundleRefusedError(f"the golden window is answered {distance:.1e} away from what the manifest says")
