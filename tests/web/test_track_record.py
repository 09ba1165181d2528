"""The track record as a person reads it: every ticker, good and bad, whether the quantiles hold, errors over time."""

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.web.browser import Watch, log_in
from tests.web.installation import PASSWORD, USER
from tests.web.laboratory import Laboratory

PATH = "/pages/track-record"


@pytest.fixture(scope="module")
def installation(a_laboratory: Laboratory) -> Laboratory:
    """The one with a past."""
    return a_laboratory


@pytest.fixture(scope="module")
def api(installation: Laboratory) -> Iterator[httpx.Client]:
    """What the page asks, asked by a program."""
    with httpx.Client(base_url=installation.url) as client:
        token = client.post("/auth/token", data={"username": USER, "password": PASSWORD}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture
def record(page: Page) -> Page:
    """The page, open and filled."""
    log_in(page, USER, PATH)
    expect(rows(page).first).to_be_visible()
    return page


def rows(page: Page) -> Locator:
    """Those of the tickers' table."""
    return page.locator("#tickers tbody tr")


def names(page: Page) -> Locator:
    """Tickers in the order shown."""
    return rows(page).locator("th")


def test_whoever_is_not_signed_in_is_led_to_sign_in_and_back(page: Page, watch: Watch) -> None:
    watch.refusals.add(401)
    page.goto(PATH)
    page.wait_for_url("**/pages/login?next=%2Fpages%2Ftrack-record")


def test_every_stored_ticker_stands_there_beside_the_naive_in_the_order_of_any_figure(
    record: Page, api: httpx.Client
) -> None:
    by_error = [each["ticker"] for each in api.get("/track-record/tickers?sort=relative_mae").json()["items"]]
    expect(names(record)).to_have_text(by_error)
    assert set(by_error) == {"AAPL", "IBM", "MSFT"}
    expect(record.get_by_role("columnheader", name="Error over the naive's").last).to_have_attribute(
        "aria-sort", "ascending"
    )

    record.get_by_role("button", name="Ticker").press("Enter")
    expect(record.get_by_role("columnheader", name="Ticker")).to_have_attribute("aria-sort", "ascending")
    expect(names(record)).to_have_text(["AAPL", "IBM", "MSFT"])
    expect(record.get_by_role("button", name="Ticker")).to_be_focused()
    record.get_by_role("button", name="Ticker").press("Enter")
    expect(record.get_by_role("columnheader", name="Ticker")).to_have_attribute("aria-sort", "descending")
    expect(names(record)).to_have_text(["MSFT", "IBM", "AAPL"])


def test_both_charts_tell_in_words_and_as_a_table_what_they_show(record: Page, api: httpx.Client) -> None:
    levels = [each for each in api.get("/track-record/calibration").json()["levels"] if each["kind"] == "live"]
    worst = max(levels, key=lambda each: abs(each["observed"] - each["level"]))
    periods = api.get("/track-record/errors?by=month").json()["periods"]

    reliability, errors = (record.locator(f"#{name}") for name in ("reliability", "errors"))
    expect(reliability.locator(".chart")).to_have_attribute(
        "aria-label",
        f"Of {worst['n']} outcomes the quantile of {worst['level']:.1%} lies furthest from its promise: "
        f"{worst['observed']:.1%} were at or below it.",
    )
    expect(reliability.locator(".main-svg").first).to_be_visible()
    reliability.get_by_text("The same as a table").click()
    expect(reliability.locator("tbody tr")).to_have_count(len(levels))
    first = [f"{levels[0][name]:.1%}" for name in ("level", "observed", "naive_observed")]
    for place, figure in enumerate(first):
        expect(reliability.locator("tbody tr").first.locator("th, td").nth(place)).to_have_text(figure)
    errors.get_by_text("The same as a table").click()
    expect(errors.locator("tbody tr")).to_have_count(len(periods))
    expect(errors.get_by_role("columnheader", name="Naive forecast")).to_be_visible()


def test_another_choice_shows_other_figures(record: Page, api: httpx.Client) -> None:
    """Hindcasts were never made here; five days ahead fewer outcomes came."""
    record.get_by_label("Ahead").select_option("21")
    shown = api.get("/track-record/tickers?sort=relative_mae&horizon=21").json()["items"]
    expect(rows(record).first.locator("td").first).to_have_text(str(shown[0]["scored"]))
    expect(names(record)).to_have_text([each["ticker"] for each in shown])

    record.locator("#by").select_option("week")
    weeks = api.get("/track-record/errors?horizon=21&by=week").json()["periods"]
    record.locator("#errors").get_by_text("The same as a table").click()
    expect(record.locator("#errors tbody tr")).to_have_count(len(weeks))

    record.get_by_label("Forecasts").select_option("hindcast")
    expect(record.get_by_text("Whoever asked may have known the outcome")).to_be_visible()
    expect(record.locator("#reliability")).to_have_text("Nothing is scored here yet: outcomes come with the closes.")


def test_the_table_is_saved_as_it_is_sorted(record: Page, api: httpx.Client, tmp_path: Path) -> None:
    with record.expect_download() as saved:
        record.get_by_role("button", name="Download as CSV").click()
    saved.value.save_as(tmp_path / "record.csv")

    assert saved.value.suggested_filename == "closecast-track-record-live-1-all.csv"
    table = list(csv.DictReader(StringIO((tmp_path / "record.csv").read_text(), newline="")))
    expect(names(record)).to_have_text([row["ticker"] for row in table])
    assert (tmp_path / "record.csv").read_bytes() == api.get("/track-record/tickers.csv?sort=relative_mae").content


def test_a_page_after_the_first_is_asked_for(record: Page) -> None:
    """The list of a large installation comes in parts."""
    figures = {"forecasts": 1, "scored": 1, "relative_mae": 0.9, "pinball_skill": 0.1, "coverage": {}}
    figures |= {"directional_accuracy": None, "newest_outcome": "2013-02-01"}

    def part(ticker: str, following: str | None) -> Callable[[Route], None]:
        body = {"items": [{**figures, "ticker": ticker}], "next_cursor": following}
        return lambda route: route.fulfill(json=body)

    record.route("**/track-record/tickers?*", part("ONE", "1"))
    record.route("**/track-record/tickers?*cursor=1*", part("TWO", None))
    record.get_by_label("Ahead").select_option("5")
    expect(rows(record)).to_have_count(1)
    record.get_by_role("button", name="More tickers").click()
    expect(rows(record)).to_have_count(2)
    expect(names(record)).to_have_text(["ONE", "TWO"])
    expect(record.get_by_role("button", name="More tickers")).to_be_hidden()


@pytest.mark.parametrize(("rejected", "words"), [(True, "Broken"), (False, "Kept"), (None, "Too few days to tell")])
def test_whether_a_promise_held_is_the_server_s_word(record: Page, rejected: bool | None, words: str) -> None:
    """Whatever p says: the limit is the server's alone."""

    def judged(route: Route) -> None:
        told = route.fetch().json()
        for test in told["live"][0]["coverage"]:
            test |= {"p": 0.005 if rejected is False else 0.5, "rejected": rejected}
        route.fulfill(json=told)

    record.route("**/track-record?*", judged)
    record.get_by_label("Ahead").select_option("5")
    expect(record.locator("#bundles tbody tr").first.locator("td").last).to_have_text(words)
