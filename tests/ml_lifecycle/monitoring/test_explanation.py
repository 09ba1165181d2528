"""The past windows of an explanation: the most alike of those whose outcomes were known at the forecast's cutoff."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.manifest import HORIZONS
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.writing import write_bundle
from ml_lifecycle.monitoring.explanation import NEAREST, REFERENCE_WINDOW, nearest_windows
from tests.made_up_bars import bars_of_closes
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest

CUTOFF = 400  # row of the forecast's last bar
PERIOD = 10  # a multiple of the trading week: the weekday is the same in every period


@pytest.fixture(scope="module", params=["reference", "network"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The reference, which has no network, and one with a network."""
    folder: Path = tmp_path_factory.mktemp("bundles")
    if request.param == "reference":
        return load_bundle(write_reference_bundle(folder))
    contents = make_contents()
    return load_bundle(write_bundle(folder, contents, make_manifest(contents)))


@pytest.fixture(scope="module")
def whole() -> BarArrays:
    """Returns that repeat and swing wider from time to time: windows are alike one period apart, less so further off.

    The most alike are therefore those whose outcomes were not known yet.
    """
    rows = np.arange(CUTOFF + 41)
    swing = 0.01 * (1.0 + 0.002 * rows) * np.sin(2.0 * np.pi * rows / PERIOD)
    noise = np.random.default_rng(5).normal(0.0, 1e-4, len(rows))
    return bars_of_closes(50.0 * np.exp(np.cumsum(swing + noise)))


@pytest.fixture(scope="module")
def known(whole: BarArrays) -> BarArrays:
    """What the forecast was made from."""
    return whole[: CUTOFF + 1]


def rows_of(known: BarArrays, bundle: Bundle, *, n: int = NEAREST) -> list[int]:
    """Rows of the cutoffs that were found, nearest first."""
    rows = {day: row for row, day in enumerate(known.trading_day.tolist())}
    return [rows[one.cutoff] for one in nearest_windows(known, bundle, n=n)]


def test_every_outcome_was_known_at_the_cutoff(known: BarArrays, bundle: Bundle) -> None:
    """However alike a later window is: the last that counts ends 30 bars before."""
    rows = rows_of(known, bundle, n=10 * CUTOFF)

    assert max(rows) == CUTOFF - HORIZONS[-1]
    assert len(rows) == len(set(rows)) > 300


def test_what_came_after_is_that_window_s_own(known: BarArrays, bundle: Bundle) -> None:
    """By horizon the log return from its last adjusted close."""
    for row, one in zip(rows_of(known, bundle), nearest_windows(known, bundle), strict=True):
        came = {horizon: np.log(known.adj_close[row + horizon] / known.adj_close[row]) for horizon in HORIZONS}
        assert one.log_returns == pytest.approx(came, rel=1e-9)


def test_bars_after_the_cutoff_change_nothing(whole: BarArrays, known: BarArrays, bundle: Bundle) -> None:
    """Neither which windows are found nor what is said of them."""
    factor = np.where(np.arange(len(whole)) > CUTOFF, 3.0, 1.0)
    prices = {name: getattr(whole, name) * factor for name in ("open", "high", "low", "close", "adj_close")}
    changed = replace(whole, **prices).until(known.cutoff)

    assert nearest_windows(changed, bundle) == nearest_windows(known, bundle)


def test_the_nearest_are_the_nearest_of_all(known: BarArrays, bundle: Bundle) -> None:
    """Twenty of them, in order, and none of the rest is nearer."""
    ranked = nearest_windows(known, bundle, n=10 * CUTOFF)
    distances = [one.distance for one in ranked]

    assert distances == sorted(distances)
    assert nearest_windows(known, bundle) == ranked[:NEAREST]


def test_a_distance_is_the_root_mean_square_difference(known: BarArrays, tmp_path: Path) -> None:
    """Computed here by hand from the reference's inputs, 60 daily log returns, at every cutoff that counts."""
    returns = np.concatenate([[np.nan], np.diff(np.log(known.adj_close))])
    here = returns[CUTOFF - REFERENCE_WINDOW + 1 :]
    by_hand = {
        row: np.sqrt(np.mean((returns[row - REFERENCE_WINDOW + 1 : row + 1] - here) ** 2))
        for row in range(REFERENCE_WINDOW, CUTOFF - HORIZONS[-1] + 1)
    }

    found = nearest_windows(known, load_bundle(write_reference_bundle(tmp_path)))

    nearest = sorted(by_hand, key=by_hand.__getitem__)[:NEAREST]
    assert [one.cutoff for one in found] == [known.trading_day[row].item() for row in nearest]
    assert [one.distance for one in found] == pytest.approx([by_hand[row] for row in nearest], rel=1e-9)
