"""The service: rate, errors and duration of requests; use, saturation and errors of what they need."""

from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards.panels import AnyPanel, choice, dashboard, graph, number
from tools.dashboards.queries import PROMETHEUS, newest, quantile, series

HERE = 'instance=~"$instance"'
PROCESS = f'{HERE},process=~"$process"'
RATE = "[$__rate_interval]"
REQUESTS = f"sum(rate(http_requests_total{{{HERE}}}{RATE}))"
FORECASTS = f'rate(http_request_duration_seconds_bucket{{{HERE},group="forecast"}}{RATE})'
WINDOWS = ("5m", "1h", "6h")  # of the recorded shares


def board() -> Dashboard:
    """The dashboard."""
    contents = [
        Row("At a glance"),
        *_glance(),
        Row("Rate and errors"),
        *_rate_and_errors(),
        Row("Duration"),
        *_duration(),
        Row("Objectives"),
        *_objectives(),
        Row("Processes"),
        *_processes(),
        Row("What requests wait for"),
        *_waiting(),
    ]
    return dashboard(
        "closecast-service",
        "Closecast: service",
        "Requests by rate, errors and duration; processes by use, saturation and errors.",
        contents,
        choice("instance", "Instance", "label_values(closecast_process_start_time_seconds, instance)", PROMETHEUS),
        choice(
            "process", "Process", f"label_values(closecast_process_start_time_seconds{{{HERE}}}, process)", PROMETHEUS
        ),
        since="3h",
    )


def _glance() -> list[AnyPanel]:
    return [
        number(
            "Answering Prometheus",
            "Share of the chosen instances whose figures could be fetched.",
            units.PercentUnit,
            series(f"avg(up{{{HERE}}})"),
            warn_below=1,
        ),
        number("Requests", "Requests of all routes.", units.RequestsPerSecond, series(REQUESTS)),
        number(
            "Failed on our side",
            "Share of requests that were answered with 5xx.",
            units.PercentUnit,
            series(f'(sum(rate(http_requests_total{{{HERE},status="5xx"}}{RATE})) or vector(0)) / {REQUESTS}'),
            warn_above=0.001,
        ),
        number(
            "Forecasts within",
            "95 of 100 forecasts are answered within this time.",
            units.Seconds,
            series(quantile(0.95, FORECASTS)),
            warn_above=0.5,
        ),
        number(
            "Processes",
            "API processes and workers that tell figures.",
            units.NoUnit,
            newest(f"count(closecast_process_start_time_seconds{{{HERE}}})"),
        ),
        number(
            "Alerts",
            "Rules of Prometheus that fire. Which ones, and what to do: Alerting in the menu, and docs/runbooks.",
            units.NoUnit,
            newest('count(ALERTS{alertstate="firing"}) or vector(0)'),
            warn_above=1,
        ),
    ]


def _rate_and_errors() -> list[AnyPanel]:
    return [
        graph(
            "Requests by route",
            "By the route's template; unknown paths are `none`.",
            units.RequestsPerSecond,
            series(f"sum by (handler) (rate(http_requests_total{{{HERE}}}{RATE}))", "{{handler}}"),
        ),
        graph(
            "Answers by status",
            "429 and 503 are the API protecting itself; 500 is a defect of ours.",
            units.RequestsPerSecond,
            series(f"sum by (code) (rate(http_responses_total{{{HERE}}}{RATE}))", "{{code}}"),
        ),
        graph(
            "Refused and failed by route",
            "4xx and 5xx: the route that errors come from.",
            units.RequestsPerSecond,
            series(
                f'sum by (handler, status) (rate(http_requests_total{{{HERE},status=~"4xx|5xx"}}{RATE}))',
                "{{status}} {{handler}}",
            ),
        ),
        graph(
            "Forecasts by outcome",
            "`unavailable`: a source or the database; `failed`: a defect of ours; `refused`, `unknown`: the asker's.",
            units.RequestsPerSecond,
            series(f"sum by (outcome) (rate(closecast_forecasts_total{{{HERE}}}{RATE}))", "{{outcome}}"),
        ),
    ]


def _duration() -> list[AnyPanel]:
    return [
        graph(
            "Latency of forecasts",
            "Median, 95 and 99 of 100 answers of /predict and /infer.",
            units.Seconds,
            *(series(quantile(share, FORECASTS), f"{share:.0%}") for share in (0.5, 0.95, 0.99)),
        ),
        graph(
            "95 % latency by group of routes",
            "Which group of routes became slow; docs/metrics.md says which routes each one holds.",
            units.Seconds,
            series(
                quantile(0.95, f"rate(http_request_duration_seconds_bucket{{{HERE}}}{RATE})", "group"),
                "{{group}}",
            ),
        ),
        graph(
            "Mean latency by route",
            "Seconds taken over requests answered.",
            units.Seconds,
            series(
                f"sum by (handler) (rate(http_request_seconds_total{{{HERE}}}{RATE}))"
                f" / sum by (handler) (rate(http_requests_total{{{HERE}}}{RATE}))",
                "{{handler}}",
            ),
        ),
        graph(
            "Inference",
            "From the serving window to quantiles, database left out.",
            units.Seconds,
            *(
                series(
                    quantile(share, f"rate(closecast_inference_seconds_bucket{{{HERE}}}{RATE})"),
                    f"{share:.0%}",
                )
                for share in (0.5, 0.95)
            ),
        ),
    ]


def _objectives() -> list[AnyPanel]:
    recorded = (
        ("Forecasts that failed", "Share of forecasts asked for that ended failed or unavailable", "forecast_failures"),
        ("Forecasts that were slow", "Share of forecasts answered after more than half a second", "forecast_slow"),
        ("Requests that failed", "Share of all requests that were answered with 5xx", "request_errors"),
    )
    return [
        graph(
            title,
            f"{meaning}, over windows of {', '.join(WINDOWS)}: what the alerts about objectives look at.",
            units.PercentUnit,
            *(series(f"closecast:{name}:ratio_rate{window}", window) for window in WINDOWS),
            width=8,
        )
        for title, meaning, name in recorded
    ]


def _processes() -> list[AnyPanel]:
    return [
        graph(
            "Processor time",
            "Cores in use by each process; an API process has one event loop and so one core.",
            units.PercentUnit,
            series(f"rate(closecast_process_cpu_seconds_total{{{PROCESS}}}{RATE})", "{{instance}} {{process}}"),
        ),
        graph(
            "Memory",
            "Resident memory; what only grows is a leak.",
            units.BytesIEC,
            series(f"closecast_process_resident_memory_bytes{{{PROCESS}}}", "{{instance}} {{process}}"),
        ),
        graph(
            "Open files",
            "Share of the files and sockets that may be open; at 1 no connection is taken any more.",
            units.PercentUnit,
            series(
                f"closecast_process_open_fds{{{PROCESS}}} / closecast_process_max_fds{{{PROCESS}}}",
                "{{instance}} {{process}}",
            ),
        ),
        graph(
            "Starts within the hour",
            "Every start beyond the first is a process that died or was replaced.",
            units.NoUnit,
            series(f"changes(closecast_process_start_time_seconds{{{PROCESS}}}[1h])", "{{instance}} {{process}}"),
        ),
    ]


def _waiting() -> list[AnyPanel]:
    return [
        graph(
            "Lag of the event loop",
            "How much later than asked for the loop woke, 99 of 100 times: something holds it up.",
            units.Seconds,
            series(
                quantile(0.99, f"rate(closecast_event_loop_lag_seconds_bucket{{{HERE}}}{RATE})"),
                "99%",
            ),
        ),
        graph(
            "Database connections",
            "Share of a process's connections in use, at the most; at 1 requests wait, then are refused.",
            units.PercentUnit,
            series(
                f"closecast_database_pool_used{{{PROCESS}}} / closecast_database_pool_size{{{PROCESS}}}",
                "{{instance}} {{process}}",
            ),
        ),
        graph(
            "Passwords being hashed",
            "Hashed or waiting for it; from 32 on sign-ins are refused.",
            units.NoUnit,
            series(f"closecast_hashing_waiting{{{PROCESS}}}", "{{instance}} {{process}}"),
        ),
        graph(
            "Log rows waiting",
            "Rows of the prediction log that wait for a commit; where they grow, the database commits too slowly.",
            units.NoUnit,
            series(f"closecast_log_rows_waiting{{{PROCESS}}}", "{{instance}} {{process}}"),
        ),
        graph(
            "Traffic",
            "Bytes of bodies that came and went.",
            units.BytesPerSecondIEC,
            series(f"sum(rate(http_request_size_bytes_sum{{{HERE}}}{RATE}))", "received"),
            series(f"sum(rate(http_response_size_bytes_sum{{{HERE}}}{RATE}))", "sent"),
        ),
        graph(
            "Figures from the database",
            "Since they were last read: the readings of each API process are to be younger than 15 s.",
            units.Seconds,
            series(f"closecast_figures_age_seconds{{{HERE}}}", "{{instance}}"),
        ),
    ]
