"""The search for weaknesses fails where it should: on what is new, on what is gone, and on a tool's own fault."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import weaknesses
from tools.weaknesses import advisories, packages, tell

LOCKED = f"idna==3.6 --hash=sha256:{64 * '0'}\n"
ADVISORY = {
    "id": "PYSEC-2024-60",
    "summary": "slow",
    "modified": "2024-07-11T17:30:00Z",
    "affected": [
        {
            "package": {"name": "idna", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}],
            "versions": ["3.6"],
        }
    ],
}


@pytest.fixture
def osv() -> Iterator[str]:
    """Where one advisory is told of every package, as OSV tells it."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps({"vulns": [ADVISORY]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


@pytest.fixture
def locked(tmp_path: Path) -> str:
    """One package with a published weakness."""
    file = tmp_path / "requirements.txt"
    file.write_text(LOCKED)
    return str(file)


def test_v15_2_1_a_published_weakness_of_a_locked_package_fails(
    osv: str, locked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert packages(must_run=False, requirements=locked, osv=osv) == 1

    assert "pip-audit: PYSEC-2024-60 in idna: mend it" in capsys.readouterr().out


@pytest.mark.parametrize(("must_run", "status"), [(False, 0), (True, 1)])
def test_where_nobody_can_be_asked_it_says_so_and_that_is_a_failure_only_where_asked_for(
    must_run: bool, status: int, locked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert packages(must_run=must_run, requirements=locked, osv="http://127.0.0.1:9/v1/query") == status

    assert capsys.readouterr().out.startswith("pip-audit: NOT RUN: ")


def test_a_fault_of_the_tool_is_no_clean_bill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text("idna\n")  # neither pinned nor hashed

    assert packages(must_run=False, requirements=str(tmp_path / "requirements.txt")) == 1

    assert capsys.readouterr().out.startswith("pip-audit: FAILED: ")


def test_what_is_accepted_passes_until_it_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    accepted = [("B101", "app/a.py")]

    assert tell("bandit", [("B101", "app/a.py")], accepted) == 0
    assert tell("bandit", [("B101", "app/a.py"), ("B101", "app/b.py")], accepted) == 1
    assert tell("bandit", [], accepted) == 1
    told = capsys.readouterr().out
    assert "B101 in app/b.py: mend it" in told
    assert "B101 in app/a.py is accepted and not found any more" in told


def test_each_weakness_of_a_report_counts() -> None:
    report = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": [{"id": "X-1"}, {"id": "X-2"}]},
            {"name": "b", "version": "1", "vulns": []},
            {"name": "c", "skip_reason": "not on PyPI"},
        ]
    }

    assert advisories(report) == {("X-1", "a"), ("X-2", "a")}


@pytest.mark.parametrize("missing", ["reason", "date"])
def test_an_entry_says_why_and_since_when(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = {"rule": '"B101"', "files": '["x.py"]', "reason": '"because"', "date": "2026-11-21"}
    lines = [f"{name} = {value}" for name, value in entry.items() if name != missing]
    (tmp_path / "accepted.toml").write_text("\n".join(["[[bandit]]", *lines]))
    monkeypatch.setattr(weaknesses, "ACCEPTED", tmp_path / "accepted.toml")
    monkeypatch.setattr(weaknesses, "ROOT", tmp_path)

    with pytest.raises(SystemExit, match="no reason or no date"):
        weaknesses._accepted("bandit")
