"""The ticker's page and the search that leads to it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.web.browser import LOOKS, Watch, log_in
from tests.web.installation import USER

CHART = "#chart .main-svg"
NO_ADVICE = "no investment advice"


def open_ticker(page: Page, ticker: str) -> None:
    """A ticker's page, drawn."""
    log_in(page, USER, f"/pages/tickers/{ticker}")
    expect(page.locator(CHART).first).to_be_visible()


def legend(page: Page, place: str) -> Locator:
    """What a chart says it shows."""
    return page.locator(f"{place} .legendtext")


def test_a_forecast_stands_beside_the_naive_in_figure_words_and_table(page: Page) -> None:
    open_ticker(page, "AAPL")

    ranges = [f"{share}% range" for share in (95, 80, 50)]
    expect(legend(page, "#chart")).to_have_text([*ranges, "Daily bars", "Median of the forecast", "Naive forecast"])
    expect(page.locator("#chart [role=img]")).to_have_attribute("aria-label", re.compile("naive forecast US\\$430.47"))
    expect(page.locator("#facts")).to_contain_text("Naive forecast, 15 Mar 2013")
    expect(page.locator("#facts")).to_contain_text("1 Mar 2013 · sample")
    expect(page.locator("#skill")).to_contain_text("not yet measured beside the naive forecast")
    expect(page.locator("#disclaimer")).to_contain_text(NO_ADVICE)
    page.locator("#chart summary").click()
    table = page.get_by_role("region", name="Past months and coming trading days").get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(1 + 10)
    expect(table.get_by_role("columnheader")).to_have_text(
        ["Day", "Naive forecast", "Median of the forecast", "50% range", "80% range", "95% range", "What came"]
    )


def test_the_days_ahead_can_be_chosen(page: Page) -> None:
    open_ticker(page, "AAPL")

    with page.expect_response("**/predict/AAPL?days_ahead=30"):
        page.get_by_label("Trading days ahead").select_option("30")

    expect(page.locator("#skill")).to_contain_text("30 days ahead")
    page.locator("#chart summary").click()
    expect(page.locator("#chart tbody tr")).to_have_count(30)


def test_a_forecast_as_of_the_past_is_shown_against_what_came(page: Page, watch: Watch) -> None:
    watch.refusals.add(503)  # the window of that day is built meanwhile
    open_ticker(page, "IBM")
    expect(page.locator("#past")).to_contain_text("None of the forecasts")

    with page.expect_request("**/predictions?ticker=IBM&*"):  # however much else the reader asked
        page.get_by_label("Forecast as of").select_option(index=3)

    expect(page.locator("#as-of-note")).to_contain_text("As if made after the close of 30 Jan 2013")
    expect(page.locator("#past .main-svg").first).to_be_visible()
    expect(legend(page, "#past")).to_have_text(["Median and 80% range", "Naive forecast", "What came"])
    page.locator("#past summary").click()
    cells = page.locator("#past tbody tr").first.locator("th, td")
    expect(cells.nth(0)).to_have_text("30 Jan 2013")
    expect(cells.nth(1)).to_have_text("13 Feb 2013")
    for price in (2, 3, 5):
        expect(cells.nth(price)).to_have_text(re.compile(r"^US\$"))


def test_why_tells_inputs_drift_and_lineage(page: Page) -> None:
    open_ticker(page, "AAPL")

    page.get_by_text("Inputs, drift and lineage of this forecast").click()

    expect(page.locator("#why-content .main-svg").first).to_be_visible()
    why = page.locator("#why-content")
    for told in ("Model", "Data version", "the reference, from the start", "was not measured", "most similar past"):
        expect(why).to_contain_text(told)


def test_an_unstored_ticker_is_collected_while_the_reader_sees_it(page: Page, watch: Watch) -> None:
    watch.refusals.add(503)
    log_in(page, USER)
    held: list[Route] | None = []  # until they were looked at: the sample's bars come at once

    def hold(route: Route) -> None:
        route.continue_() if held is None else held.append(route)

    page.route("**/predict/**", hold)
    page.get_by_role("combobox", name="Ticker").fill("msft")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Collecting")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator("#collecting-text")).to_contain_text("MSFT: its bars are being fetched")
    waiting, held = held or [], None
    for each in waiting:
        each.continue_()
    expect(page.locator(CHART).first).to_be_visible()
    expect(page.get_by_role("heading", name="Collecting")).to_be_hidden()


def test_waiting_can_be_stopped(page: Page) -> None:
    log_in(page, USER)
    page.route("**/predict/**", lambda _: None)  # never answered
    page.goto("/pages/tickers/FB")
    expect(page.locator("#collecting-seconds")).to_have_text(re.compile(r"\b([2-9]|\d\d) s so far"))

    page.get_by_role("button", name="Stop waiting").click()

    expect(page.locator("#message")).to_contain_text("Stopped.")
    expect(page.get_by_role("progressbar")).to_be_hidden()


@pytest.mark.parametrize(
    ("ticker", "status", "words"),
    [
        ("PETR4.SA", 404, "knows no such ticker"),
        ("NO%20TICKER", 422, "This is no ticker"),
        ("..%2Fx", 422, "no ticker"),
        ("%E0%A4%A", 422, "no ticker"),  # no text at all
    ],
)
def test_what_cannot_be_forecast_is_told_in_words_and_no_forecast_is_shown(
    page: Page, watch: Watch, ticker: str, status: int, words: str
) -> None:
    watch.refusals |= {status, 503}
    log_in(page, USER)
    page.goto(f"/pages/tickers/{ticker}")

    expect(page.locator("#message")).to_contain_text(words)
    expect(page.locator("#forecast")).to_be_hidden()


def test_the_search_completes_by_keyboard(page: Page) -> None:
    log_in(page, USER)
    box = page.get_by_role("combobox", name="Ticker")
    expect(box).to_have_attribute("aria-expanded", "false")
    box.press_sequentially("g")

    option = page.get_by_role("option", name="GOOG")
    expect(option).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#ticker-count")).to_have_text("1 stored tickers match")
    box.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", re.compile(".+"))
    expect(page.locator(f"[id='{box.get_attribute('aria-activedescendant')}']")).to_have_text(re.compile("GOOG"))
    box.press("Escape")
    expect(option).to_be_hidden()
    box.press("ArrowDown")
    expect(option).to_be_visible()
    box.press("ArrowDown")
    box.press("Enter")

    page.wait_for_url("**/pages/tickers/GOOG")


def test_the_search_completes_by_mouse(page: Page) -> None:
    log_in(page, USER)
    page.get_by_role("combobox", name="Ticker").press_sequentially("IB")

    page.get_by_role("option", name="IBM").click()

    page.wait_for_url("**/pages/tickers/IBM")


def test_the_page_speaks_portuguese(new_context: Callable[..., BrowserContext]) -> None:
    """To a browser that does; prices and days are written as there."""
    page = new_context(locale="pt-BR").new_page()
    page.goto("/pages/login?next=/pages/tickers/AAPL")
    page.get_by_label("E-mail").fill(USER)
    page.get_by_label("Senha").fill("seven green herons wade")
    page.locator("main").get_by_role("button", name="Entrar").click()

    expect(page.locator(CHART).first).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("US$ 430,47")
    expect(page.locator("#facts")).to_contain_text("1 de mar. de 2013")
    expect(page.locator("#disclaimer")).to_contain_text("não é recomendação de investimento")
    expect(legend(page, "#chart").filter(has_text=re.compile("^Previsão ingênua$"))).to_have_count(1)


def test_charts_change_colour_with_the_theme(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(LOOKS[0]).new_page()
    open_ticker(page, "AAPL")
    tick = page.locator("#chart .xtick text").first
    light = tick.evaluate("each => each.style.fill")

    page.get_by_role("button", name="Dark mode").click()

    expect(page.get_by_role("button", name="Light mode")).to_be_visible()
    expect(tick).not_to_have_css("fill", light)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
