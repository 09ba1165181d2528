"""Where commands write: results to standard output, progress and remarks to standard error."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 150  # Rich would take 80 and cut figures out of a table that goes to a file or a pipe


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


out = _console(stderr=False)
err = _console(stderr=True)


def print_json(result: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a result for machines: one JSON document, undecorated."""
    json.dump(result, sys.stdout, default=str)
    sys.stdout.write("\n")
