"""The trials of a tuning on a Ray cluster: the same values, folds and study, chosen by Optuna and halved by ASHA."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ml_lifecycle.training.ray_cluster import ray_cluster
from ml_lifecycle.training.search_space import spelled
from ml_lifecycle.training.study import REDUCTION, Study, StudyPlace
from ml_lifecycle.training.trial import FoldScore, TrialRecord, TrialState, mean_gain

if TYPE_CHECKING:
    from ray.tune import Callback, Tuner

    from ml_lifecycle.training.tune import Work

CHOICE = "choice"
FAILED_GAIN = -10.0  # told to the search in the place of a gain: eleven times the naive's loss


def run_on_ray(work: "Work", study: Study, remaining: int, told: Callable[[TrialRecord], None]) -> None:
    """Run trials on the cluster; each is kept in the study, and told, when it has ended.

    Raises
    ------
    ClusterUnavailableError
    """
    if not remaining:
        return
    with ray_cluster(work.spec.workers), _scratch(work.scratch) as folder:
        results = _tuner(work, study, remaining, told, folder).fit()
    if results.errors:  # a defect: what is foreseen is in the trials' records
        raise results.errors[0]


def _tuner(work: "Work", study: Study, remaining: int, told: Callable[[TrialRecord], None], folder: Path) -> "Tuner":
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    spec = work.spec
    # Where trials are kept is this process's business; the address may carry a password.
    travelling = replace(work, place=StudyPlace("", work.place.name), scratch=None)
    trainable = tune.with_resources(tune.with_parameters(_objective, work=travelling), {"cpu": 1})
    tuning: dict[str, Any] = {"metric": "gain", "mode": "max", "max_concurrent_trials": spec.workers}
    tuning["reuse_actors"] = True  # TensorFlow is imported once for each process, not for each trial
    param_space: dict[str, Any] | None = None
    if spec.is_grid:
        param_space = {CHOICE: tune.grid_search(study.untried())}
    else:
        tuning |= {"search_alg": _optuna_search(work, study), "num_samples": remaining}
    if spec.search == "asha" and not spec.is_grid:
        tuning["scheduler"] = ASHAScheduler(
            time_attr="folds_done", grace_period=1, max_t=len(work.panel.folds), reduction_factor=REDUCTION
        )
    return tune.Tuner(
        trainable,
        param_space=param_space,
        tune_config=tune.TuneConfig(**tuning),
        run_config=tune.RunConfig(
            name=work.place.name, storage_path=str(folder), verbose=0, callbacks=[_keeper(work, study, told)]
        ),
    )


def _optuna_search(work: "Work", study: Study) -> Any:
    """Optuna's TPE inside Ray, told of the trials that the study has already."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    known = [record for record in study.records() if record.value is not None]
    told: dict[str, Any] = {}
    if known:
        told["points_to_evaluate"] = [{"strategy": record.strategy, **_spelled(record.params)} for record in known]
        told["evaluated_rewards"] = [record.value for record in known]
    sampler = optuna.samplers.TPESampler(seed=work.spec.seed + 1000 * len(known))
    return OptunaSearch(work.candidates.space.distributions(), metric="gain", mode="max", sampler=sampler, **told)


def _spelled(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: spelled(value) for name, value in params.items()}


def _objective(config: dict[str, Any], work: "Work") -> None:
    """One trial in a process of the cluster: every fold is reported, with all that is known of the trial so far."""
    from ray import tune

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    choice = config.get(CHOICE, config)
    begun = work.begun(choice)

    def report(folds: Sequence[FoldScore]) -> bool:
        tune.report({"gain": mean_gain(folds), "folds_done": len(folds), "record": _as_text(begun, folds)})
        return False

    ended = work.run(begun, choice, report)
    if ended.state is TrialState.FAILED:
        done = max(1, len(work.panel.folds))
        tune.report({"gain": FAILED_GAIN, "folds_done": done, "record": json.dumps(ended.to_dict())})


def _as_text(begun: TrialRecord, folds: Sequence[FoldScore]) -> str:
    """As if the trial had been given up here: the scheduler may say so, and then nothing more comes."""
    return json.dumps(replace(begun, folds=tuple(folds), state=TrialState.PRUNED).to_dict())


def _keeper(work: "Work", study: Study, told: Callable[[TrialRecord], None]) -> "Callback":
    from ray.tune import Callback

    class Keeper(Callback):
        """Puts each ended trial into the study."""

        def __reduce__(self) -> tuple[type[Callback], tuple[()]]:
            """Ray writes down the callbacks, to go on from one day; ours hold a terminal and a connection."""
            return Callback, ()

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:  # noqa: ARG002 - Ray's
            """See Ray."""
            result = trial.last_result
            record = TrialRecord.from_dict(json.loads(result["record"]))
            if record.state is TrialState.PRUNED and len(record.folds) == len(work.panel.folds):
                record = replace(record, state=TrialState.COMPLETE)
            record = replace(record, seconds=round(result["time_total_s"], 3))
            told(study.add(trial.config.get(CHOICE, trial.config), record))

    return Keeper()


@contextmanager
def _scratch(folder: Path | None) -> Iterator[Path]:
    """Where Ray keeps what it needs for itself; on several machines, a folder that all of them share."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
        return
    with TemporaryDirectory() as temporary:
        yield Path(temporary)
