"""The embedded PostgreSQL starts anywhere, and survives what happens to processes and folders."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.supervisor.errors import ServiceError
from app.supervisor.postgres import LONGEST_SOCKET_FOLDER, EmbeddedPostgres, running_url

START_AND_TELL = """
import sys, time
from pathlib import Path
from app.supervisor.postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the tests of this file, in a folder that every test leaves running."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "with spaces, commas & 'quotes'")
    embedded.start()
    yield embedded
    embedded.stop()


def answer(embedded: EmbeddedPostgres, query: str) -> str:
    with psycopg.connect(embedded.url()) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


def test_it_answers_on_a_path_with_spaces_commas_and_quotes(server: EmbeddedPostgres) -> None:
    assert answer(server, "SELECT current_database()") == "closecast"


def test_it_listens_on_no_network_address(server: EmbeddedPostgres) -> None:
    assert answer(server, "SHOW listen_addresses") == ""


def test_only_its_owner_may_enter_the_folder_of_its_socket(server: EmbeddedPostgres) -> None:
    postmaster = server.postmaster()
    assert postmaster is not None
    assert stat.S_IMODE(postmaster.socket_folder.stat().st_mode) == 0o700


def test_a_second_start_adopts_the_running_server(server: EmbeddedPostgres) -> None:
    assert EmbeddedPostgres(server.folder).start() == "adopted"


def test_a_server_whose_parent_was_killed_is_adopted_with_its_data(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", START_AND_TELL, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    orphan = EmbeddedPostgres(tmp_path).postmaster()
    parent.kill()
    parent.wait()
    parent.stdout.close()

    adopter = EmbeddedPostgres(tmp_path)
    try:
        assert adopter.start() == "adopted"
        assert adopter.postmaster() == orphan
        assert answer(adopter, "SELECT 1") == "1"
    finally:
        adopter.stop()
    assert running_url(tmp_path) is None


def test_committed_rows_survive_a_killed_server(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(tmp_path)
    embedded.start()
    try:
        with psycopg.connect(embedded.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        postmaster = embedded.postmaster()
        assert postmaster is not None
        os.kill(postmaster.pid, signal.SIGKILL)
        while embedded.is_running():
            pass

        assert embedded.start() == "started"
        assert answer(embedded, "SELECT number FROM kept") == "42"
    finally:
        embedded.stop()


def test_a_start_waits_for_what_a_killed_server_left_behind(tmp_path: Path) -> None:
    """Here a lock that names a process which lives for some seconds more: PostgreSQL refuses to start beside it."""
    embedded = EmbeddedPostgres(tmp_path)
    embedded.start()
    try:
        postmaster = embedded.postmaster()
        assert postmaster is not None
        os.kill(postmaster.pid, signal.SIGKILL)
        while embedded.is_running():
            pass
        owner = embedded.data.stat().st_uid  # PostgreSQL takes a process of anybody else for an unrelated one
        lingering = subprocess.Popen(["sleep", "2"], user=None if owner == os.geteuid() else owner)
        threading.Thread(target=lingering.wait).start()
        lock = postmaster.socket_folder / ".s.PGSQL.5432.lock"
        lines = lock.read_text().splitlines()
        lock.write_text("\n".join([str(lingering.pid), *lines[1:]]) + "\n")

        assert embedded.start() == "started"
        assert "already exists" in embedded.log.read_text()
    finally:
        embedded.stop()


def test_a_pid_file_that_names_an_unrelated_process_is_stale(tmp_path: Path) -> None:
    """After a reboot or in a container the old number often belongs to somebody else: here to this very test."""
    embedded = EmbeddedPostgres(tmp_path)
    embedded.start()
    embedded.stop()
    stale = f"{os.getpid()}\n{embedded.data}\n1700000000\n5432\n{tmp_path}\n\n"
    (embedded.data / "postmaster.pid").write_text(stale)

    try:
        assert embedded.start() == "started"
    finally:
        embedded.stop()


def test_an_interrupted_initialisation_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "data.partial").mkdir()
    (tmp_path / "data.partial" / "PG_VERSION").write_text("18")
    embedded = EmbeddedPostgres(tmp_path)
    try:
        assert embedded.start() == "started"
    finally:
        embedded.stop()


def test_on_a_plain_path_the_socket_lies_beside_the_data_closed_to_others(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(tmp_path)
    embedded.start()
    try:
        postmaster = embedded.postmaster()
        assert postmaster is not None
        assert postmaster.socket_folder == tmp_path / "socket"
        assert stat.S_IMODE(postmaster.socket_folder.stat().st_mode) == 0o700
    finally:
        embedded.stop()


@pytest.mark.parametrize("folder", ["long" * 30, "a space", "a,comma"])
def test_a_path_that_is_long_or_not_plain_gets_a_short_private_socket(tmp_path: Path, folder: str) -> None:
    embedded = EmbeddedPostgres(tmp_path / folder)
    embedded.start()
    try:
        postmaster = embedded.postmaster()
        assert postmaster is not None
        assert len(os.fsencode(postmaster.socket_folder)) <= LONGEST_SOCKET_FOLDER
        assert stat.S_IMODE(postmaster.socket_folder.stat().st_mode) == 0o700
        assert answer(embedded, "SELECT 1") == "1"
    finally:
        embedded.stop()
    assert not postmaster.socket_folder.exists()


def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(tmp_path)
    embedded.start()
    embedded.stop()
    with (embedded.data / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = 'plenty'\nno_such_setting = 1\n")

    with pytest.raises(ServiceError, match=r"no_such_setting|configuration file") as refused:
        embedded.start()
    assert "\n" not in str(refused.value)


def test_a_server_that_is_killed_as_it_starts_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps it starts it again; any other error would end `closecast serve`."""
    embedded = EmbeddedPostgres(tmp_path)

    def kill_and_create() -> None:
        postmaster, address = embedded.postmaster(), embedded.url("postgres")
        assert postmaster is not None
        monkeypatch.setattr(embedded, "url", lambda _: address)
        os.kill(postmaster.pid, signal.SIGKILL)
        while embedded.is_running():
            pass
        create_database()

    create_database = embedded._create_database
    monkeypatch.setattr(embedded, "_create_database", kill_and_create)
    with pytest.raises(ServiceError, match="went away as it started"):
        embedded.start()


def test_no_server_no_url(tmp_path: Path) -> None:
    assert running_url(tmp_path) is None
    with pytest.raises(ServiceError, match="no PostgreSQL runs in"):
        EmbeddedPostgres(tmp_path).url()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")
def test_root_lets_an_unprivileged_user_run_it_and_opens_nothing_to_read(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    embedded = EmbeddedPostgres(private / "pg")
    embedded.start()
    try:
        assert embedded.data.stat().st_uid != 0
        assert stat.S_IMODE(private.stat().st_mode) == 0o701
    finally:
        embedded.stop()


def test_what_somebody_else_put_there_is_left_alone_and_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "diary.txt").touch()

    with pytest.raises(ServiceError, match="holds something that is no database"):
        EmbeddedPostgres(tmp_path).start()

    assert (tmp_path / "data" / "diary.txt").exists()
