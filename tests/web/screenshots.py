"""`make screenshots`: every page at every look into docs/screenshots, on an LSTM that was trained on the sample.

What is to be seen is the demonstration's: five tickers until 2013, a small network that the gate was not asked about,
forecasts as of past days that were scored as the worker would. The administrator's pages are of a laboratory whose past
is made up.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import LOOKS, Look, chromium, log_in
from tests.web.installation import ADMIN, PASSWORD, STORED, USER, Installation, installed
from tests.web.laboratory import laboratory

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screenshots"
COLOURS: Final = 96  # of a picture: text and charts need no more, and a picture is a third as large
PAST_DAYS: Final = 16
EVERY: Final = 6  # trading days between two of them
SLOW_MS: Final = 60_000


@dataclass(frozen=True)
class Shot:
    """One picture: where, who looks, and what is visible once the page is whole; ``opened`` is pressed before."""

    name: str
    path: str
    whole: str
    user: str | None = USER
    opened: str | None = None


DEMONSTRATION: Final = (
    Shot("start", "/", "#stored-tickers .chip"),
    Shot("login", "/pages/login", "#form", user=None),
    Shot("register", "/pages/register", "#form", user=None),
    Shot("keys", "/pages/keys", "#keys > *"),
    Shot("ticker", "/pages/tickers/AAPL", "#record > *"),
    Shot("why", "/pages/tickers/IBM", "#why-content .main-svg", opened="#why summary"),
    Shot("portuguese", "/pages/tickers/AAPL?lang=pt", "#record > *"),
)
LABORATORY: Final = (
    Shot("track-record", "/pages/track-record", "#reliability .main-svg", user=ADMIN),
    Shot("models", "/pages/models", "#ledger td", user=ADMIN),
    Shot("operations", "/pages/operations", "#data td", user=ADMIN),
)


def main() -> None:
    """Take them all anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with chromium() as browser:
        with tempfile.TemporaryDirectory() as folder, installed(Path(folder), **UNHURRIED) as installation:
            _live_a_little(installation)
            _take(browser, installation.url, DEMONSTRATION)
        with tempfile.TemporaryDirectory() as folder, laboratory(Path(folder)) as made_up:
            _take(browser, made_up.url, LABORATORY)
    sizes = [picture.stat().st_size for picture in FOLDER.glob("*.png")]
    print(f"{len(sizes)} pictures, {sum(sizes) / 1e6:.2f} MB in {FOLDER}")  # noqa: T201 (its result)


UNHURRIED: Final[Mapping[str, str]] = {"CLOSECAST_NEW_TICKERS_PER_DAY": "1000", "CLOSECAST_COLLECT_WAIT_SECONDS": "8"}


def _live_a_little(installation: Installation) -> None:
    """A network that serves, and forecasts of the past with what came of them."""
    trained = installation.closecast("train", "--config", "demo", "--tickers", ",".join(STORED), "--json")
    installation.closecast("promote", json.loads(trained)["bundle"], "--force", "--reason", "screenshots")
    with httpx.Client(base_url=installation.url, timeout=60) as http:
        form = {"username": USER, "password": PASSWORD}
        token = http.post("/auth/token", data=form).raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        bars = http.get("/bars/AAPL", params={"limit": 150}).raise_for_status().json()["bars"]
        for number in range(PAST_DAYS, 1, -1):
            as_of = bars[-number * EVERY]["trading_day"]
            while http.get("/predict/AAPL", params={"days_ahead": 30, "as_of": as_of}).status_code == 503:
                pass  # the window of that day is being built; the answer itself waited for it
    installation.closecast("score")


def _take(browser: Browser, url: str, shots: Sequence[Shot]) -> None:
    for look in LOOKS:
        for user in dict.fromkeys(shot.user for shot in shots):
            context = browser.new_context(base_url=url, **look.context)
            page = context.new_page()
            if user is not None:
                log_in(page, user)
            for shot in shots:
                if shot.user == user:
                    _take_one(page, look, shot)
            context.close()


def _take_one(page: Page, look: Look, shot: Shot) -> None:
    page.goto(shot.path)
    if shot.opened is not None:
        page.locator(shot.opened).click()
    expect(page.locator(shot.whole).first).to_be_visible(timeout=SLOW_MS)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # charts settle
    if shot.name == "keys":
        _show_a_key(page, look)
    picture = Image.open(BytesIO(page.screenshot(full_page=True, animations="disabled")))
    picture.convert("RGB").quantize(COLOURS).save(FOLDER / f"{look.name}-{shot.name}.png", optimize=True)


def _show_a_key(page: Page, look: Look) -> None:
    page.get_by_label("What it is for").fill(f"report {look.name}")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("heading", name="Your new key")).to_be_visible()


if __name__ == "__main__":
    main()
