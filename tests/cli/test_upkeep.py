"""`closecast cleanup`, `backup` and `restore` as a shell sees them; what they do is tested where it lives."""

import json
import tarfile
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Closecast


@pytest.fixture
def installed(closecast: Closecast, database: str) -> str:
    """A migrated database with a champion; no bars."""
    assert closecast("migrate").code == 0
    return database


def test_nothing_is_old_in_a_new_installation(closecast: Closecast, installed: str) -> None:
    told = closecast("cleanup", "--dry-run", "--json")

    assert told.code == 0
    assert json.loads(told.out) == {"dry_run": True, "items": [], "bytes": 0, "skipped": {}}
    assert "nothing is old and unreferenced" in closecast("cleanup").out


def test_what_would_go_is_told_and_then_goes(closecast: Closecast, installed: str, home: Path) -> None:
    bundle = "ab" * 32
    with psycopg.connect(installed) as connection:
        connection.execute(
            "INSERT INTO bundles (id, kind, created_at, registered_at, manifest) "
            "VALUES (%s, 'network', now(), now() - interval '91 days', '{}')",
            [bundle],
        )
    (home / "bundles" / bundle).mkdir()
    (home / "bundles" / bundle / "network.onnx").write_bytes(b"x" * 1_500_000)

    told = closecast("cleanup", "--dry-run")
    assert f"bundle {bundle}: registered" in told.out
    assert (home / "bundles" / bundle).is_dir()

    done = json.loads(closecast("cleanup", "--json").out)
    assert [(item["kind"], item["name"], item["bytes"]) for item in done["items"]] == [("bundle", bundle, 1_500_000)]
    assert not (home / "bundles" / bundle).exists()
    listed = json.loads(closecast("models", "list", "--json").out)
    marked = [row["bundle"] for row in listed if row["files_deleted_at"] is not None]
    assert marked == [bundle]
    assert "deleted 20" in closecast("models", "list").out


def test_a_backup_into_a_folder_is_named_by_its_instant(closecast: Closecast, installed: str, tmp_path: Path) -> None:
    done = closecast("backup", "--out", str(tmp_path), "--json")

    assert done.code == 0, done.err
    told = json.loads(done.out)
    file = Path(told["file"])
    assert (file.parent, file.name[:10], file.suffix) == (tmp_path, "closecast-", ".tar")
    with tarfile.open(file) as archive:
        assert archive.getnames()[-1] == "manifest.json"
        assert len(archive.getnames()) == told["files"] + 1

    whole = file.read_bytes()
    kept = closecast("backup", "--out", str(file))
    assert (kept.code, kept.err.count("\n"), file.read_bytes()) == (2, 1, whole)
    assert closecast("backup", "--out", str(file), "--force").code == 0

    refused = closecast("restore", str(file))
    assert (refused.code, refused.err.count("\n")) == (6, 1)
    assert "there is something already (the database, bundles): --force replaces it" in refused.err
    again = closecast("restore", str(file), "--force", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["files"] == told["files"]


def test_what_is_no_archive_is_refused_in_one_line(closecast: Closecast, installed: str, tmp_path: Path) -> None:
    (tmp_path / "other.tar").write_text("no archive")

    assert closecast("restore", str(tmp_path / "absent.tar")).code == 2
    refused = closecast("restore", str(tmp_path / "other.tar"))
    assert refused.code == 3
    assert "other.tar is no whole archive" in refused.err


def test_without_a_database_there_is_nothing_to_keep(closecast: Closecast, tmp_path: Path) -> None:
    refused = closecast("backup", "--out", str(tmp_path))

    assert refused.code == 6
    assert "no database: start `closecast serve`" in refused.err
