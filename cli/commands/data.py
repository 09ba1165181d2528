"""`closecast data`: the stored bars, their versions, whether they are sound, and out of the store as a file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.comma_separated import names_in

if TYPE_CHECKING:
    from data_pipeline.serving_window import DataVersion
    from data_pipeline.storage.feature_store import FeatureStore
    from ml_lifecycle.training.data_check import DataCheck

app = typer.Typer(name="data", help="Stored bars: versions, checks, files.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Version = Annotated[int | None, typer.Option(help="Version of the bars; none: the newest.")]
Tickers = Annotated[str | None, typer.Option(help="Comma-separated; none: all that are stored.")]


@app.command()
def versions(as_json: AsJson = False) -> None:
    """List the data versions that can be read, oldest first, with what each of them holds.

    Example: [bold]closecast data versions --json[/bold]
    """
    from cli.console import print_json
    from cli.tables import print_table

    store = _store()
    documents = [_version_document(store, version) for version in store.versions()]
    if as_json:
        print_json(documents)
        return
    print_table(
        ("version", "tickers", "bars", "newest bar", "sha256"),
        [
            (
                str(shown["version"]),
                str(shown["tickers"] if shown["tickers"] is not None else "vacuumed"),
                f"{shown['bars']:,}" if shown["bars"] is not None else "",
                str(shown["last_day"] or ""),
                shown["content_sha256"][:12],
            )
            for shown in documents
        ],
    )


@app.command()
def check(
    tickers: Tickers = None,
    version: Version = None,
    config: Annotated[
        str, typer.Option(help="Training configuration whose windows are built.", metavar="FILE")
    ] = "default",
    as_json: AsJson = False,
) -> None:
    """Check that the bars are as they were written, and that windows and targets can be cut from them.

    Shapes, types, finite values; that a window holds nothing after its cutoff; that a target is what the daily returns
    after it sum to. The exit code is 3 where anything is wrong.

    Example: [bold]closecast data check --tickers AAPL,MSFT[/bold]
    """
    from cli.console import print_json
    from cli.exit_codes import ExitCode
    from cli.progress import counted
    from ml_lifecycle.training.config import load_config
    from ml_lifecycle.training.data_check import check_data

    chosen = load_config(config)
    with counted("Checking") as progress:
        found = check_data(_store(), chosen, tickers=_named(tickers), version=version, progress=progress)
    if as_json:
        print_json(_check_document(found))
    else:
        _show_check(found)
    if not found.passed:
        raise typer.Exit(ExitCode.DATA)


@app.command()
def export(
    out: Annotated[Path, typer.Option(dir_okay=False, help="File to write, .csv or .parquet.")],
    tickers: Tickers = None,
    version: Version = None,
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day wanted.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day after the last one wanted.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write stored bars into one file, by ticker and day; `closecast collect --source files` reads it back.

    Example: [bold]closecast data export --out bars.parquet --tickers AAPL,MSFT[/bold]
    """
    from cli.console import err, print_json
    from cli.files import require_free
    from data_pipeline.storage.bar_export import export_bars

    require_free(out, force=force)
    first, last = (day.date() if day is not None else None for day in (start, end))
    store = _store()
    number = store.version(version).version
    rows = export_bars(store.at(number), out, tickers=_named(tickers), start=first, end=last)
    if as_json:
        print_json({"file": str(out), "rows": rows, "data_version": number})
    else:
        err.print(f"{rows:,} bars of data version {number} written to {out}", soft_wrap=True)


@app.command()
def vacuum(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete files that only old data versions need; those that a bundle or an open forecast names stay whole.

    A part of `closecast cleanup`, which the worker does each night (docs/cleaning.md).

    Example: [bold]closecast data vacuum --dry-run[/bold]
    """
    from app.features.cleaning.bars import Bars
    from cli.cleaning import clean_up_and_tell

    clean_up_and_tell(dry_run=dry_run, as_json=as_json, rules=[Bars()])


def _store() -> FeatureStore:
    from cli.settings import read_settings
    from data_pipeline.storage.feature_store import FeatureStore

    settings = read_settings()
    return FeatureStore(settings.bars_uri, settings.store_options)


def _named(tickers: str | None) -> list[str] | None:
    from data_pipeline.ticker import parse_ticker

    return [parse_ticker(name) for name in names_in(tickers)] or None


def _version_document(store: FeatureStore, version: DataVersion) -> dict[str, Any]:
    """A version that was vacuumed away is still known by its digest."""
    from data_pipeline.errors import UnknownDataVersionError

    held: dict[str, Any] = {"tickers": None, "bars": None, "last_day": None}
    with suppress(UnknownDataVersionError):
        series = store.series(version.version)
        last = max((info.last_day for info in series), default=None)
        held = {"tickers": len(series), "bars": sum(info.n_bars for info in series), "last_day": last}
    return {**asdict(version), **held}


def _check_document(found: DataCheck) -> dict[str, Any]:
    return {
        "data_version": found.version.version,
        "content_sha256": found.version.content_sha256,
        "passed": found.passed,
        "tickers": found.n_tickers,
        "bars": found.n_bars,
        "windows": found.n_windows,
        "too_short": list(found.short),
        "faults": list(found.faults),
    }


def _show_check(found: DataCheck) -> None:
    from cli.console import err, out

    out.print(
        f"data version {found.version.version}: {found.n_tickers} tickers, {found.n_bars:,} bars, "
        f"{found.n_windows:,} windows cut and checked"
    )
    if found.short:
        out.print(f"too short for a window: {', '.join(found.short)}", soft_wrap=True)
    for fault in found.faults:
        err.print(f"fault: {fault}", soft_wrap=True, markup=False)
    out.print("sound" if found.passed else f"{len(found.faults)} faults")
