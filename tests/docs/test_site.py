"""The site: built strictly, complete, and nothing in it is fetched from another host."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import pytest
import yaml
from playwright.sync_api import expect

from app.core.openapi import operations
from tests.web.browser import CHROMIUM, LOOKS, Watch, chromium, overflow
from tools.openapi import document

ROOT: Final = Path(__file__).parents[2]
LOADING: Final = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "use": "href"}
IN_STYLE: Final = re.compile(r"(?:url\(|@import )\s*[\"']?(https?:)?//")
LOOKED_AT: Final = ("index", "quick-start", "reference/forecasts", "containers")


class Loaded(HTMLParser):
    """What a browser fetches for a page; links that a reader may follow are none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = LOADING.get(tag)
        self.addresses += [value for name, value in attrs if name == wanted and value is not None]
        self.addresses += [value for name, value in attrs if name == "style" and value and IN_STYLE.search(value)]


class Silent(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        pass


def built(folder: Path) -> str:
    """Build the site as `make site` does, into ``folder``; what mkdocs said."""
    command = [sys.executable, "-m", "mkdocs", "--quiet", "build", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; broken links, anchors and forgotten pages are errors there (mkdocs.yml)."""
    folder: Path = tmp_path_factory.mktemp("site") / "site"
    built(folder)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a server of files has it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=site))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_page_of_docs_is_there(site: Path) -> None:
    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")]
    names = [page.with_name("index.html") if page.name == "README.html" else page for page in pages]
    assert [str(name) for name in names if not (site / name).is_file()] == []
    assert (site / "project" / "changelog.html").is_file()


def test_every_operation_and_every_schema_has_its_place_in_the_reference(site: Path) -> None:
    reference = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    names = [operation["operationId"] for operation in operations(document())]
    names += [name.lower() for name in document()["components"]["schemas"]]
    assert [name for name in names if f'id="{name}"' not in reference] == []
    assert reference.count("<summary>Problems</summary>") == len(list(operations(document())))


def test_no_page_and_no_style_loads_anything_from_another_host(site: Path) -> None:
    elsewhere = []
    for page in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text())
        elsewhere += [(page.name, each) for each in loaded.addresses if re.match(r"(\w+:)?//", each) or "url(" in each]
    styles = [style.name for style in site.rglob("*.css") if IN_STYLE.search(style.read_text())]
    assert loaded.addresses
    assert (elsewhere, styles) == ([], [])


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: `apt-get install chromium`")
def test_a_reader_s_browser_asks_nobody_else_and_search_finds(address: str) -> None:
    """On a phone, which is narrow, and by scripts, which no reading of files would follow."""
    watch = Watch(address)
    with chromium() as browser:
        for look in LOOKS[0], LOOKS[3]:
            context = browser.new_context(base_url=f"http://{address}", **look.context)
            watch.over(context)
            page = context.new_page()
            for name in LOOKED_AT:
                page.goto(f"/{name}.html")
                expect(page.locator("h1")).to_be_visible()
                assert overflow(page) == 0, (look.name, name)
            context.close()
        page = browser.new_page(base_url=f"http://{address}")
        watch.over(page.context)
        page.goto("/index.html")
        expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching")  # its script is there
        page.get_by_placeholder("Search").press_sequentially("burn rate")
        expect(page.locator(".md-search-result__item").first).to_be_visible()
    assert watch.complaints == []


def test_a_broken_link_ends_the_build(tmp_path: Path) -> None:
    """By the settings of mkdocs.yml, on a page of its own."""
    told = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    settings = {"site_name": "small", **{name: told[name] for name in ("strict", "validation")}}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Start\n\n[nowhere](nowhere.md) [no place](index.md#nowhere)\n")

    done = subprocess.run([sys.executable, "-m", "mkdocs", "build"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode != 0
    assert "Aborted with 2 warnings in strict mode" in done.stdout + done.stderr
