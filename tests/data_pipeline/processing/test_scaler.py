"""Scaling, against values worked out by hand and scikit-learn's own."""

import json

import numpy as np
import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.scaler import CLIP, Scaler, fit_scaler

WINDOWS = np.array([[[0.0, 10.0], [2.0, 10.0]], [[4.0, 10.0], [6.0, 10.0]]])  # the second column never varies
CONTEXTS = np.array([[1.0], [3.0]])


@pytest.mark.parametrize(
    ("kind", "center", "width"),
    [
        ("standard", (3.0, 10.0), (5.0**0.5, 1.0)),
        ("min_max", (0.0, 10.0), (6.0, 1.0)),
        ("robust", (3.0, 10.0), (3.0, 1.0)),  # quartiles 1.5 and 4.5
    ],
)
def test_each_kind_has_its_centre_and_width(kind: str, center: tuple[float, ...], width: tuple[float, ...]) -> None:
    scaler = fit_scaler(kind, WINDOWS, CONTEXTS)

    assert scaler.window.center == pytest.approx(center)
    assert scaler.window.width == pytest.approx(width)


def test_scaled_values_are_what_scikit_learn_gives() -> None:
    from sklearn.preprocessing import RobustScaler

    rows = np.random.default_rng(0).normal(size=(50, 3))
    scaler = fit_scaler("robust", rows[:, None, :], rows)

    window, context = scaler.apply(rows[:, None, :], rows)

    expected = RobustScaler().fit_transform(rows).astype(np.float32)
    np.testing.assert_allclose(context, expected, rtol=1e-6)
    np.testing.assert_allclose(window[:, 0], expected, rtol=1e-6)
    assert window.dtype == context.dtype == np.float32


def test_an_extreme_value_says_extreme_and_no_more() -> None:
    scaler = fit_scaler("standard", WINDOWS, CONTEXTS)

    window, _ = scaler.apply(np.array([[[1e9, 10.0]]]), np.array([[2.0]]))

    assert window[0, 0].tolist() == [CLIP, 0.0]


def test_a_scaler_survives_json() -> None:
    scaler = fit_scaler("robust", WINDOWS, CONTEXTS)

    assert Scaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler


def test_a_network_without_context_needs_no_scaling_for_it() -> None:
    scaler = fit_scaler("standard", WINDOWS, np.empty((2, 0)))

    assert scaler.context.apply(np.empty((1, 0))).shape == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "quantile"},
        {"window": {"center": [0.0], "width": [0.0]}},
        {"window": {"center": [float("nan")], "width": [1.0]}},
        {"window": {"center": [0.0, 1.0], "width": [1.0]}},
    ],
)
def test_numbers_that_are_no_scaler_are_refused(change: dict[str, object]) -> None:
    content = {**fit_scaler("standard", WINDOWS, CONTEXTS).to_dict(), **change}

    with pytest.raises(ValueError, match="scaler"):
        Scaler.from_dict(content)


def test_an_unknown_value_is_scaled_to_the_centre() -> None:
    """A day without market inputs is an ordinary day; learnt from the days that have them."""
    windows = np.where(WINDOWS == 6.0, np.nan, WINDOWS)
    scaler = fit_scaler("standard", windows, CONTEXTS)

    window, _ = scaler.apply(windows, CONTEXTS)

    assert scaler.window.center[0] == pytest.approx(2.0)
    assert window[1, 1].tolist() == [0.0, 0.0]


def test_a_column_that_is_never_known_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown on all training days"):
        fit_scaler("standard", np.full((2, 2, 1), np.nan), CONTEXTS)
