"""What a look at one thing came to, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing stands: `warn` works for now, `fail` does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes
    ----------
    subject : what was looked at; ``cli.commands.doctor`` knows the exit code of each.
    told : what was seen.
    advice : what to do; empty where all is well.
    """

    subject: str
    state: State
    told: str
    advice: str = ""


def ok(subject: str, told: str) -> Finding:
    """All is well."""
    return Finding(subject, State.OK, told)


def warn(subject: str, told: str, advice: str) -> Finding:
    """It works for now."""
    return Finding(subject, State.WARN, told, advice)


def fail(subject: str, told: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(subject, State.FAIL, told, advice)
