"""Every alert comes, stays away and ends as its unit test says: `promtool` runs it."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROMETHEUS = Path(__file__).parents[2] / "deploy/prometheus"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("tests", ["alerts_test.yml", "alerts_slow_test.yml"])
def test_every_alert_fires_when_it_should_and_only_then(tests: str) -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", tests], cwd=PROMETHEUS, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")
def test_alertmanager_takes_its_configuration() -> None:
    file = PROMETHEUS.parent / "alertmanager/alertmanager.yml"
    done = subprocess.run(["amtool", "check-config", file], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
