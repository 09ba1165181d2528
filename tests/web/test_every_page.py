"""What holds for every page, at each look: usable by everybody, nothing asked of anybody else, nothing cut off."""

import re
from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.web.browser import LOOKS, Look, Watch, log_in, overflow, serious_findings
from tests.web.installation import USER

# Address, and what is visible once the page is whole.
VISITORS: Final = (("/", "text=PETR4.SA"), ("/pages/login", "#form"), ("/pages/register", "#form"))
USERS: Final = (("/", "#stored-tickers .chip"), ("/pages/keys", "#keys > *"), ("/pages/tickers/AAPL", "#record > *"))
looks = pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)


def check(page: Page, address: str, whole: str) -> None:
    """Open a page and hold it against what every page must be."""
    page.goto(address)
    expect(page.locator(whole).first).to_be_visible()
    assert overflow(page) == 0, address
    assert serious_findings(page) == [], address
    for details in page.locator("main details").all():
        details.evaluate("each => { each.open = true }")
    page.wait_for_timeout(500)
    assert overflow(page) == 0, f"{address}, opened"
    assert serious_findings(page) == [], f"{address}, opened"


@looks
def test_pages_of_visitors(new_context: Callable[..., BrowserContext], look: Look) -> None:
    page = new_context(look).new_page()
    for address, whole in VISITORS:
        check(page, address, whole)


@looks
def test_pages_of_users(new_context: Callable[..., BrowserContext], look: Look) -> None:
    page = new_context(look).new_page()
    log_in(page, USER)
    for address, whole in USERS:
        check(page, address, whole)


def test_the_first_key_leads_past_the_menu(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_menu_of_a_phone_opens_by_its_button(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(LOOKS[2]).new_page()
    page.goto("/")
    button, link = page.get_by_role("button", name="Menu"), page.get_by_role("link", name="Log in")
    expect(link).to_be_hidden()
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(link).to_be_visible()


def test_the_language_is_kept_from_page_to_page(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Português").click()
    expect(page.locator("html")).to_have_attribute("lang", "pt")
    page.goto("/pages/login")
    expect(page.get_by_role("heading", name="Entrar")).to_be_visible()


def test_before_its_script_is_there_a_form_sends_nothing(page: Page) -> None:
    """Least of all a password into an address."""
    page.route("**/*.js", lambda _: None)  # never answered
    page.goto("/pages/login", wait_until="commit")
    page.get_by_label("Password").fill("seven green herons wade")
    page.get_by_label("Password").press("Enter")

    expect(page.locator("main").get_by_role("button", name="Log in")).to_be_disabled()
    expect(page).to_have_url(re.compile("/pages/login$"))


def test_without_a_connection_the_page_says_so(page: Page, watch: Watch) -> None:
    log_in(page, USER, "/pages/keys")
    page.route("**/auth/api-keys", lambda route: route.abort())
    page.get_by_label("What it is for").fill("report")
    page.get_by_role("button", name="Make a key").click()

    expect(page.locator("#message")).to_contain_text("could not be reached")
    watch.complaints = [each for each in watch.complaints if "ERR_FAILED" not in each]
