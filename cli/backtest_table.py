"""A backtest as tables: one line for each method at each horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from cli.console import out

if TYPE_CHECKING:
    from ml_lifecycle.evaluation.backtest_run import BacktestResult
    from ml_lifecycle.evaluation.backtest_scores import BacktestScores

LEGEND = """\
MAE: of the median over the last close's, in log returns. gain: in mean pinball loss over {reference}, p two-sided
(Diebold–Mariano, losses averaged over tickers per day, Newey–West); tickers: share of them that gain.
up %: how often the direction was right, with its 98 % interval; rises: what always saying "up" would have got."""
COVERAGE_LEGEND = """\
covers, width: share of outcomes inside the interval and its mean width (log return); ±: standard deviation of the
single tickers' coverage."""


def show(result: BacktestResult) -> None:
    """Print scores, coverage, conditional coverage and where the forecasts went."""
    first, last = result.cutoffs
    n_tickers = max(row.n_tickers for row in result.scores)
    out.print(_scores(result, f"Backtest: {n_tickers} tickers, cutoffs {first} to {last}"))
    out.print(LEGEND.format(reference=result.reference))
    out.print(_coverage(result))
    out.print(COVERAGE_LEGEND)
    out.print(_conditional(result))
    if result.left_out:
        n, tickers = sum(result.left_out.values()), ", ".join(result.left_out)
        out.print(f"{n:,} forecasts of {tickers} are not scored: some method had no answer there.", soft_wrap=True)
    if result.absent:
        out.print(f"No forecast of {', '.join(result.absent)} is scored.", soft_wrap=True)
    for name, path in result.files.items():
        out.print(f"{name}: {path}", soft_wrap=True)


def _table(title: str, *headings: str, texts: tuple[str, ...] = ("method",)) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for heading in headings:
        table.add_column(heading, justify="left" if heading in texts else "right", no_wrap=True)
    return table


def _scores(result: BacktestResult, title: str) -> Table:
    headings = ("step", "method", "forecasts", "days", "MAE", "MAPE %", "pinball", "CRPS", "gain %", "p", "tickers")
    table = _table(title, *headings, "up %", "interval", "rises")
    for row in result.scores:
        between = row.direction_interval
        table.add_row(
            str(row.horizon),
            row.method,
            f"{row.n:,}",
            f"{row.n_days:,}",
            f"{row.relative_mae:.4f}",
            f"{100 * row.mape:.2f}",
            f"{row.pinball:.5f}",
            f"{row.crps:.5f}",
            *_against(row),
            _percent(row.directional_accuracy),
            "–" if between is None else f"{100 * between[0]:.1f} … {100 * between[1]:.1f}",
            _percent(row.share_of_rises),
        )
    return table


def _against(row: BacktestScores) -> list[str]:
    if row.skill is None:
        return ["–", "–", "–"]
    return [
        f"{100 * row.skill:+.2f}",
        "–" if row.p_value is None else f"{row.p_value:.4f}",
        _percent(row.tickers_gaining),
    ]


def _coverage(result: BacktestResult) -> Table:
    levels = [figures.level for figures in result.scores[0].intervals]
    headings = [heading for level in levels for heading in (f"{level:.0%} covers", "±", "width")]
    table = _table("Coverage", "step", "method", *headings)
    for row in result.scores:
        cells = [
            cell
            for one in row.intervals
            for cell in (f"{one.coverage:.3f}", f"{one.ticker_deviation:.3f}", f"{one.width:.4f}")
        ]
        table.add_row(str(row.horizon), row.method, *cells)
    return table


def _conditional(result: BacktestResult) -> Table:
    table = _table("Coverage of the 80 % interval, by group", "step", "by", "group", "n", *result.outcomes.methods)
    keys = dict.fromkeys((row.horizon, row.by, row.group, row.n) for row in result.conditional)
    told = {(row.horizon, row.by, row.group, row.method): row.coverage.get(0.8) for row in result.conditional}
    for horizon, by, group, n in keys:
        values = [told.get((horizon, by, group, name)) for name in result.outcomes.methods]
        table.add_row(
            str(horizon), by, group, f"{n:,}", *("–" if value is None else f"{value:.3f}" for value in values)
        )
    return table


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}"
