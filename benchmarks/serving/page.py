"""Measured parts of ``docs/serving-benchmarks.md``, each between two marks that its command knows."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def write_part(page: Path, name: str, text: str) -> None:
    """Replace one part of the page; raises ValueError where the page has no such marks."""
    begin, end = f"<!-- {name}: measured -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no part called {name}")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def machine() -> str:
    """When and on what, as far as it matters to the figures."""
    today = datetime.now(UTC).date().isoformat()
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    load = os.getloadavg()[0]
    return f"{today}, {platform.machine()}, {os.cpu_count()} cores, {python}; load average {load:.1f} at the end"
