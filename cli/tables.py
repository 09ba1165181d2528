"""A plain table on standard output."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from cli.console import out

# What somebody typed once must not steer the terminal of whoever reads it. Line ends stay.
CONTROL_CHARACTERS = dict.fromkeys((*range(10), *range(11, 32), *range(127, 160)))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Each row under the headings; cells are shown as they are, markup is none, control characters are left out."""
    table = Table()
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(cell.translate(CONTROL_CHARACTERS)) for cell in row))
    out.print(table)
