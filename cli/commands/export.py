"""`closecast export`: a bundle from a checkpoint, without training."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="Folder of a finished training run.", exists=True, file_okay=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Rebuild a bundle from its checkpoint; the same checkpoint gives the same bundle.

    Example: [bold]closecast export .closecast/checkpoints/demo[/bold]
    """
    from cli.bundles import register
    from cli.console import out, print_json
    from cli.progress import working
    from cli.settings import read_settings, with_running_database
    from ml_lifecycle.export.export_model import export_bundle

    settings = with_running_database(read_settings())
    with working("Exporting and checking the bundle"):
        bundle = export_bundle(checkpoint, settings.bundles)
    if settings.database_url is not None:
        register(settings, bundle)
    if as_json:
        print_json({"bundle": bundle.name, "folder": str(bundle)})
    else:
        out.print(f"bundle {bundle.name}", soft_wrap=True)
