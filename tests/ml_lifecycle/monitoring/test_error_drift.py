"""Errors and coverage of live forecasts, and what is recommended for them."""

from datetime import date

import numpy as np
import pytest

from ml_lifecycle.monitoring.column_drift import ColumnFinding, Severity
from ml_lifecycle.monitoring.error_drift import (
    CoverageDrift,
    ErrorChange,
    ErrorDrift,
    coverage_drift,
    error_drift,
)
from ml_lifecycle.monitoring.recommendation import Cause, Verdict, recommend

FIRST = np.datetime64("2012-01-02", "D")
LEVELS = (0.5, 0.8, 0.95)


def stream(*levels: float, days: int = 120, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Daily relative errors that keep to each level for so many days."""
    values = np.repeat(levels, days) + np.random.default_rng(seed).normal(scale=0.05, size=days * len(levels))
    return FIRST + np.arange(len(values)), values


def coverages(*, held: float, days: int = 60, tickers: int = 40, seed: int = 1) -> list[CoverageDrift]:
    """Intervals of the middle level that hold so often, the others as promised."""
    source = np.random.default_rng(seed)
    shares = np.array([0.5, held, 0.95])
    inside = source.binomial(tickers, shares, size=(days, 3))
    return coverage_drift(inside, np.full(days, tickers), LEVELS)


def test_a_steady_stream_has_no_change_in_ten_years() -> None:
    found = error_drift(*stream(0.98, days=2500))

    assert (found.changes, found.severity) == ((), "none")
    assert found.relative == pytest.approx(0.98, abs=0.01)


@pytest.mark.parametrize(
    ("levels", "severity"), [((0.95, 1.1), "far"), ((0.8, 0.95), "moved"), ((1.1, 0.95), "none"), ((1.2, 0.9), "none")]
)
def test_a_change_is_dated_and_counts_where_it_is_for_the_worse(
    levels: tuple[float, float], severity: Severity
) -> None:
    """To about a month; then the level is told as it is now."""
    found = error_drift(*stream(*levels))

    newest = found.changes[-1]
    assert abs((newest.day - date(2012, 1, 2)).days - 120) < 30
    assert newest.before == pytest.approx(levels[0], abs=0.05)
    assert found.severity == severity
    assert found.relative == pytest.approx(levels[1], abs=0.05)


def test_a_bundle_that_is_the_naive_forecast_never_drifts() -> None:
    """Its relative error is 1 on every day."""
    days = FIRST + np.arange(300)

    assert error_drift(days, np.ones(300)).severity == "none"
    assert error_drift(days[:0], np.empty(0)) == ErrorDrift(0, None, (), "none")


@pytest.mark.parametrize(("held", "severity"), [(0.8, "none"), (0.76, "moved"), (0.7, "far"), (0.9, "moved")])
def test_coverage_is_held_against_its_promise(held: float, severity: Severity) -> None:
    """Too little is worse than too much."""
    assert [each.severity for each in coverages(held=held)] == ["none", severity, "none"]


def test_tickers_that_move_as_one_are_one_observation_a_day() -> None:
    """On the same days all lie inside or none: 60 days cannot tell 72 % from 80 %, 2,400 values could."""
    inside = 40 * (np.arange(60) % 25 < 18)[:, None]

    (found,) = coverage_drift(inside, np.full(60, 40), (0.8,))

    assert (found.n, found.n_days, found.severity) == (2400, 60, "none")
    assert abs(found.coverage - 0.8) > 0.03


def test_few_scored_days_say_nothing() -> None:
    assert coverages(held=0.1, days=19) == []


def column(severity: Severity, *, provable: bool = True) -> ColumnFinding:
    """A finding of some column."""
    return ColumnFinding("gap", 0.3, 0.25, 100.0, 1e-6, provable, severity)


def error(severity: Severity) -> ErrorDrift:
    """A stream with one change."""
    return ErrorDrift(200, 1.1, (ErrorChange(date(2013, 3, 1), 0.97, 1.1),), severity)


def coverage(severity: Severity) -> CoverageDrift:
    """An interval that holds too little."""
    return CoverageDrift(0.8, 2400, 60, 0.7, 1e-9, severity)


@pytest.mark.parametrize(
    ("columns", "errors", "covered", "verdict", "causes"),
    [
        ([column("none")], None, [], Verdict.OK, ()),
        ([column("none")], error("none"), [coverage("none")], Verdict.OK, ()),
        ([column("moved")], None, [], Verdict.WATCH, ()),
        ([], error("moved"), [], Verdict.WATCH, ()),
        ([], None, [coverage("moved")], Verdict.WATCH, ()),
        ([column("far")], error("none"), [], Verdict.RETRAIN, (Cause.DRIFT,)),
        ([column("moved")], error("far"), [coverage("far")], Verdict.RETRAIN, (Cause.ERROR, Cause.COVERAGE)),
    ],
)
def test_the_verdict_follows_from_the_worst(
    columns: list[ColumnFinding],
    errors: ErrorDrift | None,
    covered: list[CoverageDrift],
    verdict: Verdict,
    causes: tuple[Cause, ...],
) -> None:
    found = recommend(columns, errors, covered)

    assert (found.verdict, found.causes) == (verdict, causes)


def test_the_reason_names_what_moved() -> None:
    assert recommend([column("none")]).reason == "nothing left its reference"
    silent = recommend([column("none"), column("none", provable=False)])
    assert (silent.verdict, silent.reason) == (
        Verdict.OK,
        "nothing left its reference; 1 of 2 columns cannot be judged by so few tickers and days",
    )
    assert recommend([column("moved"), column("none")], error("far"), [coverage("far")]).reason == (
        "1 of 2 columns left their reference: gap (KS 0.25, PSI 0.30); "
        "since 2013-03-01 the error is 1.100 of the naive's, before it was 0.970; "
        "80 % intervals held 70.0 % over 60 days"
    )
