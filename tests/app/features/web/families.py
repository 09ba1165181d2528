"""Keys that the scripts of track record, models and operations put together: what comes after their beginning."""

from collections.abc import Collection, Mapping
from typing import Final, get_args

from app.features.after_close.steps import Step
from app.features.registry.champion import STAND_IN
from app.features.registry.schemas import ChallengeStatus
from app.features.track_record.overview_schemas import Sort
from app.features.track_record.schemas import Kind
from app.features.web.training_fields import NAMES
from app.models.after_close import StepState
from app.models.training_job import JobKind, JobStatus
from ml_lifecycle.evaluation.gate import Reason

OPERATIONS: Final = {"latency", "sources", "source_errors", "data", "queues", "jobs", "closes"}
BESIDE_THE_NAIVE: Final = {"pinball", "naive_pinball", "pinball_skill", "label"}
MODEL_HEADS: Final = """
    bundle kind made promote decided champion outcome number p_value reasons before way by why job status asked ended
    actions asked_by tickers recommends columns
"""
OPERATION_HEADS: Final = """
    window answers p50 p95 p99 max unknown refused unavailable failed source circuit failures opened_at tokens asked_at
    cause tickers example detail until exchange kind newest late published_at queue task waiting running failed_jobs
    oldest_at status jobs abandoned close
"""

RECORD: Final[Mapping[str, Collection[str]]] = {
    "record.head.": {*get_args(Sort), "bundle", "label", "promise", "coverage_80", "coverage_95"},
    "record.means.": get_args(Kind),
    "record.promise.": {"kept", "broken"},  # and one that is asked for by its whole name
}
MODELS: Final[Mapping[str, Collection[str]]] = {
    "models.drift.": {"column", "psi", "ks", "p_value", "severity"},
    "models.field.": {*NAMES, "tickers", "start_date", "end_date"},
    "models.figure.": {*BESIDE_THE_NAIVE, "horizon", "relative_mae", "coverage", "naive_coverage"},
    "models.head.": {*BESIDE_THE_NAIVE, *MODEL_HEADS.split()},
    "models.job.": list(JobKind),
    "models.judging.": get_args(ChallengeStatus),
    "models.kind.": {"network", "reference"},
    "models.outcome.": {"passed", "refused"},
    "models.reason.": list(Reason),
    "models.recommends.": {"ok", "watch", "retrain"},
    "models.severity.": {"none", "moved", "far"},
    "models.status.": list(JobStatus),
    "models.way.": {"reference", "gate", "forced", "rollback", STAND_IN},
}
OPERATION: Final[Mapping[str, Collection[str]]] = {
    "operations.": {*OPERATIONS, "last_hour", "last_day", "all_time"},
    "operations.check.": {"database", "migrations", "champion", "prediction_log"},
    "operations.circuit.": {"closed", "opened", "half-opened"},
    "operations.head.": {*OPERATION_HEADS.split(), *Step},
    "operations.live.": {"true", "false"},
    "operations.no.": OPERATIONS,
    "operations.ready.": {"true", "false"},
    "operations.step_state.": list(StepState),
}
