"""Whether Yahoo answers, asked as the worker asks it: same session, same deadline; and never longer."""

import threading
from datetime import date, timedelta

from app.config import Settings
from app.doctor.finding import Finding, ok, warn
from app.features.market_data.sources import YAHOO
from data_pipeline.sources.base import PriceSourceError, RateLimitedError
from data_pipeline.sources.throttle import InMemoryBudget
from data_pipeline.sources.yfinance_collector import YFinanceSource

ASKED = "AAPL"
DAYS = 10  # holds a trading day, whatever feast it is
MOST_SECONDS = 10.0
SLACK_SECONDS = 5.0  # for what yfinance does before and after it asks, on a busy machine


class YahooLook:
    """Begun at once, in a thread: a name server that does not answer holds up whoever asks it, beyond any deadline."""

    def __init__(self, settings: Settings, today: date) -> None:
        self._settings, self._today = settings, today
        self._seconds = min(settings.source_timeout_seconds, MOST_SECONDS)
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._ask, name="yahoo", daemon=True)
        self._thread.start()

    def finding(self) -> Finding:
        """What came of it by the deadline."""
        self._thread.join(self._seconds + SLACK_SECONDS)
        return self._found[0] if self._found else _away(f"no answer within {self._seconds + SLACK_SECONDS:g} s")

    def _ask(self) -> None:
        if YAHOO not in self._settings.sources:
            self._found.append(ok("yahoo", "not asked: no source of the settings"))
            return
        source = YFinanceSource(
            self._settings.home / "cache", timeout_seconds=self._seconds, limiter=InMemoryBudget(60.0)
        )
        try:
            bars = source.fetch_bars(ASKED, self._today - timedelta(days=DAYS), None)
        except RateLimitedError:
            advice = "wait some minutes, and ask less often: CLOSECAST_SOURCE_REQUESTS_PER_MINUTE"
            self._found.append(warn("yahoo", "it answers that we ask too often", advice))
        except PriceSourceError as error:
            self._found.append(_away(str(error).splitlines()[0]))
        else:
            self._found.append(ok("yahoo", f"{len(bars.bars)} bars of {ASKED}"))


def _away(told: str) -> Finding:
    advice = "see the network, proxies and firewall of this machine; meanwhile forecasts go on from stored bars"
    return warn("yahoo", told, advice)
