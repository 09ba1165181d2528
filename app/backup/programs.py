"""Which of PostgreSQL's client programs suit a server: this machine's, or those with the embedded one."""

import re
import shutil
import subprocess
from collections.abc import Iterator

from app.supervisor.errors import ServiceError
from app.supervisor.server_user import program

# From 17 on `pg_restore` sets `transaction_timeout`, which no older server knows.
FIRST_WITH_TRANSACTION_TIMEOUT = 17


def program_for(name: str, server: int) -> str:
    """Path of ``pg_dump`` or ``pg_restore`` for a server of that major version.

    Raises
    ------
    ServiceError : there is none, or none that suits.
    """
    found = {path: _major(path) for path in _candidates(name)}
    if not found:
        raise ServiceError(f"no {name} here: install PostgreSQL's client programs")
    for path, version in found.items():
        if suits(name, version, server):
            return path
    versions = " and ".join(str(version) for version in sorted(set(found.values())))
    raise ServiceError(
        f"the server is PostgreSQL {server}, and {name} is of {versions} here: install the client programs of {server}"
    )


def suits(name: str, version: int, server: int) -> bool:
    """Whether a program of this major version can be used with such a server.

    >>> suits("pg_dump", 18, 16), suits("pg_dump", 16, 18), suits("pg_restore", 18, 16), suits("pg_restore", 18, 17)
    (True, False, False, True)
    """
    if version < server:
        return False
    return name == "pg_dump" or not server < FIRST_WITH_TRANSACTION_TIMEOUT <= version


def _candidates(name: str) -> Iterator[str]:
    own = shutil.which(name)
    if own is not None:
        yield own
    try:
        yield str(program(name))
    except ServiceError:
        return


def _major(path: str) -> int:
    """As the program tells it: ``pg_dump (PostgreSQL) 18.1``.

    Raises
    ------
    ServiceError : it tells nothing of the kind.
    """
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 (one of the two, no shell)
    match = re.search(r"\) (\d+)", told)
    if match is None:
        raise ServiceError(f"{path} does not tell its version")
    return int(match[1])
