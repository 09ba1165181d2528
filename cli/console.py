"""Where commands write: results to standard output, progress and remarks to standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(result: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a result for machines: one JSON document, undecorated."""
    json.dump(result, sys.stdout, default=str)
    sys.stdout.write("\n")
