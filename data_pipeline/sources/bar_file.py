"""One CSV or Parquet file of daily bars, read into one form whatever its columns are called."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from data_pipeline.sources.base import PriceBasis, UnusableFileError
from data_pipeline.sources.price_basis import infer_price_basis

SUFFIXES = (".parquet", ".csv")

PRICES = ("open", "high", "low", "close")
REQUIRED = ("date", *PRICES, "volume")
OPTIONAL = ("adj_close", "dividend", "split")
# Other spellings, after lower-casing and with blanks as underscores: yfinance, Yahoo's downloads, Stooq, pandas.
_SAME_AS = {
    "symbol": "ticker",
    "trading_day": "date",
    "datetime": "date",
    "timestamp": "date",
    "adjclose": "adj_close",
    "adjusted_close": "adj_close",
    "dividends": "dividend",
    "stock_splits": "split",
    "splits": "split",
}
_NULLS = ["", "null", "NULL", "nan", "NaN", "N/A", "None"]


@dataclass(frozen=True)
class BarFile:
    """The bars of one file.

    Attributes
    ----------
    bars : sorted by ``ticker, date``: ``ticker`` (upper case), ``date``, prices and volume as float64, and those of
        ``adj_close dividend split`` that the file carries. Missing values are null, duplicate days are kept.
    """

    path: Path
    bars: pl.DataFrame
    price_basis: PriceBasis

    @cached_property
    def tickers(self) -> frozenset[str]:
        """Every ticker in the file."""
        return frozenset(self.bars["ticker"].unique())


def read_bar_file(path: Path, price_basis: PriceBasis | None = None) -> BarFile:
    """Read one file of bars in long format, or of one ticker named like the file (``PETR4.SA.csv``).

    Columns are found by name, case and blanks aside: ``date open high low close volume`` must be there;
    ``ticker adj_close dividend split`` may be (``Symbol``, ``Adj Close``, ``Dividends``, ``Stock Splits`` do as well).
    Other columns are ignored, since many exports carry an index or a currency beside the bars.

    Parameters
    ----------
    price_basis : what ``close`` has been corrected for; None to infer it (``infer_price_basis`` tells how).

    Raises
    ------
    UnusableFileError : the file cannot be read, lacks a column, or holds text where a number or a date should be.
    """
    bars = _as_bars(_read_table(path), path)
    return BarFile(path, bars, price_basis or infer_price_basis(bars, path.stem))


def _read_table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".csv":
            return pl.read_csv(path, infer_schema=False, null_values=_NULLS)
        return pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnusableFileError(path, f"not readable as {path.suffix[1:]}: {_first_line(error)}") from error


def _as_bars(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    table = _with_our_names(table, path)
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise UnusableFileError(path, f"no column {', '.join(missing)} among {', '.join(table.columns)}")
    if "ticker" not in table.columns:
        table = table.with_columns(ticker=pl.lit(path.stem))
    if table["date"].null_count() or table["ticker"].null_count():
        raise UnusableFileError(path, "rows without a date or a ticker")
    numbers = [name for name in (*PRICES, "volume", *OPTIONAL) if name in table.columns]
    try:
        return table.select(
            pl.col("ticker").cast(pl.String).str.strip_chars().str.to_uppercase(),
            _as_date(table.schema["date"]),
            *(pl.col(name).cast(pl.Float64) for name in numbers),
        ).sort("ticker", "date", maintain_order=True)
    except pl.exceptions.PolarsError as error:
        raise UnusableFileError(path, _first_line(error)) from error


def _with_our_names(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    names = {name: _our_name(name) for name in table.columns}
    known = [ours for ours in names.values() if ours in ("ticker", *REQUIRED, *OPTIONAL)]
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise UnusableFileError(path, f"two columns mean {', '.join(twice)}")
    return table.select(pl.col(name).alias(ours) for name, ours in names.items() if ours in known)


def _our_name(column: str) -> str:
    plain = column.strip().lower().replace(" ", "_").replace(".", "")
    return _SAME_AS.get(plain, plain)


def _as_date(dtype: pl.DataType) -> pl.Expr:
    """The exchange's own day: an instant with an offset is cut to the date that it spells."""
    if dtype == pl.String:
        return pl.col("date").str.strip_chars().str.slice(0, 10).str.to_date("%Y-%m-%d")
    return pl.col("date").dt.date()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
