"""A user's own input columns: found where the settings say, run only when the digest is right."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing import own_columns
from data_pipeline.processing.lstm_preprocessor import InputSpec, prepare_series
from data_pipeline.processing.own_columns import OwnColumns, allow
from tests.made_up_bars import make_bars

SOURCE = """
import sys

import numpy as np

from data_pipeline.processing.column_definition import InputColumn

sys.modules["times_run"].count += 1


def turnover(bars):
    return np.log1p(bars.close * bars.volume) - np.log1p(bars.open * bars.volume)


COLUMNS = [
    InputColumn("turnover", warm_up=0, compute=turnover),
    InputColumn("close_place", 0, lambda bars: (bars.close - bars.low) / (bars.high - bars.low)),
]
"""


class TimesRun:
    """Stands among the modules, so that the source can say it was run."""

    count = 0


@pytest.fixture(autouse=True)
def times_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[TimesRun]:
    """A process that knows no own columns yet."""
    counter = TimesRun()
    monkeypatch.setitem(sys.modules, "times_run", counter)
    monkeypatch.setattr(own_columns, "_loaded", {})
    allow(None)
    yield counter
    allow(None)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    return file


def forget() -> None:
    """As in another process, which runs what its settings name and no more."""
    own_columns._loaded.clear()
    allow(None)


def test_a_module_is_known_by_name_digest_and_columns(module: Path) -> None:
    own = OwnColumns.of(str(module))

    assert (own.module, own.names) == ("mine", ("turnover", "close_place"))
    assert len(own.source_sha256) == 64
    spec = InputSpec(columns=("log_return", "turnover"), context_columns=("close_place",), lookback=5, own_columns=own)
    series = prepare_series(make_bars(300), spec)
    assert (series.columns.shape, series.context.shape) == ((300, 2), (300, 1))
    assert InputSpec.model_validate_json(spec.model_dump_json()) == spec


def test_an_importable_module_is_found_and_its_package_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "traders"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('a package was imported')")
    (package / "mine.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert OwnColumns.of("traders.mine").module == "mine"


def test_without_a_setting_the_module_is_absent_and_nothing_is_run(module: Path, times_run: TimesRun) -> None:
    own = OwnColumns.of(str(module))
    forget()

    with pytest.raises(ConfigurationError, match="in a module mine, which CLOSECAST_COLUMNS lacks"):
        InputSpec(columns=("turnover",), lookback=5, own_columns=own)
    assert times_run.count == 1


def test_a_module_that_was_changed_is_refused_before_it_is_run(module: Path, times_run: TimesRun) -> None:
    own = OwnColumns.of(str(module))
    forget()
    module.write_text(SOURCE + "\n# one more line\n")
    allow(str(module))

    with pytest.raises(
        ConfigurationError, match=r"from another mine \([0-9a-f]{12}\) than .*mine\.py \([0-9a-f]{12}\)"
    ):
        own.require()
    assert times_run.count == 1


def test_a_change_on_disk_is_seen_although_this_process_has_run_the_former_source(module: Path) -> None:
    own = OwnColumns.of(str(module))
    module.write_text(SOURCE + "\n# one more line\n")

    with pytest.raises(ConfigurationError, match="another mine"):
        own.require()


def test_two_versions_of_a_module_can_stand_side_by_side(module: Path, tmp_path: Path) -> None:
    """So that a rollback to a bundle of the former version is possible."""
    former = OwnColumns.of(str(module))
    (tmp_path / "newer").mkdir()
    newer_file = tmp_path / "newer" / "mine.py"
    newer_file.write_text(SOURCE.replace("warm_up=0", "warm_up=3"))
    newer = OwnColumns.of(str(newer_file))
    forget()

    allow(os.pathsep.join([str(module), str(newer_file)]))

    assert (former.column("turnover").warm_up, newer.column("turnover").warm_up) == (0, 3)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("COLUMNS = []", "has no COLUMNS, a list of InputColumn"),
        ("columns = 3", "has no COLUMNS, a list of InputColumn"),
        (SOURCE.replace('"turnover"', '"log_return"'), "there is a column 'log_return' already"),
        (SOURCE.replace('"turnover"', '"close_place"'), "two columns have one name"),
        (SOURCE.replace('"turnover"', '"Turn over"'), "'Turn over' is no name"),
        (SOURCE.replace("warm_up=0", "warm_up=-1"), "turnover: warm_up lies within 0 to 1000"),
        ("import a_library_that_is_nowhere", "ModuleNotFoundError"),
        ("COLUMNS = [", "SyntaxError"),
        ("from .beside import COLUMNS", "ImportError"),
    ],
)
def test_what_is_no_module_of_new_columns_is_refused_in_one_line(tmp_path: Path, source: str, reason: str) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(source)

    with pytest.raises(ConfigurationError, match=reason) as refused:
        OwnColumns.of(str(file))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("no_such_module", "no module is called no_such_module; a file is named by its path"),
        ("nowhere/mine.py", "cannot be read: No such file"),
        ("math", "has no Python source"),
    ],
)
def test_a_place_without_a_source_is_named(place: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        OwnColumns.of(place)


def test_a_bundle_cannot_name_a_column_that_its_module_lacks(module: Path) -> None:
    own = OwnColumns.of(str(module)).model_copy(update={"names": ("turnover", "invented")})

    with pytest.raises(ConfigurationError, match="mine has no column 'invented'"):
        InputSpec(columns=("invented",), lookback=5, own_columns=own)


@pytest.mark.parametrize("place", ["/nope.py", "no_such_module"])
def test_a_place_that_is_not_there_is_refused_before_anything_asks_for_it(place: str) -> None:
    with pytest.raises(ConfigurationError, match=f"own columns: .*{place}"):
        allow(place)
