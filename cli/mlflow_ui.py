"""`make mlflow`: MLflow's own pages over what trainings told it, for this machine alone."""

from __future__ import annotations

import argparse
import os
import sys

LOOPBACK = "127.0.0.1"
PORT = 5000


def command(port: int) -> list[str]:
    """The server, at a loopback address whatever MLflow's own variables say.

    The store is told by the environment: its address may hold a password, and arguments can be read by everybody.
    """
    server = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    return [*server, "--allowed-hosts", f"{LOOPBACK}:*,localhost:*"]


def main() -> None:
    """Become the server; where runs are told to a tracking server already, say where that is."""
    from app.core.tracking import tracker_of
    from cli.console import err
    from cli.settings import read_settings

    parser = argparse.ArgumentParser(prog="python -m cli.mlflow_ui", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    port = parser.parse_args().port
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
    err.print(f"http://{LOOPBACK}:{port} in a few seconds; Ctrl-C ends it")
    os.execve(sys.executable, command(port), {**tracker.environment, **stores})  # noqa: S606 (no shell)


if __name__ == "__main__":
    main()
