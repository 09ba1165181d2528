"""Sample data: whatever `GET /sample-data` gives, `POST /predict` takes, and forecasts as it forecasts the ticker."""

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from data_pipeline.serving_window import PUBLISHED_BARS
from tests.app import networks
from tests.app.accounts import Account
from tests.app.windows import make_window
from tests.ml_lifecycle.export.handmade import SPEC


async def test_a_sample_is_taken_as_it_is_and_forecast_as_its_ticker(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """By the champion, which finds in it all that it reads; the first ticker by alphabet where none is named."""
    await networks.promote(db, await networks.register(db, networks.write_network(settings.bundles)))
    await app.state.champions.reload()
    await publish_windows(db, [make_window("MSFT", seed=1), make_window("AAPL", seed=2)])
    headers = registered_user.headers

    sample = await client.get("/api/v1/sample-data/?ticker=msft", headers=headers)
    posted = await client.post("/predict", content=sample.content, headers=headers)
    stored = await client.get("/predict/MSFT", headers=headers)

    assert (sample.status_code, len(sample.json()["sequence"])) == (200, SPEC.history_needed)
    answer = posted.json()
    assert (answer["ticker"], answer["cutoff"], answer["window"]["answered_by"]) == ("MSFT", "2013-03-01", "champion")
    assert answer["target_trading_day"] == stored.json()["steps"][0]["target_trading_day"]
    assert [step["quantiles"] for step in answer["steps"]] == [step["quantiles"] for step in stored.json()["steps"]]
    assert (await client.get("/sample-data", headers=headers)).json()["ticker"] == "AAPL"


@pytest.mark.parametrize("kind", ["reference", "network"])
@pytest.mark.parametrize("stored", [400, 1_100])
async def test_a_sample_holds_all_that_can_change_the_answer(
    app: FastAPI,
    client: httpx.AsyncClient,
    registered_user: Account,
    db: AsyncSession,
    settings: Settings,
    kind: str,
    stored: int,
) -> None:
    """As many rows as the champion uses, or as are stored, though it needs fewer: the answer is the stored ticker's."""
    if kind == "network":
        folder = networks.write_network_with_long_run(settings.bundles)
        await networks.promote(db, await networks.register(db, folder))
        await app.state.champions.reload()
    await publish_windows(db, [make_window("AAPL", stored)])
    headers = registered_user.headers
    info = (await client.get("/model/info", headers=headers)).json()

    sample = await client.get("/sample-data", headers=headers)
    fewer = await client.get(f"/sample-data?rows={info['history_needed']}", headers=headers)
    posted, short = [
        (await client.post("/predict", content=body.content, headers=headers)).json() for body in (sample, fewer)
    ]
    by_ticker = (await client.get("/predict/AAPL", headers=headers)).json()

    assert (info["kind"], info["history_needed"] < stored, info["history_used"]) == (kind, True, 1_031)
    assert len(sample.json()["sequence"]) == posted["window"]["rows_read"] == min(stored, 1_031)
    assert (posted["window"]["answered_by"], posted["cutoff"]) == ("champion", by_ticker["cutoff"])
    for name in ("log_return", "quantiles"):
        told = [step[name] for step in posted["steps"]]
        assert told == [step[name] for step in by_ticker["steps"]]
        assert told != [step[name] for step in short["steps"]]


async def test_an_older_row_is_left_out_before_a_column_is(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, settings: Settings
) -> None:
    """Else one hole among the rows that the champion merely uses would hide whole bars from it."""
    folder = networks.write_network_with_long_run(settings.bundles)
    await networks.promote(db, await networks.register(db, folder))
    await app.state.champions.reload()
    window = make_window("AAPL", 400)
    window.bars.open[[20, 99]] = np.nan
    await publish_windows(db, [window])

    sample = await client.get("/sample-data", headers=registered_user.headers)
    posted = await client.post("/predict", content=sample.content, headers=registered_user.headers)

    assert (len(sample.json()["sequence"]), "open" in sample.json()["sequence"][0]) == (300, True)
    assert posted.json()["window"]["answered_by"] == "champion"


async def test_the_longest_sample_is_no_body_too_long(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Of prices in all their digits, which are the longest to write."""
    window = make_window("AAPL", PUBLISHED_BARS)
    for column in (window.bars.open, window.bars.high, window.bars.low, window.bars.close, window.bars.adj_close):
        column *= 10_000 / 3
    window.bars.volume[:] *= np.pi * 100
    await publish_windows(db, [window])

    sample = await client.get(f"/sample-data?rows={PUBLISHED_BARS}", headers=registered_user.headers)
    posted = await client.post("/predict", content=sample.content, headers=registered_user.headers)

    assert (posted.status_code, posted.json()["window"]["rows"]) == (200, PUBLISHED_BARS)


async def test_more_rows_may_be_asked_for_and_fewer_than_there_are_only(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """With nothing stored there is none; a column that is unusable on one day is left out of all."""
    headers = registered_user.headers
    nothing = await client.get("/sample-data", headers=headers)
    window = make_window("AAPL")
    window.bars.open[-3], window.bars.volume[-1] = np.nan, np.nan
    dear = make_window("DEAR")
    dear.bars.close[-1] = 0.0
    await publish_windows(db, [window, dear, make_window("YOUNG", 251)])

    some = await client.get("/sample-data?ticker=AAPL&rows=300", headers=headers)
    default = await client.get("/sample-data?ticker=AAPL", headers=headers)
    refused = [
        await client.get(f"/sample-data?{query}", headers=headers)
        for query in ("ticker=AAPL&rows=301", "ticker=NEWCO", "ticker=../x", "rows=0", "ticker=DEAR", "ticker=YOUNG")
    ]

    assert (nothing.status_code, nothing.json()["type"]) == (404, "/problems/nothing-stored")
    assert (len(some.json()["sequence"]), len(default.json()["sequence"])) == (300, 300)
    assert set(default.json()["sequence"][0]) == {"trading_day", "high", "low", "close", "adj_close"}
    assert (await client.post("/predict", content=default.content, headers=headers)).status_code == 200
    assert [(answer.status_code, answer.json()["type"].removeprefix("/problems/")) for answer in refused] == [
        (422, "insufficient-history"),
        (404, "ticker-not-stored"),
        (422, "malformed-ticker"),
        (422, "invalid-request"),
        (422, "unusable-bars"),
        (422, "insufficient-history"),
    ]
