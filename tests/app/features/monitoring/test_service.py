"""What the service says about itself."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.main import create_app


async def test_a_program_gets_json_and_a_browser_a_page(client: httpx.AsyncClient) -> None:
    program = await client.get("/", headers={"Accept": "application/json"})
    browser = await client.get("/", headers={"Accept": "text/html,application/xhtml+xml;q=0.9"})

    assert set(program.json()) == {"title", "description", "version"}
    assert program.json()["version"] == version("closecast")
    assert browser.headers["content-type"].startswith("text/html")
    assert program.headers["vary"] == "Accept"
    assert browser.headers["vary"].startswith("Accept,")
    assert "http" not in browser.text


async def test_ready_means_database_migrations_champion_and_log(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": "ready",
            "checks": {"database": "ok", "migrations": "ok", "champion": "ok", "prediction_log": "ok"},
        },
    )


async def test_a_process_whose_log_nobody_writes_is_not_ready(app: FastAPI, client: httpx.AsyncClient) -> None:
    """It could answer nothing: what is not logged is not answered."""
    await app.state.prediction_log.stop()

    answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["detail"]) == (503, "not ready: prediction_log")


async def test_health_names_version_and_time(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/v1/health")).json()

    assert (answer["status"], answer["version"]) == ("ok", version("closecast"))
    assert abs((datetime.now(UTC) - datetime.fromisoformat(answer["timestamp"])).total_seconds()) < 60


async def test_a_schema_that_is_not_at_head_is_not_ready(client: httpx.AsyncClient, db: AsyncSession) -> None:
    await db.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    await db.commit()

    answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert answer.json()["detail"] == "not ready: migrations"
    assert answer.json()["checks"]["migrations"].startswith("at 0000, ")
    assert answer.headers["retry-after"] == "2"


async def test_without_a_champion_it_is_alive_but_not_ready(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_of(app) as client:
        answer = await client.get("/readyz")

    assert answer.json()["detail"] == "not ready: champion"


@pytest.fixture
async def cut_off(settings: Settings, tmp_path: Path) -> FastAPI:
    """An application whose database is not there."""
    nowhere = SecretStr(f"postgresql://x:canary-password@/closecast?host={tmp_path}")
    return create_app(settings.model_copy(update={"database_url": nowhere, "database_timeout_seconds": 1.0}))


def client_of(app: FastAPI) -> AsyncClient:
    """HTTP into an application."""
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


async def test_without_the_database_it_lives_says_so_and_refuses_within_the_deadline(
    cut_off: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    async with cut_off.router.lifespan_context(cut_off), client_of(cut_off) as client:
        live, ready, health = [await client.get(path) for path in ("/livez", "/readyz", "/health")]
        sign_in = await client.post("/auth/token", data={"username": "a@example.org", "password": "x"})

    assert live.status_code == 200
    assert (ready.status_code, ready.json()["detail"]) == (503, "not ready: database, migrations, champion")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert (sign_in.status_code, sign_in.json()["type"]) == (503, "/problems/database-unavailable")
    assert "retry-after" in sign_in.headers
    assert "canary-password" not in capsys.readouterr().err + ready.text + sign_in.text


async def test_metrics_can_be_switched_off(settings: Settings) -> None:
    async with client_of(create_app(settings.model_copy(update={"metrics_enabled": False}))) as client:
        answer = await client.get("/metrics")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
