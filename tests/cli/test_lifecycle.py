"""From stored bars to another champion, by commands alone: train, export, evaluate, promote, list."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_pipeline.processing.scaler import Float32Array
from ml_lifecycle.export import export_model
from ml_lifecycle.export.onnx_conversion import ConvertedNetwork, convert_to_onnx
from ml_lifecycle.training.run_folder import held_run_folder
from tests.cli.conftest import Closecast
from tests.faulty_server import faulty_server

TINY = """
name: tiny
lookback: 10
hidden_size: 4
every_days: 20
epochs: 1
validate_every: 5
"""
ALWAYS = ["collect", "score", "precompute", "drift", "retrain"]  # steps of `closecast pipeline`
OWN = """
from data_pipeline.processing.column_definition import InputColumn

COLUMNS = [InputColumn("day_range", warm_up=0, compute=lambda bars: bars.high / bars.low - 1.0)]
"""


@pytest.fixture
def converted_once(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Networks that were converted, each once: that a conversion can be repeated is proved where it lives."""
    converted: dict[bytes, ConvertedNetwork] = {}

    def convert(archive: bytes, inputs: Mapping[str, Float32Array]) -> ConvertedNetwork:
        if archive not in converted:
            converted[archive] = convert_to_onnx(archive, inputs)
            archives.append(archive)
        return converted[archive]

    archives: list[bytes] = []
    monkeypatch.setattr(export_model, "convert_to_onnx", convert)
    return archives


@contextmanager
def hanging_mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trainings are told to a tracking server that takes connections and never answers."""
    with faulty_server("hangs") as server, monkeypatch.context() as patch:
        patch.setenv("CLOSECAST_TRACKING", "true")
        patch.setenv("CLOSECAST_TRACKING_URI", server.url)
        patch.setenv("CLOSECAST_TRACKING_FLUSH_SECONDS", "0.3")
        yield


def test_a_network_goes_from_bars_to_champion(
    closecast: Closecast,
    home: Path,
    tmp_path: Path,
    database: str,
    converted_once: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With an input column of the user's own, which every step has to find."""
    config, own = tmp_path / "tiny.yaml", tmp_path / "ranges.py"
    own.write_text(OWN)
    config.write_text(TINY)
    assert closecast("migrate").code == 0
    assert closecast("collect", "IBM", "MSFT", "--source", "sample").code == 0

    with hanging_mlflow(monkeypatch):
        trained = closecast("train", "--config", str(config), "--columns", str(own), "--tickers", "IBM,MSFT", "--json")
    assert trained.code == 0, trained.err
    (line,) = [line for line in caplog.messages if "MLflow" in line]
    # MLflow's own patience or ours ends first, as busy as the machine is; the line is one either way.
    assert re.fullmatch(r"MLflow at http://127.0.0.1:\d+: \d+ of \d+ records lost: \S.*", line)
    document = json.loads(trained.out)
    bundle = document["bundle"]
    assert Path(document["folder"]) == home / "bundles" / bundle
    spec = json.loads((home / "bundles" / bundle / "manifest.json").read_text())["input_spec"]
    assert (spec["columns"][-1], spec["own_columns"]["module"]) == ("day_range", "ranges")

    monkeypatch.setenv("CLOSECAST_COLUMNS", "json.tool")  # some module, but not the one that the bundle asks for
    refused = closecast("evaluate", bundle[:12], "--every", "20")
    assert (refused.code, refused.err.count("\n")) == (5, 1)
    assert "in a module ranges, which CLOSECAST_COLUMNS lacks" in refused.err
    monkeypatch.setenv("CLOSECAST_COLUMNS", str(own))

    again = closecast("export", document["checkpoint"], "--json")
    assert json.loads(again.out)["bundle"] == bundle
    assert len(converted_once) == 1

    scores = closecast("evaluate", bundle[:12], "--every", "20", "--json")
    assert scores.code == 0, scores.err
    overall = [row for row in json.loads(scores.out)["rows"] if row["ticker"] == "all"]
    assert [row["horizon"] for row in overall] == [1, 2, 3, 4, 5, 10, 21, 30]
    assert all(row["naive_mae"] > 0 for row in overall)
    table = closecast("evaluate", bundle[:12], "--every", "20", "--tickers", "IBM", "--by-ticker")
    assert table.out.count("naive") >= 8

    for_honesty = closecast("evaluate", bundle[:12], "--after", "2002-01-01", "--every", "20", "--json")
    assert for_honesty.code == 3
    assert re.fullmatch(
        r"closecast: the bundle has seen the days to \d{4}-\d\d-\d\d: .* --in-sample\n", for_honesty.err
    )
    seen = closecast("evaluate", bundle[:12], "--after", "2002-01-01", "--every", "20", "--in-sample", "--json")
    document = json.loads(seen.out)
    assert document["in_sample"] is True
    assert {row["skill"]["label"] for row in document["rows"]} == {"not_yet_measured"}
    shown = closecast("evaluate", bundle[:12], "--after", "2002-01-01", "--every", "20", "--in-sample")
    assert "in_sample: true" in shown.out

    refused = closecast("promote", bundle[:12], "--json")
    assert refused.code == 5, refused.err
    assert re.fullmatch(rf"closecast: bundle {bundle[:12]} stays a challenger: [a-z_, ]+\n", refused.err)
    verdict = json.loads(refused.out)
    assert (verdict["passed"], verdict["n_tickers"], verdict["test"]["number"]) == (False, 2, 1)
    assert verdict["n_days"] >= 229  # the 250 that `train` left to the gate, less those whose month is not over
    assert verdict["look_ahead_faults"] == []
    again = closecast("promote", bundle[:12])
    assert again.code == 5
    assert "where test 2 of this champion may spend 0.0083" in again.out
    unexplained = closecast("promote", bundle[:12], "--force")
    assert (unexplained.code, unexplained.err) == (2, "closecast: a forced promotion needs a reason\n")
    promoted = closecast("promote", bundle[:12], "--force", "--reason", "a test", "--json")
    assert promoted.code == 0, promoted.err
    assert json.loads(promoted.out)["kind"] == "forced"

    listed = {row["bundle"]: row["promotion"] for row in json.loads(closecast("models", "list", "--json").out)}
    assert listed[bundle] == "forced"
    assert sorted(str(promotion) for promotion in listed.values()) == ["None", "forced"]
    assert "forced" in closecast("models", "list").out

    (reference,) = {folder.name for folder in (home / "bundles").iterdir()} - {bundle}
    shown = json.loads(closecast("models", "show", bundle[:12], "--json").out)
    assert (shown["bundle"], shown["n_tickers"], shown["config"]["gate_days"]) == (bundle, 2, 250)
    assert shown["train_start"] < shown["train_end"] < shown["calibration_end"]
    assert "pinball" in closecast("models", "show", bundle[:12]).out
    found = json.loads(closecast("models", "diff", reference, bundle, "--json").out)["differences"]
    differing = {each["field"]: (each["left"], each["right"]) for each in found}
    assert differing["kind"] == ("reference", "network")
    assert differing["config.hidden_size"] == (None, 4)
    assert "scores.1.pinball" in differing
    assert closecast("models", "diff", bundle, bundle).out == "no difference\n"

    back = closecast("rollback", "--reason", "a test", "--json")
    assert back.code == 0, back.err
    assert (json.loads(back.out)["bundle"], json.loads(back.out)["former"]) == (reference, bundle)
    assert closecast("rollback").code == 3
    assert closecast("models", "shadow", bundle[:12]).out == f"shadow {bundle}\n"
    listed = {row["bundle"]: row["shadow"] for row in json.loads(closecast("models", "list", "--json").out)}
    assert listed == {bundle: True, reference: False}
    assert closecast("models", "shadow", bundle[:12], "--stop").code == 0
    history = json.loads(closecast("models", "history", "--json").out)
    assert [reign["kind"] for reign in history] == ["rollback", "forced", "reference"]
    assert [history[0]["until"], history[1]["until"]] == [None, history[0]["from"]]
    assert closecast("models", "history").out.count("a test") == 2

    unnamed = closecast("train", "--fine-tune", bundle[:12])
    assert (unnamed.code, unnamed.err) == (
        2, "closecast: fine-tuning is for some tickers: name them with --tickers\n"
    )  # fmt: skip
    (tmp_path / "brief.yaml").write_text(f"fine_tune: {bundle[:12]}\nepochs: 1\nvalidate_every: 20\n")
    tuned = closecast("train", "--config", str(tmp_path / "brief.yaml"), "--tickers", "MSFT", "--json")
    assert tuned.code == 0, tuned.err
    manifest = json.loads((Path(json.loads(tuned.out)["folder"]) / "manifest.json").read_text())
    assert (manifest["fine_tuned_from"], manifest["fine_tuned_tickers"]) == (bundle, ["MSFT"])
    assert manifest["tickers"] == ["IBM", "MSFT"]
    assert manifest["input_spec"] == spec
    refused = closecast("promote", json.loads(tuned.out)["bundle"][:12])
    assert refused.code == 5
    assert re.search(r"\(fine-tuned for MSFT, there gain \S+%, p = \S+; a champion answers for all 2 t", refused.out)


def test_the_reference_is_evaluated_on_the_newest_year(closecast: Closecast, home: Path, database: str) -> None:
    closecast("migrate")
    closecast("collect", "IBM", "--source", "sample")
    reference = next((home / "bundles").iterdir()).name

    document = json.loads(closecast("evaluate", reference, "--json").out)

    first = document["rows"][0]
    assert (first["horizon"], first["n"]) == (1, 249)  # of 250 cutoffs the last has no outcome yet
    assert first["mae"] == first["naive_mae"]


def test_training_without_bars_says_so(closecast: Closecast) -> None:
    refused = closecast("train", "--config", "demo")
    assert (refused.code, refused.err) == (3, "closecast: no bars are stored\n")


def test_a_configuration_that_cannot_be_names_its_field(closecast: Closecast, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("hidden_size: -1\n")
    refused = closecast("train", "--config", str(tmp_path / "wrong.yaml"))
    assert refused.code == 2
    assert "hidden_size" in refused.err
    assert refused.err.count("\n") == 1


def test_the_whole_way_can_be_tried_without_leaving_anything(
    closecast: Closecast, home: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sample bars, training, export, forecast; neither the home nor the database sees any of it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    assert closecast("migrate").code == 0
    before = sorted(home.rglob("*"))

    tried = closecast("train", "--smoke", "--json")

    assert tried.code == 0, tried.err
    told = json.loads(tried.out)
    assert (told["tickers"], len(told["bundle"]), told["median"] > 0) == (["IBM", "MSFT"], 64, True)
    assert "exporting and checking the bundle" in tried.err
    assert sorted(home.rglob("*")) == before
    assert [bundle["kind"] for bundle in json.loads(closecast("models", "list", "--json").out)] == ["reference"]
    assert list(scratch.iterdir()) == []


def test_a_bundle_that_was_tampered_with_is_refused(closecast: Closecast, home: Path, database: str) -> None:
    closecast("migrate")
    reference = next((home / "bundles").iterdir())
    manifest = reference / "manifest.json"
    manifest.write_text(manifest.read_text().replace("0.975", "0.976"))
    refused = closecast("promote", reference.name, "--force", "--reason", "a test")
    assert refused.code == 5


def test_a_checkpoint_that_is_not_there_is_a_usage_error_and_an_unfinished_one_is_refused(
    closecast: Closecast, tmp_path: Path
) -> None:
    missing = closecast("export", str(tmp_path / "missing"))
    assert missing.code == 2
    assert missing.err.startswith("Usage:")
    unfinished = closecast("export", str(tmp_path))
    assert unfinished.code == 5
    assert "no finished checkpoint" in unfinished.err


def test_an_unknown_bundle_is_a_usage_error(closecast: Closecast) -> None:
    refused = closecast("evaluate", "0123456789ab")
    assert refused.code == 2
    assert "no bundle is called 0123456789ab" in refused.err


def test_the_pipeline_trains_evaluates_exports_and_has_the_gate_judge(
    closecast: Closecast, home: Path, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--train` in any case; what came of it is registered, and stays a challenger."""
    monkeypatch.setenv("CLOSECAST_SOURCES", '["sample"]')
    config = tmp_path / "tiny.yaml"
    config.write_text(TINY)
    assert closecast("migrate").code == 0

    shown = closecast("pipeline", "IBM", "--train", "--config", str(config), "--json")

    assert shown.code == 0, shown.err
    told = {each["step"]: each for each in json.loads(shown.out)["steps"]}
    assert list(told) == [*ALWAYS, "features", "train", "evaluate", "export", "gate"]
    assert {told[step]["state"] for step in list(told)[len(ALWAYS) :]} == {"done"}
    assert told["features"]["windows"] > 0
    assert all(row["naive_pinball"] > 0 for row in told["evaluate"]["scores"])
    bundle = told["train"]["bundle"]
    assert told["export"]["folder"] == str(home / "bundles" / bundle)
    manifest = json.loads((home / "bundles" / bundle / "manifest.json").read_text())
    assert (manifest["tickers"], manifest["config"]["hidden_size"], manifest["kind"]) == (["IBM"], 4, "network")
    assert told["gate"]["passed"] is False
    assert told["gate"]["reasons"]
    assert bundle in closecast("models", "list", "--json").out


def test_two_trainings_do_not_share_a_folder(closecast: Closecast, tmp_path: Path) -> None:
    """The second one says so at once, and touches nothing of the first."""
    config, folder = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(TINY)
    assert closecast("collect", "IBM", "--source", "sample").code == 0

    with held_run_folder(folder):
        (folder / "checkpoint.json").write_text("the first one's")
        refused = closecast("train", "--config", str(config), "--tickers", "IBM", "--checkpoint", str(folder))

    assert (refused.code, refused.err.splitlines()[-1]) == (
        6,
        f"closecast: another training works in {folder}: wait for its end, or name another folder",
    )
    assert (folder / "checkpoint.json").read_text() == "the first one's"
