"""The sums that the track record shows are those of the scores, or it is told which are not."""

import pytest
from sqlalchemy import Double, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.track_record.finding import Finding
from app.features.track_record.recount import COUNTED, TOLD, recount
from app.features.track_record.service import score_final_steps
from app.models.score import Score, ScoreDay, TickerScoreDay, TickerScoreSum
from tests.app.features.track_record.tampering import tampered
from tests.app.features.track_record.truth import Truth, windows_at

ALL_SUMS = {sums.__table__.name: sums.__table__ for sums in (ScoreDay, TickerScoreDay, TickerScoreSum)}
FIGURES = [
    (table, column.name) for table, stored in ALL_SUMS.items() for column in stored.columns if not column.primary_key
]


@pytest.fixture
async def truth(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> Truth:
    """Two tickers with each step scored on days of two runs, and one that was halted: its steps are void."""
    truth = Truth(settings, sessions)
    champion = await truth.champion()
    (halted,) = windows_at([300], "HALT", whole=350)
    others = [windows_at([300, 310, 350], ticker, seed=seed, whole=350) for seed, ticker in enumerate(("AAA", "BBB"))]
    await truth.publish(halted, *(windows[0] for windows in others))
    for ticker in ("HALT", "AAA", "BBB"):
        await truth.freeze(champion, ticker)
    for later in (1, 2):
        await truth.publish(*(windows[later] for windows in others))
        await score_final_steps(truth.tools)
    return truth


async def found_after(engine: AsyncEngine, *statements: str) -> list[Finding]:
    """What a recount finds then."""
    async with tampered(engine, *statements) as sessions:
        return await recount(sessions)


async def test_sums_that_nobody_touched_are_those_of_their_scores(truth: Truth, db: AsyncSession) -> None:
    """Of scored and of void steps, grown over two runs."""
    by_status = {status: n for status, n in await db.execute(select(Score.status, func.count()).group_by(Score.status))}  # noqa: C416

    assert by_status == {"scored": 60, "void": 30}
    assert await recount(truth.tools.sessions) == []


async def test_a_figure_that_was_changed_is_found(truth: Truth, engine: AsyncEngine) -> None:
    """Each column of each kind of sums: counts and days by one, sums of errors by a hundred-millionth."""
    for table, figure in FIGURES:
        less = f"{figure} * (1 - 1e-8)" if isinstance(ALL_SUMS[table].c[figure].type, Double) else f"{figure} - 1"
        first = f"(SELECT min(ctid) FROM {table} WHERE n > 0)"  # noqa: S608 (names from above)

        found = await found_after(engine, f"UPDATE {table} SET {figure} = {less} WHERE ctid = {first}")  # noqa: S608

        assert [f": {table} of " in finding.what for finding in found] == [True], (table, figure, found)


async def test_sums_without_their_scores_and_scores_without_their_sums_are_found(
    truth: Truth, engine: AsyncEngine
) -> None:
    """Taken out, renamed, improved, moved: on either side."""
    for statement, tables in (
        ("DELETE FROM score_days WHERE voids > 0", {"score_days"}),
        ("DELETE FROM ticker_score_sums WHERE ticker = 'HALT'", {"ticker_score_sums"}),
        ("UPDATE ticker_score_days SET ticker = 'CCC' WHERE ticker = 'BBB' AND step = 1", {"ticker_score_days"}),
        ("UPDATE scores SET absolute_error = absolute_error * 0.99", set(ALL_SUMS)),
        ("DELETE FROM scores WHERE status = 'void'", set(ALL_SUMS)),
        ("DELETE FROM scores WHERE step = 30", set(ALL_SUMS)),
        ("UPDATE scores SET trading_day = trading_day + 1 WHERE step = 6", {"score_days"}),
    ):
        findings = await found_after(engine, statement)
        assert {finding.what.split(": ")[1].split(" of ")[0] for finding in findings} == tables, statement


async def test_a_finding_names_its_sums(truth: Truth, engine: AsyncEngine) -> None:
    """By their key, so that the row can be looked at."""
    (finding,) = await found_after(
        engine, "UPDATE ticker_score_sums SET direction_hits = direction_hits + 1 WHERE ticker = 'AAA' AND step = 5"
    )

    assert str(finding) == "not the sums of their scores: ticker_score_sums of ticker AAA, kind live, step 5"


async def test_of_very_many_findings_some_are_told_and_that_there_are_more(truth: Truth, engine: AsyncEngine) -> None:
    """Ten times as many tickers as were ever scored."""
    columns = ", ".join(column.name for column in TickerScoreDay.__table__.columns if column.name != "ticker")
    copies = f"SELECT ticker || copy, {columns} FROM ticker_score_days, generate_series(1, 9) AS copy"  # noqa: S608

    findings = await found_after(engine, f"INSERT INTO ticker_score_days (ticker, {columns}) {copies}")

    assert len(findings) == TOLD + 1
    assert str(findings[-1]) == "more such sums in ticker_score_days"


def test_every_figure_of_the_sums_is_counted_anew() -> None:
    """A column that a migration adds to the sums needs its recount."""
    assert {figure for _, figure in FIGURES} == set(COUNTED)
