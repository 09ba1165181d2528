"""Pages and what they load, as plain HTTP tells them; what their scripts do is tried in tests/web."""

import gzip
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.config import Settings
from app.features.web import static_files
from app.features.web.pages import PAGES
from app.main import create_app
from tests.app.serving import SECRET

BROWSER: Final = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
ADDRESSES: Final = [page.path.replace("{ticker:path}", "PETR4.SA") for page in PAGES]
LOADED: Final = re.compile(r'(?:src|href|data-plotly)="(/static/[^"]+)"')
MODULE: Final = re.compile(r'^import [^"]*"(\.[^"]+)"', re.MULTILINE)


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """Pages ask nothing of a database, so no lifespan runs."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


def app_with(**settings: bool) -> FastAPI:
    """The application, not started."""
    return create_app(Settings(_env_file=None, jwt_secret=SecretStr(SECRET), log_level="ERROR", **settings))


@pytest.fixture(scope="module")
def pages() -> FastAPI:
    """One application for all that only read pages."""
    return app_with()


@pytest.mark.parametrize("address", ["/", *ADDRESSES, "/api/v1/pages/login/"])
async def test_a_page_loads_its_scripts_and_styles_from_here_and_from_nowhere_else(
    pages: FastAPI, address: str
) -> None:
    async with client_of(pages) as client:
        page = await client.get(address, headers=BROWSER)
        loaded = LOADED.findall(page.text)
        answers = [await client.get(each) for each in loaded]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "//" not in page.text  # neither https:// nor //host
    assert {name.rsplit(".", 1)[1] for name in loaded} == {"js", "css", "svg"}
    for name, answer in zip(loaded, answers, strict=True):
        assert answer.status_code == 200, name
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("address", ["/", *ADDRESSES])
async def test_no_script_and_no_style_inside_a_page_would_run(pages: FastAPI, address: str) -> None:
    async with client_of(pages) as client:
        page = await client.get(address, headers=BROWSER)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert not re.search(r"<script>|<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page.text)
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("address", ["/", *ADDRESSES])
async def test_without_scripts_a_page_says_what_it_needs_and_shows_no_forecast(pages: FastAPI, address: str) -> None:
    async with client_of(pages) as client:
        page = await client.get(address, headers=BROWSER)

    assert "<noscript>" in page.text
    assert "no investment advice" in page.text
    assert '<div id="forecast">' not in page.text


@pytest.mark.parametrize("address", ["/pages/unknown", "/pages/session/login", "/pages/keys/more?lang=pt"])
async def test_a_page_that_is_none_is_said_so_on_a_page(pages: FastAPI, address: str) -> None:
    async with client_of(pages) as client:
        page = await client.get(address, headers=BROWSER)

    assert page.status_code == 404
    assert ("Esta página não existe" if "lang=pt" in address else "There is no such page") in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_every_module_finds_its_neighbours(pages: FastAPI) -> None:
    """Relative to itself, below the one digest that all files share."""
    scripts = [path for path in static_files.own_files() if path.endswith(".js")]
    async with client_of(pages) as client:
        for path in scripts:
            address = static_files.address_of(path)
            script = await client.get(address)
            for neighbour in MODULE.findall(script.text):
                assert (await client.get(str(httpx.URL(f"http://test{address}").join(neighbour)))).status_code == 200

    assert len(scripts) > len(PAGES)


@pytest.mark.parametrize(
    ("address", "headers", "language"),
    [
        ("/", {}, "en"),
        ("/", {"Accept-Language": "pt-BR,pt;q=0.9,en;q=0.8"}, "pt"),
        ("/", {"Accept-Language": "de, en;q=0.2, pt;q=0"}, "en"),
        ("/", {"Accept-Language": "pt", "Cookie": "closecast_language=en"}, "en"),
        ("/pages?lang=pt", {"Cookie": "closecast_language=en"}, "pt"),
        ("/pages?lang=xx", {}, "en"),
    ],
)
async def test_the_language_is_the_address_s_then_the_cookie_s_then_the_browser_s(
    pages: FastAPI, address: str, headers: dict[str, str], language: str
) -> None:
    async with client_of(pages) as client:
        page = await client.get(address, headers=BROWSER | headers)

    assert f'<html lang="{language}"' in page.text
    assert page.headers["content-language"] == language
    assert {"Accept-Language", "Cookie"} <= set(page.headers["vary"].split(", "))
    chosen = page.headers.get("set-cookie", "")
    assert chosen.startswith("closecast_language=pt") == ("lang=pt" in address)
    assert "lang=xx" not in address or not chosen


async def test_what_a_reader_sends_is_never_part_of_the_page_as_html(pages: FastAPI) -> None:
    """The only text of a request in a page is its path, in the link to the other language."""
    async with client_of(pages) as client:
        page = await client.get('/pages/tickers/"><script>alert(1)</script>')
        dark = await client.get("/pages", headers={"Cookie": 'closecast_theme=dark"><script>'})

    assert "<script>" not in page.text
    assert "<script>" not in dark.text


@pytest.mark.parametrize(("theme", "written"), [("dark", True), ("light", True), ("purple", False)])
async def test_a_chosen_theme_is_there_before_any_script_runs(pages: FastAPI, theme: str, written: bool) -> None:
    async with client_of(pages) as client:
        page = await client.get("/pages", headers={"Cookie": f"closecast_theme={theme}"})

    assert (f'data-theme="{theme}"' in page.text) == written


async def test_plotly_goes_out_zipped_and_only_once(pages: FastAPI) -> None:
    async with client_of(pages) as client:
        whole = await client.get(static_files.plotly_address(), headers={"Accept-Encoding": "identity"})
        zipped = await client.get(static_files.plotly_address(), headers={"Accept-Encoding": "gzip, br"})
        again = await client.get(static_files.plotly_address(), headers={"If-None-Match": zipped.headers["etag"]})

    assert whole.content.startswith(b"/**\n* plotly.js v")
    assert "content-encoding" not in whole.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) < 0.35 * len(whole.content)
    assert zipped.content == whole.content
    assert (again.status_code, again.content) == (304, b"")
    assert gzip.decompress(static_files.plotly().zipped) == static_files.plotly().content


async def test_another_release_s_address_gives_this_release_s_file_which_nobody_keeps(pages: FastAPI) -> None:
    async with client_of(pages) as client:
        former = await client.get("/static/0123456789abcdef/style.css")
        none = await client.get("/static/0123456789abcdef/none.css")
        outside = await client.get(f"/static/{static_files.own_digest()}/../pages.py")

    assert (former.status_code, former.headers["cache-control"]) == (200, "no-cache")
    assert none.status_code == outside.status_code == 404


async def test_an_address_changes_with_what_is_in_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = static_files.own_digest()
    changed = {**static_files.own_files(), "style.css": static_files.StaticFile(b"", "text/css")}
    monkeypatch.setattr(static_files, "own_files", lambda: changed)

    assert static_files.own_digest.__wrapped__() != before


async def test_without_pages_a_browser_gets_what_programs_get() -> None:
    async with client_of(app_with(pages_enabled=False)) as client:
        start = await client.get("/", headers=BROWSER)
        others = [(await client.get(each)).status_code for each in ("/pages/login", static_files.plotly_address())]
        session = await client.post("/pages/session/refresh", headers={"Sec-Fetch-Site": "same-origin"})

    assert start.json()["title"] == "Closecast"
    assert (others, session.status_code) == ([404, 404], 404)


async def test_no_page_leads_to_what_is_not_there() -> None:
    async with client_of(app_with(docs_enabled=False)) as client:
        assert "/docs" not in (await client.get("/pages")).text
    async with client_of(app_with()) as client:
        assert 'href="/docs"' in (await client.get("/pages")).text


def test_pages_bring_plotly_s_javascript_and_nothing_of_its_python() -> None:
    program = (
        "import sys, app.features.web.router as web; web.static_files.plotly();"
        "print(*{'plotly', 'pandas', '_plotly_utils'} & set(sys.modules))"
    )

    brought = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert brought.stdout.split() == []


def test_each_page_has_a_template_and_a_script() -> None:
    folder = Path(static_files.__file__).parent
    for page in PAGES:
        assert (folder / "templates" / f"{page.name}.html").is_file()
        assert f"js/pages/{page.name}.js" in static_files.own_files()
