"""`closecast restore`: what `closecast backup` wrote, into an empty place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def restore(
    file: Annotated[Path, typer.Argument(help="Archive that `closecast backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there; it is lost.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Put an archive's database, bars and bundles where the settings say, after every file of it was checked.

    Stop the server first. A place that holds something is left as it is, unless --force says otherwise.

    Example: [bold]CLOSECAST_HOME=new closecast restore closecast-2026-11-21T210000Z.tar[/bold]
    """
    from app.backup.service import restore as put_back
    from cli.console import out, print_json
    from cli.progress import working
    from cli.settings import read_settings

    settings = read_settings()
    with working(f"Restoring {file}"):
        manifest = put_back(settings, file, force=force)
    if as_json:
        print_json({"home": str(settings.home), "files": len(manifest.files), "taken_at": manifest.created_at})
    else:
        out.print(
            f"{len(manifest.files)} files as of {manifest.created_at:%Y-%m-%d %H:%M} UTC; start with: closecast serve",
            soft_wrap=True,
        )
        if manifest.bars_elsewhere is not None:
            out.print(f"without bars: they lay at {manifest.bars_elsewhere}", soft_wrap=True, markup=False)
