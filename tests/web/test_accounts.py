"""Registering, signing in and out, API keys: as a person does it."""

import re
import shlex
from collections.abc import Callable

import httpx
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.web.browser import Watch, log_in
from tests.web.installation import PASSWORD, USER, Installation

COOKIE = "__Host-closecast_refresh"
REFRESH = "**/pages/session/refresh"


def test_a_newcomer_registers_is_signed_in_stays_so_and_signs_out(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Log in").click()
    page.locator("main").get_by_role("link", name="Register").click()
    page.get_by_label("E-mail address").fill("newcomer@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    page.wait_for_url("**/")
    expect(page.get_by_role("link", name="AAPL").first).to_be_visible()
    expect(page.get_by_role("heading", name="Stored tickers")).to_be_visible()

    page.reload()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.get_by_role("button", name="Log out").click()

    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    assert COOKIE not in {cookie["name"] for cookie in page.context.cookies()}


def test_no_script_can_read_the_refresh_token_and_nothing_is_stored(page: Page) -> None:
    log_in(page, USER)

    cookie = next(each for each in page.context.cookies() if each["name"] == COOKIE)
    readable, kept = page.evaluate("[document.cookie, localStorage.length + sessionStorage.length]")

    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")
    assert COOKIE not in readable
    assert kept == 0


def test_a_wrong_password_is_told_in_words(page: Page, watch: Watch) -> None:
    watch.refusals.add(401)
    page.goto("/pages/login?lang=pt")
    page.get_by_label("E-mail").fill(USER)
    page.get_by_label("Senha").fill("not this one, surely")
    page.locator("main").get_by_role("button", name="Entrar").click()

    expect(page.get_by_role("status").first).to_contain_text("Nenhuma conta tem este e-mail e esta senha.")
    expect(page.get_by_label("Senha")).to_have_value("")
    expect(page.get_by_label("Senha")).to_be_focused()


def test_an_address_of_another_site_is_no_place_to_go_after_signing_in(page: Page, installation: Installation) -> None:
    over_a_tab = "/%09/evil.example"  # a browser reads no tab in an address: //evil.example is left
    plain = ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "//")
    for elsewhere in (*plain, over_a_tab):
        page.goto("/pages/login?next=" + elsewhere)
        page.get_by_label("E-mail address").fill(USER)
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main").get_by_role("button", name="Log in").click()
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
        expect(page).to_have_url(f"{installation.url}/")  # a moment after the button
        page.context.clear_cookies()


def test_a_page_for_users_asks_to_sign_in_and_comes_back(page: Page) -> None:
    page.goto("/pages/keys")
    page.wait_for_url("**/pages/login?next=%2Fpages%2Fkeys")

    log_in(page, USER, "/pages/keys")

    expect(page.get_by_role("heading", name="API keys")).to_be_visible()


def test_nobody_is_sent_to_sign_in_because_the_service_does_not_answer(page: Page, watch: Watch) -> None:
    watch.refusals.add(503)
    log_in(page, USER)
    page.route(REFRESH, lambda route: route.fulfill(status=503))
    page.goto("/pages/keys")

    expect(page.locator("#message")).to_contain_text("The service could not be reached")
    expect(page).to_have_url(re.compile("/pages/keys$"))

    page.unroute(REFRESH)
    page.reload()
    expect(page.get_by_role("button", name="Make a key")).to_be_enabled()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def test_a_sign_out_in_one_tab_ends_the_other(new_context: Callable[..., BrowserContext]) -> None:
    context = new_context()
    first, second = context.new_page(), context.new_page()
    log_in(first, USER)
    second.goto("/pages/keys")
    expect(second.get_by_role("button", name="Log out")).to_be_visible()

    first.get_by_role("button", name="Log out").click()

    second.wait_for_url("**/pages/login**")


def test_the_token_is_refreshed_before_it_expires(page: Page) -> None:
    page.clock.install()
    log_in(page, USER)
    expect(page.get_by_role("button", name="Log out")).to_be_visible()

    with page.expect_response(REFRESH) as refreshed:
        page.clock.fast_forward("14:30")

    assert refreshed.value.status == 200


def test_tabs_refresh_one_after_the_other(new_context: Callable[..., BrowserContext]) -> None:
    """Of two at once, the later would bring a token that was used before."""
    context = new_context()
    first = context.new_page()
    log_in(first, USER)
    expect(first.get_by_role("button", name="Log out")).to_be_visible()  # its own refresh is over
    running, most, asked = 0, 0, 0

    def slowly(route: Route) -> None:
        nonlocal running, most, asked
        running, asked = running + 1, asked + 1
        most = max(most, running)
        answer = route.fetch()
        first.wait_for_timeout(200)
        running -= 1
        route.fulfill(response=answer)

    context.route(REFRESH, slowly)
    tabs = [context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto("/pages/keys", wait_until="commit")
    for tab in tabs:
        expect(tab.get_by_role("button", name="Log out")).to_be_visible()

    assert (most, asked) == (1, 3)


def test_a_token_that_was_stopped_is_replaced_without_the_reader_noticing(page: Page, watch: Watch) -> None:
    watch.refusals.add(401)
    log_in(page, USER, "/pages/keys")
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(
                status=401, content_type="application/problem+json", body='{"type":"/problems/expired-token"}'
            )

    page.route("**/auth/api-keys**", refuse_once)
    page.reload()

    expect(page.locator("#keys > *")).to_be_visible()
    assert len(refused) == 1


def test_a_key_is_shown_once_with_a_command_that_works_until_it_is_revoked(
    new_context: Callable[..., BrowserContext], watch: Watch
) -> None:
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    log_in(page, USER, "/pages/keys")
    page.get_by_label("What it is for").fill("nightly <b>report</b>")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("heading", name="Your new key")).to_be_focused()
    command = page.get_by_label("A command that is ready to run").input_value()
    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    key = page.evaluate("navigator.clipboard.readText()")

    program, option, header, address = shlex.split(command)
    name, value = header.split(": ")
    asked = httpx.get(address, headers={name: value})

    assert (program, option, name, value) == ("curl", "-H", "X-API-Key", key)
    assert re.fullmatch(r"closecast_[\w-]{43}", key)
    assert (asked.status_code, asked.json()["ticker"]) == (200, "AAPL")
    page.get_by_role("button", name="I have kept it: hide it").click()
    for field in ("#key-text", "#curl-text"):
        expect(page.locator(field)).to_have_value("")
    page.reload()
    expect(page.get_by_role("rowheader", name="nightly <b>report</b>")).to_be_visible()
    assert key not in page.content()

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke nightly <b>report</b>").click()

    expect(page.get_by_text("opens nothing any more")).to_be_visible()
    assert httpx.get(address, headers={name: value}).status_code == 401
