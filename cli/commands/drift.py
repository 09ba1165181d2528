"""`closecast drift`: recent bars, live errors and live coverage beside what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.comma_separated import names_in

if TYPE_CHECKING:
    from app.features.drift.measuring import Measured

# Told to scripts beside 0 for `ok`; 2 to 6 are errors (cli/exit_codes.py).
EXIT_CODES = {"ok": 0, "watch": 10, "retrain": 11}


def drift(
    bundle: Annotated[
        str | None,
        typer.Option(help="Whose inputs; by id, its beginning, or folder; none: the champion.", metavar="ID"),
    ] = None,
    reference_version: Annotated[
        int | None,
        typer.Option(min=0, help="Data version to compare with; none: the training distribution of the bundle."),
    ] = None,
    production_version: Annotated[
        int | None, typer.Option(min=0, help="Data version that is compared; none: the newest.")
    ] = None,
    tickers: Annotated[
        str | None, typer.Option(help="Comma-separated; none: all that are stored, 200 at most.")
    ] = None,
    days: Annotated[int, typer.Option(min=20, max=2500, help="Newest trading days of each side.")] = 250,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Compare input columns of two data versions, or of recent bars with a bundle's training; judge what is live.

    Where a database runs, the bundle's live errors and coverage are judged too, and the report is kept.

    Exit code 0: ok; 10: watch, something moved; 11: retrain, something is far off (docs/drift.md).

    Example: [bold]closecast drift --reference-version 3 --tickers AAPL,MSFT[/bold]
    """
    from app.features.drift.drift_spec import DriftSpec
    from app.features.drift.run_drift import as_result, compare
    from cli.console import print_json
    from cli.progress import counted
    from cli.settings import read_settings, whoami, with_running_database

    asked = DriftSpec.of(
        {
            "bundle": bundle,
            "reference_version": reference_version,
            "production_version": production_version,
            "tickers": names_in(tickers),
            "days": days,
            "asked_by": whoami(),
        }
    )
    with counted("Comparing") as progress:
        compared = compare(with_running_database(read_settings()), asked, tell=progress)
    if as_json:
        print_json(as_result(compared))
    else:
        _show(*compared)
    raise typer.Exit(EXIT_CODES[compared[1].recommendation.verdict])


def _show(report: str | None, measured: Measured) -> None:
    from cli.console import out
    from cli.tables import print_table

    rows = sorted(measured.columns, key=lambda each: -each.ks)
    print_table(
        ("column", "KS", "PSI", "worth", "p", ""),
        [
            (
                each.column,
                f"{each.ks:.3f}",
                f"{each.psi:.3f}",
                f"{each.effective_n:.0f}",
                f"{each.p_value:.2g}",
                "" if each.severity == "none" else each.severity,
            )
            for each in rows
        ],
    )
    for line in _live_lines(measured):
        out.print(line)
    old = "training" if measured.reference_version is None else f"version {measured.reference_version}"
    new = f"version {measured.production_version}"
    out.print(f"{len(measured.tickers)} tickers, {measured.days} days, {new} against {old}")
    out.print(f"{measured.recommendation.verdict}: {measured.recommendation.reason}", soft_wrap=True, markup=False)
    if report is not None:
        out.print(f"report {report}", soft_wrap=True)


def _live_lines(measured: Measured) -> list[str]:
    error: Any = measured.error
    lines = (
        []
        if error is None
        else [f"live error one step ahead: {error.relative:.3f} of the naive's, {error.n_days} days"]
    )
    return lines + [
        f"live {100 * each.level:g} % intervals held {100 * each.coverage:.1f} % over {each.n_days} days"
        for each in measured.coverage
    ]
