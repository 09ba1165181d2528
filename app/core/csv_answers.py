"""Tables as CSV (RFC 4180) that a spreadsheet opens without running anything out of them."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from starlette.responses import Response

# What a spreadsheet may take for the beginning of a formula (OWASP, "CSV injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = object  # as `str` writes it; None is an empty cell


def csv_answer(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, name: str) -> Response:
    """One table to be saved as ``name``.csv; text is made harmless, figures stay figures."""
    written = StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(header)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    saved_as = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(written.getvalue(), media_type="text/csv", headers=saved_as)


def harmless(cell: Cell) -> Cell:
    """Text that a spreadsheet would compute, with an apostrophe before it; all else as it is.

    >>> harmless("=1+1"), harmless("AAPL"), harmless(-0.5)
    ("'=1+1", 'AAPL', -0.5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
