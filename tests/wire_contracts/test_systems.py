"""Clients of the reference systems (docs/wire-contracts.md): their bodies are taken unchanged, their fields are there.

Bodies are as those systems' own documentation shows them, but for the number of rows.
"""

from datetime import datetime
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.training.schemas import JobResult
from tests.app import networks
from tests.app.accounts import Account
from tests.app.windows import make_bars
from tests.wire_contracts.page import routes_of_the_page

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


async def test_system_a_trains(client: httpx.AsyncClient, trainer: Account) -> None:
    """`POST /api/v1/train`, with every field that it has; the bounds are no narrower than its own."""
    body = {"ticker": "AAPL", "start_date": "2000-01-01", "end_date": "2013-12-31", "learning_rate": 0.001}
    bounds = (
        {"lookback": 5, "hidden_size": 16, "num_layers": 1, "epochs": 1},
        {"lookback": 200, "hidden_size": 512, "num_layers": 5, "epochs": 1000},
    )
    for bound in bounds:
        answer = await client.post("/api/v1/train", json=body | bound, headers=trainer.headers)

        assert answer.status_code == 202, answer.text
        said = answer.json()
        assert (said["status"], len(said["task_id"])) == ("queued", 36)
        assert said["message"]
        await client.delete(answer.headers["location"], headers=trainer.headers)


async def test_system_b_trains_and_is_configured(client: httpx.AsyncClient, trainer: Account, admin: Account) -> None:
    """`POST /train {hyperparameters}`, `GET` and `POST /config`."""
    body = {"hyperparameters": {"learning_rate": 0.001, "num_epochs": 50, "hidden_size": 50}}
    answer = await client.post("/train", json=body, headers=trainer.headers)
    changed = await client.post("/config", json=body, headers=admin.headers)
    config = await get(client, trainer, "/config")

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert changed.status_code == 200, changed.text
    assert config["defaults"]["training"]["learning_rate"] == 0.001
    assert (config["defaults"]["training"]["epochs"], config["defaults"]["model"]["hidden_size"]) == (50, 50)


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


async def test_system_c_trains_like_the_champion(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession, settings: Settings
) -> None:
    """`POST /train/` with an empty body, `POST /train/update`, `GET /config/`; a job's result has its fields."""
    nothing_to_train_like = await client.post("/train/", headers=trainer.headers)
    await networks.promote(db, await networks.register(db, networks.write_network(settings.bundles)))
    answer = await client.post("/train/", headers=trainer.headers)
    await client.delete(answer.headers["location"], headers=trainer.headers)
    body = {"period": "30d", "force_download": True}
    updating = await client.post("/train/update", json=body, headers=trainer.headers)
    config = await get(client, trainer, "/config/")

    assert (nothing_to_train_like.status_code, nothing_to_train_like.json()["type"]) == (
        404,
        "/problems/no-champion-config",
    )
    assert (answer.status_code, updating.status_code) == (202, 202), answer.text
    assert set(updating.json()) >= {"status", "message", "metrics", "timestamp"}
    assert set(config) >= {"metadata", "model", "training", "data"}
    assert set(JobResult.model_fields) >= {
        "final_train_loss",
        "final_val_loss",
        "val_rmse",
        "val_mae",
        "model_path",
        "training_duration_seconds",
    }


async def test_system_d(client: httpx.AsyncClient, registered_user: Account) -> None:
    """`curl -d @FILE` of the file that `closecast sample-data` wrote: no line breaks, and called a form."""
    written = (await client.get("/sample-data?ticker=AAPL", headers=registered_user.headers)).content + b"\n"
    headers = {**registered_user.headers, "Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/predict", content=written.replace(b"\n", b""), headers=headers)

    assert answer.status_code == 200, answer.text
    assert (answer.json()["ticker"], len(answer.json()["steps"])) == ("AAPL", 5)


async def test_every_route_of_the_page_is_there(client: httpx.AsyncClient, admin: Account) -> None:
    """Each answers, if only that the body lacks something."""
    for method, path in routes_of_the_page():
        answer = await client.request(method, path, json={} if method == "POST" else None, headers=admin.headers)
        assert answer.status_code != 404 or answer.json()["type"] != "/problems/not-found", path
