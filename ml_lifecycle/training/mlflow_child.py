"""The process that speaks to MLflow: told what happened by lines on its standard input, answering each on its output.

A process of its own, because importing MLflow takes seconds and a gigantic tree of packages, its client may wait for
minutes, and a thread that waits in it could not be ended. Told and tended by ``mlflow_delivery``.
"""

import json
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ml_lifecycle.training.mlflow_database import make_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "closecast"
MODEL = "closecast"  # the registered model whose versions are bundles
BUNDLE_TAG = "closecast.bundle"  # of a run and of a version of the model: the bundle's id, which is its digest
BUNDLE_FOLDER = "bundle"  # of a run's artifacts
PARENT_TAG, NOTE_TAG = "mlflow.parentRunId", "mlflow.note.content"
NICENESS = 10  # training has the processor first
ERROR_LENGTH = 300
FAILURES_IN_A_ROW, PAUSE_SECONDS = 3, 5.0  # MLflow's client repeats each call: a server that is gone costs seconds


@dataclass(frozen=True)
class _Start:
    """A run as it was begun, kept until MLflow has taken it."""

    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    parent: str | None
    at: int


class Recorder:
    """Gives MLflow what it is told; each method is one kind of line.

    Parameters
    ----------
    artifacts : where files go that belong to a run, as a URI; None: where the tracking server wants them.
    """

    def __init__(self, client: "MlflowClient", artifacts: str | None) -> None:
        self._client, self._artifacts = client, artifacts
        self._starts: dict[str, _Start] = {}
        self._ids: dict[str, str] = {}
        self._open: set[str] = set()

    def start(self, run: str, *, name: str, params: dict[str, Any], tags: dict[str, str], parent: str, at: int) -> None:
        """Begin a run; where MLflow does not take it now, it is begun by the next line about it."""
        self._starts[run] = _Start(name, params, tags, parent or None, at)
        self._open.add(run)
        self._id(run)

    def curve(self, run: str, *, step: int, values: dict[str, float], at: int) -> None:
        """One point of each of some curves."""
        from mlflow.entities import Metric

        points = [Metric(name, value, at, step) for name, value in values.items() if math.isfinite(value)]
        self._client.log_batch(self._id(run), metrics=points)

    def tag(self, run: str, *, tags: dict[str, str]) -> None:
        """What became known of a run."""
        from mlflow.entities import RunTag

        self._client.log_batch(self._id(run), tags=[RunTag(name, value) for name, value in tags.items()])

    def artifact(self, run: str, *, path: str, folder: str) -> None:
        """One file, or all files of a folder."""
        keep = self._client.log_artifacts if Path(path).is_dir() else self._client.log_artifact
        keep(self._id(run), path, folder or None)

    def end(self, run: str, *, status: str, at: int) -> None:
        """The last line about a run."""
        self._client.set_terminated(self._id(run), status, at)
        self._open.discard(run)

    def mirror(self, *, aliases: dict[str, str], manifests: dict[str, str]) -> list[str]:
        """Point the aliases of the registered model at these bundles and take every other alias away.

        ``manifests`` are files to keep of bundles that no run has made. Gives what had to be changed.
        """
        held = self._aliases()
        versions = self._versions()
        numbers = {bundle: version for version, bundle in versions.items()}
        changed = [alias for alias, bundle in aliases.items() if versions.get(held.get(alias, "")) != bundle]
        for alias in changed:
            bundle = aliases[alias]
            if bundle not in numbers:
                numbers[bundle] = self._add_version(bundle, manifests[bundle])
            self._client.set_registered_model_alias(MODEL, alias, numbers[bundle])
        gone = [alias for alias in held if alias not in aliases]
        for alias in gone:
            self._client.delete_registered_model_alias(MODEL, alias)
        return [*changed, *gone]

    def old_runs(self, *, before: int) -> list[dict[str, Any]]:
        """Runs that ended before an instant and made no bundle: id, name, end."""
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return []
        made_none = (run for run in self._all_runs(experiment.experiment_id, before) if BUNDLE_TAG not in run.data.tags)
        return [{"id": run.info.run_id, "name": run.info.run_name, "ended": run.info.end_time} for run in made_none]

    def delete_runs(self, *, run_ids: list[str]) -> None:
        """Mark runs as deleted; `mlflow gc` frees what they take."""
        for run_id in run_ids:
            self._client.delete_run(run_id)

    def close(self) -> None:
        """Say of each run that was not ended that it was killed."""
        for run in sorted(self._open & self._ids.keys()):
            self._client.set_terminated(self._ids[run], "KILLED")
            self._open.discard(run)

    def _id(self, run: str) -> str:
        if run not in self._ids:
            start = self._starts[run]
            parent = {PARENT_TAG: self._id(start.parent)} if start.parent else {}
            created = self._client.create_run(
                self._experiment(), start.at, {**start.tags, **parent}, run_name=start.name
            ).info.run_id
            self._ids[run] = created
            self._log_params(created, start.params)
        return self._ids[run]

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        listed = [Param(name, str(value)) for name, value in params.items()]
        for first in range(0, len(listed), 100):  # MLflow's limit of one call
            self._client.log_batch(run_id, params=listed[first : first + 100])

    def _experiment(self) -> str:
        from mlflow import MlflowException

        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(EXPERIMENT, artifact_location=self._artifacts))
        except MlflowException:
            faster = self._client.get_experiment_by_name(EXPERIMENT)  # than we was another process
            if faster is None:
                raise
            return str(faster.experiment_id)

    def _all_runs(self, experiment: str, before: int) -> list[Any]:
        runs: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs(
                [experiment], f"attributes.end_time < {before} AND attributes.end_time > 0", page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def _aliases(self) -> dict[str, str]:
        """Which version each alias of the model names; the model is made where there is none."""
        from mlflow import MlflowException

        try:
            return {name: str(version) for name, version in self._client.get_registered_model(MODEL).aliases.items()}
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        about = "Bundles of Closecast; its promotion ledger decides who is champion, and this follows it."
        self._client.create_registered_model(MODEL, description=about)
        return {}

    def _versions(self) -> dict[str, str]:
        """Which bundle each version of the model is."""
        listed = self._client.search_model_versions(f"name = '{MODEL}'")
        return {str(each.version): each.tags[BUNDLE_TAG] for each in listed if BUNDLE_TAG in each.tags}

    def _add_version(self, bundle: str, manifest: str) -> str:
        run_id = self._run_of(bundle) or self._add_run(bundle, manifest)
        # A folder of this machine would be refused by a tracking server: what lies there is the run's copy.
        place = f"runs:/{run_id}/{BUNDLE_FOLDER}"
        return str(self._client.create_model_version(MODEL, place, run_id, tags={BUNDLE_TAG: bundle}).version)

    def _run_of(self, bundle: str) -> str | None:
        found = self._client.search_runs([self._experiment()], f"tags.`{BUNDLE_TAG}` = '{bundle}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def _add_run(self, bundle: str, manifest: str) -> str:
        note = "made elsewhere or before tracking began; the promotion ledger names it"
        tags = {BUNDLE_TAG: bundle, NOTE_TAG: note}
        run_id = str(self._client.create_run(self._experiment(), tags=tags, run_name=bundle[:12]).info.run_id)
        if Path(manifest).is_file():
            self._client.log_artifact(run_id, manifest, BUNDLE_FOLDER)
        self._client.set_terminated(run_id)
        return run_id


def main() -> None:
    """Serve one parent: its first line says where MLflow is, each other one what to record."""
    os.nice(NICENESS)
    answers = _own_output()
    told = json.loads(sys.stdin.readline())
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, told["grace_seconds"]), daemon=True).start()
    try:
        from mlflow import MlflowClient

        make_database(told["uri"])
        recorder = Recorder(MlflowClient(told["uri"], told["uri"]), told["artifacts"])
    except Exception as error:  # noqa: BLE001 (whatever keeps MLflow from starting is told, and harms nobody)
        _answer(answers, None, error)
        return
    asked = _Asked(recorder)
    while (line := lines.get()) is not None:
        _answer(answers, *asked.tell(json.loads(line)))
    recorder.close()


class _Asked:
    """Tells the recorder line after line; where MLflow fails again and again, lines are lost at once for a while."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._failures, self._again_at = 0, 0.0
        self._error: Exception | None = None

    def tell(self, request: Mapping[str, Any]) -> tuple[Any, Exception | None]:
        """The result, or what kept it from being one."""
        if self._failures >= FAILURES_IN_A_ROW and time.monotonic() < self._again_at:
            return None, self._error
        action: Callable[..., Any] = getattr(self._recorder, request["op"])
        try:
            result = action(**request["arguments"])
        except Exception as error:  # noqa: BLE001 (one record less; the next may be taken)
            self._failures, self._again_at = self._failures + 1, time.monotonic() + PAUSE_SECONDS
            self._error = error
            return None, error
        self._failures = 0
        return result, None


def _own_output() -> TextIO:
    """Standard output for our answers alone: MLflow prints to it."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _read(lines: "queue.SimpleQueue[str | None]", grace_seconds: float) -> None:
    """Take lines as they come; at their end, which is also the parent's, everything left has so long."""
    for line in sys.stdin:
        lines.put(line)
    watchdog = threading.Timer(grace_seconds, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()
    lines.put(None)


def _answer(answers: TextIO, result: Any, error: Exception | None) -> None:
    reason = None if error is None else _in_one_line(error)
    answers.write(json.dumps({"result": result, "error": reason}) + "\n")
    answers.flush()


def _in_one_line(error: Exception) -> str:
    """Kind and message: the first line alone is often but a heading. The statement of a database tells nobody more."""
    message = str(error).partition("\n[SQL:")[0]
    return " ".join(f"{type(error).__name__}: {message}".split())[:ERROR_LENGTH]


if __name__ == "__main__":
    main()
