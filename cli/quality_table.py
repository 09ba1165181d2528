"""What a collect run says: per defect a line, per outcome a count, failures last."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.table import Table

from cli.console import err, out

if TYPE_CHECKING:
    from data_pipeline.run_pipeline import CollectSummary


def as_document(summary: CollectSummary) -> dict[str, Any]:
    """The summary for machines."""
    version = summary.data_version
    return {
        "data_version": None
        if version is None
        else {"table_id": version.table_id, "version": version.version, "content_sha256": version.content_sha256},
        "questions": [str(question) for question in summary.questions],
        "tickers": [
            {
                "ticker": result.ticker,
                "outcome": str(result.outcome),
                "source": result.source,
                "added": result.n_added,
                "revised": result.n_revised,
                "removed": result.n_removed,
                "error": None if result.error is None else str(result.error),
                "note": result.note,
                "quality": None if result.quality is None else result.quality.to_dict(),
            }
            for result in summary.results
        ],
    }


def show(summary: CollectSummary) -> None:
    """Print the quality table, the counts, the notes, and last what failed."""
    reports = [result.quality for result in summary.results if result.quality is not None]
    rows = [row for report in reports for row in report.table_rows()]
    if rows:
        out.print(_table(rows))
    outcomes = Counter(str(result.outcome) for result in summary.results)
    stored = sum(report.rows_out for report in reports)
    version = "none" if summary.data_version is None else str(summary.data_version.version)
    out.print(
        f"{len(summary.results)} tickers: {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}; "
        f"{stored:,} bars stored of them, data version {version}"
    )
    for question in summary.questions:
        out.print(f"calendar: {question}")
    for result in summary.results:
        if result.note:
            out.print(f"{result.ticker}: {result.note}")
    for result in summary.failed:
        err.print(f"failed: {result.error}")


def _table(rows: list[tuple[str, str, str, int, str]]) -> Table:
    table = Table(title="Quality of the bars", title_justify="left")
    for heading in ("ticker", "defect", "what was done"):
        table.add_column(heading)
    table.add_column("rows", justify="right")
    table.add_column("first days")
    for ticker, defect, action, count, days in rows:
        table.add_row(ticker, defect, action, str(count), days)
    return table
