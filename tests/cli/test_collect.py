"""`closecast collect`: bars in, defects told, one bad ticker named at the end, windows published."""

import json
from pathlib import Path

import polars as pl
import psycopg
import pytest

from data_pipeline.storage.feature_store import FeatureStore
from tests.cli.conftest import Closecast, run_process
from tests.shared_data import shared_file


def write_bars(path: Path, ticker: str, closes: list[float], *, first_day: int = 1) -> None:
    """A CSV of consecutive days in March 2024, which begins on a Friday."""
    days = [f"2024-03-{first_day + number:02d}" for number in range(len(closes))]
    frame = pl.DataFrame({"date": days, "close": closes, "volume": 100}).with_columns(
        open="close", high="close", low="close", adj_close="close", ticker=pl.lit(ticker)
    )
    frame.write_csv(path)


def test_the_sample_is_stored_and_its_real_move_is_flagged_not_dropped(closecast: Closecast, home: Path) -> None:
    done = closecast("collect", "--source", "sample")

    assert done.code == 0
    assert "5 tickers: 5 added; 12,154 bars stored" in done.out
    assert "2000-09-29" in done.out  # AAPL fell by half that day, really
    assert len(FeatureStore(home / "bars").read_bar_arrays("AAPL")) == 3_270


def test_a_second_run_changes_nothing(closecast: Closecast) -> None:
    closecast("collect", "AAPL", "--source", "sample")
    again = json.loads(closecast("collect", "AAPL", "--source", "sample", "--json").out)

    assert [ticker["outcome"] for ticker in again["tickers"]] == ["unchanged"]
    assert again["data_version"]["version"] == 1
    assert again["published_windows"] is None


def test_only_the_days_asked_for_are_stored(closecast: Closecast, home: Path) -> None:
    asked = ["--start", "2012-01-01", "--end", "2012-02-01"]
    assert closecast("collect", "IBM", "--source", "sample", *asked).code == 0

    days = FeatureStore(home / "bars").read_bar_arrays("IBM").trading_day
    assert (str(days[0]), str(days[-1]), len(days)) == ("2012-01-03", "2012-01-31", 20)


def test_one_bad_ticker_does_not_stop_the_others_and_is_named_last(closecast: Closecast, home: Path) -> None:
    done = closecast("collect", "MSFT", "NOSUCH", "IBM", "--source", "sample")

    assert done.code == 4
    assert "3 tickers: 2 added, 1 failed" in done.out
    assert "failed: NOSUCH from sample" in done.err
    assert {series.ticker for series in FeatureStore(home / "bars").series()} == {"MSFT", "IBM"}


def test_a_folder_of_files_is_read_as_a_whole(closecast: Closecast, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    write_bars(tmp_path / "files" / "one.csv", "AAA", [10.0, 10.1, 10.2, 10.3, 10.4, 10.5])
    write_bars(tmp_path / "files" / "two.csv", "BBB", [20.0, 20.1, 20.2, 20.3, 20.4, 20.5])

    done = json.loads(closecast("collect", "--path", str(tmp_path / "files"), "--json").out)

    # 2 and 3 March 2024 are a weekend
    assert {each["ticker"]: (each["added"], each["quality"]["rows_in"]) for each in done["tickers"]} == {
        "AAA": (4, 6),
        "BBB": (4, 6),
    }


def test_the_defects_of_raw_prices_are_reported(closecast: Closecast) -> None:
    path = shared_file("data/raw_unadjusted_2018_2025.parquet")
    done = json.loads(closecast("collect", "--source", "files", "--path", str(path), "--json").out)

    found = {
        (each["ticker"], defect["defect"]): (defect["count"], defect["days"][0])
        for each in done["tickers"]
        for defect in each["quality"]["defects"]
    }
    assert found["AAPL", "unadjusted_split"] == (1, "2020-08-31")
    assert found["AMZN", "unadjusted_split"] == (1, "2022-06-06")
    assert found["BBAS3.SA", "unadjusted_split"] == (1, "2024-04-16")
    assert found["ITUB4.SA", "unadjusted_split"] == (1, "2018-11-21")
    assert found["BBAS3.SA", "non_trading_day"][0] == 10  # Saturdays


def test_windows_are_published_where_a_database_is_named(closecast: Closecast, database: str) -> None:
    done = closecast("collect", "AAPL", "IBM", "--source", "sample")

    assert done.code == 0, done.err
    assert "2 windows published" in done.err
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT ticker, source, live FROM serving_windows ORDER BY ticker").fetchall()
    assert rows == [("AAPL", "sample", False), ("IBM", "sample", False)]


def test_what_is_stored_can_be_kept_and_published(closecast: Closecast, tmp_path: Path, database: str) -> None:
    """Bars that were collected while no database ran have no window yet."""
    write_bars(tmp_path / "bars.csv", "IBM", [10.0, 10.1, 10.2, 10.3])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CLOSECAST_DATABASE_URL")
        assert "nothing published" in closecast("collect", "--path", str(tmp_path / "bars.csv")).err

    done = closecast("collect", "IBM", "FB", "--source", "sample", "--keep-stored", "--json")

    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["kept"], [each["ticker"] for each in document["tickers"]]) == (["IBM"], ["FB"])
    with psycopg.connect(database) as connection:
        windows = connection.execute("SELECT ticker, source FROM serving_windows ORDER BY ticker").fetchall()
    assert windows == [("FB", "sample"), ("IBM", "files")]
    again = closecast("collect", "IBM", "FB", "--source", "sample", "--keep-stored")
    assert (again.code, again.out) == (0, "")
    assert "kept as stored: IBM, FB\n2 windows published" in again.err


def test_yahoo_s_limits_are_those_of_the_database(database: str) -> None:
    """A command and the worker ask Yahoo together no more often than one of them may."""
    finished = run_process(
        "collect", "AAPL", "--source", "yfinance", CLOSECAST_SOURCE_TIMEOUT_SECONDS="1"
    )  # every proxy of the tests is dead

    assert finished.returncode == 4, finished.stderr
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT source, tokens < 10 FROM source_budgets").fetchall() == [("yfinance", True)]
        assert connection.execute("SELECT source, failures > 0 FROM source_circuits").fetchall() == [("yfinance", True)]


def test_files_without_a_path_are_a_usage_error(closecast: Closecast) -> None:
    refused = closecast("collect", "--source", "files")
    assert (refused.code, refused.err) == (
        2,
        "closecast: --source files needs --path FILE_OR_FOLDER, or CLOSECAST_FILES_PATH\n",
    )


def test_a_path_and_another_source_contradict_each_other(closecast: Closecast, tmp_path: Path) -> None:
    assert closecast("collect", "--source", "sample", "--path", str(tmp_path)).code == 2


def test_yahoo_must_be_told_a_ticker(closecast: Closecast) -> None:
    refused = closecast("collect", "--source", "yfinance")
    assert refused.code == 2
    assert "name at least one ticker" in refused.err


def test_a_malformed_ticker_is_refused_before_anything_is_asked(closecast: Closecast) -> None:
    refused = closecast("collect", "../../etc/passwd", "--source", "sample")
    assert refused.code == 2
    assert "not a ticker" in refused.err


@pytest.mark.parametrize("by_setting", [False, True])
def test_a_path_that_does_not_exist_is_a_usage_error(
    closecast: Closecast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_setting: bool
) -> None:
    missing = str(tmp_path / "missing")
    if by_setting:
        monkeypatch.setenv("CLOSECAST_FILES_PATH", missing)
    refused = closecast("collect", "--source", "files", *([] if by_setting else ["--path", missing]))
    assert (refused.code, refused.err) == (2, f"closecast: no such file or folder: {missing}\n")


def test_a_name_in_a_file_that_is_no_ticker_is_a_matter_of_data(closecast: Closecast, tmp_path: Path) -> None:
    write_bars(tmp_path / "bars.csv", "NOT A TICKER", [10.0, 10.1, 10.2, 10.3])
    refused = closecast("collect", "--path", str(tmp_path / "bars.csv"))
    assert refused.code == 3
    assert "not a ticker" in refused.err
