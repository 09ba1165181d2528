"""The generated client: all of the document, and a real conversation over a socket."""

import importlib
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.core.openapi import operations
from tests.web.installation import PASSWORD, USER, Installation
from tools.openapi import document


@pytest.fixture(scope="module")
def generated(client_folder: Path) -> Iterator[ModuleType]:
    """The package, imported."""
    sys.path.insert(0, str(client_folder))
    yield importlib.import_module("closecast_client")
    sys.path.remove(str(client_folder))


def route(tag: str, operation: str) -> ModuleType:
    """The module of one operation."""
    return importlib.import_module(f"closecast_client.api.{tag}.{operation}")


def models() -> ModuleType:
    """All bodies and answers."""
    return importlib.import_module("closecast_client.models")


@pytest.fixture
def signed_in(generated: ModuleType, installation: Installation) -> Iterator[Any]:
    """A client with a token."""
    grant = models().PasswordGrant(username=USER, password=PASSWORD)
    with generated.Client(base_url=installation.url) as everybody:
        token = route("accounts", "sign_in").sync(client=everybody, body=grant)
    with generated.AuthenticatedClient(base_url=installation.url, token=token.access_token) as client:
        yield client


def test_every_operation_became_a_function(client_folder: Path) -> None:
    modules = {file.stem for file in (client_folder / "closecast_client" / "api").glob("*/*.py")} - {"__init__"}
    assert modules == {operation["operationId"] for operation in operations(document())}


def test_who_registers_signs_in_and_is_told_who_it_is(generated: ModuleType, installation: Installation) -> None:
    wish = models().Registration(email="edsger@example.org", password=PASSWORD)
    grant = models().PasswordGrant(username="edsger@example.org", password=PASSWORD)
    with generated.Client(base_url=installation.url) as everybody:
        account = route("accounts", "register").sync(client=everybody, body=wish)
        again = route("accounts", "register").sync_detailed(client=everybody, body=wish)
        token = route("accounts", "sign_in").sync(client=everybody, body=grant)
    with generated.AuthenticatedClient(base_url=installation.url, token=token.access_token) as client:
        me = route("accounts", "read_me").sync(client=client)

    assert me.id == account.id
    assert (again.status_code, again.parsed.type_) == (HTTPStatus.CONFLICT, "/problems/email-taken")


def test_a_forecast_is_typed_and_found_again_in_the_history(signed_in: Any) -> None:
    forecast = route("forecasts", "predict").sync("AAPL", client=signed_in, days_ahead=3)
    history = route("forecasts", "list_predictions").sync(client=signed_in)
    frozen = route("forecasts", "read_forecast").sync(forecast.forecast_id, client=signed_in)

    assert isinstance(forecast, models().ForecastRead)
    assert [step.step for step in forecast.steps] == [1, 2, 3]
    assert forecast.steps[0].naive == forecast.anchor
    assert set(forecast.steps[0].quantiles.additional_properties) >= {"0.1", "0.5", "0.9"}
    assert forecast.forecast_id in {each.forecast_id for each in history.items}
    assert len(frozen.steps) == 30


def test_several_tickers_of_which_one_is_refused(signed_in: Any) -> None:
    wish = models().BatchRequest(tickers=["IBM", "GOOG", "NOSUCH"])
    batch = route("forecasts", "predict_batch").sync(client=signed_in, body=wish)

    assert [answer.ticker for answer in batch.answers] == ["IBM", "GOOG", "NOSUCH"]
    assert batch.answers[0].forecast.ticker == "IBM"
    assert isinstance(batch.answers[2].problem, models().ProblemDocument)


def test_a_problem_is_an_answer_of_its_own_type(
    signed_in: Any, generated: ModuleType, installation: Installation
) -> None:
    refused = route("forecasts", "predict").sync_detailed("AAPL", client=signed_in, days_ahead=31)
    with generated.AuthenticatedClient(base_url=installation.url, token="none") as stranger:
        unknown = route("forecasts", "predict").sync("AAPL", client=stranger)

    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert refused.parsed.type_ == "/problems/invalid-request"
    assert refused.parsed.errors[0].location == ["query", "days_ahead"]
    assert unknown.type_ == "/problems/invalid-token"


def test_a_key_in_place_of_a_token(signed_in: Any, generated: ModuleType, installation: Installation) -> None:
    wish = models().ApiKeyWish(name="nightly", scopes=[models().Scope.PREDICT])
    key = route("accounts", "create_api_key").sync(client=signed_in, body=wish)
    told = {"token": key.key, "prefix": "", "auth_header_name": "X-API-Key"}
    with generated.AuthenticatedClient(base_url=f"{installation.url}/api/v1", **told) as by_key:
        served = route("models", "model_info").sync(client=by_key)

    assert served.kind == "reference"
