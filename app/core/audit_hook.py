"""After start-up no process of ours makes objects or code from files of bundles, whatever a library would like to do.

The loader refuses what could (`ml_lifecycle.export`); this hook (PEP 578) stands behind it, where an attacker who got
a file past the loader, or into the folder beside it, still has to get through. It cannot be taken away again.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from importlib import _bootstrap_external  # where bytecode of modules is read
from pathlib import Path
from types import CodeType
from typing import Any, Final

from ml_lifecycle.export.errors import BundleRefusedError

Check = Callable[[tuple[Any, ...]], None]

# What an import calls to make code of a `.pyc` file; no other caller of `marshal` has any business here.
_IMPORT: Final[CodeType] = _bootstrap_external._compile_bytecode.__code__  # type: ignore[attr-defined]  # not in its stub
_touched: Final[ContextVar[bool]] = ContextVar("a file of the bundles' folder was opened", default=False)


class PlantedCodeError(BundleRefusedError):
    """Something was about to make objects or code from a file under the bundles' folder: find out who put it there."""


def guard_bundles(folder: Path, *, unpickles_elsewhere: bool) -> None:
    """Stop unpickling, unmarshalling and running what lies under ``folder``, for as long as this process lives.

    Parameters
    ----------
    unpickles_elsewhere : whether something in this process has a reason to unpickle other files (yfinance keeps its
        cookies so): then only a context is stopped that has opened a file under ``folder``. An API process has none,
        and unpickles nothing at all.
    """
    find = _Checks(folder, unpickles_elsewhere=unpickles_elsewhere).by_event.get

    def hook(event: str, arguments: tuple[Any, ...]) -> None:  # a warm forecast makes one or two events
        check = find(event)
        if check is not None:
            check(arguments)

    sys.addaudithook(hook)


class _Checks:
    """What is looked at in which audit event."""

    def __init__(self, folder: Path, *, unpickles_elsewhere: bool) -> None:
        self._folder = os.path.realpath(folder)
        self._anywhere = not unpickles_elsewhere
        self.by_event: Mapping[str, Check] = {
            "open": self._opened,
            "pickle.find_class": self._unpickled,
            "marshal.load": self._unmarshalled,
            "marshal.loads": self._unmarshalled,
            "exec": self._run,
        }

    def _opened(self, arguments: tuple[Any, ...]) -> None:
        if self._holds(arguments[0]):
            _touched.set(True)

    def _unpickled(self, arguments: tuple[Any, ...]) -> None:
        if self._anywhere or _touched.get():
            raise PlantedCodeError(f"unpickling {'.'.join(map(str, arguments))} was stopped")

    def _unmarshalled(self, _arguments: tuple[Any, ...]) -> None:
        caller = sys._getframe(2)
        if caller.f_code is _IMPORT:
            if self._holds(caller.f_locals["bytecode_path"]):
                raise PlantedCodeError("importing bytecode from the bundles' folder was stopped")
        elif self._anywhere or _touched.get():
            raise PlantedCodeError("unmarshalling was stopped")

    def _run(self, arguments: tuple[Any, ...]) -> None:
        code = arguments[0]
        if isinstance(code, CodeType) and self._holds(code.co_filename):
            raise PlantedCodeError("running a file of the bundles' folder was stopped")

    def _holds(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a descriptor: the file was opened by name before
        try:
            real = os.path.realpath(os.fsdecode(path))
        except (OSError, ValueError):  # a name that no file can have
            return False
        return real == self._folder or real.startswith(self._folder + os.sep)
