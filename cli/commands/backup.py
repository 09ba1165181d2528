"""`closecast backup`: everything that cannot be made anew, in one file, while the server runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def backup(
    out: Annotated[Path, typer.Option(help="File to write, or a folder for one that is named by the instant.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Write the database, the bars and the bundles into one archive, with the digest of everything in it.

    It may be taken while the server runs. It holds accounts: only you can read it, keep it so (docs/backup.md).

    Example: [bold]closecast backup --out /var/backups[/bold]
    """
    from app.backup.service import back_up
    from cli.console import out as console
    from cli.console import print_json
    from cli.files import require_free
    from cli.progress import working
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    file = out / f"closecast-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.tar" if out.is_dir() else out
    require_free(file, force=force)
    with working(f"Writing {file}"):
        manifest = back_up(settings, file)
    size = file.stat().st_size
    if as_json:
        told = {"file": str(file), "bytes": size, "files": len(manifest.files), "revision": manifest.revision}
        print_json({**told, "bars_elsewhere": manifest.bars_elsewhere})
        return
    console.print(f"{file}: {len(manifest.files)} files, {size / 1e6:.1f} MB", soft_wrap=True, markup=False)
    if manifest.bars_elsewhere is not None:
        console.print(f"without the bars, which lie at {manifest.bars_elsewhere}", soft_wrap=True, markup=False)
