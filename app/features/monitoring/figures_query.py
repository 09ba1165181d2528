"""The one question that the figures from the database are read with: it costs a process one exchange in 15 seconds."""

from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

STATEMENT_TIMEOUT: Final = "1500ms"  # shorter than whoever asks waits: PostgreSQL's own word is the better one
HORIZONS: Final = (1, 5, 10, 21, 30)  # some of those that are scored: each is sixteen series
DAYS: Final = 365  # as in `closecast_live_coverage_rejected`

# Each part is bounded by an index or reads a table that stays small; instants are seconds since 1970.
QUESTION = text(
    """
WITH due AS (
    SELECT id, queue_name, status::text AS status, scheduled_at FROM procrastinate_jobs
    WHERE status IN ('doing', 'failed') OR (status = 'todo' AND coalesce(scheduled_at <= now(), true))
), champion AS (
    SELECT bundle_id, extract(epoch FROM decided_at) AS decided_at FROM promotions ORDER BY id DESC LIMIT 1
)
SELECT json_build_object(
    'places', (SELECT coalesce(json_object_agg(place, n), '{}') FROM (
        SELECT concat(queue_name, ' ', status) AS place, count(*) AS n FROM due GROUP BY 1) AS counted),
    'oldest', (SELECT coalesce(json_object_agg(queue_name, waited), '{}') FROM (
        SELECT due.queue_name,
            extract(epoch FROM clock_timestamp() - min(coalesce(due.scheduled_at, event.at)))::float8 AS waited
        FROM due LEFT JOIN procrastinate_events AS event ON event.job_id = due.id AND event.type = 'deferred'
        WHERE due.status = 'todo' GROUP BY 1) AS waiting WHERE waited IS NOT NULL),
    'training', (SELECT coalesce(json_object_agg(kind_and_status, n), '{}') FROM (
        SELECT concat(kind, ' ', status) AS kind_and_status, count(*) AS n FROM training_jobs
        WHERE finished_at IS NULL OR finished_at > now() - interval '1 day' GROUP BY 1) AS counted),
    'expired', (SELECT count(*) FROM training_jobs WHERE lease_until < clock_timestamp()),
    'steps', (SELECT coalesce(json_object_agg(state, n), '{}') FROM (
        SELECT step.state, count(*) AS n FROM chain_steps AS step JOIN chain_runs AS run ON run.id = step.run_id
        WHERE run.opened_at > now() - interval '7 days' GROUP BY 1) AS counted),
    'circuits', (SELECT coalesce(json_object_agg(source, state), '{}') FROM source_circuits),
    'live', (SELECT json_build_object('tickers', count(*), 'newest', extract(epoch FROM max(cutoff))::float8,
            'late', count(*) FILTER (WHERE known_at[1] < clock_timestamp() - interval '6 hours'))
        FROM serving_windows WHERE as_of IS NULL AND live),
    'partitions', (SELECT coalesce(json_agg(inhrelid::regclass::text), '[]')
        FROM pg_inherits WHERE inhparent = 'prediction_log'::regclass),
    'made', (SELECT coalesce(json_object_agg(kind, n), '{}') FROM (
        SELECT kind, count(*) AS n FROM forecasts WHERE made_at > now() - interval '1 day' GROUP BY 1) AS counted),
    'promoted', (SELECT decided_at::float8 FROM champion),
    'skill', (SELECT coalesce(json_object_agg(horizon, figures), '{}') FROM live_skill
        WHERE kind = 'live' AND days = :days AND horizon = ANY(:horizons)
            AND bundle_id = (SELECT bundle_id FROM champion)),
    'drift', (SELECT json_build_object('recommendation', recommendation, 'columns', columns,
            'made_at', extract(epoch FROM made_at)::float8)
        FROM drift_reports ORDER BY made_at DESC, id DESC LIMIT 1)
)
"""
)


async def read(db: AsyncSession) -> dict[str, Any]:
    """The answer; the session may be given back at once.

    Raises
    ------
    SQLAlchemyError, OSError : the database is away, or late.
    """
    await db.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
    found: dict[str, Any] = (await db.execute(QUESTION, {"days": DAYS, "horizons": list(HORIZONS)})).scalar_one()
    return found
