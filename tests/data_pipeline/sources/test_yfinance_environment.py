"""Another process asks the fake Yahoo through its environment alone, as the demo and the end-to-end tests do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_pipeline.processing.calendars import last_final_day

ROOT = Path(__file__).parents[3]

ASK = """
import json, sys
from pathlib import Path
from data_pipeline.sources.yfinance_collector import YFinanceSource

fetched = YFinanceSource(Path(sys.argv[1]), 20.0).fetch_bars("IBM", None, None)
print(json.dumps([len(fetched.bars), str(fetched.bars.index[-1].date()), fetched.source, fetched.exchange]))
"""


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The environment that ``python -m tests.fake_yahoo`` prints while it serves."""
    command = [sys.executable, "-m", "tests.fake_yahoo", "--bars", "sample", "--recent"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield dict(server.stdout.readline().strip().split("=", 1) for _ in range(4))
        finally:
            server.send_signal(signal.SIGTERM)
    assert server.returncode == 0


def test_a_process_is_led_here_by_its_environment(environment: dict[str, str], tmp_path: Path) -> None:
    """Nothing is patched; the sample's bars arrive as this week's."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, **environment, **{name.lower(): value for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert not asked.stderr
    last = last_final_day("XNYS", datetime.now(UTC), timedelta(hours=1))
    assert json.loads(asked.stdout) == [3270, str(last), "yfinance", "XNYS"]
