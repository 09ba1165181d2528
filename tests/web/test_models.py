"""The models page as an administrator uses it: looking, having the gate judge, rolling back, training, comparing."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.browser import Watch, log_in
from tests.web.installation import ADMIN, USER
from tests.web.laboratory import Laboratory

PATH = "/pages/models"


@pytest.fixture(scope="module")
def installation(a_laboratory: Laboratory) -> Laboratory:
    """The one with a past."""
    return a_laboratory


@pytest.fixture
def models(page: Page) -> Page:
    """The page, open and filled."""
    log_in(page, ADMIN, PATH)
    expect(page.locator("#ledger tbody tr").first).to_be_visible()
    return page


def champion(page: Page) -> Locator:
    """Short id of the bundle that the newest line of the ledger names."""
    return page.locator("#ledger tbody tr").first.locator("td").first


@pytest.mark.parametrize("path", [PATH, "/pages/operations"])
def test_who_is_no_administrator_is_told_so(page: Page, path: str) -> None:
    log_in(page, USER, path)
    expect(page.get_by_role("heading", name="For administrators")).to_be_visible()
    expect(page.locator("#for-admins")).to_be_hidden()
    expect(page.get_by_role("navigation").get_by_role("link", name="Models")).to_be_hidden()
    page.locator("main").get_by_role("link", name="Track record").click()
    page.wait_for_url("**/pages/track-record")


def test_champions_change_by_the_gate_or_by_a_roll_back_and_never_by_one_click(models: Page) -> None:
    """Asked first, told what will happen; the reference is refused, the network passes."""
    expect(models.locator("#served-figures tbody tr").first).to_contain_text("79.0%")
    expect(models.locator("#served-figures").get_by_role("columnheader", name="The naive's").first).to_be_visible()
    served, before = champion(models).inner_text(), models.locator("#ledger tbody tr").count()
    dialog = models.get_by_role("dialog")

    models.get_by_role("button", name="Roll back…").click()
    expect(dialog).to_contain_text(served)
    expect(dialog.get_by_role("button", name="Leave it as it is")).to_be_focused()
    models.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(models.get_by_role("button", name="Roll back…")).to_be_focused()
    expect(models.locator("#ledger tbody tr")).to_have_count(before)

    models.locator("#bundles").get_by_role("button", name="Promote").first.click()
    expect(dialog).to_contain_text(f"against the champion {served} on the stored bars")
    dialog.get_by_role("button", name="Judge it").click()
    judging = models.locator("#judging")
    expect(judging).to_contain_text(re.compile("waits for a worker|is being judged"))
    expect(judging).to_contain_text("did not pass, the champion stays: no gain proven")
    expect(models.locator("#decisions tbody tr").first).to_contain_text("Refused")
    expect(champion(models)).to_have_text(served)

    models.get_by_role("button", name="Roll back…").click()
    dialog.get_by_label("Reason").fill("too <i>wide</i> since Monday")
    dialog.get_by_role("button", name="Roll back to").click()
    expect(models.get_by_text("is champion again.")).to_be_visible()
    expect(models.locator("#ledger tbody tr").first).to_contain_text("too <i>wide</i> since Monday")
    expect(champion(models)).not_to_have_text(served)

    models.get_by_role("button", name=f"Promote {served}").click()
    dialog.get_by_role("button", name="Judge it").click()
    expect(judging).to_contain_text(f"{served} passed and is champion.")
    expect(champion(models)).to_have_text(served)


def test_what_is_out_of_range_is_not_sent(models: Page) -> None:
    asked: list[str] = []
    models.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    models.get_by_label("Bars in a window").fill("4")
    models.get_by_role("button", name="Start the training").click()

    assert models.get_by_label("Bars in a window").evaluate("field => field.validity.rangeUnderflow")
    expect(models.get_by_label("Bars in a window")).to_have_accessible_description("From 5 to 200")
    assert not [url for url in asked if url.endswith("/train")]


def test_a_training_is_followed_as_it_runs_and_its_curve_is_still_there_afterwards(models: Page) -> None:
    bundles = models.locator("#bundles tbody tr")
    expect(bundles.first).to_be_visible()
    before = bundles.count()
    models.get_by_label("Tickers", exact=True).fill("aapl, ibm")
    models.get_by_label("Epochs at most").fill("10")
    models.get_by_role("button", name="Start the training").click()

    expect(models.get_by_text("waits for a worker.")).to_be_visible()
    followed = models.locator("#followed")
    expect(followed.get_by_role("heading")).to_be_focused()
    curve = followed.locator(".chart")
    expect(curve).to_have_attribute("aria-label", re.compile(r"Losses of [1-9] epochs"))
    expect(followed.locator("#followed-status")).to_have_text("Succeeded")
    expect(curve).to_have_attribute("aria-label", re.compile(r"Losses of \d+ epochs; the least .* in epoch 10\."))
    expect(models.locator("#jobs tbody tr").first).to_contain_text("mean error 1.21, naive 1.25")
    expect(bundles).to_have_count(before + 1)  # to be judged, without loading the page again

    models.reload()
    models.locator("#jobs").get_by_role("button", name="Follow").first.click()
    expect(curve).to_have_attribute("aria-label", re.compile(r"in epoch 10\."))
    followed.get_by_text("What it told").click()
    expect(followed.locator("#lines")).to_contain_text("10 epochs of AAPL, IBM")


def test_a_training_is_cancelled_once_that_is_confirmed(models: Page, watch: Watch) -> None:
    watch.refusals.add(409)  # of the second one
    models.get_by_label("Tickers", exact=True).fill("MSFT")
    models.get_by_label("Epochs at most").fill("1000")
    models.get_by_role("button", name="Start the training").click()
    followed = models.locator("#followed")
    expect(followed.locator(".chart")).to_be_visible()

    models.get_by_role("button", name="Start the training").click()
    expect(models.get_by_text("a training of yours waits or runs already")).to_be_visible()
    models.locator("#jobs").get_by_role("button", name="Cancel").click()
    dialog = models.get_by_role("dialog")
    expect(dialog).to_contain_text("what it had not finished is deleted")
    dialog.get_by_role("button", name="Cancel the job").click()

    expect(followed.locator("#followed-status")).to_have_text("Cancelled")
    expect(models.locator("#jobs tbody tr").first).to_contain_text("Cancelled")
    expect(models.locator("#jobs").get_by_role("button", name="Cancel")).to_have_count(0)


def test_drift_is_compared_and_told_by_column(models: Page) -> None:
    models.get_by_role("button", name="Compare now").click()
    expect(models.get_by_text(re.compile("^Drift: "))).to_be_visible()
    report = models.locator("#drift tbody tr").first
    expect(report).to_contain_text(re.compile("fine|watch it|retrain"))
    report.locator("summary").click()
    expect(report.get_by_role("columnheader", name="KS")).to_be_visible()
