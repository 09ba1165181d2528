"""The database in and out, by PostgreSQL's own programs: frozen tables, their triggers, partitions, sequences, jobs."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.backup.errors import NotEmptyError
from app.backup.programs import program_for
from app.supervisor.errors import ServiceError

# Nobody's settings but the ones told here.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
SCHEMAS = r"SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'"
RELATIONS = (
    "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    r"WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'"
)
OTHERS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'closecast' AND pid <> pg_backend_pid()"
)


def dump(url: str, file: Path) -> None:
    """Write the database into ``file`` as it was at one instant, while others go on working with it.

    Raises
    ------
    ServiceError : there is no `pg_dump` that suits the server, or the server is away.
    """
    _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges", f"--file={file}"])


def require_quiet(url: str) -> None:
    """Refuse where processes of ours are at work in the database.

    Raises
    ------
    NotEmptyError
    """
    with psycopg.connect(url) as connection:
        row = connection.execute(OTHERS).fetchone()
    if row is not None and row[0]:
        raise NotEmptyError("processes of Closecast are connected to this database: stop them first")


def is_empty(url: str) -> bool:
    """Whether the database holds no table, sequence or view."""
    with psycopg.connect(url) as connection:
        row = connection.execute(RELATIONS).fetchone()
    return row is None or not row[0]


def require_loadable(url: str, file: Path) -> None:
    """Refuse what ``load`` could not write into this server, while the database still holds what it held.

    Raises
    ------
    ServiceError : there is no `pg_restore` that suits the server, or it cannot read ``file``.
    """
    _finish("pg_restore", [program_for("pg_restore", _server(url)), "--list", str(file)])


def empty(url: str) -> None:
    """Drop everything that is in the database, in one transaction."""
    with psycopg.connect(url) as connection:
        names = [row[0] for row in connection.execute(SCHEMAS)]
        for name in names:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        connection.execute("CREATE SCHEMA public")


def load(url: str, file: Path) -> None:
    """Fill an empty database from ``file``: all of it in one transaction, or nothing. Triggers come after the rows.

    Raises
    ------
    ServiceError : there is no `pg_restore` that suits the server, or it refuses.
    """
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(file)]
    _run("pg_restore", url, options)


def _server(url: str) -> int:
    """Its major version."""
    with psycopg.connect(url) as connection:
        return connection.info.server_version // 10_000


def _run(name: str, url: str, options: list[str]) -> None:
    known = conninfo_to_dict(url)
    password = known.pop("password", None)  # arguments can be read by everybody on the machine
    secret = {} if password is None else {"PGPASSWORD": str(password)}
    place = f"--dbname={make_conninfo('', **known)}"
    _finish(name, [program_for(name, _server(url)), place, "--no-password", *options], secret)


def _finish(name: str, command: list[str], secret: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603 (PostgreSQL's own programs, no shell)
        command, check=False, capture_output=True, text=True, env={**ENVIRONMENT, **(secret or {})}
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ServiceError(f"{name}: {lines[0] if lines else f'exit code {done.returncode}'}")
