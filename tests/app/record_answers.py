"""Record what the API answers about the sample bars, as the examples of the OpenAPI document.

``python -m tests.app.record_answers`` writes ``app/core/openapi_answers.json`` anew; a test says when that is due.
"""

import asyncio
import json
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from app.config import Settings
from app.core.jobs import WorkerTools
from app.core.openapi import RECORDED_ANSWERS
from app.features.market_data.service import publish_windows
from app.features.registry import promotion
from app.features.registry.judging import verdict_on
from app.features.registry.service import ensure_reference_champion, register_bundle
from app.features.track_record.service import score_final_steps
from app.features.users.service import create_user
from app.main import create_app
from data_pipeline.publishing import build_serving_windows
from data_pipeline.run_pipeline import collect
from data_pipeline.sources.sample_source import SampleSource
from data_pipeline.storage.feature_store import FeatureStore
from tests.app.accounts import sign_in
from tests.app.bundles import write_bundle_with
from tests.app.record_drift import record_drift
from tests.app.record_training import record_training
from tests.database import migrated_template, temporary_database

EMAIL, ADMIN, PASSWORD = "jane@example.org", "root@example.org", "seven green herons wade"
TICKERS = ["AAPL", "IBM"]
PAST = date(2013, 1, 15)  # of whose forecast something has come since


async def record(settings: Settings) -> dict[str, Any]:
    """Answers by operation id."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await prepare(app, settings)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            scored = await score(app, client, settings)
            trained = await record_training(app, client, settings, admin=ADMIN, password=PASSWORD)
            drift = await record_drift(client, settings, admin=ADMIN, password=PASSWORD)
            asked = await ask_everything(client) | scored | trained | drift
            return asked | await change_champions(app, client, settings)


async def prepare(app: FastAPI, settings: Settings) -> None:
    """The sample bars, the reference as champion, one account."""
    store = FeatureStore(settings.bars_uri)
    summary = collect(store, SampleSource(), TICKERS)
    assert summary.data_version is not None
    windows = list(
        build_serving_windows(store, TICKERS, data_version=summary.data_version, final_after=settings.final_after)
    )
    windows += build_serving_windows(
        store, ["AAPL"], data_version=summary.data_version, as_of=PAST, final_after=settings.final_after
    )
    reports = {result.ticker: result.quality.to_dict() for result in summary.results if result.quality is not None}
    async with app.state.session_factory() as db:
        await publish_windows(db, windows, reports)
        await ensure_reference_champion(db, settings)
        await create_user(db, app.state.passwords, email=EMAIL, password=PASSWORD)
        await create_user(db, app.state.passwords, email=ADMIN, password=PASSWORD, admin=True)
    await app.state.champions.reload()


async def score(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> dict[str, Any]:
    """A forecast of the past is asked for, scored, and read again with what came of it."""
    headers = (await sign_in(client, email=EMAIL, password=PASSWORD)).headers
    past = await client.get(f"/predict/AAPL?as_of={PAST}", headers=headers)
    assert past.status_code == 200, past.text
    await score_final_steps(WorkerTools(settings, app.state.session_factory))
    paths = {
        "read_forecast": f"/forecasts/{past.json()['forecast_id']}",
        "explain_forecast": f"/forecasts/{past.json()['forecast_id']}/explain",
        "read_track_record": "/track-record?horizon=5",
        "read_ticker_track_record": "/track-record/AAPL?horizon=5",
        "list_ticker_records": "/track-record/tickers?kind=hindcast&horizon=5",
        "read_calibration": "/track-record/calibration?horizon=5",
        "read_errors_over_time": "/track-record/errors?horizon=5",
    }
    answers = {name: (await client.get(path, headers=headers)).json() for name, path in paths.items()}
    answers["read_forecast"]["scores"] = answers["read_forecast"]["scores"][:1]
    shown = answers["explain_forecast"]
    inputs, shown["nearest"] = shown["inputs"], shown["nearest"][:2]
    inputs["days"] = inputs["days"][-2:]
    for kind in ("columns", "scaled"):
        inputs[kind] = {name: values[-2:] for name, values in inputs[kind].items()}
    return answers


async def ask_everything(client: httpx.AsyncClient) -> dict[str, Any]:
    """Ask what the examples of the document ask."""
    headers = (await sign_in(client, email=EMAIL, password=PASSWORD)).headers

    async def ask(path: str) -> Any:
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    key = {"name": "nightly report", "scopes": ["predict"]}
    assert (await client.post("/auth/api-keys", headers=headers, json=key)).status_code == 201

    async def tell(path: str, body: Any) -> Any:
        answer = await client.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    me = await ask("/users/me")
    forecast = await ask("/predict/AAPL?days_ahead=2")
    sample = await ask("/sample-data?ticker=AAPL")
    model = await ask("/model/info")
    (bundle, *_) = await ask("/models")
    details = await ask(f"/models/{bundle['id']}")
    return {
        "register": me,
        "read_me": me,
        "patch_user": {**me, "scopes": ["predict", "train"]},
        "list_users": {"items": [me], "next_cursor": None},
        "list_api_keys": await ask("/auth/api-keys"),
        "predict": forecast,
        "predict_from_body": forecast,
        "sample_data": {**sample, "sequence": sample["sequence"][-2:]},
        "predict_batch": await tell("/predict/batch", {"tickers": ["AAPL", "A B"], "days_ahead": 1}),
        "infer": await tell("/infer", {"ticker": "AAPL", "days_ahead": 2}),
        "list_predictions": await ask("/predictions?limit=1"),
        "model_info": model,
        "list_models": [{**bundle, "figures": bundle["figures"][:1]}],
        "read_model": {**details, "scores": details["scores"][:1]},
        "list_promotions": await ask("/promotions"),
        "list_tickers": await ask("/tickers"),
        "read_bars": await ask("/bars/AAPL?limit=2"),
        "list_data_versions": await ask("/data/versions"),
        "list_quality": await ask("/data/quality?limit=1"),
        "monitor": await ask("/monitor"),
        "read_operations": await look_at_operations(client),
    }


async def look_at_operations(client: httpx.AsyncClient) -> Any:
    """The state of the installation, as an administrator sees it."""
    headers = (await sign_in(client, email=ADMIN, password=PASSWORD)).headers
    answer = await client.get("/operations", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def change_champions(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> dict[str, Any]:
    """A challenger that forecasts as the champion does is asked for, judged, refused, forced and rolled back."""
    headers = (await sign_in(client, email=ADMIN, password=PASSWORD)).headers
    folder = write_bundle_with(settings.bundles, history_used=1_000)
    async with app.state.session_factory() as db:
        challenger = await register_bundle(db, folder)
        champion = await promotion.champion_of(db, challenger)
    asked = await client.post(f"/models/{challenger}/promote", headers=headers)
    assert asked.status_code == 202, asked.text
    contest = promotion.Contest(UUID(asked.json()["id"]), challenger, champion, "root")
    verdict = await asyncio.to_thread(verdict_on, settings, folder, settings.bundles / champion)
    async with app.state.session_factory() as db:
        await promotion.decide(db, contest, verdict)
        await promotion.force(db, challenger, reason="an example", by="root")
    decided = await client.get("/challenges", headers=headers)
    single = await client.get(f"/challenges/{asked.json()['id']}", headers=headers)
    reloaded = await client.post("/model/reload", headers=headers)
    assert reloaded.status_code == 200, reloaded.text
    preview = await client.get("/models/rollback", headers=headers)
    rolled_back = await client.post("/models/rollback", headers=headers, json={"reason": "an example"})
    assert rolled_back.status_code == 200, rolled_back.text
    return {
        "promote": asked.json(),
        "list_challenges": decided.json(),
        "read_challenge": single.json(),
        "reload_model": reloaded.json(),
        "preview_roll_back": preview.json(),
        "roll_back": rolled_back.json(),
    }


def main() -> None:
    """Write the file."""
    with ExitStack() as stack:
        url = stack.enter_context(temporary_database(migrated_template()))
        home = Path(stack.enter_context(TemporaryDirectory()))
        settings = Settings(
            _env_file=None,
            home=home,
            database_url=SecretStr(url),
            jwt_secret=SecretStr("a-test-key-of-3f9c1e77b2d04a68-characters"),
            log_level="ERROR",
        )
        answers = asyncio.run(record(settings))
    RECORDED_ANSWERS.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
