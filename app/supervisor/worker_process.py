"""The job worker as a process of its own: collects, publishes, keeps partitions ahead, trains."""

from collections.abc import Collection

import psycopg

from app.config import Settings
from app.core.database import bounded_connection_string
from app.core.monitoring.metrics import serve_worker_metrics
from app.supervisor.errors import ServiceError
from app.supervisor.lifeline import end_with_supervisor

HEARTBEAT_SECONDS = 60  # a worker gives one every ten seconds
RECENT = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s)"


def serve_jobs(settings: Settings, queues: Collection[str] | None = None) -> None:
    """Work on ``queues`` until SIGTERM, None: on all that are possible; the jobs at hand are finished or put back.

    Raises
    ------
    ServiceError : the port for the metrics is taken.
    """
    from app.worker import possible_queues, run

    end_with_supervisor()
    if settings.worker_metrics_port is not None:
        _serve_metrics(settings.worker_metrics_port)
    run(settings, queues or possible_queues())


def _serve_metrics(port: int) -> None:
    try:
        serve_worker_metrics(port)
    except OSError as error:
        raise ServiceError(f"no metrics at port {port} (CLOSECAST_WORKER_METRICS_PORT): {error.strerror}") from error


def require_heartbeat(settings: Settings) -> int:
    """How many workers of this database are alive; raises ServiceError when none is."""
    with psycopg.connect(bounded_connection_string(settings)) as connection:
        row = connection.execute(RECENT, [HEARTBEAT_SECONDS]).fetchone()
    alive = 0 if row is None else int(row[0])
    if not alive:
        raise ServiceError(f"no worker has given a heartbeat for {HEARTBEAT_SECONDS} s")
    return alive


if __name__ == "__main__":
    serve_jobs(Settings())
