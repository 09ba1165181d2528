"""`closecast data` and `closecast predict` on stored bars: no server, no network."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from app.features.cleaning import bars
from tests.cli.conftest import Closecast


@pytest.fixture
def sample(closecast: Closecast) -> None:
    """Two tickers of the sample in the store of this test's home."""
    assert closecast("collect", "AAPL", "IBM", "--source", "sample", "--json").code == 0


@pytest.mark.usefixtures("sample")
def test_versions_are_listed_and_the_newest_is_sound(closecast: Closecast) -> None:
    [version] = json.loads(closecast("data", "versions", "--json").out)
    found = closecast("data", "check", "--config", "demo", "--json")

    assert (version["tickers"], version["last_day"]) == (2, "2013-03-01")
    assert found.code == 0, found.out
    checked = json.loads(found.out)
    assert (checked["passed"], checked["faults"], checked["too_short"]) == (True, [], [])
    assert (checked["tickers"], checked["bars"], checked["windows"]) == (2, version["bars"], 8)
    assert checked["content_sha256"] == version["content_sha256"]


@pytest.mark.usefixtures("sample")
def test_bars_that_somebody_changed_are_told(closecast: Closecast, home: Path) -> None:
    """A file of the store, rewritten with one close moved by a cent."""
    [file] = [path for path in (home / "bars" / "bars").rglob("*.parquet") if "AAPL" in pl.read_parquet(path)["ticker"]]
    rows = pl.read_parquet(file, hive_partitioning=False)
    first = pl.int_range(pl.len()) == 0
    rows.with_columns(close=pl.when(first).then(pl.col("close") + 0.01).otherwise(pl.col("close"))).write_parquet(file)

    found = closecast("data", "check", "--config", "demo")

    assert found.code == 3
    assert "its bars are not as written" in found.err


@pytest.mark.usefixtures("sample")
def test_what_is_exported_can_be_collected_again(
    closecast: Closecast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSV and Parquet alike hold every bar; what cannot be written is one line and no file."""
    for name in ("bars.csv", "bars.parquet"):
        done = closecast("data", "export", "--out", str(tmp_path / name), "--tickers", "aapl", "--json")
        assert (done.code, json.loads(done.out)["rows"]) == (0, 3270), done.err
    no_suffix = closecast("data", "export", "--out", str(tmp_path / "bars.txt"))
    unknown = closecast("data", "export", "--out", str(tmp_path / "none.csv"), "--tickers", "NEWCO")
    part = closecast(
        "data", "export", "--out", str(tmp_path / "part.csv"), "--start", "2013-01-01", "--end", "2013-02-01", "--json"
    )

    kept = closecast("data", "export", "--out", str(tmp_path / "part.csv"))

    assert (no_suffix.code, unknown.code, kept.code) == (2, 3, 2)
    assert (
        kept.err
        == f"closecast: {tmp_path / 'part.csv'} is there already: give another name, or --force to replace it\n"
    )
    assert unknown.err.count("\n") == 1
    assert json.loads(part.out)["rows"] == len(pl.read_csv(tmp_path / "part.csv")) == 2 * 21
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "bars.csv",
        "bars.parquet",
        "part.csv",
    ]
    stored = pl.read_parquet(tmp_path / "bars.parquet")
    for name in ("bars.csv", "bars.parquet"):
        monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path / f"home of {name}"))
        again = closecast("collect", "--source", "files", "--path", str(tmp_path / name), "--json")
        assert again.code == 0, again.err
        closecast("data", "export", "--out", str(tmp_path / "again.parquet"), "--force")
        columns = ["ticker", "date", "open", "high", "low", "close", "adj_close", "volume"]
        assert pl.read_parquet(tmp_path / "again.parquet").select(columns).equals(stored.select(columns)), name


@pytest.mark.usefixtures("sample")
def test_a_forecast_needs_neither_server_nor_network(closecast: Closecast) -> None:
    """Where nobody knows the champion the reference answers, and says so; table and chart show the same prices."""
    told = closecast("predict", "aapl", "--days-ahead", "7", "--json")
    shown = closecast("predict", "AAPL", "--days-ahead", "7")
    past = json.loads(closecast("predict", "AAPL", "--as-of", "2008-10-11", "--json").out)

    answer = json.loads(told.out)
    assert (answer["forecast_id"], answer["cutoff"], len(answer["steps"])) == (None, "2013-03-01", 7)
    assert answer["bundle"]["kind"] == "reference"
    assert "the reference answers" in told.err
    for step in answer["steps"]:
        assert f"{step['quantiles']['0.1']:.2f} … {step['quantiles']['0.9']:.2f}" in shown.out
    assert [line[:3] for line in shown.out.splitlines() if "●" in line] == [f"{step:2d} " for step in range(1, 8)]
    assert (past["cutoff"], past["kind"], len(past["steps"])) == ("2008-10-10", "hindcast", 5)


@pytest.mark.usefixtures("sample")
def test_a_forecast_that_cannot_be_made_is_one_line(closecast: Closecast) -> None:
    for arguments, code in (
        (("NEWCO",), 3),
        (("../x",), 2),
        (("AAPL", "--as-of", "1999-01-01"), 4),
        (("AAPL", "--bundle", "0123456789"), 2),
        (("AAPL", "--days-ahead", "31"), 2),
    ):
        done = closecast("predict", *arguments)
        assert (done.code, done.out) == (code, ""), (arguments, done.err)
        assert "Traceback" not in done.err


@pytest.mark.usefixtures("database", "sample")
def test_a_vacuum_is_the_part_of_the_clean_up_that_is_about_bars(
    closecast: Closecast, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "_vacuum", lambda *_, **__: ["part-0.parquet"])
    broken_off = home / "checkpoints" / "lstm"
    broken_off.mkdir(parents=True)
    os.utime(broken_off, (0, 0))

    told = json.loads(closecast("data", "vacuum", "--dry-run", "--json").out)
    whole = json.loads(closecast("cleanup", "--dry-run", "--json").out)
    done = json.loads(closecast("data", "vacuum", "--json").out)

    assert [item["name"] for item in told["items"]] == ["part-0.parquet"]
    assert {item["kind"] for item in whole["items"]} == {"bars", "checkpoint"}
    assert (done["dry_run"], done["items"]) == (False, told["items"])
    assert broken_off.exists()
