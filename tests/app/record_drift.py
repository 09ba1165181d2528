"""What the routes about drift answer, recorded for the examples of the OpenAPI document."""

import asyncio
from typing import Any

import httpx

from app.config import Settings
from app.features.drift import run_drift
from data_pipeline.storage.feature_store import FeatureStore
from tests.app.accounts import sign_in

SHOWN = 2  # columns in an example


class Silent:
    """Who tells nobody; see ``Emit``."""

    def progress(self, **values: Any) -> None:
        """Nothing."""

    def log(self, text: str) -> None:
        """Nothing."""


async def record_drift(client: httpx.AsyncClient, settings: Settings, *, admin: str, password: str) -> dict[str, Any]:
    """Ask, do what the job does, read."""
    headers = (await sign_in(client, email=admin, password=password)).headers
    wish = {"ticker": "AAPL", "reference_version": FeatureStore(settings.bars_uri).version().version}
    asked = await client.post("/drift/detect", json=wish, headers=headers)
    assert asked.status_code == 202, asked.text
    spec = {**wish, "job_id": asked.json()["id"], "asked_by": asked.json()["asked_by"]}
    tickers = {"tickers": [spec.pop("ticker")]}
    await asyncio.to_thread(run_drift.run, settings, {**spec, **tickers}, Silent())
    report = (await client.get(asked.headers["location"], headers=headers)).json()
    few = list(report["drift_scores"])[:SHOWN]
    shown = {
        **report,
        "drift_scores": {name: report["drift_scores"][name] for name in few},
        "columns": report["columns"][:SHOWN],
    }
    return {"detect_drift": asked.json(), "read_drift": shown, "list_drift": {"items": [shown], "next_cursor": None}}
