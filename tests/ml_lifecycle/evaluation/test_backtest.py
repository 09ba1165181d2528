"""Walking forward: which bars a method may see, which rows come of it, and in which form they are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.evaluation.backtest import Block, Method, Plan, backtest
from ml_lifecycle.evaluation.backtest_run import BacktestResult, run_backtest
from ml_lifecycle.evaluation.evaluate import NothingToEvaluateError
from ml_lifecycle.evaluation.forecasters import Forecaster, GivenForecast, NaiveForecaster
from ml_lifecycle.evaluation.methods.autoets import AutoEtsMethod
from ml_lifecycle.evaluation.methods.drift import DriftMethod
from ml_lifecycle.evaluation.methods.ewma_fhs import EwmaFhsMethod
from ml_lifecycle.evaluation.methods.garch_t import GarchTMethod
from ml_lifecycle.evaluation.methods.lightgbm_quantiles import LightGbmMethod
from tests.made_up_bars import make_bars

BARS = {"A": make_bars(700, seed=1), "B": make_bars(660, seed=2, start="2010-03-01")}
DAYS = BARS["A"].trading_day
FROM = DAYS[640].item()
LEVELS = (0.1, 0.5, 0.9)


@dataclass
class Flat:
    """Says +1 % at every horizon, give or take one; keeps what it was shown."""

    levels: tuple[float, ...] = LEVELS
    history_needed: int = 5
    history_used: int = 7
    seen: list[BarArrays] = field(default_factory=list)

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        self.seen += many_bars
        return [GivenForecast(np.tile([0.0, 0.01, 0.02], (30, 1))) for _ in many_bars]


@dataclass
class Learner:
    """Learns nothing; keeps what it was given to learn from."""

    levels: tuple[float, ...] = LEVELS
    history_needed: int = 5
    one_ticker: bool = False
    learnt: list[dict[str, tuple[date, date]]] = field(default_factory=list)

    def fitted(self, bars_by_ticker: Mapping[str, BarArrays]) -> Forecaster:
        days = {ticker: (bars.trading_day[0].item(), bars.cutoff) for ticker, bars in bars_by_ticker.items()}
        self.learnt.append(days)
        return Flat()


def walk(methods: Mapping[str, Method], bars: Mapping[str, BarArrays] = BARS, **plan: object) -> Block:
    return Block.joined(list(backtest(methods, bars, Plan(**{"start": FROM, "horizons": (1, 5), **plan}))))


def result_of(methods: Mapping[str, Method], out: Path | None = None, **plan: object) -> BacktestResult:
    return run_backtest(methods, BARS, Plan(**{"start": FROM, "horizons": (1, 5), **plan}), out=out)


@pytest.mark.parametrize(
    "method",
    [
        NaiveForecaster,
        DriftMethod,
        EwmaFhsMethod,
        GarchTMethod,
        AutoEtsMethod,
        lambda: LightGbmMethod(LEVELS, rounds=5),
    ],
    ids=["naive", "drift", "ewma_fhs", "garch_t", "autoets", "lightgbm"],
)
def test_bars_after_the_cutoff_change_no_row(method: Callable[[], Method]) -> None:
    """From the bar after a cutoff on a ticker is another share: rows made before are the same to the last bit."""
    first_changed = 665
    bars = BARS["A"]
    shock = np.where(np.arange(700) < first_changed, 1.0, 3.0 + np.arange(700) % 7)
    prices = {name: getattr(bars, name) * shock for name in ("open", "high", "low", "close", "adj_close")}
    changed = {**BARS, "A": replace(bars, **prices, volume=bars.volume * shock)}

    before, after = (walk({"m": method()}, one, every=6) for one in (BARS, changed))

    earlier = before.cutoff < DAYS[first_changed]
    np.testing.assert_array_equal(before.quantiles["m"][earlier], after.quantiles["m"][earlier])
    later = ~earlier & (before.ticker == "A")
    assert earlier.any()
    assert (before.quantiles["m"][later] != after.quantiles["m"][later]).any()


def test_a_method_of_ones_own_is_shown_the_bars_up_to_each_cutoff() -> None:
    flat = Flat()

    walk({"flat": flat}, {"A": BARS["A"]}, every=20)

    assert [shown.cutoff for shown in flat.seen] == DAYS[[640, 660, 680]].tolist()
    assert {len(shown) for shown in flat.seen} == {7}


def test_cutoffs_come_every_so_many_days_between_two_dates() -> None:
    rows = walk({"flat": Flat()}, end=DAYS[660].item(), every=10)

    assert np.unique(rows.cutoff).tolist() == DAYS[[640, 650, 660]].tolist()
    assert rows.ticker.tolist() == ["A"] * 6 + ["B"] * 6
    assert rows.horizon.tolist() == [1, 5] * 6


def test_what_comes_is_the_return_over_the_next_stored_bars_and_may_be_yet_to_come() -> None:
    rows = walk({"flat": Flat()}, {"A": BARS["A"]}, start=DAYS[697].item())

    closes = BARS["A"].adj_close
    assert rows.actual[[0, 2]] == pytest.approx(np.log(closes[[698, 699]] / closes[[697, 698]]))
    assert np.isnan(rows.actual[[1, 3, 4, 5]]).all()
    assert rows.anchor.tolist() == np.repeat(closes[697:], 2).tolist()


def test_every_method_is_asked_at_the_same_cutoffs() -> None:
    """One needs 640 bars of which the second ticker has had 20 less: its first cutoffs are nobody's."""
    patient = Flat(history_needed=660)

    rows = walk({"flat": Flat(), "patient": patient}, every=1)

    assert len(rows.quantiles["flat"]) == len(rows.quantiles["patient"]) == len(rows)
    assert {ticker: (rows.ticker == ticker).sum() / 2 for ticker in "AB"} == {"A": 41, "B": 1}


def test_what_learns_learns_once_from_what_lies_before() -> None:
    learner = Learner()

    walk({"learner": learner})

    last = DAYS[639].item()
    first = {ticker: bars.trading_day[0].item() for ticker, bars in BARS.items()}
    assert learner.learnt == [{"A": (first["A"], last), "B": (first["B"], last)}]


@pytest.mark.parametrize(("sliding", "starts"), [(False, [0, 0, 0]), (True, [0, 20, 40])])
def test_refits_learn_from_ever_more_or_from_as_much(sliding: bool, starts: list[int]) -> None:
    """On weekdays without holidays 20 trading days are 28 calendar days exactly."""
    learner = Learner()

    walk({"learner": learner}, {"A": BARS["A"]}, every=5, refit_every=20, sliding=sliding)

    learnt = [each["A"] for each in learner.learnt]
    assert [last for _, last in learnt] == DAYS[[639, 659, 679]].tolist()
    assert [first for first, _ in learnt] == DAYS[starts].tolist()


def test_what_learns_of_one_ticker_learns_of_each_alone() -> None:
    learner = Learner(one_ticker=True)

    walk({"learner": learner})

    assert [list(each) for each in learner.learnt] == [["A"], ["B"]]


def test_learning_from_other_tickers_than_are_forecast() -> None:
    learner = Learner()
    plan = Plan(start=FROM, horizons=(1,))

    list(backtest({"learner": learner}, {"A": BARS["A"]}, plan, learn_from={"B": BARS["B"]}))

    assert [list(each) for each in learner.learnt] == [["B"]]


def test_nothing_to_learn_from_is_not_everything_that_is_forecast() -> None:
    learner = Learner()

    list(backtest({"learner": learner}, {"A": BARS["A"]}, Plan(start=FROM, horizons=(1,)), learn_from={}))

    assert learner.learnt == [{}]


def test_the_file_has_one_row_for_each_quantile(tmp_path: Path) -> None:
    out = tmp_path / "new" / "q.parquet"
    bars = {"A": replace(BARS["A"], adj_close=0.5 * BARS["A"].close), "B": BARS["B"]}

    run_backtest({"flat": Flat()}, bars, Plan(start=FROM, horizons=(1, 5), every=30), out=out)

    told = pl.read_parquet(out)
    assert dict(told.schema) == {
        "ticker": pl.String, "as_of": pl.Date, "horizon": pl.Int32, "quantile": pl.Float64, "price": pl.Float64
    }  # fmt: skip
    close = bars["A"].adj_close[640]
    assert told.rows()[:4] == [
        ("A", FROM, 1, 0.1, close * np.exp(0.0)),
        ("A", FROM, 1, 0.5, close * np.exp(0.01)),
        ("A", FROM, 1, 0.9, close * np.exp(0.02)),
        ("A", FROM, 5, 0.1, close * np.exp(0.0)),
    ]
    assert len(told) == 2 * 2 * 2 * 3
    assert [file.name for file in out.parent.iterdir()] == ["q.parquet"]


def test_forecasts_without_an_outcome_are_written_all_the_same(tmp_path: Path) -> None:
    result = result_of({"flat": Flat()}, tmp_path / "q.parquet", start=DAYS[690].item())

    assert pl.read_parquet(tmp_path / "q.parquet")["as_of"].max() == DAYS[699].item()
    assert result.outcomes.cutoff.max() == DAYS[698]


def test_several_methods_write_a_file_each_and_the_reference_none_unless_it_is_asked(tmp_path: Path) -> None:
    result = result_of({"flat": Flat(), "mod.Own": Flat()}, tmp_path / "q.parquet")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["q.flat.parquet", "q.mod_Own.parquet"]
    assert [row.method for row in result.scores] == ["flat", "mod.Own", "naive"] * 2


def test_a_run_that_fails_leaves_no_file(tmp_path: Path) -> None:
    class Broken(Flat):
        def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
            raise ZeroDivisionError(len(many_bars))

    with pytest.raises(ZeroDivisionError):
        result_of({"broken": Broken()}, tmp_path / "q.parquet")

    assert list(tmp_path.iterdir()) == []


def test_where_one_method_has_no_answer_none_is_scored(tmp_path: Path) -> None:
    class Silent(Flat):
        def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
            answers = super().forecast_many(many_bars)
            answers[0].log_returns[0] = np.nan  # the first cutoff of each ticker, one step ahead
            return answers

    result = result_of({"silent": Silent(), "flat": Flat()}, tmp_path / "q.parquet", every=5)

    assert result.left_out == dict.fromkeys(BARS, 1)
    assert result.absent == ()
    assert {row.n for row in result.scores if row.horizon == 1} == {2 * 12 - 2}
    written = {name: len(pl.read_parquet(path)) for name, path in result.files.items()}
    assert written["flat"] - written["silent"] == 2 * 3


def test_tickers_without_a_forecast_are_named() -> None:
    bars = {**BARS, "YOUNG": make_bars(100, seed=9)}

    result = run_backtest({"flat": Flat()}, bars, Plan(start=FROM, horizons=(1,)))

    assert (result.absent, dict(result.left_out)) == (("YOUNG",), {})
    assert result.to_dict()["absent"] == ["YOUNG"]


def test_levels_that_differ_and_unknown_references_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two has other quantile levels than one"):
        walk({"one": Flat(), "two": Flat(levels=(0.25, 0.5, 0.75))})
    with pytest.raises(ConfigurationError, match="no method is called best"):
        run_backtest({"one": Flat()}, BARS, Plan(start=FROM), reference="best")


def test_without_bars_there_is_nothing_to_test() -> None:
    with pytest.raises(NothingToEvaluateError, match="no bar from 2030-01-01"):
        walk({"flat": Flat()}, start=date(2030, 1, 1))
    with pytest.raises(NothingToEvaluateError, match="9999 bars"):
        walk({"patient": Flat(history_needed=9999)})
