"""Real bars with defects kept on purpose: each that their README lists is in the report, and no real move is lost."""

from datetime import date
from pathlib import Path

import pytest

from data_pipeline.processing.quality import Action, Defect, QualityReport
from data_pipeline.run_pipeline import CollectSummary, collect
from data_pipeline.sources.file_source import FileSource
from data_pipeline.storage.feature_store import FeatureStore
from tests.data_pipeline.made_bars import first_days
from tests.shared_data import shared_file


class Collected:
    """One shared file, collected into a store of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.store = FeatureStore(folder)
        self.summary: CollectSummary = collect(self.store, FileSource(shared_file(f"data/{name}")))
        found = [result.quality for result in self.summary.results if result.quality is not None]
        self.reports: dict[str, QualityReport] = {report.ticker: report for report in found}

    def total(self, defect: Defect) -> int:
        """Rows of all tickers with this defect."""
        return sum(report.count(defect) for report in self.reports.values())

    def days(self, ticker: str, defect: Defect) -> tuple[date, ...]:
        """Days of one ticker with this defect."""
        return self.reports[ticker].days.get(defect, ())

    def close(self, ticker: str, day: date) -> float:
        """The stored close of a day that must be stored."""
        bars = self.store.read_bar_arrays(ticker)
        return float(bars.close[bars.trading_day == day][0])


@pytest.fixture(scope="module")
def us_core(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """Twelve US shares, adjusted."""
    return Collected("us_core_2004_2026.parquet", tmp_path_factory.mktemp("us_core"))


@pytest.fixture(scope="module")
def b3_panel(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """Thirty-five Brazilian shares, adjusted."""
    return Collected("b3_panel_2015_2025.parquet", tmp_path_factory.mktemp("b3_panel"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """Seven shares without any adjustment."""
    return Collected("raw_unadjusted_2018_2025.parquet", tmp_path_factory.mktemp("raw"))


def test_clean_bars_are_all_stored(us_core: Collected) -> None:
    assert sum(report.rows_out for report in us_core.reports.values()) == 68_122
    assert not us_core.summary.failed
    assert us_core.summary.questions == ()
    assert us_core.total(Defect.CLOSE_OUTSIDE_RANGE) == 0
    assert {report.rows(Action.DROPPED) + report.rows(Action.MISSING) for report in us_core.reports.values()} == {0}


def test_collecting_a_file_again_changes_nothing(us_core: Collected) -> None:
    again = collect(us_core.store, FileSource(shared_file("data/us_core_2004_2026.parquet")))

    assert again.data_version == us_core.summary.data_version
    assert {str(result.outcome) for result in again.results} == {"unchanged"}


def test_every_unadjusted_split_is_flagged_on_its_day_and_nothing_else_is(raw: Collected) -> None:
    flagged = {ticker: raw.days(ticker, Defect.UNADJUSTED_SPLIT) for ticker in raw.reports}

    assert {ticker: days for ticker, days in flagged.items() if days} == {
        "AAPL": (date(2020, 8, 31),),
        "AMZN": (date(2022, 6, 6),),
        "BBAS3.SA": (date(2024, 4, 16),),
        "ITUB4.SA": (date(2018, 11, 21),),
    }


def test_the_saturdays_of_bbas3_are_dropped(raw: Collected) -> None:
    days = raw.days("BBAS3.SA", Defect.NON_TRADING_DAY)

    assert len(days) == 10
    assert {day.weekday() for day in days} == {5}


def test_zero_volume_is_counted_on_stored_and_on_dropped_rows(raw: Collected, b3_panel: Collected) -> None:
    """The README counts rows as they came: 630 in b3_panel, of which 305 repeat the last close on holidays."""
    assert b3_panel.total(Defect.ZERO_VOLUME) + b3_panel.total(Defect.NON_TRADING_DAY) == 630
    assert b3_panel.total(Defect.FLAT_BAR) + b3_panel.total(Defect.NON_TRADING_DAY) == 1_135
    assert b3_panel.days("CGRA3.SA", Defect.ZERO_VOLUME)
    assert raw.total(Defect.ZERO_VOLUME) >= 1


def test_the_crash_of_petrobras_is_kept(raw: Collected, b3_panel: Collected) -> None:
    crash = date(2020, 3, 9)

    assert raw.close("PETR4.SA", crash) == pytest.approx(16.05, abs=0.01)
    assert b3_panel.close("PETR3.SA", crash) > 0
    for collected, ticker in ((raw, "PETR4.SA"), (b3_panel, "PETR3.SA")):
        named = {defect for defect, days in collected.reports[ticker].days.items() if crash in days}
        assert named == {Defect.LARGE_MOVE}


def test_the_bad_price_of_ugpa3_is_kept_and_flagged(b3_panel: Collected) -> None:
    assert date(2021, 6, 28) in b3_panel.days("UGPA3.SA", Defect.LARGE_MOVE)


def test_the_close_outside_its_range_is_flagged(b3_panel: Collected) -> None:
    assert b3_panel.total(Defect.CLOSE_OUTSIDE_RANGE) == 1


def test_the_five_years_without_natu3_are_a_hole(b3_panel: Collected) -> None:
    holes = [day for day in b3_panel.days("NATU3.SA", Defect.HOLE) if day > date(2019, 12, 17)]

    assert holes[-1] == date(2025, 6, 25)
    assert (date(2025, 6, 26) - min(day for day in holes if day > date(2019, 12, 1))).days > 2_000
    assert b3_panel.total(Defect.HOLE) == b3_panel.reports["NATU3.SA"].count(Defect.HOLE)
    bars = b3_panel.store.read_bar_arrays("NATU3.SA")
    assert not set(bars.trading_day.tolist()) & set(holes)


def test_brfs3_ends_before_the_others(b3_panel: Collected) -> None:
    ended = {ticker for ticker in b3_panel.reports if b3_panel.days(ticker, Defect.ENDED_EARLY)}

    assert ended == {"BRFS3.SA"}
    assert b3_panel.days("BRFS3.SA", Defect.ENDED_EARLY) == (date(2025, 9, 22),)


def test_a_day_that_no_share_traded_on_is_a_question_about_the_calendar(b3_panel: Collected, raw: Collected) -> None:
    """20 November 2020 counts as a trading day of BVMF, and no ticker has a bar."""
    (question,) = b3_panel.summary.questions

    assert (question.exchange, question.day, question.expected) == ("BVMF", date(2020, 11, 20), True)
    assert question.n_disagreeing == question.n_tickers == 35
    assert [asked.day for asked in raw.summary.questions] == [date(2020, 11, 20)]


def test_files_of_one_market_share_a_store(b3_panel: Collected) -> None:
    """Raw bars of BBAS3 take the place of the adjusted ones as a whole; those of other tickers stay."""
    summary = collect(b3_panel.store, FileSource(shared_file("data/raw_unadjusted_2018_2025.parquet")))

    outcomes = {result.ticker: str(result.outcome) for result in summary.results}
    assert not summary.failed
    assert (outcomes["BBAS3.SA"], outcomes["VALE3.SA"], outcomes["AAPL"]) == ("replaced", "replaced", "added")
    series = {info.ticker: info for info in b3_panel.store.series()}
    assert series["BBAS3.SA"].price_basis == "raw"
    assert series["BBAS3.SA"].first_day == first_days(1, exchange="BVMF", start=date(2018, 1, 1))[0]
    assert series["PETR3.SA"].price_basis == "fully_adjusted"


def test_the_samples_real_splits_are_flagged_and_its_real_crash_is_not(tmp_path: Path) -> None:
    sample = Collected("us_public_domain_2000_2013.parquet", tmp_path)

    assert sample.days("AAPL", Defect.UNADJUSTED_SPLIT) == (date(2000, 6, 21), date(2005, 2, 28))
    assert sample.days("MSFT", Defect.UNADJUSTED_SPLIT) == (date(2003, 2, 18),)
    assert date(2000, 9, 29) in sample.days("AAPL", Defect.LARGE_MOVE)
    assert sum(report.rows_out for report in sample.reports.values()) == 12_154


def test_an_open_of_nothing_is_dropped(tmp_path: Path) -> None:
    long = Collected("us_long_1970_2021.parquet", tmp_path)

    assert long.days("PFE", Defect.NON_POSITIVE_PRICE) == (date(1972, 6, 1),)
    assert long.total(Defect.NON_POSITIVE_PRICE) == 1
    assert date(1987, 10, 19) in long.days("MSFT", Defect.LARGE_MOVE)
