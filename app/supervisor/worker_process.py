"""The job worker as a process of its own: collects, publishes, keeps partitions ahead."""

from app.config import Settings
from app.supervisor.lifeline import end_with_supervisor


def serve_jobs(settings: Settings) -> None:
    """Work on the queue `data` until SIGTERM; the job at hand is finished."""
    from app.core.jobs import run_worker

    end_with_supervisor()
    run_worker(settings)


if __name__ == "__main__":
    serve_jobs(Settings())
