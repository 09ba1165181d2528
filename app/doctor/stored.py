"""Bars, calendars and the champion's bundle: what is stored, and whether it can be worked with. This brings Polars."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from app.config import Settings
from app.doctor.finding import Finding, fail, ok, warn
from app.features.registry.service import champion_and_shadows
from app.supervisor.one_session import one_session
from data_pipeline.errors import ClosecastError, UnknownCalendarError
from data_pipeline.processing import calendars
from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.storage.snapshot import SeriesInfo
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.manifest import BundleKind

COLLECT = "run `closecast collect TICKER…`"


def look_at_bars(settings: Settings, now: datetime) -> list[Finding]:
    """What the store holds, and each exchange's calendar."""
    try:
        store = FeatureStore(settings.bars_uri, settings.store_options)
        series = store.series()
        if not series:
            return [warn("store", f"no bars in {settings.bars_uri}", COLLECT)]
        newest = store.version().version
    except (ClosecastError, OSError) as error:
        advice = "see that CLOSECAST_STORE_URI and CLOSECAST_STORE_OPTIONS are right, or restore a backup"
        return [fail("store", f"{settings.bars_uri}: {str(error).splitlines()[0]}", advice)]
    told = f"{len(series)} tickers, {sum(each.n_bars for each in series):,} bars, data version {newest}"
    exchanges = sorted({each.exchange for each in series})
    return [ok("store", told), *(_calendar(settings, exchange, series, now) for exchange in exchanges)]


def _calendar(settings: Settings, exchange: str, series: list[SeriesInfo], now: datetime) -> Finding:
    live = [each.last_day for each in series if each.exchange == exchange and each.live]
    try:
        final = calendars.last_final_day(exchange, now, settings.final_after)
        behind = [
            len(calendars.trading_days(exchange, day + timedelta(days=1), final + timedelta(days=1))) for day in live
        ]
    except UnknownCalendarError as error:
        return fail("calendar", str(error), "a newer exchange_calendars may know it: its tickers get no target days")
    told = f"{exchange}: newest final day {final}"
    if behind and max(behind) > settings.stale_after_days:
        late = f"{told}; the oldest live ticker is {max(behind)} trading days behind"
        return warn("calendar", late, "see that a worker runs and Yahoo answers, or run `closecast collect`")
    return ok("calendar", told)


def look_at_champion(settings: Settings, now: datetime) -> Finding:
    """Whether the bundle that the ledger names loads here, and its age."""
    try:
        champion = asyncio.run(_champion_id(settings))
    except (SQLAlchemyError, OSError) as error:
        return fail("champion", f"the ledger cannot be read: {type(error).__name__}", "see the database")
    if champion is None:
        return fail("champion", "nobody is champion", "run `closecast migrate`: it makes the reference champion")
    try:
        manifest = load_bundle(settings.bundles / champion, settings.inference_engine).manifest
    except BundleRefusedError as error:
        advice = "bring its folder back from a backup, or run `closecast rollback`; API processes keep what they loaded"
        return fail("champion", f"bundle {champion[:12]} is refused: {error.reason}", advice)
    if manifest.kind is BundleKind.REFERENCE:
        return ok("champion", f"the reference {champion[:12]}: nothing has passed the gate yet")
    age = (now - manifest.created_at).days
    told = f"bundle {champion[:12]}, {age} days old"
    advice = "train and promote a newer one: `closecast train`, `closecast promote`"
    if age > settings.model_hard_age_days:
        return fail("champion", f"{told}: the reference serves in its place", advice)
    return warn("champion", told, advice) if age > settings.model_max_age_days else ok("champion", told)


async def _champion_id(settings: Settings) -> str | None:
    async with one_session(settings) as db:
        champion, _ = await champion_and_shadows(db)
        return champion
