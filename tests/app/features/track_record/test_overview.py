"""The whole record over HTTP: tables, reliability and errors over time, from scores that were really made."""

import csv
from collections import defaultdict
from datetime import date, timedelta
from io import StringIO
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.track_record import overview
from app.features.track_record.service import score_final_steps
from app.models.forecast import Forecast
from app.models.score import Score
from tests.app import networks
from tests.app.accounts import Account
from tests.app.features.track_record.truth import Truth, windows_at

UNKNOWN_BUNDLE = "0" * 64


@pytest.fixture
async def truth(settings: Settings, sessions: async_sessionmaker[AsyncSession], db: AsyncSession) -> Truth:
    """A network forecasts two tickers on seven days, all scored; a third one as a hindcast; of a fourth, nothing."""
    truth = Truth(settings, sessions)
    await truth.champion()
    await networks.promote(db, await networks.register(db, networks.write_network(settings.bundles)))
    champion = await truth.champion()
    for ticker, seed in (("AAPL", 7), ("PETR4.SA", 8)):
        *known, last = windows_at(range(300, 308), ticker, seed=seed)
        for window in known:
            await truth.publish(window)
            await truth.freeze(champion, ticker)
        await truth.publish(last)
    early, late = windows_at([300, 306], "OLD", live=False, seed=9)
    await truth.publish(early)
    await truth.freeze(champion, "OLD")
    await truth.publish(late, *windows_at([300], "NEW", seed=10))
    await score_final_steps(truth.tools)
    return truth


@pytest.fixture
def ask(client: httpx.AsyncClient, registered_user: Account, truth: Truth) -> Any:
    """Read a part of the record that ``truth`` made."""

    async def read(path: str) -> Any:
        answer = await client.get(f"/track-record/{path}", headers=registered_user.headers)
        return answer.json() if answer.headers["content-type"] == "application/json" else answer

    return read


async def scored(db: AsyncSession, *, kind: str, step: int) -> list[tuple[Forecast, Score]]:
    """Forecasts with what came of one step, to work figures out by hand."""
    rows = select(Forecast, Score).join(Score, Score.forecast_id == Forecast.id)
    found = await db.execute(rows.where(Forecast.kind == kind, Score.step == step, Score.log_return.is_not(None)))
    return [(forecast, score) for forecast, score in found]


async def test_every_ticker_stands_in_the_table_in_the_order_of_any_figure(ask: Any, db: AsyncSession) -> None:
    """The good and the bad; those that lack the figure come last, both ways; page after page nothing is left out."""
    table = (await ask("tickers?sort=relative_mae"))["items"]
    ratios = {row["ticker"]: row["relative_mae"] for row in table}
    down = (await ask("tickers?sort=relative_mae&descending=true"))["items"]
    pages = [(await ask(f"tickers?limit=1&cursor={cursor}")) for cursor in range(4)]
    hindcasts = {row["ticker"]: row["scored"] for row in (await ask("tickers?kind=hindcast"))["items"]}

    sums: dict[str, np.ndarray[Any, Any]] = defaultdict(lambda: np.zeros(2))
    for forecast, score in await scored(db, kind="live", step=1):
        sums[forecast.ticker] += (score.absolute_error, score.naive_absolute_error)
    expected = {ticker: own / naive for ticker, (own, naive) in sums.items()}
    assert {ticker: ratio for ticker, ratio in ratios.items() if ratio is not None} == pytest.approx(expected)
    ordered = sorted(expected, key=expected.__getitem__)
    assert list(ratios) == [*ordered, "NEW", "OLD"]
    assert [row["ticker"] for row in down] == [*reversed(ordered), "NEW", "OLD"]
    assert [page["items"][0]["ticker"] for page in pages] == ["AAPL", "NEW", "OLD", "PETR4.SA"]
    assert [page["next_cursor"] for page in pages] == ["1", "2", "3", None]
    assert hindcasts == {"AAPL": 0, "NEW": 0, "OLD": 1, "PETR4.SA": 0}
    for figure in ("scored", "pinball_skill", "directional_accuracy", "newest_outcome"):
        items = (await ask(f"tickers?sort={figure}&descending=true"))["items"]
        shown = [row[figure] for row in items if row[figure] is not None]
        assert shown == sorted(shown, reverse=True)
        assert len(shown) >= 2


async def test_the_table_is_downloaded_whole(ask: Any) -> None:
    """One line a ticker, in the order asked for, what is not known left empty."""
    answer = await ask("tickers.csv?sort=ticker&descending=true")
    rows = list(csv.DictReader(StringIO(answer.text, newline="")))
    shown = {row["ticker"]: row for row in (await ask("tickers"))["items"]}

    assert answer.headers["content-disposition"] == 'attachment; filename="closecast-track-record-live-1-all.csv"'
    assert [row["ticker"] for row in rows] == ["PETR4.SA", "OLD", "NEW", "AAPL"]
    assert float(rows[-1]["relative_mae_to_naive"]) == shown["AAPL"]["relative_mae"]
    assert float(rows[-1]["coverage_80"]) == shown["AAPL"]["coverage"]["80"]
    assert (rows[1]["relative_mae_to_naive"], rows[1]["scored"], rows[1]["newest_outcome"]) == ("", "0", "")


async def test_reliability_counts_the_outcomes_at_or_below_each_quantile(
    ask: Any, db: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forecast's and the naive's, worked out by hand; of the newest alone, however long the log grows."""
    told = (await ask("calibration?horizon=5"))["levels"]
    rows = await scored(db, kind="live", step=5)
    levels = rows[0][0].levels

    own = np.mean([np.array(forecast.log_returns[4]) >= score.log_return for forecast, score in rows], axis=0)
    naive = np.mean(
        [np.array(forecast.naive_log_returns or ())[4] >= score.log_return for forecast, score in rows], axis=0
    )
    live = [each for each in told if each["kind"] == "live"]
    assert [each["level"] for each in live] == levels
    assert [each["observed"] for each in live] == pytest.approx(own)
    assert [each["naive_observed"] for each in live] == pytest.approx(naive)
    assert {each["n"] for each in live} == {len(rows)} == {6}
    assert {each["n"] for each in told if each["kind"] == "hindcast"} == {1}
    monkeypatch.setattr(overview, "MOST_OUTCOMES", 3)
    newest = await ask("calibration")
    assert (newest["most"], sum(each["n"] for each in newest["levels"] if each["level"] == 0.5)) == (3, 3)


async def test_errors_over_time_are_those_of_the_outcomes_of_each_week(ask: Any, db: AsyncSession) -> None:
    """By the day of the outcome, beside the naive's; nothing of unknown bundles and windows past; no other horizons."""
    weekly = (await ask("errors?by=week"))["periods"]
    monthly = (await ask("errors?by=month"))["periods"]

    sums: dict[date, np.ndarray[Any, Any]] = defaultdict(lambda: np.zeros(3))
    for _, score in await scored(db, kind="live", step=1):
        monday = score.trading_day - timedelta(days=score.trading_day.weekday())
        sums[monday] += (1, score.absolute_error, score.naive_absolute_error)
    live = [each for each in weekly if each["kind"] == "live"]
    assert [each["start"] for each in live] == [day.isoformat() for day in sorted(sums)]
    for each in live:
        n, own, naive = sums[date.fromisoformat(each["start"])]
        assert (each["scored"], each["mae"], each["naive_mae"]) == pytest.approx((n, own / n, naive / n))
        assert each["relative_mae"] == pytest.approx(own / naive)
    assert {each["start"][-2:] for each in monthly} == {"01"}
    assert sum(each["scored"] for each in monthly) == sum(each["scored"] for each in weekly) == 15
    empty = [(await ask(f"{path}?bundle={UNKNOWN_BUNDLE}")) for path in ("calibration", "errors")]
    past = [(await ask(f"{path}?window=365")) for path in ("calibration", "errors")]
    assert [each.get("levels", each.get("periods")) for each in (*empty, *past)] == [[]] * 4
    for query in ("tickers?horizon=6", "tickers?sort=price", "errors?by=year", "tickers.csv?limit=3"):
        assert (await ask(query)).status_code == 422, query
