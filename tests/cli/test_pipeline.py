"""`closecast pipeline`: the worker's steps once, in the foreground."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from app.core.database import psycopg_url
from app.features.training import run_train
from data_pipeline.errors import ConfigurationError
from ml_lifecycle.training.config import load_config
from tests.app import networks
from tests.cli.conftest import Closecast


def steps_of(out: str) -> dict[str, dict[str, Any]]:
    """The document's steps, by name."""
    return {each["step"]: each for each in json.loads(out)["steps"]}


@pytest.fixture
def prepared(closecast: Closecast, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose reference is champion, and the packaged sample as the source."""
    monkeypatch.setenv("CLOSECAST_SOURCES", '["sample"]')
    assert closecast("migrate").code == 0
    return database


def test_it_collects_forecasts_and_asks_the_rules(closecast: Closecast, prepared: str) -> None:
    """Twice is once: the second run finds everything made."""
    first, second = (closecast("pipeline", "AAPL", "IBM", "--json") for _ in range(2))

    told = steps_of(first.out)
    assert (first.code, second.code) == (0, 0)
    assert list(told) == ["collect", "score", "precompute", "drift", "retrain"]
    assert told["collect"] == {"step": "collect", "state": "done", "asked": 2, "failed": {}}
    assert (told["precompute"]["made"], steps_of(second.out)["precompute"]["made"]) == (2, 0)
    assert told["drift"]["state"] == told["retrain"]["state"] == "skipped"
    engine = create_engine(psycopg_url(prepared))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM forecasts")) == 2
    engine.dispose()


def test_without_tickers_nothing_of_files_or_samples_is_asked_for(closecast: Closecast, prepared: str) -> None:
    """They are stored, and no live source keeps them up to date."""
    closecast("pipeline", "AAPL")

    shown = closecast("pipeline", "--json")

    assert steps_of(shown.out)["collect"]["state"] == "skipped"


def test_a_ticker_that_no_source_knows_fails_its_step_and_no_other(closecast: Closecast, prepared: str) -> None:
    """The exit code is the source's."""
    shown = closecast("pipeline", "ZZZZ", "--json")

    told = steps_of(shown.out)
    assert shown.code == 4
    assert told["collect"]["state"] == "failed"
    assert told["precompute"]["state"] == "done"


def test_a_rule_trains_once_however_often_the_pipeline_runs(
    closecast: Closecast, prepared: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decided is kept before it trains, here and by the worker; without live tickers there is no drift."""
    monkeypatch.setenv("CLOSECAST_RETRAIN_EVERY_DAYS", "1")
    closecast("pipeline", "AAPL")
    content = load_config("closes", gate_days=7).model_dump(mode="json")
    champion = networks.write_network(home / "bundles", config=content, tickers=["AAPL"])
    assert closecast("promote", champion.name, "--force", "--reason", "a test").code == 0
    trained: list[Any] = []

    def train(_settings: Any, spec: Any, _emit: Any) -> dict[str, Any]:
        trained.append(spec)
        raise ConfigurationError("enough of a training for this test")

    monkeypatch.setattr(run_train, "run", train)

    first, second = (closecast("pipeline", "--json") for _ in range(2))

    assert [spec["tickers"] for spec in trained] == [["AAPL"]]
    assert "gate_days" not in trained[0]["content"]
    told = steps_of(first.out), steps_of(second.out)
    assert told[0]["drift"]["state"] == "skipped"
    assert told[0]["drift"]["why"].startswith("no ticker is stored that a live source")
    assert told[0]["retrain"]["reason"] == "schedule: 1 days have gone by"
    assert told[1]["retrain"]["state"] == "skipped"
    assert told[1]["retrain"]["reason"] == "no rule asks for it"
    engine = create_engine(psycopg_url(prepared))
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT run_id, trains, rules FROM retrain_decisions ORDER BY id")).all()
    engine.dispose()
    assert [tuple(row) for row in kept[1:]] == [(None, True, ["schedule"]), (None, False, [])]


def test_without_a_database_it_says_what_to_start(closecast: Closecast) -> None:
    failed = closecast("pipeline")

    assert failed.code == 6
    assert "closecast serve" in failed.err
