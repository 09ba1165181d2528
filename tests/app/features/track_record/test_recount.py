"""The sums that the track record shows are those of the scores, or it is told which are not."""

import pytest
from sqlalchemy import Double, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.track_record import recount as module
from app.features.track_record.finding import Finding
from app.features.track_record.recount import ALL_SUMS as KINDS
from app.features.track_record.recount import COUNTED, TOLD, Recounted, recount
from app.features.track_record.service import score_final_steps
from app.models.score import Score, TickerScoreDay
from ml_lifecycle.export.manifest import HORIZONS
from tests.app.features.track_record.tampering import tampered
from tests.app.features.track_record.truth import Truth, windows_at

ALL_SUMS = {sums.__tablename__: sums.__table__ for sums in KINDS}
NO_NUMBERS = ("'Infinity'", "'-Infinity'", "'NaN'")
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


async def found_after(engine: AsyncEngine, *statements: str) -> tuple[Finding, ...]:
    """What a recount finds then."""
    async with tampered(engine, *statements) as sessions:
        return (await recount(sessions)).findings


async def test_sums_that_nobody_touched_are_those_of_their_scores(truth: Truth, db: AsyncSession) -> None:
    """Of scored and of void steps, grown over two runs."""
    counted = await db.execute(select(Score.status, func.count()).group_by(Score.status))
    by_status = {status: n for status, n in counted}  # noqa: C416 (rows are no pairs to mypy)

    assert by_status == {"scored": 60, "void": 30}
    assert await recount(truth.tools.sessions) == Recounted(30 + 3 * len(HORIZONS) + 3 * len(HORIZONS), ())


async def test_a_figure_that_was_changed_is_found(truth: Truth, engine: AsyncEngine) -> None:
    """Each column of each kind of sums: counts and days by one, sums of errors by a hundred-millionth."""
    for table, figure in FIGURES:
        is_float = isinstance(ALL_SUMS[table].c[figure].type, Double)
        first = f"(SELECT min(ctid) FROM {table} WHERE n > 0)"  # noqa: S608 (names from above)
        for other in (f"{figure} * (1 - 1e-8)", *NO_NUMBERS) if is_float else (f"{figure} - 1",):
            found = await found_after(engine, f"UPDATE {table} SET {figure} = {other} WHERE ctid = {first}")  # noqa: S608 (as above)
            assert [f": {table} of " in finding.what for finding in found] == [True], (table, figure, other, found)


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


async def test_what_no_program_can_read_is_a_finding_and_no_crash(truth: Truth, engine: AsyncEngine) -> None:
    """Days beyond any calendar, and scores of which there is no sum."""
    (far,) = await found_after(
        engine, "UPDATE ticker_score_sums SET newest_outcome = 'infinity' WHERE ticker = 'AAA' AND step = 1"
    )
    moved = await found_after(engine, "UPDATE score_days SET trading_day = 'infinity' WHERE step = 5")
    endless = await found_after(engine, "UPDATE scores SET absolute_error = 1.7e308 WHERE step = 1")

    assert far.what.startswith("not the sums of their scores: ticker_score_sums of ticker AAA")
    assert any("trading_day infinity" in finding.what for finding in moved)
    assert endless[0].what.startswith("score_days cannot be counted anew: value out of range")
    assert any(": ticker_score_days of " in finding.what for finding in endless[1:])


async def test_a_table_that_somebody_else_wants_for_himself_is_not_waited_for(
    truth: Truth, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration, say: whoever asks is told so in one line."""
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.1)
    async with engine.connect() as other, other.begin():
        await other.execute(text("LOCK TABLE scores IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(OperationalError, match="lock timeout"):
            await recount(truth.tools.sessions)


async def test_of_very_many_findings_some_are_told_and_that_there_are_more(truth: Truth, engine: AsyncEngine) -> None:
    """Ten times as many tickers as were ever scored."""
    columns = ", ".join(column.name for column in TickerScoreDay.__table__.columns if column.name != "ticker")
    copies = f"SELECT ticker || copy, {columns} FROM ticker_score_days, generate_series(1, 9) AS copy"  # noqa: S608 (our own names)

    findings = await found_after(engine, f"INSERT INTO ticker_score_days (ticker, {columns}) {copies}")

    assert len(findings) == TOLD + 1
    assert str(findings[-1]) == "more such sums in ticker_score_days"


def test_every_figure_of_the_sums_is_counted_anew() -> None:
    """A column that a migration adds to the sums needs its recount."""
    assert {figure for _, figure in FIGURES} == set(COUNTED)
