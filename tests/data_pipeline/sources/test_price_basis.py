"""The price basis that a file's own prices tell."""

from datetime import date, timedelta

import polars as pl
import pytest

from data_pipeline.sources.base import PriceBasis
from data_pipeline.sources.price_basis import infer_price_basis


def make_table(closes: dict[str, list[float]], adj_closes: dict[str, list[float]] | None = None) -> pl.DataFrame:
    """Bars that open where they close."""
    rows = [
        {
            "ticker": ticker,
            "date": date(2024, 1, 1) + timedelta(days=place),
            "open": close,
            "close": close,
            "adj_close": (adj_closes or closes)[ticker][place],
        }
        for ticker, series in closes.items()
        for place, close in enumerate(series)
    ]
    table = pl.DataFrame(rows)
    return table if adj_closes else table.drop("adj_close")


@pytest.mark.parametrize("name", ["raw", "raw_unadjusted_2018_2025", "B3-Unadjusted"])
def test_a_file_that_calls_itself_raw_is_raw(name: str) -> None:
    assert infer_price_basis(make_table({"A": [1.0, 1.0]}), name) == PriceBasis.RAW


@pytest.mark.parametrize("name", ["drawdowns", "adjusted", "strawberry"])
def test_a_word_within_a_word_says_nothing(name: str) -> None:
    assert infer_price_basis(make_table({"A": [1.0, 1.0]}), name) == PriceBasis.FULLY_ADJUSTED


def test_a_split_between_close_and_adjusted_close_means_raw() -> None:
    """2:1 on the second day of one ticker is enough for the file: the others had none."""
    table = make_table({"A": [10.0, 5.0], "B": [7.0, 7.0]}, {"A": [5.0, 5.0], "B": [6.0, 6.0]})
    assert infer_price_basis(table, "bars") == PriceBasis.RAW


def test_dividends_between_them_mean_split_adjusted() -> None:
    """Even a large one, 10 % of the price."""
    table = make_table({"A": [10.0, 9.0]}, {"A": [9.0, 9.0]})
    assert infer_price_basis(table, "bars") == PriceBasis.SPLIT_ADJUSTED


def test_the_step_from_one_ticker_to_the_next_is_none() -> None:
    """Their factors have nothing to do with each other."""
    table = make_table({"A": [10.0, 10.0], "B": [10.0, 10.0]}, {"A": [10.0, 10.0], "B": [1.0, 1.0]})
    assert infer_price_basis(table, "bars") == PriceBasis.SPLIT_ADJUSTED


def test_a_price_of_zero_is_no_split() -> None:
    table = make_table({"A": [10.0, 0.0, 10.0]}, {"A": [9.0, 0.0, 9.0]})
    assert infer_price_basis(table, "bars") == PriceBasis.SPLIT_ADJUSTED


@pytest.mark.parametrize("after", [25.5, 49.0, 5.0, 200.0], ids=["4:1", "2:1", "20:1", "1:2"])
def test_jumps_by_split_ratios_mean_raw(after: float) -> None:
    """The day's own return may carry them a little away."""
    assert infer_price_basis(make_table({"A": [100.0, after]}), "bars") == PriceBasis.RAW


@pytest.mark.parametrize("after", [60.0, 140.0, 40.0])
def test_other_jumps_do_not(after: float) -> None:
    """Prices fall by 40 % for real."""
    assert infer_price_basis(make_table({"A": [100.0, after]}), "bars") == PriceBasis.FULLY_ADJUSTED


def test_one_halving_among_many_tickers_does_not() -> None:
    """PCG lost half of its price on 2019-01-14."""
    closes = {f"T{number}": [100.0, 101.0] for number in range(4)} | {"PCG": [100.0, 50.0]}
    assert infer_price_basis(make_table(closes), "bars") == PriceBasis.FULLY_ADJUSTED


def test_no_bars_tell_nothing_against_the_usual() -> None:
    empty = make_table({"A": [1.0]}).clear()
    assert infer_price_basis(empty, "bars") == PriceBasis.FULLY_ADJUSTED
