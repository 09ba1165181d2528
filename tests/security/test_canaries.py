"""V16.2.5, V14.2.1, V13.3.1: a secret is where it belongs and nowhere else.

A password, tokens, an API key, the database's password and the signing secret go through everything that takes them,
rightly and wrongly; then every log line at DEBUG, every metric, every row of every table and every answer is searched.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import DbSession
from app.core.monitoring.logging import configure_logging
from app.features.market_data.service import publish_windows
from tests.app.windows import make_window

PASSWORD, NEW_PASSWORD = "Canary-of-a-password-3f9c", "Canary-of-a-new-password-77b2"
DATABASE_PASSWORD = "canary-of-the-database-1e77"
SIGNING_SECRET = "canary-of-the-signing-key-3f9c1e77b2d04a68"
EMAIL = "jane@example.org"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Secrets that can be found again; a local server trusts us without the password, which is given all the same."""
    assert settings.database_url is not None
    url = make_url(settings.database_url.get_secret_value()).set(password=DATABASE_PASSWORD)
    secrets = {
        "database_url": SecretStr(url.render_as_string(hide_password=False)),
        "jwt_secret": SecretStr(SIGNING_SECRET),
    }
    return settings.model_copy(update={**secrets, "log_level": "DEBUG"})


@pytest.fixture
def _all_logs() -> Iterator[None]:
    """Everything is logged while this test runs."""
    yield
    configure_logging("ERROR")  # as the other tests want it


@dataclass
class Searched:
    """Where secrets must not be, and which."""

    secrets: dict[str, str]
    told: dict[str, str] = field(default_factory=dict)

    def found(self) -> list[str]:
        """Each secret beside the place where it is."""
        return [
            f"{name} in {place}"
            for place, content in self.told.items()
            for name, secret in self.secrets.items()
            if secret in content or secret.encode().hex() in content
        ]


async def given(client: httpx.AsyncClient) -> dict[str, str]:
    """The secrets that the service itself gives out, each by the one answer that is meant to."""
    account = {"email": EMAIL, "password": PASSWORD}
    assert (await client.post("/auth/register", json=account)).status_code == 201
    signed_in = (await client.post("/auth/token", data={"username": EMAIL, "password": PASSWORD})).json()
    refreshed = (await client.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})).json()
    bearer = {"Authorization": f"Bearer {refreshed['access_token']}"}
    made = await client.post("/auth/api-keys", json={"name": "program", "scopes": ["predict"]}, headers=bearer)
    return {
        "first access token": signed_in["access_token"],
        "first refresh token": signed_in["refresh_token"],
        "access token": refreshed["access_token"],
        "refresh token": refreshed["refresh_token"],
        "API key": made.json()["key"],
    }


async def answers(client: httpx.AsyncClient, secrets: dict[str, str]) -> AsyncIterator[httpx.Response]:
    """All that secrets are sent with, rightly and wrongly; no answer is meant to hold one."""
    bearer, key = {"Authorization": f"Bearer {secrets['access token']}"}, {"X-API-Key": secrets["API key"]}
    for headers in (bearer, key, {**bearer, **key}):
        for path in (
            "/users/me",
            "/auth/api-keys",
            "/predict/AAPL",
            "/predictions",
            "/model/info",
            "/users",
            "/nowhere",
        ):
            yield await client.get(path, headers=headers)
        yield await client.post("/predict", json={"ticker": "AAPL"}, headers=headers)
        yield await client.post("/predict", json={"ticker": secrets["API key"]}, headers=headers)
        yield await client.post("/predict/batch", json={"tickers": ["AAPL", secrets["API key"][:40]]}, headers=headers)
    for secret in secrets.values():
        yield await client.get("/users/me", headers={"Authorization": f"Bearer {secret}"})
        yield await client.get("/users/me", headers={"Authorization": f"Basic {secret}"})
        yield await client.get("/users/me", headers={"X-API-Key": secret})
        yield await client.get(f"/users/me?access_token={secret}&api_key={secret}")
        yield await client.get(f"/predict/{secret}", headers=bearer)
        yield await client.post("/auth/refresh", json={"refresh_token": f"{secret}x"})
        yield await client.post("/auth/refresh", json={"refresh_token": [secret]})
        yield await client.post("/auth/refresh", content=f'{{"refresh_token": "{secret}'.encode())
        yield await client.post("/auth/register", json={"email": secret, "password": {"deep": secret}})
        yield await client.post("/auth/token", data={"username": EMAIL, "password": f"{secret}x"})
        yield await client.post("/auth/token", data={"username": EMAIL, "passwort": secret, "client_secret": secret})
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    yield await client.post("/users/me/password", json={**change, "current_password": NEW_PASSWORD}, headers=bearer)
    yield await client.post("/users/me/password", json={**change, "new_password": "password"}, headers=bearer)
    yield await client.get("/fails/in/the/database", headers=bearer)
    yield await client.get("/fails", headers=bearer)
    yield await client.post("/users/me/password", json=change, headers=bearer)
    yield await client.post("/auth/logout", json={"refresh_token": secrets["refresh token"]})


def add_failures(app: FastAPI, secret: str) -> None:
    """Routes that fail with a secret at hand, as nobody foresees it."""

    @app.get("/fails")
    async def fails() -> None:
        raise KeyError(f"the key {secret} at postgresql://x:{DATABASE_PASSWORD}@db/x")

    @app.get("/fails/in/the/database")
    async def fails_in_the_database(db: DbSession) -> None:
        await db.execute(text("SELECT :secret FROM no_such_table"), {"secret": secret})


def every_row(url: str) -> dict[str, str]:
    """The whole content of each table, of the queue's too, as PostgreSQL spells it."""
    with psycopg.connect(url) as connection:
        named = (
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        tables = [sql.Identifier(*name) for name in connection.execute(named)]
        query = sql.SQL("SELECT coalesce(string_agg(row::text, chr(10)), '') FROM {} AS row")
        content = {table.as_string(): connection.execute(query.format(table)).fetchone() for table in tables}
    return {f"table {name}": str(row[0]) for name, row in content.items() if row is not None}


@pytest.mark.usefixtures("_all_logs")
async def test_v16_2_5_v14_2_1_no_secret_is_in_a_log_a_metric_a_table_or_an_answer(
    app: FastAPI,
    client: httpx.AsyncClient,
    db: AsyncSession,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await publish_windows(db, [make_window("AAPL")])
    secrets = {**await given(client), "password": PASSWORD, "new password": NEW_PASSWORD}
    add_failures(app, secrets["API key"])
    asked = [answer async for answer in answers(client, secrets)]
    metrics = await client.get("/metrics")
    capsys_text = capsys.readouterr()
    assert settings.database_url is not None
    searched = Searched({**secrets, "database password": DATABASE_PASSWORD, "signing secret": SIGNING_SECRET})
    searched.told = {
        "the log": capsys_text.err + capsys_text.out,
        "the metrics": metrics.text,
        **every_row(settings.database_url.get_secret_value()),
        **{f"answer {place} ({answer.status_code})": _whole(answer) for place, answer in enumerate(asked)},
    }

    assert len(capsys_text.err.splitlines()) > len(asked)
    assert {200, 401, 404, 422, 500} <= {answer.status_code for answer in asked}
    assert "argon2" in searched.told['table "public"."users"']  # what is searched is really there
    assert searched.found() == []
    assert not re.search("argon2", "".join(_whole(answer) for answer in asked) + capsys_text.err)


def _whole(answer: httpx.Response) -> str:
    return json.dumps(dict(answer.headers)) + answer.text


def test_v13_3_1_settings_do_not_print_their_secrets(settings: Settings) -> None:
    printed = f"{settings!r} {settings} {settings.model_dump_json()}"

    assert "canary" not in printed
