"""`closecast promote`: another champion, told in every answer when it was forced."""

from typing import Annotated

import typer


def promote(
    bundle: Annotated[str, typer.Argument(help="Bundle by id, by the beginning of its id, or by folder.")],
    force: Annotated[bool, typer.Option("--force", help="Without the gate; every answer then says so.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why it is forced; kept in the ledger.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Make a bundle champion; running API processes swap within seconds.

    To roll back, promote the former champion again.

    Example: [bold]closecast promote 3f9a1c2b4d5e --force --reason "first network"[/bold]
    """
    import getpass

    from cli import bundles
    from cli.console import out, print_json
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    folder = bundles.find_bundle(settings, bundle)
    line = bundles.promote(settings, folder, force=force, reason=reason, by=f"{getpass.getuser()} (command line)")
    if as_json:
        print_json(
            {"bundle": line.bundle_id, "former": line.previous_bundle_id, "kind": line.kind, "reason": line.reason}
        )
    else:
        former = f"; before it {line.previous_bundle_id}" if line.previous_bundle_id else ""
        out.print(f"champion {line.bundle_id} ({line.kind}){former}", soft_wrap=True)
