"""What is wrong with a setting, a path or an argument is one line and a code, whichever command meets it."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from cli.commands import users
from cli.exit_codes import exit_code, one_line
from cli.tables import print_table
from data_pipeline.errors import ConfigurationError, StoreUnavailableError
from tests.app.serving import SECRET
from tests.cli.conftest import Closecast

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
SERVE = ("serve", "--port", "65001")


@pytest.mark.parametrize(
    ("command", "settings", "told"),
    [
        (SERVE, {"REDIS_URL": "banana"}, "CLOSECAST_REDIS_URL: Input should be an address"),
        (SERVE, {"REDIS_URL": "redis://host:port"}, "CLOSECAST_REDIS_URL is no Redis address"),
        (SERVE, {"TRUSTED_PROXIES": "banana"}, "CLOSECAST_TRUSTED_PROXIES: Input should be addresses"),
        (SERVE, {"COLUMNS": "/nope.py"}, "own columns: there is no file /nope.py"),
        (SERVE, {"SOURCES": '["files"]'}, "the source `files` of CLOSECAST_SOURCES needs CLOSECAST_FILES_PATH"),
        (SERVE, {"SOURCES": '["files"]', "FILES_PATH": "/nope"}, "CLOSECAST_FILES_PATH: no such file or folder: /nope"),
        (("api",), {"REDIS_URL": "redis://host:port"}, "CLOSECAST_REDIS_URL is no Redis address"),
        (("worker",), {"SOURCES": '["files"]', "FILES_PATH": "/nope"}, "CLOSECAST_FILES_PATH: no such file or folder"),
        (("collect", "AAPL"), {"SOURCES": "[]"}, "CLOSECAST_SOURCES: List should have at least 1 item"),
        (("collect", "AAPL"), {"STORE_URI": "gopher://x"}, "CLOSECAST_STORE_URI: Input should be a folder"),
        (("migrate",), {"DATABASE_URL": "postgresql://u:p@[::1/x"}, "CLOSECAST_DATABASE_URL is no database address"),
        (("users", "list"), {"DATABASE_URL": "mysql://u:p@h/x"}, "CLOSECAST_DATABASE_URL is no database address"),
        (("serve", "--host", ""), {}, "host: String should have at least 1 character"),
        (("users", "create", "x y"), {}, "email: Input should be an e-mail address such as jane@example.org"),
        (("rollback", "--reason", "a\x1b[31mb"), {}, "reason: String should match pattern"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_before_anything_is_started(
    closecast: Closecast,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    settings: dict[str, str],
    told: str,
) -> None:
    for name, value in {"JWT_SECRET": SECRET, "DATABASE_URL": NOWHERE, **settings}.items():
        monkeypatch.setenv(f"CLOSECAST_{name}", value)

    refused = closecast(*command, typed="eleven quiet tides return\n")

    lines = [line for line in refused.err.splitlines() if not line.startswith("{")]  # of the log
    assert (refused.code, len(lines)) == (2, 1), refused.err
    assert lines[0].startswith(f"closecast: {told}")


def test_an_env_file_that_is_no_text_is_named(closecast: Closecast, home: Path) -> None:
    Path(".env").write_bytes(b"CLOSECAST_PORT=80\xff\n")

    refused = closecast("models", "list")

    assert (refused.code, refused.err) == (2, f"closecast: {Path('.env').resolve()} is no UTF-8 text\n")


@pytest.mark.parametrize("name", ["lock", "metrics"])
def test_a_home_that_holds_something_else_where_a_file_or_folder_belongs_is_told(
    closecast: Closecast, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("CLOSECAST_JWT_SECRET", SECRET)
    monkeypatch.setenv("CLOSECAST_DATABASE_URL", NOWHERE)
    home.mkdir()
    if name == "lock":
        (home / name).mkdir()
    else:
        (home / name).touch()
        monkeypatch.setattr("app.supervisor.supervisor.prepare_database", lambda _settings: None)

    refused = closecast("serve", "--port", "65002")

    lines = [line for line in refused.err.splitlines() if not line.startswith("{")]
    assert (refused.code, len(lines)) == (2, 1), refused.err
    assert str(home / name) in lines[0]


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (errno.EROFS, 6, "Read-only file system: /ro/x.json"),
        (errno.EIO, 6, "Input/output error: /ro/x.json"),
        (errno.EACCES, 6, "Permission denied: /ro/x.json"),
        (errno.ENOTDIR, 2, "Not a directory: /ro/x.json"),
        (errno.EEXIST, 2, "File exists: /ro/x.json"),
        (errno.ENOENT, 2, "no such file or folder: /ro/x.json"),
    ],
)
def test_every_trouble_with_a_file_has_a_code_and_names_it(number: int, code: int, told: str) -> None:
    """The disk is the service's trouble; a path that cannot be is whose it was."""
    error = OSError(number, os.strerror(number), "/ro/x.json")

    assert (exit_code(error), one_line(error)) == (code, told)


def test_a_store_that_cannot_be_written_is_the_disk_s_trouble() -> None:
    assert exit_code(StoreUnavailableError("Read-only file system")) == 6


def test_a_password_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc\xff\xfe green herons wade\n")))

    with pytest.raises(ConfigurationError, match="no UTF-8 text"):
        users._password()


def test_a_table_does_not_steer_the_terminal(closecast: Closecast, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("reason",), [("wide\x1b[31m \x9b2Jintervals\r\b",)])

    assert "wide[31m 2Jintervals" in capsys.readouterr().out
