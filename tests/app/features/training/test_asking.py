"""Trainings over HTTP: asked for, followed, cancelled; each user's own."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import WorkerTools
from app.features.market_data.service import publish_windows
from app.features.training.running import run_attempt
from ml_lifecycle.training.config import load_config, parse_config
from tests.app import networks
from tests.app.accounts import Account
from tests.app.features.training.conftest import make_trainer
from tests.app.windows import VERSION, make_window

A_BODY = {
    "ticker": "AAPL",
    "start_date": "2005-01-01",
    "end_date": "2013-12-31",
    "lookback": 30,
    "hidden_size": 50,
    "num_layers": 2,
    "epochs": 20,
    "learning_rate": 0.002,
}


@pytest.fixture
async def _stored(db: AsyncSession) -> None:
    await publish_windows(db, [make_window("AAPL"), make_window("IBM")])


async def ask(client: httpx.AsyncClient, user: Account, body: Any = None, **headers: str) -> httpx.Response:
    """`POST /train`."""
    return await client.post("/train", json=body, headers={**user.headers, **headers})


async def spec_of(db: AsyncSession) -> dict[str, Any]:
    """What the newest job is told."""
    newest = "SELECT spec FROM training_jobs ORDER BY created_at DESC LIMIT 1"
    spec: dict[str, Any] = await db.scalar(text(newest))
    return spec


@pytest.mark.usefixtures("_stored")
async def test_what_was_asked_for_changes_the_defaults_and_waits(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession
) -> None:
    """The body of another system; a single ticker has every day of its own as a cutoff."""
    answer = await ask(client, trainer, A_BODY)
    spec = await spec_of(db)
    read = await client.get(answer.headers["location"], headers=trainer.headers)

    assert answer.status_code == 202, answer.text
    said = answer.json()
    assert (said["status"], said["kind"], said["task_id"]) == ("queued", "train", said["job_id"])
    assert (spec["tickers"], spec["start_date"], spec["end_date"]) == (["AAPL"], "2005-01-01", "2013-12-31")
    asked_for = {"lookback": 30, "num_layers": 2, "hidden_size": 50, "epochs": 20, "learning_rate": 0.002}
    assert parse_config(spec["content"]) == load_config("default", **asked_for, every_days=1)
    assert read.json()["reason"] == f"user {trainer.id}: POST /train"
    assert (read.json()["result"], read.json()["progress"], read.json()["attempt"]) == (None, None, 0)


UNTRAINABLE = [
    (A_BODY | {"lookback": 4}, 422, "invalid-request"),
    (A_BODY | {"hidden_size": 513}, 422, "invalid-request"),
    (A_BODY | {"num_layers": 6}, 422, "invalid-request"),
    (A_BODY | {"epochs": 1001}, 422, "invalid-request"),
    (A_BODY | {"learning_rate": 0.0}, 422, "invalid-request"),
    (A_BODY | {"end_date": "2005-01-01"}, 422, "invalid-request"),
    (A_BODY | {"tickers": ["AAPL"]}, 422, "invalid-request"),
    (A_BODY | {"end_date": "2006-12-31"}, 422, "invalid-configuration"),  # no window, outcome, parts and gate
    (A_BODY | {"start_date": "2012-12-31", "end_date": "2099-12-31"}, 422, "invalid-configuration"),
    ({"start_date": "2012-12-31"}, 422, "invalid-configuration"),  # of all that is stored
    (A_BODY | {"optimizer": "sgd"}, 422, "invalid-request"),
    (A_BODY | {"ticker": "../x"}, 422, "malformed-ticker"),
    (A_BODY | {"ticker": "MSFT"}, 404, "ticker-not-stored"),
    ({"hyperparameters": {"hidden_size": 0}}, 422, "invalid-request"),
    ({}, 404, "no-champion-config"),
    (None, 404, "no-champion-config"),
]


@pytest.mark.usefixtures("_stored")
async def test_what_cannot_be_trained_does_not_wait(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession
) -> None:
    """Neither as a row nor as a job."""
    for body, status, problem in UNTRAINABLE:
        answer = await ask(client, trainer, body)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}"), answer.text

    assert await db.scalar(text("SELECT count(*) FROM training_jobs")) == 0
    assert await db.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0


async def test_where_nothing_is_stored_nothing_waits(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession
) -> None:
    """No ticker named means all of them, and there is none; of a search as well."""
    for path, body in (("/train", {"epochs": 3}), ("/tune", {"trials": 2})):
        answer = await client.post(path, json=body, headers=trainer.headers)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/nothing-stored"), answer.text

    assert await db.scalar(text("SELECT count(*) FROM training_jobs")) == 0


@pytest.mark.usefixtures("_stored")
async def test_an_empty_body_trains_the_champion_s_configuration_on_its_tickers(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession, settings: Settings
) -> None:
    """Whatever the body of an empty request is; `POST /train/update` goes on from its weights."""
    champion = await networks.register(db, networks.write_network(settings.bundles))
    await networks.promote(db, champion)
    manifest = (await client.get(f"/models/{champion}", headers=trainer.headers)).json()

    for path, body in (("/train/", {}), ("/train", {"json": {}}), ("/train/update", {})):
        answer = await client.post(path, **body, headers=trainer.headers)
        spec = await spec_of(db)
        assert answer.status_code == 202, answer.text
        assert answer.json()["kind"] == ("update" if "update" in path else "train")
        if path == "/train/update":
            assert spec == {"period": None, "force_download": False}
        else:
            assert spec["content"] == manifest["config"]
        assert (await client.delete(answer.headers["location"], headers=trainer.headers)).status_code == 200


@pytest.mark.usefixtures("_stored")
async def test_a_user_has_one_training_at_a_time(
    app: FastAPI, client: httpx.AsyncClient, trainer: Account, db: AsyncSession
) -> None:
    """And may repeat the request with its key; another user has one of theirs."""
    other = await make_trainer(app, client, db, "bob@example.org")

    first = await ask(client, trainer, A_BODY, **{"Idempotency-Key": "one"})
    again = await ask(client, trainer, A_BODY, **{"Idempotency-Key": "one"})
    second = await ask(client, trainer, A_BODY)
    updating = await client.post("/train/update", headers=trainer.headers)
    others = await ask(client, other, A_BODY)

    assert (first.status_code, others.status_code) == (202, 202)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert (second.status_code, second.json()["type"]) == (409, "/problems/training-in-progress")
    assert updating.status_code == 404  # the reference is champion: that is told first
    assert await db.scalar(text("SELECT count(*) FROM training_jobs")) == 2
    assert await db.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 2


@pytest.mark.usefixtures("_stored")
async def test_a_job_is_its_owner_s_and_the_administrator_s(
    app: FastAPI, client: httpx.AsyncClient, trainer: Account, admin: Account, db: AsyncSession
) -> None:
    other = await make_trainer(app, client, db, "bob@example.org")
    place = (await ask(client, trainer, A_BODY)).headers["location"]

    for path in (place, f"{place}/logs", f"{place}/events"):
        answer = await client.get(path, headers=other.headers)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/job-not-found"), path
    assert (await client.delete(place, headers=other.headers)).status_code == 404
    assert (await client.get("/train", headers=other.headers)).json()["items"] == []
    for user in (trainer, admin):
        assert (await client.get(place, headers=user.headers)).status_code == 200
        listed = (await client.get("/train/", headers=user.headers)).json()
        assert [f"/train/{job['job_id']}" for job in listed["items"]] == [place]
    assert (await client.delete(f"{place}/", headers=admin.headers)).json()["status"] == "cancelled"


async def test_who_may_only_predict_trains_nothing(client: httpx.AsyncClient, registered_user: Account) -> None:
    absent = "/train/0b9f7c1e-6a5d-4d1c-9a3e-2f6f0c9a7b11"
    for method, path in (
        ("POST", "/train"),
        ("POST", "/train/update"),
        ("GET", "/train"),
        ("GET", absent),
        ("GET", f"{absent}/events"),
        ("GET", f"{absent}/logs"),
        ("DELETE", absent),
        ("PUT", "/config"),
        ("POST", "/config"),
    ):
        body = {"model": {}, "training": {}} if path == "/config" else None
        answer = await client.request(method, path, json=body, headers=registered_user.headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/missing-scope"), (method, path)


@pytest.mark.usefixtures("_stored")
async def test_a_job_is_cancelled_once_and_not_after_its_end(
    client: httpx.AsyncClient, trainer: Account, tools: WorkerTools
) -> None:
    """A worker that comes to it later leaves it alone."""
    place = (await ask(client, trainer, A_BODY)).headers["location"]

    cancelled = await client.delete(place, headers=trainer.headers)
    again = await client.delete(place, headers=trainer.headers)
    await run_attempt(tools, cancelled.json()["job_id"], 0)

    assert (cancelled.json()["status"], again.json()["status"]) == ("cancelled", "cancelled")
    assert (await client.get(place, headers=trainer.headers)).json() == again.json()
    assert (await ask(client, trainer, A_BODY)).status_code == 202  # the next one may begin


@pytest.mark.usefixtures("_stored")
async def test_a_finished_training_tells_its_figures_beside_the_naive_and_no_place_on_a_disk(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession
) -> None:
    place = (await ask(client, trainer, A_BODY)).headers["location"]
    figures = {"final_train_loss": 0.2, "final_val_loss": 0.19, "val_rmse": 1.0, "val_mae": 0.8}
    naive = {"naive_val_rmse": 1.1, "naive_val_mae": 0.9}
    result = {**figures, **naive, "bundle": "b" * 64, "training_seconds": 9.5, "folder": "/data/bundles/b"}
    await db.execute(
        text(
            "UPDATE training_jobs SET status = 'succeeded', finished_at = now(), lease_until = NULL, "
            "result = CAST(:result AS jsonb)"
        ),
        {"result": json.dumps(result)},
    )
    await db.commit()

    job = (await client.get(place, headers=trainer.headers)).json()

    assert job["metrics"] == figures | naive
    assert job["result"]["model_path"] == job["result"]["bundle"] == "b" * 64
    assert job["result"]["training_duration_seconds"] == 9.5
    assert "folder" not in job["result"]
    assert {"status", "message", "metrics", "timestamp"} <= job.keys()
    refused = await client.delete(place, headers=trainer.headers)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/job-ended")


@pytest.mark.usefixtures("_stored")
async def test_two_values_of_one_field_and_tickers_that_the_defaults_name_in_vain_are_refused_at_once(
    client: httpx.AsyncClient, trainer: Account, admin: Account, db: AsyncSession
) -> None:
    for body in ({"hyperparameters": {"seq_length": 20}, "lookback": 30}, {"seq_length": 20, "lookback": 30}):
        answer = await ask(client, trainer, body)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-configuration"), body
        assert "two values are given" in answer.json()["detail"]
    named = await client.post("/config", json={"data": {"tickers": ["AAPL", "IBM"]}}, headers=admin.headers)
    assert named.status_code == 200, named.text
    await db.execute(text("DELETE FROM serving_windows WHERE ticker = 'IBM'"))
    await db.commit()

    answer = await ask(client, trainer, {"epochs": 1})

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/ticker-not-stored")


@pytest.mark.usefixtures("_stored")
async def test_the_bars_that_the_defaults_name_are_trained_on_unless_others_are_asked_for(
    client: httpx.AsyncClient, trainer: Account, admin: Account, db: AsyncSession
) -> None:
    data = {"tickers": ["IBM"], "start_date": "2001-01-01", "end_date": "2012-12-31", "data_version": VERSION.version}
    named = await client.post("/config", json={"data": data}, headers=admin.headers)
    assert named.status_code == 200, named.text

    await ask(client, trainer, {"epochs": 1, "start_date": "2002-01-01"})

    bars = {name: value for name, value in (await spec_of(db)).items() if name != "content"}
    assert bars == data | {"start_date": "2002-01-01"}
