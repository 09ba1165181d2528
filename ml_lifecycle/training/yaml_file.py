"""Reading a YAML file that a person wrote."""

from pathlib import Path
from typing import Any, Final

import yaml

from data_pipeline.errors import ConfigurationError

MERGE: Final = "tag:yaml.org,2002:merge"  # `<<`


def read_yaml(file: Path) -> Any:
    """What the file says.

    Raises
    ------
    ConfigurationError : one line; it cannot be read, is no YAML, or names a key of one mapping twice.
    """
    try:
        return _read(file.read_text(encoding="utf-8"), name=file.name)
    except RecursionError:
        raise ConfigurationError(f"{file}: nested too deeply") from None
    except (OSError, ValueError, yaml.YAMLError) as error:  # no text, or a day that no calendar has
        raise ConfigurationError(f"{file}: {' '.join(str(error).split())}") from error


def _read(text: str, *, name: str) -> Any:
    loader = yaml.SafeLoader(text)
    loader.name = name  # as errors call it
    root = loader.get_single_node()
    if root is None:
        return None
    _require_each_key_once(loader, root, set())
    return loader.construct_document(root)


def _require_each_key_once(loader: yaml.SafeLoader, node: yaml.Node, seen: set[int]) -> None:
    """PyYAML lets the later one stand, in silence. What a merge brings may be overridden: that is what it is for.

    Before anything is constructed, which writes merged keys into the mappings themselves.
    """
    if id(node) in seen:  # an anchor's mapping stands in several places
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _require_each_key_once(loader, each, seen)
    if isinstance(node, yaml.MappingNode):
        names: set[Any] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                name = key.value if key.tag == MERGE else loader.construct_object(key)
                if name in names:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is named a second time", key.start_mark
                    )
                names.add(name)
            _require_each_key_once(loader, value, seen)
