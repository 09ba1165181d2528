"""`closecast cleanup`: what is old and referred to by nothing goes, by rules that are settings."""

from typing import Annotated

import typer


def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Delete old bundles, bars of old data versions, runs, logs and checkpoints that nothing refers to any more.

    The worker does the same each night. How old is old, the settings CLOSECAST_KEPT_… say (docs/cleaning.md).

    Example: [bold]closecast cleanup --dry-run[/bold]
    """
    from cli.cleaning import clean_up_and_tell

    clean_up_and_tell(dry_run=dry_run, as_json=as_json)
