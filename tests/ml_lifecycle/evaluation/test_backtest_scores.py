"""The score table, worked out by hand and against scikit-learn."""

import json
from datetime import date

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from ml_lifecycle.evaluation.backtest import Block
from ml_lifecycle.evaluation.backtest_losses import Outcomes
from ml_lifecycle.evaluation.backtest_scores import BacktestScores, score_backtest
from ml_lifecycle.evaluation.conditional_coverage import conditional_coverage
from ml_lifecycle.evaluation.metrics import crps_from_quantiles
from tests.made_up_bars import weekdays

LEVELS = (0.1, 0.5, 0.9)
TWO_DAYS = np.array(["2024-01-02", "2024-01-09"], dtype="datetime64[D]")


def outcomes_of(actual: np.ndarray, said: dict[str, list[float]], **changes: np.ndarray) -> Outcomes:
    """Each method says the same at every row; one ticker and one horizon unless told otherwise."""
    n = len(actual)
    arrays = {
        "ticker": np.full(n, "A"),
        "cutoff": weekdays(n),
        "horizon": np.ones(n, dtype=np.int64),
        "anchor": np.full(n, 100.0),
        "actual": actual,
        "volatility": np.full(n, 0.01),
        **changes,
    }
    quantiles = {name: np.tile(values, (n, 1)) for name, values in said.items()}
    return Outcomes.of(Block(**arrays, quantiles=quantiles), LEVELS)


def four_rows() -> BacktestScores:
    """Two tickers on two days: +3 % and −1 %, then +2 % and 0."""
    outcomes = outcomes_of(
        np.array([0.03, -0.01, 0.02, 0.0]),
        {"own": [-0.02, 0.01, 0.025], "naive": [-0.05, 0.0, 0.05]},
        ticker=np.array(["A", "B", "A", "B"]),
        cutoff=np.repeat(TWO_DAYS, 2),
    )
    return score_backtest(outcomes, LEVELS, (1,), reference="naive")[0]


def test_figures_are_those_worked_out_by_hand() -> None:
    row = four_rows()

    price, said = 100 * np.exp([0.03, -0.01, 0.02, 0.0]), 100 * np.exp(0.01)
    assert (row.method, row.n, row.n_days, row.n_tickers) == ("own", 4, 2, 2)
    assert row.relative_mae == pytest.approx((0.02 + 0.02 + 0.01 + 0.01) / 0.06)
    assert row.mae == pytest.approx(np.abs(price - said).mean())
    assert row.naive_rmse == pytest.approx(np.sqrt(np.square(price - 100).mean()))
    assert row.mape == pytest.approx(np.abs(price / said - 1).mean(), rel=0.05)
    assert row.directional_accuracy == pytest.approx(2 / 3)
    assert row.share_of_rises == pytest.approx(2 / 3)
    eighty = row.intervals[0]
    assert (eighty.level, eighty.coverage, eighty.width) == (0.8, 0.75, pytest.approx(0.045))
    assert eighty.ticker_deviation == pytest.approx(0.25)
    assert eighty.ticker_range == pytest.approx((0.525, 0.975))


def test_pinball_is_scikit_learns_and_skill_the_gain_over_the_reference() -> None:
    row = four_rows()
    actual = np.array([0.03, -0.01, 0.02, 0.0])

    own, naive = (
        np.mean(
            [mean_pinball_loss(actual, np.full(4, at), alpha=level) for level, at in zip(LEVELS, said, strict=True)]
        )
        for said in ((-0.02, 0.01, 0.025), (-0.05, 0.0, 0.05))
    )

    assert row.pinball == pytest.approx(own)
    assert row.skill == pytest.approx(1 - own / naive)


def test_tickers_gain_one_by_one() -> None:
    """The narrow forecaster gains where nothing happens and loses where something does."""
    outcomes = outcomes_of(
        np.array([0.0, 0.0, 0.04, 0.0, 0.001, 0.04]),
        {"own": [-0.01, 0.0, 0.01], "naive": [-0.03, 0.0, 0.03]},
        ticker=np.array(["A", "B", "C"] * 2),
        cutoff=np.repeat(TWO_DAYS, 3),
    )

    own, naive = score_backtest(outcomes, LEVELS, (1,), reference="naive")

    assert own.tickers_gaining == pytest.approx(2 / 3)
    assert (naive.skill, naive.p_value, naive.tickers_gaining, naive.directional_accuracy) == (None, None, None, None)


def test_crps_of_many_quantiles_is_that_of_the_distribution() -> None:
    """A standard normal at 0: ``(√2 − 1) / √π`` (Gneiting and Raftery 2007)."""
    from scipy.stats import norm

    levels = (np.arange(999) + 1.0) / 1000.0

    crps = crps_from_quantiles(np.zeros(1), norm.ppf(levels)[None], levels)

    assert crps[0] == pytest.approx((np.sqrt(2.0) - 1.0) / np.sqrt(np.pi), rel=2e-3)


def test_a_day_is_one_observation_however_many_tickers_it_has() -> None:
    """Ten tickers that do the same make nothing surer than one."""
    actual = np.random.default_rng(3).normal(0.0, 0.02, 100)
    said = {"own": [-0.025, 0.0, 0.025], "naive": [-0.03, 0.0, 0.03]}
    days, tickers = weekdays(100), np.array([f"T{number}" for number in range(10)])

    alone, together = (
        score_backtest(outcomes_of(given, said, cutoff=cutoff, ticker=ticker), LEVELS, (1,), reference="naive")
        for given, cutoff, ticker in (
            (actual, days, np.full(100, "A")),
            (np.repeat(actual, 10), np.repeat(days, 10), np.tile(tickers, 100)),
        )
    )

    assert alone[0].p_value is not None
    assert 0.0 < alone[0].p_value < 0.9
    assert together[0].p_value == pytest.approx(alone[0].p_value)
    assert (alone[1].p_value, alone[1].tickers_gaining) == (None, None)


def test_equal_losses_have_no_p_value_and_two_days_no_interval() -> None:
    same = outcomes_of(np.array([0.01, -0.02] * 25), {"own": [-0.03, 0.0, 0.03], "naive": [-0.03, 0.0, 0.03]})

    assert score_backtest(same, LEVELS, (1,), reference="naive")[0].p_value is None
    assert four_rows().direction_interval is None


def test_overlapping_outcomes_make_the_same_gain_less_sure() -> None:
    """The same days and losses, once as outcomes of one day and once of 21."""
    actual = np.convolve(np.random.default_rng(0).normal(0.0, 0.02, 520), np.full(21, 21**-0.5), mode="valid")

    rash, careful = (
        score_backtest(
            outcomes_of(
                actual,
                {"own": [-0.025, 0.0, 0.025], "naive": [-0.03, 0.0, 0.03]},
                horizon=np.full(500, horizon),
            ),
            LEVELS,
            (horizon,),
            reference="naive",
        )[0].p_value
        for horizon in (1, 21)
    )

    assert rash is not None
    assert careful is not None
    assert rash < careful


def test_coverage_is_told_by_storm_exchange_and_year() -> None:
    """Calm outcomes lie inside, stormy ones outside; a São Paulo share has one row in two."""
    n = 300
    calm = np.arange(n) < 100
    outcomes = outcomes_of(
        np.where(calm, 0.0, 0.2),
        {"own": [-0.1, 0.0, 0.1]},
        volatility=np.where(calm, 0.01, np.linspace(0.02, 0.03, n)),
        ticker=np.where(np.arange(n) % 2 == 0, "A", "VALE3.SA"),
        cutoff=weekdays(n, "2019-07-01"),
    )

    told = {(row.by, row.group): (row.n, row.coverage) for row in conditional_coverage(outcomes, LEVELS, (1,))}

    assert told["volatility", "calm"] == (100, {0.8: 1.0})
    assert told["volatility", "stormy"] == (100, {0.8: 0.0})
    assert told["exchange", "BVMF"][0] == told["exchange", "XNYS"][0] == 150
    assert {group for by, group in told if by == "year"} == {"2019", "2020"}
    assert told["year", "2020"][1] == {0.8: 0.0}


def test_few_outcomes_make_no_group() -> None:
    outcomes = outcomes_of(np.zeros(29), {"own": [-0.1, 0.0, 0.1]})

    assert conditional_coverage(outcomes, LEVELS, (1, 5)) == ()


def test_the_table_is_plain_json() -> None:
    content = json.loads(json.dumps(four_rows().to_dict(), allow_nan=False))

    assert content["intervals"][0]["level"] == 0.8
    assert date(2024, 1, 2).isoformat() not in content
