"""`closecast score`, `verify-log` and `explain`, as a shell sees them."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from pydantic import SecretStr

from app.config import Settings
from app.features.market_data.collecting import build_window
from app.features.market_data.service import row_of
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import forecast_values
from app.features.stock_prediction.unfrozen import served_champion
from app.supervisor.one_session import one_session
from tests.cli.conftest import Closecast
from tests.database import temporary_database

CUTOFF = date(2013, 1, 15)


@pytest.fixture
def forecast_id(closecast: Closecast, database: str) -> str:
    """The sample's bars are collected; one forecast of their past was frozen three days ago."""
    assert closecast("migrate").code == 0
    assert closecast("collect", "AAPL", "--source", "sample").code == 0
    return asyncio.run(_freeze(Settings(database_url=SecretStr(database))))


async def _freeze(settings: Settings) -> str:
    champion = await served_champion(settings)
    window = await asyncio.to_thread(build_window, settings, "AAPL", CUTOFF)
    made_at = datetime.now(UTC) - timedelta(days=3)
    async with one_session(settings) as db:
        frozen = await crud.freeze_forecast(db, forecast_values(champion, row_of(window), made_at))
        await db.commit()
        return str(frozen.id)


def test_a_forecast_is_scored_explained_and_sealed(closecast: Closecast, forecast_id: str, database: str) -> None:
    """Scored once; explained from the store; a change by SQL, also of what came of it, is one line and exit code 3."""
    scored, again = closecast("score", "--json"), closecast("score")
    explained = closecast("explain", forecast_id)
    told = json.loads(closecast("explain", forecast_id, "--json").out)
    sealed = json.loads(closecast("verify-log", "--json").out)
    noted = closecast("verify-log", "--head", sealed["head"]["head"])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE forecasts DISABLE TRIGGER ALL")
        ((anchor,),) = connection.execute("SELECT anchor FROM forecasts").fetchall()
        connection.execute("UPDATE forecasts SET anchor = anchor * 1.01")
    changed = closecast("verify-log")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE forecasts SET anchor = %s", [anchor])
        connection.execute("UPDATE score_days SET absolute_error = absolute_error / 2 WHERE step = 5")
    bettered = closecast("verify-log", "--json")

    assert json.loads(scored.out)["scored"] > 5
    assert "0 steps scored" in again.out
    assert told["inputs"]["made_from"]["same_as_forecast"]
    assert len(told["nearest"]) == 20
    assert (explained.code, "Windows of the past" in explained.out) == (0, True)
    assert (sealed["days"], sealed["forecasts"], sealed["findings"], noted.code) == (1, 1, [], 0)
    assert (changed.code, changed.out.splitlines()[0].split(": ", 1)[1]) == (
        3,
        f"changed since it was sealed: forecast {forecast_id}",
    )
    (finding,) = json.loads(bettered.out)["findings"]
    assert (bettered.code, finding["what"].split(" of kind")[0], finding["forecast_id"]) == (
        3,
        "not the sums of their scores: score_days",
        None,
    )


def test_a_database_that_nobody_migrated_is_told_in_one_line(
    closecast: Closecast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of it."""
    with temporary_database() as url:
        monkeypatch.setenv("CLOSECAST_DATABASE_URL", url)
        for command in (("verify-log",), ("score",), ("users", "list")):
            told = closecast(*command)
            assert told.code == 6, command
            assert "closecast: the database is not at this release's schema" in told.err.splitlines()[-1], command


def test_what_is_not_there_is_told_in_one_line(closecast: Closecast, database: str) -> None:
    """No such forecast, no such head, nothing to verify yet."""
    assert closecast("migrate").code == 0
    absent = closecast("explain", "630bff24-561a-4ad2-88e6-8bb4ef82c9b2")
    malformed = closecast("verify-log", "--head", "beef")
    empty = closecast("verify-log")

    assert (absent.code, malformed.code, empty.code) == (3, 2, 0)
    assert "64 hexadecimal digits" in malformed.err
    assert "nothing is sealed yet" in empty.out
