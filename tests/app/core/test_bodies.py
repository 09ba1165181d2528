"""Keys that a body gives twice are refused by name; JSON is read as such where curl calls it a form."""

import json

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data.service import publish_windows
from tests.app.accounts import Account
from tests.app.windows import make_window

FORM = "application/x-www-form-urlencoded"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="username"\r\n\r\nada@example.org\r\n'
    b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\none\r\n'
    b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\ntwo\r\n--b--\r\n'
)


async def test_a_key_that_is_given_twice_is_refused_in_json_and_in_forms(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """At any depth, in any encoding that JSON has, whichever value would have been taken."""
    twice: list[tuple[str, str, bytes, str]] = [
        ("/predict", "application/json", b'{"ticker": "AAPL", "ticker": "IBM"}', "ticker"),
        ("/predict", "application/json", b'{"sequence": [{"close": 1.0, "close": 2.0}]}', "close"),
        ("/predict", "application/json; charset=utf-8", b'{"ticker": "AAPL", "ticker": "AAPL"}', "ticker"),
        ("/predict", "application/json", '{"ticker": "AAPL", "ticker": "IBM"}'.encode("utf-16"), "ticker"),
        ("/predict", FORM, b' {"ticker": "AAPL", "ticker": "IBM"}', "ticker"),
        ("/auth/register", "application/json", b'{"email": "a@b.cd", "password": "x", "password": "y"}', "password"),
        ("/auth/token", FORM, b"username=ada&password=one&password=two", "password"),
        ("/auth/token", "multipart/form-data; boundary=b", MULTIPART, "password"),
    ]
    for path, content_type, content, key in twice:
        answer = await client.post(
            path, content=content, headers={**registered_user.headers, "Content-Type": content_type}
        )

        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), content
        [error] = answer.json()["errors"]
        assert (error["location"], error["type"]) == (["body", key], "repeated_key")


async def test_what_cannot_be_read_is_left_to_the_route_that_says_so(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """Neither a failure nor an acceptance."""
    headers = {**registered_user.headers, "Content-Type": "application/json"}
    for content in (b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"1" * 5_000, b"", b'{"ticker": NaN}'):
        answer = await client.post("/predict", content=content, headers=headers)
        assert answer.status_code in (400, 422), content[:20]
    broken = await client.post(
        "/auth/token", content=b"--x", headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert broken.status_code in (400, 422)


async def test_json_that_is_called_a_form_is_read_where_only_json_is_taken(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """As `curl -d @FILE` sends it; a form is not taken for JSON anywhere, nor JSON where forms are taken."""
    await publish_windows(db, [make_window("AAPL")])
    question = json.dumps({"ticker": "AAPL"}).encode()
    headers = {**registered_user.headers, "Content-Type": FORM}

    taken = await client.post("/api/v1/predict/", content=question, headers=headers)
    no_json = await client.post("/predict", content=b"ticker=AAPL", headers=headers)
    elsewhere = await client.post("/auth/register", content=b'{"email": "a@b.cd"}', headers=headers)

    assert (taken.status_code, taken.json()["ticker"]) == (200, "AAPL")
    assert (no_json.status_code, elsewhere.status_code) == (415, 415)


async def test_a_body_that_is_not_called_json_or_is_packed_is_told_so(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """Not that a field is missing: it is there."""
    content = b'{"ticker": "AAPL"}'
    for path, told in (
        ("/predict", {"Content-Type": "text/plain"}),
        ("/auth/register", {"Content-Type": FORM}),
        ("/auth/register", {}),
        ("/predict", {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    ):
        answer = await client.post(path, content=content, headers={**registered_user.headers, **told})

        assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-body"), (path, told)
        assert "wanted" in answer.json()["detail"]


async def test_half_a_surrogate_pair_is_refused_wherever_json_holds_it(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """JSON may hold it and UTF-8 cannot spell it: neither an answer that repeats it, nor a hash."""
    half = "\\ud800"
    sent = [
        ("/auth/register", f'{{"{half}": 1, "{half}": 2}}', "?"),
        ("/auth/register", f'{{"email": "a@b.cd", "password": "{half} green herons"}}', "password"),
        (
            "/users/me/password",
            f'{{"current_password": "{half}", "new_password": "eleven quiet tides"}}',
            "current_password",
        ),
    ]
    for path, content, place in sent:
        answer = await client.post(
            path, content=content, headers={**registered_user.headers, "Content-Type": "application/json"}
        )

        assert answer.status_code == 422, content
        assert [error["location"] for error in answer.json()["errors"]] == [["body", place]], content
