"""What MLflow is told of trainings and trials, line by line (what it makes of the lines: tests of ``tracking``)."""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from app.config import Settings
from app.features.training.tracked import figures_of, tell_losses, tell_outcome, tell_trial, tracked_run
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.mlflow_delivery import Delivered, Delivery
from ml_lifecycle.training.tracking import Run
from ml_lifecycle.training.trial import FoldScore, TrialRecord, TrialState

if TYPE_CHECKING:
    from ml_lifecycle.training.fitting import Progress

VERSION = DataVersion("a table", 4, "f" * 64)


class Lines:
    """Takes the place of the process that delivers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def send(self, op: str, **arguments: Any) -> None:
        self.told.append((op, {name: value for name, value in arguments.items() if name not in ("at", "run")}))

    def close(self, _timeout_seconds: float) -> Delivered:
        return Delivered(0, 0, None)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def run(lines: Lines) -> Run:
    return Run(cast("Delivery", lines), None)


def test_a_run_names_code_data_and_job_first(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_lifecycle.training.tracking.Delivery", lambda _tracker: lines)
    tracked = Settings(_env_file=None, tracking=True)

    with tracked_run(tracked, "tiny", {"layers": {"units": 4}}, VERSION, {"job": None, "study": "s"}):
        pass

    (op, begun), (last, end) = lines.told
    assert (op, begun["name"], begun["params"]) == ("start", "tiny", {"layers.units": 4})
    commit = begun["tags"].pop("closecast.git_commit", None)
    assert commit is None or len(commit) == 40
    assert begun["tags"] == {
        "closecast.data_version": "4",
        "closecast.data_table": "a table",
        "closecast.data_sha256": "f" * 64,
        "closecast.study": "s",
    }
    assert (last, end["status"]) == ("end", "FINISHED")


def test_each_look_at_the_validation_part_is_a_point_of_the_curves(lines: Lines, run: Run) -> None:
    """Before the first batch there is no training loss."""
    for train_loss in (None, 0.5):
        state = SimpleNamespace(
            batches=10, train_loss=train_loss, validation_loss=0.4, best_loss=0.3, windows_per_second=900.0
        )
        tell_losses(run, cast("Progress", state))

    (_, first), (_, second) = lines.told
    assert first["values"] == {"validation_loss": 0.4, "best_validation_loss": 0.3, "windows_per_second": 900.0}
    assert (second["step"], second["values"]["train_loss"]) == (10, 0.5)


SCORE: dict[str, Any] = {
    "horizon": 5,
    "n": 100,
    **dict.fromkeys(("pinball", "mae", "rmse", "mape", "mae_log_return"), 0.9),
    **dict.fromkeys(("naive_pinball", "naive_mae", "naive_rmse", "naive_mape", "naive_mae_log_return"), 1.0),
    "intervals": [{"level": 0.8, "coverage": 0.79, "naive_coverage": 0.83, "width": 0.1}],
    "skill": {"pinball_skill": 0.1, "label": "better"},
}


def test_figures_stand_beside_the_naives() -> None:
    figures = figures_of([SCORE])

    assert (figures["h5/pinball"], figures["h5/naive_pinball"], figures["h5/pinball_skill"]) == (0.9, 1.0, 0.1)
    assert (figures["h5/coverage_80"], figures["h5/naive_coverage_80"]) == (0.79, 0.83)
    ours = {name for name in figures if "skill" not in name and "naive" not in name}
    assert {name.replace("/", "/naive_") for name in ours} <= figures.keys()


def test_the_bundle_is_named_by_its_digest_and_its_report_kept(lines: Lines, run: Run, tmp_path: Path) -> None:
    content = SimpleNamespace(training_seconds=1.5, scores=[SCORE], weights_sha256="a" * 64)
    bundle = tmp_path / ("b" * 64)
    bundle.mkdir()
    for name in ("manifest.json", "report.html", "network.onnx"):
        (bundle / name).write_text("x")

    tell_outcome(run, cast("Checkpoint", SimpleNamespace(content=content)), bundle)

    tags = next(told["tags"] for op, told in lines.told if op == "tag")
    assert tags["closecast.bundle"] == "b" * 64
    kept = [(Path(told["path"]).name, told["folder"]) for op, told in lines.told if op == "artifact"]
    assert kept == [("manifest.json", "bundle"), ("report.html", "bundle")]


@pytest.mark.parametrize(
    ("state", "status"),
    [(TrialState.COMPLETE, "FINISHED"), (TrialState.PRUNED, "KILLED"), (TrialState.FAILED, "FAILED")],
)
def test_a_trial_is_a_nested_run_with_its_gain_fold_by_fold(
    lines: Lines, run: Run, state: TrialState, status: str
) -> None:
    folds = tuple(FoldScore(n, 0.01 * n, (0.0,) * 4, (1.0, 0.99, 0.98, 0.97), (), (), 5, 0) for n in (1, 2))
    failure = "out of range" if state is TrialState.FAILED else None

    tell_trial(run, TrialRecord(3, "global", {"units": 8}, state, folds, 12.5, failure))

    op, begun = lines.told[0]
    assert (op, begun["name"], begun["params"]) == ("start", "trial 3", {"strategy": "global", "units": 8})
    gains = [told["values"]["fold_gain"] for op, told in lines.told if "fold_gain" in told.get("values", {})]
    assert gains == [0.01, 0.02]
    assert {"gain": pytest.approx(0.015), "seconds": 12.5} in [told.get("values") for _, told in lines.told]
    assert lines.told[-1] == ("end", {"status": status})
    assert any(op == "tag" for op, _ in lines.told) == (failure is not None)
