"""`closecast promote`: another champion, by the gate's figures or, told in every answer, by force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from app.config import Settings
    from app.models.challenge import Challenge


def promote(
    bundle: Annotated[str, typer.Argument(help="Bundle by id, by the beginning of its id, or by folder.")],
    force: Annotated[bool, typer.Option("--force", help="Without the gate; every answer then says so.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why it is forced; kept in the ledger.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Have the gate judge a bundle on stored bars; it becomes champion if it passes, within seconds everywhere.

    Every challenge is recorded, and each further one of the same champion has to prove more (docs/promotion.md).
    `closecast rollback` takes a promotion back.

    Example: [bold]closecast promote 3f9a1c2b4d5e[/bold]
    """
    from cli import bundles
    from cli.console import out, print_json
    from cli.settings import read_settings, require_database, whoami

    settings = require_database(read_settings())
    folder = bundles.find_bundle(settings, bundle)
    if not force:
        _show(_challenge(settings, folder, by=whoami()), as_json=as_json)
        return
    line = bundles.force(settings, folder, reason=reason, by=whoami())
    if as_json:
        print_json(
            {"bundle": line.bundle_id, "former": line.previous_bundle_id, "kind": line.kind, "reason": line.reason}
        )
    else:
        former = f"; before it {line.previous_bundle_id}" if line.previous_bundle_id else ""
        out.print(f"champion {line.bundle_id} ({line.kind}){former}", soft_wrap=True)


def _challenge(settings: Settings, folder: Path, *, by: str) -> Challenge:
    from cli import bundles
    from cli.progress import counted

    with counted("Judging") as progress:
        return bundles.challenge(settings, folder, by=by, progress=lambda done, total: progress(done, total, ""))


def _show(decided: Challenge, *, as_json: bool) -> None:
    """Print the verdict.

    Raises
    ------
    GateNotPassedError : after the figures, so that the exit code says it too.
    """
    from app.features.registry.errors import GateNotPassedError
    from cli import gate_table
    from cli.console import out, print_json

    if as_json:
        print_json(
            {
                "bundle": decided.bundle_id,
                "former": decided.champion_id,
                "kind": "gate",
                "challenge": str(decided.id),
                **decided.verdict,
            }
        )
    else:
        gate_table.show(decided.verdict)
    if not decided.passed:
        raise GateNotPassedError(decided.bundle_id, decided.verdict["reasons"])
    if not as_json:
        out.print(f"champion {decided.bundle_id} (gate); before it {decided.champion_id}", soft_wrap=True)
