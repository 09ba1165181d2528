"""The clean-up: everything that falls under a rule, found, and removed as found."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.core.cleaning_lock import alone
from app.features.cleaning.bars import Bars
from app.features.cleaning.bundles import Bundles
from app.features.cleaning.checkpoints import Checkpoints
from app.features.cleaning.items import Item, Rule, Workplace
from app.features.cleaning.logs import JobEvents, LogMonths
from app.features.cleaning.runs import Runs
from data_pipeline.errors import ClosecastError

logger = logging.getLogger(__name__)

# Bars before bundles: those of a data version that only a deleted bundle named would go untold; tomorrow they are told.
RULES: tuple[Rule, ...] = (Bars(), Bundles(), Runs(), JobEvents(), LogMonths(), Checkpoints())


@dataclass(frozen=True)
class Cleaned:
    """What was, or would be, deleted; ``skipped`` says by kind why nothing could be found or removed of it."""

    items: tuple[Item, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


async def clean_up(at: Workplace, *, dry_run: bool, rules: Sequence[Rule] = RULES) -> Cleaned:
    """Delete what falls under the rules, kind after kind; a ``dry_run`` deletes nothing and tells the same items.

    A kind that is in trouble (MLflow away, no store) leaves the others alone. What broke off is found by the next run.

    Raises
    ------
    BusyError : a backup is being taken, or another clean-up is at work.
    """
    async with alone(at.db):
        return await _clean_up(at, rules, dry_run=dry_run)


async def _clean_up(at: Workplace, rules: Sequence[Rule], *, dry_run: bool) -> Cleaned:
    items: list[Item] = []
    skipped: dict[str, str] = {}
    found: list[tuple[Rule, list[Item]]] = []
    for rule in rules:
        try:
            found.append((rule, await rule.find(at)))
        except ClosecastError as error:
            skipped[rule.kind] = str(error)
        await at.db.commit()
    for rule, old in found:
        try:
            items += old if dry_run else await rule.remove(at, old)
        except ClosecastError as error:
            skipped[rule.kind] = str(error)
    for kind, reason in skipped.items():
        logger.warning("no clean-up of %s: %s", kind, reason)
    return Cleaned(tuple(items), skipped)
