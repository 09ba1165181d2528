"""The command line of `data_pipeline.run_pipeline`, for images that carry no `closecast` command of their own."""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from data_pipeline.errors import ClosecastError
from data_pipeline.run_pipeline import CollectSummary, collect
from data_pipeline.sources.base import PriceSource, PriceSourceError
from data_pipeline.storage.feature_store import FeatureStore

_DONE, _DATA, _SOURCE = 0, 3, 4  # exit codes; argparse itself leaves with 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect as ``arguments`` say and tell the outcome; gives the exit code."""
    out, err = Console(), Console(stderr=True)
    try:
        summary = _collect(_parse(arguments), err)
    except ClosecastError as error:
        err.print(str(error), markup=False)
        return _code(error)
    _show(summary, out)
    for result in summary.failed:
        err.print(f"failed: {result.error}", markup=False)
    return _code(summary.failed[0].error) if summary.failed else _DONE


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m data_pipeline.run_pipeline", description=collect.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tickers", nargs="*", help="as the source spells them; none: all that it holds")
    parser.add_argument("--source", choices=("yfinance", "files", "sample"), default="yfinance")
    parser.add_argument("--path", type=Path, help="file or folder for --source files")
    parser.add_argument("--store", default=".closecast/bars", help="folder or s3://bucket/prefix of the bars")
    parser.add_argument("--start", type=date.fromisoformat, help="first day wanted")
    parser.add_argument("--end", type=date.fromisoformat, help="day after the last one wanted")
    parser.add_argument("--force", action="store_true", help="fetch whole histories again")
    parsed = parser.parse_args(arguments)
    if parsed.source == "files" and parsed.path is None:
        parser.error("--source files needs --path")
    if parsed.source == "yfinance" and not parsed.tickers:
        parser.error("--source yfinance needs at least one ticker")
    return parsed


def _collect(asked: argparse.Namespace, err: Console) -> CollectSummary:
    columns = (TextColumn("Collecting"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[ticker]}"))
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None, ticker="")
        return collect(
            FeatureStore(asked.store),
            _open_source(asked),
            asked.tickers or None,
            start=asked.start,
            end=asked.end,
            force=asked.force,
            progress=lambda done, total, ticker: bar.update(task, completed=done, total=total, ticker=ticker),
        )


def _open_source(asked: argparse.Namespace) -> PriceSource:
    if asked.source == "files":
        from data_pipeline.sources.file_source import FileSource

        return FileSource(asked.path)
    if asked.source == "sample":
        from data_pipeline.sources.sample_source import SampleSource

        return SampleSource()
    from data_pipeline.sources.yfinance_collector import YFinanceSource

    return YFinanceSource(Path(".closecast/cache"))


def _show(summary: CollectSummary, out: Console) -> None:
    table = Table("ticker", "defect", "what was done", "rows", "first days", title="Quality of the bars")
    for result in summary.results:
        for ticker, defect, action, count, days in result.quality.table_rows() if result.quality else ():
            table.add_row(ticker, defect, action, str(count), days)
    out.print(table)
    for question in summary.questions:
        out.print(f"calendar: {question}")
    for result in summary.results:
        out.print(f"{result.ticker}: {result.outcome}{f' ({result.note})' if result.note else ''}", markup=False)
    out.print(f"data version {summary.data_version.version if summary.data_version else 'none'}")


def _code(error: ClosecastError | None) -> int:
    return _SOURCE if isinstance(error, PriceSourceError) else _DATA
