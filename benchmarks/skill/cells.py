"""Cells and figures that several tables share."""

from collections.abc import Sequence

from protocol import HORIZONS

from ml_lifecycle.evaluation.backtest_run import BacktestResult
from ml_lifecycle.evaluation.backtest_scores import BacktestScores, score_backtest
from ml_lifecycle.export.manifest import LEVELS

THIRDS = {"calm": "lowest", "usual": "middle", "stormy": "highest"}  # volatility of the share at the cutoff
NAMES = {
    "network": "this project's forecaster",
    "lstm": "its LSTM alone",
    "naive": "naive, empirical quantiles",
    "drift": "drift",
    "ewma_fhs": "EWMA, filtered historical simulation",
    "garch_t": "GARCH(1,1)-t",
    "autoets": "AutoETS",
    "lightgbm": "LightGBM quantiles",
    "tutorial_lstm": "the tutorial's recipe",
}


def headings() -> list[str]:
    """Of the columns, one for each horizon."""
    return [f"{horizon} days" if horizon > 1 else "1 day" for horizon in HORIZONS]


def gain(row: BacktestScores, target: str | None) -> str:
    """Gain over the reference with its aim and p-value."""
    aim = "" if target is None else f" ({target})"
    return f"{100 * (row.skill or 0.0):+.2f}{aim}, p {p_value(row)}"


def p_value(row: BacktestScores) -> str:
    """Four digits; a dash where nothing can be told."""
    if row.p_value is None:
        return "–"
    return "< 0.0001" if row.p_value < 0.0001 else f"{row.p_value:.4f}"


def percent(fraction: float | None) -> str:
    """Of a fraction, without the sign."""
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def line(*cells: str) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


def rule(n: int) -> str:
    """The line below the head of ``n`` columns."""
    return line(*["---"] * n)


def of_method(scores: Sequence[BacktestScores], method: str) -> list[BacktestScores]:
    """The scores of one method, horizons ascending."""
    return [row for row in scores if row.method == method]


def scored_against(result: BacktestResult, reference: str) -> Sequence[BacktestScores]:
    """The same forecasts, gains over another reference."""
    return score_backtest(result.outcomes, LEVELS, HORIZONS, reference=reference)


def thirds_of(result: BacktestResult) -> dict[tuple[str, int, str], float]:
    """Coverage of the 80 % interval by method, horizon and third."""
    return {
        (row.method, row.horizon, row.group): row.coverage[0.8]
        for row in result.conditional
        if row.by == "volatility" and 0.8 in row.coverage
    }
