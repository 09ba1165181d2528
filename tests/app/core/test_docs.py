"""/docs and /redoc need nobody but us."""

import re

import httpx
import pytest


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/", "/api/v1/docs"])
async def test_a_page_names_no_other_host_and_everything_it_loads_is_here(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path)

    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in page.text  # neither http://, https:// nor //host
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 3
    for address in loaded:
        answer = await client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].split(";")[0] in {"text/javascript", "text/css", "image/png"}


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_a_browser_is_told_to_ask_nobody_else_and_to_run_no_inline_script(
    client: httpx.AsyncClient, path: str
) -> None:
    page = await client.get(path)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())
    assert not re.search(r"<script>|<script(?![^>]*src=)|\son\w+=", page.text)


async def test_the_viewers_are_given_our_own_document(client: httpx.AsyncClient) -> None:
    for script in ("/docs/start.js", "/redoc/start.js"):
        assert '"/openapi.json"' in (await client.get(script)).text


async def test_swagger_sends_nothing_to_a_validator(client: httpx.AsyncClient) -> None:
    """By default it shows a badge from another host."""
    assert "validatorUrl: null" in (await client.get("/docs/start.js")).text
