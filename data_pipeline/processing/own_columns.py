"""A user's own input columns: one Python file of his, known by its digest and found where the settings say.

No code is ever taken from a bundle. A bundle names a module and the digest of its source; a file that the settings do
not name is not looked at, and one whose digest differs is not run.
"""

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.input_columns import COLUMNS

MODULE_CONTENT = "COLUMNS"  # what a module calls its list of InputColumn
LONGEST_WARM_UP = 1_000  # bars; the serving window holds 1,280
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_places: tuple[str, ...] = ()
_loaded: dict[str, dict[str, InputColumn]] = {}  # by digest of the source


class OwnColumns(BaseModel):
    """Which module of own columns a network reads; travels with the network.

    Attributes
    ----------
    module : the file's name without its suffix, or the last part of an importable name.
    source_sha256 : of the file's bytes.
    names : of its columns, in its order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    source_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    names: Annotated[tuple[str, ...], Field(min_length=1)]

    def column(self, name: str) -> InputColumn:
        """One of ``names``; the module is run where this process has not done so yet.

        Raises
        ------
        ConfigurationError : the module is absent or differs (see ``require``), or it has no such column.
        """
        if self.source_sha256 not in _loaded:
            self.require()
        try:
            return _loaded[self.source_sha256][name]
        except KeyError:
            raise ConfigurationError(f"the module {self.module} has no column {name!r}") from None

    def require(self) -> None:
        """See that the very source is there, now: found by its name where the settings say, and with this digest.

        Raises
        ------
        ConfigurationError : says whether it is absent or differs. Nothing was run then.
        """
        files = [file for file in map(source_file, _places) if file.stem == self.module]
        if not files:
            raise ConfigurationError(f"its own columns are in a module {self.module}, which CLOSECAST_COLUMNS lacks")
        sources = {file: _read(file) for file in files}
        for file, source in sources.items():
            if _digest(source) == self.source_sha256:
                _load(file, source)
                return
        differing = ", ".join(f"{file} ({_digest(source)[:12]})" for file, source in sources.items())
        raise ConfigurationError(
            f"its own columns are from another {self.module} ({self.source_sha256[:12]}) than {differing}"
        )

    @classmethod
    def of(cls, place: str) -> Self:
        """The module at ``place``, a file or an importable name, run and allowed from now on.

        Raises
        ------
        ConfigurationError : there is none, it cannot be run, or what it holds are no new columns.
        """
        file = source_file(place)
        source = _read(file)
        columns = _load(file, source)
        allow((*_places, place))
        return cls(module=file.stem, source_sha256=_digest(source), names=tuple(columns))


def allow(places: str | Sequence[str] | None) -> None:
    """Name the modules that bundles may ask for, and no others.

    Parameters
    ----------
    places : files or importable names; as one string, separated by ``os.pathsep``. Several versions of one module may
        stand side by side: a bundle finds its own by the digest.

    Raises
    ------
    ConfigurationError : there is no such file or module.
    """
    global _places
    named = places.split(os.pathsep) if isinstance(places, str) else places or ()
    wanted = tuple(dict.fromkeys(place for place in named if place))
    for place in wanted:
        if not source_file(place).is_file():
            raise ConfigurationError(f"own columns: there is no file {place}")
    _places = wanted


def source_file(place: str) -> Path:
    """The file of a module, looked for without running anything, not even a package that it lies in.

    Raises
    ------
    ConfigurationError : there is none.
    """
    if place.endswith(".py") or os.sep in place:
        return Path(place)
    search: Sequence[str] | None = None
    parts = place.split(".")
    for number in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:number]), search)
        if found is None:
            raise ConfigurationError(f"own columns: no module is called {place}; a file is named by its path")
        search = found.submodule_search_locations
    if found is None or not (found.origin or "").endswith(".py"):
        raise ConfigurationError(f"own columns: {place} has no Python source")
    return Path(str(found.origin))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"own columns: {file} cannot be read: {error.strerror}") from error


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def _load(file: Path, source: bytes) -> dict[str, InputColumn]:
    """Run the very bytes that the digest was taken of, once per process."""
    digest = _digest(source)
    if digest not in _loaded:
        _loaded[digest] = _columns_of(_run(file, source, digest), file)
    return _loaded[digest]


def _run(file: Path, source: bytes, digest: str) -> ModuleType:
    module = ModuleType(f"closecast_own_columns_{digest[:16]}")
    module.__file__, module.__package__ = str(file), ""  # no package: the digest is of one file, without neighbours
    sys.modules[module.__name__] = module  # where dataclasses look for the module they are in
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))  # noqa: S102 - the user's own, as asked
    except Exception as error:  # whatever code of anybody's raises is what to tell, in one line
        del sys.modules[module.__name__]
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(f"own columns: {file}: {told}") from error
    return module


def _columns_of(module: ModuleType, file: Path) -> dict[str, InputColumn]:
    listed = getattr(module, MODULE_CONTENT, None)
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(one, InputColumn) for one in listed):
        raise ConfigurationError(f"own columns: {file} has no {MODULE_CONTENT}, a list of InputColumn")
    columns = {column.name: column for column in listed}
    for name, column in columns.items():
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"own columns: {file}: {name!r} is no name such as days_since_high")
        if name in COLUMNS:
            raise ConfigurationError(f"own columns: {file}: there is a column {name!r} already, choose another name")
        if not 0 <= column.warm_up <= LONGEST_WARM_UP:
            raise ConfigurationError(f"own columns: {file}: {name}: warm_up lies within 0 to {LONGEST_WARM_UP}")
    if len(columns) < len(listed):
        raise ConfigurationError(f"own columns: {file}: two columns have one name")
    return columns
