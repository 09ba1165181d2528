"""What the API answers about a training: a real one, of a minute, on the sample bars."""

from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from app.config import Settings
from app.core.jobs import WorkerTools
from app.features.training.running import run_attempt
from tests.app.accounts import sign_in

WISH = {"ticker": "AAPL", "lookback": 20, "hidden_size": 8, "num_layers": 1, "epochs": 2, "learning_rate": 0.002}


async def record_training(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, *, admin: str, password: str
) -> dict[str, Any]:
    """Answers by operation id; ``admin`` is an administrator's address."""
    headers = (await sign_in(client, email=admin, password=password)).headers
    asked = await client.post("/train", json=WISH, headers=headers)
    assert asked.status_code == 202, asked.text
    place = asked.headers["location"]
    await run_attempt(WorkerTools(settings, app.state.session_factory), UUID(asked.json()["job_id"]), 0)
    job = (await client.get(place, headers=headers)).json()
    assert job["status"] == "succeeded", job
    listed = (await client.get("/train", headers=headers)).json()
    lines = (await client.get(f"{place}/logs", headers=headers)).json()
    config = (await client.get("/config", headers=headers)).json()
    changed = await client.post(
        "/config", json={"training": {"learning_rate": 0.001}, "hidden_size": 48}, headers=headers
    )
    assert changed.status_code == 200, changed.text
    second = await client.post("/train", json=WISH, headers=headers)
    cancelled = await client.delete(second.headers["location"], headers=headers)
    assert cancelled.status_code == 200, cancelled.text
    updating, tuning = (
        asked.json() | {"kind": kind, "message": asked.json()["message"].replace("train", kind, 1)}
        for kind in ("update", "tune")
    )
    job["result"]["scores"] = listed["items"][0]["result"]["scores"] = job["result"]["scores"][:1]
    return {
        "train": asked.json(),
        "update_champion": updating,
        "tune": tuning,
        "read_job": job,
        "list_jobs": listed,
        "read_job_logs": lines,
        "cancel_job": cancelled.json(),
        "read_config": config,
        "change_config": changed.json(),
        "replace_config": changed.json(),
    }
