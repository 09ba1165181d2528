"""A search for the training that gains most over the naive on folds that walk forward, none of them the test part."""

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.training.folds import choosing_bars
from ml_lifecycle.training.search_space import Candidates
from ml_lifecycle.training.strategies import named_strategy
from ml_lifecycle.training.study import Study, StudyPlace, begun_trial, open_study
from ml_lifecycle.training.trial import Panel, Train, TrialRecord, TrialState, run_trial, train_network
from ml_lifecycle.training.trial_correction import WinnerSkill, ranked, winner_skill
from ml_lifecycle.training.tune_spec import TuneSpec
from ml_lifecycle.training.tuning_errors import NothingTunedError, TuningBrokenOffError

Told = Callable[[TrialRecord], None]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Work:
    """All that a process needs to run trials of one tuning; it travels to others.

    ``scratch`` is Ray's folder, which all machines of a cluster share; None: one of this machine, for a while.
    """

    place: StudyPlace
    spec: TuneSpec
    candidates: Candidates
    panel: Panel
    train: Train = train_network
    scratch: Path | None = None

    @classmethod
    def of(
        cls,
        spec: TuneSpec,
        bars: Mapping[str, BarArrays],
        storage: str,
        *,
        gate_days: int,
        train: Train = train_network,
        scratch: Path | None = None,
    ) -> "Work":
        """Read the space, cut off the test part, lay the folds.

        Raises
        ------
        ConfigurationError : the space is no good.
        TooFewPairsError : the bars are too few.
        """
        candidates = Candidates.of(spec.searched(), gate_days=gate_days)
        first = candidates.config(candidates.first())
        panel = Panel.of(
            choosing_bars(first, bars),
            n_folds=spec.folds,
            every=spec.every,
            history_needed=candidates.history_needed,
        )
        return cls(StudyPlace(storage, spec.study), spec, candidates, panel, train, scratch)

    def begun(self, choice: Mapping[str, Any]) -> TrialRecord:
        """The record of a choice that has not been tried."""
        return begun_trial(self.candidates, choice)

    def run(self, begun: TrialRecord, choice: Mapping[str, Any], give_up: Callable[..., bool]) -> TrialRecord:
        """One trial, wherever this is."""
        try:
            config = self.candidates.config(choice)
        except ClosecastError as error:  # values that are good alone and not together
            return TrialRecord(begun.number, begun.strategy, begun.params, TrialState.FAILED, (), 0.0, str(error))
        one_ticker = named_strategy(begun.strategy).one_ticker
        return run_trial(begun, config, self.panel, one_ticker=one_ticker, give_up=give_up, train=self.train)

    def identity(self, version: DataVersion) -> dict[str, Any]:
        """What scores must share to be compared."""
        return {
            "search space": self.candidates.space.model_dump(mode="json"),
            "base configuration": json.loads(json.dumps(self.candidates.base.config, default=str)),
            "folds": [{name: day.isoformat() for name, day in asdict(fold).items()} for fold in self.panel.folds],
            "cutoffs": self.spec.every,
            "tickers": sorted(self.panel.bars),
            "bars": asdict(version),
            "gate days": self.candidates.changes["gate_days"],
        }


@dataclass(frozen=True)
class TuneResult:
    """What a tuning found.

    Attributes
    ----------
    records : every trial that has ended, former runs of the study included, best first, then those that did not get
        through all folds.
    skill : of the best; None where no trial is complete.
    """

    work: Work
    records: tuple[TrialRecord, ...]
    skill: WinnerSkill | None
    best: TrialRecord | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; the daily gains stay in the study."""
        panel = self.work.panel
        return {
            "study": self.work.place.name,
            "backend": self.work.spec.backend,
            "search": "grid" if self.work.spec.is_grid else self.work.spec.search,
            "tickers": sorted(panel.bars),
            "left_out": list(panel.left_out),
            "folds": [{name: day.isoformat() for name, day in asdict(fold).items()} for fold in panel.folds],
            "skill": None if self.skill is None else self.skill.to_dict(),
            "best": None if self.best is None else told_record(self.best),
            "trials": [told_record(record) for record in self.records],
        }


def told_record(record: TrialRecord) -> dict[str, Any]:
    """A trial for JSON, without its days."""
    content = record.to_dict()
    folds = [
        {name: value for name, value in fold.items() if name not in ("days", "daily")} for fold in content["folds"]
    ]
    return {**content, "folds": folds, "value": record.value}


def tune(
    work: Work,
    version: DataVersion,
    *,
    on_trial: Told | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Run the trials that the study lacks, and judge the best of all.

    Parameters
    ----------
    version : of the bars; a study belongs to one.
    on_trial : called in this process, once for each trial that has ended.
    progress : called with trials done, trials in all, and what the last one gained.

    Raises
    ------
    ConfigurationError : the study is another's, or a grid is larger than was asked for.
    TuningBrokenOffError : a worker died.
    NothingTunedError : no trial went through all folds.
    """
    with open_study(work.place, work.spec, work.candidates) as study:
        study.prepare(work.identity(version))
        told = _Teller(len(study.records()), study.remaining(), on_trial, progress)
        if work.spec.backend == "ray":
            from ml_lifecycle.training.ray_tune import run_on_ray

            run_on_ray(work, study, told.remaining, told)
        elif work.spec.workers > 1:
            _run_in_processes(work, told.remaining, told)
        else:
            for _ in range(told.remaining):
                told(_next_trial(work, study))
        return _result(work, study.records())


def _result(work: Work, records: Sequence[TrialRecord]) -> TuneResult:
    best_first = ranked(records)
    if not best_first:
        failures = [record.failure for record in records if record.failure]
        raise NothingTunedError(
            f"no trial went through all folds: {failures[-1] if failures else 'none was asked for'}"
        )
    others = [record for record in records if record.state is not TrialState.COMPLETE]
    return TuneResult(work, (*best_first, *others), winner_skill(records), best_first[0])


def _next_trial(work: Work, study: Study) -> TrialRecord:
    trial, begun = study.begin()
    record = work.run(begun, trial.params, partial(study.give_up, trial))
    study.end(trial, record)
    return record


class _Teller:
    """Passes each ended trial on to who wants to know."""

    def __init__(self, done: int, remaining: int, on_trial: Told | None, progress: Progress | None) -> None:
        self.done, self.remaining, self.total = done, remaining, done + remaining
        self._on_trial, self._progress = on_trial, progress

    def __call__(self, record: TrialRecord) -> None:
        self.done += 1
        if self._on_trial:
            self._on_trial(record)
        if self._progress:
            gain = "failed" if record.value is None else f"{record.value:+.2%}"
            self._progress(self.done, self.total, f"{record.strategy} {gain}")


def _run_in_processes(work: Work, remaining: int, told: Told) -> None:
    """Each process takes the next trial as long as there are tickets."""
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    tickets = context.Value("i", remaining)
    started = []
    for number in range(min(work.spec.workers, remaining)):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(work, number, tickets, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append((process, ours))
    open_ends: dict[Any, Connection] = {ours: ours for _, ours in started}
    while open_ends:
        for end in wait(list(open_ends)):
            try:
                told(TrialRecord.from_dict(open_ends[end].recv()))
            except EOFError:
                open_ends.pop(end).close()
    for process, _ in started:
        process.join()
    if broken := [process.exitcode for process, _ in started if process.exitcode != 0]:
        raise TuningBrokenOffError(work.place.name, broken[0])


def _work(work: Work, number: int, tickets: "Synchronized[int]", told: Connection) -> None:
    """A process of its own: trials one after the other, on its share of the cores."""
    _end_with_parent()
    share = max(1, (os.cpu_count() or 1) // work.spec.workers)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(share)
    with open_study(work.place, work.spec, work.candidates, worker=number) as study:
        while _take(tickets):
            told.send(_next_trial(work, study).to_dict())


def _take(tickets: "Synchronized[int]") -> bool:
    with tickets.get_lock():
        if tickets.value <= 0:
            return False
        tickets.value -= 1
        return True


def _end_with_parent() -> None:
    """A tuning that is killed leaves nobody training on."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
