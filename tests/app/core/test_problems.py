"""Whatever goes wrong is told as one problem document, and tells no more than it should."""

import subprocess
import sys
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from app.core.problems import FOUND_ON_THE_WAY_IN, PROBLEMS, document_of, headers_of, problem_of
from data_pipeline.errors import ClosecastError, ConfigurationError, InsufficientHistoryError
from data_pipeline.sources.base import RateLimitedError
from tests.app.accounts import Account

LISTS_UNREGISTERED = """
import app.main
from app.core.problems import PROBLEMS
from data_pipeline.errors import ClosecastError

def below(error):
    for each in error.__subclasses__():
        yield each
        yield from below(each)

START_ONLY = {"StartRefusedError", "TablesBusyError"}  # raised before there is a server
print(sorted(each.__name__ for each in set(below(ClosecastError)) - set(PROBLEMS) if each.__name__ not in START_ONLY))
"""


def test_every_error_that_an_api_process_knows_is_registered() -> None:
    """In a process of its own: tests import what an API process never does."""
    done = subprocess.run([sys.executable, "-c", LISTS_UNREGISTERED], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_each_problem_has_a_name_of_its_own_and_says_what_to_do() -> None:
    slugs = [kind.slug for kind in (*PROBLEMS.values(), *FOUND_ON_THE_WAY_IN.values())]

    assert len(slugs) == len(set(slugs))
    for error, kind in PROBLEMS.items():
        assert kind.explanation, error
        assert kind.example, error


def test_the_user_guide_says_of_each_problem_what_to_do() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "user-guide.md").read_text()
    table = guide.partition("## Problems\n")[2].partition("\n## ")[0]

    assert [
        kind.slug for kind in (*PROBLEMS.values(), *FOUND_ON_THE_WAY_IN.values()) if f"`{kind.slug}`" not in table
    ] == []


def test_an_error_with_figures_repeats_them_as_members() -> None:
    error = InsufficientHistoryError(needed=252, found=100, ticker="NEWCO")

    assert document_of(error) == {
        "type": "/problems/insufficient-history",
        "title": "Insufficient history",
        "status": 422,
        "detail": "NEWCO: 252 trading days needed, 100 found",
        "ticker": "NEWCO",
        "needed": 252,
        "found": 100,
    }


def test_an_error_that_will_pass_says_when_to_come_back() -> None:
    error = RateLimitedError("AAPL", "yfinance", "too many requests", retry_after_seconds=12.2)

    assert problem_of(error).status == HTTPStatus.SERVICE_UNAVAILABLE
    assert headers_of(error) == {"Retry-After": "13"}  # whole seconds, never too early


def test_a_failure_of_ours_keeps_its_message_to_the_log() -> None:
    assert "/srv" not in document_of(ConfigurationError("bundle_dir: /srv/secret-place is missing"))["detail"]


def test_an_error_below_a_registered_one_looks_like_it() -> None:
    class SpecialRateLimitedError(RateLimitedError):
        """Nobody registered this one."""

    assert problem_of(SpecialRateLimitedError("A", "yfinance", "x")).slug == "price-source-rate-limited"


def test_an_error_that_nobody_registered_is_a_failure_of_ours() -> None:
    class ForgottenError(ClosecastError):
        """Nobody registered this one either."""

    assert document_of(ForgottenError("inner words"))["status"] == 500


@pytest.fixture
async def failing_client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client of an application with one endpoint that fails in a way nobody foresaw."""

    @app.get("/fails")
    async def fails() -> None:
        raise KeyError("the secret of the house")

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_what_nobody_foresaw_is_a_500_without_a_word_of_it(failing_client: AsyncClient) -> None:
    answer = await failing_client.get("/fails", headers={"X-Request-ID": "abc-1"})

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json() == {
        "type": "/problems/internal",
        "title": "Internal",
        "status": 500,
        "detail": "something failed on our side; it was logged",
        "request_id": "abc-1",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/no/such/route", 404, "not-found"),
        ("GET", "/api/v1/no/such/route", 404, "not-found"),
        ("GET", "/docs/files/../../core.py", 404, "not-found"),
        ("DELETE", "/livez", 405, "method-not-allowed"),
        ("BREW", "/livez", 501, "method-unknown"),
    ],
)
async def test_what_has_no_route_is_a_problem_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, slug: str
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{slug}"


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/livez")).headers["allow"] == "GET"


async def test_an_invalid_body_names_each_place_and_repeats_no_secret(client: httpx.AsyncClient) -> None:
    body = {"email": "no address", "password": "canary", "passwort": "canary", "deep": {"canary": 1}}

    answer = await client.post("/auth/register", json=body)

    assert answer.status_code == 422
    document = answer.json()
    assert document["type"] == "/problems/invalid-request"
    assert document["detail"] == "4 places are not as documented"
    assert [error["location"] for error in document["errors"]] == [
        ["body", "email"],
        ["body", "password"],
        ["body", "passwort"],
        ["body", "deep"],
    ]
    assert "canary" not in answer.text


async def test_a_field_name_is_repeated_but_not_without_bound(client: httpx.AsyncClient) -> None:
    answer = await client.post("/auth/refresh", json={"refresh_token": "x", "n" * 10_000: 1})

    assert answer.json()["errors"][0]["location"] == ["body", "n" * 100]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/predict/AAPL?days_ahead=1&days_ahead=5", "days_ahead"),
        ("/api/v1/tickers/?limit=1&cursor=A&limit=1", "limit"),
        ("/users?limit=&limit", "limit"),
        ("/livez?%6Eobody=1&nobody=2", "nobody"),
    ],
)
async def test_a_query_key_that_is_given_twice_is_refused_on_every_route(
    client: httpx.AsyncClient, admin: Account, path: str, key: str
) -> None:
    """Taking one of the values would leave the other one out without a word."""
    answer = await client.get(path, headers=admin.headers)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert answer.json()["errors"] == [
        {"location": ["query", key], "message": "Input should be given once", "type": "repeated_key"}
    ]


async def test_a_body_that_cannot_be_read_is_a_problem(client: httpx.AsyncClient) -> None:
    not_json = await client.post("/auth/refresh", content=b"{", headers={"Content-Type": "application/json"})
    not_utf8 = await client.post("/auth/refresh", content=b'"\xff"', headers={"Content-Type": "application/json"})

    assert not_json.json()["type"] == "/problems/invalid-request"
    assert (not_utf8.status_code, not_utf8.json()["type"]) == (400, "/problems/malformed-request")


LIMIT = 262_144


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize(("length", "status"), [(LIMIT, 415), (LIMIT + 1, 413)])
async def test_a_body_is_read_up_to_the_limit_and_no_further(
    client: httpx.AsyncClient, length: int, status: int, chunked: bool
) -> None:
    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, length, 65_536):
            yield b"x" * min(65_536, length - start)

    answer = await client.post("/auth/refresh", content=in_chunks() if chunked else b"x" * length)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_chunked_body_within_the_limit_arrives_whole(client: httpx.AsyncClient) -> None:
    async def in_chunks() -> AsyncIterator[bytes]:
        for part in (b'{"refresh_token": ', b'"not a token"', b"}"):
            yield part

    answer = await client.post("/auth/logout", content=in_chunks(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 204


async def test_each_problem_is_explained_where_its_type_points(client: httpx.AsyncClient) -> None:
    for kind in (*PROBLEMS.values(), *FOUND_ON_THE_WAY_IN.values()):
        answer = await client.get(f"/problems/{kind.slug}")
        assert answer.status_code == 200, kind.slug
        assert answer.json()["explanation"] == kind.explanation

    assert (await client.get("/problems/no-such-problem")).status_code == 404
