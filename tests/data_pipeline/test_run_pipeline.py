"""A run from source to data version: incremental, in one merge, and one bad ticker does not stop the rest."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_pipeline.errors import StoreConflictError
from data_pipeline.processing.quality import Defect
from data_pipeline.run_pipeline import CollectSummary, collect
from data_pipeline.sources.base import (
    FetchedBars,
    MalformedAnswerError,
    NoDataError,
    PriceBasis,
    RateLimitedError,
    SourceNetworkError,
    UnknownTickerError,
)
from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.ticker import MalformedTickerError
from data_pipeline.ticker_collection import OVERLAP_DAYS, Outcome
from tests.data_pipeline.made_bars import NOW, MemorySource, first_days, make_bars, make_fetched
from tests.data_pipeline.storage.rows import make_rows

DAYS = first_days(60)
YESTERDAY, TODAY = DAYS[49], DAYS[50]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store in which nothing is stored yet."""
    return FeatureStore(tmp_path / "a store")


def run(store: FeatureStore, *answers: FetchedBars, **asked: object) -> tuple[CollectSummary, MemorySource]:
    """Collect all that a source with these answers holds."""
    source = MemorySource({answer.ticker: answer for answer in answers})
    return collect(store, source, **{"now": NOW, **asked}), source  # type: ignore[arg-type]  # collect's own keywords


def outcome_of(summary: CollectSummary) -> Outcome:
    (result,) = summary.results
    return result.outcome


def test_a_first_run_stores_whole_histories_in_one_version(store: FeatureStore) -> None:
    summary, source = run(store, make_fetched(make_bars(DAYS), "AAA"), make_fetched(make_bars(DAYS[:9]), "BBB"))

    assert [(result.ticker, result.outcome, result.n_added) for result in summary.results] == [
        ("AAA", Outcome.ADDED, 60),
        ("BBB", Outcome.ADDED, 9),
    ]
    assert source.asked == [("AAA", None, None), ("BBB", None, None)]
    assert store.versions() == [summary.data_version]
    assert [series.n_bars for series in store.series()] == [60, 9]


def test_a_later_run_asks_for_new_bars_and_an_overlap(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50])))

    summary, source = run(store, make_fetched(make_bars(DAYS[:52])))

    assert (outcome_of(summary), summary.results[0].n_added) == (Outcome.ADDED, 2)
    assert source.asked == [("AAA", DAYS[50 - OVERLAP_DAYS], None)]
    assert store.read_bar_arrays("AAA").trading_day.tolist() == DAYS[:52]


def test_a_run_that_finds_nothing_new_makes_no_version(store: FeatureStore) -> None:
    first, _ = run(store, make_fetched(make_bars(DAYS)))

    again, _ = run(store, make_fetched(make_bars(DAYS)))

    assert outcome_of(again) is Outcome.UNCHANGED
    assert again.data_version == first.data_version
    assert again.results[0].quality == first.results[0].quality


def test_a_changed_past_bar_is_a_revision_and_fetches_the_whole_history_again(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50])))
    revised = make_bars(DAYS[:51])
    revised.loc[pd.Timestamp(DAYS[5]), "close"] = 10.06  # outside the overlap: seen only when all is fetched
    revised.loc[pd.Timestamp(DAYS[45]), "close"] = 10.46

    summary, source = run(store, make_fetched(revised))

    (result,) = summary.results
    assert (result.outcome, result.n_revised, result.n_added, result.n_removed) == (Outcome.REVISED, 2, 1, 0)
    assert source.asked == [("AAA", DAYS[30], None), ("AAA", DAYS[0], None)]
    assert store.read_bar_arrays("AAA").close[[5, 45]].tolist() == [10.06, 10.46]
    assert len(store.versions()) == 2


def test_a_dividend_that_adjusts_the_past_is_a_revision(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50])))
    paid = make_bars(DAYS[:51])
    paid.iloc[:50, paid.columns.get_loc("adj_close")] *= 0.99
    paid.iloc[50, paid.columns.get_loc("dividend")] = 0.1

    summary, _ = run(store, make_fetched(paid))

    assert (outcome_of(summary), summary.results[0].n_revised) == (Outcome.REVISED, 50)


def test_a_past_bar_that_the_source_withdraws_is_removed(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50])))
    withdrawn = make_bars(DAYS[:51]).drop(pd.Timestamp(DAYS[45]))

    summary, _ = run(store, make_fetched(withdrawn))

    assert (outcome_of(summary), summary.results[0].n_removed) == (Outcome.REVISED, 1)
    assert store.read_bar_arrays("AAA").trading_day.tolist() == [*DAYS[:45], *DAYS[46:51]]


def test_a_past_bar_that_turns_up_late_is_a_revision(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50]).drop(pd.Timestamp(DAYS[45]))))

    summary, _ = run(store, make_fetched(make_bars(DAYS[:50])))

    assert outcome_of(summary) is Outcome.REVISED
    assert summary.results[0].quality is not None
    assert summary.results[0].quality.days == {}


def test_a_new_split_replaces_the_history_in_one_version(store: FeatureStore) -> None:
    """On raw prices a split changes no past close: only the event itself tells."""
    raw = make_bars(DAYS[:50], [10.0] * 50)
    run(store, make_fetched(raw, price_basis=PriceBasis.RAW))
    split = make_bars(DAYS[:51], [10.0] * 50 + [5.0])
    split["adj_close"] = 5.0
    split.iloc[50, split.columns.get_loc("split")] = 2.0

    # The overlap's adjusted closes changed as well in life; here they are held back to see the event alone at work.
    split.iloc[:50, split.columns.get_loc("adj_close")] = 10.0
    summary, source = run(store, make_fetched(split, price_basis=PriceBasis.RAW))

    assert outcome_of(summary) is Outcome.REPLACED
    assert len(source.asked) == 2
    assert len(store.versions()) == 2


@pytest.mark.parametrize("change", [{"source": "other"}, {"price_basis": PriceBasis.RAW}, {"exchange": "XTSE"}])
def test_another_source_or_basis_replaces_the_whole_history(store: FeatureStore, change: dict[str, str]) -> None:
    run(store, make_fetched(make_bars(DAYS[:50])))

    summary, _ = run(store, make_fetched(make_bars(DAYS[10:52], np.arange(42) + 50.0), **change))  # type: ignore[arg-type]  # its own keywords

    (result,) = summary.results
    assert (result.outcome, result.n_removed) in {(Outcome.REPLACED, 10), (Outcome.REPLACED, 50)}
    assert store.read_bar_arrays("AAA").trading_day.tolist() == DAYS[10:52]
    assert len(store.versions()) == 2
    assert len(store.series()) == 1


def test_a_fall_back_that_is_behind_does_not_take_live_bars_away(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50]), source="yahoo"))

    summary, _ = run(store, make_fetched(make_bars(DAYS[:45]), source="files", live=False))

    (result,) = summary.results
    assert (result.outcome, result.source) == (Outcome.UNCHANGED, "yahoo")
    assert result.note == f"kept the bars of yahoo to {DAYS[49]}: files has no newer ones"
    assert len(store.read_bar_arrays("AAA")) == 50


def test_a_fall_back_is_told_with_its_reason(store: FeatureStore) -> None:
    away = SourceNetworkError("AAA", "yahoo", "no route")
    fetched = replace(make_fetched(make_bars(DAYS[:50]), source="files", live=False), passed_over=(away,))

    told = [run(store, fetched, **asked)[0].results[0] for asked in ({}, {}, {"force": True})]

    assert [result.outcome for result in told] == [Outcome.ADDED, Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert {result.note for result in told} == {"fall-back: yahoo failed: no route"}
    assert {result.passed_over for result in told} == {(away,)}


def test_a_fall_back_that_is_behind_is_told_with_its_reason_too(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50]), source="yahoo"))
    away = SourceNetworkError("AAA", "yahoo", "no route")
    behind = make_fetched(make_bars(DAYS[:45]), source="files", live=False)

    summary, _ = run(store, replace(behind, passed_over=(away,)))

    kept = f"kept the bars of yahoo to {DAYS[49]}: files has no newer ones"
    assert summary.results[0].note == f"fall-back: yahoo failed: no route; {kept}"


def test_force_takes_the_fall_back_all_the_same(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50]), source="yahoo"))

    summary, _ = run(store, make_fetched(make_bars(DAYS[:45]), source="files", live=False), force=True)

    assert outcome_of(summary) is Outcome.REPLACED
    assert len(store.read_bar_arrays("AAA")) == 45


def test_force_fetches_from_the_first_bar_on(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[10:50])))

    summary, source = run(store, make_fetched(make_bars(DAYS[:50])), force=True)

    assert source.asked == [("AAA", None, None)]
    assert summary.results[0].n_added == 10
    assert len(store.read_bar_arrays("AAA")) == 50


def test_an_earlier_start_widens_the_stored_history(store: FeatureStore) -> None:
    history = make_fetched(make_bars(DAYS))
    run(store, history, start=DAYS[20])

    _, source = run(store, history, start=DAYS[10])

    assert source.asked == [("AAA", DAYS[10], None)]
    assert store.read_bar_arrays("AAA").trading_day.tolist() == DAYS[10:]


def test_a_later_start_never_cuts_the_stored_history(store: FeatureStore) -> None:
    history = make_fetched(make_bars(DAYS), live=False)
    run(store, history)

    summary, _ = run(store, history, start=DAYS[20], force=True)

    assert outcome_of(summary) is Outcome.UNCHANGED
    assert len(store.read_bar_arrays("AAA")) == 60


def test_a_run_with_an_end_can_be_repeated(store: FeatureStore) -> None:
    history = make_fetched(make_bars(DAYS), live=False)
    run(store, history, end=DAYS[40])

    again, _ = run(store, history, end=DAYS[40])
    earlier, _ = run(store, history, end=DAYS[30])

    assert (outcome_of(again), outcome_of(earlier)) == (Outcome.UNCHANGED, Outcome.UNCHANGED)
    assert store.read_bar_arrays("AAA").trading_day.tolist() == DAYS[:40]


def test_half_a_history_is_not_taken_for_the_whole(store: FeatureStore) -> None:
    """The overlap differs, so all is fetched, and the answer begins two months late: nothing stored is lost to it."""
    run(store, make_fetched(make_bars(DAYS[:50])))
    broken = make_bars(DAYS[42:51], [11.0] * 9)

    summary, _ = run(store, make_fetched(broken))

    assert isinstance(summary.failed[0].error, MalformedAnswerError)
    assert len(store.read_bar_arrays("AAA")) == 50


def test_a_source_that_has_nothing_for_the_overlap_leaves_the_stored_bars(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50])))

    summary, _ = run(store, make_fetched(make_bars(DAYS[:20])))

    assert outcome_of(summary) is Outcome.UNCHANGED
    assert len(store.read_bar_arrays("AAA")) == 50


def test_an_unfinished_bar_is_stored_when_it_is_final_and_not_before(store: FeatureStore) -> None:
    close = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(hours=20)  # 16:00 in New York, summer time
    running = make_bars(DAYS[:51])
    running.loc[pd.Timestamp(TODAY), "close"] = 99.0

    early, _ = run(store, make_fetched(running), now=close + timedelta(minutes=59))
    late, _ = run(store, make_fetched(make_bars(DAYS[:51])), now=close + timedelta(minutes=60))

    assert early.results[0].quality is not None
    assert early.results[0].quality.days == {Defect.UNFINISHED: (TODAY,)}
    assert (outcome_of(late), late.results[0].n_added) == (Outcome.ADDED, 1)
    assert late.results[0].quality is not None
    assert late.results[0].quality.days == {}
    assert store.read_bar_arrays("AAA").close[-1] == 10.5


def test_one_bad_ticker_does_not_stop_the_rest(store: FeatureStore) -> None:
    source = MemorySource(
        {
            "AAA": make_fetched(make_bars(DAYS), "AAA"),
            "EMPTY": make_fetched(make_bars([]), "EMPTY"),
            "LIMITED": RateLimitedError("LIMITED", "memory", "too many requests"),
            "NOWHERE": make_fetched(make_bars(DAYS), "NOWHERE", exchange="NOWHERE"),
            "TEXT": make_fetched(make_bars(DAYS).assign(close="ten"), "TEXT"),
            "ZZZ": make_fetched(make_bars(DAYS), "ZZZ"),
        }
    )

    summary = collect(store, source, ["AAA", "EMPTY", "LIMITED", "NOWHERE", "TEXT", "../etc", "GONE", "ZZZ"], now=NOW)

    assert [result.outcome for result in summary.results] == [Outcome.ADDED, *[Outcome.FAILED] * 6, Outcome.ADDED]
    assert [type(result.error).__name__ for result in summary.failed] == [
        NoDataError.__name__,
        RateLimitedError.__name__,
        "UnknownCalendarError",
        MalformedAnswerError.__name__,
        MalformedTickerError.__name__,
        UnknownTickerError.__name__,
    ]
    assert [series.ticker for series in store.series()] == ["AAA", "ZZZ"]


def test_when_every_ticker_fails_nothing_is_stored(store: FeatureStore) -> None:
    summary = collect(store, MemorySource({}), ["GONE"], now=NOW)

    assert (summary.data_version, len(summary.failed)) == (None, 1)


def test_a_ticker_named_twice_is_collected_once(store: FeatureStore) -> None:
    source = MemorySource({"AAA": make_fetched(make_bars(DAYS))})

    assert len(collect(store, source, ["AAA", "AAA"], now=NOW).results) == 1


def test_progress_is_told_after_each_ticker(store: FeatureStore) -> None:
    told: list[tuple[int, int, str]] = []

    run(
        store,
        make_fetched(make_bars(DAYS), "AAA"),
        make_fetched(make_bars(DAYS), "BBB"),
        progress=lambda *step: told.append(step),
    )

    assert told == [(1, 2, "AAA"), (2, 2, "BBB")]


def test_a_ticker_that_another_run_replaced_meanwhile_fails_and_the_others_are_stored(store: FeatureStore) -> None:
    run(store, make_fetched(make_bars(DAYS[:50]), "AAA"))

    class Intruded(MemorySource):
        """Another run replaces AAA by raw bars while this one fetches."""

        def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
            if ticker == "AAA":
                store.merge(make_rows("AAA", DAYS[:40], price_basis=PriceBasis.RAW), replaced=["AAA"])
            return super().fetch_bars(ticker, start, end)

    source = Intruded({name: make_fetched(make_bars(DAYS), name) for name in ("AAA", "BBB")})
    summary = collect(store, source, now=NOW)

    assert [result.outcome for result in summary.results] == [Outcome.FAILED, Outcome.ADDED]
    assert isinstance(summary.failed[0].error, StoreConflictError)
    assert [(series.ticker, series.n_bars) for series in store.series()] == [("AAA", 40), ("BBB", 60)]


def test_the_report_of_a_later_run_is_on_the_whole_history(store: FeatureStore) -> None:
    weekend = pd.concat([make_bars(DAYS[:50]), make_bars(["2024-01-06"])])
    run(store, make_fetched(weekend))

    summary, _ = run(store, make_fetched(pd.concat([make_bars(DAYS[:52]), make_bars(["2024-03-16"])])))

    report = summary.results[0].quality
    assert report is not None
    assert report.days == {Defect.NON_TRADING_DAY: (date(2024, 1, 6), date(2024, 3, 16))}
    assert (report.rows_in, report.rows_out) == (54, 52)
    assert store.quality.read() == [report]
    assert store.quality.read(version=1)[0].days == {Defect.NON_TRADING_DAY: (date(2024, 1, 6),)}


def test_a_ticker_whose_report_is_lost_is_checked_from_its_first_bar_on(store: FeatureStore, tmp_path: Path) -> None:
    run(store, make_fetched(make_bars(DAYS).drop(pd.Timestamp(DAYS[5]))))
    (tmp_path / "a store" / "quality").rename(tmp_path / "lost")

    summary, source = run(store, make_fetched(make_bars(DAYS).drop(pd.Timestamp(DAYS[5]))))

    assert source.asked == [("AAA", DAYS[0], None)]
    assert outcome_of(summary) is Outcome.UNCHANGED
    assert store.quality.read()[0].days == {Defect.HOLE: (DAYS[5],)}


def test_a_hole_that_an_exchange_shares_is_a_question(store: FeatureStore) -> None:
    holed = make_bars(DAYS).drop(pd.Timestamp(DAYS[5]))

    summary, _ = run(
        store, make_fetched(holed, "AAA"), make_fetched(holed, "BBB"), make_fetched(make_bars(DAYS), "CCC")
    )

    assert [(question.day, question.n_disagreeing) for question in summary.questions] == [(DAYS[5], 2)]
    assert all(result.quality is not None and result.quality.days == {} for result in summary.results)


def test_a_later_ticker_joins_the_question_that_stored_ones_asked(store: FeatureStore) -> None:
    holed = make_bars(DAYS).drop(pd.Timestamp(DAYS[5]))
    run(store, make_fetched(holed, "AAA"), make_fetched(holed, "BBB"))

    summary, _ = run(store, make_fetched(holed, "CCC"))

    assert [question.n_disagreeing for question in summary.questions] == [3]


def test_questions_about_other_exchanges_are_not_repeated(store: FeatureStore) -> None:
    holed = make_bars(DAYS).drop(pd.Timestamp(DAYS[5]))
    run(store, make_fetched(holed, "AAA"), make_fetched(holed, "BBB"))

    summary, _ = run(store, make_fetched(make_bars(first_days(9, exchange="BVMF")), "CCC.SA", exchange="BVMF"))

    assert summary.questions == ()
