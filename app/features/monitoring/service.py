"""Whether this process can do its work, and what all of them have done."""

from datetime import datetime
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.migrations import current_revision, serves
from app.core.monitoring.metrics import ForecastOutcome
from app.core.problems import problem
from app.core.security import now_utc
from app.features.monitoring.counting import Window, read_counts
from app.features.monitoring.schemas import LatencyRead, MonitorRead, UnansweredRead, WindowRead
from app.features.registry.champion import ChampionHolder
from app.features.registry.errors import NoChampionError
from app.features.stock_prediction.log_writer import PredictionLogWriter
from data_pipeline.errors import ClosecastError

OK = "ok"
NOT_ASKED = "not asked, the database is away"
UNANSWERED = tuple(
    outcome.value for outcome in ForecastOutcome if outcome not in (ForecastOutcome.COMPUTED, ForecastOutcome.REPEATED)
)


@problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not-ready",
    example="not ready: database",
    members=("checks",),
)
class NotReadyError(ClosecastError):
    """The service cannot answer forecasts just now: `checks` says what is missing; repeat shortly."""

    retry_after_seconds = 2.0

    def __init__(self, checks: dict[str, str]) -> None:
        super().__init__(f"not ready: {', '.join(name for name, state in checks.items() if state != OK)}")
        self.checks = checks


@problem(HTTPStatus.NOT_FOUND, "unknown-problem", example="no problem of this service has this name")
class UnknownProblemError(ClosecastError):
    """No problem of this service has this name: take it from a document's `type`."""

    def __init__(self) -> None:
        super().__init__("no problem of this service has this name")


async def check_readiness(
    sessions: async_sessionmaker[AsyncSession],
    champions: ChampionHolder,
    log: PredictionLogWriter,
    *,
    wanted_revision: str,
) -> dict[str, str]:
    """Each thing that a forecast needs, all ``ok``.

    Raises
    ------
    NotReadyError : something is not.
    """
    checks = await _check_database(sessions, wanted_revision)
    checks["champion"] = _check_champion(champions)
    checks["prediction_log"] = OK if log.is_writing else "nobody writes it, this process must be started again"
    if any(state != OK for state in checks.values()):
        raise NotReadyError(checks)
    return checks


async def _check_database(sessions: async_sessionmaker[AsyncSession], wanted_revision: str) -> dict[str, str]:
    try:
        async with sessions() as db:
            connection = await db.connection()
            revision = await connection.run_sync(current_revision)
    except (SQLAlchemyError, OSError) as error:
        return {"database": f"away: {type(error).__name__}", "migrations": NOT_ASKED}
    migrations = OK if serves(revision, wanted_revision) else f"at {revision or 'none'}, {wanted_revision} is needed"
    return {"database": OK, "migrations": migrations}


def _check_champion(champions: ChampionHolder) -> str:
    try:
        champions.serving(now_utc())
    except NoChampionError as error:
        return str(error)
    return OK


async def read_monitor(db: AsyncSession, now: datetime, *, ready: bool) -> MonitorRead:
    """What was answered and what was not, in the last hour and day and of all time."""
    counts = await read_counts(db, now)
    total = counts.all_time.answered
    return MonitorRead(
        status="ok" if ready else "degraded",
        last_hour=_window(counts.last_hour),
        last_day=_window(counts.last_day),
        all_time=_window(counts.all_time),
        behind=counts.behind,
        total_inferences=total.answers,
        avg_latency_ms=total.mean_ms,
        min_latency_ms=total.min_ms,
        max_latency_ms=total.max_ms,
        last_inference_timestamp=total.newest_at,
    )


def _window(window: Window) -> WindowRead:
    answered = window.answered
    errors = {outcome: window.unanswered.get(outcome, 0) for outcome in UNANSWERED}
    return WindowRead(
        since=window.since,
        inferences=answered.answers,
        latency_ms=LatencyRead(
            mean=answered.mean_ms,
            min=answered.min_ms,
            max=answered.max_ms,
            p50=answered.percentile_ms(0.5),
            p95=answered.percentile_ms(0.95),
            p99=answered.percentile_ms(0.99),
        ),
        last_inference_at=answered.newest_at,
        errors=UnansweredRead(**errors, total=sum(errors.values())),
    )
