"""V1.5.2, V5.2.2: each published weakness of Keras' loader, in the shape that it was published in, put into a bundle.

Every digest and the folder's name fit; the Keras engine is asked for; nothing is loaded, nothing is written, and the
refusal takes less than a second. `tests/ml_lifecycle/export/test_hostile_bundles.py` has many more bundles.
"""

import base64
import marshal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.ml_lifecycle.export.conftest import network_folder, side_effects
from tests.ml_lifecycle.export.handmade import make_archive, make_keras_config, make_weights_file
from tests.ml_lifecycle.export.test_hostile_bundles import check, tampered_file

__all__ = ["network_folder", "side_effects"]

Archive = Callable[[], bytes]
CODE = base64.b64encode(marshal.dumps(compile("__import__('os').system('true')", "x", "eval"))).decode()


def with_layer(class_name: str, config: Any, module: str | None = "keras.layers", **more: Any) -> Archive:
    """An archive whose graph has one layer more."""

    def make() -> bytes:
        described = make_keras_config()
        layer = {"module": module, "class_name": class_name, "config": config, "registered_name": None, **more}
        described["config"]["layers"].append(layer)
        return make_archive(config=described)

    return make


def with_weights(fill: Callable[[h5py.File], object]) -> Archive:
    """An archive whose weights file has something more."""
    return lambda: make_archive(weights=make_weights_file(fill))


def legacy_file() -> bytes:
    """A whole model in Keras' former format, which knows no safe mode."""

    def fill(file: h5py.File) -> None:
        file.attrs["model_config"] = (
            f'{{"class_name": "Sequential", "config": [{{"class_name": "Lambda", "c": "{CODE}"}}]}}'
        )

    return make_weights_file(fill)


def kept_in_another_file(file: h5py.File) -> None:
    """An array whose bytes are those of a file of the machine."""
    file.create_dataset("outside", shape=(16,), dtype="u1", external=[("/etc/passwd", 0, 16)])


def declared_beyond_all_memory(file: h5py.File) -> None:
    """A terabyte of which not a byte is stored."""
    file.create_dataset(
        "bomb", shape=(2**38,), dtype="f4", chunks=(2**20,), compression="gzip", fillvalue=np.float32(1)
    )


WEAKNESSES = {
    "CVE-2024-3660": (  # a Lambda layer brings bytecode
        with_layer("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": CODE}}}),
        "'Lambda'",
    ),
    "CVE-2025-1550": (  # any function of any module is called while the graph is put together
        with_layer("function", "system", module="os", registered_name="function"),
        "'os'",
    ),
    "CVE-2025-8747": (  # a function of Keras' own fetches a file and puts it anywhere
        with_layer("function", "get_file", module="keras.src.utils.file_utils", registered_name="function"),
        "'keras.src.utils.file_utils'",
    ),
    "CVE-2025-9905": (legacy_file, "no zip archive"),  # the former format, under the new one's name
    "CVE-2025-9906": (  # the configuration switches safe mode off before it is needed
        with_layer("function", "enable_unsafe_deserialization", module="keras.config", registered_name="function"),
        "'keras.config'",
    ),
    "CVE-2025-12058": (  # a vocabulary is read from a file or an address
        with_layer("StringLookup", {"vocabulary": "/etc/passwd"}),
        "'StringLookup'",
    ),
    "CVE-2025-49655": (  # a wrapped PyTorch module is unpickled
        with_layer("TorchModuleWrapper", {"module": {"class_name": "__torch__", "config": CODE}}),
        "'TorchModuleWrapper'",
    ),
    "CVE-2026-0897": (
        with_weights(declared_beyond_all_memory),
        "more than the file can",
    ),  # memory for a declared shape
    "CVE-2026-1462": (  # a layer loads a SavedModel from any folder
        with_layer("TFSMLayer", {"filepath": "elsewhere"}),
        "'TFSMLayer'",
    ),
    "CVE-2026-1669": (with_weights(kept_in_another_file), "in another file"),  # weights read from a file of the machine
}


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_v1_5_2_v5_2_2_a_published_weakness_of_the_loader_is_never_reached(
    weakness: str, network_folder: Path, tmp_path: Path, side_effects: list[str]
) -> None:
    make, reason = WEAKNESSES[weakness]
    check(tampered_file("network.keras", make), reason, network_folder, tmp_path, "keras", side_effects)
