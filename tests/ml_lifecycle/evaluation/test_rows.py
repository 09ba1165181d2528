"""Rows are chosen and joined together, however deep the arrays lie; their point figures by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.rows import ForecastArrays, PointFigures, RowArrays
from tests.made_up_bars import weekdays


@dataclass(frozen=True)
class Losses(RowArrays):
    loss: FloatArray
    by_level: FloatArray


@dataclass(frozen=True)
class Nested(RowArrays):
    name: str
    day: FloatArray
    methods: Mapping[str, Losses]
    quantiles: Mapping[str, FloatArray]


def nested(*days: float) -> Nested:
    rows = np.array(days)
    losses = Losses(rows + 0.1, np.stack([rows, -rows], axis=1))
    return Nested("mine", rows, {"own": losses}, {"own": 10.0 * rows})


def assert_same(found: Nested, expected: Nested) -> None:
    assert found.name == expected.name
    np.testing.assert_array_equal(found.day, expected.day)
    np.testing.assert_array_equal(found.quantiles["own"], expected.quantiles["own"])
    np.testing.assert_array_equal(found.methods["own"].loss, expected.methods["own"].loss)
    np.testing.assert_array_equal(found.methods["own"].by_level, expected.methods["own"].by_level)


def test_rows_are_chosen_and_joined_at_every_depth() -> None:
    whole = nested(1.0, 2.0, 3.0)

    assert_same(whole.where(np.array([True, False, True])), nested(1.0, 3.0))
    assert_same(Nested.joined([nested(1.0), nested(2.0, 3.0)]), whole)


def test_point_figures_by_hand() -> None:
    """Shares at 100 and at 10: the one gains a tenth and was foretold to lose one, the other stays."""
    rows = ForecastArrays(
        ticker=np.array(["A", "B"]),
        cutoff=np.repeat(weekdays(1), 2),
        horizon=np.array([5, 5]),
        anchor=np.array([100.0, 10.0]),
        actual=np.log([1.1, 1.0]),
        volatility=np.full(2, 0.01),
    )

    figures = PointFigures(**PointFigures.of(rows, np.log([0.9, 1.0]), np.array([0.1, 0.3])))

    assert figures == PointFigures(
        horizon=5,
        n=2,
        n_days=1,
        mae=pytest.approx(10.0),
        naive_mae=pytest.approx(5.0),
        rmse=pytest.approx(np.sqrt(200.0)),
        naive_rmse=pytest.approx(np.sqrt(50.0)),
        mape=pytest.approx(0.5 * 20.0 / 110.0),
        naive_mape=pytest.approx(0.5 * 10.0 / 110.0),
        directional_accuracy=0.0,
        share_of_rises=1.0,
        pinball=pytest.approx(0.2),
    )
