"""The bundle that answers: loaded beside the former one, swapped in one assignment, refused without harm."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.registry import crud
from app.features.registry.errors import NoChampionError
from app.models.live_skill import LiveSkill
from app.models.promotion import Promotion
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import BundleKind

logger = logging.getLogger(__name__)

STAND_IN = "stand_in"  # told as `promotion` while the reference serves for a champion that is too old
ALL_TICKERS = "all"  # the rows of an evaluation that no single ticker stands for
LEDGER_DEPTH = 20  # promotions gone back through for a bundle that still loads
POLL_SECONDS = 3.0  # how late a promotion is seen whose notification was lost
LOAD_ANEW = ""  # told in the place of a bundle: read the files again, of what is served too


Live = Mapping[tuple[int, int], Mapping[str, Any]]  # by horizon and days: `LiveSkill.figures`


@dataclass(frozen=True)
class Champion:
    """A loaded bundle and the decision that made it champion; ``live`` says what its live forecasts were worth."""

    bundle: Bundle
    forecaster: BundleForecaster
    promotion: str
    promoted_at: datetime
    decided_by: str | None = None
    reason: str | None = None
    gate: Mapping[str, Any] | None = None
    live: Live = field(default_factory=dict)

    @property
    def bundle_id(self) -> str:
        """SHA-256 of the manifest."""
        return self.bundle.bundle_id

    @property
    def is_reference(self) -> bool:
        """Whether this is the naive forecast with its quantiles, which does not age."""
        return self.bundle.manifest.kind is BundleKind.REFERENCE

    @cached_property
    def scores(self) -> Mapping[int, Mapping[str, Any]]:
        """The manifest's figures over all tickers, by horizon."""
        return {score["horizon"]: score for score in self.bundle.manifest.scores if score.get("ticker") == ALL_TICKERS}

    def age(self, now: datetime) -> timedelta:
        """Time since the bundle was made."""
        return now - self.bundle.manifest.created_at

    def is_past(self, days: int, now: datetime) -> bool:
        """Whether it is older than so many days; the reference never is."""
        return self._made_at is not None and now - self._made_at > timedelta(days)

    @cached_property
    def _made_at(self) -> datetime | None:
        """When a bundle that ages was made."""
        return None if self.is_reference else self.bundle.manifest.created_at


@dataclass(frozen=True)
class Refusal:
    """A bundle that the ledger names and that was not loaded."""

    bundle_id: str
    reason: str


class ChampionHolder:
    """What this process serves.

    Parameters
    ----------
    sessions : where the ledger is read.
    settings : where bundles lie, and how old one may be.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession], settings: Settings) -> None:
        self._sessions = sessions
        self._settings = settings
        self._champion: Champion | None = None
        self._reference: Champion | None = None
        self._refused: list[Refusal] = []
        self._newest_line: int | None = None  # of the ledger, as of the last time that it was read
        self._figures_at: datetime | None = None  # the newest of any bundle, likewise
        self._loading = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look after the ledger now and then: a notification can be lost without anybody noticing."""
        self._watching = asyncio.create_task(self._watch(), name="champion-watch")

    async def stop(self) -> None:
        """Look no more; what is being loaded is loaded."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def serving(self, now: datetime) -> Champion:
        """The champion, or the reference in the place of one past its hard age.

        Raises
        ------
        NoChampionError : nothing could be loaded yet, or the champion is too old and the reference is refused.
        """
        if self._champion is None:
            raise NoChampionError
        if not self._is_too_old(self._champion, now):
            return self._champion
        if self._reference is None:
            raise NoChampionError("the champion is past its hard age and the reference cannot be loaded")
        return self._reference

    def is_flagged(self, champion: Champion, now: datetime) -> bool:
        """Whether a bundle is older than one should be."""
        return champion.is_past(self._settings.model_max_age_days, now)

    def age(self, now: datetime) -> timedelta:
        """Since the ledger's champion was made, while the reference serves in its place too; 0 for a reference.

        Raises
        ------
        NoChampionError : nothing could be loaded yet.
        """
        if self._champion is None:
            raise NoChampionError
        return timedelta(0) if self._champion.is_reference else self._champion.age(now)

    @property
    def max_age(self) -> timedelta:
        """The age past which a champion is flagged."""
        return timedelta(days=self._settings.model_max_age_days)

    async def reload(self, told: str | None = None) -> None:
        """Load what the ledger names; a bundle that is refused, or a database that is away, changes nothing.

        ``told`` is what a notification said: the bundle that was promoted, or ``LOAD_ANEW``.
        """
        try:
            await self._follow_ledger(anew=told == LOAD_ANEW)
        except (SQLAlchemyError, OSError) as error:
            logger.warning("the ledger cannot be read, the champion stays: %s", type(error).__name__)

    async def reload_figures(self, told: str | None = None) -> None:
        """Take what a scoring run found; a database that is away changes nothing.

        ``told`` is the bundle that has new figures; None: some may have been missed.
        """
        del told
        try:
            async with self._loading:
                await self._take(self._champion, self._reference)
        except (SQLAlchemyError, OSError) as error:
            logger.warning("figures of live forecasts cannot be read, the former stay: %s", type(error).__name__)

    async def load_anew(self) -> list[Refusal]:
        """Read ledger and files again, those of the served bundle too; gives what was refused on the way.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError : the ledger cannot be read.
        """
        await self._follow_ledger(anew=True)
        return self._refused

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                if await self._is_behind():
                    await asyncio.shield(self.reload())
            except Exception:  # whatever it was: who looks no more misses every promotion to come
                logger.exception("the ledger was looked at in vain, the champion stays")

    async def _is_behind(self) -> bool:
        try:
            async with self._sessions() as db:
                newest = await crud.newest_promotions(db, limit=1)
                figures_at = await crud.newest_figures_at(db)
        except (SQLAlchemyError, OSError):  # whoever is connected again reads the ledger at once
            return False
        return bool(newest) and (newest[0].id, figures_at) != (self._newest_line, self._figures_at)

    async def _follow_ledger(self, *, anew: bool) -> None:
        async with self._loading:
            async with self._sessions() as db:
                ledger = await crud.newest_promotions(db, limit=LEDGER_DEPTH)
                reference = await crud.first_promotion(db)
            self._refused = []
            champion = await self._first_that_loads(ledger, anew=anew) or self._champion
            stand_in = self._reference
            if reference is not None and (anew or stand_in is None):
                stand_in = await self._load(reference, promotion=STAND_IN) or stand_in
            await self._take(champion, stand_in)
            self._newest_line = ledger[0].id if ledger else None

    async def _take(self, champion: Champion | None, reference: Champion | None) -> None:
        """Serve these, with what is known of their live forecasts; one that has no news stays the same object."""
        ids = {one.bundle_id for one in (champion, reference) if one is not None}
        async with self._sessions() as db:
            rows = await crud.live_figures(db, ids)
            self._figures_at = await crud.newest_figures_at(db)
        self._champion, self._reference = _with_figures(champion, rows), _with_figures(reference, rows)

    async def _first_that_loads(self, ledger: Sequence[Promotion], *, anew: bool) -> Champion | None:
        """The newest promotion whose bundle is accepted; while one is served, only newer ones are of interest.

        What is served stays even where its files, read anew, are refused.
        """
        for promotion in ledger:
            served = self._champion is not None and promotion.bundle_id == self._champion.bundle_id
            champion = None if served and not anew else await self._load(promotion, promotion=promotion.kind)
            if champion is not None:
                return champion
            if served and self._champion is not None:
                return self._again(self._champion, promotion)
        return None

    def _again(self, champion: Champion, promotion: Promotion) -> Champion:
        return _decided(champion.bundle, champion.forecaster, promotion.kind, promotion)

    async def _load(self, decision: Promotion, *, promotion: str) -> Champion | None:
        folder: Path = self._settings.bundles / decision.bundle_id
        try:
            bundle = await asyncio.to_thread(load_bundle, folder, self._settings.inference_engine)
        except BundleRefusedError as error:
            logger.warning("bundle %s stays out: %s", decision.bundle_id, error.reason)
            self._refused.append(Refusal(decision.bundle_id, error.reason))
            return None
        return _decided(bundle, BundleForecaster(bundle), promotion, decision)

    def _is_too_old(self, champion: Champion, now: datetime) -> bool:
        return champion.is_past(self._settings.model_hard_age_days, now)


def _with_figures(champion: Champion | None, rows: Sequence[LiveSkill]) -> Champion | None:
    if champion is None:
        return None
    live = {(row.horizon, row.days): row.figures for row in rows if row.bundle_id == champion.bundle_id}
    return champion if live == champion.live else replace(champion, live=live)


def _decided(bundle: Bundle, forecaster: BundleForecaster, kind: str, line: Promotion) -> Champion:
    return Champion(bundle, forecaster, kind, line.decided_at, line.decided_by, line.reason, line.figures)
