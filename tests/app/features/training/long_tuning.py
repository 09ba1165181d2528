"""`POST /tune` to its end: a real worker, the real runner, real networks; nothing of it is put in its place.

`make ray` runs it, apart from the other tests: it takes half a minute of a core.
"""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.training import process
from data_pipeline.run_pipeline import collect
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from tests.app.accounts import Account
from tests.app.features.training.conftest import workers_of
from tests.app.windows import make_window

SPACE = {
    "base": "demo",
    "parameters": {"hidden_size": [4, 8], "lookback": [10], "every_days": [20], "epochs": [1], "members": [1]},
}
A_BODY = {"trials": 2, "search": "tpe", "space": SPACE, "tickers": ["IBM"], "study": "small", "folds": 2, "every": 21}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A lease that a start of TensorFlow on a busy machine does not use up."""
    return settings.model_copy(update={"job_lease_seconds": 30.0})


async def test_a_search_that_was_asked_for_is_run_ranked_and_told(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession, settings: Settings
) -> None:
    """Two trials, told one by one as they end; the best of them, and how likely luck brings forth such a one."""
    await asyncio.to_thread(collect, FeatureStore(settings.bars_uri), SampleSource(), ["IBM"])
    await publish_windows(db, [make_window("IBM")])
    await db.close()
    asked = await client.post("/tune", json=A_BODY, headers=trainer.headers)
    assert asked.status_code == 202, asked.text

    with workers_of(settings, process.MODULE) as start:
        start("train")
        job = await _ended(client, asked.headers["location"], trainer)

    assert (job["status"], job["failure"], job["attempt"]) == ("succeeded", None, 1)
    result = job["result"]
    assert [trial["state"] for trial in result["trials"]] == ["complete", "complete"]
    assert {trial["params"]["lookback"] for trial in result["trials"]} == {10}
    best = max(result["trials"], key=lambda trial: trial["value"])
    assert result["best"]["number"] == best["number"]
    assert (result["skill"]["n_trials"], result["skill"]["n_complete"]) == (2, 2)
    assert 0.0 <= result["skill"]["p_alone"] <= result["skill"]["p_corrected"] <= 1.0
    assert (job["progress"]["trials"], job["progress"]["total"]) == (2, 2)
    lines = (await client.get(f"{asked.headers['location']}/logs", headers=trainer.headers)).json()["items"]
    assert sum(line["text"].startswith("trial ") for line in lines) == 2


async def _ended(client: httpx.AsyncClient, place: str, user: Account) -> dict[str, Any]:
    """The job, once nothing more will happen to it."""
    async with asyncio.timeout(280):
        while True:
            job: dict[str, Any] = (await client.get(place, headers=user.headers)).json()
            if job["finished_at"] is not None:
                return job
            await asyncio.sleep(0.2)
