"""The page that goes with a bundle."""

import re

import numpy as np

from ml_lifecycle.evaluation.evaluate import cutoff_days, evaluate
from ml_lifecycle.evaluation.forecasters import NaiveForecaster
from ml_lifecycle.evaluation.report import calibration_figure, fan, render_report, skill_by_horizon, skill_by_year
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.checkpoint_report import checkpoint_report
from tests.made_up_bars import make_bars

BARS = {"A": make_bars(700, seed=1)}
TABLE = evaluate(NaiveForecaster(), BARS, cutoff_days(BARS))


def test_the_page_shows_fan_residuals_calibration_and_skill(tiny_checkpoint: Checkpoint) -> None:
    page = checkpoint_report(tiny_checkpoint)

    headings = re.findall("<h2>(.*?)</h2>", page)
    shown = "Scores beside the naive|Skill by horizon|Skill by year|Forecast over truth|Calibration|Residuals|Training"
    assert headings == shown.split("|")
    assert tiny_checkpoint.content.weights_sha256 in page


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
