"""The tables of ``report.html``: scores, skill by horizon and year, coverage by what the market was like."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.backtest import Block
from ml_lifecycle.evaluation.backtest_losses import Outcomes, intervals
from ml_lifecycle.evaluation.conditional_coverage import ConditionalCoverage, conditional_coverage
from ml_lifecycle.evaluation.evaluate import ForecastRows, Scores

OURS, NAIVE = "forecast", "naive"


def scores_table(scores: Iterable[Scores]) -> str:
    """One row per horizon, the naive's figure in grey behind each."""
    head = ["horizon", "forecasts", "days", "MAPE", "RMSE (log)", "pinball ×1000", "R²", "direction", "80 % inside"]
    head += ["skill", "label"]
    return _table(head, map(_cells, scores))


def _cells(row: Scores) -> list[str]:
    eighty = next((interval for interval in row.intervals if interval.level == 0.8), None)
    skill = row.skill
    return [
        str(row.horizon),
        f"{row.n:,}",
        f"{row.n_days:,}",
        _beside(row.mape, row.naive_mape, "{:.2%}"),
        _beside(row.rmse_log_return, row.naive_rmse_log_return, "{:.4f}"),
        _beside(row.pinball * 1000, row.naive_pinball * 1000, "{:.3f}"),
        _beside(row.r2, row.naive_r2, "{:.4f}"),
        _beside(row.directional_accuracy, row.share_of_rises, "{:.1%}"),
        _beside(eighty.coverage, eighty.naive_coverage, "{:.1%}") if eighty else "",
        "" if skill.pinball_skill is None else f"{skill.pinball_skill:+.2%}",
        escape(skill.label.replace("_", " ")),
    ]


def skill_table(forecasts: ForecastRows, horizons: Sequence[int]) -> str:
    """Gain in pinball loss over the naive: one row per horizon, one column per calendar year of cutoffs."""
    year = forecasts.cutoff.astype("datetime64[Y]")
    years = np.unique(year)
    rows = []
    for horizon in horizons:
        of_horizon = forecasts.horizon == horizon
        rows.append([str(horizon), *(_skill_cell(forecasts.where(of_horizon & (year == one))) for one in years)])
    return _table(["horizon", *map(str, years)], rows)


def pinball_skill(rows: ForecastRows) -> float | None:
    """Gain in mean pinball loss over the naive, a fraction of its loss; None without a row or a loss."""
    if not len(rows):
        return None
    naive = float(np.mean(metrics.pinball_losses(rows.actual, rows.naive, rows.levels)))
    ours = float(np.mean(metrics.pinball_losses(rows.actual, rows.quantiles, rows.levels)))
    return 1.0 - ours / naive if naive else None


def coverage_table(forecasts: ForecastRows, horizons: Sequence[int]) -> str:
    """Coverage by third of the volatility, by exchange and by year, the naive's in grey behind each."""
    found = conditional_coverage(_outcomes(forecasts), forecasts.levels, horizons)
    naive = {(row.horizon, row.by, row.group): row for row in found if row.method == NAIVE}
    rows = [_coverage_cells(row, naive[row.horizon, row.by, row.group]) for row in found if row.method == OURS]
    promised = [f"{level:.0%} inside" for level in intervals(forecasts.levels)]
    return _table(["horizon", "by", "group", "forecasts", *promised], rows)


def _coverage_cells(ours: ConditionalCoverage, naive: ConditionalCoverage) -> list[str]:
    told = [escape(str(cell)) for cell in (ours.horizon, ours.by, ours.group, f"{ours.n:,}")]
    return told + [_beside(ours.coverage[level], naive.coverage[level], "{:.1%}") for level in ours.coverage]


def _outcomes(forecasts: ForecastRows) -> Outcomes:
    quantiles = {OURS: forecasts.quantiles, NAIVE: forecasts.naive}
    return Outcomes.of(Block(**forecasts.without_forecasts(), quantiles=quantiles), forecasts.levels)


def _skill_cell(rows: ForecastRows) -> str:
    skill = pinball_skill(rows)
    return "" if skill is None else f'{skill:+.2%} <span class="naive">{len(np.unique(rows.cutoff)):,}</span>'


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are markup already, column names are not."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _beside(value: float | None, naive: float | None, form: str) -> str:
    told, beside = (form.format(number) if number is not None else "–" for number in (value, naive))
    return f'{told} <span class="naive">{beside}</span>'
