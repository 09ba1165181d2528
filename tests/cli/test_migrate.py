"""`closecast migrate`: up, looked at, and back."""

import json

import pytest

from app.core.migrations import known_revisions, newest_revision
from tests.cli.conftest import Closecast


@pytest.mark.usefixtures("database")
def test_the_schema_is_checked_taken_back_and_brought_up_again(closecast: Closecast) -> None:
    before, newest = sorted(known_revisions())[-2:]

    assert json.loads(closecast("migrate", "--check", "--json").out) == {"revision": newest}
    assert closecast("migrate", "--back-to", before).out == f"The database is at revision {before}.\n"
    refused = closecast("migrate", "--check")
    assert (refused.code, refused.out) == (6, "")
    assert refused.err == f"closecast: the database is at {before}, {newest} is needed: run `closecast migrate`\n"
    assert json.loads(closecast("migrate", "--json").out) == {"revision": newest}


@pytest.mark.usefixtures("database")
def test_what_is_no_way_back_is_refused(closecast: Closecast) -> None:
    newest = newest_revision()

    assert closecast("migrate", "--back-to", newest).err == (
        f"closecast: the database is at {newest}: there is no way back to {newest}\n"
    )
    assert closecast("migrate", "--back-to", "base").code == 2
    assert closecast("migrate", "--check", "--back-to", "0001").code == 2
