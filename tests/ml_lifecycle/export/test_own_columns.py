"""A bundle that was trained with a user's own columns is loaded only where the very same module is allowed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.main import create_app
from data_pipeline.processing import own_columns
from data_pipeline.processing.own_columns import OwnColumns, allow
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.errors import BundleRefusedError
from tests.ml_lifecycle.export.handmade import copy_bundle, reseal

SOURCE = """
from data_pipeline.processing.bar_columns import volume_ratio
from data_pipeline.processing.column_definition import InputColumn

COLUMNS = [InputColumn("own_ratio", 19, volume_ratio)]
"""


@pytest.fixture(autouse=True)
def other_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that has run no module yet and may run none."""
    monkeypatch.setattr(own_columns, "_loaded", {})
    allow(None)
    yield
    allow(None)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    file = tmp_path / "ratios.py"
    file.write_text(SOURCE)
    return file


@pytest.fixture
def folder(network_folder: Path, module: Path, tmp_path: Path) -> Path:
    """The handmade bundle, one of whose columns is now the user's; it computes the same, so the golden window holds."""
    own = OwnColumns.of(str(module))
    own_columns._loaded.clear()
    allow(None)

    def name_it(manifest: dict[str, Any]) -> None:
        columns = ["log_return", "own_ratio"]
        manifest["input_columns"] = columns
        manifest["input_spec"] |= {"columns": columns, "own_columns": own.model_dump(mode="json")}

    return reseal(copy_bundle(network_folder, tmp_path), name_it)


def test_an_api_process_loads_it_where_its_settings_name_the_module(folder: Path, module: Path) -> None:
    create_app(Settings(columns=str(module), jwt_secret=SecretStr("a-test-key-of-3f9c1e77b2d04a68-characters")))

    spec = load_bundle(folder).manifest.input_spec

    assert spec is not None
    assert spec.own_columns is not None
    assert (spec.own_columns.module, spec.own_columns.names) == ("ratios", ("own_ratio",))


def test_it_is_refused_where_no_module_is_allowed(folder: Path) -> None:
    with pytest.raises(BundleRefusedError, match="in a module ratios, which CLOSECAST_COLUMNS lacks"):
        load_bundle(folder)


def test_it_is_refused_where_the_module_differs_which_is_not_run(folder: Path, module: Path) -> None:
    module.write_text(SOURCE + "\nraise SystemExit('this was run')\n")
    allow(str(module))

    with pytest.raises(BundleRefusedError, match="its own columns are from another ratios"):
        load_bundle(folder)


def test_a_module_changed_after_it_was_loaded_refuses_the_next_load(folder: Path, module: Path) -> None:
    allow(str(module))
    load_bundle(folder)
    module.unlink()

    with pytest.raises(BundleRefusedError, match=r"ratios\.py cannot be read: No such file"):
        load_bundle(folder)


def test_no_code_comes_from_the_bundle(folder: Path, module: Path) -> None:
    """A module inside the bundle is a file that does not belong there; its name in the manifest is no path."""
    (folder / "ratios.py").write_text("raise SystemExit('this was run')")
    allow(str(module))
    with pytest.raises(BundleRefusedError, match=r"'ratios\.py' does not belong in a bundle"):
        load_bundle(folder)

    (folder / "ratios.py").unlink()

    def name_a_path(manifest: dict[str, Any]) -> None:
        manifest["input_spec"]["own_columns"]["module"] = "../ratios"

    with pytest.raises(BundleRefusedError, match="own_columns"):
        load_bundle(reseal(folder, name_a_path))


def test_names_of_ours_stay_ours(folder: Path, module: Path) -> None:
    """A manifest may not say that `log_return` is a column of the module."""

    def claim(manifest: dict[str, Any]) -> None:
        manifest["input_spec"]["own_columns"]["names"] = ["log_return", "own_ratio"]

    allow(str(module))
    with pytest.raises(BundleRefusedError, match="ratios has no column 'log_return'"):
        load_bundle(reseal(folder, claim))
