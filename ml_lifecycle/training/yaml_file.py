"""Reading a YAML file that a person wrote."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from data_pipeline.errors import ConfigurationError


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a mapping that names a key twice: PyYAML would let the later one stand, in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See ``yaml.SafeLoader``; what a merge (``<<``) brings may be overridden, as YAML means it to be."""
        named = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and named[key.value] > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is named {named[key.value]} times", key.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def read_yaml(file: Path) -> Any:
    """What the file says.

    Raises
    ------
    ConfigurationError : one line; it cannot be read, is no YAML, or names a key of one mapping twice.
    """
    try:
        return _EachKeyOnce(file.read_text(encoding="utf-8")).get_single_data()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file}: {' '.join(str(error).split())}") from error
