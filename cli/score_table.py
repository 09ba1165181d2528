"""Scores as tables: no figure without the naive's below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from cli.console import out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml_lifecycle.evaluation.evaluate import EvaluationTable, Scores

FIGURES = ("step", "by", "MAE", "RMSE", "MAPE %", "R²", "up %", "IC", "pinball", "covers", "width")
LEGEND = """\
MAE, RMSE: listing currency (over several tickers currencies mix). R², IC, pinball, width: of log returns.
up %: how often the direction was right; below it the share of rises, which always saying "up" would have got.
covers, width: the 80 % interval. The naive says "tomorrow closes where today did", with its own quantiles."""


def show(table: EvaluationTable, *, by_ticker: bool) -> None:
    """Print the tables over all tickers and, where asked, those of each."""
    tickers = list(dict.fromkeys(row.ticker for row in table.rows))
    seen = " (in_sample: true, the bundle has seen these days)" if table.in_sample else ""
    for ticker in tickers if by_ticker else tickers[:1]:
        rows = [row for row in table.rows if row.ticker == ticker]
        out.print(_figures(f"{'all tickers' if ticker == 'all' else ticker}{seen}", rows))
        out.print(_skill(rows))
    out.print(LEGEND)


def _figures(title: str, rows: Sequence[Scores]) -> Table:
    table = Table(title=f"Scores: {title}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for heading in FIGURES:
        table.add_column(heading, justify="left" if heading == "by" else "right", no_wrap=True)
    for row in rows:
        table.add_row(str(row.horizon), "bundle", *_own(row))
        table.add_row("", "naive", *_naive(row), style="dim")
    return table


def _own(row: Scores) -> list[str]:
    eighty = next(interval for interval in row.intervals if interval.level == 0.8)
    return [
        *_shown((row.mae, ".3f"), (row.rmse, ".3f"), (100 * row.mape, ".3f"), (row.r2, ".3f")),
        *_shown((_percent(row.directional_accuracy), ".1f"), (row.information_coefficient, ".3f")),
        *_shown((row.pinball, ".5f"), (eighty.coverage, ".3f"), (eighty.width, ".4f")),
    ]


def _naive(row: Scores) -> list[str]:
    eighty = next(interval for interval in row.intervals if interval.level == 0.8)
    return [
        *_shown((row.naive_mae, ".3f"), (row.naive_rmse, ".3f"), (100 * row.naive_mape, ".3f"), (row.naive_r2, ".3f")),
        *_shown((_percent(row.share_of_rises), ".1f"), (row.naive_information_coefficient, ".3f")),
        *_shown((row.naive_pinball, ".5f"), (eighty.naive_coverage, ".3f"), (eighty.naive_width, ".4f")),
    ]


def _skill(rows: Sequence[Scores]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for heading in ("step", "forecasts", "days", "MAE / naive", "pinball gain", "98 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("skill")
    for row in rows:
        gain = None if row.skill.pinball_skill is None else f"{row.skill.pinball_skill:+.2%}"
        interval = None if row.skill.interval is None else "{:+.2%} … {:+.2%}".format(*row.skill.interval)
        table.add_row(
            str(row.horizon),
            f"{row.n:,}",
            f"{row.n_days:,}",
            *_shown((row.skill.relative_mae, ".4f")),
            gain or "–",
            interval or "–",
            row.skill.label.replace("_", " "),
        )
    return table


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _shown(*figures: tuple[float | None, str]) -> list[str]:
    return ["–" if value is None else format(value, form) for value, form in figures]
