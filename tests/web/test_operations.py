"""The operations page: what stands still is marked, and it is read again while the reader wants that."""

import time

import pytest
from playwright.sync_api import Page, expect

from app.core.database import bounded_connection_string
from app.features.market_data.source_limits import PostgresCircuit
from tests.web.browser import Watch, log_in
from tests.web.installation import ADMIN
from tests.web.laboratory import Laboratory

PATH = "/pages/operations"


@pytest.fixture(scope="module")
def installation(a_laboratory: Laboratory) -> Laboratory:
    """The one with a past."""
    return a_laboratory


def test_a_source_that_is_paused_is_marked_at_the_next_reading(page: Page, installation: Laboratory) -> None:
    page.clock.install()
    log_in(page, ADMIN, PATH)
    expect(page.get_by_text("Forecasts can be answered.")).to_be_visible()
    expect(page.locator("#data")).to_contain_text("XNYS")
    expect(page.locator("#latency tbody tr")).to_have_count(3)
    expect(page.locator("#sources")).not_to_contain_text("⚠")
    circuit = PostgresCircuit(bounded_connection_string(installation.settings), "yfinance")
    circuit.set_state("opened", time.time())

    page.clock.fast_forward(16_000)
    expect(page.locator("#sources")).to_contain_text("⚠ Not asked for a while")
    circuit.set_state("closed", None)
    page.get_by_label("Read again every 15 seconds").uncheck()
    page.clock.fast_forward(60_000)
    page.wait_for_timeout(300)
    expect(page.locator("#sources")).to_contain_text("⚠")

    page.get_by_label("Read again every 15 seconds").check()
    page.clock.fast_forward(16_000)
    expect(page.locator("#sources")).not_to_contain_text("⚠")


def test_what_is_not_ready_is_said(page: Page, watch: Watch) -> None:
    """Checks of /readyz, which tells them in its refusal."""
    watch.refusals.add(503)
    checks = {"database": "ok", "migrations": "at 0009, 0011 is needed", "champion": "ok", "prediction_log": "ok"}
    body = {"type": "/problems/not-ready", "title": "Not ready", "status": 503, "detail": "no", "checks": checks}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=body, content_type="application/problem+json"))
    log_in(page, ADMIN, PATH)
    expect(page.locator("#health-words")).to_have_text("⚠ Forecasts cannot be answered just now.")
    expect(page.locator("#health")).to_contain_text("at 0009, 0011 is needed")
