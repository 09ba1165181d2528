"""One file that holds an installation: a plain tar whose last member lists every other one with its digest."""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.backup.errors import BackupRefusedError

DATABASE, BARS, BUNDLES, MANIFEST = "database.dump", "bars", "bundles", "manifest.json"
# What may lie in an archive, and so what may be written by a restore: no way up, no absolute path, nothing hidden away.
MEMBER: Final = re.compile(rf"{re.escape(DATABASE)}|({BARS}|{BUNDLES})(/(?!\.\.?(/|$))[^/\\\x00]{{1,255}}){{1,12}}")
LONGEST_MANIFEST = 256 * 2**20
CHUNK = 2**20


class HeldFile(BaseModel):
    """One member."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class Manifest(BaseModel):
    """What an archive says about itself.

    Attributes
    ----------
    revision : of the database's schema.
    bars_elsewhere : where the bars lie if that is an object store, whose own copies are its keeper's affair.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    created_at: datetime
    closecast: str
    revision: str
    bars_elsewhere: str | None = None
    files: dict[str, HeldFile]


@dataclass
class ArchiveWriter:
    """Adds files one after the other; what was added is digested as it is read."""

    tar: tarfile.TarFile
    files: dict[str, HeldFile] = field(default_factory=dict)

    def add(self, name: str, path: Path) -> None:
        """One file under ``name``, as long as it was when it was opened."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digested = _Digested(file)
            self.tar.addfile(_member(name, size), digested)
        self.files[name] = HeldFile(sha256=digested.digest.hexdigest(), size=size)

    def end(self, manifest: Manifest) -> None:
        """The list of what was added."""
        content = manifest.model_dump_json(indent=1).encode()
        self.tar.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))


class _Digested(io.RawIOBase):
    """A file whose bytes are digested as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


@contextmanager
def write_archive(file: Path) -> Iterator[ArchiveWriter]:
    """An archive that appears under its name when it is whole, readable by its owner alone: it holds accounts."""
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield ArchiveWriter(tar)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def unpack(file: Path, folder: Path) -> Manifest:
    """Write the members below ``folder``, which is empty, and check each against the manifest.

    Raises
    ------
    BackupRefusedError : it is no archive of ours, or not as it was written; ``folder`` is then of no use.
    FileNotFoundError
    """
    found: dict[str, HeldFile] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(file, mode="r:") as tar:
            for member in tar:
                if manifest is not None:
                    raise BackupRefusedError(f"{file}: something comes after the list of its files")
                content = _content(tar, member)
                if member.name == MANIFEST:
                    manifest = _read_manifest(content, member.size)
                elif member.name in found:
                    raise BackupRefusedError(f"{file}: {member.name!r} is there twice")
                else:
                    found[member.name] = _write(content, folder / member.name)
    except (tarfile.TarError, EOFError) as error:
        raise BackupRefusedError(f"{file} is no whole archive: {error}") from error
    if manifest is None:
        raise BackupRefusedError(f"{file} is no whole archive: the list of its files is missing")
    _require_as_listed(file, manifest, found)
    return manifest


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member) if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else None
    if content is None or not (member.name == MANIFEST or MEMBER.fullmatch(member.name)):
        raise BackupRefusedError(f"{member.name!r} does not belong in an archive")
    return content


def _read_manifest(content: IO[bytes], size: int) -> Manifest:
    if size > LONGEST_MANIFEST:
        raise BackupRefusedError("the list of files is too long")
    try:
        return Manifest.model_validate_json(content.read())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BackupRefusedError(f"the list of files cannot be read: {place}: {first['msg']}") from error


def _write(content: IO[bytes], path: Path) -> HeldFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as out:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return HeldFile(sha256=digest.hexdigest(), size=size)


def _require_as_listed(file: Path, manifest: Manifest, found: dict[str, HeldFile]) -> None:
    for name in sorted(manifest.files.keys() | found.keys()):
        if manifest.files.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not listed" if name not in manifest.files else "differs"
            raise BackupRefusedError(f"{file} is damaged: {name} {what}")
    if DATABASE not in found:
        raise BackupRefusedError(f"{file} holds no database")


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member
