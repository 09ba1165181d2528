"""Every figure beside the naive's, on the same forecasts, computed by hand where that is possible."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pytest

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from ml_lifecycle.evaluation.evaluate import (
    CutoffRange,
    EvaluationTable,
    ForecastRows,
    InSampleError,
    NothingToEvaluateError,
    cutoff_days,
    evaluate,
)
from ml_lifecycle.evaluation.forecasters import BatchForecaster, Forecaster, GivenForecast, NaiveForecaster
from ml_lifecycle.export.manifest import HORIZONS, LEVELS
from tests.made_up_bars import bars_of_closes, make_bars
from tests.shared_data import shared_file

TWO_TICKERS = {"A": make_bars(400, seed=1), "B": make_bars(330, seed=2, start="2010-06-01")}


@dataclass
class Flat:
    """Says +1 % at every horizon, sure to within a tenth; keeps what it was shown."""

    levels: tuple[float, ...] = (0.25, 0.5, 0.75)
    history_needed: int = 5
    history_used: int = 7

    def __post_init__(self) -> None:
        self.seen: list[BarArrays] = []

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        self.seen += many_bars
        return [GivenForecast(np.tile([0.009, 0.01, 0.011], (30, 1))) for _ in many_bars]


def naive_only(bars: dict[str, BarArrays], **options: object) -> EvaluationTable:
    return evaluate(NaiveForecaster(), bars, cutoff_days(bars), **options)


def test_figures_are_those_worked_out_by_hand() -> None:
    """The last two closes of a long flat series rise by 2 %, then fall back: the forecaster said +1 % twice."""
    closes = np.concatenate([np.full(260, 100.0), [102.0, 100.0]])
    bars = {"A": bars_of_closes(closes)}
    days = bars["A"].trading_day[[259, 260]].tolist()

    row = evaluate(Flat(), bars, days, horizons=(1,)).overall[0]

    up, said = np.log(1.02), 0.01
    errors = [abs(102 - 100 * np.exp(said)), abs(100 - 102 * np.exp(said))]
    assert (row.n, row.n_days, row.horizon) == (2, 2, 1)
    assert row.mae == pytest.approx(np.mean(errors))
    assert row.naive_mae == pytest.approx(2.0)
    assert row.rmse == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert row.mape == pytest.approx((errors[0] / 102 + errors[1] / 100) / 2)
    assert row.naive_mape == pytest.approx((2 / 102 + 2 / 100) / 2)
    assert row.mae_log_return == pytest.approx(((up - said) + (up + said)) / 2)
    assert row.naive_r2 == pytest.approx(0.0)
    assert (row.directional_accuracy, row.share_of_rises) == (0.5, 0.5)
    assert (row.information_coefficient, row.naive_information_coefficient) == (None, None)
    above = [0.25 * (up - 0.009), 0.5 * (up - 0.01), 0.75 * (up - 0.011)]
    below = [0.75 * (up + 0.009), 0.5 * (up + 0.01), 0.25 * (up + 0.011)]
    assert row.pinball == pytest.approx((np.mean(above) + np.mean(below)) / 2)
    assert row.skill.label == "not_yet_measured"


def test_coverage_comes_with_width_beside_the_naives() -> None:
    table = evaluate(Flat(), TWO_TICKERS, cutoff_days(TWO_TICKERS), horizons=(5,))

    interval = table.overall[0].intervals[0]
    rows = table.forecasts
    assert [one.level for one in table.overall[0].intervals] == [0.5]
    assert interval.coverage == pytest.approx(np.mean((rows.actual >= 0.009) & (rows.actual <= 0.011)))
    assert interval.width == pytest.approx(0.002)
    assert interval.naive_width == pytest.approx(np.mean(rows.naive[:, 2] - rows.naive[:, 0]))


def test_a_forecaster_is_shown_the_bars_up_to_the_cutoff_and_no_more_than_it_uses() -> None:
    flat = Flat()
    bars = TWO_TICKERS["A"]

    evaluate(flat, {"A": bars}, bars.trading_day[[300, 310]].tolist(), horizons=(1,))

    assert [shown.cutoff for shown in flat.seen] == bars.trading_day[[300, 310]].tolist()
    assert [len(shown) for shown in flat.seen] == [7, 7]


def test_horizon_h_is_the_h_th_stored_bar() -> None:
    bars = TWO_TICKERS["A"]
    end = 300

    rows = evaluate(Flat(), {"A": bars}, [bars.trading_day[end].item()], horizons=(1, 21)).forecasts

    assert rows.horizon.tolist() == [1, 21]
    np.testing.assert_allclose(rows.actual, np.log(bars.adj_close[[301, 321]] / bars.adj_close[300]))
    assert rows.anchor.tolist() == [bars.close[300]] * 2


def test_the_naive_against_itself_has_no_skill_and_no_false_label() -> None:
    table = naive_only(TWO_TICKERS)

    for row in table.rows:
        assert row.pinball == row.naive_pinball
        assert row.mape == row.naive_mape
        assert row.skill.label in ("not_distinguishable_from_naive", "not_yet_measured")


def test_rows_come_for_all_tickers_together_and_for_each() -> None:
    table = naive_only(TWO_TICKERS, horizons=(1, 30))

    assert [(row.ticker, row.horizon) for row in table.rows] == [
        ("all", 1), ("all", 30), ("A", 1), ("A", 30), ("B", 1), ("B", 30)
    ]  # fmt: skip
    first, of_a, of_b = (row.n for row in (table.rows[0], table.rows[2], table.rows[4]))
    assert first == of_a + of_b
    assert (of_a, of_b) == (400 - 252, 330 - 252)
    assert table.rows[3].n == 400 - 251 - 30


def test_one_ticker_stands_for_itself() -> None:
    assert {row.ticker for row in naive_only({"A": TWO_TICKERS["A"]}).rows} == {"all", "A"}


def test_slices_and_the_batched_path_agree() -> None:
    """The naive forecaster takes the quick way; without its quick method it goes bar by bar, to the same answer."""

    class Slow:
        levels, history_needed, history_used = LEVELS, 252, 1031

        def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
            return NaiveForecaster().forecast_many(many_bars)

    days = cutoff_days(TWO_TICKERS, every=10)
    assert isinstance(NaiveForecaster(), BatchForecaster)
    assert isinstance(Slow(), Forecaster)
    assert not isinstance(Slow(), BatchForecaster)

    slow, quick = (evaluate(one, TWO_TICKERS, days).forecasts for one in (Slow(), NaiveForecaster()))

    np.testing.assert_array_equal(slow.quantiles, quick.quantiles)


def test_the_table_is_plain_json_and_names_a_number_of_forecasts_in_every_row() -> None:
    content = json.loads(json.dumps(naive_only(TWO_TICKERS).to_dict(), allow_nan=False))

    assert content["levels"] == list(LEVELS)
    assert all(row["n"] > 0 and "skill" in row for row in content["rows"])


def test_progress_reaches_its_total() -> None:
    told: list[tuple[int, int]] = []

    naive_only(TWO_TICKERS, progress=lambda done, total: told.append((done, total)))

    assert told[-1] == (2, 2)


def test_cutoffs_are_the_days_of_all_tickers_between_two_dates() -> None:
    days = cutoff_days(TWO_TICKERS, after=date(2010, 5, 27), until=date(2010, 6, 2))

    assert days == [date(2010, 5, 28), date(2010, 5, 31), date(2010, 6, 1), date(2010, 6, 2)]
    assert cutoff_days(TWO_TICKERS, after=date(2010, 5, 27), until=date(2010, 6, 2), every=3) == [days[0], days[3]]


@pytest.mark.parametrize(
    ("after", "start", "in_sample"),
    [
        (None, date(2020, 6, 30), False),
        (date(2020, 6, 30), date(2020, 6, 30), False),
        (date(2021, 1, 4), date(2021, 1, 4), False),
    ],
)
def test_days_after_the_calibration_are_evaluated(after: date | None, start: date, in_sample: bool) -> None:
    asked = CutoffRange.of(date(2020, 6, 30), after=after, until=None, allow_in_sample=True)
    assert asked == CutoffRange(start, None, in_sample=in_sample)


def test_days_that_the_bundle_has_seen_are_refused() -> None:
    """One day too early is enough: its outcome shaped the bundle."""
    with pytest.raises(InSampleError, match="to 2020-06-30"):
        CutoffRange.of(date(2020, 6, 30), after=date(2020, 6, 29), until=None, allow_in_sample=False)


def test_figures_in_sample_say_so_and_carry_no_label() -> None:
    table = evaluate(Flat(), TWO_TICKERS, cutoff_days(TWO_TICKERS), horizons=(1,))
    assert table.overall[0].skill.label == "worse"

    seen = table.as_in_sample()

    skills = [(row.skill.label, row.skill.pinball_skill, row.skill.interval) for row in seen.rows]
    assert skills == [("not_yet_measured", None, None)] * 3
    assert (table.to_dict()["in_sample"], seen.to_dict()["in_sample"]) == (False, True)
    assert seen.overall[0].mae == table.overall[0].mae


def test_without_enough_bars_there_is_nothing_to_evaluate() -> None:
    with pytest.raises(NothingToEvaluateError, match="252 bars"):
        naive_only({"NEW": make_bars(200)})


def test_rows_survive_numpy_files(tmp_path) -> None:  # type: ignore[no-untyped-def]  # pytest's own fixture
    rows = naive_only(TWO_TICKERS).forecasts
    np.savez(tmp_path / "rows.npz", **rows.to_arrays())

    with np.load(tmp_path / "rows.npz", allow_pickle=False) as arrays:
        read = ForecastRows.from_arrays(arrays)

    assert read.levels == rows.levels
    for name, array in rows.to_arrays().items():
        np.testing.assert_array_equal(read.to_arrays()[name], array)


def test_real_bars_are_covered_by_the_naive_about_as_promised() -> None:
    """Twelve American shares, every 20th day of 20 years: thousands of forecasts in seconds."""
    frame = pl.read_parquet(shared_file("data/us_core_2004_2026.parquet")).sort("date")
    bars = {str(name): _bar_arrays(part) for (name,), part in frame.group_by("ticker")}

    table = evaluate(NaiveForecaster(), bars, cutoff_days(bars, after=date(2008, 1, 1), every=20), horizons=HORIZONS)

    assert table.overall[0].n > 2000
    for row in table.overall:
        assert [one.coverage for one in row.intervals] == pytest.approx([0.5, 0.8, 0.9, 0.95], abs=0.08)


def _bar_arrays(frame: pl.DataFrame) -> BarArrays:
    def column(name: str) -> FloatArray:
        return frame[name].cast(pl.Float64).to_numpy()

    close = column("close")
    day = frame["date"].to_numpy().astype("datetime64[D]")
    return BarArrays(day, column("open"), column("high"), column("low"), close, close, column("volume"))
