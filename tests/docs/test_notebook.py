"""The notebook runs from its first cell to its last, and shows what it says."""

from pathlib import Path
from typing import Any

import pytest

from ml_lifecycle.export.manifest import HORIZONS
from tests.docs.blocks import DOCS
from tools.notebook import executed


@pytest.fixture(scope="module")
def outputs() -> list[Any]:
    """Of all cells, in order; one training for all tests."""
    notebook = executed(DOCS / "notebooks" / "residuals.py")
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def tables(outputs: list[Any]) -> list[list[list[str]]]:
    """The cells of each table's rows, heads left out."""
    shown = [output["data"]["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})]
    return [[[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]] for table in shown]


def test_all_parts_are_in_order_and_every_horizon_is_scored_beside_the_naive(outputs: list[Any]) -> None:
    bars, parts, scores, residuals, coverage = tables(outputs)

    assert {row[0] for row in bars} == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}
    assert [row[1] for row in parts] == sorted(row[1] for row in parts)
    assert [int(row[0]) for row in scores] == list(HORIZONS)
    assert all(0.9 < float(row[2]) < 1.1 for row in scores)
    assert len(residuals) == 5
    assert [row[0] for row in coverage] == ["50%", "80%", "90%", "95%"]


def test_its_words_hold(outputs: list[Any]) -> None:
    """What its last section says of the median and of the naive's intervals."""
    *_, scores, residuals, coverage = tables(outputs)
    spread, naive_spread = (float(cell) for cell in residuals[1][1:])

    assert abs(spread / naive_spread - 1) < 0.01
    for promised, found, width, naive_found, naive_width in coverage:
        promise, network, naive = (float(cell.rstrip("%")) for cell in (promised, found, naive_found))
        assert abs(network - promise) < abs(naive - promise) < 10
        assert naive > promise
        assert float(width) < float(naive_width)
    assert "better" in {row[4] for row in scores}


def test_its_figures_are_data_and_nothing_is_said_of_failures(outputs: list[Any]) -> None:
    figures = [output for output in outputs if "application/vnd.plotly.v1+json" in output.get("data", {})]
    streams = "".join(output.get("text", "") for output in outputs if output["output_type"] == "stream")

    assert len(figures) == 2
    assert not any("text/html" in figure["data"] for figure in figures)
    assert "Traceback" not in streams
    assert "Warning:" not in streams


def test_it_is_a_script_without_outputs() -> None:
    script: Path = DOCS / "notebooks" / "residuals.py"
    assert script.read_text().startswith("# %% [markdown]\n")
    assert not list(DOCS.rglob("*.ipynb"))
