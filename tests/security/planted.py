"""A program that has bundles guarded as a process of ours has, then tries each way to make something of a planted file.

Arguments: the bundles' folder, a folder beside it with the same files, and `api` or `worker`. Prints a JSON object:
way -> "did it", or the name of the error that stopped it.
"""

import json
import marshal
import pickle
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path

import numpy as np

from app.core.audit_hook import guard_bundles

PICKLE, MARSHALLED, MODULE = "weights.pkl", "code.bin", "planted_module"


def ways(folder: Path) -> dict[str, Callable[[], object]]:
    """Each way to make objects or code of what lies in ``folder``."""
    return {
        "pickle.load": lambda: _load(folder / PICKLE, pickle.load),
        "pickle.loads": lambda: pickle.loads((folder / PICKLE).read_bytes()),
        "python's own unpickler": lambda: _load(folder / PICKLE, lambda file: pickle._Unpickler(file).load()),
        "numpy with allow_pickle": lambda: np.load(folder / PICKLE, allow_pickle=True),
        "by a link": lambda: _load(_linked(folder / PICKLE), pickle.load),
        "marshal.load": lambda: _load(folder / MARSHALLED, marshal.load),
        "marshal.loads": lambda: marshal.loads((folder / MARSHALLED).read_bytes()),
        "import of bytecode": lambda: _import(folder / "bytecode"),
        "import of source": lambda: _import(folder / "source"),
        "in another thread": lambda: _in_thread(lambda: _load(folder / PICKLE, pickle.load)),
    }


def _load(path: Path, load: Callable[..., object]) -> object:
    with path.open("rb") as file:
        return load(file)


def _linked(path: Path) -> Path:
    link = path.parent.parent / f"link to {path.parent.name}"
    link.symlink_to(path)
    return link


def _import(folder: Path) -> object:
    sys.path.insert(0, str(folder))
    sys.modules.pop(MODULE, None)
    try:
        return __import__(MODULE)
    finally:
        sys.path.remove(str(folder))


def _in_thread(attempt: Callable[[], object]) -> None:
    failures: list[Exception] = []

    def run() -> None:
        try:
            attempt()
        except Exception as error:  # noqa: BLE001 (whatever stopped it is told)
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def outcome(attempt: Callable[[], object]) -> str:
    """How one attempt ends; each has a context of its own, as requests and jobs have."""
    try:
        copy_context().run(attempt)
    except Exception as error:  # noqa: BLE001 (whatever stopped it is told)
        return type(error.__cause__ or error).__name__  # NumPy puts its own error before the one that stopped it
    return "did it"


if __name__ == "__main__":
    bundles, elsewhere, process = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    guard_bundles(bundles, unpickles_elsewhere=process == "worker")
    tried = {
        "bundles": {way: outcome(attempt) for way, attempt in ways(bundles).items()},
        "elsewhere": {way: outcome(attempt) for way, attempt in ways(elsewhere).items()},
        "imports after reading": outcome(lambda: ((bundles / PICKLE).read_bytes(), __import__("xml.dom.minidom"))),
    }
    sys.stdout.write(json.dumps(tried))
