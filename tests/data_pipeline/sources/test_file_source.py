"""Bars from files: every schema at hand, CSV and Parquet alike, and one line for what cannot be read."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from data_pipeline.sources.base import (
    BAR_COLUMNS,
    PriceBasis,
    PriceSourceError,
    PriceSourceUnavailableError,
    UnknownTickerError,
    UnusableFileError,
)
from data_pipeline.sources.file_source import FileSource
from tests.shared_data import shared_file

# file, tickers, rows, price basis, a ticker in it, its exchange and currency
SHARED = [
    ("us_panel_2010_2026", 415, 1_734_284, PriceBasis.FULLY_ADJUSTED, "MSFT", "XNYS", "USD"),
    ("us_core_2004_2026", 12, 68_122, PriceBasis.FULLY_ADJUSTED, "AAPL", "XNYS", "USD"),
    ("us_etf_1995_2026", 38, 216_550, PriceBasis.SPLIT_ADJUSTED, "SPY", "XNYS", "USD"),
    ("us_long_1970_2021", 10, 122_850, PriceBasis.SPLIT_ADJUSTED, "GE", "XNYS", "USD"),
    ("b3_panel_2015_2025", 35, 92_187, PriceBasis.FULLY_ADJUSTED, "PETR3.SA", "BVMF", "BRL"),
    ("b3_long_2000_2023", 6, 25_458, PriceBasis.SPLIT_ADJUSTED, "PETR4.SA", "BVMF", "BRL"),
    ("b3_events_2010_2022", 12, 37_439, PriceBasis.FULLY_ADJUSTED, "EQTL3.SA", "BVMF", "BRL"),
    ("raw_unadjusted_2018_2025", 7, 13_750, PriceBasis.RAW, "BBAS3.SA", "BVMF", "BRL"),
    ("us_public_domain_2000_2013", 5, 12_154, PriceBasis.RAW, "IBM", "XNYS", "USD"),
]

HEADER = "ticker,date,open,high,low,close,volume"
ROWS = ["AAPL,2024-03-04,99,101,98,100,1000", "AAPL,2024-03-05,101,103,100,102,2000"]


def write_csv(folder: Path, *rows: str, header: str = HEADER, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]))
    return path


def write_parquet(folder: Path, days: list[date], *, ticker: str = "AAPL", name: str, close: float = 10.0) -> Path:
    path = folder / name
    n_days = len(days)
    prices = {column: [close] * n_days for column in ("open", "high", "low", "close")}
    pl.DataFrame({"ticker": [ticker] * n_days, "date": days, **prices, "volume": [1] * n_days}).write_parquet(path)
    return path


@pytest.mark.parametrize(("name", "n_tickers", "n_rows", "basis", "ticker", "exchange", "currency"), SHARED)
def test_every_schema_at_hand_is_read(
    name: str, n_tickers: int, n_rows: int, basis: PriceBasis, ticker: str, exchange: str, currency: str
) -> None:
    """All tickers, all rows, and the price basis that its README tells."""
    source = FileSource(shared_file(f"data/{name}.parquet"))

    fetched = source.fetch_bars(ticker, None, None)

    assert len(source.tickers()) == n_tickers
    assert sum(file.bars.height for file in source._files) == n_rows
    assert (fetched.price_basis, fetched.exchange, fetched.currency) == (basis, exchange, currency)
    assert (fetched.source, fetched.live) == ("files", False)
    assert tuple(fetched.bars.columns) == BAR_COLUMNS
    assert set(fetched.bars.dtypes) == {np.dtype("float64")}
    assert fetched.bars.index.dtype == "datetime64[s]"
    assert fetched.bars.index.is_monotonic_increasing


@pytest.mark.parametrize("name", ["us_core_2004_2026", "us_etf_1995_2026", "b3_events_2010_2022"])
def test_the_same_bars_as_csv_are_the_same_bars(tmp_path: Path, name: str) -> None:
    """In each kind of schema, text aside."""
    table = pl.read_parquet(shared_file(f"data/{name}.parquet")).head(3000)
    table.write_parquet(tmp_path / "a.parquet")
    table.write_csv(tmp_path / "a.csv")
    ticker = table["ticker"][0]

    from_parquet = FileSource(tmp_path / "a.parquet").fetch_bars(ticker, None, None)
    from_csv = FileSource(tmp_path / "a.csv").fetch_bars(ticker, None, None)

    pd.testing.assert_frame_equal(from_csv.bars, from_parquet.bars, rtol=1e-6)
    assert from_csv.price_basis == from_parquet.price_basis


def test_what_a_file_lacks_is_told_as_is(tmp_path: Path) -> None:
    """adj_close is close, dividend and split are 0."""
    bars = FileSource(write_csv(tmp_path, *ROWS)).fetch_bars("AAPL", None, None).bars
    assert bars["adj_close"].tolist() == bars["close"].tolist() == [100.0, 102.0]
    assert bars["dividend"].tolist() == bars["split"].tolist() == [0.0, 0.0]


def test_splits_and_dividends_in_a_file_are_kept(tmp_path: Path) -> None:
    path = write_csv(tmp_path, ROWS[0] + ",50,0,0", ROWS[1] + ",51,0.5,2", header=HEADER + ",adj_close,dividend,split")
    bars = FileSource(path).fetch_bars("AAPL", None, None).bars
    assert bars[["adj_close", "dividend", "split"]].to_numpy().tolist() == [[50, 0, 0], [51, 0.5, 2]]


def test_yfinances_own_csv_is_understood(tmp_path: Path) -> None:
    """One ticker, named by the file; its spelling of columns, days with an offset, columns that say nothing to us."""
    path = write_csv(
        tmp_path,
        "2024-03-04 00:00:00-05:00,99,101,98,100,50,1000,0.24,0,x",
        header="Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits,Note",
        name="brk-b.csv",
    )
    source = FileSource(path)
    bars = source.fetch_bars("BRK-B", None, None).bars
    assert source.tickers() == ["BRK-B"]
    assert bars.iloc[0].to_dict() == {
        "open": 99, "high": 101, "low": 98, "close": 100, "adj_close": 50, "volume": 1000, "dividend": 0.24, "split": 0
    }  # fmt: skip
    assert str(bars.index[0]) == "2024-03-04 00:00:00"


def test_instants_with_a_zone_count_on_their_own_day(tmp_path: Path) -> None:
    """Midnight in São Paulo is 03:00 UTC of the same day, and stays that day."""
    stamps = pd.DatetimeIndex(["2024-03-04", "2024-03-05"]).tz_localize("America/Sao_Paulo")
    frame = pd.DataFrame({name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}, index=stamps)
    frame.rename_axis("Date").to_parquet(tmp_path / "PETR4.SA.parquet")
    bars = FileSource(tmp_path).fetch_bars("PETR4.SA", None, None).bars
    assert [str(day.date()) for day in bars.index] == ["2024-03-04", "2024-03-05"]


def test_rows_are_not_cleaned_here(tmp_path: Path) -> None:
    """Order is made; duplicate days, Saturdays and missing values are left for the checks to count."""
    path = write_csv(
        tmp_path, ROWS[1], "AAPL,2024-03-09,1,1,1,,null", ROWS[0], "aapl ,2024-03-05,101,103,100,102.5,2000"
    )
    bars = FileSource(path).fetch_bars("AAPL", None, None).bars
    assert [str(day.date()) for day in bars.index] == ["2024-03-04", "2024-03-05", "2024-03-05", "2024-03-09"]
    assert bars["close"].tolist()[:3] == [100.0, 102.0, 102.5]
    assert np.isnan(bars[["close", "volume"]].iloc[3]).all()


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (date(2024, 3, 5), None, ["2024-03-05", "2024-03-06"]),
        (None, date(2024, 3, 6), ["2024-03-04", "2024-03-05"]),
        (date(2024, 3, 5), date(2024, 3, 6), ["2024-03-05"]),
        (date(2024, 3, 9), date(2024, 3, 11), []),
    ],
)
def test_the_range_includes_its_start_and_not_its_end(
    tmp_path: Path, start: date | None, end: date | None, days: list[str]
) -> None:
    path = write_parquet(tmp_path, [date(2024, 3, 4), date(2024, 3, 5), date(2024, 3, 6)], name="a.parquet")
    bars = FileSource(path).fetch_bars("AAPL", start, end).bars
    assert [str(day.date()) for day in bars.index] == days
    assert tuple(bars.columns) == BAR_COLUMNS


def test_a_folder_holds_what_its_files_hold(tmp_path: Path) -> None:
    """CSV and Parquet side by side; other files and subfolders are not looked at."""
    write_csv(tmp_path, *ROWS)
    write_parquet(tmp_path, [date(2024, 3, 4)], ticker="MSFT", name="more.PARQUET")
    (tmp_path / "README.md").write_text("about these bars")
    (tmp_path / "old.csv").mkdir()
    assert FileSource(tmp_path).tickers() == ["AAPL", "MSFT"]


def test_years_in_files_of_their_own_are_joined(tmp_path: Path) -> None:
    write_parquet(tmp_path, [date(2024, 1, 2), date(2024, 1, 3)], name="a_later.parquet")
    write_parquet(tmp_path, [date(2023, 12, 28), date(2023, 12, 29)], name="b_earlier.parquet")
    bars = FileSource(tmp_path).fetch_bars("AAPL", None, None).bars
    assert [str(day.date()) for day in bars.index] == ["2023-12-28", "2023-12-29", "2024-01-02", "2024-01-03"]


def test_two_files_about_the_same_days_are_not_mixed(tmp_path: Path) -> None:
    """They differ in the day that they adjusted to; another ticker of the folder is served all the same."""
    write_parquet(tmp_path, [date(2024, 1, 2), date(2024, 1, 4)], name="a.parquet")
    write_parquet(tmp_path, [date(2024, 1, 3)], name="b.parquet", close=11.0)
    write_parquet(tmp_path, [date(2024, 1, 3)], ticker="MSFT", name="c.parquet")
    source = FileSource(tmp_path)
    with pytest.raises(UnusableFileError, match=r"AAPL is in a\.parquet, b\.parquet, which cannot be joined"):
        source.fetch_bars("AAPL", None, None)
    assert len(source.fetch_bars("MSFT", None, None).bars) == 1


def test_two_files_of_different_columns_are_not_mixed(tmp_path: Path) -> None:
    write_csv(tmp_path, ROWS[0] + ",50", header=HEADER + ",adj_close", name="a.csv")
    write_csv(tmp_path, ROWS[1], name="b.csv")
    with pytest.raises(UnusableFileError, match="cannot be joined"):
        FileSource(tmp_path).fetch_bars("AAPL", None, None)


def test_the_callers_word_on_the_price_basis_counts(tmp_path: Path) -> None:
    path = write_csv(tmp_path, *ROWS)
    assert FileSource(path).fetch_bars("AAPL", None, None).price_basis == PriceBasis.FULLY_ADJUSTED
    told = FileSource(path, price_basis=PriceBasis.RAW)
    assert told.fetch_bars("AAPL", None, None).price_basis == PriceBasis.RAW


@pytest.mark.parametrize(("ticker", "said"), [("MSFT", "no such ticker among the 2"), ("BRK.B", "no exchange known")])
def test_an_unknown_ticker_is_told(tmp_path: Path, ticker: str, said: str) -> None:
    path = write_csv(tmp_path, *ROWS, ROWS[0].replace("AAPL", "BRK.B"))
    with pytest.raises(UnknownTickerError, match=said):
        FileSource(path).fetch_bars(ticker, None, None)


def test_what_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """A path that leads nowhere, a folder without bars, a file of another kind."""
    (tmp_path / "bars.xlsx").write_text("")
    for path, said in [
        (tmp_path / "nowhere.csv", "no such file or folder"),
        (tmp_path, r"the folder holds no \.csv and no \.parquet file"),
        (tmp_path / "bars.xlsx", r"only \.csv and \.parquet are understood"),
    ]:
        with pytest.raises(UnusableFileError, match=said):
            FileSource(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PAR1 is how it begins, and no more", "not readable as parquet"),
        (b"", "not readable as parquet"),
    ],
)
def test_a_broken_parquet_file_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bars.parquet"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=said) as caught:
        FileSource(path).tickers()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("", "", "not readable as csv"),
        (HEADER.replace("close,", ""), "AAPL,2024-03-04,1,1,1,1", "no column close among ticker, date, open"),
        (HEADER + ",Close", ROWS[0] + ",100", "two columns mean close"),
        (HEADER, "AAPL,2024-03-04,1,1,1,abc,1", "abc"),
        (HEADER, "AAPL,04/03/2024,1,1,1,1,1", "04/03/2024"),
        (HEADER, "AAPL,,1,1,1,1,1", "rows without a date or a ticker"),
        (HEADER, ",2024-03-04,1,1,1,1,1", "rows without a date or a ticker"),
    ],
)
def test_a_broken_csv_file_is_one_line(tmp_path: Path, header: str, row: str, said: str) -> None:
    """It names the file and what is wrong with it."""
    path = write_csv(tmp_path, row, header=header)
    with pytest.raises(UnusableFileError, match=said) as caught:
        FileSource(path).tickers()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_column_of_another_kind_is_told(tmp_path: Path) -> None:
    """Dates as numbers have no meaning of their own."""
    pl.DataFrame({name: [1] for name in ("date", "open", "high", "low", "close", "volume")}).write_parquet(
        tmp_path / "AAPL.parquet"
    )
    with pytest.raises(UnusableFileError, match="expected Datetime or Date, got i64"):
        FileSource(tmp_path).tickers()


def test_a_files_error_is_final_for_its_source(tmp_path: Path) -> None:
    """The next source is asked; the same file is not asked again and again."""
    assert issubclass(UnusableFileError, PriceSourceError)
    assert not issubclass(UnusableFileError, PriceSourceUnavailableError)
