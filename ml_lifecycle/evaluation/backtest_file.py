"""The file of a backtest: one row per ``ticker, as_of, horizon, quantile, price``, written block by block."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.backtest import Block
from ml_lifecycle.evaluation.rows import BoolArray

SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("as_of", pa.date32()),
        ("horizon", pa.int32()),
        ("quantile", pa.float64()),
        ("price", pa.float64()),
    ]
)


class BacktestFile:
    """One method's forecasts; the file appears under its name when all are written.

    ``as_of`` is the cutoff day, ``price`` the quantile of the adjusted close ``horizon`` bars later, in units of the
    adjusted close at the cutoff. Rows where the method had no answer are left out.
    """

    def __init__(self, path: Path, levels: Sequence[float]) -> None:
        self.path, self._levels = path, np.array(levels)
        self._partial = path.with_name(f".{path.name}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer: Any = pq.ParquetWriter(self._partial, SCHEMA, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if error is None:
            self._partial.replace(self.path)
        else:
            self._partial.unlink()

    def write(self, block: Block, quantiles: FloatArray) -> None:
        """Add the rows of one method, ``quantiles (n, n_levels)``."""
        known: BoolArray = np.isfinite(quantiles.sum(axis=1))
        rows, n_levels = block.where(known), len(self._levels)
        prices = rows.anchor[:, None] * np.exp(quantiles[known])
        columns = [
            pa.array(np.repeat(rows.ticker, n_levels), pa.string()),
            pa.array(np.repeat(rows.cutoff, n_levels), pa.date32()),
            pa.array(np.repeat(rows.horizon, n_levels), pa.int32()),
            pa.array(np.tile(self._levels, len(rows)), pa.float64()),
            pa.array(prices.ravel(), pa.float64()),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
