"""What MLflow is told of a training: configuration, data and code, the losses as they come, what it came to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.config import Settings
from app.core.tracking import tracker_of
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.export.folder import MANIFEST, REPORT
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.mlflow_child import BUNDLE_FOLDER
from ml_lifecycle.training.provenance import git_commit
from ml_lifecycle.training.tracking import Run, Status, flat, open_run
from ml_lifecycle.training.trial import SCORED_HORIZONS, TrialRecord, TrialState

if TYPE_CHECKING:
    from ml_lifecycle.training.fitting import Progress
    from ml_lifecycle.training.tune import TuneResult

TRIAL_STATUS: dict[TrialState, Status] = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAILED: "FAILED",
}
# Each stands beside the naive forecast's.
FIGURES = ("pinball", "mae_log_return", "mae", "rmse", "mape")


@contextmanager
def tracked_run(
    settings: Settings,
    name: str,
    params: Mapping[str, Any],
    version: DataVersion,
    tags: Mapping[str, str | None],
) -> Iterator[Run]:
    """A run for the time of a training or tuning; its end may take `tracking_flush_seconds`, and no longer."""
    known = {
        "git_commit": git_commit(),
        "data_version": str(version.version),
        "data_table": version.table_id,
        "data_sha256": version.content_sha256,
        **tags,
    }
    with open_run(tracker_of(settings), name=name, params=flat(params), tags=known) as run:
        yield run


def tell_losses(run: Run, state: "Progress") -> None:
    """One look at the validation part, by the number of batches until then."""
    losses = {"validation_loss": state.validation_loss, "best_validation_loss": state.best_loss}
    if state.train_loss is not None:
        losses["train_loss"] = state.train_loss
    run.curve(state.batches, **losses, windows_per_second=state.windows_per_second)


def tell_outcome(run: Run, checkpoint: Checkpoint, bundle: Path) -> None:
    """Figures beside the naive's, and the bundle: its id, which is its digest, its manifest and its report."""
    content = checkpoint.content
    run.figures({"training_seconds": content.training_seconds, **figures_of(content.scores)})
    run.tag(bundle=bundle.name, bundle_folder=str(bundle.resolve()), weights_sha256=content.weights_sha256)
    for name in (MANIFEST, REPORT):
        if (bundle / name).is_file():
            run.artifact(bundle / name, BUNDLE_FOLDER)


def tell_trial(run: Run, record: TrialRecord) -> None:
    """One trial that has ended, as a run nested in its tuning's: what it gained over the naive, fold by fold."""
    params = {"strategy": record.strategy, **record.params}
    trial = run.child(f"trial {record.number}", params, began_seconds_ago=record.seconds)
    for fold in record.folds:
        trial.curve(fold.number, fold_gain=fold.gain)
        for horizon, relative_mae in zip(SCORED_HORIZONS, fold.relative_mae, strict=True):
            trial.curve(fold.number, **{f"h{horizon}/relative_mae": relative_mae})
    trial.figures({"gain": record.value, "seconds": record.seconds})
    if record.failure is not None:
        trial.tag(failure=record.failure)
    trial.end(TRIAL_STATUS[record.state])


def tell_best(run: Run, result: "TuneResult") -> None:
    """What the tuning came to, with all of its trials counted."""
    if result.skill is not None:
        known = result.skill.to_dict()
        run.figures({name: known[name] for name in ("gain", "n_trials", "n_days", "p_alone", "p_corrected")})
        run.tag(label=str(result.skill.label))
    if result.best is not None:
        run.tag(best_trial=str(result.best.number))


def figures_of(scores: list[dict[str, Any]]) -> dict[str, float | None]:
    """Figures on the test part by horizon: ``h5/pinball`` beside ``h5/naive_pinball``; coverage of each interval."""
    figures: dict[str, float | None] = {}
    for score in scores:
        horizon = f"h{score['horizon']}"
        for name in FIGURES:
            figures[f"{horizon}/{name}"] = score.get(name)
            figures[f"{horizon}/naive_{name}"] = score.get(f"naive_{name}")
        figures[f"{horizon}/pinball_skill"] = score.get("skill", {}).get("pinball_skill")
        for interval in score.get("intervals", ()):
            level = f"{100 * interval['level']:g}"
            figures[f"{horizon}/coverage_{level}"] = interval["coverage"]
            figures[f"{horizon}/naive_coverage_{level}"] = interval["naive_coverage"]
    return figures
