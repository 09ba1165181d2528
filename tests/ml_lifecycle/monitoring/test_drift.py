"""When a window's columns count as having left the training distribution, by which statistic, and when not."""

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.writing import write_bundle
from ml_lifecycle.monitoring.drift import DISTANCE_LIMIT, PSI_LIMIT, DriftReference
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest

DECILES = np.linspace(-1.28, 1.28, 9).tolist()


def column(name: str, **changes: Any) -> dict[str, Any]:
    """An entry of ``reference.json``: ten parts with a tenth each."""
    return {"name": name, "mean": 0.0, "deviation": 1.0, "edges": DECILES, "shares": [0.1] * 10} | changes


def reference(*columns: dict[str, Any], context: tuple[dict[str, Any], ...] = ()) -> DriftReference:
    """What a network with these columns was trained on."""
    names, context_names = ([each["name"] for each in listed] for listed in (columns, context))
    read = DriftReference.from_dict({"columns": [*columns, *context]}, names, context_names)
    assert read is not None
    return read


def test_the_index_is_the_symmetric_divergence_of_smoothed_shares() -> None:
    """Two parts of a half each; 30 values on one side, ten more as in training: 35 and 5 of 40."""
    halves = reference(column("x", edges=[0.0], shares=[0.5, 0.5]))

    (index,) = halves.population_stability(np.full((1, 30, 1), 3.0))[0]

    found, expected = (5 / 40, 35 / 40), (0.5, 0.5)
    by_hand = sum((a - e) * log(a / e) for a, e in zip(found, expected, strict=True))
    assert index == pytest.approx(by_hand, abs=0.01)  # the parts that are not there have a ten-thousandth each


def test_a_window_like_training_left_nothing() -> None:
    """One value in the middle of each part."""
    middles = np.array([-1.5, *(np.array(DECILES) + 0.16)])

    assert reference(column("x")).left(middles[:, None], np.empty(0)) == []


def test_each_statistic_names_its_column_and_its_limit() -> None:
    """A column that stands still, a newest value far off, a context value far off: each is told apart."""
    known = reference(column("still"), column("jump"), context=(column("calm"), column("far")))
    window = np.random.default_rng(3).normal(size=(60, 2))
    window[:, 0], window[-1, 1] = 0.0, 9.0

    left = known.left(window, np.array([0.5, -8.5]))

    assert [(each.column, each.statistic, each.limit) for each in left] == [
        ("still", "psi", PSI_LIMIT),
        ("jump", "distance", DISTANCE_LIMIT),
        ("far", "distance", DISTANCE_LIMIT),
    ]
    assert [each.value for each in left[1:]] == [9.0, 8.5]


def test_what_is_unknown_says_nothing() -> None:
    """A market that is not known on any of the days."""
    known = reference(column("market"), context=(column("also_market"),))

    assert known.left(np.full((60, 1), np.nan), np.array([np.nan])) == []


def test_a_column_that_never_moved_in_training_may_not_move_now() -> None:
    constant = reference(column("c", mean=2.0, deviation=0.0, edges=[2.0], shares=[0.0, 1.0]))

    assert constant.left(np.full((60, 1), 2.0), np.empty(0)) == []
    assert {each.statistic for each in constant.left(np.full((60, 1), 1.9), np.empty(0))} == {"psi", "distance"}


def test_many_windows_are_measured_as_one_by_one() -> None:
    known = reference(column("x"), context=(column("y"),))
    windows = np.random.default_rng(4).normal(scale=4.0, size=(20, 60, 1))
    contexts = np.random.default_rng(5).normal(scale=6.0, size=(20, 1))

    together = known.left_many(windows, contexts)

    assert together == [known.left(window, context) for window, context in zip(windows, contexts, strict=True)]
    assert any(together)


NO_REFERENCES: dict[str, Any] = {
    "other columns": [column("a"), column("b"), column("c")],
    "edges that do not ascend": [column("log_return", edges=[0.0, 0.0], shares=[0.2, 0.3, 0.5])],
    "ten edges": [column("log_return", edges=list(range(10)), shares=[1 / 11] * 11)],
    "a share too few": [column("log_return", shares=[1 / 9] * 9)],
    "shares of a half": [column("log_return", shares=[0.05] * 10)],
    "a negative share": [column("log_return", shares=[-0.1, 0.3, *[0.1] * 8])],
    "a negative deviation": [column("log_return", deviation=-1.0)],
    "a mean without end": [column("log_return", mean=10**400)],
    "text": "abc",
    "names alone": ["log_return", "volume_ratio", "weekday_sine"],
}


def written(folder: Path, columns: Any) -> Path:
    """The handmade bundle with these training distributions; whoever writes one loads it first."""
    contents = {**make_contents(), "reference.json": canonical_json({"columns": columns})}
    return write_bundle(folder, contents, make_manifest(contents))


@pytest.mark.parametrize("case", NO_REFERENCES)
def test_a_bundle_whose_reference_is_none_is_refused(case: str, tmp_path: Path) -> None:
    """In one line, before anything is measured by it."""
    columns = NO_REFERENCES[case]
    if case not in ("other columns", "text", "names alone"):
        columns = [*columns, column("volume_ratio"), column("weekday_sine")]

    with pytest.raises(BundleRefusedError, match=r"reference\.json"):
        written(tmp_path, columns)


def test_a_forecast_says_which_of_its_inputs_left(tmp_path: Path) -> None:
    """Volumes a thousandfold on the last day: the column that reads volumes, and no other."""
    folder = written(tmp_path, [column("log_return"), column("volume_ratio", deviation=0.2), column("weekday_sine")])
    forecaster = BundleForecaster(load_bundle(folder))
    bars = make_bars(60)
    bars.volume[-1] *= 1_000

    ordinary, drifted = forecaster.forecast_many([make_bars(60), bars])

    assert ordinary.drift == []
    assert drifted.drift
    assert {each.column for each in drifted.drift} == {"volume_ratio"}


def test_a_bundle_that_knows_no_training_distribution_says_so(tmp_path: Path) -> None:
    """Not that nothing left it."""
    assert BundleForecaster(load_bundle(written(tmp_path, []))).forecast(make_bars(60)).drift is None


def test_what_training_writes_is_what_is_read() -> None:
    """``training_statistics`` and this module agree on the file."""
    from ml_lifecycle.training.training_statistics import _distribution

    values = np.random.default_rng(6).normal(size=4_000)
    listed = json.loads(json.dumps([_distribution("x", values).model_dump(mode="json")]))

    read = DriftReference.from_dict({"columns": listed}, ["x"], [])

    assert read is not None
    np.testing.assert_allclose(read.shares, 0.1)
    assert read.left(values[:60, None], np.empty(0)) == []
