"""What Prometheus scrapes is bounded, and right over several processes."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.limits_daily import DailyQuotaError
from app.core.monitoring import metrics
from app.core.monitoring.metrics import ForecastOutcome, count_source_error, outcome_of
from app.core.security import now_utc
from app.features.market_data.service import publish_windows
from data_pipeline.sources.base import RateLimitedError
from ml_lifecycle.export.manifest import BundleKind
from tests.app.accounts import Account
from tests.app.windows import make_window


async def scrape(client: httpx.AsyncClient) -> str:
    """The whole exposition."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def sample(name: str, labels: dict[str, str] | None = None) -> float:
    """One value as it stands; 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, labels or {}) or 0.0


async def test_requests_are_counted_by_the_template_of_their_route(client: httpx.AsyncClient) -> None:
    labels = {"handler": "/problems/{slug}", "method": "GET", "status": "2xx"}
    before = sample("http_requests_total", labels)

    for path in ("/problems/expired-token", "/api/v1/problems/internal/"):
        await client.get(path)

    assert sample("http_requests_total", labels) == before + 2
    assert "expired-token" not in await scrape(client)


async def test_invented_paths_and_methods_add_no_series(client: httpx.AsyncClient) -> None:
    await client.get("/invented/0")
    await client.request("INVENTED0", "/livez")
    before = len((await scrape(client)).splitlines())

    for number in range(1, 20):
        await client.get(f"/invented/{number}")
        await client.request(f"INVENTED{number}", "/livez")

    after = await scrape(client)
    assert len(after.splitlines()) <= before + 2  # the first scrape itself
    assert "invented" not in after.lower()


async def test_latencies_are_told_apart_by_the_millisecond(client: httpx.AsyncClient) -> None:
    await client.get("/livez")
    bounds = set(
        re.findall(r'http_request_duration_seconds_bucket\{group="forecast",le="([^"]+)"\}', await scrape(client))
    )

    assert {"0.001", "0.002", "0.005", "0.01", "0.025", "0.1"} <= bounds


async def test_our_own_figures_are_there_from_the_start(client: httpx.AsyncClient) -> None:
    text = await scrape(client)

    for outcome in ForecastOutcome:
        assert f'closecast_forecasts_total{{outcome="{outcome}"}}' in text
    for name in ("closecast_inference_seconds_count", "closecast_data_age_seconds_count"):
        assert re.search(rf"^{name} \d", text, re.MULTILINE), name
    assert "# TYPE closecast_source_errors_total counter" in text


async def test_the_champion_s_age_is_that_of_the_moment_of_the_scrape(client: httpx.AsyncClient) -> None:
    """The reference does not age; the limit beside it is the setting's 90 days."""
    text = await scrape(client)
    match = re.search(r"^closecast_champion_age_seconds ([\d.e+-]+)$", text, re.MULTILINE)

    assert match is not None
    assert float(match[1]) == 0.0
    assert "closecast_champion_max_age_seconds 7.776e+06" in text


async def test_a_champion_too_old_to_serve_is_told_at_its_own_age(app: FastAPI, client: httpx.AsyncClient) -> None:
    """At that of the reference in its place the alert would end just when a champion is most stale."""
    holder = app.state.champions
    reference = holder.serving(now_utc())
    manifest = reference.bundle.manifest.model_copy(
        update={"kind": BundleKind.NETWORK, "created_at": now_utc() - timedelta(days=400)}
    )
    holder._champion = replace(reference, bundle=replace(reference.bundle, manifest=manifest))
    try:
        assert holder.serving(now_utc()).is_reference
        await scrape(client)
    finally:
        holder._champion = reference

    assert sample("closecast_champion_age_seconds") == pytest.approx(400 * 86_400, abs=60)


def test_a_source_error_is_counted_by_its_cause() -> None:
    before = sample("closecast_source_errors_total", {"cause": "rate_limited"})

    count_source_error(RateLimitedError("AAPL", "yfinance", "too many requests"))

    assert sample("closecast_source_errors_total", {"cause": "rate_limited"}) == before + 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (404, ForecastOutcome.UNKNOWN),
        (422, ForecastOutcome.REFUSED),
        (413, ForecastOutcome.REFUSED),
        (503, ForecastOutcome.UNAVAILABLE),
        (500, ForecastOutcome.FAILED),
    ],
)
def test_an_error_is_counted_as_what_it_means_to_the_caller(status: int, outcome: ForecastOutcome) -> None:
    assert outcome_of(status) == outcome


def outcomes() -> dict[str, float]:
    """How many forecasts ended in which way."""
    return {outcome: sample("closecast_forecasts_total", {"outcome": outcome}) for outcome in ForecastOutcome}


def counted(before: dict[str, float]) -> dict[str, float]:
    """What came since."""
    return {outcome: value - before[outcome] for outcome, value in outcomes().items() if value > before[outcome]}


class TestADatabaseThatIsAway:
    """Waited for as long as a statement may take."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Not long."""
        return settings.model_copy(update={"database_timeout_seconds": 1.0})

    async def test_it_counts_as_unavailable_though_nobody_was_admitted(
        self, client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
    ) -> None:
        """The first question to the database is who asks."""
        before = outcomes()
        await db.execute(text("SET lock_timeout = '5s'"))
        await db.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))  # until the statement's deadline

        answers = [
            await client.get("/predict/AAPL", headers=registered_user.headers),
            await client.post("/api/v1/predict/", json={"ticker": "AAPL"}, headers=registered_user.headers),
        ]

        assert [answer.status_code for answer in answers] == [503, 503]
        assert counted(before) == {ForecastOutcome.UNAVAILABLE: 2}


async def test_what_nobody_foresaw_counts_as_failed(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app.state.forecast_desk, "answer", fail)
    before = outcomes()

    answer = await client.get("/predict/AAPL", headers=registered_user.headers)

    assert answer.status_code == 500
    assert counted(before) == {ForecastOutcome.FAILED: 1}


async def test_who_is_past_their_limit_has_asked_for_no_forecast(
    app: FastAPI, client: httpx.AsyncClient, registered_user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user in a loop would else hide that the forecasts of all others fail."""

    async def refuse(*_: object) -> None:
        raise DailyQuotaError(7, 60.0)

    monkeypatch.setattr(app.state.forecast_desk, "answer", refuse)
    before = outcomes()

    answer = await client.get("/predict/AAPL", headers=registered_user.headers)

    assert (answer.status_code, counted(before)) == (429, {})


async def test_strangers_and_other_routes_count_as_no_forecast(
    client: httpx.AsyncClient, registered_user: Account
) -> None:
    """And one that is refused before any code of ours looks at it is counted once."""
    before = outcomes()

    await client.get("/predict/AAPL")
    await client.get("/bars/NONE", headers=registered_user.headers)
    await client.get("/predict/AAPL?days_ahead=0", headers=registered_user.headers)

    assert counted(before) == {ForecastOutcome.REFUSED: 1}


async def test_each_ticker_of_a_batch_and_what_infer_refuses_is_counted_as_alone(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession
) -> None:
    """Whom a batch tells to come back, because a collection has begun, it has not failed."""
    await publish_windows(db, [make_window("AAPL"), make_window("SHORT", n_bars=100)])
    await scrape(client)
    before = outcomes()

    batch = {"tickers": ["AAPL", "SHORT", "../x", "NEWCO"]}
    answers = [
        await client.post("/predict/batch", json=batch, headers=registered_user.headers),
        await client.post("/predict/batch", json={"tickers": []}, headers=registered_user.headers),
        await client.post("/infer", json={"ticker": 5}, headers=registered_user.headers),
    ]
    await scrape(client)

    assert [answer.status_code for answer in answers] == [200, 422, 422]
    assert counted(before) == {ForecastOutcome.COMPUTED: 1, ForecastOutcome.REFUSED: 4}


COUNT_ONE = """
from app.core.monitoring import metrics
metrics.forecasts_total.labels("computed").inc(int({count}))
metrics.champion_age_seconds.set({count})
"""


def test_several_processes_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for count in (2, 3):
        subprocess.run([sys.executable, "-c", COUNT_ONE.format(count=count)], env=environment, check=True)

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    text = metrics.exposition().decode()

    assert 'closecast_forecasts_total{outcome="computed"} 5.0' in text
