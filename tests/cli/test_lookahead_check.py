"""`closecast lookahead-check`: silent where nothing looks ahead, one line for each fault where something does."""

import json
import re
from pathlib import Path

from ml_lifecycle.export.reference import write_reference_bundle
from tests.cli.conftest import Closecast

CLEAN = """
from data_pipeline.processing.column_definition import InputColumn

COLUMNS = [InputColumn("day_range", warm_up=0, compute=lambda bars: bars.high / bars.low - 1.0)]
"""
LEAKING = """
import numpy as np

from data_pipeline.processing.column_definition import InputColumn

COLUMNS = [InputColumn("tomorrow", warm_up=0, compute=lambda bars: np.roll(bars.close / bars.open, -1))]
"""


def test_the_packaged_sample_and_a_clean_module_pass(closecast: Closecast, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CLEAN)

    done = closecast("lookahead-check", "--quick", "--config", "demo", "--columns", str(tmp_path / "mine.py"))

    assert (done.code, done.out) == (0, "")
    assert done.err == "Looking at columns and windows …\nNo look-ahead found on 5 tickers.\n"


def test_a_column_of_ones_own_that_looks_ahead_is_named_with_its_cutoff(closecast: Closecast, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LEAKING)

    found = closecast("lookahead-check", "--quick", "--config", "demo", "--columns", str(tmp_path / "mine.py"))

    assert found.code == 5
    lines = found.out.splitlines()
    assert len(lines) > 2
    assert all(re.fullmatch(r"columns, tomorrow, [A-Z]+ at \d{4}-\d\d-\d\d: .+", line) for line in lines)


def test_a_bundle_is_looked_at_by_itself(closecast: Closecast, tmp_path: Path) -> None:
    done = closecast("lookahead-check", str(write_reference_bundle(tmp_path)), "--json")

    assert done.code == 0
    assert json.loads(done.out) == {"passed": True, "tickers": ["AAPL", "FB", "GOOG", "IBM", "MSFT"], "faults": []}
