"""Tunings over HTTP: the same search as at the command line, validated, and a job like any other."""

from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.features.training.kinds import RUNNERS, runner_of
from app.features.training.studies import held_study
from ml_lifecycle.training.tune_spec import TuneSpec
from ml_lifecycle.training.tuning_errors import StudyBusyError
from tests.app.accounts import Account
from tests.app.windows import make_window

SPACE = {"base": "demo", "parameters": {"learning_rate": {"low": 0.0001, "high": 0.01, "log": True}}}
A_BODY = {"trials": 20, "search": "asha", "space": SPACE, "tickers": ["AAPL"], "study": "spring", "workers": 2}


@pytest.fixture(autouse=True)
async def _stored(db: AsyncSession) -> None:
    await publish_windows(db, [make_window("AAPL")])


async def test_a_search_becomes_a_job_whose_runner_takes_its_spec(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession
) -> None:
    answer = await client.post("/tune", json=A_BODY, headers=trainer.headers)
    newest = "SELECT spec FROM training_jobs ORDER BY created_at DESC LIMIT 1"
    spec: dict[str, Any] = await db.scalar(text(newest))

    assert answer.status_code == 202, answer.text
    assert (answer.json()["kind"], answer.json()["status"]) == ("tune", "queued")
    assert answer.headers["location"] == f"/train/{answer.json()['job_id']}"
    read = TuneSpec.of({**spec, "job_id": answer.json()["job_id"], "work_dir": "x"})
    assert (read.trials, read.search, read.workers, read.tickers) == (20, "asha", 2, ("AAPL",))
    assert read.searched().parameters["learning_rate"].high == 0.01  # type: ignore[union-attr]  # a range
    assert read.study == f"{trainer.id}.spring"  # nobody goes on with somebody else's


WRONG = [
    ({"trials": 0}, 422, "invalid-request"),
    ({"trials": 10_001}, 422, "invalid-request"),
    ({"trials": None}, 422, "invalid-request"),  # a search that would never end
    ({"search": "random"}, 422, "invalid-request"),
    ({"backend": "spark"}, 422, "invalid-request"),
    ({"workers": 17}, 422, "invalid-request"),
    ({"folds": 1}, 422, "invalid-request"),
    ({"every": 0}, 422, "invalid-request"),
    ({"study": "../up"}, 422, "invalid-request"),
    ({"tickers": ["MSFT"]}, 404, "ticker-not-stored"),
    ({"tickers": ["../x"]}, 422, "malformed-ticker"),
    ({"space": SPACE | {"base": "/etc/passwd"}}, 422, "invalid-request"),
    ({"space": SPACE | {"base": "search_space"}}, 422, "invalid-request"),
    ({"space": SPACE | {"strategies": ["magic"]}}, 422, "invalid-request"),
    ({"space": {"parameters": {"seed": [1, 2]}}}, 422, "invalid-request"),
    ({"space": {"parameters": {"hidden_size": [0, 8]}}}, 422, "invalid-configuration"),
    ({"search": "grid"}, 422, "invalid-configuration"),  # its range has no steps
    ({"optimizer": "sgd"}, 422, "invalid-request"),
]


@pytest.mark.parametrize(("changes", "status", "slug"), WRONG)
async def test_what_cannot_be_searched_never_waits(
    client: httpx.AsyncClient, trainer: Account, db: AsyncSession, changes: dict[str, Any], status: int, slug: str
) -> None:
    answer = await client.post("/tune", json=A_BODY | changes, headers=trainer.headers)

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}"), answer.text
    assert await db.scalar(text("SELECT count(*) FROM training_jobs")) == 0


async def test_one_search_of_a_user_at_a_time(client: httpx.AsyncClient, trainer: Account) -> None:
    await client.post("/tune", json=A_BODY, headers=trainer.headers)

    second = await client.post("/tune", json=A_BODY, headers=trainer.headers)

    assert (second.status_code, second.json()["type"]) == (409, "/problems/training-in-progress")


def test_the_kind_has_a_runner() -> None:
    assert runner_of("tune").__module__ == RUNNERS["tune"].partition(":")[0]


def test_a_study_is_tuned_by_one_process_at_a_time(settings: Settings) -> None:
    """In the database, and in a file where there is none."""
    for where in (settings, settings.model_copy(update={"database_url": None})):
        with ExitStack() as held:
            held.enter_context(held_study(where, "spring"))
            held.enter_context(held_study(where, "autumn"))
            with pytest.raises(StudyBusyError, match="study spring is being tuned"):
                held.enter_context(held_study(where, "spring"))
        with held_study(where, "spring"):
            pass
