"""What panels and variables ask: Prometheus, and PostgreSQL as a role that may only read."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as Query
from grafana_foundation_sdk.models.dashboard import DataSourceRef

PROMETHEUS_TYPE = "prometheus"
DATABASE_TYPE = "grafana-postgresql-datasource"
# By variables: whoever looks chooses among the sources of the same kind.
PROMETHEUS = DataSourceRef(type_val=PROMETHEUS_TYPE, uid="${prometheus}")
DATABASE = DataSourceRef(type_val=DATABASE_TYPE, uid="${database}")


def series(expr: str, legend: str = "") -> Dataquery:
    """PromQL over the time that is looked at; ``legend`` names its series."""
    return Dataquery().expr(expr).legend_format(legend).range()


def newest(expr: str, legend: str = "") -> Dataquery:
    """PromQL at the end of the time that is looked at."""
    return Dataquery().expr(expr).legend_format(legend).instant()


def quantile(share: float, buckets: str, by: str | None = None) -> str:
    """What ``share`` of the observations did not exceed, over all processes; ``by`` a label, for each of its values."""
    labels = "le" if by is None else f"le, {by}"
    return f"histogram_quantile({share}, sum by ({labels}) ({buckets}))"


@dataclass
class SqlQuery(Query):
    """SQL as Grafana's data source for PostgreSQL keeps it; the SDK has none.

    Attributes
    ----------
    format_val : ``time_series`` where the first column is ``time``, ascending.
    """

    raw_sql: str
    format_val: Literal["table", "time_series"]
    ref_id: str = ""
    datasource: DataSourceRef | None = None

    def to_json(self) -> dict[str, object]:
        """As it stands in a dashboard."""
        return {
            "refId": self.ref_id,
            "datasource": self.datasource,
            "format": self.format_val,
            "rawQuery": True,
            "editorMode": "code",
            "rawSql": self.raw_sql,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        return cls(data["rawSql"], data["format"], data["refId"], data["datasource"])


@dataclass
class SqlBuilder(Builder[Query]):
    """Gives a query to a panel."""

    query: SqlQuery

    def build(self) -> SqlQuery:
        """See ``Builder``."""
        return self.query


def rows(sql: str) -> SqlBuilder:
    """A table."""
    return SqlBuilder(SqlQuery(_folded(sql), "table"))


def curve(sql: str) -> SqlBuilder:
    """Values over time: the first column is ``time``, the others are the curves, named by themselves."""
    return SqlBuilder(SqlQuery(_folded(sql), "time_series"))


def _folded(sql: str) -> str:
    """Without the indentation that it has in code."""
    return " ".join(sql.split())
