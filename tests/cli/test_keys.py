"""`closecast keys`: made, listed and revoked under the same rules as over HTTP."""

import json

import psycopg
import pytest

from app.core.api_keys import digest_of
from tests.cli.conftest import Closecast

EMAIL, PASSWORD = "jane@example.org", "eleven quiet tides return"


@pytest.fixture
def account(closecast: Closecast, database: str) -> str:
    """An ordinary account."""
    assert closecast("users", "create", EMAIL, typed=f"{PASSWORD}\n").code == 0
    return EMAIL


def test_a_key_is_printed_alone_listed_without_its_text_and_revoked(
    closecast: Closecast, account: str, database: str
) -> None:
    made = closecast("keys", "create", account, "--name", "report", "--days", "7")
    key = made.out.strip()
    (listed,) = json.loads(closecast("keys", "list", account, "--json").out)

    assert made.code == 0, made.err
    assert made.err.startswith("may: predict; until ")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT key_sha256 FROM api_keys").fetchall() == [(digest_of(key),)]
    assert key.startswith(listed["prefix"])
    assert key not in str(listed)
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == ("report", ["predict"], None)

    assert closecast("keys", "revoke", listed["prefix"]).code == 0
    assert "revoked" in closecast("keys", "list", account).out


def test_what_cannot_be_is_one_line(closecast: Closecast, account: str) -> None:
    for arguments, code, told in (
        (("create", account, "--name", "x", "--scope", "admin"), 3, "you do not have the scope admin"),
        (("create", account, "--name", "x", "--scope", "root"), 2, "scopes"),
        (("create", "nobody@example.org", "--name", "x"), 3, "no account has the e-mail address"),
        (("revoke", "closecast_unknown0"), 3, "no API key"),
    ):
        refused = closecast("keys", *arguments)
        assert (refused.code, refused.err.count("\n")) == (code, 1), refused
        assert told in refused.err
