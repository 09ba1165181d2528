"""One tuning, from stored bars to a ranked study: what `closecast tune` and the job do. It brings TensorFlow."""

from collections.abc import Mapping
from typing import Any

from app.config import Settings
from app.features.training.kinds import Emit
from app.features.training.run_train import read_bars
from app.features.training.studies import held_study, tuning_folder
from app.features.training.tracked import tell_best, tell_trial, tracked_run
from ml_lifecycle.training.config_document import DataChoice
from ml_lifecycle.training.tracking import Run
from ml_lifecycle.training.trial import TrialRecord
from ml_lifecycle.training.tune import Work, tune
from ml_lifecycle.training.tune_spec import TuneSpec


def run(settings: Settings, spec: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Run the trials that the study lacks, and rank all.

    Parameters
    ----------
    spec : see ``TuneSpec``.

    Returns
    -------
    see ``TuneResult.to_dict``.

    Raises
    ------
    StudyBusyError : another process tunes the same study.
    ClosecastError : of space, bars or trials; what has been tried stays in the study.
    """
    asked = TuneSpec.of(spec)
    stored = read_bars(settings, DataChoice(tickers=asked.tickers, data_version=asked.data_version))
    with held_study(settings, asked.study) as place:
        work = Work.of(
            asked,
            stored.by_ticker,
            place.storage,
            gate_days=settings.gate_days,
            scratch=tuning_folder(settings) / "ray",
        )
        panel = work.panel
        emit.log(
            f"study {asked.study}: {len(panel.bars)} tickers, {len(panel.folds)} folds, measured from "
            f"{panel.folds[0].calibration_end} to {panel.folds[-1].measured_end}, data version {stored.version.version}"
        )
        params = asked.model_dump(mode="json", exclude={"job_id", "work_dir"})
        with tracked_run(settings, asked.study, params, stored.version, {"job": asked.job_id}) as run:
            told = _Told(emit, run)
            result = tune(work, stored.version, on_trial=told.trial, progress=told.progress)
            tell_best(run, result)
        return result.to_dict()


class _Told:
    """What is told of each trial that ends."""

    def __init__(self, emit: Emit, run: Run) -> None:
        self._emit, self._run = emit, run

    def trial(self, record: TrialRecord) -> None:
        """A line, which `closecast tune` and the job's log show, and a run in MLflow."""
        tell_trial(self._run, record)
        gain = record.failure if record.value is None else f"gain over the naive {record.value:+.2%}"
        values = ", ".join(f"{name} {value}" for name, value in record.params.items())
        told = f"trial {record.number} ({record.strategy}{', ' if values else ''}{values}): {record.state}, {gain}"
        self._emit.log(f"{told}, {record.seconds:.0f} s")

    def progress(self, done: int, total: int, newest: str) -> None:
        """How far it is."""
        self._emit.progress(trials=done, total=total, newest=newest)
