"""What Prometheus scrapes is bounded, and right over several processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from app.core.monitoring import metrics
from app.core.monitoring.metrics import ForecastOutcome, count_source_error, outcome_of
from app.features.registry.errors import BundleNotFoundError
from data_pipeline.errors import ConfigurationError, InsufficientHistoryError
from data_pipeline.sources.base import RateLimitedError, UnknownTickerError


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
    labels = {"handler": "/problems/{slug}", "method": "GET", "status": "200"}
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
    assert len(after.splitlines()) <= before + 12  # the first scrape's own histogram of /metrics
    assert "invented" not in after.lower()


async def test_latencies_are_told_apart_by_the_millisecond(client: httpx.AsyncClient) -> None:
    await client.get("/livez")
    bounds = set(re.findall(r'http_request_duration_highr_seconds_bucket\{le="([^"]+)"\}', await scrape(client)))

    assert {"0.001", "0.002", "0.005", "0.01", "0.025", "0.1"} <= bounds


async def test_our_own_figures_are_there_from_the_start(client: httpx.AsyncClient) -> None:
    text = await scrape(client)

    for outcome in ForecastOutcome:
        assert f'closecast_forecasts_total{{outcome="{outcome}"}}' in text
    for name in ("closecast_inference_seconds_count", "closecast_data_age_seconds_count"):
        assert re.search(rf"^{name} \d", text, re.MULTILINE), name
    assert "# TYPE closecast_source_errors_total counter" in text


async def test_the_champion_s_age_is_that_of_the_moment_of_the_scrape(client: httpx.AsyncClient) -> None:
    """The reference bundle was made seconds ago."""
    text = await scrape(client)
    match = re.search(r"^closecast_champion_age_seconds ([\d.e+-]+)$", text, re.MULTILINE)

    assert match is not None
    assert 0 <= float(match[1]) < 3600


def test_a_source_error_is_counted_by_its_cause() -> None:
    before = sample("closecast_source_errors_total", {"cause": "rate_limited"})

    count_source_error(RateLimitedError("AAPL", "yfinance", "too many requests"))

    assert sample("closecast_source_errors_total", {"cause": "rate_limited"}) == before + 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UnknownTickerError("ZZZ", "yfinance", "no such symbol"), ForecastOutcome.UNKNOWN),
        (InsufficientHistoryError(needed=2, found=1), ForecastOutcome.REFUSED),
        (RateLimitedError("A", "yfinance", "x"), ForecastOutcome.UNAVAILABLE),
        (ConfigurationError("x"), ForecastOutcome.FAILED),
        (BundleNotFoundError("x"), ForecastOutcome.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_counted_as_what_it_means_to_the_caller(error: Exception, outcome: ForecastOutcome) -> None:
    assert outcome_of(error) == outcome  # type: ignore[arg-type]  # all of them are project errors


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
