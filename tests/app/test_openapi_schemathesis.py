"""The OpenAPI document against the running API, asked as a user: what is written is what happens."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

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
from tests.app.serving import SECRET, Server, serving
from tests.app.windows import make_window
from tests.database import migrated_template, temporary_database

PASSWORD = "seven green herons wade"
CASES = 25
# One address registers, signs in and mistypes here more often than people do.
UNLIMITED = {
    "CLOSECAST_BURST_PER_SECOND": "1000000",
    "CLOSECAST_SIGN_IN_REQUESTS_PER_MINUTE": "1000000",
    "CLOSECAST_WRONG_PASSWORDS_PER_ADDRESS": "1000000",
}
CONFIG = {
    "seed": 20261121,
    "checks": {
        # 503 is a documented answer: an unseen ticker is still being collected, and nothing collects here.
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
        # 422 also says what no schema can: a password that is easily guessed, a ticker with too few bars.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422", "429", "503"]},
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An API process with a champion and one ticker."""
    folder = tmp_path_factory.mktemp("schemathesis")
    with temporary_database(migrated_template()) as url:
        prepared = Settings(_env_file=None, database_url=SecretStr(url), home=folder, jwt_secret=SecretStr(SECRET))
        asyncio.run(prepare(prepared))
        with serving(folder, url, "api", CLOSECAST_COLLECT_WAIT_SECONDS="0.01", **UNLIMITED) as server:
            server.wait_until_alive()
            yield server


async def prepare(prepared: Settings) -> None:
    """Store what forecasts need."""
    engine = create_engine(prepared)
    async with session_factory(engine)() as db:
        await ensure_reference_champion(db, prepared)
        await publish_windows(db, [make_window("AAPL")], {"AAPL": {"rows_in": 300, "rows_out": 300}})
    await engine.dispose()


@pytest.fixture(scope="module")
def accounts(server: Server) -> Iterator[str]:
    """Addresses of accounts that were just made."""

    def made() -> Iterator[str]:
        for number in count():
            email = f"user{number}@example.org"
            answer = server.http.post("/auth/register", json={"email": email, "password": PASSWORD})
            assert answer.status_code == 201, answer.text
            yield email

    return made()


@pytest.fixture(scope="module")
def user(server: Server, accounts: Iterator[str]) -> dict[str, str]:
    """The header of the user who asks."""
    return sign_in(server, next(accounts))


def sign_in(server: Server, email: str) -> dict[str, str]:
    """The header of an account."""
    answer = server.http.post("/auth/token", data={"username": email, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def whole_document() -> Any:
    """The document, which needs nothing started."""
    document = create_app(Settings(_env_file=None, jwt_secret=SecretStr(SECRET), log_level="ERROR")).openapi()
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(CONFIG))


def ways_to_ask() -> Iterator[Any]:
    """Each operation asked well, and asked badly where there is anything to get wrong."""
    for result in whole_document().get_all_operations():
        operation = result.ok()
        yield pytest.param(operation, GenerationMode.POSITIVE, id=f"{operation.label}, well")
        if "parameters" in operation.definition.raw or "requestBody" in operation.definition.raw:
            yield pytest.param(operation, GenerationMode.NEGATIVE, id=f"{operation.label}, badly")


@pytest.mark.parametrize(("operation", "mode"), list(ways_to_ask()))
def test_every_operation_answers_as_it_is_documented(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    server: Server,
    user: dict[str, str],
    accounts: Iterator[str],
) -> None:
    """All of schemathesis' checks on every answer."""
    ends_the_account = operation.definition.raw["operationId"] == "delete_me"

    @settings(max_examples=CASES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        headers = sign_in(server, next(accounts)) if ends_the_account else user
        case.call_and_validate(base_url=str(server.http.base_url), headers=headers, timeout=30)

    ask()
