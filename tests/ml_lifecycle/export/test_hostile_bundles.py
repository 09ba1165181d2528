"""Bundles that someone has tampered with, every digest and name made to fit again: none loads, none does anything.

Each case says what it changes and what the refusal must name, so that a case cannot pass for another's reason.
"""

import functools
import io
import json
import os
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ml_lifecycle.export.bundle import EngineName, load_bundle
from ml_lifecycle.export.errors import BundleRefusedError, InferenceError
from ml_lifecycle.export.manifest import HORIZONS
from ml_lifecycle.export.onnx_engine import open_graph, run_graph
from ml_lifecycle.export.scale_trees_graph import scale_trees_graph
from ml_lifecycle.models.scale_trees import ScaleTrees, Tree
from tests.ml_lifecycle.export.handmade import (
    HEADS,
    N_LEVELS,
    SPEC,
    copy_bundle,
    make_archive,
    make_keras_config,
    make_onnx,
    make_weights_file,
    reseal,
)

Tampering = Callable[[Path], Path]
PICKLE = b"\x80\x04\x95\x1c\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94."
SECOND = 1.0


def refused(folder: Path, engine: EngineName = "onnx") -> str:
    """The reason, in one line, within a second of this process: others on the machine do not count."""
    started = time.process_time()
    with pytest.raises(BundleRefusedError) as caught:
        load_bundle(folder, engine)
    assert time.process_time() - started < SECOND
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return caught.value.reason


def tampered_file(name: str, content: bytes | Callable[[], bytes]) -> Tampering:
    """Replace one file; digests and name fit."""

    def tamper(folder: Path) -> Path:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content())
        return reseal(folder)

    return tamper


def tampered_manifest(**fields: Any) -> Tampering:
    """Replace fields of the manifest; the name fits."""
    return lambda folder: reseal(folder, lambda manifest: manifest.update(fields))


def tampered_part(field: str, **parts: Any) -> Tampering:
    """Replace parts of one field of the manifest; the name fits."""
    return lambda folder: reseal(folder, lambda manifest: manifest[field].update(parts))


def check(tamper: Tampering, reason: str, folder: Path, into: Path, engine: EngineName, effects: list[str]) -> None:
    """Tamper with a copy, and see it refused without any side effect."""
    hostile = tamper(copy_bundle(folder, into))
    effects.clear()

    said = refused(hostile, engine)

    assert reason in said, said
    assert effects == []


# The folder ---------------------------------------------------------------------------------------------------------


def add(name: str, make: Callable[[Path], object]) -> Tampering:
    """Put something beside the bundle's files, without listing it."""

    def tamper(folder: Path) -> Path:
        make(folder / name)
        return folder

    return tamper


def linked(name: str) -> Tampering:
    """Replace a file by a link to the same content elsewhere."""

    def tamper(folder: Path) -> Path:
        moved = (folder / name).rename(folder.parent / f"moved-{name}")
        (folder / name).symlink_to(moved)
        return folder

    return tamper


def linked_folder(folder: Path) -> Path:
    """The bundle itself is a link; its name fits."""
    moved = folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(moved)
    return folder


def removed(name: str, *, listed: bool) -> Tampering:
    """A file is missing, and either still listed or listed no more."""

    def tamper(folder: Path) -> Path:
        (folder / name).unlink()
        return reseal(folder) if not listed else folder

    return tamper


def sparse(name: str, size: int) -> Tampering:
    """A file claims a size beyond its limit without taking any room."""

    def tamper(folder: Path) -> Path:
        os.truncate(folder / name, size)
        return folder

    return tamper


def swapped_digests(manifest: dict[str, Any]) -> None:
    """Two files are listed with each other's digest."""
    files = manifest["files"]
    files["scaler.json"], files["reference.json"] = files["reference.json"], files["scaler.json"]


FOLDER = {
    "extra file": (add("payload.pkl", lambda path: path.write_bytes(PICKLE)), "does not belong"),
    "extra hidden file": (add(".profile", lambda path: path.write_text("x")), "does not belong"),
    "extra folder": (add("assets", lambda path: path.mkdir()), "no plain file"),
    "extra pipe": (add("report.html", os.mkfifo), "no plain file"),
    "unlisted report": (add("report.html", lambda path: path.write_text("x")), "report.html is not listed"),
    "unlisted member": (add("member_1.onnx", lambda path: path.write_text("x")), "member_1.onnx is not listed"),
    "linked scaler": (linked("scaler.json"), "no plain file"),
    "linked manifest": (linked("manifest.json"), "no plain file"),
    "linked folder": (linked_folder, "the folder is a link"),
    "missing manifest": (removed("manifest.json", listed=True), "manifest.json is missing"),
    "missing scaler": (removed("scaler.json", listed=True), "scaler.json is missing"),
    "missing scaler, not listed": (removed("scaler.json", listed=False), "scaler.json is missing"),
    "missing keras network": (removed("network.keras", listed=False), "network.keras is missing"),
    "oversized manifest": (sparse("manifest.json", 3 * 2**20), "manifest.json has 3145728 bytes"),
    "oversized network": (sparse("network.onnx", 2**40), "network.onnx has"),
    "renamed folder": (lambda folder: folder.rename(folder.with_name("0" * 64)), "not named by its manifest's digest"),
    "changed file": (add("scaler.json", lambda path: path.write_bytes(path.read_bytes() + b" ")), "its digest differs"),
    "swapped digests": (lambda folder: reseal(folder, swapped_digests), "its digest differs"),
    "no folder": (lambda folder: folder / "absent", "cannot be read"),
    "file for a folder": (lambda folder: folder / "manifest.json", "cannot be read"),
}


@pytest.mark.parametrize("case", FOLDER)
def test_folder_with_anything_unexpected(
    case: str, network_folder: Path, tmp_path: Path, side_effects: list[str]
) -> None:
    """Only plain files, only those listed, each as listed."""
    check(*FOLDER[case], network_folder, tmp_path, "onnx", side_effects)


# The manifest -------------------------------------------------------------------------------------------------------


def raw_manifest(change: Callable[[bytes], bytes]) -> Tampering:
    """Change the manifest's bytes; its name cannot fit what cannot be parsed."""

    def tamper(folder: Path) -> Path:
        path = folder / "manifest.json"
        path.write_bytes(change(path.read_bytes()))
        return folder

    return tamper


def crossing_golden(manifest: dict[str, Any]) -> None:
    """The golden answer's outer quantiles change places."""
    for row in manifest["golden"]["log_returns"]:
        row[0], row[-1] = row[-1], row[0]


def shifted_golden(manifest: dict[str, Any]) -> None:
    """The golden answer is wrong by 0.0001 in one number."""
    manifest["golden"]["log_returns"][29][8] += 1e-4


def short_golden(manifest: dict[str, Any]) -> None:
    """The golden window has fewer bars than one forecast needs."""
    golden = manifest["golden"]
    golden.update({name: values[1:] for name, values in golden.items() if name != "log_returns"})


def ragged_golden(manifest: dict[str, Any]) -> None:
    """One array of the golden window is shorter than the others."""
    manifest["golden"]["close"].pop()


def reading_the_market(manifest: dict[str, Any]) -> None:
    """The network reads a market that the manifest does not name."""
    columns = ["log_return", "market_return"]
    manifest["input_columns"] = columns
    manifest["input_spec"]["columns"] = columns
    manifest["history_needed"] = manifest["history_used"] = 21


def zero_golden(manifest: dict[str, Any]) -> None:
    """A golden price that is none."""
    manifest["golden"]["adj_close"][3] = 0.0


LEVELS_CROSSED = [0.025, 0.1, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975]
MANIFEST = {
    "truncated": (raw_manifest(lambda content: content[:-10]), "manifest.json is no plain JSON"),
    "empty": (raw_manifest(lambda _: b""), "manifest.json is no plain JSON"),
    "list": (raw_manifest(lambda _: b"[]"), "holds a list, not an object"),
    "NaN": (raw_manifest(lambda c: c.replace(b'"seed":null', b'"seed":NaN')), "NaN is no number"),
    "infinity": (raw_manifest(lambda c: c.replace(b'"seed":null', b'"seed":-Infinity')), "is no number"),
    "overflow": (raw_manifest(lambda c: c.replace(b'"seed":null', b'"seed":1e999')), "1e999 is no number"),
    "huge integer": (raw_manifest(lambda c: c.replace(b'"seed":null', b'"seed":' + b"9" * 5000)), "no plain JSON"),
    "doubled key": (raw_manifest(lambda c: c.replace(b'"seed":null', b'"seed":1,"seed":2')), "a key occurs twice"),
    "other encoding": (raw_manifest(lambda content: content.decode().encode("utf-16")), "no plain JSON"),
    "half a surrogate pair": (
        raw_manifest(lambda c: c.replace(b'"seed":null', b'"seed":"\\ud800"')),
        "surrogates not allowed",
    ),
    "nested without end": (raw_manifest(lambda _: b'{"a":' * 100_000), "manifest.json is no plain JSON"),
    "unknown field": (tampered_manifest(run_after_load="x"), "run_after_load"),
    "unknown format": (tampered_manifest(format=2), "format"),
    "text for a number": (tampered_manifest(history_needed="24"), "history_needed"),
    "file outside the folder": (tampered_manifest(files={"../scaler.json": "0" * 64}), "manifest.json files"),
    "absolute file": (tampered_manifest(files={"/etc/passwd": "0" * 64}), "manifest.json files"),
    "digest that is none": (tampered_manifest(files={"scaler.json": "z" * 64}), "manifest.json files"),
    "crossing levels": (tampered_manifest(quantile_levels=LEVELS_CROSSED), "quantile levels ascend"),
    "no median": (tampered_manifest(quantile_levels=[0.1, 0.2, 0.8, 0.9]), "quantile levels ascend"),
    "level of one": (tampered_manifest(quantile_levels=[0.0, 0.5, 1.0]), "quantile levels ascend"),
    "horizons short of 30": (tampered_manifest(horizons=[1, 2, 3, 4, 5, 10, 21, 29]), "horizons ascend from 1 to 30"),
    "no horizons": (tampered_manifest(horizons=[]), "horizons ascend from 1 to 30"),
    "horizons in disorder": (tampered_manifest(horizons=[1, 3, 2, 4, 5, 10, 21, 30]), "horizons ascend"),
    "less history needed": (tampered_manifest(history_needed=23), "need 24 bars and use 24"),
    "more history used": (tampered_manifest(history_used=1_000), "need 24 bars and use 24"),
    "other columns": (tampered_manifest(input_columns=["log_return", "gap"]), "input_spec names other columns"),
    "column of nowhere": (tampered_part("input_spec", columns=["os.system", "gap"]), "no input column 'os.system'"),
    "closes that are none": (tampered_manifest(input_kind="closes"), "these columns make it ohlcv"),
    "market of nowhere": (
        tampered_manifest(market_universe={"tickers": {}, "borrowed": {"XFRA": "XETR"}}),
        "borrowed that is not named",
    ),
    "another fallback": (tampered_manifest(market_universe={"tickers": {}, "fallback": 1.0}), "fallback"),
    "market unread": (
        lambda folder: reseal(folder, reading_the_market),
        "reads the market names market_universe",
    ),
    "golden market ragged": (tampered_part("golden", market_return=[0.01]), "market arrays of the bars' length"),
    "lookback without end": (tampered_part("input_spec", lookback=10**9), "lookback"),
    "weights of no member": (tampered_manifest(member_weights={}), "a network names"),
    "member of no file": (tampered_manifest(member_weights={"member_1.onnx": 1.0}), "name different members"),
    "weights above one": (tampered_manifest(member_weights={"network.onnx": 2.0}), "sum to 1"),
    "network as reference": (tampered_manifest(kind="reference"), "a reference has no"),
    "created at no time": (tampered_manifest(created_at="yesterday"), "created_at"),
    "golden answer crossing": (lambda folder: reseal(folder, crossing_golden), "golden window is answered"),
    "golden answer wrong": (lambda folder: reseal(folder, shifted_golden), "1.0e-04 away"),
    "golden window short": (lambda folder: reseal(folder, short_golden), "24 trading days needed, 23 found"),
    "golden window ragged": (lambda folder: reseal(folder, ragged_golden), "arrays of one length"),
    "golden price of zero": (lambda folder: reseal(folder, zero_golden), "golden window cannot be answered"),
    "golden answer of other shape": (tampered_part("golden", log_returns=[[0.0] * 9] * 29), "one row per step"),
}


@pytest.mark.parametrize("case", MANIFEST)
def test_manifest_that_does_not_hold(case: str, network_folder: Path, tmp_path: Path, side_effects: list[str]) -> None:
    """It parses strictly, agrees with itself, and the golden window is answered as it says."""
    check(*MANIFEST[case], network_folder, tmp_path, "onnx", side_effects)


# Calibration and scaler ---------------------------------------------------------------------------------------------

ADAPTIVE = {"alphas": [0.05, 0.1, 0.2, 0.5], "step": 0.005}
ZEROS = [[0.0] * 9] * 8


def calibration(offsets: Any, adaptive: Any = ADAPTIVE) -> bytes:
    """``calibration.json`` with whatever it is given."""
    return json.dumps({"offsets": offsets, "adaptive": adaptive}).encode()


def scaler(window: Any, kind: str = "standard") -> bytes:
    """``scaler.json`` with whatever it is given."""
    return json.dumps({"kind": kind, "window": window, "context": {"center": [0.0], "width": [0.7]}}).encode()


DATA_FILES = {
    "NaN calibration": ("calibration.json", calibration([[float("nan")] * 9] * 8), "NaN is no number"),
    "null calibration": ("calibration.json", calibration([[None] * 9] * 8), "calibration.json"),
    "calibration of 7 horizons": ("calibration.json", calibration(ZEROS[1:]), "(7, 9), not (8, 9)"),
    "ragged calibration": ("calibration.json", calibration([*ZEROS[1:], [0.0]]), "calibration.json"),
    "runaway alpha": ("calibration.json", calibration(ZEROS, {**ADAPTIVE, "alphas": [0.9] * 4}), "every alpha"),
    "three alphas": (
        "calibration.json",
        calibration(ZEROS, {**ADAPTIVE, "alphas": [0.1] * 3}),
        "one alpha per interval",
    ),
    "pickled calibration": ("calibration.json", PICKLE, "calibration.json is no plain JSON"),
    "silent other calibration": ("calibration.json", calibration(ZEROS), "golden window is answered"),
    "scaler of width zero": ("scaler.json", scaler({"center": [0.0, 1.0], "width": [0.0, 1.0]}), "scaler.json"),
    "scaler of NaN": ("scaler.json", scaler({"center": [0.0, float("nan")], "width": [1.0, 1.0]}), "NaN is no number"),
    "scaler of one column": ("scaler.json", scaler({"center": [0.0], "width": [1.0]}), "another number of columns"),
    "scaler of no kind": ("scaler.json", scaler({"center": [0.0, 1.0], "width": [1.0, 1.0]}, "pickle"), "pickle"),
    "scaler of nothing": ("scaler.json", b"{}", "scaler.json holds no scaler"),
    "scaler of text": ("scaler.json", scaler({"center": "ab", "width": "cd"}), "scaler.json holds no scaler"),
    "scaler a list": ("scaler.json", scaler([1, 2]), "scaler.json holds no scaler"),
    "drift reference cut off": ("reference.json", b'{"columns": [', "reference.json is no plain JSON"),
}


@pytest.mark.parametrize("case", DATA_FILES)
def test_calibration_or_scaler_that_is_none(
    case: str, network_folder: Path, tmp_path: Path, side_effects: list[str]
) -> None:
    """Numbers of the right shape and range, or nothing."""
    name, content, reason = DATA_FILES[case]
    check(tampered_file(name, content), reason, network_folder, tmp_path, "onnx", side_effects)


# The ONNX graph -----------------------------------------------------------------------------------------------------


def onnx_with(change: Callable[[onnx.ModelProto], None]) -> Callable[[], bytes]:
    """The graph after ``change``."""

    def make() -> bytes:
        model = make_onnx()
        change(model)
        return bytes(model.SerializeToString())

    return make


def keep_outside(model: onnx.ModelProto) -> None:
    """A weight is read from a file of the machine."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def keep_attribute_outside(model: onnx.ModelProto) -> None:
    """The same inside a Constant node."""
    node = helper.make_node("Constant", [], ["outside"], value=helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0]))
    node.attribute[0].t.external_data.add(key="location", value="secret.bin")
    model.graph.node.insert(0, node)


def use_custom_domain(model: onnx.ModelProto) -> None:
    """A node of a library that would have to be loaded."""
    model.graph.node[0].domain = "com.evil"


def import_custom_domain(model: onnx.ModelProto) -> None:
    """The domain alone."""
    model.opset_import.append(helper.make_opsetid("com.evil", 1))


def use_operator(name: str, **attributes: Any) -> Callable[[onnx.ModelProto], None]:
    """A node with an operator that bundles never hold."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node.insert(0, helper.make_node(name, ["window"], ["unused"], **attributes))

    return change


def nest_graph(model: onnx.ModelProto) -> None:
    """A subgraph in the attribute of an allowed operator."""
    model.graph.node[0].attribute.append(helper.make_attribute("body", model.graph))


def add_function(model: onnx.ModelProto) -> None:
    """A function of the model's own."""
    model.functions.append(helper.make_function("", "Relu", ["x"], ["y"], [], [helper.make_opsetid("", 15)]))


def answer_nan(model: onnx.ModelProto) -> None:
    """Weights that are no numbers."""
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "bias")
    bias.raw_data = np.full(72, np.nan, dtype=np.float32).tobytes()


def answer_more(model: onnx.ModelProto) -> None:
    """A second output."""
    model.graph.output.append(helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", 3]))


def break_types(model: onnx.ModelProto) -> None:
    """A node reads what nobody gives."""
    model.graph.node[4].input[0] = "nowhere"


def expand_to(*shape: int, axes: int = 0) -> Callable[[onnx.ModelProto], None]:
    """A few bytes that ask for gigabytes: a shape of the file's own, its numbers doubled ``axes`` times over."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(shape), "big_0"))
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "little"))
        for step in range(axes):
            doubled = helper.make_node("Concat", [f"big_{step}"] * 2, [f"big_{step + 1}"], axis=0)
            model.graph.node.insert(step, doubled)
        model.graph.node.insert(axes, helper.make_node("Expand", ["little", f"big_{axes}"], ["unused"]))

    return change


def expand_as_the_window_says(model: onnx.ModelProto) -> None:
    """The golden window may ask for little, and another one for gigabytes."""
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "little"))
    model.graph.node.insert(0, helper.make_node("Cast", ["window"], ["wanted"], to=TensorProto.INT64))
    model.graph.node.insert(1, helper.make_node("Expand", ["little", "wanted"], ["unused"]))


def square(model: onnx.ModelProto) -> None:
    """Small numbers multiplied."""
    model.graph.node.insert(0, helper.make_node("Mul", ["shape", "shape"], ["wanted"]))
    model.graph.node.insert(1, helper.make_node("Expand", ["bias", "wanted"], ["unused"]))


def double(model: onnx.ModelProto) -> None:
    """Thirty nodes that each join a tensor to itself."""
    for step in range(30):
        given = f"doubled_{step - 1}" if step else "context"
        model.graph.node.insert(step, helper.make_node("Concat", [given, given], [f"doubled_{step}"], axis=1))


ONNX = {
    "expanded": (onnx_with(expand_to(500_000_000)), "Expand makes a tensor of over 4,194,304 elements"),
    "expanded along many axes": (onnx_with(expand_to(30_000, 1, 30_000)), "over 4,194,304 elements"),
    "expanded to a doubled shape": (onnx_with(expand_to(8, axes=4)), "over 4,194,304 elements"),
    "expanded as the window says": (onnx_with(expand_as_the_window_says), "shape that cannot be told beforehand"),
    "expanded to a calculated shape": (onnx_with(square), "shape that cannot be told beforehand"),
    "doubled and doubled": (onnx_with(double), "Concat makes a tensor of over 4,194,304 elements"),
    "external data": (onnx_with(keep_outside), "tensor has a field 13"),
    "external data in a constant": (onnx_with(keep_attribute_outside), "tensor has a field 13"),
    "custom domain": (onnx_with(use_custom_domain), "operator domain 'com.evil'"),
    "imported domain": (onnx_with(import_custom_domain), "operator domain 'com.evil'"),
    "loop": (onnx_with(use_operator("Loop")), "operator 'Loop'"),
    "branch": (onnx_with(use_operator("If")), "operator 'If'"),
    "random numbers": (onnx_with(use_operator("RandomNormalLike")), "operator 'RandomNormalLike'"),
    "subgraph": (onnx_with(nest_graph), "attribute has a field 6"),
    "function": (onnx_with(add_function), "model has a field 25"),
    "wrong input name": (lambda: make_onnx(window="prices").SerializeToString(), "has inputs and outputs"),
    "fixed batch": (lambda: make_onnx(batch=1).SerializeToString(), "fixed number of windows"),
    "second output": (onnx_with(answer_more), "has inputs and outputs"),
    "nodes that do not fit": (onnx_with(break_types), "no graph that ONNX Runtime runs"),
    "weights of NaN": (onnx_with(answer_nan), "golden window cannot be answered"),
    "truncated": (lambda: make_onnx().SerializeToString()[:-40], "no ONNX file"),
    "two graphs": (lambda: 2 * make_onnx().SerializeToString(), "holds 2 graphs"),
    "nothing": (lambda: b"", "holds 0 graphs"),
    "pickle": (lambda: PICKLE, "network.onnx"),
    "varint without end": (lambda: b"\xff" * 64, "more than ten bytes"),
    "length without end": (lambda: b"\x3a\xff\xff\xff\xff\x7f", "runs past the end"),
}


@pytest.mark.parametrize("case", ONNX)
def test_onnx_graph_beyond_the_list(case: str, network_folder: Path, tmp_path: Path, side_effects: list[str]) -> None:
    """One flat graph of known operators with its weights inside."""
    make, reason = ONNX[case]
    check(tampered_file("network.onnx", make), reason, network_folder, tmp_path, "onnx", side_effects)


def test_a_shape_within_bounds_is_taken(network_folder: Path, tmp_path: Path) -> None:
    """An LSTM's first state is expanded to the batch."""
    hostless = tampered_file("network.onnx", onnx_with(expand_to(1, 32)))(copy_bundle(network_folder, tmp_path))

    load_bundle(hostless)


SPLIT = Tree(column=(0, 0, 0), threshold=(0.0, 0.0, 0.0), left=(1, 1, 2), right=(2, 1, 2), value=(0.0, -0.5, 0.5))
TREES = ScaleTrees(((SPLIT, SPLIT),), (0,) * len(HORIZONS), np.tile(np.linspace(-2.0, 2.0, N_LEVELS), (HEADS, 1)))
TREES_INTERFACE = {"window": (SPEC.lookback, 2), "context": (1,), "quantiles": (HEADS, N_LEVELS)}


def index_arrays(model: onnx.ModelProto) -> list[TensorProto]:
    """Column, left and right of each node, root of each tree, and the shape of the answer."""
    return [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT64]


@pytest.mark.parametrize("index", [-(10**9), 10**9])
@pytest.mark.parametrize("place", range(5))
def test_trees_that_point_outside_their_arrays_answer_nothing(place: int, index: int) -> None:
    """Every step checks its bounds: memory that is not the trees' is never read."""
    asked = {"window": np.zeros((2, SPEC.lookback, 2), np.float32), "context": np.array([[-1.0], [1.0]], np.float32)}
    graph = scale_trees_graph(TREES, lookback=SPEC.lookback, n_columns=2, n_context=1)
    sound = run_graph(open_graph(graph, "member_trees.onnx", TREES_INTERFACE), asked)
    assert sound[1, 0, -1] > sound[0, 0, -1]
    model = onnx.load_from_string(graph)
    arrays = index_arrays(model)
    assert len(arrays) == 5

    arrays[place].raw_data = np.full_like(numpy_helper.to_array(arrays[place]), index).tobytes()

    with pytest.raises((InferenceError, BundleRefusedError)):
        run_graph(open_graph(model.SerializeToString(), "member_trees.onnx", TREES_INTERFACE), asked)


# The Keras archive, on both engines: with "keras" everything here is refused before Keras is imported ----------------


def config_with(change: Callable[[dict[str, Any]], None]) -> Callable[[], bytes]:
    """An archive whose configuration went through ``change``."""

    def make() -> bytes:
        config = make_keras_config()
        change(config)
        return make_archive(config=config)

    return make


def layer_of(config: dict[str, Any]) -> dict[str, Any]:
    """The LSTM's description."""
    layer: dict[str, Any] = config["config"]["layers"][1]
    return layer


def put(path: str, value: Any) -> Callable[[], bytes]:
    """An archive where ``path`` inside the LSTM's description is ``value``."""
    *parents, last = path.split(".")
    return config_with(
        lambda config: functools.reduce(lambda node, key: node[key], parents, layer_of(config)).update({last: value})
    )


def add_member(name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[], bytes]:
    """An archive with one member more."""

    def make() -> bytes:
        held = io.BytesIO(make_archive())
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        with zipfile.ZipFile(held, "a") as archive:
            archive.writestr(entry, content)
        return held.getvalue()

    return make


def hidden_end() -> bytes:
    """An archive with a member that some readers take for ``config.json``."""
    return add_member("config.jsonX.py")().replace(b"config.jsonX.py", b"config.json\0.py")


def link_member() -> bytes:
    """An archive whose configuration is a link."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", make_weights_file())
        entry = zipfile.ZipInfo("config.json")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return held.getvalue()


def encrypted() -> bytes:
    """An archive that says its members are encrypted."""
    return _patch_directory(flags=1)


def lying_about_size() -> bytes:
    """An archive whose directory tells other sizes than its members have."""
    return _patch_directory(size=1)


def _patch_directory(*, flags: int | None = None, size: int | None = None) -> bytes:
    content = bytearray(make_archive())
    entry = content.find(b"PK\x01\x02")
    while entry >= 0:
        if flags is not None:
            struct.pack_into("<H", content, entry + 8, flags)
        if size is not None:
            struct.pack_into("<I", content, entry + 24, size)
        entry = content.find(b"PK\x01\x02", entry + 4)
    return bytes(content)


def doubled_member() -> bytes:
    """An archive with two configurations: a checker could read one, Keras the other."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        return add_member("config.json", b"{}")()


def damaged_weights() -> bytes:
    """An archive with a byte changed inside a member."""
    content = bytearray(make_archive())
    content[content.find(b"\x89HDF") + 600] ^= 0xFF
    return bytes(content)


BOMB = b"\0" * (64 * 2**20)
LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {}, "registered_name": None}
ARCHIVE = {
    "zip bomb": (lambda: make_archive(weights=BOMB, compression=zipfile.ZIP_DEFLATED), "100 times its size"),
    "bomb in the configuration": (
        lambda: make_archive(config=b" " * (5 * 2**20), compression=zipfile.ZIP_DEFLATED),
        "unpacks to 5242880 bytes",
    ),
    "member above the folder": (add_member("../evil.py"), "network.keras holds"),
    "absolute member": (add_member("/etc/cron.d/evil"), "network.keras holds"),
    "member with a hidden end": (hidden_end, "network.keras holds"),
    "assets": (add_member("assets/vocabulary.txt"), "network.keras holds"),
    "added link": (add_member("link", b"/etc/passwd", stat.S_IFLNK | 0o777), "network.keras holds"),
    "link": (link_member, "is a link"),
    "doubled member": (doubled_member, "network.keras holds"),
    "encrypted": (encrypted, "is encrypted"),
    "lying about sizes": (lying_about_size, "network.keras"),
    "damaged member": (damaged_weights, "damaged archive"),
    "renamed pickle": (lambda: PICKLE, "no zip archive"),
    "renamed HDF5 file": (make_weights_file, "no zip archive"),
    "archive behind a script": (lambda: b"#!/bin/sh\n" + make_archive(), "no zip archive"),
    "truncated archive": (lambda: make_archive()[:-30], "damaged archive"),
    "pickled weights": (lambda: make_archive(weights=PICKLE), "is no HDF5 file"),
    "pickled configuration": (lambda: make_archive(config=PICKLE), "config.json is no plain JSON"),
    "Lambda layer": (config_with(lambda c: c["config"]["layers"].append(LAMBDA)), "'Lambda'"),
    "Lambda deep inside": (put("config.activity_regularizer", {"wrapped": [LAMBDA]}), "'Lambda'"),
    "layer of another module": (put("module", "os"), "'os'"),
    "layer of Keras' inside": (put("module", "keras.src.layers.rnn.lstm"), "'keras.src.layers.rnn.lstm'"),
    "custom class": (put("registered_name", "package>LSTM"), "not allowed"),
    "function object": (put("config.activation", {"class_name": "function", "config": "eval"}), "'function'"),
    "custom activation": (put("config.activation", "package>evil"), "activation"),
    "lambda object": (put("config.bias_constraint", {"class_name": "__lambda__", "config": {}}), "'__lambda__'"),
    "typewrapper": (put("config.dtype", {"class_name": "__typespec__", "module": "os"}), "'__typespec__'"),
    "initializer from outside": (
        put("config.kernel_initializer", {"module": "builtins", "class_name": "eval", "config": {}}),
        "'builtins'",
    ),
    "name that is no text": (put("class_name", ["LSTM"]), "something else than text"),
    "object without a class": (put("config.bias_constraint", {"module": "os", "config": {}}), "'os'"),
    "not a functional graph": (config_with(lambda c: c.update(class_name="Sequential")), "not one functional graph"),
    "a billion units": (put("config.units", 10**9), "units 1000000000"),
    "a window without end": (
        config_with(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**9, 2])),
        "batch_shape",
    ),
}


@pytest.mark.parametrize("engine", ["onnx", "keras"])
@pytest.mark.parametrize("case", ARCHIVE)
def test_keras_archive_beyond_the_list(
    case: str, engine: EngineName, network_folder: Path, tmp_path: Path, side_effects: list[str]
) -> None:
    """Three members of modest size, and layers from the allowlist."""
    make, reason = ARCHIVE[case]
    check(tampered_file("network.keras", make), reason, network_folder, tmp_path, engine, side_effects)


# The weights file ---------------------------------------------------------------------------------------------------


def weights_with(fill: Callable[[h5py.File], object]) -> Callable[[], bytes]:
    """An archive whose weights file went through ``fill``."""
    return lambda: make_archive(weights=make_weights_file(fill))


def circle(file: h5py.File) -> None:
    """A group that holds itself."""
    group = file.create_group("circle")
    group["again"] = group


def stored_elsewhere(file: h5py.File) -> None:
    """An array whose bytes are another file's."""
    file.create_dataset("outside", shape=(4,), dtype="f4", external=[("/etc/passwd", 0, 16)])


def virtual(file: h5py.File) -> None:
    """An array put together from another file's."""
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "data", shape=(4,))
    file.create_virtual_dataset("virtual", layout)


def named_type(file: h5py.File) -> None:
    """A type of its own."""
    file["type"] = np.dtype("f4")


WEIGHTS = {
    "external link": (lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), "holds a link"),
    "soft link": (lambda file: file.__setitem__("x", h5py.SoftLink("/layers")), "holds a link"),
    "external storage": (stored_elsewhere, "in another file"),
    "virtual array": (virtual, "in another file"),
    "array beyond the file": (
        lambda file: file.create_dataset("x", shape=(2**40,), dtype="f4"),
        "more than the file can",
    ),
    "circle of groups": (circle, "more than the file can"),
    "text": (lambda file: file.create_dataset("x", data="import os"), "holds object"),
    "named type": (named_type, "holds a named type"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_file_that_points_or_claims(
    case: str, network_folder: Path, tmp_path: Path, side_effects: list[str]
) -> None:
    """Plain arrays, stored in the file itself; looked through before Keras is imported."""
    fill, reason = WEIGHTS[case]
    check(tampered_file("network.keras", weights_with(fill)), reason, network_folder, tmp_path, "keras", side_effects)


def test_damaged_weights_file_is_refused(network_folder: Path, tmp_path: Path, side_effects: list[str]) -> None:
    """Right signature, nothing behind it."""
    content = functools.partial(make_archive, weights=b"\x89HDF\r\n\x1a\n" + b"\0" * 500)
    check(
        tampered_file("network.keras", content),
        "model.weights.h5 is damaged",
        network_folder,
        tmp_path,
        "keras",
        side_effects,
    )
