"""V8.2: who may do what, generated from the OpenAPI document: every operation, asked by everybody."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.users.service import create_user
from app.main import create_app
from app.models.api_key import ApiKey
from tests.app.accounts import Account, sign_in
from tests.app.serving import SECRET
from tests.app.windows import make_window
from tests.security.matrix import MATRIX, NOT_SIGNED_IN, Caller, Door, Row, expected

Document = dict[str, Any]
PASSWORD = "correct horse battery 7"
OF_A_PROBLEM = {"type", "title", "status", "detail", "request_id", "needed", "errors"}
USER_LAST = sorted(Caller, key=lambda caller: caller is Caller.USER)  # it may end what it owns
SAFE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
# Pages to read; HEAD where GET has a row; and what says that a batch is posted.
LEFT_OUT = {
    *((path, "GET") for path in ("/docs", "/docs/start.js", "/redoc", "/redoc/start.js", "/predict/batch")),
    *((path, "HEAD") for path in ("/", "/livez", "/readyz", "/health")),
    ("/openapi.json", "GET", "HEAD"),
    ("/docs/files",),
    *((path, "GET") for path in ("/pages", "/pages/login", "/pages/register", "/pages/keys")),
    *((path, "GET") for path in ("/pages/tickers/{ticker:path}", "/pages/{path:path}", "/static/{name:path}")),
    *((f"/pages/{name}", "GET") for name in ("track-record", "models", "operations")),
    *((f"/pages/session/{path}", "POST") for path in ("login", "refresh", "logout")),
}


@cache
def whole_app() -> FastAPI:
    """With everything that can be switched off."""
    return create_app(Settings(_env_file=None, jwt_secret=SecretStr(SECRET), log_level="ERROR"))


def whole_document() -> Document:
    """What the application says of itself."""
    return whole_app().openapi()


def operations(document: Document) -> dict[str, tuple[str, str, Document]]:
    """Method, path and description of each operation, by its id."""
    return {
        described["operationId"]: (method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    }


def scopes_of(described: Document) -> set[str]:
    """The scopes that an operation names."""
    return {scope for way in described.get("security", []) for scopes in way.values() for scope in scopes}


def test_v8_1_1_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert set(operations(whole_document())) == set(MATRIX)


def test_v8_1_1_what_the_document_leaves_out_is_known_by_name() -> None:
    """Else a route that is not documented would need no row."""
    left_out = {
        (route.path, *sorted(route.methods or ()))
        for route in iter_route_contexts(whole_app().routes)
        if not getattr(route, "include_in_schema", False)
    }
    assert left_out == LEFT_OUT


@pytest.mark.parametrize("name", MATRIX)
def test_v8_1_1_the_document_says_of_each_operation_what_its_row_says(name: str) -> None:
    _, _, described = operations(whole_document())[name]
    row = MATRIX[name]

    assert ("security" in described) == (row.door is not Door.ALL)
    assert ("admin" in scopes_of(described)) == (row.door is Door.ADMIN)
    assert bool(scopes_of(described)) == (row.door in {Door.SCOPE, Door.TRAIN, Door.ADMIN})


class Cast:
    """Those who ask, and what the user owns."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient, db: AsyncSession) -> None:
        self._app, self._client, self._db, self._numbers = app, client, db, count()
        self.headers: dict[Caller, dict[str, str]] = {Caller.NOBODY: {}}
        self.owned: dict[str, str] = {}
        self.secrets_of_the_user: set[str] = set()

    async def gather(self) -> None:
        """Sign everybody in, and let the user own a forecast and a key."""
        user, other, admin = [await self._account(admin=admin) for admin in (False, False, True)]
        self.headers |= {Caller.USER: user.headers, Caller.OTHER: other.headers, Caller.ADMIN: admin.headers}
        self.headers[Caller.EXPIRED] = self._expired(user)
        self.headers[Caller.REVOKED] = await self._revoked(user)
        self.headers[Caller.KEY] = await self._key_without_scope(admin)
        asked = await self._client.get("/predict/IBM", headers=user.headers)
        key = await self._client.post(
            "/auth/api-keys", json={"name": "mine", "scopes": ["predict"]}, headers=user.headers
        )
        model = await self._client.get("/model/info", headers=user.headers)
        self.owned = {
            "{owned_forecast}": asked.json()["forecast_id"],
            "{owned_key}": key.json()["id"],
            "{other_id}": str(other.id),
            "{champion}": model.json()["version"],
        }
        self.secrets_of_the_user = {
            user.email,
            str(user.id),
            asked.json()["forecast_id"],
            key.json()["id"],
            key.json()["prefix"],
        }

    async def headers_for(self, row: Row, caller: Caller) -> dict[str, str]:
        """The usual ones, or those of an account made to be ended."""
        if row.ends_account and caller in {Caller.USER, Caller.OTHER, Caller.ADMIN}:
            return (await self._account(admin=caller is Caller.ADMIN)).headers
        return self.headers[caller]

    def new_email(self) -> str:
        """An address that nobody has."""
        return f"matrix{next(self._numbers)}@example.org"

    async def _account(self, *, admin: bool) -> Account:
        email = self.new_email()
        await create_user(self._db, self._app.state.passwords, email=email, password=PASSWORD, admin=admin)
        return await sign_in(self._client, email=email, password=PASSWORD)

    def _expired(self, user: Account) -> dict[str, str]:
        tokens = self._app.state.tokens
        claims = tokens.verify(user.access_token, "access")
        lifetime = timedelta(seconds=-30)
        token = tokens.sign("access", user_id=claims.sub, sign_in_id=claims.sid, lifetime=lifetime)
        return {"Authorization": f"Bearer {token}"}

    async def _revoked(self, user: Account) -> dict[str, str]:
        ended = await sign_in(self._client, email=user.email, password=PASSWORD)
        await self._client.post("/auth/logout", json={"refresh_token": ended.refresh_token})
        return ended.headers

    async def _key_without_scope(self, admin: Account) -> dict[str, str]:
        """Its account may do everything; the key nothing."""
        wish = {"name": "without scope", "scopes": ["predict"]}
        made = await self._client.post("/auth/api-keys", json=wish, headers=admin.headers)
        await self._db.execute(update(ApiKey).where(ApiKey.id == made.json()["id"]).values(scopes=[]))
        await self._db.commit()
        return {"X-API-Key": made.json()["key"]}


@pytest.fixture
async def settings(settings: Settings) -> Settings:
    """Limits out of the way: they have tests of their own."""
    unhurried = dict.fromkeys(("burst_per_second", "sign_in_requests_per_minute"), 10**6)
    return settings.model_copy(update=unhurried)


@pytest.fixture
async def cast(app: FastAPI, client: httpx.AsyncClient, db: AsyncSession) -> Cast:
    """Everybody, signed in."""
    await publish_windows(db, [make_window("AAPL"), make_window("IBM")])
    cast = Cast(app, client, db)
    await cast.gather()
    return cast


def filled(value: Any, filling: Mapping[str, str]) -> Any:
    """``value`` with what the braces stand for."""
    if isinstance(value, str):
        for name, text in filling.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, Mapping):
        return {name: filled(inner, filling) for name, inner in value.items()}
    return value


async def asked(
    client: httpx.AsyncClient, cast: Cast, name: str, where: tuple[str, str], caller: Caller
) -> httpx.Response:
    """The answer to one operation, asked by one caller."""
    row, (method, template) = MATRIX[name], where
    filling = {**cast.owned, "{new_email}": cast.new_email(), "{password}": PASSWORD}
    path = template
    for parameter, value in row.path.items():
        path = path.replace(f"{{{parameter}}}", filled(value, filling))
    return await client.request(
        method,
        path,
        params=filled(row.query, filling),
        json=filled(row.body, filling),
        data=filled(row.form, filling),
        headers=await cast.headers_for(row, caller),
    )


def in_order() -> Iterator[str]:
    """Operations that take something away come last."""
    yield from (name for name in MATRIX if name != "revoke_api_key")
    yield "revoke_api_key"


async def test_v8_2_1_v8_2_2_everybody_gets_what_the_matrix_says_and_nothing_of_others(
    client: httpx.AsyncClient, cast: Cast
) -> None:
    """Foreign ids answer 404; whoever is refused is told a problem and nothing else; every answer has safe headers."""
    described = operations(whole_document())
    wrong, leaks, cells = [], [], 0
    for name in in_order():
        method, path, _ = described[name]
        for caller in USER_LAST:
            answer = await asked(client, cast, name, (method, path), caller)
            cells += 1
            cell = f"{method.upper()} {path} by {caller}: {answer.status_code}"
            if answer.status_code not in expected(MATRIX[name], caller):
                wrong.append(f"{cell}, not {expected(MATRIX[name], caller)}: {answer.text[:200]}")
            if answer.status_code >= 400 and not set(answer.json()) <= OF_A_PROBLEM:
                leaks.append(f"{cell} tells {set(answer.json()) - OF_A_PROBLEM}")
            if told(answer, cast, name, caller):
                leaks.append(f"{cell} tells what is the user's")
            if any(answer.headers.get(header) != value for header, value in SAFE.items()):
                wrong.append(f"{cell} lacks a safe header")
            if caller in NOT_SIGNED_IN and answer.status_code == 401 and "www-authenticate" not in answer.headers:
                wrong.append(f"{cell} does not say how to sign in")

    assert wrong == []
    assert leaks == []
    assert cells == len(MATRIX) * len(Caller)


def told(answer: httpx.Response, cast: Cast, name: str, caller: Caller) -> bool:
    """Whether something of the user's is in an answer to somebody else; an administrator may list the accounts."""
    if caller is Caller.USER or (caller is Caller.ADMIN and name == "list_users"):
        return False
    sent = str(answer.request.url)  # a refusal may repeat the id that was asked for
    return any(secret in answer.text and secret not in sent for secret in cast.secrets_of_the_user)
