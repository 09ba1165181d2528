"""The job: compares, and keeps the report where a database is. It brings SciPy and River."""

import asyncio
from collections.abc import Mapping
from typing import Any

from app.config import Settings
from app.features.drift import service
from app.features.drift.drift_spec import DriftSpec
from app.features.drift.live_days import LiveDays
from app.features.drift.measuring import Measured, Progress, measure
from app.features.drift.schemas import fields_of_system_a
from app.features.registry.folders import find_bundle
from app.features.training.kinds import Emit
from app.supervisor.one_session import one_session


def run(settings: Settings, spec: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Compare as the spec says (``DriftSpec``); see ``as_result``.

    Raises
    ------
    ClosecastError : see ``measure``.
    """
    emit.log("comparing")
    return as_result(
        compare(
            settings,
            DriftSpec.of(spec),
            tell=lambda done, total, ticker: emit.progress(done=done, total=total, ticker=ticker),
        )
    )


def compare(settings: Settings, asked: DriftSpec, *, tell: Progress) -> tuple[str | None, Measured]:
    """``measure``, with the live forecasts' scores where a database is, which keeps the report then; gives its id."""
    if settings.database_url is None:
        return None, measure(settings, asked, tell=tell)
    named, live = asyncio.run(_look_up(settings, asked))
    measured = measure(settings, named, live, tell=tell)
    return asyncio.run(_keep(settings, named, measured)), measured


def as_result(compared: tuple[str | None, Measured]) -> dict[str, Any]:
    """The report as one document, with the fields of system A; ``report`` is its id, None where none is kept."""
    report, measured = compared
    values = service.as_values(measured)
    return {"report": report, **fields_of_system_a(values["columns"], values["recommendation"]), **values}


async def _look_up(settings: Settings, asked: DriftSpec) -> tuple[DriftSpec, LiveDays | None]:
    async with one_session(settings) as db:
        named = await service.with_champion(db, asked)
        live = None if named.bundle is None else await LiveDays.read(db, find_bundle(settings, named.bundle).name)
        return named, live


async def _keep(settings: Settings, asked: DriftSpec, measured: Measured) -> str:
    async with one_session(settings) as db:
        report = await service.keep(db, measured, asked=asked)
        await db.commit()
        return str(report.id)
