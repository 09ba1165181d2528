"""What holds for every command: help with an example, quick starts, one line and one code for each error."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from app.features.registry.errors import GateNotPassedError
from app.supervisor import listening
from app.worker import possible_queues
from cli import main
from cli.exit_codes import exit_code
from ml_lifecycle.evaluation.evaluate import InSampleError
from ml_lifecycle.export.errors import BundleRefusedError, ExportError
from ml_lifecycle.training.checkpoint import CheckpointUnreadableError
from tests.app.serving import SECRET
from tests.cli.conftest import Closecast

HEAVY = ["pandas", "polars", "tensorflow", "sqlalchemy", "fastapi", "onnxruntime", "yfinance", "deltalake", "numpy"]


UNTIL_STOPPED = [("demo",), ("serve",), ("api",), ("worker",)]  # they have no result to print


def commands() -> list[tuple[str, ...]]:
    """Every command, as it is typed."""
    found: list[tuple[str, ...]] = []
    for name, command in get_command(main.app).commands.items():  # type: ignore[attr-defined]  # typer's root is a group
        inner = getattr(command, "commands", None)
        found += [(name, each) for each in inner] if inner else [(name,)]
    return found


def test_all_the_promised_commands_are_there() -> None:
    promised = {
        *(("demo",), ("collect",), ("train",), ("export",), ("evaluate",), ("promote",), ("serve",), ("api",)),
        *(("backtest",), ("lookahead-check",), ("sample-data",), ("worker",), ("migrate",), ("models", "list")),
        *(("users", name) for name in ("create", "list", "scopes", "disable", "enable", "password", "delete")),
        *(("keys", name) for name in ("create", "list", "revoke")),
        *(("drift",), ("pipeline",), ("score",), ("verify-log",), ("explain",)),
        *(("tune",), ("champion",)),
        *(("cleanup",), ("backup",), ("restore",), ("doctor",)),
        *(("predict",), *(("data", name) for name in ("versions", "check", "export", "vacuum"))),
        *(("rollback",), *(("models", name) for name in ("show", "diff", "history", "shadow"))),
    }
    assert set(commands()) == promised


def test_every_command_stands_in_the_page_of_commands() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert [name for command in commands() if f"`closecast {(name := ' '.join(command))}`" not in page] == []


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(closecast: Closecast, command: tuple[str, ...]) -> None:
    shown = closecast(*command, "--help")
    assert shown.code == 0
    assert "Example:" in shown.out
    assert f"closecast {' '.join(command)}" in shown.out
    assert ("--json" in shown.out) == (command not in UNTIL_STOPPED)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_options_are_written_small(command: tuple[str, ...]) -> None:
    found: Any = get_command(main.app)
    for name in command:
        found = found.commands[name]

    options = [option for each in found.params for option in each.opts if option.startswith("--")]

    assert options == [option.lower() for option in options]  # a metavar may be taken for the option's name


def test_help_and_version_import_nothing_heavy() -> None:
    """Each command imports its own needs, so that the shell answers at once."""
    script = (
        "import sys; sys.argv = ['closecast', '--version']\n"
        "from cli.main import run\n"
        "try: run()\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    version, heavy = finished.stdout.splitlines()
    assert version.startswith("closecast 0.")
    assert heavy == "[]"


def test_an_unknown_option_is_a_usage_error(closecast: Closecast) -> None:
    refused = closecast("collect", "--colour")
    assert refused.code == 2
    assert "No such option" in refused.err


def test_a_setting_out_of_range_is_named_in_one_line(closecast: Closecast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSECAST_PORT", "70000")
    refused = closecast("serve")
    assert refused.code == 2
    assert refused.err == "closecast: CLOSECAST_PORT: Input should be less than or equal to 65535\n"


def test_serve_refuses_to_start_without_a_secret(closecast: Closecast) -> None:
    refused = closecast("serve")
    assert refused.code == 2
    assert refused.err.startswith("closecast: CLOSECAST_JWT_SECRET is not set")
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize("command", ["serve", "api"])
def test_a_misspelt_setting_is_named_without_its_value(
    closecast: Closecast, home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Of the environment and of `.env`; both commands then refuse for want of a secret or a database."""
    monkeypatch.setenv("CLOSECAST_PROT", "8001-in-vain")
    monkeypatch.setenv("CLOSECAST_SHARED", "/for/tests")
    Path(".env").write_text("CLOSECAST_WORKRES=7-in-vain\nCLOSECAST_PUBLISH=127.0.0.1:8000\n")
    (warning,) = [line for line in closecast(command).err.splitlines() if "no such settings" in line]
    assert json.loads(warning)["names"] == ["CLOSECAST_PROT", "CLOSECAST_WORKRES"]
    assert "in-vain" not in warning


def test_settings_that_exist_are_not_warned_of(closecast: Closecast) -> None:
    assert "no such settings" not in closecast("serve").err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BundleRefusedError("x"), 5),
        (ExportError("the ONNX twin differs"), 5),
        (GateNotPassedError("3f9a1c2b4d5e", ["median_worse"]), 5),
        (CheckpointUnreadableError("runs/1 holds no network.keras"), 5),
        (InSampleError(date(2020, 6, 30)), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refused_model_has_a_code_of_its_own(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_serve_tells_a_taken_port_before_it_starts_a_database(
    closecast: Closecast, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOSECAST_JWT_SECRET", SECRET)
    monkeypatch.setattr(listening, "PATIENCE_SECONDS", 0.1)
    with listening.listen("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        refused = closecast("serve", "--port", str(port))
    assert (refused.code, refused.err) == (6, f"closecast: port {port} is taken: set CLOSECAST_PORT to another one\n")
    assert not (home / "postgres").exists()


def test_serve_refuses_a_known_secret(closecast: Closecast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSECAST_JWT_SECRET", "your-secret-key-your-secret-key-your-secret-key")
    assert closecast("serve").code == 2


def test_a_worker_says_which_queues_there_are_and_what_they_need(
    closecast: Closecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it looks for a database; where TensorFlow is not installed, a worker takes no training."""
    unknown = closecast("worker", "--queues", "data,trian")
    monkeypatch.setattr("app.worker.find_spec", lambda _: None)
    unable = closecast("worker", "--queues", "train")

    assert (unknown.code, unknown.err) == (2, "closecast: there is no queue 'trian': data, train are\n")
    assert unable.code == 2
    assert "needs TensorFlow" in unable.err
    assert possible_queues() == ("data",)


def test_what_needs_a_database_says_how_to_get_one(closecast: Closecast) -> None:
    refused = closecast("models", "list")
    assert refused.code == 6
    assert "start `closecast serve`" in refused.err


def test_a_database_that_is_away_is_one_line_and_a_service_error(
    closecast: Closecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOSECAST_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    refused = closecast("migrate")
    assert refused.code == 6
    assert refused.err.count("\n") == 1


def test_a_reader_that_leaves_early_sees_no_complaint() -> None:
    """`closecast … | head -n 1`"""
    script = f"{sys.executable} -m cli --help | head -n 1"
    finished = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    assert finished.stderr == ""
