"""What was sealed cannot be changed, taken out or added to by SQL without being found, forecast by forecast."""

from datetime import timedelta
from hashlib import sha256

import pytest
from psycopg.errors import RestrictViolation
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.track_record import chain
from app.features.track_record.chain import Verified, chain_head, seal_days, verify_chain
from app.features.track_record.service import score_final_steps
from app.models.chain import ChainDay
from app.models.forecast import Forecast
from tests.app.features.track_record.tampering import tampered
from tests.app.features.track_record.truth import Truth, windows_at

FORGED = "UPDATE forecasts SET anchor = anchor + 1"
OTHERWISE = {
    "id": "gen_random_uuid()",
    "kind": "'hindcast'",
    "made_at": "made_at + interval '1 microsecond'",
    "adaptive_alpha": "ARRAY[[0.05]]",
    "drift": "'[]'::jsonb",
    "log_returns": "array_replace(log_returns, log_returns[17][2], log_returns[17][2] + 1e-15)",
    "naive_log_returns": "array_replace(naive_log_returns, naive_log_returns[1][1], 0)",
    "levels": "levels[1:8]",
    "probability_up": "probability_up[1:29]",
    "target_trading_days": "target_trading_days[1:29]",
    "known_at": "known_at[1:29]",
}
BY_TYPE = {"TEXT": "{0} || '.'", "DATE": "{0} + 1", "INTEGER": "{0} + 1", "DATETIME": "{0} + interval '1 second'"}


@pytest.fixture
async def truth(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> Truth:
    """Two tickers forecast on each of three days; the first two days are sealed."""
    truth = Truth(settings, sessions)
    champion = await truth.champion()
    for windows in zip(
        *(windows_at([300, 301, 302], ticker, seed=len(ticker)) for ticker in ("AAA", "BB")), strict=True
    ):
        await truth.publish(*windows)
        for window in windows:
            await truth.freeze(champion, window.ticker)
    assert await seal_days(truth.tools) == 2
    return truth


async def verified_after(engine: AsyncEngine, *statements: str) -> Verified:
    """What a verification says then."""
    async with tampered(engine, *statements) as sessions:
        return await verify_chain(sessions)


async def test_what_nobody_touched_is_verified(truth: Truth, db: AsyncSession) -> None:
    """Two days with two forecasts each; today's are not sealed yet, and sealing again adds nothing."""
    verified = await verify_chain(truth.tools.sessions)

    links = (await db.scalars(select(ChainDay).order_by(ChainDay.day))).all()
    assert (verified.days, verified.forecasts, verified.unsealed, verified.findings) == (2, 4, 2, ())
    assert (links[0].previous, links[1].previous) == (bytes(32), links[0].head)
    assert verified.head == await chain_head(db)
    assert await seal_days(truth.tools) == 0


async def test_a_forecast_that_was_taken_off_the_list_of_what_is_to_be_scored_is_found(
    truth: Truth, engine: AsyncEngine, db: AsyncSession
) -> None:
    """It would never be scored, and its errors be missing in the track record."""
    spared = await db.scalar(select(Forecast.id).order_by(Forecast.made_at, Forecast.id).limit(1))

    verified = await verified_after(engine, f"DELETE FROM open_forecasts WHERE forecast_id = '{spared}'")  # noqa: S608

    (finding,) = verified.findings
    assert (finding.forecast_id, "nor still to be scored" in finding.what) == (spared, True)


async def test_a_head_is_what_its_rows_make_it(truth: Truth, db: AsyncSession) -> None:
    """Computed here by hand from the rows as PostgreSQL sends them."""
    first = (await db.scalars(select(ChainDay).order_by(ChainDay.day).limit(1))).one()
    columns = ", ".join(column.name for column in Forecast.__table__.columns)
    rows = await db.execute(
        text(f"SELECT id, record_send(ROW({columns})) FROM forecasts WHERE made_at::date = :day ORDER BY id"),  # noqa: S608
        {"day": first.day},
    )
    leaves = b"".join(forecast_id.bytes + sha256(sent).digest() for forecast_id, sent in rows)

    head = sha256(b"closecast chain 1" + bytes(32) + str(first.day).encode() + (2).to_bytes(8, "big") + leaves)
    assert first.head == head.digest()


async def test_every_column_is_sealed(truth: Truth, engine: AsyncEngine, db: AsyncSession) -> None:
    """Each of them changed by a hair in one sealed row; the finding names that row, or its going and coming."""
    columns = {column.name: str(column.type) for column in Forecast.__table__.columns}
    assert tuple(columns) == chain.COLUMNS
    changed = await db.scalar(select(Forecast.id).order_by(Forecast.made_at, Forecast.id).limit(1))
    for name, kind in columns.items():
        value = OTHERWISE.get(name) or BY_TYPE.get(kind, "{0} * (1 + 1e-15)").format(name)
        statement = f"UPDATE forecasts SET {name} = {value} WHERE id = '{changed}'"  # noqa: S608 (our own names)
        verified = await verified_after(engine, statement)

        assert {finding.forecast_id for finding in verified.findings} >= {changed}, name
        assert len(verified.findings) == (2 if name == "id" else 1), name


async def test_rows_that_were_taken_out_or_put_in_are_named(truth: Truth, engine: AsyncEngine) -> None:
    """One gone and a copy of another in its place, on a sealed day."""
    names = ", ".join(chain.COLUMNS[1:])
    values = names.replace("ticker", "'CCC'", 1)
    copied = (
        f"INSERT INTO forecasts (id, {names}) SELECT gen_random_uuid(), {values} "  # noqa: S608 (our own names)
        "FROM forecasts WHERE ticker = 'AAA' ORDER BY made_at LIMIT 1"
    )
    gone = "DELETE FROM forecasts WHERE id = (SELECT id FROM forecasts WHERE ticker = 'BB' ORDER BY made_at LIMIT 1)"

    verified = await verified_after(engine, gone, copied)

    assert sorted(finding.what for finding in verified.findings) == [
        "added after the day was sealed: forecast",
        "sealed and no longer there: forecast",
    ]


async def test_changed_links_are_found(truth: Truth, engine: AsyncEngine) -> None:
    """Its head, its count, its leaves, its place; the first one gone; and a day slipped in before the first."""
    for statement, wanted in (
        ("UPDATE chain_days SET head = sha256('x') WHERE day = (SELECT min(day) FROM chain_days)", 3),
        ("UPDATE chain_days SET n_forecasts = 3 WHERE day = (SELECT min(day) FROM chain_days)", 1),
        ("UPDATE chain_days SET leaves = leaves || leaves WHERE day = (SELECT max(day) FROM chain_days)", 1),
        ("UPDATE chain_days SET previous = sha256('x') WHERE day = (SELECT max(day) FROM chain_days)", 2),
        ("DELETE FROM chain_days WHERE day = (SELECT min(day) FROM chain_days)", 3),
        ("UPDATE forecasts SET made_at = made_at - interval '9 days' WHERE ticker = 'AAA'", 3),
    ):
        verified = await verified_after(engine, statement)
        assert len(verified.findings) == wanted, (statement, verified.findings)


@pytest.mark.parametrize(
    ("statement", "gone"),
    [("DELETE FROM chain_days", 2), ("DELETE FROM chain_days WHERE day = (SELECT max(day) FROM chain_days)", 1)],
    ids=["all", "newest"],
)
async def test_links_that_were_taken_out_at_the_end_are_missed_and_not_made_anew(
    truth: Truth, engine: AsyncEngine, caplog: pytest.LogCaptureFixture, statement: str, gone: int
) -> None:
    """Before the next run and after it, which seals nothing and says so; so what was forged is found."""
    async with tampered(engine, statement, FORGED) as sessions:
        before = await verify_chain(sessions)
        tools = type(truth.tools)(truth.tools.settings, sessions, lambda: truth.now + timedelta(days=9))
        sealed = await seal_days(tools)
        after = await verify_chain(sessions)

    assert (sealed, after) == (0, before)
    assert [finding.what for finding in before.findings].count("the link was taken out") == gone
    assert "the hash chain was changed and is not continued" in caplog.text


async def test_forecasts_of_a_day_that_a_run_must_have_sealed_are_found_without_their_link(
    truth: Truth, engine: AsyncEngine
) -> None:
    """Both notes of the links gone: the worker scored after those days were to be sealed. The newest day is not due."""
    await score_final_steps(truth.tools)
    clean = await verify_chain(truth.tools.sessions)
    verified = await verified_after(engine, "DELETE FROM chain_days", "DELETE FROM chain_seals", FORGED)

    assert clean.findings == ()
    assert [finding.what for finding in verified.findings] == [
        "before this day and after the newest link there are forecasts: 4"
    ]


async def test_a_chain_made_anew_lacks_the_head_that_was_noted(truth: Truth, engine: AsyncEngine) -> None:
    """Who rewrites everything is found by whoever kept a head of before."""
    noted = (await verify_chain(truth.tools.sessions)).head
    assert noted is not None
    async with tampered(engine, "DELETE FROM chain_days", "DELETE FROM chain_seals", FORGED) as sessions:
        tools = type(truth.tools)(truth.tools.settings, sessions, truth.tools.clock)
        assert await seal_days(tools) == 2
        believed = await verify_chain(sessions)
        checked = await verify_chain(sessions, noted_head=noted.head)

    assert believed.findings == ()
    assert [finding.what for finding in checked.findings] == [f"no link has the noted head {noted.head.hex()}"]


async def test_a_day_is_sealed_an_hour_after_its_end(truth: Truth) -> None:
    """Whoever froze a forecast at its last instant has committed it by then."""
    truth.now = (truth.now + timedelta(days=1)).replace(hour=0, minute=59)
    too_early = await seal_days(truth.tools)
    truth.now += timedelta(minutes=2)

    assert (too_early, await seal_days(truth.tools)) == (0, 1)


async def test_links_can_not_be_changed_by_accident(truth: Truth, db: AsyncSession) -> None:
    """Triggers refuse it, as they do for forecasts."""
    heads = ("UPDATE chain_seals SET head = ''", "DELETE FROM chain_seals", "TRUNCATE chain_seals")
    for statement in ("UPDATE chain_days SET n_forecasts = 0", "DELETE FROM chain_days", "TRUNCATE chain_days", *heads):
        with pytest.raises(DBAPIError) as refused:
            await db.execute(text(statement))
        assert isinstance(refused.value.orig, RestrictViolation)
        await db.rollback()
