"""Track record, models and operations at a desk and on a phone, light and dark, in both languages: usable by all."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.web.browser import LOOKS, Look, log_in, overflow, serious_findings
from tests.web.installation import ADMIN
from tests.web.laboratory import Laboratory

PAGES = {
    "/pages/track-record": "#reliability .main-svg",
    "/pages/models": "#ledger td",
    "/pages/operations": "#data td",
}


@pytest.fixture(scope="module")
def installation(a_laboratory: Laboratory) -> Laboratory:
    """The one with a past."""
    return a_laboratory


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_everybody_can_use_the_pages_and_none_is_wider_than_the_screen(
    new_context: Callable[..., BrowserContext], look: Look
) -> None:
    page = new_context(look).new_page()
    log_in(page, ADMIN)
    language = "pt" if look.scheme == "dark" else "en"
    for path, filled in PAGES.items():
        page.goto(f"{path}?lang={language}")
        expect(page.locator(filled).first).to_be_visible()
        assert serious_findings(page) == [], path
        assert overflow(page) == 0, path
        words = page.locator("body").inner_text()
        assert ("investment advice" if language == "en" else "recomendação de investimento") in words
