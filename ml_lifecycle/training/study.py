"""Where trials are kept, in Optuna's form: in PostgreSQL or in a journal file, so that a killed tuning can go on."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial
from optuna.trial import TrialState as OptunaState

from data_pipeline.errors import ConfigurationError
from ml_lifecycle.training.search_space import STRATEGY, Candidates
from ml_lifecycle.training.trial import FoldScore, TrialRecord, TrialState, mean_gain
from ml_lifecycle.training.tune_spec import TuneSpec
from ml_lifecycle.training.tuning_errors import StudyNotFoundError

SCHEMA = "optuna"  # its tables are Optuna's own; a migration makes the schema
_RECORD, _FOLDS, _IDENTITY = "record", "folds", "identity"
_ENDED = (OptunaState.COMPLETE, OptunaState.PRUNED, OptunaState.FAIL)
STARTUP_TRIALS = 5  # that are never given up: there is no median yet
REDUCTION = 2  # of two trials on a rung of 1, 2, 4 … folds one goes on


@dataclass(frozen=True)
class StudyPlace:
    """Which study, and where: ``storage`` is a SQLAlchemy address of PostgreSQL, or the path of a journal file."""

    storage: str
    name: str

    def __repr__(self) -> str:  # an address carries a password
        return f"StudyPlace({self.name})"


class Study:
    """Trials of one tuning, in whatever order and by whichever process they are run."""

    def __init__(self, study: optuna.Study, spec: TuneSpec, candidates: Candidates) -> None:
        self._study, self._spec, self._candidates = study, spec, candidates

    def prepare(self, identity: Mapping[str, Any]) -> None:
        """See that it is the study of these bars, folds and values, and take up what a killed run left.

        Raises
        ------
        ConfigurationError : it was made with others; their scores cannot be compared. Or a grid is larger than what may
            be tried. Nothing is kept then.
        """
        self.remaining()
        known = self._study.user_attrs.get(_IDENTITY)
        if known is None:
            self._study.set_user_attr(_IDENTITY, dict(identity))
        elif differing := [name for name, value in identity.items() if known.get(name) != value]:
            told = f"study {self._study.study_name} was made with other {', '.join(differing)}"
            raise ConfigurationError(f"{told}: name another with --study")
        for trial in self._study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,)):
            self._study.tell(trial.number, state=OptunaState.FAIL)
            if trial.params:
                kept = {_FOLDS: trial.user_attrs.get(_FOLDS, [])}
                self._study.enqueue_trial(trial.params, user_attrs=kept)
        if self._spec.is_grid and self._spec.backend == "local":
            for choice in self.untried():
                self._study.enqueue_trial(choice)

    def untried(self) -> list[dict[str, Any]]:
        """Every combination of a grid that has not been tried and, where this machine takes them, waits not yet."""
        here = self._spec.backend == "local"
        trials = self._study.get_trials(deepcopy=False)
        known = [
            trial for trial in trials if _RECORD in trial.user_attrs or (here and trial.state is OptunaState.WAITING)
        ]
        tried = [_choice(trial) for trial in known]
        return [choice for choice in self._candidates.space.grid() if choice not in tried]

    def records(self) -> list[TrialRecord]:
        """Trials that have ended, by number; those that a kill ended are none."""
        trials = self._study.get_trials(deepcopy=False, states=_ENDED)
        return [TrialRecord.from_dict(trial.user_attrs[_RECORD]) for trial in trials if _RECORD in trial.user_attrs]

    def remaining(self) -> int:
        """Trials that are still to be run.

        Raises
        ------
        ConfigurationError : a grid has more combinations than trials were asked for.
        """
        done = len(self.records())
        if not self._spec.is_grid:
            return max(0, (self._spec.trials or 0) - done)
        combinations = len(self._candidates.space.grid())
        if self._spec.trials is not None and self._spec.trials < combinations:
            raise ConfigurationError(
                f"the grid has {combinations} combinations, more than --trials {self._spec.trials}: name fewer values"
            )
        return max(0, combinations - done)

    def begin(self) -> tuple[Trial, TrialRecord]:
        """The next trial, its values chosen; folds that it did before a kill are in the record."""
        trial = self._study.ask(self._candidates.space.distributions())
        folds = [FoldScore.from_dict(fold) for fold in trial.user_attrs.get(_FOLDS, [])]
        return trial, begun_trial(self._candidates, trial.params, number=trial.number, folds=folds)

    def give_up(self, trial: Trial, folds: Sequence[FoldScore]) -> bool:
        """Keep what was done so far; whether other trials did so much better on these folds that this one may end."""
        trial.set_user_attr(_FOLDS, [fold.to_dict() for fold in folds])
        trial.report(mean_gain(folds), step=len(folds))
        return trial.should_prune()

    def end(self, trial: Trial, record: TrialRecord) -> None:
        """Keep how a trial ended."""
        trial.set_user_attr(_RECORD, record.to_dict())
        complete = record.state is TrialState.COMPLETE
        # A pruned trial's value is that of the last report.
        self._study.tell(trial.number, record.value if complete else None, state=_STATES[record.state])

    def add(self, choice: Mapping[str, Any], record: TrialRecord) -> TrialRecord:
        """Keep a trial that was run elsewhere; it gets its number here."""
        numbered = TrialRecord.from_dict({**record.to_dict(), "number": len(self._study.get_trials(deepcopy=False))})
        scores = {step: mean_gain(record.folds[:step]) for step in range(1, len(record.folds) + 1)}
        self._study.add_trial(
            optuna.trial.create_trial(
                state=_STATES[record.state],
                params=dict(choice),
                distributions=self._candidates.space.distributions(),
                value=record.value if record.state is TrialState.COMPLETE else None,
                intermediate_values=scores,
                user_attrs={_RECORD: numbered.to_dict()},
            )
        )
        return numbered


def begun_trial(
    candidates: Candidates, choice: Mapping[str, Any], *, number: int = 0, folds: Sequence[FoldScore] = ()
) -> TrialRecord:
    """The record of a trial that has not ended."""
    params = {name: candidates.told(name, value) for name, value in choice.items() if name != STRATEGY}
    return TrialRecord(number, choice[STRATEGY], params, TrialState.FAILED, tuple(folds), 0.0)


_STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


@contextmanager
def open_study(place: StudyPlace, spec: TuneSpec, candidates: Candidates, *, worker: int = 0) -> Iterator[Study]:
    """A study, made where there is none of that name; each worker of a tuning opens it for itself."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _storage(place.storage) as storage:
        study = optuna.create_study(storage=storage, study_name=place.name, direction="maximize", load_if_exists=True)
        begun = len(study.get_trials(deepcopy=False))
        # A run that goes on must not repeat the choices that it began with.
        study.sampler = TPESampler(seed=spec.seed + 1000 * begun + worker)
        study.pruner = _pruner(spec)
        yield Study(study, spec, candidates)


def read_records(place: StudyPlace) -> tuple[list[TrialRecord], dict[str, Any]]:
    """The trials of a study that have ended, and the bars, folds and values that it was made with.

    Raises
    ------
    StudyNotFoundError
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if not place.storage.startswith("postgresql") and not Path(place.storage).is_file():
        raise StudyNotFoundError(place.name)
    with _storage(place.storage) as storage:
        try:
            study = optuna.load_study(storage=storage, study_name=place.name)
        except KeyError as error:
            raise StudyNotFoundError(place.name) from error
        trials = study.get_trials(deepcopy=False, states=_ENDED)
        records = [TrialRecord.from_dict(trial.user_attrs[_RECORD]) for trial in trials if _RECORD in trial.user_attrs]
        return records, study.user_attrs.get(_IDENTITY, {})


@contextmanager
def _storage(storage: str) -> Iterator[BaseStorage]:
    if not storage.startswith("postgresql"):
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
        yield JournalStorage(JournalFileBackend(os.fspath(storage)))
        return
    # Its tables stand apart from ours, which the migrations compare with the models.
    database = RDBStorage(storage, engine_kwargs={"connect_args": {"options": f"-csearch_path={SCHEMA}"}})
    try:
        yield database
    finally:
        database.remove_session()
        database.engine.dispose()


def _pruner(spec: TuneSpec) -> BasePruner:
    if spec.search == "asha":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    return NopPruner() if spec.is_grid else MedianPruner(n_startup_trials=STARTUP_TRIALS)


def _choice(trial: FrozenTrial) -> dict[str, Any]:
    """What was chosen, or is to be."""
    return trial.params or trial.system_attrs.get("fixed_params", {})
