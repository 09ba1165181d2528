"""`closecast drift` as a script sees it: one document, and an exit code for each recommendation."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from app.features.drift import run_drift
from app.features.drift.measuring import Measured
from cli.commands.drift import EXIT_CODES
from cli.exit_codes import ExitCode
from data_pipeline.run_pipeline import collect
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.monitoring.column_drift import ColumnFinding, Severity
from ml_lifecycle.monitoring.recommendation import recommend
from tests.cli.conftest import Closecast


@pytest.fixture
def two_versions(home: Path) -> None:
    """The sample to 2011, then all of it."""
    store = FeatureStore(home / "bars")
    for end in (date(2012, 1, 1), None):
        collect(store, SampleSource(), ["AAPL", "IBM"], end=end)


@pytest.mark.usefixtures("two_versions")
def test_two_versions_without_a_database(closecast: Closecast) -> None:
    """A version beside itself has not moved; a table for people, a document for machines; nothing is kept."""
    shown = closecast("drift", "--reference-version", "2", "--tickers", "IBM")
    told = closecast("drift", "--reference-version", "1", "--production-version", "2", "--json")

    assert shown.code == 0
    assert "ok: nothing left its reference" in shown.out
    said = json.loads(told.out)
    assert told.code == EXIT_CODES[said["recommendation"]]
    assert (said["report"], said["reference_version"], said["production_version"]) == (None, 1, 2)
    assert said["tickers"] == ["AAPL", "IBM"]
    assert set(said["drift_scores"]) >= {"log_return", "range_volatility"}


@pytest.mark.usefixtures("two_versions")
@pytest.mark.parametrize("severity", ["moved", "far"])
def test_the_exit_code_tells_the_recommendation(
    severity: Severity, closecast: Closecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes of their own, which no error has."""
    measure = run_drift.measure

    def drifted(*args: object, **options: object) -> Measured:
        measured = measure(*args, **options)  # type: ignore[arg-type]  # passed on as they came
        columns = [ColumnFinding("gap", 1.3, 0.5, 80.0, 1e-9, True, severity)]
        return replace(measured, columns=columns, recommendation=recommend(columns))

    monkeypatch.setattr(run_drift, "measure", drifted)

    shown = closecast("drift", "--reference-version", "1")

    assert shown.code == {"moved": 10, "far": 11}[severity]
    assert shown.code not in set(ExitCode)
    assert "1 of 1 columns left their reference: gap (KS 0.50, PSI 1.30)" in shown.out


@pytest.mark.usefixtures("two_versions")
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "no training distribution to compare with: name a network's bundle, or two versions"),
        (("--bundle", "ffffffff"), 2, "no bundle is called ffffffff"),
        (("--reference-version", "1", "--tickers", "ZZZZ"), 3, "no bars of ZZZZ are stored"),
        (("--reference-version", "99"), 3, "data version 99 cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    arguments: tuple[str, ...], code: int, told: str, closecast: Closecast
) -> None:
    failed = closecast("drift", *arguments)

    assert (failed.code, failed.out) == (code, "")
    assert told in failed.err.splitlines()[-1]
