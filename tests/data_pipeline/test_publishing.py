"""Serving windows: the newest bars of one data version with calendar and lineage."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.errors import NothingStoredError
from data_pipeline.publishing import build_serving_window, build_serving_windows
from data_pipeline.run_pipeline import collect
from data_pipeline.serving_window import PUBLISHED_BARS, PUBLISHED_DAYS
from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import HOUR, NOW, MemorySource, first_days, make_bars, make_fetched

DAYS = first_days(1_400, start=date(2019, 1, 1))  # to July 2024


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """AAA with more bars than are published, BBB with ten and a Saturday, CCC of Hong Kong to its calendar's end."""
    store = FeatureStore(tmp_path_factory.mktemp("bars"))
    weekend = make_bars([*DAYS[:4], "2019-01-05", *DAYS[4:10]])
    weekend.loc["2019-01-09", "volume"] = 0.0
    last_days = first_days(5, exchange="XHKG", start=date(2049, 12, 13))
    answers = {
        "AAA": make_fetched(make_bars(DAYS), "AAA"),
        "BBB": make_fetched(weekend, "BBB", source="files", live=False),
        "CCC": make_fetched(make_bars(last_days), "CCC", exchange="XHKG"),
    }
    collect(store, MemorySource(answers), now=datetime(2050, 6, 1, tzinfo=UTC))
    return store


def test_a_window_holds_the_newest_bars_and_whence_they_came(store: FeatureStore) -> None:
    window = build_serving_window(store, "AAA", final_after=HOUR)

    assert len(window.bars) == PUBLISHED_BARS
    assert window.cutoff == DAYS[-1]
    assert (window.exchange, window.currency, window.source, window.live) == ("XNYS", "USD", "memory", True)
    assert (window.price_basis, window.as_of, window.market) == ("split_adjusted", None, None)
    assert window.data_version == store.version()


def test_the_calendar_says_which_days_come_and_when_they_are_known(store: FeatureStore) -> None:
    window = build_serving_window(store, "AAA", as_of=date(2024, 7, 2), final_after=HOUR)

    assert len(window.target_trading_days) == len(window.known_at) == PUBLISHED_DAYS
    assert window.target_trading_days[:2] == (date(2024, 7, 3), date(2024, 7, 5))  # between them the fourth of July
    assert window.opens_at == datetime(2024, 7, 3, 13, 30, tzinfo=UTC)
    assert window.known_at[0] == datetime(2024, 7, 3, 18, tzinfo=UTC)  # a half day: 13:00 in New York and an hour
    assert window.known_at[1] == datetime(2024, 7, 5, 21, tzinfo=UTC)
    assert list(window.known_at) == sorted(window.known_at)


def test_past_the_end_of_a_calendar_the_days_go_on(store: FeatureStore) -> None:
    window = build_serving_window(store, "CCC", final_after=HOUR)

    assert len(window.target_trading_days) == PUBLISHED_DAYS
    assert window.target_trading_days[-1] > date(2050, 1, 20)
    assert all(before < after for before, after in zip(window.known_at, window.known_at[1:], strict=False))


def test_as_of_leaves_out_every_later_bar(store: FeatureStore) -> None:
    saturday = date(2024, 6, 1)

    window = build_serving_window(store, "AAA", as_of=saturday, final_after=HOUR)

    assert (window.as_of, window.cutoff) == (saturday, date(2024, 5, 31))
    newest = build_serving_window(store, "AAA", final_after=HOUR).bars
    np.testing.assert_array_equal(window.bars.last(100).close, newest.until(saturday).last(100).close)


def test_repaired_bars_are_counted_inside_the_window(store: FeatureStore) -> None:
    """BBB: a Saturday that was dropped and a day without volume; the Saturday lies after the third of January."""
    assert build_serving_window(store, "BBB", final_after=HOUR).repaired_bars == 2
    assert build_serving_window(store, "BBB", as_of=date(2019, 1, 8), final_after=HOUR).repaired_bars == 1
    assert build_serving_window(store, "BBB", as_of=date(2019, 1, 3), final_after=HOUR).repaired_bars == 0


def test_a_ticker_without_bars_by_then_has_no_window(store: FeatureStore) -> None:
    for ticker, as_of in (("GONE", None), ("AAA", date(2018, 12, 31))):
        with pytest.raises(NothingStoredError, match=ticker):
            build_serving_window(store, ticker, as_of=as_of, final_after=HOUR)


def test_all_windows_come_from_one_version(store: FeatureStore) -> None:
    windows = {window.ticker: window for window in build_serving_windows(store, final_after=HOUR)}

    assert windows.keys() == {"AAA", "BBB", "CCC"}
    assert {window.data_version for window in windows.values()} == {store.version()}


def test_a_window_is_built_from_the_version_that_is_named(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    source = MemorySource({"AAA": make_fetched(make_bars(DAYS[:20]))})
    first = collect(store, source, now=NOW).data_version
    source.answers = {"AAA": make_fetched(make_bars(DAYS[:30]))}
    collect(store, source, now=NOW)

    window = build_serving_window(store, "AAA", data_version=first, final_after=timedelta(0))

    assert (window.cutoff, window.data_version) == (DAYS[19], first)


def test_where_the_exchange_has_a_universe_its_means_come_with_the_bars(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    names = [f"M{number}" for number in range(10)]
    collect(store, MemorySource({name: make_fetched(make_bars(DAYS[:20]), name) for name in names}), now=NOW)

    market = build_serving_window(store, "M3", final_after=HOUR).market

    assert market is not None
    assert market.universe == "XNYS"
    np.testing.assert_allclose(market.mean_return[1:], np.diff(np.log(10.0 + 0.01 * np.arange(20))))
    assert np.isnan(market.mean_return[0])
