"""Heavy steps run as `closecast` commands of their own, so that their libraries leave memory when they are done."""

import json
import os
import subprocess
import sys
from typing import Any

from app.config import Settings
from app.supervisor.environment import as_environment
from app.supervisor.errors import ServiceError


def run(settings: Settings, *arguments: str) -> None:
    """Run `closecast ARGUMENTS`, its progress and its result shown.

    Raises
    ------
    ServiceError : it failed; it has said why.
    """
    finished = subprocess.run(_command(arguments), check=False, env=_environment(settings))  # noqa: S603 (our own)
    if finished.returncode:
        raise ServiceError(f"`closecast {arguments[0]}` failed, see above")


def result(settings: Settings, *arguments: str, accepted: int = 0) -> dict[str, Any]:
    """Run `closecast ARGUMENTS --json`, its progress shown; gives its result.

    Raises
    ------
    ServiceError : it failed, and not with the exit code that is ``accepted``; it has said why.
    """
    finished = subprocess.run(  # noqa: S603 (our own)
        _command([*arguments, "--json"]), check=False, env=_environment(settings), stdout=subprocess.PIPE
    )
    if finished.returncode not in (0, accepted):
        raise ServiceError(f"`closecast {arguments[0]}` failed, see above")
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


def start(settings: Settings, *arguments: str) -> "subprocess.Popen[str]":
    """Start `closecast ARGUMENTS --json` beside what else is going on; its output can be read when it ends."""
    return subprocess.Popen(  # noqa: S603 (our own)
        _command([*arguments, "--json"]),
        env=_environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _command(arguments: "list[str] | tuple[str, ...]") -> list[str]:
    return [sys.executable, "-m", "cli", *arguments]


def _environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, **as_environment(settings)}
