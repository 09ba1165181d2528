"""`make mlflow`, and compose by its profile: MLflow's own pages over what trainings told it, for this machine alone."""

from __future__ import annotations

import argparse
import os
import sys

LOOPBACK = "127.0.0.1"
PORT = 5000


def command(host: str, port: int) -> list[str]:
    """The server, at ``host`` whatever MLflow's own variables say, answering who calls this machine by a loopback name.

    The store is told by the environment: its address may hold a password, and arguments can be read by everybody.
    """
    server = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    return [*server, "--allowed-hosts", f"{LOOPBACK}:*,localhost:*"]


def main() -> None:
    """Become the server; where runs are told to a tracking server already, say where that is."""
    from app.core.tracking import tracker_of
    from cli.console import err
    from cli.settings import read_settings

    parser = argparse.ArgumentParser(prog="python -m cli.mlflow_ui", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--host", default=LOOPBACK, help="0.0.0.0 in a container that publishes it to this machine")
    given = parser.parse_args()
    tracker = tracker_of(read_settings())
    if tracker is None:
        err.print("nothing is tracked: CLOSECAST_TRACKING is false, or MLflow is not installed")
        raise SystemExit(2)
    if tracker.artifacts is None:
        err.print(f"runs are told to the server at {tracker.shown}: its pages are there", soft_wrap=True)
        return
    tracker.artifacts.mkdir(parents=True, exist_ok=True)
    stores = {"MLFLOW_BACKEND_STORE_URI": tracker.uri, "MLFLOW_ARTIFACTS_DESTINATION": tracker.artifacts.as_uri()}
    stores["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # judges of language models: none of them here
    err.print(f"http://{LOOPBACK}:{given.port} in a few seconds; Ctrl-C ends it")
    os.execve(sys.executable, command(given.host, given.port), {**tracker.environment, **stores})  # noqa: S606 (no shell)


if __name__ == "__main__":
    main()
