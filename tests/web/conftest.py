"""One installation and one Chromium for all tests; a context of its own for each, which is watched."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.web.browser import CHROMIUM, LOOKS, PATIENCE, Look, Watch, chromium
from tests.web.installation import Installation, installed
from tests.web.laboratory import Laboratory, laboratory


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: `apt-get install chromium`")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def installation(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """What the browser looks at."""
    with installed(tmp_path_factory.mktemp("installation")) as installation:
        yield installation


@pytest.fixture(scope="session")
def a_laboratory(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """An installation with a past, for pages that show it: their modules make it their ``installation``."""
    with laboratory(tmp_path_factory.mktemp("laboratory")) as running:
        yield running


@pytest.fixture
def watch(installation: Installation) -> Iterator[Watch]:
    """Fails a test whose pages complained."""
    watch = Watch(urlsplit(installation.url).netloc)
    yield watch
    assert watch.complaints == []


@pytest.fixture
def new_context(browser: Browser, installation: Installation, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """Make a watched context, at a desk and light unless said otherwise."""
    opened: list[BrowserContext] = []

    def open_one(look: Look = LOOKS[0], **more: Any) -> BrowserContext:
        context = browser.new_context(base_url=installation.url, **{**look.context, **more})
        context.set_default_timeout(PATIENCE)
        watch.over(context)
        opened.append(context)
        return context

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    """A page of a visitor at a desk."""
    return new_context().new_page()
