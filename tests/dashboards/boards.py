"""Dashboards as Grafana reads them: panels, variables, and queries with Grafana's macros filled in."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/grafana/dashboards"
TIME_FILTER = re.compile(r"\$__timeFilter\(([\w.]+)\)")


@dataclass(frozen=True)
class Asked:
    """One query of one panel."""

    board: str
    panel: str
    target: Mapping[str, Any]

    @property
    def is_sql(self) -> bool:
        """Whether PostgreSQL is asked."""
        return "rawSql" in self.target

    @property
    def text(self) -> str:
        """As it was written."""
        found: str = self.target["rawSql" if self.is_sql else "expr"]
        return found


def boards() -> list[dict[str, Any]]:
    """The dashboards that are committed."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board: Mapping[str, Any], kind: str = "query") -> list[dict[str, Any]]:
    """What can be chosen at the top."""
    return [variable for variable in board["templating"]["list"] if variable["type"] == kind]


def query_of(variable: Mapping[str, Any]) -> str:
    """What a variable's values are asked by."""
    query = variable["query"]
    return str(query["query"] if isinstance(query, dict) else query)


def queries(found: Sequence[Mapping[str, Any]]) -> Iterator[Asked]:
    """Every query of every panel."""
    for board in found:
        for panel in panels(board):
            for target in panel["targets"]:
                yield Asked(board["title"], panel["title"], target)


def filled(
    query: str, values: Mapping[str, Sequence[str]], *, sql: bool, since: datetime, until: datetime, window: str
) -> str:
    """A query as Grafana sends it: macros and variables replaced.

    Parameters
    ----------
    values : by a variable's name, what is chosen; several are joined as Grafana joins them for that data source.
    window : of ``$__rate_interval``.
    """
    between = rf"\1 BETWEEN '{since:%Y-%m-%dT%H:%M:%SZ}' AND '{until:%Y-%m-%dT%H:%M:%SZ}'"
    query = TIME_FILTER.sub(between, query).replace("$__rate_interval", window)
    for name, chosen in values.items():
        query = query.replace(f"${name}", _joined(chosen, sql=sql))
    assert "$" not in query, query
    return query


def _joined(chosen: Sequence[str], *, sql: bool) -> str:
    if len(chosen) == 1 and not sql:
        return chosen[0]
    if sql:
        return ",".join(value if value.isdigit() else f"'{value}'" for value in chosen)
    return "(" + "|".join(re.escape(value).replace("\\", "\\\\") for value in chosen) + ")"
