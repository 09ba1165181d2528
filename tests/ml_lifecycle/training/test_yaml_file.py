"""A file that says two things of one key is told so, wherever in it that is."""

from pathlib import Path

import pytest

from data_pipeline.errors import ConfigurationError
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.search_space import load_space
from ml_lifecycle.training.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("epochs: 3\nlookback: 30\nepochs: 4\n", 1),
        ("training:\n  epochs: 3\n  'epochs': 3\n", 2),
        ("layers:\n- units: 3\n  kind: lstm\n  units: 4\n", 2),
    ],
    ids=["plain", "within another, quoted", "within a list"],
)
def test_a_key_that_is_named_twice_is_refused(tmp_path: Path, content: str, line: int) -> None:
    """With its name and its place, in one line, to whoever reads a configuration or a search space."""
    file = tmp_path / "twice.yaml"
    file.write_text(content)

    for read in (read_yaml, load_config, load_space):
        with pytest.raises(ConfigurationError, match=rf"twice\.yaml: .* is named 2 times .* line {line}") as refused:
            read(file)
        assert "\n" not in str(refused.value)


def test_what_a_merge_brings_may_be_said_otherwise(tmp_path: Path) -> None:
    """That is what YAML has merges for; and keys of different mappings are different keys."""
    file = tmp_path / "merged.yaml"
    file.write_text("first: &first {units: 3, kind: lstm}\nsecond: {<<: *first, units: 4}\n")

    assert read_yaml(file) == {"first": {"units": 3, "kind": "lstm"}, "second": {"units": 4, "kind": "lstm"}}
