"""A file that says two things of one key is told so, wherever in it that is."""

from pathlib import Path
from typing import Any

import pytest

from data_pipeline.errors import ConfigurationError
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.search_space import load_space
from ml_lifecycle.training.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("epochs: 3\nlookback: 30\nepochs: 4\n", 3),
        ("training:\n  epochs: 3\n  'epochs': 3\n", 3),
        ("layers:\n- units: 3\n  kind: lstm\n  units: 4\n", 4),
        ("a: {<<: {x: 1, x: 2}}\n", 1),
        ("true: 1\nyes: 2\n", 2),
    ],
    ids=["plain", "within another, quoted", "within a list", "within what is merged", "two spellings"],
)
def test_a_key_that_is_named_twice_is_refused(tmp_path: Path, content: str, line: int) -> None:
    """With its name and its place, in one line, to whoever reads a configuration or a search space."""
    file = tmp_path / "twice.yaml"
    file.write_text(content)

    for read in (read_yaml, load_config, load_space):
        with pytest.raises(
            ConfigurationError, match=rf"twice\.yaml: .* is named a second time .* line {line},"
        ) as refused:
            read(file)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            "first: &first {units: 3, kind: lstm}\nsecond: {<<: *first, units: 4}\n",
            {"first": {"units": 3, "kind": "lstm"}, "second": {"units": 4, "kind": "lstm"}},
        ),
        (
            "base: &base {x: 1}\nlist:\n- &deeper {<<: *base, x: 2}\nuser: {<<: *deeper, y: 1}\n",
            {"base": {"x": 1}, "list": [{"x": 2}], "user": {"x": 2, "y": 1}},
        ),
        ("1: a\n'1': b\n", {1: "a", "1": "b"}),
        ("first: &same {x: 1}\nsecond: *same\n", {"first": {"x": 1}, "second": {"x": 1}}),
        ("", None),
    ],
    ids=["merged and overridden", "merged once more", "a number and its spelling", "an anchor", "empty"],
)
def test_what_is_no_second_naming_is_read(tmp_path: Path, content: str, wanted: Any) -> None:
    file = tmp_path / "once.yaml"
    file.write_text(content)

    assert read_yaml(file) == wanted


@pytest.mark.parametrize("content", ["day: 2022-02-30\n", "[" * 3000, "a: !!python/object:os.system {}\n", "a: [\n"])
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, content: str) -> None:
    """A day that there is not, a file that is made to hurt, and plain mistakes."""
    file = tmp_path / "wrong.yaml"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match=r"wrong\.yaml: ") as refused:
        read_yaml(file)
    assert "\n" not in str(refused.value)
