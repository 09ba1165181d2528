"""What the gate judges: the same forecasts of both, whole in all horizons, on days that neither has seen."""

from datetime import date
from pathlib import Path

import numpy as np

from ml_lifecycle.evaluation.evaluate import ForecastRows
from ml_lifecycle.evaluation.gate import GATE_HORIZONS
from ml_lifecycle.evaluation.gate_evidence import gather, paired, unseen_after
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.writing import write_bundle
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest

DAYS = np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[D]")


def handmade(folder: Path) -> tuple[Bundle, Bundle]:
    """A network put together by hand, and the reference."""
    contents = make_contents()
    network = write_bundle(folder, contents, make_manifest(contents))
    return load_bundle(network), load_bundle(write_reference_bundle(folder))


def rows_of(entries: list[tuple[str, int, int]], *, levels: tuple[float, ...], base: float) -> ForecastRows:
    """Rows of (ticker, number of the day, horizon); every quantile says who made it, where and for when."""
    ticker, day, horizon = zip(*entries, strict=True)
    place = np.array([100 * number + steps for _, number, steps in entries], dtype=np.float64)
    quantiles = base + place[:, None] + np.array(levels)
    return ForecastRows(
        levels=levels,
        ticker=np.array(ticker),
        cutoff=DAYS[list(day)],
        horizon=np.array(horizon),
        anchor=np.ones(len(entries)),
        actual=place,
        volatility=np.ones(len(entries)),
        quantiles=quantiles,
        naive=quantiles - base,
    )


def test_forecasts_are_paired_by_ticker_day_and_horizon_whatever_their_order() -> None:
    """What one of them lacks, or what lacks a horizon, is left out; so are levels that one of them has alone."""
    whole = [(ticker, day, horizon) for ticker in ("A", "B") for day in (0, 1) for horizon in GATE_HORIZONS]
    without_last = [entry for entry in whole if entry != ("B", 1, GATE_HORIZONS[-1])]
    ours = rows_of(without_last, levels=(0.1, 0.5, 0.9), base=1000.0)
    theirs = rows_of([entry for entry in reversed(whole) if entry[:2] != ("A", 0)], levels=(0.25, 0.5), base=5000.0)

    evidence = paired(ours, theirs)

    assert (evidence.levels, evidence.horizons) == ((0.5,), GATE_HORIZONS)
    assert list(zip(evidence.ticker.tolist(), evidence.cutoff.tolist(), strict=True)) == [
        ("A", date(2020, 1, 3)),
        ("B", date(2020, 1, 2)),
    ]
    np.testing.assert_array_equal(evidence.challenger[:, :, 0] - evidence.actual, 1000.5)
    np.testing.assert_array_equal(evidence.champion[:, :, 0] - evidence.actual, 5000.5)
    np.testing.assert_array_equal(evidence.reference[:, :, 0] - evidence.actual, 0.5)
    np.testing.assert_array_equal(evidence.actual[0], 100.0 + np.array(GATE_HORIZONS))


def test_a_bundle_is_judged_on_days_after_the_later_calibration(tmp_path: Path) -> None:
    """The handmade network's ends on 2013-01-02; the reference was made from no day."""
    network, reference = handmade(tmp_path)
    bars = {"T1": make_bars(900, seed=1), "NEW": make_bars(30, start="2013-01-01")}

    findings = gather(network, reference, bars)

    cutoffs = findings.evidence.cutoff
    assert unseen_after(reference, network) == date(2013, 1, 2)
    assert unseen_after(reference) is None
    assert cutoffs.min().item() == date(2013, 1, 3)
    assert cutoffs.max().item() == bars["T1"][:-21].cutoff  # its month is over
    assert set(findings.evidence.ticker.tolist()) == {"T1"}


def test_without_an_outcome_there_is_no_evidence(tmp_path: Path) -> None:
    network, reference = handmade(tmp_path)

    findings = gather(network, reference, {"T1": make_bars(700, seed=1)})

    assert len(findings.evidence.cutoff) == 0
