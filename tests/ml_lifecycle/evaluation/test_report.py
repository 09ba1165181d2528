"""The page that goes with a bundle."""

import re

import numpy as np

from ml_lifecycle.evaluation.evaluate import ForecastRows, cutoff_days, evaluate
from ml_lifecycle.evaluation.forecasters import NaiveForecaster
from ml_lifecycle.evaluation.report import calibration_figure, fan, render_report, skill_by_horizon, skill_by_year
from ml_lifecycle.evaluation.report_tables import coverage_table, skill_table
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.checkpoint_report import checkpoint_report
from tests.made_up_bars import make_bars

BARS = {"A": make_bars(700, seed=1)}
TABLE = evaluate(NaiveForecaster(), BARS, cutoff_days(BARS))


def test_the_page_shows_fan_residuals_calibration_and_skill(tiny_checkpoint: Checkpoint) -> None:
    page = checkpoint_report(tiny_checkpoint)

    headings = re.findall("<h2>(.*?)</h2>", page)
    shown = "Scores beside the naive|Skill by horizon|Skill by year|Forecast over truth|Calibration|"
    shown += "Coverage in the calm and stormy thirds of the forecasts|Residuals|Training"
    assert headings == shown.split("|")
    assert tiny_checkpoint.content.weights_sha256 in page


def test_the_page_tells_skill_by_year_and_coverage_by_volatility() -> None:
    page = render_report(TABLE.forecasts, title="naive", facts={})

    tables = {rows[0][1]: rows for rows in map(cells, re.findall("<table>(.*?)</table>", page)) if rows and rows[0]}
    assert [row[0] for row in tables["2010"][1:]] == ["1", "2", "3", "4", "5", "10", "21", "30"]
    assert [row[2] for row in tables["by"] if row[:2] == ["21", "volatility"]] == ["calm", "usual", "stormy"]


def test_the_page_needs_no_network(tiny_checkpoint: Checkpoint) -> None:
    body = checkpoint_report(tiny_checkpoint)

    assert "<script src" not in body
    assert "<link" not in body.split("</script>")[-1]


def test_the_same_checkpoint_gives_the_same_bytes(tiny_checkpoint: Checkpoint) -> None:
    assert checkpoint_report(tiny_checkpoint) == checkpoint_report(tiny_checkpoint)


def test_a_name_is_never_markup() -> None:
    page = render_report(None, title="<b>x</b>", facts={"tickers": "<script>alert(1)</script>"})

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "nothing was measured" in page


def test_the_fan_shows_prices_of_the_newest_cutoffs_over_what_came() -> None:
    figure = fan(TABLE.forecasts, 5)
    lines = {line.name: line for line in figure.data if line.name}

    assert set(lines) == {"95%", "50%", "naive", "median", "what came"}
    assert len(lines["median"].x) == 250
    bars = BARS["A"]
    np.testing.assert_allclose(lines["naive"].y[-1], bars.close[-6], rtol=1e-5)
    np.testing.assert_allclose(
        lines["what came"].y[-1], bars.close[-6] * bars.adj_close[-1] / bars.adj_close[-6], rtol=1e-5
    )


def test_calibration_has_a_line_for_each_horizon_and_the_naives_beside_it() -> None:
    names = [line.name for line in calibration_figure(TABLE.forecasts, (1, 5)).data]

    assert names == ["as promised", "1 days", "naive, 1 days", "5 days", "naive, 5 days"]


def test_the_naive_has_no_skill_in_any_year() -> None:
    for bars in skill_by_year(TABLE.forecasts, (1, 21)).data:
        assert set(bars.y) == {0.0}


def test_horizons_that_cannot_be_judged_have_no_bar() -> None:
    figure = skill_by_horizon(TABLE.overall)

    judged = [row for row in TABLE.overall if row.skill.interval]
    assert list(figure.data[0].x) == [str(row.horizon) for row in judged]


def rows_of(days: list[str], *, actual: float, half: float, volatility: float = 0.01, horizon: int = 1) -> ForecastRows:
    """One ticker's forecasts of ±``half`` around 0, beside a naive of ±1; ``actual`` came each time."""
    n = len(days)
    return ForecastRows(
        levels=(0.1, 0.5, 0.9),
        ticker=np.full(n, "A"),
        cutoff=np.array(days, dtype="datetime64[D]"),
        horizon=np.full(n, horizon),
        anchor=np.ones(n),
        actual=np.full(n, actual),
        volatility=np.full(n, volatility),
        quantiles=np.tile([-half, 0.0, half], (n, 1)),
        naive=np.tile([-1.0, 0.0, 1.0], (n, 1)),
    )


def joined(*parts: ForecastRows) -> ForecastRows:
    arrays = [part.to_arrays() for part in parts]
    every = {name: np.concatenate([each[name] for each in arrays]) for name in arrays[0] if name != "levels"}
    return ForecastRows.from_arrays({"levels": arrays[0]["levels"], **every})


def cells(table: str) -> list[list[str]]:
    rows = re.findall("<tr>(.*?)</tr>", table)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall("<t[hd]>(.*?)</t[hd]>", row)] for row in rows]


def test_skill_is_told_for_every_horizon_and_year() -> None:
    """Outcome 0 costs 0.2 · half: an interval of half the naive's width gains 50 %, one of the double loses 100 %."""
    forecasts = joined(
        rows_of(["2021-05-03", "2021-05-04"], actual=0.0, half=0.5),
        rows_of(["2022-05-03"], actual=0.0, half=2.0),
        rows_of(["2022-05-03"], actual=0.0, half=1.0, horizon=5),
    )

    assert cells(skill_table(forecasts, (1, 5))) == [
        ["horizon", "2021", "2022"],
        ["1", "+50.00% 2", "-100.00% 1"],
        ["5", "", "+0.00% 1"],
    ]


def test_coverage_is_told_for_calm_and_stormy_thirds_and_for_years() -> None:
    """Outcomes of 0.7 lie within ±1 but not within ±0.5; thirty forecasts in each third, and one in none."""
    days = [str(day) for day in np.datetime64("2021-01-04", "D") + np.arange(30)]
    forecasts = joined(
        rows_of(days, actual=0.7, half=1.0, volatility=0.01),
        rows_of(days, actual=0.2, half=0.5, volatility=0.02),
        rows_of(days, actual=0.7, half=0.5, volatility=0.03),
        rows_of(["2022-01-04"], actual=5.0, half=0.5, volatility=np.nan),
    )

    table = cells(coverage_table(forecasts, (1,)))

    assert table[0] == ["horizon", "by", "group", "forecasts", "80% inside"]
    assert table[1:4] == [
        ["1", "volatility", "calm", "30", "100.0% 100.0%"],
        ["1", "volatility", "usual", "30", "100.0% 100.0%"],
        ["1", "volatility", "stormy", "30", "0.0% 100.0%"],
    ]
    assert [row[1:4] for row in table[4:]] == [["exchange", "XNYS", "91"], ["year", "2021", "90"]]


def test_the_volatility_of_a_forecast_is_that_known_at_its_cutoff() -> None:
    """Bars after the cutoffs move none of it."""
    bars = BARS["A"]
    days = np.array([bars.trading_day[600]])
    known, with_later = (
        evaluate(NaiveForecaster(), {"A": each}, days.tolist()).forecasts for each in (bars[:605], bars)
    )

    assert np.isfinite(known.volatility).all()
    assert set(known.volatility) == set(with_later.volatility)
