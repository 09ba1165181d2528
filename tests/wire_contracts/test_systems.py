"""Clients of the reference systems (docs/wire-contracts.md): their bodies are taken unchanged, their fields are there.

Bodies are as those systems' own documentation shows them, but for the number of rows.
"""

from datetime import datetime
from typing import Any

import httpx

from tests.app.accounts import Account
from tests.app.windows import make_bars
from tests.wire_contracts.page import Page

BARS = make_bars(60, seed=5)
CLOSES = BARS.close.tolist()
HIGH_LOW_CLOSE_VOLUME = [
    list(row)
    for row in zip(*(getattr(BARS, name).tolist() for name in ("high", "low", "close", "volume")), strict=True)
]


async def post(client: httpx.AsyncClient, user: Account, path: str, body: Any) -> dict[str, Any]:
    """What a body is answered."""
    answer = await client.post(path, json=body, headers=user.headers)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def get(client: httpx.AsyncClient, user: Account, path: str) -> dict[str, Any]:
    """What a path is answered."""
    answer = await client.get(path, headers=user.headers)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def test_system_a(client: httpx.AsyncClient, registered_user: Account) -> None:
    """`POST /api/v1/predict {ticker, days_ahead}`, `GET /api/v1/health`; a path to a model is refused by name."""
    said = await post(client, registered_user, "/api/v1/predict", {"ticker": "AAPL", "days_ahead": 30})
    health = await client.get("/api/v1/health")
    refused = await client.post(
        "/api/v1/predict",
        json={"ticker": "AAPL", "days_ahead": 5, "model_path": "models/best.pt"},
        headers=registered_user.headers,
    )

    assert said["ticker"] == "AAPL"
    assert [type(price) for price in said["predictions"]] == [float] * 30
    assert datetime.fromisoformat(said["generated_at"]).tzinfo is not None
    assert len(said["model_version"]) == 64
    assert health.status_code == 200
    assert set(health.json()) >= {"status", "version", "timestamp"}
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/model-path-refused")


async def test_system_a_asks_for_drift(client: httpx.AsyncClient, admin: Account) -> None:
    """`POST /api/v1/drift/detect {ticker, reference_version, production_version}`; a job, so null at first."""
    body = {"ticker": "AAPL", "reference_version": 1, "production_version": 2}
    asked = await client.post("/api/v1/drift/detect", json=body, headers=admin.headers)
    report = await get(client, admin, f"/api/v1{asked.headers['location']}")

    assert asked.status_code == 202
    for said in (asked.json(), report):
        assert set(said) >= {"has_drift", "drifted_features", "drift_scores", "recommendation"}
        assert (said["task_id"], said["status"]) == (asked.json()["task_id"], "queued")


async def test_system_b(client: httpx.AsyncClient, registered_user: Account) -> None:
    """`POST /predict {last_prices}`, `GET /sample-data`, `/model/info`, `/health`, `/`."""
    said = await post(client, registered_user, "/predict", {"last_prices": CLOSES})
    sample = await client.get("/sample-data", headers=registered_user.headers)
    of_sample = await client.post("/predict", content=sample.content, headers=registered_user.headers)
    info = await get(client, registered_user, "/model/info")

    assert isinstance(said["predicted_price"], float)
    assert said["drift_warning"] is False
    assert said["drift_details"] == {"left_training_distribution": []}
    assert isinstance(of_sample.json()["predicted_price"], float)
    assert set(info) >= {"version", "current_params", "metrics"}
    assert set(info["current_params"]) >= {"seq_length", "hidden_size"}
    assert set(info["metrics"]) >= {"mae", "rmse", "mape"}
    assert (await client.get("/health")).json()["status"] == "ok"
    assert set((await client.get("/")).json()) == {"title", "description", "version"}


async def test_system_c(client: httpx.AsyncClient, registered_user: Account) -> None:
    """`POST /infer/ {sequence}` of rows and of closes, with and without the slash; `GET /monitor/`."""
    for path, sequence in (("/infer/", HIGH_LOW_CLOSE_VOLUME), ("/infer", HIGH_LOW_CLOSE_VOLUME), ("/infer/", CLOSES)):
        said = await post(client, registered_user, path, {"sequence": sequence})

        assert isinstance(said["prediction"], float)
        assert datetime.fromisoformat(said["timestamp"]).tzinfo is not None
        assert said["latency_ms"] > 0

    monitored = await get(client, registered_user, "/monitor/")
    assert (monitored["status"], monitored["total_inferences"]) == ("ok", 3)
    assert 0 < monitored["min_latency_ms"] <= monitored["avg_latency_ms"] <= monitored["max_latency_ms"]
    assert datetime.fromisoformat(monitored["last_inference_timestamp"]).tzinfo is not None


async def test_system_d(client: httpx.AsyncClient, registered_user: Account) -> None:
    """`curl -d @FILE` of the file that `closecast sample-data` wrote: no line breaks, and called a form."""
    written = (await client.get("/sample-data?ticker=AAPL", headers=registered_user.headers)).content + b"\n"
    headers = {**registered_user.headers, "Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/predict", content=written.replace(b"\n", b""), headers=headers)

    assert answer.status_code == 200, answer.text
    assert (answer.json()["ticker"], len(answer.json()["steps"])) == ("AAPL", 5)


async def test_what_the_page_calls_not_yet_is_not_there_yet(client: httpx.AsyncClient, admin: Account) -> None:
    """Training, configuration, drift between data versions and monitoring: the page says so until they come."""
    page = Page.read()
    for method, path in page.not_yet:
        answer = await client.request(method, path, json={} if method == "POST" else None, headers=admin.headers)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), path
    for method, path in page.here:
        answer = await client.request(method, path, json={} if method == "POST" else None, headers=admin.headers)
        assert answer.status_code != 404, path
