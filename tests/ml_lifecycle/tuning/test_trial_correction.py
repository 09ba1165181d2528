"""The best of many is called better only where that is more than luck."""

from dataclasses import replace

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.skill_label import Label
from ml_lifecycle.training.trial import FoldScore, TrialRecord, TrialState
from ml_lifecycle.training.trial_correction import WinnerSkill, winner_skill
from tests.made_up_bars import weekdays

DAYS = weekdays(1200)[::5]
OVERLAP = 5  # cutoffs of every fifth day share outcomes over 21 days with so many
STUDIES, TRIALS = 30, 10


def make_record(number: int, gains: FloatArray, state: TrialState = TrialState.COMPLETE) -> TrialRecord:
    """A trial with these gains on four folds of ``DAYS``; given up after one, where its state says so."""
    parts = zip(np.array_split(DAYS, 4), np.array_split(gains, 4), strict=True)
    folds = tuple(
        FoldScore(place, float(own.mean()), (0.0,) * 4, (1.0,) * 4, tuple(map(str, days)), tuple(own.tolist()), 1, 0)
        for place, (days, own) in enumerate(parts)
    )
    return TrialRecord(number, "volatility_units", {}, state, folds if state is TrialState.COMPLETE else folds[:1], 0.0)


def make_study(seed: int, *, gain: float = 0.0, alike: float = 0.0) -> list[TrialRecord]:
    """Ten trials whose gains are moving averages of noise, as overlapping outcomes make them; the last gains more."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((TRIALS, len(DAYS) + OVERLAP - 1))
    shocks = np.sqrt(1.0 - alike) * shocks + np.sqrt(alike) * rng.standard_normal(shocks.shape[1])
    gains = 0.05 * np.stack([shocks[:, lag : lag + len(DAYS)] for lag in range(OVERLAP)]).mean(axis=0)
    gains[-1] += gain
    return [make_record(number, each) for number, each in enumerate(gains)]


def judged(study: list[TrialRecord]) -> WinnerSkill:
    """The winner's skill of a study that has one."""
    skill = winner_skill(study)
    assert skill is not None
    return skill


@pytest.fixture(scope="module")
def lucky() -> list[WinnerSkill]:
    """Winners of studies in which nobody can gain."""
    return [judged(make_study(seed)) for seed in range(STUDIES)]


def test_a_winner_of_luck_is_not_called_better(lucky: list[WinnerSkill]) -> None:
    called_better = sum(skill.label is Label.BETTER for skill in lucky)

    assert called_better <= 0.05 * STUDIES
    assert all(skill.n_trials == TRIALS and skill.n_days == len(DAYS) for skill in lucky)


def test_without_the_correction_luck_would_often_win(lucky: list[WinnerSkill]) -> None:
    """The figures that the correction is there for: some 15 of 100 single tests say 1 % at the best of ten."""
    assert sum(skill.p_alone < 0.01 for skill in lucky) >= 0.10 * STUDIES


def test_real_skill_is_found_among_many_trials() -> None:
    skill = judged(make_study(3, gain=0.03))

    assert skill.label is Label.BETTER
    assert skill.gain == pytest.approx(0.03, abs=0.01)


def test_trials_that_are_alike_cost_less_than_as_many_different_ones() -> None:
    alike, different = judged(make_study(1, gain=0.012, alike=0.99)), judged(make_study(1, gain=0.012))

    assert alike.p_corrected < different.p_corrected


def test_trials_that_were_given_up_count_as_tests_too() -> None:
    complete = make_study(5, gain=0.008)
    given_up = [make_record(100 + number, np.zeros(len(DAYS)), TrialState.PRUNED) for number in range(30)]

    few, many = judged(complete), judged([*complete, *given_up])

    assert many.p_corrected == pytest.approx(min(1.0, 4.0 * few.p_corrected))
    assert (many.n_trials, many.n_complete) == (40, 10)


def test_nothing_is_said_of_a_study_without_a_complete_trial_or_with_few_days() -> None:
    assert winner_skill([make_record(0, np.zeros(len(DAYS)), TrialState.PRUNED)]) is None


def test_a_few_days_say_nothing_whatever_was_gained_on_them() -> None:
    (record,) = make_study(0, gain=1.0)[-1:]
    fold = record.folds[0]
    short = replace(record, folds=(replace(fold, days=fold.days[:50], daily=fold.daily[:50]),))

    assert judged([record]).label is Label.BETTER
    assert judged([short]).label is Label.NOT_YET_MEASURED
