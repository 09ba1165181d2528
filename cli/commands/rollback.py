"""`closecast rollback`: the champion before this one, at once."""

from typing import Annotated

import typer


def rollback(
    reason: Annotated[str | None, typer.Option(help="Why; kept in the ledger.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Make the champion before the present one champion again; a second time goes back one further.

    Example: [bold]closecast rollback --reason "wide intervals since Monday"[/bold]
    """
    from cli import bundles
    from cli.console import out, print_json
    from cli.settings import read_settings, require_database, whoami

    line = bundles.roll_back(require_database(read_settings()), reason=reason, by=whoami())
    if as_json:
        print_json(
            {"bundle": line.bundle_id, "former": line.previous_bundle_id, "kind": line.kind, "reason": line.reason}
        )
    else:
        out.print(f"champion {line.bundle_id} (rollback); before it {line.previous_bundle_id}", soft_wrap=True)
