"""Panels that look alike on every dashboard; each says what it shows, in which unit and why that matters."""

from collections.abc import Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as StatPanel
from grafana_foundation_sdk.builders.table import Panel as TablePanel
from grafana_foundation_sdk.builders.timeseries import Panel as TimePanel
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    Dashboard as BuiltDashboard,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from tools.dashboards.queries import DATABASE, DATABASE_TYPE, PROMETHEUS, PROMETHEUS_TYPE, SqlBuilder

HEIGHT = 8  # of a graph, in rows of Grafana's grid
NUMBER_HEIGHT = 4
LETTERS = "ABCDEFGH"  # a query's name within its panel

AnyQuery = Dataquery | SqlBuilder
AnyPanel = TimePanel | StatPanel | TablePanel
Panel = TypeVar("Panel", TimePanel, StatPanel, TablePanel)


def graph(title: str, description: str, unit: str, *queries: AnyQuery, width: int = 12) -> TimePanel:
    """Curves over time."""
    panel = (
        TimePanel()
        .title(title)
        .description(description)
        .unit(unit)
        .height(HEIGHT)
        .span(width)
        .line_width(1)
        .fill_opacity(8)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(True)  # a process that is started again leaves no gap worth a look
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    return _asking(panel, queries)


def number(
    title: str,
    description: str,
    unit: str,
    query: AnyQuery,
    *,
    warn_above: float | None = None,
    warn_below: float | None = None,
    width: int = 4,
) -> StatPanel:
    """One figure in large type; red beyond ``warn_above``, or where it is less than ``warn_below``."""
    panel = (
        StatPanel()
        .title(title)
        .description(description)
        .unit(unit)
        .height(NUMBER_HEIGHT)
        .span(width)
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(_steps(warn_above, warn_below)))
    )
    return _asking(panel, [query])


def table(
    title: str, description: str, query: SqlBuilder, units: dict[str, str] | None = None, width: int = 24
) -> TablePanel:
    """Rows of the database; ``units`` of columns by their names, the others have none."""
    panel = TablePanel().title(title).description(description).unit("none").height(HEIGHT).span(width)
    for column, unit in (units or {}).items():
        panel = panel.override_by_name(column, [DynamicConfigValue("unit", unit)])
    return _asking(panel, [query])


def dashboard(
    uid: str, title: str, description: str, contents: Sequence[Row | AnyPanel], *variables: QueryVariable, since: str
) -> BuiltDashboard:
    """One dashboard; ``since`` is how much of the past it shows at first."""
    board = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["closecast"])
        .readonly()  # a change made in the browser would be gone at the next start
        .timezone("browser")
        .time(f"now-{since}", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(DashboardLink("Closecast").type(DashboardLinkType.DASHBOARDS).tags(["closecast"]).keep_time(True))
        .variables([source("prometheus", "Prometheus", PROMETHEUS_TYPE), source("database", "Database", DATABASE_TYPE)])
    )
    for variable in variables:
        board = board.with_variable(variable)
    for content in contents:
        board = board.with_row(content) if isinstance(content, Row) else board.with_panel(content)
    built = board.build()
    for place, panel in enumerate(built.panels or [], start=1):
        panel.id_val = place
    return built


def source(name: str, label: str, kind: str) -> DatasourceVariable:
    """Which data source of a kind is asked."""
    return DatasourceVariable(name).label(label).description(f"The {label} that is asked.").type(kind)


def choice(name: str, label: str, query: str, asked: DataSourceRef, *, several: bool = True) -> QueryVariable:
    """What can be chosen at the top, as a data source tells it; ``several``: more than one, and all at first."""
    wanted: str | dict[str, object] = {"query": query, "refId": name} if asked is PROMETHEUS else query
    variable = (
        QueryVariable(name)
        .label(label)
        .description(f"{label}, as the data source tells it.")
        .datasource(asked)
        .query(wanted)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NUMERICAL_ASC)
    )
    if not several:
        return variable
    return variable.multi(True).include_all(True).current(VariableOption(selected=True, text="All", value="$__all"))


def _asking(panel: Panel, queries: Sequence[AnyQuery]) -> Panel:
    """``panel`` with its queries, each named and with the data source that it is for."""
    for letter, query in zip(LETTERS, queries, strict=False):
        asked = DATABASE if isinstance(query, SqlBuilder) else PROMETHEUS
        panel.datasource(asked)
        if isinstance(query, SqlBuilder):
            query.query.ref_id, query.query.datasource = letter, asked
            panel.with_target(query)
        else:
            panel.with_target(query.ref_id(letter).datasource(asked))
    return panel


def _steps(warn_above: float | None, warn_below: float | None) -> list[Threshold]:
    if warn_below is not None:
        return [Threshold(None, "red"), Threshold(warn_below, "green")]
    steps = [Threshold(None, "green")]
    return steps if warn_above is None else [*steps, Threshold(warn_above, "red")]
