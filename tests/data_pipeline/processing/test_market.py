"""Means over a universe: days that too few tickers have do not count, and a hole's return is no day's return."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from data_pipeline.processing.market import market_means, with_means_of
from tests.data_pipeline.made_bars import first_days
from tests.made_up_bars import bars_of_closes

DAYS = first_days(4)


def closes(**by_ticker: dict[date, float]) -> pl.LazyFrame:
    rows = [
        {"ticker": ticker, "trading_day": day, "adj_close": close}
        for ticker, series in by_ticker.items()
        for day, close in series.items()
    ]
    return pl.DataFrame(rows).lazy()


def test_means_are_those_of_log_returns() -> None:
    up, down = {DAYS[0]: 10.0, DAYS[1]: 20.0}, {DAYS[0]: 20.0, DAYS[1]: 10.0}

    means = market_means(closes(A=up, B=up, C=down), n_members=3)

    assert means["trading_day"].to_list() == [DAYS[1]]
    assert means["mean_return"][0] == pytest.approx(np.log(2) / 3)
    assert means["mean_absolute_return"][0] == pytest.approx(np.log(2))
    assert means["n_returns"][0] == 3


def test_a_day_counts_with_four_fifths_of_the_universe() -> None:
    full = dict.fromkeys(DAYS, 10.0)
    short = dict.fromkeys(DAYS[:3], 10.0)

    means = market_means(closes(A=full, B=full, C=full, D=short, E=short), n_members=5)
    enough = market_means(closes(A=full, B=full, C=full, D=full, E=short), n_members=5)

    assert means["trading_day"].to_list() == DAYS[1:3]
    assert enough["trading_day"].to_list() == DAYS[1:4]


def test_members_without_any_bar_count_as_absent() -> None:
    full = dict.fromkeys(DAYS, 10.0)

    assert market_means(closes(A=full, B=full, C=full), n_members=4).is_empty()


def test_the_return_over_a_hole_is_left_out() -> None:
    """NATU3 came back after five years at another price: that is nobody's daily return."""
    full = {**dict.fromkeys(DAYS, 10.0), date(2024, 2, 1): 10.0}
    holed = {DAYS[0]: 10.0, DAYS[1]: 10.0, date(2024, 2, 1): 90.0}

    means = market_means(closes(A=full, B=holed), n_members=1)

    # From 5 January to 1 February every ticker has a gap of over a fortnight: nobody has a return.
    assert means["trading_day"].to_list() == DAYS[1:]
    assert means["n_returns"].to_list() == [2, 1, 1]
    assert means["mean_absolute_return"].to_list() == [0.0, 0.0, 0.0]


def test_bars_from_a_file_get_the_means_of_the_tickers_that_are_named() -> None:
    rising, falling = np.exp(0.02 * np.arange(5)), np.exp(-0.01 * np.arange(5))
    bars = {"A": bars_of_closes(rising), "B": bars_of_closes(falling), "C": bars_of_closes(rising**9)[2:]}

    known = with_means_of(["A", "B"], bars)

    np.testing.assert_allclose(known["C"].market_return, [0.005] * 3)
    np.testing.assert_allclose(known["A"].market_absolute_return, [np.nan, *[0.015] * 4])
    np.testing.assert_array_equal(known["C"].close, bars["C"].close)


def test_a_member_without_bars_is_no_smaller_universe() -> None:
    with pytest.raises(KeyError, match="B"):
        with_means_of(["A", "B"], {"A": bars_of_closes(np.ones(5))})
