"""What the pages show is run as it stands, against a real service."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.blocks import DOCS, run_of
from tests.web.installation import Installation

SHOWN: Final = "http://127.0.0.1:8000"
# A refusal is an error here, though it is none for `curl -s`; so is a command of a pipe that fails.
STRICT: Final = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\n'
WITH_SHELL: Final = {"quick-start.md", "user-guide.md"}
WITH_PYTHON: Final = {"client.md"}

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here: examples of the shell are not run")


def answers_in(text: str) -> list[Any]:
    """The JSON documents that were printed one after the other."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        answer, end = decoder.raw_decode(rest)
        found.append(answer)
        rest = rest[end:].strip()
    return found


def run_shell(page: str, installation: Installation, folder: Path) -> list[Any]:
    """What the marked blocks of a page print."""
    script = STRICT + run_of(DOCS / page, "sh").replace(SHOWN, installation.url)
    commands = Path(sys.executable).parent  # closecast, and a python3
    environment = {**installation.environment, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, f"{page}: {ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
    return answers_in("\n".join(line for line in ran.stdout.splitlines() if not line.startswith("wrote ")))


def test_every_marked_block_is_run_by_a_test() -> None:
    """In Portuguese the commands are the same (test_translations.py)."""
    marked = {page.name for page in DOCS.rglob("*.md") if "<!-- run -->" in page.read_text()}
    assert marked == WITH_SHELL | WITH_PYTHON | {"quick-start.pt.md"}
    for page in marked:
        text = (DOCS / page).read_text()
        assert text.count("<!-- run -->") == text.count("<!-- run -->\n```"), page


@needs_curl
def test_the_quick_start_leads_to_a_forecast_and_to_what_was_asked(installation: Installation, tmp_path: Path) -> None:
    account, forecast, asked, record = run_shell("quick-start.md", installation, tmp_path)

    assert account["email"] == "ada@example.net"
    assert (forecast["ticker"], forecast["cutoff"], forecast["kind"]) == ("AAPL", "2013-02-01", "hindcast")
    assert len(forecast["steps"]) == 5
    assert {"naive", "quantiles"} <= set(forecast["steps"][0])
    assert [each["forecast_id"] for each in asked["items"]] == [forecast["forecast_id"]]
    assert record["ticker"] == "AAPL"


@needs_curl
def test_the_user_guide_s_commands_work_one_after_the_other(installation: Installation, tmp_path: Path) -> None:
    account, forecast, of_own_window = run_shell("user-guide.md", installation, tmp_path)

    assert account["email"] == "jane@example.org"
    assert forecast["ticker"] == of_own_window["ticker"] == "AAPL"
    assert of_own_window["forecast_id"] is None  # of a window that was sent: not frozen


def test_the_generated_client_s_example_works(installation: Installation, client_folder: Path, tmp_path: Path) -> None:
    script = run_of(DOCS / "client.md", "python").replace(SHOWN, installation.url)
    environment = {**installation.environment, "PYTHONPATH": str(client_folder)}
    command = [sys.executable, "-W", "error", "-c", script]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    *steps, asked, problem = ran.stdout.splitlines()
    assert len(steps) == 5
    assert steps[0].startswith("2013-03-04 430.47")
    assert asked == "1 answered so far"
    assert problem.startswith("/problems/malformed-ticker - ")
