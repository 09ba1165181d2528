"""The gate: what passes, what does not and why. The long simulations are `make gate-study`; these are their short form.

The last ones hold what comes out at this seed, so that a gate that lets more luck or less merit through is seen.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.gate import simulation
from ml_lifecycle.evaluation.gate import Evidence, Reason, alpha_of, judge
from ml_lifecycle.evaluation.gate_evidence import NOTHING

SEED = 20261121


def known_volatility(n_days: int, *, seed: int = 3) -> Evidence:
    """Calm and stormy days in turn, and a challenger that is told which; the champion knows their mixture."""
    rng = np.random.default_rng(seed)
    size = np.where(np.arange(n_days + 21) % 2 == 0, 0.5, 1.5) * simulation.SIGMA
    returns = (size * rng.standard_normal((8, n_days + 21)))[:, None, :]
    actual = np.stack([returns[:, 0, :n_days]] * 3, axis=-1)
    told = size[:n_days, None, None] * simulation.NORMAL * np.ones((8, 1, 3, 1))
    mixture = np.quantile(actual, simulation.LEVELS)[None, None, None] * np.ones_like(told)
    return simulation.evidence_of(actual, challenger=told, champion=mixture)


def test_a_challenger_that_knows_more_passes_and_its_verdict_is_json() -> None:
    verdict = judge(known_volatility(229), test_number=1)

    document = json.loads(json.dumps(verdict.to_dict()))
    assert (verdict.passed, verdict.reasons) == (True, ())
    assert (document["n_days"], document["n_tickers"], document["test"]["number"]) == (229, 8, 1)
    assert (document["test"]["alpha"], document["first_day"]) == (0.025, "2024-01-02")
    one_day = document["test"]["horizons"][0]
    assert one_day["challenger"]["pinball"] < one_day["champion"]["pinball"] == one_day["reference"]["pinball"]
    gains = [1 - each["challenger"]["pinball"] / each["champion"]["pinball"] for each in document["test"]["horizons"]]
    assert document["test"]["gain"] == pytest.approx(np.mean(gains))


def test_a_hundred_and_nineteen_days_are_too_few() -> None:
    """And spend nothing: no test has a number."""
    too_few, enough = judge(known_volatility(119), test_number=1), judge(known_volatility(120), test_number=1)

    assert (too_few.passed, too_few.reasons, too_few.test) == (False, (Reason.TOO_FEW_DAYS,), None)
    assert enough.passed
    nothing = judge(NOTHING, test_number=1)
    assert (nothing.n_days, nothing.first_day, nothing.reasons) == (0, None, (Reason.TOO_FEW_DAYS,))


def test_the_champion_does_not_beat_itself() -> None:
    evidence = known_volatility(229)

    verdict = judge(replace(evidence, challenger=evidence.champion), test_number=1)

    assert (verdict.reasons, verdict.test and verdict.test.p_value) == ((Reason.GAIN_NOT_PROVEN,), 1.0)


def test_a_worse_median_is_refused_whatever_the_rest_gains() -> None:
    evidence = known_volatility(229)
    biased = evidence.challenger.copy()
    biased[:, :, 4] += 0.2 * np.diff(biased[:, :, 4:6], axis=-1)[:, :, 0]

    assert judge(replace(evidence, challenger=biased), test_number=1).reasons == (Reason.MEDIAN_WORSE,)


def test_intervals_that_promise_another_coverage_are_refused() -> None:
    """All but the 50 % interval are right."""
    evidence = known_volatility(229)
    narrow = evidence.challenger.copy()
    narrow[:, :, [3, 5]] *= 0.7

    assert judge(replace(evidence, challenger=narrow), test_number=1).reasons == (Reason.COVERAGE_OFF,)
    champion_too = replace(evidence, challenger=narrow, champion=evidence.champion * 0.3)
    assert judge(champion_too, test_number=1).passed  # no farther from the promise than what is served


def test_coverage_errors_of_two_horizons_do_not_cancel() -> None:
    """The 80 % interval holds 66 % at one day and 93 % at 21: on average what it promises."""
    evidence = known_volatility(229)
    lopsided = evidence.challenger.copy()
    lopsided[:, 0, [2, 6]] *= 0.745
    lopsided[:, 2, [2, 6]] *= 1.414
    lopsided[:, 2, [1, 7]] *= 1.102  # no quantiles that cross

    verdict = judge(replace(evidence, challenger=lopsided))

    assert verdict.test is not None
    held = [each.challenger.coverage["0.8"] for each in verdict.test.horizons]
    assert held == pytest.approx([0.66, 0.80, 0.93], abs=0.015)
    assert verdict.reasons == (Reason.COVERAGE_OFF,)
    assert verdict.test.coverage_error["0.8"] == pytest.approx(np.mean(np.abs(np.array(held) - 0.8)))
    served = judge(replace(evidence, champion=lopsided)).test
    assert served is not None
    assert served.champion_coverage_error == verdict.test.coverage_error


def test_look_ahead_is_refused_whatever_it_gains() -> None:
    verdict = judge(known_volatility(229), test_number=1, look_ahead_faults=["AAPL: the forecast moved"])

    assert (verdict.passed, verdict.reasons) == (False, (Reason.LOOK_AHEAD,))
    assert verdict.test is not None  # it was tested, so it is paid for


def test_every_further_challenge_spends_less_and_all_of_them_five_percent() -> None:
    evidence = simulation.correlated_ar1(np.random.default_rng(SEED), 100, phi=0.15)
    first = judge(evidence, test_number=1)
    assert first.test is not None
    number = next(number for number in range(1, 10_000) if alpha_of(number) < first.test.p_value)

    assert judge(evidence, test_number=number - 1).passed
    assert judge(evidence, test_number=number).reasons == (Reason.GAIN_NOT_PROVEN,)
    assert sum(map(alpha_of, range(1, 100_000))) == pytest.approx(0.05, abs=1e-6)


def test_long_horizons_do_not_outvote_short_ones() -> None:
    """In log returns a month's loss is five times a day's; here each counts as a share of the champion's."""
    evidence = simulation.correlated_ar1(np.random.default_rng(SEED), 20, phi=0.15)
    scale = np.array([1.0, 1.0, 1000.0])
    stretched = replace(
        evidence,
        actual=evidence.actual * scale,
        challenger=evidence.challenger * scale[:, None],
        champion=evidence.champion * scale[:, None],
        reference=evidence.reference * scale[:, None],
    )
    before, after = judge(evidence, test_number=1).test, judge(stretched, test_number=1).test

    assert before is not None
    assert after is not None
    assert after.p_value == pytest.approx(before.p_value, rel=1e-9)


@pytest.mark.parametrize("kind", ["random walk", "garch"])
def test_challengers_without_an_edge_do_not_pass(kind: str) -> None:
    """Judged against a champion that knows the true distribution, 25 series for each of four ways to fool oneself.

    Of 100, one or two do where the overlap of outcomes is forgotten.
    """
    rng = np.random.default_rng(SEED)
    series = (
        simulation.random_walks(rng, 25) if kind == "random walk" else simulation.garch_series(rng, 25, paths=4_000)
    )
    passed = [
        judge(evidence, test_number=1).passed
        for challenger in simulation.challengers(rng, series).values()
        for evidence in simulation.one_by_one(series, challenger)
    ]

    assert len(passed) == 100
    assert sum(passed) == 0


def test_a_median_that_knows_the_autocorrelation_passes_in_four_of_five() -> None:
    """φ = 0.15 over the default sample: 250 days of 100 tickers. This seed has five of its failures in 15 trials."""
    rng = np.random.default_rng(SEED)
    passed = [judge(simulation.correlated_ar1(rng, 100, phi=0.15), test_number=1).passed for _ in range(15)]

    assert sum(passed) >= 10


def test_fifty_challengers_in_a_row_are_no_fifty_chances() -> None:
    """None of ten series promotes any; were each challenge the first one, two would within 25, and four within 50."""
    rng = np.random.default_rng(SEED)
    series = simulation.random_walks(rng, 10)

    spent = simulation.promoting_series(rng, series, 50, spending=True)
    unspent = simulation.promoting_series(rng, series, 25, spending=False)

    assert spent == 0
    assert unspent >= 2
