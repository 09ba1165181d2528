"""``report.html``: what a forecaster did on the test part, beside the naive, on one page that needs no network."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.evaluate import ForecastRows, Scores, score_rows
from ml_lifecycle.evaluation.report_tables import coverage_table, pinball_skill, scores_table, skill_table

SHOWN_HORIZONS = (1, 5, 21)
FAN_CUTOFFS = 250
SKILL_NOTE = "Every horizon; the number of cutoff days in grey. A year of few days says little."
COVERAGE_NOTE = (
    "Share of outcomes inside each interval, the naive's in grey. Calm, usual and stormy are thirds of the forecasts, "
    "by the share's volatility at the cutoff, over all tickers and days: "
    "the calm third is largely shares of low volatility. Groups of fewer than 30 forecasts are left out."
)
OURS, NAIVE, TRUTH, BAND = "#0b6e99", "#9a9a9a", "#1c1c1c", "rgba(11,110,153,0.16)"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ line-height: 1.2; }} h2 {{ margin-top: 2.5rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }}
th, td {{ padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }} .naive {{ color: #767676; }}
</style>
<script>{plotly}</script></head>
<body><h1>{title}</h1>
{sections}
<p>No investment advice. Every figure stands beside the naive forecast: tomorrow closes where today did, with the
empirical quantiles of the last 1,000 days.</p>
</body></html>
"""


def render_report(
    forecasts: ForecastRows | None,
    *,
    title: str,
    facts: Mapping[str, str],
    losses: Sequence[tuple[float | None, float]] = (),
) -> str:
    """The whole page; the same input gives the same bytes.

    Parameters
    ----------
    forecasts : test-part forecasts with outcomes; None where there are none, and the page says so.
    facts : what stands in the table at the top.
    losses : training and validation loss of each look at the validation part.
    """
    sections = [_facts(facts)]
    if forecasts is None:
        sections.append("<p>The test part is empty: nothing was measured.</p>")
    else:
        sections += _measured(forecasts)
    if losses:
        sections += [_heading("Training"), _figure(training_figure(losses), "training")]
    return _PAGE.format(title=escape(title), plotly=get_plotlyjs(), sections="\n".join(sections))


def _measured(forecasts: ForecastRows) -> list[str]:
    horizons = sorted(set(forecasts.horizon.tolist()))
    scores = [row for row in score_rows(forecasts, horizons) if row.ticker == "all"]
    shown = [horizon for horizon in SHOWN_HORIZONS if horizon in horizons] or horizons[:1]
    sections = [_heading("Scores beside the naive"), scores_table(scores)]
    sections += [_heading("Skill by horizon"), _figure(skill_by_horizon(scores), "skill-by-horizon")]
    sections += [_heading("Skill by year"), _figure(skill_by_year(forecasts, shown), "skill-by-year")]
    sections += [_paragraph(SKILL_NOTE), skill_table(forecasts, horizons)]
    sections.append(_heading("Forecast over truth"))
    sections += [_figure(fan(forecasts, horizon), f"fan-{horizon}") for horizon in shown]
    sections += [_heading("Calibration"), _figure(calibration_figure(forecasts, shown), "calibration")]
    sections += [_heading("Coverage in the calm and stormy thirds of the forecasts"), _paragraph(COVERAGE_NOTE)]
    sections.append(coverage_table(forecasts, shown))
    return [*sections, _heading("Residuals"), _figure(residuals(forecasts, shown), "residuals")]


def skill_by_horizon(scores: Sequence[Scores]) -> go.Figure:
    """Pinball skill with its 98 % interval; horizons too short of days are left out."""
    told = [row for row in scores if row.skill.interval and row.skill.pinball_skill is not None]
    middle = np.array([row.skill.pinball_skill for row in told], dtype=np.float64)
    ends = np.array([row.skill.interval for row in told], dtype=np.float64).reshape(-1, 2)
    bars = go.Bar(
        x=[str(row.horizon) for row in told],
        y=middle.tolist(),
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (ends[:, 1] - middle).tolist(),
            "arrayminus": (middle - ends[:, 0]).tolist(),
        },
        marker_color=OURS,
    )
    return _titled(go.Figure(bars), "trading days ahead", "gain in pinball loss over the naive", percent=True)


def skill_by_year(forecasts: ForecastRows, horizons: Sequence[int]) -> go.Figure:
    """Pinball skill of each calendar year of cutoffs."""
    figure = go.Figure()
    for horizon in horizons:
        of_horizon = forecasts.where(forecasts.horizon == horizon)
        year = of_horizon.cutoff.astype("datetime64[Y]")
        points = [(int(str(one)), pinball_skill(of_horizon.where(year == one))) for one in np.unique(year)]
        told = [(when, skill) for when, skill in points if skill is not None]
        figure.add_bar(x=[when for when, _ in told], y=[skill for _, skill in told], name=f"{horizon} days")
    figure.update_xaxes(dtick=1)
    return _titled(figure, "year of the cutoff", "gain in pinball loss over the naive", percent=True)


def fan(forecasts: ForecastRows, horizon: int) -> go.Figure:
    """Prices foretold at the last cutoffs of the first ticker, with the 50 and 95 % bands, over what came."""
    of_horizon = forecasts.where(forecasts.horizon == horizon)
    rows = of_horizon.where(of_horizon.ticker == of_horizon.ticker[0])
    newest = np.sort(np.argsort(rows.cutoff, kind="stable")[-FAN_CUTOFFS:])
    day = [str(when) for when in rows.cutoff[newest]]
    price = (rows.anchor[:, None] * np.exp(rows.quantiles))[newest]
    figure = go.Figure()
    for lower, upper, name in _bands(rows.levels):
        figure.add_scatter(x=day, y=_short(price[:, upper]), line_width=0, showlegend=False, hoverinfo="skip")
        figure.add_scatter(
            x=day, y=_short(price[:, lower]), line_width=0, fill="tonexty", fillcolor=BAND, name=name, hoverinfo="skip"
        )
    came = (rows.anchor * np.exp(rows.actual))[newest]
    figure.add_scatter(x=day, y=_short(rows.anchor[newest]), name="naive", line={"color": NAIVE, "dash": "dot"})
    figure.add_scatter(x=day, y=_short(price[:, rows.levels.index(0.5)]), name="median", line_color=OURS)
    figure.add_scatter(x=day, y=_short(came), name="what came", line_color=TRUTH)
    _titled(figure, "cutoff", f"price {horizon} trading days later")
    return figure.update_layout(title=f"{rows.ticker[0]}, {horizon} trading days ahead")


def calibration_figure(forecasts: ForecastRows, horizons: Sequence[int]) -> go.Figure:
    """Share of outcomes below each quantile over the level that the quantile names."""
    figure = go.Figure()
    levels = list(forecasts.levels)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="as promised", line={"color": TRUTH, "dash": "dot"})
    for horizon in horizons:
        rows = forecasts.where(forecasts.horizon == horizon)
        for quantiles, name, dash in ((rows.quantiles, "", "solid"), (rows.naive, "naive, ", "dash")):
            below = np.mean(rows.actual[:, None] <= quantiles, axis=0)
            figure.add_scatter(x=levels, y=_short(below), name=f"{name}{horizon} days", line_dash=dash)
    return _titled(figure, "level of the quantile", "share of outcomes below it", percent=True)


def residuals(forecasts: ForecastRows, horizons: Sequence[int]) -> go.Figure:
    """Distribution of outcome minus median, in log returns over the root of the horizon."""
    figure = go.Figure()
    median = forecasts.levels.index(0.5)
    for horizon in horizons:
        rows = forecasts.where(forecasts.horizon == horizon)
        miss = (rows.actual - rows.quantiles[:, median]) / np.sqrt(horizon)
        counts, edges = np.histogram(np.clip(miss, *np.quantile(miss, [0.002, 0.998])), bins=60, density=True)
        figure.add_scatter(x=_short((edges[1:] + edges[:-1]) / 2), y=_short(counts), name=f"{horizon} days")
    return _titled(figure, "outcome minus median, log return / √horizon", "density")


def training_figure(losses: Sequence[tuple[float | None, float]]) -> go.Figure:
    """Pinball loss by look at the validation part; 0 is the untrained network."""
    looks = list(range(len(losses)))
    figure = go.Figure()
    figure.add_scatter(x=looks, y=[train for train, _ in losses], name="training", line_color=NAIVE)
    figure.add_scatter(x=looks, y=[validation for _, validation in losses], name="validation", line_color=OURS)
    return _titled(figure, "look at the validation part", "pinball loss, scaled units")


def _bands(levels: tuple[float, ...]) -> list[tuple[int, int, str]]:
    """The widest and the narrowest central interval, widest first."""
    last, middle = len(levels) - 1, len(levels) // 2
    pairs = {(0, last), (middle - 1, middle + 1)}
    return [(low, high, f"{levels[high] - levels[low]:.0%}") for low, high in sorted(pairs)]


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts.items())
    return f"<table>{rows}</table>"


def _heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _figure(figure: go.Figure, name: str) -> str:
    # A fixed id: Plotly would draw a random one, and the same bundle would get another digest each time.
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config={"displaylogo": False})
    return html


def _titled(figure: go.Figure, x: str, y: str, *, percent: bool = False) -> go.Figure:
    figure.update_layout(template="plotly_white", height=380, margin={"t": 40, "r": 10})
    figure.update_xaxes(title=x)
    return figure.update_yaxes(title=y, tickformat=".1%" if percent else None)


def _short(values: FloatArray) -> list[float]:
    """Six digits are enough to draw, and a third of the bytes."""
    return [float(f"{value:.6g}") for value in values]
