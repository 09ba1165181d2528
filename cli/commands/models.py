"""`closecast models`: which bundles there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.config import Settings
    from app.models.promotion import BundleRow, Promotion

app = typer.Typer(name="models", help="Bundles and the champion.", no_args_is_help=True)
MOST_SHOWN = 200


@app.callback()
def _group() -> None:
    """Keep `models list` two words while there is one command."""


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """List registered bundles, newest first, and mark the champion.

    Example: [bold]closecast models list --json[/bold]
    """
    from cli.console import print_json
    from cli.settings import read_settings, require_database

    rows, ledger = asyncio.run(_read(require_database(read_settings())))
    champion = ledger[0] if ledger else None
    if as_json:
        print_json([_as_document(row, champion) for row in rows])
    else:
        _show(rows, champion)


async def _read(settings: Settings) -> tuple[Sequence[BundleRow], Sequence[Promotion]]:
    from app.features.registry import crud
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        return await crud.list_bundles(db, limit=MOST_SHOWN), await crud.newest_promotions(db, limit=1)


def _as_document(row: BundleRow, champion: Promotion | None) -> dict[str, object]:
    served = champion is not None and champion.bundle_id == row.id
    return {
        "bundle": row.id,
        "kind": row.kind,
        "created_at": row.created_at.isoformat(),
        "train_end": None if row.train_end is None else row.train_end.isoformat(),
        "champion": served,
        "promotion": champion.kind if served and champion is not None else None,
    }


def _show(rows: Sequence[BundleRow], champion: Promotion | None) -> None:
    from rich.table import Table

    from cli.console import out

    table = Table()
    for heading in ("bundle", "kind", "made", "trained until", "champion"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        shown = _as_document(row, champion)
        table.add_row(
            row.id[:12],
            row.kind,
            f"{row.created_at:%Y-%m-%d %H:%M}",
            str(shown["train_end"] or "–"),
            str(shown["promotion"] or ""),
        )
    out.print(table)
