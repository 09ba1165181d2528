"""Every route stands at the root and under /api/v1, with and without a trailing slash, and never redirects."""

import httpx
import pytest

from app.core.paths import canonical_path
from tests.app.accounts import Account


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("/", "/"),
        ("", "/"),
        ("/livez", "/livez"),
        ("/livez/", "/livez"),
        ("/api/v1", "/"),
        ("/api/v1/", "/"),
        ("/api/v1/livez", "/livez"),
        ("/api/v1/livez/", "/livez"),
        ("/api/v10/livez", "/api/v10/livez"),
        ("/api/v1/api/v1/livez", "/api/v1/livez"),
        ("/livez//", "/livez/"),
    ],
)
def test_one_prefix_and_one_slash_are_taken_away(sent: str, canonical: str) -> None:
    assert canonical_path(sent) == canonical


@pytest.mark.parametrize("path", ["/livez", "/livez/", "/api/v1/livez", "/api/v1/livez/"])
async def test_four_spellings_are_one_route(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_a_body_survives_a_trailing_slash(client: httpx.AsyncClient) -> None:
    """A redirect would lose it."""
    answer = await client.post("/api/v1/auth/token/", data={"username": "a@example.org", "password": "x"})

    assert answer.json()["type"] == "/problems/invalid-credentials"


async def test_an_encoded_slash_ends_no_path(client: httpx.AsyncClient, registered_user: Account) -> None:
    for path, status in {"/livez%2f": 404, "/predict/AAPL%2F": 422, "/api/v1/predict/AAPL%2f": 422}.items():
        assert (await client.get(path, headers=registered_user.headers)).status_code == status, path


async def test_the_batch_is_no_ticker(client: httpx.AsyncClient, registered_user: Account) -> None:
    answer = await client.get("/api/v1/predict/batch/", headers=registered_user.headers)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/health", "/api/v1/health/"])
async def test_what_probes_ask_for_is_there_by_head_too(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.head(path)).status_code == 200
