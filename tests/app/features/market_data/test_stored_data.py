"""What is stored, over HTTP, and which of two publications stands."""

from datetime import date

import httpx
import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data import service
from app.features.market_data.service import bars_of, publish_windows, read_window
from data_pipeline.serving_window import DataVersion, MarketInputs
from tests.app.accounts import Account
from tests.app.windows import make_window

OLD, NEW, OTHER = DataVersion("t", 1, "1" * 64), DataVersion("t", 2, "2" * 64), DataVersion("u", 1, "3" * 64)
REPORT = {"rows_in": 301, "rows_out": 300, "dropped": {"duplicate_day": 1}}


async def test_arrays_come_back_bit_for_bit(db: AsyncSession) -> None:
    """What serves is what was stored."""
    window = make_window("AAPL")
    window.bars.volume[3] = np.nan
    await publish_windows(db, [window])

    stored = bars_of(await read_window(db, "AAPL"))

    for name in ("trading_day", "open", "high", "low", "close", "adj_close", "volume"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(window.bars, name))


@pytest.mark.parametrize(
    ("first", "second", "stands"), [(OLD, NEW, NEW), (NEW, OLD, NEW), (NEW, OTHER, OTHER), (OLD, OLD, OLD)]
)
async def test_of_two_publications_that_of_the_later_data_version_stands(
    db: AsyncSession, first: DataVersion, second: DataVersion, stands: DataVersion
) -> None:
    """Two runs may end in another order than they began; a store that was made anew starts counting again."""
    await publish_windows(db, [make_window("AAPL", cutoff=date(2013, 2, 28), version=first)])
    await publish_windows(db, [make_window("AAPL", version=second)])

    window = await read_window(db, "AAPL")
    assert (window.data_table_id, window.data_version) == (stands.table_id, stands.version)


async def test_market_inputs_travel_with_the_window(db: AsyncSession) -> None:
    """Aligned with its bars."""
    from dataclasses import replace

    means = MarketInputs("XNYS", np.linspace(-1, 1, 300), np.full(300, np.nan))
    await publish_windows(db, [replace(make_window("AAPL"), market=means)])

    window = await read_window(db, "AAPL")
    assert window.market_universe == "XNYS"
    np.testing.assert_array_equal(window.market_mean_return, means.mean_return)
    np.testing.assert_array_equal(window.market_mean_absolute_return, means.mean_absolute_return)


async def test_stored_tickers_are_listed_page_by_page(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Alphabetically; windows of past days are no further tickers."""
    past = make_window("AAPL", cutoff=date(2012, 6, 1), as_of=date(2012, 6, 1))
    await publish_windows(db, [*(make_window(ticker) for ticker in ("MSFT", "AAPL", "IBM")), past])

    first = (await client.get("/tickers?limit=2", headers=registered_user.headers)).json()
    rest = (await client.get("/tickers?limit=2&cursor=IBM", headers=registered_user.headers)).json()

    assert [each["ticker"] for each in first["items"]] == ["AAPL", "IBM"]
    assert (first["next_cursor"], rest["next_cursor"]) == ("IBM", None)
    assert rest["items"][0] | {"published_at": None} == {
        "ticker": "MSFT",
        "exchange": "XNYS",
        "currency": "USD",
        "source": "sample",
        "live": False,
        "price_basis": "raw",
        "cutoff": "2013-03-01",
        "published_at": None,
    }


async def test_stored_tickers_that_begin_so_are_listed(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """What no ticker can hold is refused."""
    await publish_windows(db, [make_window(ticker) for ticker in ("AAPL", "AA", "A.AA", "IBM")])

    found = (await client.get("/tickers?starts_with=AA", headers=registered_user.headers)).json()
    page = (await client.get("/tickers?starts_with=AA&limit=1", headers=registered_user.headers)).json()
    refused = await client.get("/tickers?starts_with=A%25", headers=registered_user.headers)

    assert [each["ticker"] for each in found["items"]] == ["AA", "AAPL"]
    assert page["next_cursor"] == "AA"
    assert refused.status_code == 422


async def test_the_newest_bars_are_read_oldest_first(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """With the data version they come from."""
    window = make_window("AAPL", version=NEW)
    await publish_windows(db, [window])

    body = (await client.get("/bars/aapl?limit=2", headers=registered_user.headers)).json()
    unknown = await client.get("/bars/IBM", headers=registered_user.headers)
    malformed = await client.get("/bars/..%2Fetc", headers=registered_user.headers)

    assert [bar["trading_day"] for bar in body["bars"]] == ["2013-02-28", "2013-03-01"]
    assert body["bars"][1]["close"] == float(window.bars.close[-1])
    assert (body["data_version"], body["currency"]) == (2, "USD")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/ticker-not-stored")
    assert (malformed.status_code, malformed.json()["type"]) == (422, "/problems/malformed-ticker")


async def test_data_versions_and_their_quality_reports_are_read(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Of each ticker the newest report."""
    await publish_windows(db, [make_window("AAPL", version=OLD)], {"AAPL": {**REPORT, "rows_in": 1}})
    await publish_windows(db, [make_window("AAPL", version=NEW)], {"AAPL": REPORT})
    await publish_windows(db, [make_window("IBM", version=NEW)], {"IBM": REPORT})
    await publish_windows(db, [], {})

    versions = (await client.get("/data/versions", headers=registered_user.headers)).json()
    first = (await client.get("/data/quality?limit=1", headers=registered_user.headers)).json()
    rest = (await client.get("/data/quality?cursor=AAPL", headers=registered_user.headers)).json()

    assert [(each["version"], each["content_sha256"][0]) for each in versions] == [(2, "2"), (1, "1")]
    assert first == {
        "items": [{"ticker": "AAPL", "table_id": "t", "version": 2, "report": REPORT}],
        "next_cursor": "AAPL",
    }
    assert [each["ticker"] for each in rest["items"]] == ["IBM"]


async def test_live_tickers_behind_their_exchange_are_found(db: AsyncSession) -> None:
    """Those of files have no tomorrow, those that are up to date need nothing."""
    await publish_windows(
        db,
        [
            make_window("OLD", cutoff=date(2013, 2, 28), live=True),
            make_window("FRESH", live=True),
            make_window("FILE", cutoff=date(2013, 2, 28)),
        ],
    )

    assert await service.live_exchanges(db) == ["XNYS"]
    assert await service.live_tickers_behind(db, {"XNYS": date(2013, 3, 1)}) == ["OLD"]
    assert await service.live_tickers_behind(db, {"XNYS": date(2013, 2, 28)}) == []
