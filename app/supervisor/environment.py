"""Settings on their way to a child process: what was decided here is what is read there."""

import json
from pathlib import Path

from pydantic import SecretStr

from app.config import Settings


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables from which a child reads the same settings; what is None is left to its own environment.

    >>> as_environment(Settings(port=8001, workers=2))["CLOSECAST_PORT"]
    '8001'
    """
    return {
        f"CLOSECAST_{name.upper()}": _spelled(value)
        for name, value in settings.model_dump().items()
        if value is not None
    }


def _spelled(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, str | Path) else json.dumps(value, default=_spelled)
