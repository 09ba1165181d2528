"""What docs/wire-contracts.md says of each route."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "wire-contracts.md"
ROW = re.compile(r"^\| [A-D] \| `(?P<method>GET|POST) (?P<path>/\S*)` \| yes \|", re.MULTILINE)


def routes_of_the_page() -> list[tuple[str, str]]:
    """Method and path of each route that clients of other systems find here."""
    rows = [(row["method"], row["path"]) for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))]
    assert len(rows) >= 19
    return rows
