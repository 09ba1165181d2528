"""Data and jobs: how old bars are and why, what waits, what failed."""

from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards.panels import AnyPanel, choice, dashboard, graph, number, table
from tools.dashboards.queries import DATABASE, curve, newest, quantile, rows, series

RATE = "[$__rate_interval]"


def board() -> Dashboard:
    """The dashboard."""
    contents = [
        Row("At a glance"),
        *_glance(),
        Row("Bars"),
        *_bars(),
        Row("Sources"),
        *_sources(),
        Row("Jobs"),
        *_jobs(),
        Row("After each close"),
        *_chain(),
        Row("Answers, from the log"),
        *_answers(),
    ]
    return dashboard(
        "closecast-data-and-jobs",
        "Closecast: data and jobs",
        "Bars and their sources, the queues, trainings, and what is done after each close.",
        contents,
        choice("exchange", "Exchange", "SELECT DISTINCT exchange FROM serving_windows ORDER BY exchange", DATABASE),
        since="24h",
    )


def _glance() -> list[AnyPanel]:
    return [
        number(
            "Live tickers",
            "Tickers of a live source that have a serving window.",
            units.NoUnit,
            newest("max(closecast_live_tickers)"),
        ),
        number(
            "Late tickers",
            "Live tickers that lack a bar which has been final for six hours.",
            units.NoUnit,
            newest("max(closecast_live_tickers_late)"),
            warn_above=1,
        ),
        number(
            "Longest wait in a queue",
            "How long the first due job of any queue has waited.",
            units.Seconds,
            series("max(closecast_queue_oldest_seconds)"),
            warn_above=600,
        ),
        number(
            "Failed jobs",
            "Jobs of all queues that failed within seven days.",
            units.NoUnit,
            newest('sum(max by (queue) (closecast_queue_jobs{status="failed"}))'),
            warn_above=1,
        ),
        number(
            "Leases that ran out",
            "Running jobs whose worker gives no heartbeat: nobody works on them.",
            units.NoUnit,
            newest("max(closecast_training_leases_expired)"),
            warn_above=1,
        ),
        number(
            "Months of log ahead",
            "Partitions of the prediction log that wait for their month; below 0 nothing can be logged.",
            units.NoUnit,
            newest("max(closecast_log_partitions_ahead)"),
            warn_below=1,
        ),
    ]


def _bars() -> list[AnyPanel]:
    return [
        graph(
            "Age of the data behind answers",
            "Age of the newest bar behind each live forecast: half and 95 of 100 answers. Weekends show.",
            units.Seconds,
            *(
                series(quantile(share, f"rate(closecast_data_age_seconds_bucket{RATE})"), f"{share:.0%}")
                for share in (0.5, 0.95)
            ),
        ),
        graph(
            "Newest live bar",
            "Since the beginning of its day, over all live tickers.",
            units.Seconds,
            series("max(closecast_newest_bar_age_seconds)", "age"),
        ),
        graph(
            "Data versions published",
            "Versions of the store that windows were published from, by hour.",
            units.NoUnit,
            curve(
                """
                SELECT date_trunc('hour', published_at) AS time, count(*) AS versions
                FROM data_versions WHERE $__timeFilter(published_at) GROUP BY 1 ORDER BY 1
                """
            ),
        ),
        table(
            "Tickers by exchange",
            "Newest serving windows: how many, of which days, from which sources.",
            rows(
                """
                SELECT exchange, source, live, count(*) AS tickers, min(cutoff) AS "oldest newest bar",
                       max(cutoff) AS "newest bar", max(published_at) AS published
                FROM serving_windows WHERE as_of IS NULL AND exchange IN ($exchange)
                GROUP BY exchange, source, live ORDER BY exchange, source
                """
            ),
            {"published": units.DateTimeFromNow},
            width=12,
        ),
    ]


def _sources() -> list[AnyPanel]:
    return [
        graph(
            "Failed askings by cause",
            "`rate_limited`, `malformed`: the source refuses; `network`: the way there; `circuit_open`: our own pause.",
            units.OpsPerSecond,
            series(f"sum by (cause) (rate(closecast_source_errors_total{RATE}))", "{{cause}}"),
        ),
        graph(
            "Breaker",
            "1 where the source is not asked, after five failures in a row.",
            units.NoUnit,
            series("max by (source) (closecast_source_circuit_open)", "{{source}}"),
        ),
        table(
            "What failed last",
            "Why tickers have no bars, until when that is believed.",
            rows(
                """
                SELECT ticker, as_of AS "as of", cause, source, bars_needed AS "bars needed",
                       bars_found AS "bars found", expires_at AS "tried again"
                FROM window_failures ORDER BY expires_at DESC LIMIT 50
                """
            ),
            {"tried again": units.DateTimeFromNow},
        ),
    ]


def _jobs() -> list[AnyPanel]:
    return [
        graph(
            "Jobs in the queues",
            "Due and waiting (`todo`), being done (`doing`), failed within seven days.",
            units.NoUnit,
            series("max by (queue, status) (closecast_queue_jobs)", "{{queue}} {{status}}"),
        ),
        graph(
            "Wait of the first due job",
            "Where it grows, no worker takes jobs of that queue.",
            units.Seconds,
            series("max by (queue) (closecast_queue_oldest_seconds)", "{{queue}}"),
        ),
        graph(
            "Trainings, updates, tunings, drift reports",
            "Waiting and running now, the others ended within 24 hours.",
            units.NoUnit,
            series("max by (kind, status) (closecast_training_jobs) > 0", "{{kind}} {{status}}"),
        ),
        graph(
            "Leases that ran out, by the hour",
            "Jobs whose worker gave no heartbeat for a lease: workers that were killed or hang.",
            units.NoUnit,
            series("sum(increase(closecast_training_lease_expiries_total[1h]))", "within the hour"),
        ),
        table(
            "Newest long jobs",
            "As users and the schedule asked for them.",
            rows(
                """
                SELECT id::text AS job, kind, status, created_at AS asked,
                       extract(epoch FROM coalesce(finished_at, now()) - started_at) AS took, attempt, failure
                FROM training_jobs ORDER BY created_at DESC LIMIT 50
                """
            ),
            {"asked": units.DateTimeFromNow, "took": units.Seconds},
        ),
    ]


def _chain() -> list[AnyPanel]:
    return [
        graph(
            "Steps of seven days",
            "Steps of the chains after each close, by state.",
            units.NoUnit,
            series("max by (state) (closecast_after_close_steps)", "{{state}}"),
        ),
        table(
            "Trainings decided upon",
            "Whether a training was asked for after a close, and why, or why not.",
            rows(
                """
                SELECT decided_at AS decided, trains, array_to_string(rules, ', ') AS rules, reason
                FROM retrain_decisions ORDER BY decided_at DESC LIMIT 50
                """
            ),
            {"decided": units.DateTimeFromNow},
            width=12,
        ),
        table(
            "Newest chains",
            "Each exchange's close and the steps after it.",
            rows(
                """
                SELECT exchange, trading_day AS "day", step, state, attempts, finished_at AS finished,
                       extract(epoch FROM finished_at - started_at) AS took, due_at AS "tried again", error
                FROM chain_steps JOIN chain_runs ON chain_runs.id = chain_steps.run_id
                WHERE exchange IN ($exchange)
                ORDER BY trading_day DESC, exchange, started_at DESC NULLS LAST LIMIT 100
                """
            ),
            {"finished": units.DateTimeFromNow, "took": units.Seconds, "tried again": units.DateTimeFromNow},
        ),
    ]


def _answers() -> list[AnyPanel]:
    return [
        graph(
            "Answered forecasts",
            "From the prediction log, in slices of ten minutes.",
            units.NoUnit,
            curve(
                """
                SELECT slice_at AS time, answers FROM answer_counts
                WHERE slice_at > to_timestamp(0) AND $__timeFilter(slice_at) ORDER BY slice_at
                """
            ),
        ),
        graph(
            "Unanswered forecasts",
            "Asked for and not answered, by outcome, in slices of ten minutes.",
            units.NoUnit,
            curve(
                """
                SELECT slice_at AS time, outcome AS metric, n AS value FROM unanswered_counts
                WHERE slice_at > to_timestamp(0) AND $__timeFilter(slice_at) ORDER BY slice_at
                """
            ),
        ),
    ]
