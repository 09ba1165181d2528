"""The gate: what passes, what does not and why. The long simulations are `make gate-study`; these are their short form.

The last ones ask for at most 5 % (or at least 80 %) with the allowance of a binomial bound for so few trials.
"""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy import stats

from benchmarks.gate import simulation
from ml_lifecycle.evaluation.gate import Evidence, Reason, alpha_of, judge

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
    nothing = judge(known_volatility(120).later_than(date(2030, 1, 1)), test_number=1)
    assert (nothing.n_days, nothing.first_day, nothing.reasons) == (0, None, (Reason.TOO_FEW_DAYS,))


def test_days_that_a_bundle_was_made_from_do_not_count() -> None:
    evidence = known_volatility(229)
    last = evidence.cutoff[100].item()

    later = evidence.later_than(last)

    assert later.cutoff.min().item() > last
    assert judge(later, test_number=1).n_days == 229 - 101
    assert evidence.later_than(None) is evidence


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


def bound(trials: int, share: float) -> int:
    """As many as come by chance in 99 of 100 such studies where ``share`` is the truth."""
    return int(stats.binom.ppf(0.99, trials, share))


@pytest.mark.parametrize("kind", ["random walk", "garch"])
def test_one_in_twenty_challengers_without_an_edge_passes_at_most(kind: str) -> None:
    """Judged against a champion that knows the true distribution, 25 series for each of four ways to fool oneself."""
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
    assert sum(passed) <= bound(100, 0.05)


def test_a_median_that_knows_the_autocorrelation_passes_in_four_of_five() -> None:
    """φ = 0.15 over the default sample: 250 days of 100 tickers."""
    rng = np.random.default_rng(SEED)
    passed = [judge(simulation.correlated_ar1(rng, 100, phi=0.15), test_number=1).passed for _ in range(12)]

    assert 12 - sum(passed) <= bound(12, 0.20)


def test_fifty_challengers_in_a_row_are_no_fifty_chances() -> None:
    """At most one such series in twenty promotes any; were each challenge the first one, about half of them would."""
    rng = np.random.default_rng(SEED)
    series = simulation.random_walks(rng, 10)

    spent, unspent = (simulation.promoting_series(rng, series, 50, spending=spending) for spending in (True, False))

    assert spent <= bound(10, 0.05)
    assert unspent > bound(10, 0.05)
