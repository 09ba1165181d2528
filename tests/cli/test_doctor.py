"""`closecast doctor`: a sound installation is told so; each thing that is wrong is named with what to do about it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from app.config import Settings
from app.doctor import database as database_look
from app.doctor import machine, stored
from app.doctor.finding import State
from app.doctor.yahoo import YahooLook
from tests.cli.conftest import Closecast
from tests.faulty_server import faulty_server


@pytest.fixture
def sound(closecast: Closecast, home: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migrated database with a champion, bars of the sample, a secret; no worker."""
    monkeypatch.setenv("CLOSECAST_JWT_SECRET", "a-test-key-of-3f9c1e77b2d04a68-characters")
    monkeypatch.setenv("CLOSECAST_SOURCES", '["sample"]')
    assert closecast("migrate").code == 0
    assert closecast("collect", "IBM", "--source", "sample").code == 0
    return database


def told(closecast: Closecast) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the last finding about each subject."""
    done = closecast("doctor", "--json")
    return done.code, {each["subject"]: each for each in json.loads(done.out)["findings"]}


def test_a_sound_installation(closecast: Closecast, sound: str) -> None:
    """The only remark is that no worker runs."""
    code, findings = told(closecast)

    assert code == 0
    assert {name: each["state"] for name, each in findings.items() if name != "disk"} == {
        **dict.fromkeys(
            ("settings", "database", "migrations", "clock", "champion", "store", "calendar", "yahoo"), "ok"
        ),
        "worker": "warn",
    }
    assert (
        findings["store"]["told"].startswith("1 tickers, 3,270 bars") or "data version 1" in findings["store"]["told"]
    )
    shown = closecast("doctor")
    assert shown.code == 0
    assert "ok   champion: the reference" in shown.out
    assert "warn worker: no worker has given a heartbeat" in shown.out


def test_misspelt_settings_and_a_missing_secret_are_named(
    closecast: Closecast, sound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOSECAST_PROT", "8001")
    monkeypatch.delenv("CLOSECAST_JWT_SECRET")

    done = closecast("doctor")

    assert "warn settings: CLOSECAST_PROT is no setting and is ignored\n     is it CLOSECAST_PORT?" in done.out
    assert "the API does not start\n     set CLOSECAST_JWT_SECRET" in done.out
    assert "8001" not in done.out


def test_a_value_out_of_range_is_a_usage_error(closecast: Closecast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSECAST_PORT", "70000")
    assert closecast("doctor").code == 2


def test_a_damaged_champion_is_told_with_the_models_exit_code(closecast: Closecast, sound: str, home: Path) -> None:
    (bundle,) = (home / "bundles").iterdir()
    (bundle / "calibration.json").write_text("{}")

    code, findings = told(closecast)

    assert (code, findings["champion"]["state"]) == (5, "fail")
    assert "is refused: calibration.json" in findings["champion"]["told"]
    assert "closecast rollback" in findings["champion"]["advice"]


def test_a_damaged_store_is_told_with_the_datas_exit_code(closecast: Closecast, sound: str, home: Path) -> None:
    for file in (home / "bars" / "bars").rglob("*.parquet"):
        file.unlink()

    code, findings = told(closecast)

    assert (code, findings["store"]["state"]) == (3, "fail")


def test_an_old_schema_is_told_with_what_to_run(closecast: Closecast, sound: str) -> None:
    with psycopg.connect(sound) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0003'")

    code, findings = told(closecast)

    assert (code, findings["migrations"]["state"]) == (6, "fail")
    assert findings["migrations"]["told"].startswith("at 0003, 0")
    assert findings["migrations"]["advice"] == "run `closecast migrate`"
    assert "champion" not in findings  # its tables may not be there


def test_a_database_that_is_away_hides_nothing_else(
    closecast: Closecast, sound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOSECAST_DATABASE_URL", "postgresql://ann:geheim@127.0.0.1:9/closecast")

    done = closecast("doctor")

    assert done.code == 6
    assert "fail database: it does not answer:" in done.out
    assert "ok   store:" in done.out
    assert "geheim" not in done.out + done.err


def test_without_any_database_the_first_step_is_told(
    closecast: Closecast, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOSECAST_SOURCES", '["sample"]')
    code, findings = told(closecast)

    assert code == 6
    assert findings["database"]["advice"].startswith("start `closecast serve`")
    assert findings["store"] == {
        "subject": "store",
        "state": "warn",
        "told": f"no bars in {home / 'bars'}",
        "advice": "run `closecast collect TICKER…`",
    }


@pytest.mark.parametrize(("seconds", "state"), [(0.5, "ok"), (10, "warn"), (-90, "fail")])
def test_a_clock_that_is_wrong_is_told(
    database: str, monkeypatch: pytest.MonkeyPatch, seconds: float, state: str
) -> None:
    """Tokens expire by it, and it decides whether a forecast was made before its outcome."""
    wrong = SimpleNamespace(now=lambda zone: datetime.now(zone) + timedelta(seconds=seconds))
    monkeypatch.setattr(database_look, "datetime", wrong)

    (finding,) = [each for each in database_look.look_at_database(Settings(_env_file=None)) if each.subject == "clock"]

    assert finding.state == state


@pytest.mark.parametrize(("free", "state"), [(10_000, "ok"), (1_000, "warn"), (100, "fail")])
def test_a_disk_that_fills_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=free * machine.MIB))

    (finding,) = machine.look_at_disks(Settings(_env_file=None, home=tmp_path / "not made yet"))

    assert (finding.state, finding.subject) == (state, "disk")


def test_live_tickers_that_are_behind_are_told() -> None:
    """Two exchanges; one has not been collected for a week, which a file's ticker may."""
    at = {"currency": "USD", "source": "x", "price_basis": "raw", "first_day": date(2024, 1, 2), "n_bars": 5}
    series: list[Any] = [
        SimpleNamespace(exchange="XNYS", live=True, last_day=date(2024, 3, 15), **at),
        SimpleNamespace(exchange="BVMF", live=True, last_day=date(2024, 3, 5), **at),
        SimpleNamespace(exchange="XNYS", live=False, last_day=date(2010, 3, 5), **at),
    ]
    now = datetime(2024, 3, 16, 12, tzinfo=UTC)

    found = [stored._calendar(Settings(_env_file=None), exchange, series, now) for exchange in ("XNYS", "BVMF", "XXXX")]

    assert [each.state for each in found] == ["ok", "warn", "fail"]
    assert "8 trading days behind" in found[1].told


def test_a_yahoo_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked through our own session, at the proxy that the environment names."""
    with faulty_server("hangs") as proxy:
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        settings = Settings(_env_file=None, home=tmp_path, source_timeout_seconds=1.0)
        took, finding = _timed(lambda: YahooLook(settings, date(2024, 3, 15)).finding())

    assert proxy.asked > 0
    assert (finding.subject, finding.state) == ("yahoo", State.WARN)
    assert "forecasts go on from stored bars" in finding.advice
    assert took < 30.0


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    result = action()
    return time.monotonic() - started, result
