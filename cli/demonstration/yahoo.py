"""Yahoo is tried first, for five seconds: today's forecast is worth more than one of 2013."""

import json
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from app.config import Settings
from cli.demonstration import subcommand
from cli.demonstration.installation import TICKER

TRY_SECONDS = 5.0
IMPORT_SECONDS = 25.0  # of the collecting command, on a busy machine: pandas and its company; 3 s on a quiet one
YAHOO = ("query2.finance.yahoo.com", 443)


class YahooTry:
    """Looks whether Yahoo (or the proxy that leads there) takes a connection, while the database starts."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + TRY_SECONDS
        self._reached = threading.Event()
        # A name server that does not answer holds up getaddrinfo far beyond any deadline: so it gets a thread.
        threading.Thread(target=self._connect, name="yahoo", daemon=True).start()

    def reached(self) -> bool:
        """Whether a connection came about; waits until the five seconds are over."""
        return self._reached.wait(max(0.0, self._deadline - time.monotonic()))

    def _connect(self) -> None:
        with suppress(OSError), socket.create_connection(_address(), timeout=TRY_SECONDS):
            self._reached.set()


def _address() -> tuple[str, int]:
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")  # in curl's order
    if not proxy:
        return YAHOO
    parts = urlsplit(proxy)
    return parts.hostname or YAHOO[0], parts.port or YAHOO[1]


class YahooCollection:
    """`closecast collect AAPL --source yfinance`, beside what else is going on."""

    def __init__(self, settings: Settings) -> None:
        quick = settings.model_copy(update={"source_timeout_seconds": TRY_SECONDS})
        self._process = subcommand.start(quick, "collect", TICKER, "--source", "yfinance")

    def trouble(self) -> str | None:
        """Wait for its end; None when bars came, else why not, in one line."""
        try:
            output, complaint = self._process.communicate(timeout=TRY_SECONDS + IMPORT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return f"no answer within {TRY_SECONDS:.0f} s"
        if self._process.returncode == 0:
            return None
        with suppress(ValueError, LookupError):
            return str(json.loads(output)["tickers"][0]["error"])
        return complaint.strip().splitlines()[-1] if complaint.strip() else f"exit code {self._process.returncode}"
