"""What the gate says of two bundles on the stored bars. Worker and command line only: this brings the pipeline."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.config import Settings
from data_pipeline.errors import ClosecastError
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.evaluation.gate import GateVerdict, Reason, judge
from ml_lifecycle.evaluation.gate_evidence import gather
from ml_lifecycle.evaluation.gate_own_tickers import told_of_own_tickers
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.errors import BundleRefusedError


def verdict_on(
    settings: Settings, challenger: Path, champion: Path, *, progress: Callable[[int, int], None] | None = None
) -> GateVerdict:
    """Load both folders, forecast on the newest data version, judge; what keeps it from that is a verdict too.

    The verdict is that of a first test: ``GateVerdict.as_test`` holds it against what is left to spend.

    Parameters
    ----------
    progress : see ``gather``.
    """
    try:
        bundles = load_bundle(challenger), load_bundle(champion)
    except BundleRefusedError as error:
        return GateVerdict(refusal=Reason.BUNDLE_REFUSED, detail=str(error))
    try:
        store = FeatureStore(settings.bars_uri, settings.store_options)
        bars = store.read_many_bar_arrays(None, store.version().version)
        findings = gather(*bundles, bars, progress=progress)
    except ClosecastError as error:
        return GateVerdict(refusal=Reason.NOT_JUDGED, detail=str(error))
    verdict = judge(findings.evidence, look_ahead_faults=findings.look_ahead_faults)
    own = bundles[0].manifest.fine_tuned_tickers
    return replace(verdict, detail=told_of_own_tickers(findings.evidence, own)) if own else verdict
