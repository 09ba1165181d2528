"""What docs/wire-contracts.md says of each route."""

import re
from pathlib import Path
from typing import NamedTuple, Self

PAGE = Path(__file__).parents[2] / "docs" / "wire-contracts.md"
ROW = re.compile(r"^\| [A-D] \| `(?P<method>GET|POST) (?P<path>/\S*)` \| (?P<here>yes|not yet) \|", re.MULTILINE)


class Page(NamedTuple):
    """Method and path of the routes that are here, and of those that are not yet."""

    here: list[tuple[str, str]]
    not_yet: list[tuple[str, str]]

    @classmethod
    def read(cls) -> Self:
        """The page as it lies there."""
        rows = list(ROW.finditer(PAGE.read_text(encoding="utf-8")))
        assert len(rows) >= 19
        here, not_yet = (
            [(row["method"], row["path"]) for row in rows if row["here"] == said] for said in ("yes", "not yet")
        )
        return cls(here, not_yet)
