"""`closecast pipeline`: what the worker does after each close, once and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.chain import Done


def pipeline(
    tickers: Annotated[
        list[str] | None, typer.Argument(help="Tickers; none: those that are stored from a live source.")
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train in any case, whatever the rules say.")] = False,
    config: Annotated[
        str | None,
        typer.Option(
            help="Training configuration, file or packaged name; none: the champion's, else default.", metavar="FILE"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Collect, score, forecast ahead, look for drift, train where a rule says so, have the gate judge, promote.

    The worker does the same by itself after each close (docs/after-close.md). `--train` always checks the features,
    trains, evaluates and exports. The exit code is that of the first step that failed; a refusal by the gate is none.

    Example: [bold]closecast pipeline AAPL MSFT --train --config demo[/bold]
    """
    from cli.chain import Chain
    from cli.console import print_json
    from cli.exit_codes import ExitCode, exit_code
    from cli.settings import read_settings, require_database, whoami
    from data_pipeline.ticker import parse_ticker

    names = [parse_ticker(ticker) for ticker in tickers or ()]
    told = Chain(require_database(read_settings()), names, train, config, whoami()).run()
    if as_json:
        print_json({"steps": [each.to_dict() for each in told]})
    else:
        _show(told)
    if failed := [each.error for each in told if each.error is not None]:
        raise typer.Exit(exit_code(failed[0]) or ExitCode.DATA)


def _show(told: Sequence[Done]) -> None:
    from cli.tables import print_table

    rows = []
    for each in told:
        figures = {name: value for name, value in each.figures.items() if name != "scores" and value not in ({}, [])}
        words = [f"{name} {_in_words(value)}" for name, value in figures.items()]
        rows.append((each.step, each.state, str(each.error) if each.error is not None else "; ".join(words)))
    print_table(("step", "state", ""), rows)


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
