"""A real Chromium, as its readers have it: at a desk and on a phone, light and dark; and what it complains of."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.web.installation import PASSWORD

CHROMIUM: Final = shutil.which("chromium")
ALONE: Final = [  # nothing of its own leaves this machine; root needs no sandbox of Chromium's
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SERIOUS: Final = frozenset(("serious", "critical"))
PATIENCE: Final = 90_000  # milliseconds: a machine that does other work as well draws charts slowly
REFUSED: Final = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")

expect.set_options(timeout=PATIENCE)


@dataclass(frozen=True)
class Look:
    """How a page is looked at."""

    name: str
    width: int
    height: int
    scheme: str

    @property
    def context(self) -> dict[str, Any]:
        """What Playwright makes a context from."""
        phone = self.width < 500
        return {
            "viewport": {"width": self.width, "height": self.height},
            "color_scheme": self.scheme,
            "has_touch": phone,
            "is_mobile": phone,
            "locale": "en-GB",
            "timezone_id": "UTC",
        }


LOOKS: Final = tuple(
    Look(f"{name}-{scheme}", width, height, scheme)
    for name, width, height in (("desktop", 1280, 900), ("phone", 390, 844))
    for scheme in ("light", "dark")
)


@dataclass
class Watch:
    """Notes what must not happen while pages are open.

    Attributes
    ----------
    complaints : errors of the console, policy violations among them, and of scripts; requests to other hosts.
    refusals : statuses that a test makes the API answer with: the console tells those too.
    """

    host: str
    complaints: list[str] = field(default_factory=list)
    refusals: set[int] = field(default_factory=set)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        refused = REFUSED.match(message.text)
        if message.type in {"error", "warning"} and not (refused and int(refused[1]) in self.refusals):
            self.complaints.append(f"{message.type} at {message.location.get('url')}: {message.text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.netloc != self.host:
            self.complaints.append(f"request to {request.url}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, closed on leaving."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ALONE)
        yield browser
        browser.close()


def log_in(page: Page, email: str, path: str = "/") -> None:
    """Sign in on the login page and be led to ``path``."""
    page.goto(f"/pages/login?next={path}")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: urlsplit(url).path == path)


def serious_findings(page: Page) -> list[str]:
    """What axe finds that would keep somebody from using the page."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:200]} {node['any'][:1]}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


def overflow(page: Page) -> int:
    """Pixels by which a page is wider than the screen."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider
