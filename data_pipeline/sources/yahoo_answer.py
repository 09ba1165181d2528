"""What an answer of Yahoo's chart endpoint means, judged by itself and not by what yfinance makes of it.

yfinance calls nearly every failure "possibly delisted". The recorded answers behind these rules are told in the tests.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from data_pipeline.sources.base import (
    BeforeListingError,
    MalformedAnswerError,
    NoDataError,
    PriceSourceError,
    PriceSourceUnavailableError,
    RateLimitedError,
    UnknownTickerError,
)

# Yahoo blocks by address, for a quarter of an hour and more (yfinance issue 2284 and reports of 2026).
RATE_LIMIT_SECONDS: Final = 900.0
_BEFORE_LISTING: Final = "Data doesn't exist for startDate"
_LONGEST_DETAIL: Final = 160


@dataclass(frozen=True)
class YahooAnswer:
    """One HTTP answer about one symbol's chart; ``with_prices`` unless it was asked for the symbol's zone only."""

    status: int
    text: str
    with_prices: bool = True
    retry_after: str | None = None

    @cached_property
    def chart(self) -> dict[str, Any]:
        """The ``chart`` object; empty when the body is something else."""
        try:
            body = json.loads(self.text)
        except ValueError:
            return {}
        chart = body.get("chart") if isinstance(body, dict) else None
        return chart if isinstance(chart, dict) else {}

    @property
    def error(self) -> dict[str, Any]:
        """Yahoo's own error: ``code`` and ``description``; empty where there is none."""
        error = self.chart.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def result(self) -> dict[str, Any]:
        """The first result: ``meta``, ``timestamp``, ``indicators``, ``events``; empty where there is none."""
        results = self.chart.get("result")
        first = results[0] if isinstance(results, list) and results else None
        return first if isinstance(first, dict) else {}

    @property
    def meta(self) -> dict[str, Any]:
        """What Yahoo says about the symbol: currency, exchange, zone."""
        meta = self.result.get("meta")
        return meta if isinstance(meta, dict) else {}

    @property
    def has_rows(self) -> bool:
        """Whether any day came; a valid symbol has none in a range without trading days."""
        return bool(self.result.get("timestamp"))


def refusal(answer: YahooAnswer, *, ticker: str, source: str, range_is_past: bool) -> PriceSourceError | None:
    """The error that ``answer`` stands for; None for a price history, an empty one included.

    Parameters
    ----------
    range_is_past : whether the asked range ended before today: only then can "no data for these dates" mean that
        trading began later.
    """

    def unavailable(detail: str) -> PriceSourceUnavailableError:
        return PriceSourceUnavailableError(ticker, source, detail)

    said = _one_line(str(answer.error.get("description", "")))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(
            ticker, source, "HTTP 429, too many requests", retry_after_seconds=_retry_seconds(answer)
        )
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.UNAUTHORIZED:
        return unavailable(f"HTTP {answer.status}")
    if answer.status == HTTPStatus.NOT_FOUND and answer.error.get("code") == "Not Found":
        return UnknownTickerError(ticker, source, said)
    if answer.status == HTTPStatus.BAD_REQUEST and said.startswith(_BEFORE_LISTING):
        return BeforeListingError(ticker, source, said) if range_is_past else NoDataError(ticker, source, said)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        return MalformedAnswerError(ticker, source, f"HTTP {answer.status}: {said or _one_line(answer.text)}")
    return _refusal_of_body(answer, ticker, source)


def _refusal_of_body(answer: YahooAnswer, ticker: str, source: str) -> PriceSourceError | None:
    def malformed(detail: str) -> MalformedAnswerError:
        return MalformedAnswerError(ticker, source, detail)

    if not answer.chart:
        return malformed(f"no JSON of a chart but {_one_line(answer.text) or 'nothing'}")
    if answer.error or not answer.meta:
        return malformed(_one_line(str(answer.error.get("description", "a chart without a result"))))
    if not answer.meta.get("currency"):
        return NoDataError(ticker, source, "no currency and no prices, as delisted shares have")
    if answer.has_rows and answer.meta.get("dataGranularity") != "1d":
        return malformed(f"rows of {answer.meta.get('dataGranularity')} where days were asked")
    if answer.has_rows and "adjclose" not in answer.result.get("indicators", {}):
        return malformed("days without adjusted closes")
    return None


def _retry_seconds(answer: YahooAnswer) -> float:
    text = answer.retry_after or ""
    return float(text) if text.isdecimal() else RATE_LIMIT_SECONDS


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else f"{line[:_LONGEST_DETAIL]}…"
