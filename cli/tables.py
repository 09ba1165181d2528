"""A plain table on standard output."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from cli.console import out


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Each row under the headings; cells are shown as they are, markup is none."""
    table = Table()
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)
