"""A program of PostgreSQL's that does not suit the server is not begun with."""

from pathlib import Path

import pytest

from app.backup.programs import program_for, suits
from app.supervisor.errors import ServiceError

EMBEDDED = 18


def put(folder: Path, name: str, says: str) -> str:
    """A program that tells its version, in ``folder``."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("name", "version", "server", "does"),
    [
        ("pg_dump", 18, 15, True),
        ("pg_dump", 15, 18, False),
        ("pg_restore", 16, 15, True),
        ("pg_restore", 18, 16, False),  # unrecognized configuration parameter "transaction_timeout"
        ("pg_restore", 18, 17, True),
        ("pg_restore", 17, 17, True),
        ("pg_restore", 17, 18, False),
    ],
)
def test_what_suits(name: str, version: int, server: int, does: bool) -> None:
    assert suits(name, version, server) is does


def test_the_machine_s_own_program_is_taken_where_it_suits_else_the_embedded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    own = put(tmp_path, "pg_restore", "pg_restore (PostgreSQL) 16.4 (Debian 16.4-1)")

    assert program_for("pg_restore", 16) == own
    assert "pgserver" in program_for("pg_restore", EMBEDDED)
    with pytest.raises(ServiceError, match=r"PostgreSQL 19, and pg_restore is of 16 and 18 here: install"):
        program_for("pg_restore", 19)


def test_a_program_that_tells_no_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    own = put(tmp_path, "pg_dump", "hello")

    with pytest.raises(ServiceError, match=f"{own} does not tell its version"):
        program_for("pg_dump", 16)
