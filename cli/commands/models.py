"""`closecast models`: which bundles there are, what they say of themselves, and who was champion when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.config import Settings
    from app.models.promotion import BundleRow, Promotion

app = typer.Typer(name="models", help="Bundles, the champion and its shadows.", no_args_is_help=True)
MOST_SHOWN = 200
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Name = Annotated[str, typer.Argument(help="Bundle by id, by the beginning of its id, or by folder.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List registered bundles, newest first; mark the champion, its shadows, and those whose files a clean-up deleted.

    Example: [bold]closecast models list --json[/bold]
    """
    from cli.console import print_json
    from cli.settings import read_settings, require_database

    rows, champion, shadows = asyncio.run(_read_list(require_database(read_settings())))
    documents = [_as_document(row, champion, shadows) for row in rows]
    if as_json:
        print_json(documents)
    else:
        _show_list(documents)


@app.command()
def show(bundle: Name, as_json: AsJson = False) -> None:
    """Tell what a bundle was made from and how it did beside the naive forecast.

    Example: [bold]closecast models show 3f9a1c2b4d5e[/bold]
    """
    from cli.bundles import find_bundle
    from cli.console import out, print_json
    from cli.manifests import about, read_manifest, show_figures
    from cli.settings import read_settings

    folder = find_bundle(read_settings(), bundle)
    manifest = read_manifest(folder)
    if as_json:
        print_json({"bundle": folder.name, **about(manifest), "scores": manifest["scores"]})
        return
    for name, value in {"bundle": folder.name, **about(manifest)}.items():
        out.print(f"{name}: {value}", soft_wrap=True, markup=False, highlight=False)
    show_figures(manifest)


@app.command()
def diff(left: Name, right: Name, as_json: AsJson = False) -> None:
    """Tell what two bundles differ in: configuration, data, inputs, figures.

    Example: [bold]closecast models diff 3f9a1c2b4d5e 8b1e0c7d2a9f[/bold]
    """
    from cli.bundles import find_bundle
    from cli.console import print_json
    from cli.manifests import differences, read_manifest, show_differences
    from cli.settings import read_settings

    settings = read_settings()
    folders = [find_bundle(settings, name) for name in (left, right)]
    found = differences(*map(read_manifest, folders))
    if as_json:
        print_json({"left": folders[0].name, "right": folders[1].name, "differences": found})
    else:
        show_differences(folders[0].name, folders[1].name, found)


@app.command()
def history(as_json: AsJson = False) -> None:
    """Tell who was champion when, by whose decision and why; newest first.

    Example: [bold]closecast models history[/bold]
    """
    from cli.console import print_json
    from cli.settings import read_settings, require_database

    reigns = _reigns(asyncio.run(_read_ledger(require_database(read_settings()))))
    if as_json:
        print_json(reigns)
    else:
        _show_history(reigns)


@app.command()
def shadow(
    bundle: Name,
    stop: Annotated[bool, typer.Option("--stop", help="It is no shadow any longer; what it said stays.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the ledger.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let a challenger forecast beside the champion: frozen for the same cutoffs, served to nobody, scored alike.

    Example: [bold]closecast models shadow 3f9a1c2b4d5e[/bold]
    """
    from cli import bundles
    from cli.console import out, print_json
    from cli.settings import read_settings, require_database, whoami

    settings = require_database(read_settings())
    folder = bundles.find_bundle(settings, bundle)
    line = bundles.decide_shadow(settings, folder, shadowing=not stop, reason=reason, by=whoami())
    if as_json:
        print_json({"bundle": line.bundle_id, "shadow": line.shadowing, "reason": line.reason})
    else:
        out.print(f"{'shadow' if line.shadowing else 'no shadow any longer:'} {line.bundle_id}", soft_wrap=True)


async def _read_list(settings: Settings) -> tuple[Sequence[BundleRow], Promotion | None, set[str]]:
    from app.features.registry import crud
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        newest = await crud.newest_promotions(db, limit=1)
        shadows = {line.bundle_id for line in await crud.shadows(db)}
        return await crud.list_bundles(db, limit=MOST_SHOWN), newest[0] if newest else None, shadows


async def _read_ledger(settings: Settings) -> Sequence[Promotion]:
    from app.features.registry import crud
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        return await crud.all_promotions(db)


def _as_document(row: BundleRow, champion: Promotion | None, shadows: set[str]) -> dict[str, Any]:
    served = champion is not None and champion.bundle_id == row.id
    return {
        "bundle": row.id,
        "kind": row.kind,
        "created_at": row.created_at.isoformat(),
        "train_end": None if row.train_end is None else row.train_end.isoformat(),
        "champion": served,
        "promotion": champion.kind if served and champion is not None else None,
        "shadow": row.id in shadows and not served,
        "files_deleted_at": None if row.files_deleted_at is None else row.files_deleted_at.isoformat(),
    }


def _reigns(ledger: Sequence[Promotion]) -> list[dict[str, Any]]:
    """One entry per line of the ledger, newest first, each with the instant at which the next one ended it."""
    ends = [*(line.decided_at.isoformat() for line in ledger[1:]), None]
    return [
        {
            "bundle": line.bundle_id,
            "from": line.decided_at.isoformat(),
            "until": end,
            "kind": line.kind,
            "decided_by": line.decided_by,
            "reason": line.reason,
        }
        for line, end in reversed(list(zip(ledger, ends, strict=False)))
    ]


def _show_list(documents: Sequence[dict[str, Any]]) -> None:
    from cli.tables import print_table

    print_table(
        ("bundle", "kind", "made", "trained until", "champion", "shadow", "files"),
        [
            (
                shown["bundle"][:12],
                shown["kind"],
                _minute(shown["created_at"]),
                shown["train_end"] or "–",
                shown["promotion"] or "",
                "shadow" if shown["shadow"] else "",
                "" if shown["files_deleted_at"] is None else f"deleted {shown['files_deleted_at'][:10]}",
            )
            for shown in documents
        ],
    )


def _show_history(reigns: Sequence[dict[str, Any]]) -> None:
    from cli.tables import print_table

    print_table(
        ("bundle", "from", "until", "by", "decided by", "reason"),
        [
            (
                reign["bundle"][:12],
                _minute(reign["from"]),
                _minute(reign["until"]) if reign["until"] else "now",
                reign["kind"],
                reign["decided_by"],
                reign["reason"] or "",
            )
            for reign in reigns
        ],
    )


def _minute(instant: str) -> str:
    return instant[:16].replace("T", " ")
