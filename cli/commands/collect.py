"""`closecast collect`: bars from a source into the store, and their windows to the API."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.config import Settings
    from data_pipeline.run_pipeline import CollectSummary
    from data_pipeline.sources.base import PriceSource
    from data_pipeline.storage.feature_store import FeatureStore


class SourceName(StrEnum):
    """Where bars come from."""

    YFINANCE = "yfinance"
    FILES = "files"
    SAMPLE = "sample"


def collect(
    tickers: Annotated[
        list[str] | None,
        typer.Argument(help="Tickers as the source spells them; none: all that it holds, or that are stored from it."),
    ] = None,
    source: Annotated[SourceName | None, typer.Option(help="Ask this source (setting: CLOSECAST_SOURCES).")] = None,
    path: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file, or a folder of them (setting: CLOSECAST_FILES_PATH).")
    ] = None,
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day wanted.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day after the last one wanted.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch whole histories again.")] = False,
    keep_stored: Annotated[
        bool, typer.Option("--keep-stored", help="Leave the bars of stored tickers as they are; publish them only.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Fetch, check and store bars, then publish them to the API where a database runs.

    One bad ticker does not stop the others; it is named at the end, and the exit code tells.

    Example: [bold]closecast collect --source files --path bars/ PETR4.SA VALE3.SA[/bold]
    """
    from cli.console import err, print_json
    from cli.exit_codes import ExitCode
    from cli.publishing import publish
    from cli.quality_table import as_document, show
    from cli.settings import read_settings, with_running_database
    from cli.sources import open_sources
    from data_pipeline.storage.feature_store import FeatureStore

    settings = with_running_database(read_settings())
    asked = open_sources(settings, source=source, path=path)
    store = FeatureStore(settings.bars_uri, settings.store_options)
    wanted = _wanted(store, asked, tickers)
    kept = _stored(store, wanted) if keep_stored else []
    summary = _collect(settings, store, asked, [t for t in wanted if t not in kept], (start, end), force=force)
    published = publish(settings, store, summary, kept) if settings.database_url is not None else None
    if as_json:
        print_json({**as_document(summary), "kept": kept, "published_windows": published})
    else:
        if summary.results:
            show(summary)
        if kept:
            err.print(f"kept as stored: {', '.join(kept)}")
        err.print("no database runs: nothing published" if published is None else f"{published} windows published")
    if summary.failed:
        raise typer.Exit(_code_of(summary) or ExitCode.DATA)


def _collect(
    settings: Settings,
    store: FeatureStore,
    source: PriceSource,
    tickers: list[str],
    between: tuple[datetime | None, datetime | None],
    *,
    force: bool,
) -> CollectSummary:
    from cli.progress import counted
    from data_pipeline import run_pipeline

    start, end = (day.date() if day is not None else None for day in between)
    with counted("Collecting") as progress:
        return run_pipeline.collect(
            store,
            source,
            tickers,
            start=start,
            end=end,
            force=force,
            final_after=settings.final_after,
            progress=progress,
        )


def _wanted(store: FeatureStore, source: PriceSource, tickers: list[str] | None) -> list[str]:
    """The tickers named; else those the source holds; else (Yahoo holds no list) those that are stored from it."""
    from data_pipeline.errors import ConfigurationError
    from data_pipeline.ticker import parse_ticker

    if tickers:
        return [parse_ticker(ticker) for ticker in tickers]
    found = source.tickers() or [series.ticker for series in store.series() if series.live]
    if not found:
        raise ConfigurationError("name at least one ticker: the source holds no list, and none is stored from it")
    return found


def _stored(store: FeatureStore, tickers: list[str]) -> list[str]:
    """Those of ``tickers`` whose bars are stored, from whatever source."""
    stored = {series.ticker for series in store.series()}
    return [ticker for ticker in tickers if ticker in stored]


def _code_of(summary: CollectSummary) -> int | None:
    from cli.exit_codes import ExitCode, exit_code

    first = summary.failed[0].error
    code = None if first is None else exit_code(first)
    # What was typed has been checked before: a name that is no ticker comes from the source's own list.
    return ExitCode.DATA if code is ExitCode.USAGE else code
