"""What a clean-up deleted, or would delete, told to people or to machines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.config import Settings
    from app.features.cleaning.items import Item, Rule
    from app.features.cleaning.service import Cleaned


def clean_up_and_tell(*, dry_run: bool, as_json: bool, rules: Sequence[Rule] | None = None) -> None:
    """Delete what is old by these rules (None: by all), and print what went; a dry run only prints."""
    from cli.console import print_json
    from cli.progress import working
    from cli.settings import read_settings, require_database

    settings = require_database(read_settings())
    with working("Looking for what is old" if dry_run else "Cleaning up"):
        done = asyncio.run(_clean_up(settings, rules, dry_run=dry_run))
    if as_json:
        print_json(_as_document(done, dry_run=dry_run))
    else:
        _show(done, dry_run=dry_run)


async def _clean_up(settings: Settings, rules: Sequence[Rule] | None, *, dry_run: bool) -> Cleaned:
    from datetime import UTC, datetime

    from app.features.cleaning.items import Workplace
    from app.features.cleaning.service import RULES, clean_up
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        return await clean_up(Workplace(db, settings, datetime.now(UTC)), dry_run=dry_run, rules=rules or RULES)


def _as_document(done: Cleaned, *, dry_run: bool) -> dict[str, Any]:
    items = [{"kind": each.kind, "name": each.name, "why": each.why, "bytes": each.size} for each in done.items]
    return {"dry_run": dry_run, "items": items, "bytes": _bytes(done.items), "skipped": done.skipped}


def _show(done: Cleaned, *, dry_run: bool) -> None:
    from cli.console import err, out
    from cli.tables import print_table

    for item in done.items:
        out.print(f"{item.kind} {item.name}: {item.why}", soft_wrap=True, markup=False)
    if done.items:
        kinds = dict.fromkeys(item.kind for item in done.items)
        rows = [[item for item in done.items if item.kind == kind] for kind in kinds]
        print_table(
            ("would go" if dry_run else "deleted", "things", "MB"),
            [(str(each[0].kind), str(len(each)), f"{_bytes(each) / 1e6:.1f}") for each in rows],
        )
    else:
        out.print("nothing is old and unreferenced")
    for kind, reason in done.skipped.items():
        err.print(f"not looked at: {kind} ({reason})", soft_wrap=True, markup=False)


def _bytes(items: list[Item] | tuple[Item, ...]) -> int:
    return sum(item.size or 0 for item in items)
