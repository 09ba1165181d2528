"""The OpenAPI document against the running API, asked as a user and as an administrator: what is written happens.

`make fuzz` asks each operation a hundred times as each of them, `make fuzz CASES=1000` a thousand times. Not part of
`make test`: CI has a stage for it.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from itertools import count
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.features.market_data.service import publish_windows
from app.features.registry.service import ensure_reference_champion
from app.main import create_app
from app.models.user import Scope
from tests.app.serving import SECRET, Server, serving
from tests.app.windows import make_window
from tests.database import migrated_template, temporary_database

PASSWORD = "nine grey geese glide by"  # no example of the document: a password that is changed ends all sign-ins
CASES = int(os.environ.get("FUZZ_CASES", "100"))  # of each operation, as each caller: half asked well, half badly
ALIKE = 5  # of an operation that takes no input
CONFIG = {
    "seed": 20261121,
    # An API key that is made up, beside the caller's token, would be refused before anything else is looked at.
    "generation": {"with-security-parameters": False},
    "checks": {
        # 503 is a documented answer; which ones are right here, `PENDING` says.
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
        # 422 also says what no schema can: a password that is easily guessed, a ticker with too few bars; 404 and 409
        # what is there, 403 what a user may not, 401 a password or token that is none, 429 too many of those.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422", "429", "503"]},
    },
}
# The database is there and answers: what may be missing is what nothing collects, and what nobody has trained.
PENDING = {"/problems/collection-pending", "/problems/closes-network-missing"}
# Limits have tests of their own; here each request is to reach what it asks for.
MANY = "1000000"
UNHURRIED = {
    f"CLOSECAST_{name}": MANY
    for name in (
        "BURST_PER_SECOND",
        "SIGN_IN_REQUESTS_PER_MINUTE",
        "WRONG_PASSWORDS_PER_ADDRESS",
        "FORECASTS_PER_DAY",
        "NEW_TICKERS_PER_DAY",
    )
}


class Callers:
    """Who asks: a user and an administrator, and new ones for requests that end the account."""

    def __init__(self, server: Server, database_url: str) -> None:
        self._server, self._database_url, self._numbers = server, database_url, count()
        self._usual = {admin: self.new(admin=admin) for admin in (False, True)}

    @property
    def base_url(self) -> str:
        """Where the API answers."""
        return str(self._server.http.base_url)

    def usual(self, *, admin: bool) -> dict[str, str]:
        """The header of the one who asks whatever ends no account."""
        return self._usual[admin]

    def new(self, *, admin: bool) -> dict[str, str]:
        """The header of an account that was just made."""
        account = {"email": f"user{next(self._numbers)}@example.org", "password": PASSWORD}
        made = self._server.http.post("/auth/register", json=account)
        assert made.status_code == 201, made.text
        if admin:
            with psycopg.connect(self._database_url) as connection:
                connection.execute("UPDATE users SET scopes = %s WHERE id = %s", (list(Scope), made.json()["id"]))
        form = {"username": account["email"], "password": PASSWORD}
        answer = self._server.http.post("/auth/token", data=form)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    """Those who ask an API process with a champion and one ticker."""
    folder = tmp_path_factory.mktemp("schemathesis")
    with temporary_database(migrated_template()) as url:
        prepared = Settings(_env_file=None, database_url=SecretStr(url), home=folder, jwt_secret=SecretStr(SECRET))
        asyncio.run(prepare(prepared))
        options = {"CLOSECAST_COLLECT_WAIT_SECONDS": "0.01", "CLOSECAST_LOG_REQUESTS": "false", **UNHURRIED}
        with serving(folder, url, "api", **options) as server:
            server.wait_until_alive()
            yield Callers(server, url)


async def prepare(prepared: Settings) -> None:
    """Store what forecasts need."""
    engine = create_engine(prepared)
    async with session_factory(engine)() as db:
        await ensure_reference_champion(db, prepared)
        await publish_windows(db, [make_window("AAPL")], {"AAPL": {"rows_in": 300, "rows_out": 300}})
    await engine.dispose()


def whole_document() -> Any:
    """The document, which needs nothing started."""
    document = create_app(Settings(_env_file=None, jwt_secret=SecretStr(SECRET), log_level="ERROR")).openapi()
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(CONFIG))


def takes_input(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """Whether there is anything to get right or wrong."""
    return "parameters" in operation.definition.raw or "requestBody" in operation.definition.raw


def ways_to_ask() -> Iterator[Any]:
    """Each operation asked well, and asked badly where there is anything to get wrong."""
    for result in whole_document().get_all_operations():
        operation = result.ok()
        yield pytest.param(operation, GenerationMode.POSITIVE, id=f"{operation.label}, well")
        if takes_input(operation):
            yield pytest.param(operation, GenerationMode.NEGATIVE, id=f"{operation.label}, badly")


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("operation", "mode"), list(ways_to_ask()))
def test_every_operation_answers_as_it_is_documented(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, callers: Callers, counted: Counter[str]
) -> None:
    """All of schemathesis' checks on every answer to either caller; no 503 because something is away, and no 401."""
    described = operation.definition.raw
    header_of = callers.new if described["operationId"] == "delete_me" else callers.usual

    @settings(
        max_examples=CASES // 2 if takes_input(operation) else ALIKE,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        for admin in (False, True):
            answer = case.call_and_validate(base_url=callers.base_url, headers=header_of(admin=admin), timeout=30)
            assert answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE or answer.json()["type"] in PENDING
            assert answer.status_code != HTTPStatus.UNAUTHORIZED or "security" not in described  # the caller is known
            counted["requests of which every answer passed all checks"] += 1
            counted["of them were carried out"] += answer.status_code < HTTPStatus.BAD_REQUEST

    ask()
