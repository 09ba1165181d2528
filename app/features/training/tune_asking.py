"""Tunings over HTTP: what was asked for becomes a job."""

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.configuration.errors import InvalidConfigurationError
from app.features.market_data.service import require_bars
from app.features.training import asking, service
from app.features.training.schemas import JobAccepted
from app.features.training.tune_schemas import TuneWish
from app.models.training_job import JobKind
from data_pipeline.errors import ConfigurationError
from ml_lifecycle.training.search_space import Candidates
from ml_lifecycle.training.tune_spec import TuneSpec


async def tune(db: AsyncSession, wish: TuneWish, user_id: UUID) -> JobAccepted:
    """Have a search run, in this transaction, and commit.

    Raises
    ------
    InvalidConfigurationError : a value of the space can not be tried.
    TickerNotStoredError, NothingStoredError, TrainingInProgressError
    """
    await require_bars(db, wish.tickers or [])
    spec = wish.spec(owner=str(user_id))
    await asyncio.to_thread(_require_possible, TuneSpec.model_validate(spec))
    job = await service.start_job(db, kind=JobKind.TUNE, spec=spec, owner=user_id, reason=f"user {user_id}: POST /tune")
    told = asking.accepted(job)
    await db.commit()
    return told


def _require_possible(spec: TuneSpec) -> None:
    """So that nothing waits that cannot be tried."""
    space = spec.searched()
    try:
        Candidates.of(space)
        if spec.is_grid:
            space.grid()
    except ConfigurationError as error:
        raise InvalidConfigurationError(str(error)) from error
