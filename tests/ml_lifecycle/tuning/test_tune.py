"""Tunings on one machine: whole grids, pruning, several processes, and what a killed one goes on with."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.errors import ConfigurationError
from ml_lifecycle.evaluation.skill_label import Label
from ml_lifecycle.training.best_trial import BestTrial, write_document
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.parts import TooFewPairsError, part_dates
from ml_lifecycle.training.search_space import SearchSpace
from ml_lifecycle.training.study import StudyPlace, read_records
from ml_lifecycle.training.trial import TrialRecord, TrialState
from ml_lifecycle.training.tune import tune
from ml_lifecycle.training.tuning_errors import (
    NoCandidateError,
    NothingTunedError,
    StudyNotFoundError,
    TuningBrokenOffError,
)
from tests.database import migrated_template, temporary_database
from tests.ml_lifecycle.tuning.made_up import VERSION, Guess, Widths, make_work, random_walks

KILLED = """
from pathlib import Path
from ml_lifecycle.training.tune import tune
from tests.ml_lifecycle.tuning.made_up import VERSION, Guess, Widths, make_work
folder = Path({folder!r})
tune(make_work(folder, Widths(log=folder / "log", die_after=5), search="grid"), VERSION)
"""


def choices(records: list[TrialRecord] | tuple[TrialRecord, ...]) -> Counter[tuple[float, int]]:
    """What was tried, how often."""
    return Counter((record.params["learning_rate"], record.params["hidden_size"]) for record in records)


def test_a_grid_tries_every_combination_once_and_ranks_by_gain_over_the_naive(tmp_path: Path) -> None:
    seen: list[TrialRecord] = []

    result = tune(make_work(tmp_path, Widths(), search="grid"), VERSION, on_trial=seen.append)

    assert choices(result.records) == dict.fromkeys(
        [(rate, size) for rate in (0.001, 0.002, 0.003) for size in (8, 16)], 1
    )
    assert [record.value for record in result.records] == sorted((record.value or 0.0 for record in seen), reverse=True)
    best = result.records[0]
    assert best.params["learning_rate"] == 0.001  # the naive itself: nothing gained, nothing lost
    assert best.value == pytest.approx(0.0, abs=1e-12)
    assert result.skill is not None
    assert result.skill.label is not Label.BETTER


def test_no_trial_sees_a_day_of_the_test_part(tmp_path: Path) -> None:
    work = make_work(tmp_path, Widths(), search="grid")

    last = part_dates(work.candidates.config(work.candidates.first()), random_walks()).calibration_end

    assert work.candidates.changes == {"gate_days": 100}
    assert max(bars.cutoff for bars in work.panel.bars.values()) == work.panel.folds[-1].measured_end == last


def test_a_killed_tuning_goes_on_where_it_was_and_trains_no_fold_twice(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(folder=str(tmp_path))], check=False, env={**os.environ, "PYTHONPATH": "."}
    )
    assert killed.returncode == -signal.SIGKILL

    work = make_work(tmp_path, Widths(log=tmp_path / "log"), search="grid")
    result = tune(work, VERSION)

    assert len(choices(result.records)) == len(result.records) == 6
    trained = Counter((tmp_path / "log").read_text().splitlines())
    assert sorted(trained.values()) == [1] * 11 + [2]  # the fold during which it was killed
    whole = tune(make_work(tmp_path / "whole", Widths(), search="grid"), VERSION)
    assert {record.number for record in result.records} != {record.number for record in whole.records}
    assert [record.value for record in result.records] == [record.value for record in whole.records]


def test_two_processes_share_the_trials_and_the_study_goes_on_with_more(tmp_path: Path) -> None:
    first = tune(make_work(tmp_path, Widths(), trials=5, workers=2), VERSION)
    seen: list[TrialRecord] = []
    more = tune(make_work(tmp_path, Widths(), trials=7), VERSION, on_trial=seen.append)

    assert len(first.records) == 5
    assert (len(more.records), len(seen)) == (7, 2)


def test_a_worker_that_dies_is_told_and_the_tuning_can_go_on(tmp_path: Path) -> None:
    with pytest.raises(TuningBrokenOffError, match="a worker ended with code -9: go on with --study tune"):
        tune(make_work(tmp_path, Widths(die_after=2), trials=6, workers=2), VERSION)

    assert len(tune(make_work(tmp_path, Widths(), trials=6), VERSION).records) == 6


@pytest.mark.parametrize("search", ["tpe", "asha"])
def test_trials_that_do_worse_on_the_first_fold_are_given_up(tmp_path: Path, search: str) -> None:
    log = tmp_path / "log"

    result = tune(make_work(tmp_path, Widths(log=log), search=search, trials=16), VERSION)

    states = Counter(record.state for record in result.records)
    assert states[TrialState.PRUNED] > 0
    assert len(log.read_text().splitlines()) == 2 * states[TrialState.COMPLETE] + states[TrialState.PRUNED]
    assert result.skill is not None
    assert (result.skill.n_trials, result.skill.n_complete) == (16, states[TrialState.COMPLETE])


def test_trials_are_kept_in_postgresql_beside_our_tables(tmp_path: Path) -> None:
    with temporary_database(migrated_template()) as url:
        work = make_work(tmp_path, Widths(), search="grid", study="in-postgres")
        place = StudyPlace(url.replace("postgresql://", "postgresql+psycopg://"), "in-postgres")
        work = type(work)(place, work.spec, work.candidates, work.panel, work.train)

        tune(work, VERSION)

        records, identity = read_records(place)
        assert len(records) == 6
        assert identity["bars"]["version"] == VERSION.version
        assert "postgres" not in repr(place).replace("in-postgres", "")


def test_scores_of_other_bars_are_not_mixed_into_a_study(tmp_path: Path) -> None:
    tune(make_work(tmp_path, Widths(), trials=1), VERSION)

    with pytest.raises(ConfigurationError, match="study tune was made with other bars: name another with --study"):
        tune(make_work(tmp_path, Widths(), trials=1), type(VERSION)("made-up", 2, "1" * 64))
    with pytest.raises(ConfigurationError, match="other folds"):
        tune(make_work(tmp_path, Widths(), trials=1, folds=3), VERSION)


def test_a_grid_larger_than_the_trials_asked_for_is_not_cut_short(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the grid has 6 combinations, more than --trials 4"):
        tune(make_work(tmp_path, Widths(), search="grid", trials=4), VERSION)

    assert tune(make_work(tmp_path, Widths(), trials=1), VERSION).records  # the study's name is still free


def test_a_trial_that_cannot_be_trained_is_kept_with_its_reason(tmp_path: Path) -> None:
    """Its shares are checked by the base's own validation: 0.5 everywhere needs columns with a longer history."""
    space = SearchSpace(base="demo", parameters={"long_run_shares": [[], [0.5] * 8]})
    with pytest.raises(ConfigurationError, match="long_run_shares want columns"):
        make_work(tmp_path, Widths(), search="grid", space=space)


def test_the_best_trial_becomes_a_document_that_training_accepts(tmp_path: Path) -> None:

    work = make_work(tmp_path, Widths(), search="grid")
    tune(work, VERSION)

    best = BestTrial.of(work.place)
    write_document(best.document(by="me"), tmp_path / "best_config.yaml")

    config = load_config(tmp_path / "best_config.yaml")
    assert config == best.config
    assert (config.learning_rate, config.gate_days, config.lookback) == (0.001, 100, load_config("demo").lookback)
    metadata = best.document(by="me")["metadata"]
    assert (metadata["chosen_by"], metadata["study"], metadata["skill_beside_naive"]["n_trials"]) == ("me", "tune", 6)
    assert best.document(by="me")["data"]["tickers"] == ["T0", "T1"]


def test_what_a_later_split_moves_is_compared_and_never_recommended(tmp_path: Path) -> None:
    space = SearchSpace(base="demo", strategies=("many_tickers_raw",))
    work = make_work(tmp_path, Widths(), search="grid", space=space)
    tune(work, VERSION)

    with pytest.raises(NoCandidateError, match="no complete trial that may be served"):
        BestTrial.of(work.place)


def test_a_study_that_nobody_made_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFoundError, match="no study is called x"):
        read_records(StudyPlace(str(tmp_path / "none.journal"), "x"))


def test_random_walks_give_no_winner(tmp_path: Path) -> None:
    """Guesses that are shifted at random gain now and then on a walk; the best of them is not called better."""
    walks = {seed: random_walks(1500, seed=seed) for seed in range(3)}

    results = [
        tune(make_work(tmp_path / str(seed), Nudged(seed), bars, search="grid", every=4), VERSION)
        for seed, bars in walks.items()
    ]

    labels = [result.skill.label for result in results if result.skill]
    assert labels == [Label.NOT_DISTINGUISHABLE] * 3
    assert max(record.value or 0.0 for result in results for record in result.records) > 0.0


class Nudged:
    """Guesses whose width and place are drawn anew for every configuration: luck decides which gains."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, config, _bars, _parts):  # type: ignore[no-untyped-def]

        rng = np.random.default_rng([self.seed, int(1e6 * config.learning_rate), config.hidden_size])
        return Guess(width=1.0 + 0.02 * rng.standard_normal(), shift=0.001 * rng.standard_normal())


def test_nothing_tuned_says_why(tmp_path: Path) -> None:

    def refuse(*_: object) -> None:
        raise TooFewPairsError("not one window")

    with pytest.raises(NothingTunedError, match="no trial went through all folds: not one window"):
        tune(make_work(tmp_path, refuse, trials=2), VERSION)
