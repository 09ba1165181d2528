"""A table that a spreadsheet opens runs nothing out of it."""

import csv
from io import StringIO

import pytest

from app.core.csv_answers import csv_answer


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_text_never_begins_as_a_formula_does(text: str) -> None:
    """Whatever comes in as text is shown as text."""
    body = bytes(csv_answer(["name"], [[text]], name="t").body).decode()
    assert next(csv.reader(StringIO(body.partition("\r\n")[2], newline=""))) == [f"'{text}"]


def test_figures_stay_figures_and_what_is_unknown_stays_empty() -> None:
    """A minus before a number is no formula."""
    answer = csv_answer(["a", "b", "c"], [[-0.25, None, 'say "x", y']], name="figures")
    assert bytes(answer.body) == b'a,b,c\r\n-0.25,,"say ""x"", y"\r\n'
    assert answer.headers["content-disposition"] == 'attachment; filename="figures.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
