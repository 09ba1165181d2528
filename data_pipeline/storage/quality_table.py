"""Quality reports, kept beside the bars: one row per ticker and version that changed it."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import polars as pl

from data_pipeline.processing.quality import QualityReport
from data_pipeline.storage.delta_table import StoredTable, collect_rows

_SCHEMA: Final[dict[str, pl.DataType]] = {
    "version": pl.Int64(),
    "ticker": pl.String(),
    "exchange": pl.String(),
    "rows_in": pl.Int64(),
    "rows_out": pl.Int64(),
    "report": pl.String(),  # the whole report as JSON
    "written_at": pl.Datetime("us", "UTC"),
}


class QualityTable:
    """The newest report of each ticker at each data version; only ever appended to."""

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._table = StoredTable(uri, _SCHEMA, storage_options=storage_options)

    def append(self, version: int, reports: Sequence[QualityReport]) -> None:
        """Keep ``reports`` as what is known about their tickers from ``version`` on."""
        written_at = datetime.now(UTC)
        rows = [
            {
                "version": version,
                "ticker": report.ticker,
                "exchange": report.exchange,
                "rows_in": report.rows_in,
                "rows_out": report.rows_out,
                "report": json.dumps(report.to_dict()),
                "written_at": written_at,
            }
            for report in reports
        ]
        self._table.append(pl.DataFrame(rows, schema=_SCHEMA))

    def read(self, version: int | None = None, tickers: Collection[str] | None = None) -> list[QualityReport]:
        """The report of each ticker as of ``version`` (None: the newest), by ticker."""
        rows = self._table.scan(self._table.open())
        if version is not None:
            rows = rows.filter(pl.col("version") <= version)
        if tickers is not None:
            rows = rows.filter(pl.col("ticker").is_in(list(tickers)))
        # Of several reports at one version (a run that changed no bar but saw new defects) the last appended counts.
        newest = (
            rows.sort("version", maintain_order=True).group_by("ticker").agg(pl.col("report").last()).sort("ticker")
        )
        return [QualityReport.from_dict(json.loads(report)) for report in collect_rows(newest)["report"]]
