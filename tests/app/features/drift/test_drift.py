"""Drift from the question over HTTP to the report: a job measures, once, and both say what clients of system A read."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.drift import run_drift
from app.features.drift.drift_spec import DriftSpec
from app.features.drift.live_days import LiveDays
from app.features.market_data.service import publish_windows
from app.features.registry.service import ensure_reference_champion
from app.models.drift import DriftReport
from app.models.score import ScoreDay
from app.models.training_job import TrainingJob
from data_pipeline.errors import ClosecastError, ConfigurationError, NothingStoredError
from data_pipeline.processing.lstm_preprocessor import InputSpec
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.monitoring.column_drift import ColumnSample, parts_of
from ml_lifecycle.training.config import load_config
from tests.app import networks
from tests.app.accounts import Account
from tests.app.features.drift.conftest import TICKERS
from tests.app.features.training.conftest import make_trainer
from tests.app.windows import VERSION, make_window

CLOSES = load_config("closes").input_spec


class Told:
    """What a runner tells."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def progress(self, **values: Any) -> None:
        """See ``Emit``."""
        self.steps.append(values)

    def log(self, text: str) -> None:
        """See ``Emit``."""


@pytest.fixture
def settings(settings: Settings, two_versions: Path) -> Settings:
    """With bars."""
    return settings.model_copy(update={"store_uri": str(two_versions)})


@pytest.fixture
async def _published(db: AsyncSession) -> None:
    """What the API knows of the two versions."""
    for number in (1, 2):
        version = replace(VERSION, version=number)
        await publish_windows(db, [make_window(ticker, version=version) for ticker in TICKERS])


def trained_on_the_first_version(store: Path, spec: InputSpec = CLOSES) -> list[dict[str, Any]]:
    """``reference.json`` of all days up to the end of 2011."""
    sample = ColumnSample.of(FeatureStore(store).at(1).iterate_bar_arrays(TICKERS), spec, days=2500, which="any")
    listed = []
    for place, name in enumerate(sample.names):
        values = sample.values[:, place][np.isfinite(sample.values[:, place])]
        edges, shares = parts_of(values)
        moments = {"mean": float(values.mean()), "deviation": float(values.std())}
        listed.append({"name": name, **moments, "edges": edges.tolist(), "shares": shares.tolist()})
    return listed


async def run(settings: Settings, **spec: Any) -> dict[str, Any]:
    """What the job's own process does."""
    return await asyncio.to_thread(run_drift.run, settings, spec, Told())


async def champion_network(db: AsyncSession, settings: Settings, two_versions: Path) -> str:
    """A champion that knows its training."""
    await ensure_reference_champion(db, settings)
    folder = networks.write_network(settings.bundles, CLOSES, trained_on=trained_on_the_first_version(two_versions))
    bundle = await networks.register(db, folder)
    await networks.promote(db, bundle)
    return bundle


@pytest.mark.usefixtures("_published")
async def test_two_versions_as_system_a_asks(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession, settings: Settings
) -> None:
    """202 with a job; its result and the report carry the fields, the figures are those of the newest days of each."""
    body = {"ticker": "ibm", "reference_version": "v1", "production_version": 2}
    asked = await client.post("/api/v1/drift/detect", json=body, headers=admin.headers)
    job = await db.get_one(TrainingJob, asked.json()["task_id"])

    result = await run(settings, **job.spec, job_id=str(job.id), work_dir="unused")
    again = await run(settings, **job.spec, job_id=str(job.id))
    report = (await client.get(asked.headers["Location"], headers=admin.headers)).json()

    assert asked.status_code == 202
    assert (asked.json()["status"], asked.json()["has_drift"]) == ("queued", None)
    assert (job.kind, job.owner_id, job.spec["tickers"]) == ("drift", admin.id, ["IBM"])
    for said in (result, report):
        assert isinstance(said["has_drift"], bool)
        assert isinstance(said["drifted_features"], list)
        assert said["drift_scores"]["log_return"] < 0.2
        assert said["recommendation"] in {"ok", "watch", "retrain"}
    assert (report["status"], report["reference_version"], report["production_version"]) == ("succeeded", 1, 2)
    assert (report["id"], report["n_tickers"]) == (str(job.id), 1)
    assert again["report"] == result["report"] == report["id"]
    assert len((await db.scalars(select(DriftReport))).all()) == 1


async def test_without_a_version_the_reference_is_the_champion_s_training(
    db: AsyncSession, settings: Settings, two_versions: Path
) -> None:
    """2012 beside the years before it."""
    bundle = await champion_network(db, settings, two_versions)

    result = await run(settings, asked_by="a test")

    assert (result["bundle_id"], result["reference_version"], result["production_version"]) == (bundle, None, 2)
    assert result["tickers"] == TICKERS
    assert set(result["drift_scores"]) == {*CLOSES.columns, *CLOSES.context_columns}
    assert (result["error"], result["coverage"]) == (None, [])


async def test_live_errors_and_coverage_of_the_bundle_are_judged_too(
    db: AsyncSession, settings: Settings, two_versions: Path
) -> None:
    """Sixty good days, then sixty bad ones; another bundle's and another step's are none of its."""
    bundle = await champion_network(db, settings, two_versions)
    for day in range(120):
        error = (0.95 if day < 60 else 1.2) + 0.01 * (day % 3)
        db.add(score_day(bundle, day, error=error, inside=20 if day < 60 else 10))
        db.add(score_day(bundle, day, step=2, error=9.0, inside=0))
    await db.commit()

    result = await run(settings, asked_by="a test")

    assert result["recommendation"] == "retrain"
    assert result["causes"] == ["error", "coverage"]
    assert "since 2012-0" in result["reason"]
    assert "50 % intervals held 25.0 % over 60 days" in result["reason"]
    live = await LiveDays.read(db, bundle)
    assert live.days.shape == (120,)
    assert live.inside.shape == (120, 3)


def score_day(bundle: str, day: int, *, step: int = 1, error: float, inside: int) -> ScoreDay:
    """Forty forecasts of one day, whose naive errors sum up to 1."""
    return ScoreDay(
        kind="live", bundle_id=bundle, step=step, trading_day=date(2012, 1, 2) + timedelta(days=day), n=40, voids=0,
        absolute_error=error, naive_absolute_error=1.0, pinball=0.0, compared=0, compared_pinball=0.0,
        naive_pinball=0.0, directions=0, direction_hits=0, inside_50=inside, inside_80=32, inside_90=36, inside_95=38,
    )  # fmt: skip


async def test_the_reference_bundle_has_no_training_to_compare_with(db: AsyncSession, settings: Settings) -> None:
    """Two versions can be compared all the same, by the columns of the packaged configuration."""
    await ensure_reference_champion(db, settings)
    with pytest.raises(ConfigurationError, match="no training distribution to compare with"):
        await run(settings)

    result = await run(settings, reference_version=2, tickers=["IBM"])

    assert (result["recommendation"], result["reason"].split("; ")) == (
        "ok",
        ["nothing left its reference", "29 of 35 columns cannot be judged by so few tickers and days"],
    )
    assert set(result["drift_scores"].values()) == {0.0}


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"tickers": ["ZZZZ"], "reference_version": 1}, NothingStoredError),
        ({"reference_version": 77}, ClosecastError),
        ({"days": 5}, ConfigurationError),
        ({"bundle": "ffffffff"}, ConfigurationError),
    ],
)
async def test_what_cannot_be_compared_is_refused_by_name(
    spec: dict[str, Any], error: type[ClosecastError], settings: Settings
) -> None:
    """And nothing is kept."""
    with pytest.raises(error):
        await run(settings.model_copy(update={"database_url": None}), **spec)


async def test_without_a_database_it_compares_and_keeps_nothing(settings: Settings, two_versions: Path) -> None:
    """The command line on a machine of its own."""
    alone = settings.model_copy(update={"database_url": None})

    report, measured = await asyncio.to_thread(
        run_drift.compare, alone, DriftSpec(reference_version=1, tickers=("IBM",)), tell=lambda *_: None
    )

    assert report is None
    assert (measured.error, measured.coverage) == (None, [])


async def test_reports_are_listed_newest_first(client: httpx.AsyncClient, admin: Account, db: AsyncSession) -> None:
    """A page at a time; what nobody asked for is not there."""
    for number in range(3):
        db.add(
            DriftReport(
                asked_by="a test",
                production_version=number,
                days=250,
                tickers=[],
                columns=[],
                coverage=[],
                recommendation="ok",
                reason="nothing left its reference",
                causes=[],
            )
        )
        await db.commit()

    first = (await client.get("/drift?limit=2", headers=admin.headers)).json()
    second = (await client.get(f"/drift?limit=2&cursor={first['next_cursor']}", headers=admin.headers)).json()
    absent = await client.get(f"/drift/{uuid4()}", headers=admin.headers)

    assert [each["production_version"] for page in (first, second) for each in page["items"]] == [2, 1, 0]
    assert second["next_cursor"] is None
    assert (absent.status_code, absent.json()["type"]) == (404, "/problems/drift-report-not-found")


async def test_where_nothing_is_stored_nothing_is_compared_later(client: httpx.AsyncClient, admin: Account) -> None:
    """No ticker named means all of them, and there is none."""
    answer = await client.post("/drift/detect", headers=admin.headers)

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/nothing-stored")


@pytest.mark.usefixtures("_published")
async def test_bodies(client: httpx.AsyncClient, admin: Account) -> None:
    """No body is the newest bars with the champion's training."""
    refused = [
        {"ticker": "A B"},
        {"ticker": "IBM", "tickers": ["AAPL"]},
        {"days": 5},
        {"reference_version": "latest"},
        {"bundle": "../x"},
        {"model_path": "x"},
    ]
    for body, status in ((None, 202), ({}, 202), *((each, 422) for each in refused)):
        answer = await client.post("/drift/detect", json=body, headers=admin.headers)

        assert answer.status_code == status, (body, answer.text)
        if status == 202:  # the next is asked for when this one is over
            await client.delete(f"/train/{answer.json()['task_id']}", headers=admin.headers)


@pytest.mark.usefixtures("_published")
async def test_what_is_not_there_is_not_compared_later(
    client: httpx.AsyncClient, admin: Account, db: AsyncSession, settings: Settings
) -> None:
    """Version, bundle or ticker: at once, and no job waits."""
    gone = await networks.register(db, networks.write_network(settings.bundles, CLOSES))
    await db.execute(text("UPDATE bundles SET files_deleted_at = now() WHERE id = :id"), {"id": gone})
    await db.commit()
    absent = (
        ({"reference_version": 3}, "data-version-not-found"),
        ({"production_version": "v7"}, "data-version-not-found"),
        ({"bundle": "0" * 64}, "bundle-not-found"),
        ({"bundle": gone}, "bundle-not-found"),
        ({"tickers": ["IBM", "NOPE"]}, "ticker-not-stored"),
    )
    for body, problem in absent:
        answer = await client.post("/drift/detect", json=body, headers=admin.headers)
        assert (answer.status_code, answer.json()["type"]) == (404, f"/problems/{problem}"), (body, answer.text)

    assert (await db.scalars(select(TrainingJob))).all() == []


@pytest.fixture
async def ada(app: FastAPI, client: httpx.AsyncClient, db: AsyncSession) -> Account:
    """Who may train."""
    return await make_trainer(app, client, db, "ada@example.org")


@pytest.mark.usefixtures("_published")
async def test_one_comparison_of_a_user_at_a_time(client: httpx.AsyncClient, admin: Account, ada: Account) -> None:
    """Whoever asks without end holds up nobody else; a training of the same user is another thing."""
    first = await client.post("/drift/detect", headers=ada.headers)
    second = await client.post("/drift/detect", json={"days": 60}, headers=ada.headers)
    another_s = await client.post("/drift/detect", headers=admin.headers)
    await client.delete(f"/train/{first.json()['id']}", headers=ada.headers)
    then = await client.post("/drift/detect", headers=ada.headers)

    assert [each.status_code for each in (first, second, another_s, then)] == [202, 409, 202, 202]
    assert second.json()["type"] == "/problems/drift-in-progress"


@pytest.mark.usefixtures("_published")
async def test_what_another_user_asked_for_is_not_there(
    app: FastAPI, client: httpx.AsyncClient, admin: Account, ada: Account, db: AsyncSession, settings: Settings
) -> None:
    """Neither the job nor its report; the schedule's are everybody's, and administrators see all."""
    eve = await make_trainer(app, client, db, "eve@example.org")
    asked = (await client.post("/drift/detect", json={"reference_version": 1}, headers=ada.headers)).json()
    await run(settings, reference_version=1, asked_by="after XNYS 2013-12-31")
    places = (f"/drift/{asked['id']}", "/drift")

    async def seen(account: Account) -> tuple[int, list[str | None]]:
        one, many = [await client.get(place, headers=account.headers) for place in places]
        return one.status_code, [each["asked_by"] for each in many.json()["items"]]

    while_waiting = [await seen(account) for account in (ada, eve, admin)]
    job = await db.get_one(TrainingJob, asked["id"])
    await run(settings, **job.spec, job_id=asked["id"])
    then = [await seen(account) for account in (ada, eve, admin)]

    assert while_waiting == [(200, [None]), (404, [None]), (200, ["after XNYS 2013-12-31"])]
    by_ada = f"user {ada.id}"
    assert then == [(200, [by_ada, None]), (404, [None]), (200, [by_ada, "after XNYS 2013-12-31"])]
