"""What a process may not carry."""

import subprocess
import sys

import pytest

PIPELINE_ONLY = [
    "pandas",
    "polars",
    "pyarrow",
    "deltalake",
    "pandera",
    "exchange_calendars",
    "yfinance",
    "scipy",
    "sklearn",
    "tensorflow",
    "keras",
    "arch",
    "statsforecast",
    "lightgbm",
    "numba",
    "talib",
    "river",
    "optuna",
    "ray",
    "mlflow",
    "plotly",  # its wheel's JavaScript is served, its Python never loaded
    "opentelemetry.sdk",  # imported where CLOSECAST_OTLP_ENDPOINT is set
]


@pytest.mark.parametrize("module", ["app.main", "app.features.market_data.tasks", "app.worker"])
def test_importing_the_app_brings_nothing_of_the_pipeline(module: str) -> None:
    """121 MiB and 2.7 s against 280 MiB and 6 s: the API imports none of it, and tasks only while they run."""
    program = f"import sys, {module}; print(*sorted(set({PIPELINE_ONLY!r}) & set(sys.modules)))"

    brought = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert brought.stdout.split() == []
