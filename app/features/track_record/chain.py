"""The hash chain over frozen forecasts: what was sealed cannot be changed, taken out or added to unnoticed.

One link for each day (UTC, by ``made_at``) on which forecasts were made, each over the link before it. A leaf is the
SHA-256 of a row's columns as PostgreSQL sends them in binary: exact, and the same whatever the session's settings are.
The head of each day is kept in a second place too, so that links which were taken out are missed and never sealed
anew. Whoever can write the database can still seal it anew as a whole; a head that was noted elsewhere tells.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import undefer

from app.core.jobs import WorkerTools
from app.features.track_record import crud
from app.features.track_record.finding import Finding
from app.models.chain import ChainDay, ChainSeal
from app.models.forecast import Forecast
from app.models.score import ScoredSeries
from ml_lifecycle.export.manifest import STEPS

logger = logging.getLogger(__name__)

GENESIS = bytes(32)  # the head before the first link
SCHEME = b"closecast chain 1"
SEALED_AFTER = timedelta(hours=1)  # past the day's end; a forecast is committed seconds after `made_at`
LONGEST_RUN = timedelta(hours=6)  # one that began before a day was to be sealed has ended so long after that instant
PAGE = 200  # rows hashed in one statement: far within its deadline
LEAF_BYTES = 16 + 32

# Fixed: a column that a later migration adds belongs into a scheme of its own.
COLUMNS = (
    "id",
    "kind",
    "ticker",
    "exchange",
    "currency",
    "source",
    "price_basis",
    "cutoff",
    "bundle_id",
    "data_table_id",
    "data_version",
    "data_sha256",
    "repaired_bars",
    "market_inputs",
    "made_at",
    "opens_at",
    "anchor",
    "adaptive_alpha",
    "levels",
    "target_trading_days",
    "known_at",
    "log_returns",
    "naive_log_returns",
    "probability_up",
    "drift",
)
_LEAVES = text(
    f"SELECT id, sha256(record_send(ROW({', '.join(COLUMNS)}))) FROM forecasts "  # noqa: S608 (names from above)
    "WHERE id = ANY(CAST(:ids AS uuid[]))"
)
_DROPPED = text(
    "SELECT id FROM unnest(CAST(:ids AS uuid[])) AS id WHERE NOT EXISTS (SELECT FROM open_forecasts "
    "WHERE forecast_id = id) AND NOT EXISTS (SELECT FROM scores WHERE forecast_id = id AND step = :last)"
)

Leaves = dict[UUID, bytes]  # digest by forecast, ids ascending


class ChainHead(NamedTuple):
    """The newest link."""

    day: date
    head: bytes


@dataclass(frozen=True)
class Verified:
    """What a verification saw.

    Attributes
    ----------
    days, forecasts : links, and forecasts under them.
    unsealed : forecasts made since the newest link, which nothing speaks for yet.
    """

    days: int
    forecasts: int
    unsealed: int
    head: ChainHead | None
    findings: tuple[Finding, ...]


async def chain_head(db: AsyncSession) -> ChainHead | None:
    """The newest link; None before the first."""
    newest = await db.execute(select(ChainDay.day, ChainDay.head).order_by(ChainDay.day.desc()).limit(1))
    row = newest.first()
    return None if row is None else ChainHead(*row)


async def seal_days(tools: WorkerTools) -> int:
    """Add a link for each day that is over and has forecasts; gives their number. Two workers at once seal once.

    Nothing is sealed while the newest link is not the one that was sealed last: a new one would hide what was done.
    """
    sealed = 0
    while await _seal_next(tools):
        sealed += 1
    return sealed


async def _seal_next(tools: WorkerTools) -> bool:
    last = (tools.clock() - SEALED_AFTER).astimezone(UTC).date()  # this day is not over, or was a moment ago
    async with tools.sessions() as db:
        await crud.lock_work(db, crud.Work.SEALING)
        before = await chain_head(db)
        if before != await _last_seal(db):
            logger.error("the hash chain was changed and is not continued: see `closecast verify-log`")
            return False
        day = await _next_day(db, before)
        if day is None or day >= last:
            return False
        leaves = await _leaves(db, day)
        previous = before.head if before else GENESIS
        packed = _packed(leaves)
        head = _head(previous, day, packed)
        db.add(ChainDay(day=day, previous=previous, n_forecasts=len(leaves), leaves=packed, head=head))
        db.add(ChainSeal(day=day, head=head))
        await db.commit()
    return True


async def _last_seal(db: AsyncSession) -> ChainHead | None:
    """What the newest link must be."""
    newest = await db.execute(select(ChainSeal.day, ChainSeal.head).order_by(ChainSeal.day.desc()).limit(1))
    row = newest.first()
    return None if row is None else ChainHead(*row)


async def _next_day(db: AsyncSession, before: ChainHead | None) -> date | None:
    """The day of the oldest forecast after the newest link."""
    oldest = select(Forecast.made_at).order_by(Forecast.made_at).limit(1)
    if before is not None:
        oldest = oldest.where(Forecast.made_at >= _midnight(before.day + timedelta(days=1)))
    made_at = await db.scalar(oldest)
    return None if made_at is None else made_at.astimezone(UTC).date()


async def verify_chain(sessions: async_sessionmaker[AsyncSession], *, noted_head: bytes | None = None) -> Verified:
    """Compute the whole chain anew and compare.

    Parameters
    ----------
    noted_head : one that was once told (on the track record, say); it must be among the links.
    """
    findings: list[Finding] = []
    previous, forecasts = GENESIS, 0
    heads: dict[date, bytes] = {}
    async for link in _links(sessions):
        async with sessions() as db:
            leaves = await _leaves(db, link.day)
            findings += await _dropped(db, link, leaves)
        findings += _compare_link(link, previous)
        findings += _compare_leaves(link, leaves)
        previous, forecasts = link.head, forecasts + len(leaves)
        heads[link.day] = link.head
    days = list(heads)
    async with sessions() as db:
        findings += _compare_seals(heads, await _seals(db))
        findings += await _between_links(db, days)
        findings += await _overdue(db, days)
        unsealed = await _count(db, days[-1] + timedelta(days=1) if days else date.min, date.max)
        head = await chain_head(db)
    if noted_head is not None and noted_head not in heads.values():
        findings.append(Finding(days[-1] if days else None, f"no link has the noted head {noted_head.hex()}"))
    return Verified(len(days), forecasts, unsealed, head, tuple(findings))


async def _links(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[ChainDay]:
    """One after the other, oldest first, with its leaves."""
    after = date.min
    while True:
        async with sessions() as db:
            following = select(ChainDay).options(undefer(ChainDay.leaves)).where(ChainDay.day > after)
            link = await db.scalar(following.order_by(ChainDay.day).limit(1))
        if link is None:
            return
        yield link
        after = link.day


def _compare_link(link: ChainDay, previous: bytes) -> list[Finding]:
    found = []
    if link.previous != previous:
        found.append(
            Finding(link.day, "the link does not continue the one before it: that one was changed or taken out")
        )
    if link.head != _head(link.previous, link.day, link.leaves) or link.n_forecasts * LEAF_BYTES != len(link.leaves):
        found.append(Finding(link.day, "the link itself was changed"))
    return found


async def _seals(db: AsyncSession) -> dict[date, bytes]:
    return {day: head for day, head in await db.execute(select(ChainSeal.day, ChainSeal.head))}  # noqa: C416 (rows are no pairs to mypy)


def _compare_seals(heads: Mapping[date, bytes], sealed: Mapping[date, bytes]) -> list[Finding]:
    """Links against what was noted when they were sealed."""
    gone = [Finding(day, "the link was taken out") for day in sealed.keys() - heads.keys()]
    others = [Finding(day, "the link is not the one that was sealed") for day in heads if sealed.get(day) != heads[day]]
    return sorted([*gone, *others], key=str)


async def _overdue(db: AsyncSession, days: Sequence[date]) -> list[Finding]:
    """Forecasts after the newest link that must have one: the worker was at work after their day was to be sealed."""
    worked = await db.scalar(select(func.max(ScoredSeries.at)))
    if worked is None:
        return []
    until = (worked - SEALED_AFTER - LONGEST_RUN).astimezone(UTC).date()  # a run seals before it scores
    start = days[-1] + timedelta(days=1) if days else date.min
    count = await _count(db, start, until)
    return [Finding(until, f"before this day and after the newest link there are forecasts: {count}")] if count else []


def _compare_leaves(link: ChainDay, leaves: Leaves) -> list[Finding]:
    sealed = _unpacked(link.leaves)
    gone = [Finding(link.day, "sealed and no longer there: forecast", each) for each in sealed.keys() - leaves.keys()]
    added = [
        Finding(link.day, "added after the day was sealed: forecast", each) for each in leaves.keys() - sealed.keys()
    ]
    changed = [
        Finding(link.day, "changed since it was sealed: forecast", each)
        for each in sealed.keys() & leaves.keys()
        if sealed[each] != leaves[each]
    ]
    return sorted([*gone, *added, *changed], key=str)


async def _dropped(db: AsyncSession, link: ChainDay, leaves: Leaves) -> list[Finding]:
    """Sealed forecasts that no run would score any more: whoever takes one off the list spares it its outcome."""
    ids = sorted(_unpacked(link.leaves).keys() & leaves.keys())
    found: list[UUID] = []
    for first in range(0, len(ids), PAGE):
        found += await db.scalars(_DROPPED, {"ids": ids[first : first + PAGE], "last": STEPS})
    return [Finding(link.day, "neither scored to its end nor still to be scored: forecast", each) for each in found]


async def _between_links(db: AsyncSession, days: Sequence[date]) -> list[Finding]:
    """Days that have forecasts and no link, though later ones have: their link was taken out, or they were added."""
    found = []
    one_day = timedelta(days=1)
    for before, after in pairwise([date.min, *days]):
        start = before if before == date.min else before + one_day
        if count := await _count(db, start, after):
            found.append(Finding(after, f"before this day and after the link before it there are forecasts: {count}"))
    return found


async def _count(db: AsyncSession, start: date, end: date) -> int:
    """Forecasts made on ``start <= day < end``."""
    counted = await db.execute(
        text("SELECT count(*) FROM forecasts WHERE made_at >= :start AND made_at < :end"),
        {"start": _midnight(start), "end": _midnight(end)},
    )
    return int(counted.scalar_one())


async def _leaves(db: AsyncSession, day: date) -> Leaves:
    made = (Forecast.made_at >= _midnight(day), Forecast.made_at < _midnight(day + timedelta(days=1)))
    ids = sorted(await db.scalars(select(Forecast.id).where(*made)))
    leaves: Leaves = {}
    for first in range(0, len(ids), PAGE):
        rows = await db.execute(_LEAVES, {"ids": ids[first : first + PAGE]})
        leaves |= {forecast_id: bytes(digest) for forecast_id, digest in rows}
    return {forecast_id: leaves[forecast_id] for forecast_id in ids}


def _packed(leaves: Leaves) -> bytes:
    return b"".join(forecast_id.bytes + digest for forecast_id, digest in leaves.items())


def _unpacked(packed: bytes) -> Leaves:
    parts = [packed[first : first + LEAF_BYTES] for first in range(0, len(packed) - LEAF_BYTES + 1, LEAF_BYTES)]
    return {UUID(bytes=part[:16]): part[16:] for part in parts}


def _head(previous: bytes, day: date, packed: bytes) -> bytes:
    count = len(packed) // LEAF_BYTES
    return sha256(SCHEME + previous + day.isoformat().encode() + count.to_bytes(8, "big") + packed).digest()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
