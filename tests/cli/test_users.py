"""`closecast users`: the first administrator, and what an operator does with accounts."""

import json

import psycopg
import pytest

from tests.cli.conftest import Closecast

PASSWORD = "eleven quiet tides return"


def test_an_administrator_is_created_with_every_scope(closecast: Closecast, database: str) -> None:
    done = closecast("users", "create", "--admin", "ada@example.org", "--json", typed=f"{PASSWORD}\n")

    assert done.code == 0, done.err
    assert json.loads(done.out)["scopes"] == ["predict", "train", "admin"]
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT email, password_hash FROM users").fetchone()
    assert row is not None
    assert row[0] == "ada@example.org"
    assert row[1].startswith("$argon2id$")


def test_a_user_may_predict_and_no_more(closecast: Closecast, database: str) -> None:
    done = closecast("users", "create", "jane@example.org", typed=f"{PASSWORD}\n")
    assert done.out == "jane@example.org created, may: predict\n"


def test_a_short_password_is_refused_and_told_nowhere(closecast: Closecast, database: str) -> None:
    refused = closecast("users", "create", "jane@example.org", typed="tide7\n")
    assert refused.code != 0
    assert "password" in refused.err
    assert "tide7" not in refused.err + refused.out


@pytest.mark.parametrize("typed", ["", "\n"])
def test_an_empty_standard_input_is_told_as_a_missing_password(closecast: Closecast, database: str, typed: str) -> None:
    refused = closecast("users", "create", "jane@example.org", typed=typed)
    assert (refused.code, refused.err) == (
        2,
        "closecast: no password: give it as one line on standard input, or run this in a terminal\n",
    )


def test_an_address_can_be_taken_once(closecast: Closecast, database: str) -> None:
    closecast("users", "create", "jane@example.org", typed=f"{PASSWORD}\n")
    refused = closecast("users", "create", "jane@example.org", typed=f"{PASSWORD}\n")
    assert refused.code == 3
    assert refused.err.count("\n") == 1


def test_an_operator_lists_changes_disables_enables_and_deletes_accounts(closecast: Closecast, database: str) -> None:
    closecast("users", "create", "jane@example.org", typed=f"{PASSWORD}\n")

    scoped = closecast("users", "scopes", "Jane@example.org", "--scope", "train", "--scope", "predict")
    assert scoped.out == "jane@example.org may: predict, train\n"
    assert closecast("users", "disable", "jane@example.org").out == "jane@example.org disabled\n"
    (listed,) = json.loads(closecast("users", "list", "--json").out)
    assert (listed["scopes"], listed["disabled_at"] is None) == (["predict", "train"], False)
    assert closecast("users", "enable", "jane@example.org").out == "jane@example.org may: predict, train\n"
    assert "jane@example.org" in closecast("users", "list").out

    assert closecast("users", "delete", "--yes", "jane@example.org").code == 0
    assert json.loads(closecast("users", "list", "--json").out) == []
    assert closecast("users", "disable", "jane@example.org").code == 3


def test_an_operator_gives_a_new_password_which_ends_all_sign_ins(closecast: Closecast, database: str) -> None:
    closecast("users", "create", "jane@example.org", typed=f"{PASSWORD}\n")
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO sign_ins (id, user_id) SELECT gen_random_uuid(), id FROM users")
        before = connection.execute("SELECT password_hash FROM users").fetchone()

    assert closecast("users", "password", "jane@example.org", typed="password1234\n").code == 3
    assert closecast("users", "password", "jane@example.org", typed="seven green herons wade\n").code == 0

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT password_hash FROM users").fetchone() != before
        assert connection.execute("SELECT count(*) FROM sign_ins WHERE revoked_at IS NULL").fetchone() == (0,)
