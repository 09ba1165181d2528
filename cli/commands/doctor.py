"""`closecast doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.doctor.finding import Finding

MARKS = {"ok": "[green]ok  [/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]fail[/red]"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Look at settings, disks, database, migrations, clock, worker, champion, bars, calendars and Yahoo.

    Nothing is changed. The exit code is 0 unless something fails; then it is that of the first failure's kind.

    Example: [bold]closecast doctor[/bold]
    """
    import os

    from dotenv import dotenv_values

    from app.doctor.service import examine
    from cli.console import print_json
    from cli.progress import working
    from cli.settings import read_settings, with_running_database

    settings = with_running_database(read_settings())
    with working("Looking"):
        findings = examine(settings, {*os.environ, *dotenv_values(".env")})
    if as_json:
        print_json({"healthy": not _code(findings), "findings": [asdict(each) for each in findings]})
    else:
        _show(findings)
    raise typer.Exit(_code(findings))


def _code(findings: Sequence[Finding]) -> int:
    """That of the first thing that fails, in the order in which things depend on each other."""
    from cli.exit_codes import ExitCode

    codes = {"champion": ExitCode.MODEL, "store": ExitCode.DATA, "calendar": ExitCode.DATA}
    failed = [each.subject for each in findings if each.state == "fail"]
    return int(codes.get(failed[0], ExitCode.SERVICE)) if failed else int(ExitCode.OK)


def _show(findings: Sequence[Finding]) -> None:
    from rich.markup import escape

    from cli.console import out

    for each in findings:
        out.print(f"{MARKS[each.state]} {each.subject}: {escape(each.told)}", soft_wrap=True)
        if each.advice:
            out.print(f"     {escape(each.advice)}", soft_wrap=True)
