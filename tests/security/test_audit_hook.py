"""V1.5.2: insecure deserialisation is not used on files of bundles, by our code or by any library's.

Planted files are tried in a process of their own, since an audit hook cannot be taken away again.
"""

import ast
import json
import marshal
import pickle
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app import worker
from app.config import Settings
from app.core.database import DatabaseUnavailableError
from tests.security.planted import MARSHALLED, MODULE, PICKLE

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "cli", "data_pipeline", "ml_lifecycle", "tools", "benchmarks")
STOPPED = "PlantedCodeError"
UNPICKLING = {"pickle.load", "pickle.loads", "python's own unpickler", "numpy with allow_pickle", "by a link"}


def plant(folder: Path) -> Path:
    """A pickle, marshalled code, and a module as source and as bytecode alone."""
    for part in ("source", "bytecode"):
        (folder / part).mkdir(parents=True)
    (folder / PICKLE).write_bytes(pickle.dumps(Path("a class by name")))
    (folder / MARSHALLED).write_bytes(marshal.dumps(compile("1", "planted", "eval")))
    source = folder / "source" / f"{MODULE}.py"
    source.write_text("ran = True\n")
    py_compile.compile(str(source), cfile=str(folder / "bytecode" / f"{MODULE}.pyc"))
    return folder


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each kind of process could do, by kind."""
    outcomes = {}
    for process in ("api", "worker"):
        parent = tmp_path_factory.mktemp(process)
        folders = [str(plant(parent / name)) for name in ("bundles", "elsewhere")]
        program = [sys.executable, "-m", "tests.security.planted", *folders, process]
        ran = subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True)
        outcomes[process] = json.loads(ran.stdout)
    return outcomes


@pytest.mark.parametrize("process", ["api", "worker"])
def test_v1_5_2_nothing_is_made_of_a_file_planted_among_bundles(process: str, tried: dict[str, dict[str, Any]]) -> None:
    assert set(tried[process]["bundles"].values()) == {STOPPED}


def test_v1_5_2_an_api_process_unpickles_nothing_from_anywhere(tried: dict[str, dict[str, Any]]) -> None:
    outcomes = tried["api"]["elsewhere"]

    assert {outcomes[way] for way in UNPICKLING | {"marshal.load", "marshal.loads"}} == {STOPPED}
    assert {outcomes[way] for way in ("import of bytecode", "import of source")} == {"did it"}


def test_what_others_keep_elsewhere_stays_theirs_in_a_worker(tried: dict[str, dict[str, Any]]) -> None:
    """yfinance keeps its cookies pickled; and the same files outside show that the attempts themselves work."""
    assert set(tried["worker"]["elsewhere"].values()) == {"did it"}


@pytest.mark.parametrize("process", ["api", "worker"])
def test_whoever_read_a_bundle_may_still_import_a_library(process: str, tried: dict[str, dict[str, Any]]) -> None:
    """The Keras engine is imported after the bundle's files were read."""
    assert tried[process]["imports after reading"] == "did it"


def test_the_job_worker_is_guarded_before_it_takes_a_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    guarded: list[tuple[Path, bool]] = []
    monkeypatch.setattr(
        worker, "guard_bundles", lambda folder, *, unpickles_elsewhere: guarded.append((folder, unpickles_elsewhere))
    )
    nowhere = SecretStr(f"postgresql://x@/x?host={tmp_path}")

    with pytest.raises(DatabaseUnavailableError):
        worker.run(Settings(_env_file=None, home=tmp_path, database_url=nowhere, log_level="ERROR"))

    assert guarded == [(tmp_path / "bundles", True)]


BANNED = {
    "import pickle": "TID251",
    "from pickle import loads": "TID251",
    "import joblib": "TID251",
    "import cloudpickle": "TID251",
    "import dill": "TID251",
    "import marshal": "TID251",
    "import shelve": "TID251",
    "pandas.read_pickle('x')": "S301",
    "yaml.load('x', Loader=yaml.UnsafeLoader)": "S506",
}


def test_v1_5_2_the_linter_refuses_what_can_unpickle() -> None:
    written = "\n".join(["import pandas, yaml", *BANNED, ""])
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "app/planted.py", "--output-format", "json"]
    checked = subprocess.run([*command, "-"], input=written, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {(each["location"]["row"], each["code"]) for each in json.loads(checked.stdout)}

    assert found >= {(row, rule) for row, rule in enumerate(BANNED.values(), start=2)}


def allowing_pickles(source: str) -> list[int]:
    """Lines with a call that gives ``allow_pickle`` anything but False, or loads arrays without giving it."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if _allows(call)]


def _allows(call: ast.Call) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "allow_pickle"]
    if given:
        return not (isinstance(given[0], ast.Constant) and given[0].value is False)
    loads = isinstance(call.func, ast.Attribute) and call.func.attr == "load"
    return loads and isinstance(call.func.value, ast.Name) and call.func.value.id in {"np", "numpy"}


def test_v1_5_2_no_call_of_ours_lets_numpy_unpickle() -> None:
    """Ruff has no rule for an argument."""
    assert allowing_pickles("np.load(x, allow_pickle=True)\nnp.load(x)\nnp.load(x, allow_pickle=False)\n") == [1, 2]
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(sources) > 200

    assert [(path.name, lines) for path in sources if (lines := allowing_pickles(path.read_text()))] == []
