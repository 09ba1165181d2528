"""A good bundle loads, says what it is, and answers; its id is a function of its content alone."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.serving_window import with_market
from ml_lifecycle.evaluation.forecasters import BatchForecaster
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.canonical_json import canonical_json, parse_json_object
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.forecaster import BundleForecaster
from ml_lifecycle.export.manifest import HORIZONS, LEVELS, STEPS, BundleKind, GoldenWindow, InputKind, bundle_id
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.writing import write_bundle
from tests.made_up_bars import make_bars
from tests.ml_lifecycle.export.handmade import (
    SPEC,
    add_member,
    copy_bundle,
    make_contents,
    make_manifest,
    make_onnx,
)

# What an API process must not carry; measured at 160 MiB and 3.3 s.
HEAVY = (
    "pandas polars pyarrow deltalake pandera exchange_calendars yfinance scipy sklearn tensorflow keras h5py onnx talib"
)


def test_a_network_bundle_says_what_it_is(network_bundle: Bundle) -> None:
    """History, columns, levels: everything an answer needs comes from the manifest."""
    manifest = network_bundle.manifest

    assert manifest.kind is BundleKind.NETWORK
    assert (manifest.history_needed, manifest.history_used) == (SPEC.history_needed, SPEC.history_needed)
    assert (manifest.input_columns, manifest.context_columns) == (SPEC.columns, SPEC.context_columns)
    assert set(manifest.files) == {
        "network.keras", "network.onnx", "scaler.json", "calibration.json", "reference.json"
    }  # fmt: skip
    assert isinstance(BundleForecaster(network_bundle), BatchForecaster)


def test_the_reference_bundle_needs_a_year_and_uses_four(reference_bundle: Bundle) -> None:
    """No network, closes alone, no dates."""
    manifest = reference_bundle.manifest

    assert manifest.kind is BundleKind.REFERENCE
    assert (manifest.history_needed, manifest.history_used) == (252, 1_031)
    assert (reference_bundle.network, manifest.weights_sha256, manifest.train_end) == (None, None, None)
    assert manifest.input_kind is InputKind.CLOSES
    assert set(manifest.files) == {"calibration.json"}


def test_the_reference_has_one_id_whenever_and_wherever_it_is_written(tmp_path: Path) -> None:
    """``created_at`` is no part of the id, and a second writing leaves the first as it is."""
    first = write_reference_bundle(tmp_path / "one")
    created = (first / "manifest.json").stat().st_mtime_ns
    again, elsewhere = write_reference_bundle(tmp_path / "one"), write_reference_bundle(tmp_path / "two")

    assert first == again
    assert first.name == elsewhere.name
    assert (first / "manifest.json").stat().st_mtime_ns == created
    assert sorted(path.name for path in first.parent.iterdir()) == [first.name]


def test_the_id_is_the_digest_of_the_canonical_manifest_without_its_date(network_folder: Path) -> None:
    """Worked out here by other means: sorted keys, no spaces, no ``created_at``."""
    content = json.loads((network_folder / "manifest.json").read_text())
    del content["created_at"]
    spelled = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert hashlib.sha256(spelled).hexdigest() == network_folder.name


def test_the_date_alone_does_not_change_the_id() -> None:
    """Anything else does."""
    assert bundle_id({"a": 1, "created_at": "x"}) == bundle_id({"created_at": "y", "a": 1})
    assert bundle_id({"a": 1}) != bundle_id({"a": 2})


def test_canonical_json_has_one_spelling() -> None:
    """Keys sorted at every depth, floats shortest, text as it is, NaN refused."""
    assert canonical_json({"b": {"z": 0.1, "y": 1.0}, "a": "é"}) == '{"a":"é","b":{"y":1.0,"z":0.1}}'.encode()
    assert parse_json_object(b'{"a": 1.0}', name="x") == {"a": 1.0}
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_a_member_of_an_average_counts_by_its_weight(network_folder: Path, tmp_path: Path) -> None:
    """From the files to the forecast: at the heads, two members at 0.25 and 0.75 give that mean of their answers."""
    graph = make_onnx(seed=6).SerializeToString()
    averaged = add_member(copy_bundle(network_folder, tmp_path / "averaged"), graph, weight=0.75)
    other = copy_bundle(network_folder, tmp_path / "other")
    (other / "network.onnx").write_bytes(graph)
    other = add_member(other, graph, weight=0.5)  # of two equal members: the second graph alone
    bars, heads = make_bars(60), np.array(HORIZONS) - 1

    one, second, both = (
        BundleForecaster(load_bundle(folder)).forecast(bars).log_returns[heads]
        for folder in (network_folder, other, averaged)
    )

    assert np.abs(one - second).max() > 1e-4
    np.testing.assert_allclose(both, 0.25 * one + 0.75 * second, rtol=0, atol=1e-9)


def test_a_golden_window_keeps_the_market_as_it_was_known() -> None:
    """JSON knows no NaN: a day without a market is written as null, and no market at all as nothing."""
    bars = make_bars(4)
    bars.market_return[1] = np.nan
    answer = np.zeros((STEPS, len(LEVELS)))

    read = GoldenWindow.model_validate_json(GoldenWindow.of(bars, answer).model_dump_json()).bars()
    without = GoldenWindow.of(with_market(bars, None), answer)

    np.testing.assert_array_equal(read.market_return, bars.market_return)
    np.testing.assert_array_equal(read.market_absolute_return, bars.market_absolute_return)
    assert without.market_return == ()
    assert np.isnan(without.bars().market_return).all()


def test_loading_reads_the_folder_only(network_folder: Path, side_effects: list[str]) -> None:
    """Nothing is written, started or connected to."""
    load_bundle(network_folder)

    assert side_effects == []


def test_loading_and_forecasting_import_nothing_heavy(network_folder: Path, tmp_path: Path) -> None:
    """In a process of its own: an API process stays small."""
    reference = write_reference_bundle(tmp_path)
    program = f"""
import sys
from pathlib import Path
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.forecaster import BundleForecaster
for folder in ({str(network_folder)!r}, {str(reference)!r}):
    bundle = load_bundle(Path(folder))
    BundleForecaster(bundle).forecast(bundle.manifest.golden.bars())
print(sorted(set({HEAVY!r}.split()) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


def test_a_bundle_that_would_not_load_is_not_written(tmp_path: Path) -> None:
    """What a loader would refuse is refused while it is still a draft."""
    contents = make_contents()
    manifest = make_manifest(contents)
    contents["scaler.json"] = b"{}"

    with pytest.raises(BundleRefusedError, match=r"scaler\.json"):
        write_bundle(tmp_path, contents, manifest)

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_bundle_is_replaced_by_a_whole_one(network_folder: Path, tmp_path: Path) -> None:
    """Exporting again is what a refusal advises."""
    damaged = copy_bundle(network_folder, tmp_path)
    (damaged / "network.onnx").write_bytes(b"half")
    contents = make_contents()

    written = write_bundle(tmp_path, contents, make_manifest(contents))

    assert written == damaged
    assert load_bundle(written).bundle_id == network_folder.name
    assert [path.name for path in tmp_path.iterdir()] == [written.name]


def test_two_writers_of_one_bundle_both_get_it(tmp_path: Path) -> None:
    """Whoever is second finds the folder of the first, complete."""
    program = "import sys; from pathlib import Path; from ml_lifecycle.export.reference import write_reference_bundle; "
    program += "print(write_reference_bundle(Path(sys.argv[1])))"
    command = [sys.executable, "-c", program, str(tmp_path)]

    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {writer.communicate(timeout=60)[0].strip() for writer in writers}

    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(folders) == 1
    assert [str(path) for path in tmp_path.iterdir()] == list(folders)


def test_a_writer_killed_at_any_moment_leaves_no_bundle_that_is_half(tmp_path: Path) -> None:
    """Files are written in a folder that no reader takes for a bundle; here the process dies at each write in turn."""
    program = """
import os, sys
from pathlib import Path
from ml_lifecycle.export.reference import write_reference_bundle
left = int(sys.argv[2])
flush = os.fsync
def dying_flush(descriptor):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    flush(descriptor)
os.fsync = dying_flush
write_reference_bundle(Path(sys.argv[1]))
"""
    folders = [tmp_path / str(survived) for survived in range(4)]
    writers = [subprocess.Popen([sys.executable, "-c", program, folder, folder.name]) for folder in folders]

    assert [writer.wait(timeout=60) for writer in writers] == [9, 9, 9, 9]
    for folder in folders:
        whole = [path for path in folder.iterdir() if not path.name.startswith(".")]
        assert [load_bundle(path).bundle_id for path in whole] == [path.name for path in whole]
        assert load_bundle(write_reference_bundle(folder)).manifest.kind is BundleKind.REFERENCE


def test_the_date_of_a_reference_is_when_it_was_written(reference_bundle: Bundle) -> None:
    """In UTC."""
    age = datetime.now(UTC) - reference_bundle.manifest.created_at

    assert 0 <= age.total_seconds() < 600
