"""The model: skill beside the naive forecast, coverage, drift, and which bundle was champion when, and why."""

from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards.panels import AnyPanel, choice, dashboard, graph, number, table
from tools.dashboards.queries import PROMETHEUS, curve, newest, rows, series

CHOSEN = 'horizon="$horizon"'
PROMISES = (0.5, 0.8, 0.95)  # of the intervals


def board() -> Dashboard:
    """The dashboard."""
    contents = [
        Row("At a glance"),
        *_glance(),
        Row("Skill beside the naive forecast"),
        *_skill(),
        Row("Coverage"),
        *_coverage(),
        Row("Drift"),
        *_drift(),
        Row("Champions"),
        *_champions(),
    ]
    return dashboard(
        "closecast-model",
        "Closecast: model",
        "What live forecasts were worth, always beside “tomorrow closes where today did”. No investment advice.",
        contents,
        choice(
            "horizon",
            "Horizon (trading days)",
            "label_values(closecast_live_forecasts_scored, horizon)",
            PROMETHEUS,
            several=False,
        ),
        since="30d",
    )


def _glance() -> list[AnyPanel]:
    return [
        number(
            "Error over the naive's",
            "Mean absolute error of the champion's live forecasts over the naive's, 365 days; below 1 is better.",
            units.NoUnit,
            series(f"max(closecast_live_relative_mae{{{CHOSEN}}})"),
            warn_above=1,
        ),
        number(
            "Gain over the naive",
            "Gain in pinball loss over the naive, 365 days; above 0 is better.",
            units.PercentUnit,
            series(f"max(closecast_live_skill_gain{{{CHOSEN}}})"),
            warn_below=0,
        ),
        number(
            "Forecasts scored",
            "What these figures rest on. Few of them show nothing.",
            units.NoUnit,
            newest(f"max(closecast_live_forecasts_scored{{{CHOSEN}}})"),
        ),
        number(
            "Promises broken",
            "Intervals of one day ahead whose live coverage is rejected by a binomial test at 1 %.",
            units.NoUnit,
            newest("sum(max by (level) (closecast_live_coverage_rejected))"),
            warn_above=1,
        ),
        number(
            "Age of the champion",
            "Since the champion was made, even while the reference serves in its place; 0 for a reference as champion.",
            units.Seconds,
            series("max(closecast_champion_age_seconds)"),
        ),
        number(
            "Columns far from training",
            "Input columns that the newest drift report finds far from those of training.",
            units.NoUnit,
            newest('max(closecast_drift_columns{state="far"})'),
            warn_above=1,
        ),
    ]


def _skill() -> list[AnyPanel]:
    return [
        graph(
            "Error over the naive's, by horizon",
            "Mean absolute error over the naive's, as known at each moment; the line at 1 is the naive forecast.",
            units.NoUnit,
            series("max by (horizon) (closecast_live_relative_mae)", "{{horizon}} days"),
            series("vector(1)", "naive"),
        ),
        graph(
            "Gain over the naive, by horizon",
            "Gain in pinball loss; the line at 0 is the naive forecast.",
            units.PercentUnit,
            series("max by (horizon) (closecast_live_skill_gain)", "{{horizon}} days"),
            series("vector(0)", "naive"),
        ),
        graph(
            "Errors by day of the outcome",
            "Mean absolute error of live forecasts of all bundles in log return, day by day, beside the naive's.",
            units.PercentUnit,
            curve(
                """
                SELECT trading_day::timestamp AS time,
                       sum(absolute_error) / sum(n) AS model,
                       sum(naive_absolute_error) / sum(n) AS naive
                FROM score_days
                WHERE kind = 'live' AND step = $horizon AND n > 0 AND $__timeFilter(trading_day)
                GROUP BY trading_day ORDER BY trading_day
                """
            ),
        ),
        graph(
            "Outcomes scored and missing",
            "Live forecasts by day of the outcome; `missing`: the bar never came.",
            units.NoUnit,
            curve(
                """
                SELECT trading_day::timestamp AS time, sum(n) AS scored, sum(voids) AS missing
                FROM score_days
                WHERE kind = 'live' AND step = $horizon AND $__timeFilter(trading_day)
                GROUP BY trading_day ORDER BY trading_day
                """
            ),
        ),
        table(
            "Bundles beside the naive",
            "What each bundle's live forecasts were worth over 365 days; the label says whether it can be luck.",
            rows(
                """
                SELECT bundle_id AS bundle, horizon, (figures ->> 'scored')::int AS scored,
                       (figures ->> 'relative_mae')::float AS "error over the naive's",
                       (figures -> 'skill' ->> 'pinball_skill')::float AS gain,
                       figures -> 'skill' ->> 'label' AS label, computed_at AS computed
                FROM live_skill WHERE kind = 'live' AND days = 365 ORDER BY bundle_id, horizon
                """
            ),
            {"gain": units.PercentUnit, "computed": units.DateTimeFromNow},
        ),
    ]


def _coverage() -> list[AnyPanel]:
    return [
        graph(
            "Live coverage",
            "Share of outcomes inside the interval, over 365 days, beside what the intervals promise.",
            units.PercentUnit,
            series(f"max by (level) (closecast_live_coverage{{{CHOSEN}}})", "{{level}} % interval"),
            *(series(f"vector({promise})", f"{promise:.0%} promised") for promise in PROMISES),
        ),
        graph(
            "Whether coverage can be luck",
            "P-value of the binomial test; below 0.01 at one day ahead the promise counts as broken.",
            units.PercentUnit,
            series(f"max by (level) (closecast_live_coverage_p{{{CHOSEN}}})", "{{level}} % interval"),
            series("vector(0.01)", "limit"),
        ),
    ]


def _drift() -> list[AnyPanel]:
    return [
        graph(
            "Columns that moved",
            "Input columns of the newest report that moved, or are far from those of training.",
            units.NoUnit,
            series("max by (state) (closecast_drift_columns)", "{{state}}"),
            width=8,
        ),
        graph(
            "What the newest report recommends",
            "1 is what it recommends.",
            units.NoUnit,
            series("max by (recommendation) (closecast_drift_recommendation)", "{{recommendation}}"),
            width=8,
        ),
        graph(
            "Age of the newest report",
            "One is made after each close.",
            units.Seconds,
            series("max(closecast_drift_report_age_seconds)", "age"),
            width=8,
        ),
        table(
            "Columns of the newest report",
            "Population stability index and largest distance of the distribution functions, the farthest first.",
            rows(
                """
                SELECT found.value ->> 'column' AS "column", (found.value ->> 'psi')::float AS psi,
                       (found.value ->> 'ks')::float AS ks, (found.value ->> 'p_value')::float AS p,
                       found.value ->> 'severity' AS severity
                FROM (SELECT columns FROM drift_reports ORDER BY made_at DESC, id DESC LIMIT 1) AS newest,
                     jsonb_array_elements(newest.columns) AS found
                ORDER BY psi DESC
                """
            ),
            width=12,
        ),
        table(
            "Reports",
            "What each drift report recommended, and why.",
            rows(
                """
                SELECT made_at AS made, bundle_id AS bundle, recommendation, reason
                FROM drift_reports ORDER BY made_at DESC LIMIT 50
                """
            ),
            {"made": units.DateTimeFromNow},
            width=12,
        ),
    ]


def _champions() -> list[AnyPanel]:
    return [
        graph(
            "The champion's age beside its limit",
            "Beside the age past which answers are flagged.",
            units.Seconds,
            series("max(closecast_champion_age_seconds)", "age"),
            series("max(closecast_champion_max_age_seconds)", "flagged beyond"),
        ),
        graph(
            "Forecasts made",
            "Frozen within 24 hours; only `live` ones, made before the first day they speak of, count for skill.",
            units.NoUnit,
            series("max by (kind) (closecast_forecasts_made_last_day)", "{{kind}}"),
        ),
        table(
            "Champion history",
            "The ledger: which bundle became champion when, by what, and why; nothing in it is ever changed.",
            rows(
                """
                SELECT promotions.decided_at AS decided, promotions.bundle_id AS champion,
                       promotions.previous_bundle_id AS "before it", promotions.kind AS "by", promotions.reason,
                       bundles.kind AS "made of", bundles.train_end AS "trained until"
                FROM promotions JOIN bundles ON bundles.id = promotions.bundle_id
                ORDER BY promotions.id DESC LIMIT 50
                """
            ),
            {"decided": units.DateTimeFromNow},
        ),
        table(
            "Challenges",
            "Every challenge of a champion, passed or not; `test` counts those that were tested within 365 days.",
            rows(
                """
                SELECT decided_at AS decided, bundle_id AS challenger, champion_id AS champion, passed,
                       test_number AS test, p_value AS p
                FROM challenges ORDER BY decided_at DESC LIMIT 50
                """
            ),
            {"decided": units.DateTimeFromNow},
        ),
    ]
