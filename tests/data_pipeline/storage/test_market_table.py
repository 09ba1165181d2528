"""Universes are fixed lists; their means are read as of any data version."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_pipeline.market_update import SMALLEST_UNIVERSE, redefine_universe
from data_pipeline.processing.market import align
from data_pipeline.run_pipeline import collect
from data_pipeline.sources.base import FetchedBars
from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.storage.market_table import MarketTable, universe_for
from tests.data_pipeline.made_bars import NOW, MemorySource, first_days, make_bars, make_fetched

DAYS = first_days(40)
MEMBERS = [f"M{number}" for number in range(SMALLEST_UNIVERSE)]


def history(ticker: str, n_days: int, *, growth: float = 0.01, exchange: str = "XNYS") -> FetchedBars:
    """A series that grows by ``growth`` a day in log terms."""
    closes = 10.0 * np.exp(growth * np.arange(n_days))
    return make_fetched(make_bars(DAYS[:n_days], closes), ticker, exchange=exchange)


def run(store: FeatureStore, *answers: FetchedBars) -> None:
    collect(store, MemorySource({answer.ticker: answer for answer in answers}), now=NOW)


def means_of(*values: float, n_returns: int = 5) -> pl.DataFrame:
    """Means of the first days, the mean absolute return being the mean return's size."""
    frame = pl.DataFrame({"trading_day": DAYS[: len(values)], "mean_return": values})
    return frame.with_columns(
        mean_absolute_return=pl.col("mean_return").abs(), n_returns=pl.lit(n_returns, dtype=pl.Int64)
    )


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store whose exchange has a universe: ten tickers that grow by 1 % a day."""
    store = FeatureStore(tmp_path)
    run(store, *(history(ticker, 30) for ticker in MEMBERS))
    return store


def test_the_first_run_with_enough_tickers_makes_a_universe(store: FeatureStore) -> None:
    means = store.market.read("XNYS")

    assert store.market.universes() == {"XNYS": frozenset(MEMBERS)}
    assert means["trading_day"].to_list() == DAYS[1:30]
    assert means["mean_return"].to_list() == pytest.approx([0.01] * 29)


def test_fewer_tickers_are_no_universe(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)

    run(store, *(history(ticker, 30) for ticker in MEMBERS[:-1]))

    assert store.market.universes() == {}
    assert store.market.read("XNYS").is_empty()


def test_a_ticker_collected_on_demand_leaves_the_market_as_it_was(store: FeatureStore) -> None:
    before = store.market.read("XNYS")

    run(store, history("ONDEMAND", 40, growth=-0.5))

    assert store.market.read("XNYS").equals(before)
    assert store.market.universes() == {"XNYS": frozenset(MEMBERS)}


def test_new_days_count_once_four_fifths_of_the_universe_have_them(store: FeatureStore) -> None:
    run(store, *(history(ticker, 32) for ticker in MEMBERS[:7]))
    too_few = store.market.read("XNYS")
    run(store, history(MEMBERS[7], 32))

    assert too_few["trading_day"].to_list() == DAYS[1:30]
    assert store.market.read("XNYS")["trading_day"].to_list() == DAYS[1:32]


def test_the_market_is_read_as_of_a_version(store: FeatureStore) -> None:
    first = store.version().version
    run(store, *(history(ticker, 40, growth=0.02) for ticker in MEMBERS))

    assert store.market.read("XNYS", first)["mean_return"].to_list() == pytest.approx([0.01] * 29)
    assert store.market.read("XNYS")["mean_return"].to_list() == pytest.approx([0.02] * 39)


def test_a_universe_is_redefined_on_purpose_only_and_from_then_on(store: FeatureStore) -> None:
    run(store, *(history(f"N{number}", 30, growth=0.03) for number in range(12)))
    first = store.version().version
    run(store, history("LATER", 30))

    redefine_universe(store, "XNYS", [f"N{number}" for number in range(12)])

    assert store.market.universes(first) == {"XNYS": frozenset(MEMBERS)}
    assert len(store.market.universes()["XNYS"]) == 12
    assert store.market.read("XNYS", first)["mean_return"][0] == pytest.approx(0.01)
    assert store.market.read("XNYS")["mean_return"][0] == pytest.approx(0.03)


def test_only_days_that_changed_are_written(tmp_path: Path) -> None:
    table = MarketTable(str(tmp_path))
    table.write("XNYS", means_of(0.1, 0.2, 0.3), version=1)

    table.write("XNYS", means_of(0.1, 0.25, 0.3), version=2)

    written = pl.scan_delta(str(tmp_path / "market")).filter(pl.col("version") == 2).collect()
    assert written["trading_day"].to_list() == [DAYS[1]]


def test_a_day_that_stops_counting_is_gone_from_then_on(tmp_path: Path) -> None:
    table = MarketTable(str(tmp_path))
    table.write("XNYS", means_of(0.1, 0.2, 0.3), version=1)

    table.write("XNYS", means_of(0.1, 0.2), version=2)

    assert table.read("XNYS", 1)["trading_day"].to_list() == DAYS[:3]
    assert table.read("XNYS", 2)["trading_day"].to_list() == DAYS[:2]


def test_means_are_laid_on_a_windows_days() -> None:
    days = np.array(DAYS[1:5], dtype="datetime64[D]")

    aligned = align("XNYS", means_of(0.1, -0.2, 0.3), days)

    np.testing.assert_array_equal(aligned.mean_return, [-0.2, 0.3, np.nan, np.nan])
    np.testing.assert_array_equal(aligned.mean_absolute_return, [0.2, 0.3, np.nan, np.nan])


def test_without_any_day_that_counts_all_is_missing() -> None:
    aligned = align("XNYS", means_of(0.1).head(0), np.array(DAYS[:2], dtype="datetime64[D]"))

    assert np.isnan(aligned.mean_return).all()


def test_bars_are_read_with_the_market_of_their_day(store: FeatureStore) -> None:
    bars = store.read_many_bar_arrays()["M3"]

    np.testing.assert_allclose(bars.market_return, [np.nan, *[0.01] * 29])
    np.testing.assert_allclose(bars.market_absolute_return, [np.nan, *[0.01] * 29])


def test_bars_of_a_version_come_with_the_market_of_that_version(store: FeatureStore) -> None:
    first = store.version().version
    run(store, *(history(ticker, 40, growth=0.02) for ticker in MEMBERS))

    assert store.read_bar_arrays("M3", first).market_return[1:].tolist() == pytest.approx([0.01] * 29)
    assert store.read_bar_arrays("M3").market_return[1:].tolist() == pytest.approx([0.02] * 39)


def test_an_exchange_without_a_universe_has_no_market(store: FeatureStore) -> None:
    run(store, history("PETR4.SA", 30, exchange="BVMF"))

    assert np.isnan(store.read_bar_arrays("PETR4.SA").market_return).all()


def test_a_venue_reads_the_market_that_it_borrows(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    run(store, *(history(ticker, 30, exchange="XETR") for ticker in MEMBERS), history("SAP.F", 30, exchange="XFRA"))

    assert store.read_bar_arrays("SAP.F").market_return[1:].tolist() == pytest.approx([0.01] * 29)
    assert universe_for("XFRA", ["XFRA", "XETR"]) == "XFRA"


def test_tickers_collected_on_demand_leave_every_tickers_market_inputs_as_they_were(store: FeatureStore) -> None:
    before = store.read_bar_arrays("M3")

    for number in range(2):
        run(store, history(f"ONDEMAND{number}", 40, growth=-0.5))
    after = store.read_bar_arrays("M3")

    np.testing.assert_array_equal(after.market_return, before.market_return)
    np.testing.assert_array_equal(after.market_absolute_return, before.market_absolute_return)


def test_days_to_come_change_no_market_input_of_a_day_before(store: FeatureStore) -> None:
    """The universe's bars after a cutoff are added, then changed: the market up to the cutoff stays bit for bit."""
    at_cutoff = store.read_bar_arrays("M3").market_return
    run(store, *(history(ticker, 35) for ticker in MEMBERS))
    calm = store.read_bar_arrays("M3").market_return
    crash = np.where(np.arange(35) < 30, 1.0, 0.5)
    fallen = make_bars(DAYS[:35], 10.0 * np.exp(0.01 * np.arange(35)) * crash)
    run(store, *(make_fetched(fallen, ticker) for ticker in MEMBERS))
    stormy = store.read_bar_arrays("M3").market_return

    assert stormy[30] == pytest.approx(0.01 + np.log(0.5))
    np.testing.assert_array_equal(calm[:30], at_cutoff)
    np.testing.assert_array_equal(stormy[:30], at_cutoff)
