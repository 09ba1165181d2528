"""Split-conformal offsets."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.input_columns import run
from ml_lifecycle.evaluation.calibration import believed_offsets, conformal_offsets
from ml_lifecycle.evaluation.metrics import coverage

LEVELS = (0.1, 0.5, 0.9)


def test_an_interval_is_widened_by_the_quantile_of_how_far_outcomes_fell_outside() -> None:
    """Nine outcomes lie 1..9 above a degenerate interval; 80 % of ten is the eighth."""
    actual = np.arange(1.0, 10.0)[:, None]
    quantiles = np.zeros((9, 1, 3))

    assert conformal_offsets(actual, quantiles, LEVELS).tolist() == [[-8.0, 0.0, 8.0]]


def test_an_interval_that_covers_too_much_is_narrowed() -> None:
    actual = np.linspace(-1.0, 1.0, 99)[:, None]
    quantiles = np.tile([-2.0, 0.0, 2.0], (99, 1, 1))

    offsets = conformal_offsets(actual, quantiles, LEVELS)

    assert offsets[0].tolist() == pytest.approx([1.1837, 0.0, -1.1837], abs=1e-3)


def test_new_outcomes_of_the_same_kind_are_covered_as_promised() -> None:
    rng = np.random.default_rng(0)
    quantiles = np.tile([-0.5, 0.0, 0.5], (4000, 1, 1))

    offsets = conformal_offsets(rng.standard_normal((4000, 1)), quantiles, LEVELS)
    lower, _, upper = (quantiles[0, 0] + offsets[0]).tolist()

    fresh = rng.standard_normal(20_000)
    assert coverage(fresh, np.full(20_000, lower), np.full(20_000, upper)) == pytest.approx(0.8, abs=0.015)


def test_outcomes_yet_to_come_do_not_count_and_without_any_nothing_moves() -> None:
    actual = np.array([[1.0, np.nan], [np.nan, np.nan]])

    offsets = conformal_offsets(actual, np.zeros((2, 2, 3)), LEVELS)

    assert offsets.tolist() == [[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_few_independent_days_are_hardly_believed_and_very_many_nearly_in_full() -> None:
    """150 days hold 150, 15 and 5 independent outcomes: 150/250, 15/115, 5/105 of the offsets."""
    offsets = np.array([[-1.0, 0.0, 1.0]] * 3)

    few = believed_offsets(offsets, (1, 10, 30), n_days=150)
    many = believed_offsets(offsets, (1, 10, 30), n_days=10**7)

    np.testing.assert_allclose(few[:, 2], [0.6, 0.130435, 0.047619], atol=1e-6)
    np.testing.assert_allclose(few[:, 0], -few[:, 2])
    np.testing.assert_allclose(many, offsets, rtol=1e-3)


def test_the_command_that_is_to_print_the_evidence_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown table ends with 2 before any bars are read."""
    told = Path(sys.modules[believed_offsets.__module__].__file__ or "").read_text(encoding="utf-8")
    (table,) = re.findall(r"benchmarks/input_columns/run\.py --table (\w+)", told)
    monkeypatch.setattr(sys, "argv", ["run.py", "--bars", "absent.parquet", "--table", table])

    with pytest.raises(FileNotFoundError, match=r"absent\.parquet"):
        run.main()
