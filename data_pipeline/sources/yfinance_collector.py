"""Daily bars from Yahoo through yfinance, one ticker at a time, within one deadline."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import pandas as pd
import stamina
import stamina.instrumentation
import yfinance as yf
from curl_cffi.requests.exceptions import IncompleteRead, RequestException
from peewee import PeeweeException
from yfinance.exceptions import YFException
from yfinance.utils import is_isin

from data_pipeline.errors import ConfigurationError
from data_pipeline.sources import yfinance_state
from data_pipeline.sources.base import (
    CircuitOpenError,
    FetchedBars,
    MalformedAnswerError,
    NoDataError,
    PriceBasis,
    PriceSourceError,
    PriceSourceUnavailableError,
    RateLimitedError,
    SourceNetworkError,
    UnknownTickerError,
)
from data_pipeline.sources.circuit_breaker import CircuitBreaker, OpenCircuitError
from data_pipeline.sources.exchanges import UnknownExchangeError, exchange_of
from data_pipeline.sources.throttle import (
    BudgetSpentError,
    CircuitState,
    InMemoryBudget,
    InMemoryCircuit,
    RequestBudget,
)
from data_pipeline.sources.yahoo_answer import YahooAnswer, refusal
from data_pipeline.sources.yahoo_session import Conversation, DeadlinePassedError, ForeignHostError, YahooSession
from data_pipeline.sources.yfinance_frame import as_bars, empty_bars

logger = logging.getLogger(__name__)

# stamina's own notes of a retry go to structlog and Prometheus, whose import would take a second of the first deadline,
# and on to the terminal of whoever collects; ours go to `logging`.
stamina.instrumentation.set_on_retry_hooks(())

EARLIEST: Final = date(1927, 1, 1)  # before Yahoo's oldest series (^GSPC, 1927-12-30)
DEFAULT_TIMEOUT_SECONDS: Final = 10.0
DEFAULT_REQUESTS_PER_MINUTE: Final = 30.0

# What escapes from yfinance when an answer, or its own cache, is not what it expects (measured with 1.7.0).
_YFINANCE_TROUBLE = (YFException, ValueError, LookupError, TypeError, AttributeError, PeeweeException)


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with jitter, between ``initial`` and ``longest`` seconds."""

    attempts: int = 4
    initial_seconds: float = 0.5
    longest_seconds: float = 3.0
    jitter_seconds: float = 0.5


class _PoisonedCacheError(Exception):
    """yfinance failed before it sent anything: only its own cache folder can be at fault."""


class YFinanceSource:
    """A ``PriceSource`` on Yahoo Finance.

    ``close`` is Yahoo's unadjusted close, which *is* corrected for splits (``PriceBasis.SPLIT_ADJUSTED``);
    ``adj_close`` is for dividends too. Rows come as Yahoo sent them: the running day may be the last one, and days
    without prices are NaN rows, for the checks behind to drop and to count.

    Parameters
    ----------
    cache_dir : holds yfinance's cookies and zones in a folder of our own, thrown away when they are poisoned.
    timeout_seconds : for one ticker in all: look-ups of cookie, crumb and zone, retries and pauses included.
    limiter, breaker : shared state of the token bucket and of the circuit breaker; None: of this process alone.
    queue_seconds : how long to wait for a token before the clock of ``timeout_seconds`` starts.
    today : of UTC.

    Raises
    ------
    ConfigurationError : ``cache_dir`` cannot be made.
    """

    name = "yfinance"

    def __init__(
        self,
        cache_dir: Path,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        limiter: RequestBudget | None = None,
        breaker: CircuitState | None = None,
        session: YahooSession | None = None,
        *,
        backoff: Backoff | None = None,
        queue_seconds: float = 60.0,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._cache_folder = cache_dir / "yfinance"
        self._timeout_seconds = timeout_seconds
        self._limiter = limiter or InMemoryBudget(DEFAULT_REQUESTS_PER_MINUTE)
        self._breaker = CircuitBreaker(breaker or InMemoryCircuit(), _is_failure_of_yahoo)
        self._session = session or YahooSession()
        self._backoff = backoff or Backoff()
        self._queue_seconds = queue_seconds
        self._today = today
        try:
            self._cache_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cache folder {self._cache_folder} cannot be made: {error.strerror}") from error

    def tickers(self) -> list[str]:
        """Empty: Yahoo must be asked by name."""
        return []

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """Bars with ``start <= trading_day < end``, the running day perhaps among them.

        Raises
        ------
        PriceSourceError : the subclass says what Yahoo answered, whatever yfinance made of it.
        """
        if is_isin(ticker):  # yfinance would search for it, elsewhere
            raise UnknownTickerError(ticker, self.name, "an ISIN; Yahoo's symbol is wanted")
        self._acquire(ticker, self._queue_seconds)
        deadline = time.monotonic() + self._timeout_seconds
        failures: list[Exception] = []

        def worth_repeating(error: Exception) -> bool:
            failures.append(error)
            may_pass = isinstance(error, PriceSourceUnavailableError) and not self._breaker.is_open
            again = may_pass and deadline - time.monotonic() > self._backoff.longest_seconds
            logger.info("%s; %s", error, "asked again" if again else "given up")
            return again

        for attempt in stamina.retry_context(
            on=worth_repeating,
            attempts=self._backoff.attempts,
            timeout=None,  # worth_repeating keeps the deadline: stamina would look at the clock after its pause
            wait_initial=self._backoff.initial_seconds,
            wait_max=self._backoff.longest_seconds,
            wait_jitter=self._backoff.jitter_seconds,
        ):
            with attempt:
                if failures and not self._may_ask_again(deadline):
                    raise failures[-1]
                return self._attempt(ticker, start or EARLIEST, end, deadline)
        raise AssertionError("stamina yields at least one attempt")  # pragma: no cover

    def _acquire(self, ticker: str, wait_seconds: float) -> None:
        try:
            self._limiter.acquire(wait_seconds)
        except BudgetSpentError as error:
            raise RateLimitedError(
                ticker, self.name, str(error), retry_after_seconds=error.retry_after_seconds
            ) from error

    def _may_ask_again(self, deadline: float) -> bool:
        try:
            self._limiter.acquire(deadline - time.monotonic())
        except BudgetSpentError:
            return False
        return True

    def _attempt(self, ticker: str, start: date, end: date | None, deadline: float) -> FetchedBars:
        try:
            with self._yfinance_to_ourselves(ticker, deadline), self._breaker.guard():
                return self._ask_with_a_sound_cache(ticker, start, end, deadline)
        except OpenCircuitError as error:
            raise CircuitOpenError(
                ticker, self.name, str(error), retry_after_seconds=error.retry_after_seconds
            ) from error

    @contextmanager
    def _yfinance_to_ourselves(self, ticker: str, deadline: float) -> Iterator[None]:
        if not yfinance_state.ONE_AT_A_TIME.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise SourceNetworkError(ticker, self.name, "another ticker took all the time", retry_after_seconds=1.0)
        try:
            yield
        finally:
            yfinance_state.close_connections()
            yfinance_state.ONE_AT_A_TIME.release()

    def _ask_with_a_sound_cache(self, ticker: str, start: date, end: date | None, deadline: float) -> FetchedBars:
        try:
            return self._ask(ticker, start, end, deadline)
        except _PoisonedCacheError:
            yfinance_state.discard_cache(self._cache_folder)
        try:
            return self._ask(ticker, start, end, deadline)
        except _PoisonedCacheError as error:
            raise PriceSourceUnavailableError(ticker, self.name, f"yfinance fails: {error.__cause__!r}") from error

    def _ask(self, ticker: str, start: date, end: date | None, deadline: float) -> FetchedBars:
        yfinance_state.prepare(self._cache_folder)
        with self._session.converse(deadline) as conversation:
            try:
                history = self._history(ticker, start, end, conversation)
                return self._as_fetched(ticker, history, conversation, start, end)
            except Exception:
                yfinance_state.forget_client()
                raise
            finally:
                self._limiter.charge(max(0, conversation.requests_sent - 1))

    def _history(
        self, ticker: str, start: date, end: date | None, conversation: Conversation
    ) -> pd.DataFrame | Exception:
        """What yfinance makes of Yahoo's answers: a frame, or an exception for ``refusal`` to judge by the answer."""
        try:
            frame: pd.DataFrame = yf.Ticker(ticker, session=self._session).history(
                interval="1d",
                start=start,
                end=end,
                prepost=False,
                actions=True,
                auto_adjust=False,
                back_adjust=False,
                repair=False,
                keepna=True,
                rounding=False,
                timeout=conversation.remaining_seconds,
            )
        except DeadlinePassedError as error:
            raise SourceNetworkError(ticker, self.name, self._too_slow()) from error
        except ForeignHostError as error:
            raise MalformedAnswerError(ticker, self.name, f"yfinance wanted to ask {error}") from error
        except RequestException as error:
            raise self._transport_error(ticker, error, conversation) from error
        except _YFINANCE_TROUBLE as error:
            if not conversation.requests_sent or isinstance(error, PeeweeException):
                raise _PoisonedCacheError from error
            return error
        return frame

    def _too_slow(self) -> str:
        return f"no whole answer within {self._timeout_seconds:g} s"

    def _transport_error(
        self, ticker: str, error: RequestException, conversation: Conversation
    ) -> PriceSourceUnavailableError:
        if isinstance(error, IncompleteRead):
            return MalformedAnswerError(ticker, self.name, "the answer broke off")
        if not conversation.remaining_seconds:
            return SourceNetworkError(ticker, self.name, self._too_slow())
        return SourceNetworkError(ticker, self.name, f"not reached ({type(error).__name__})")

    def _as_fetched(
        self,
        ticker: str,
        history: pd.DataFrame | Exception,
        conversation: Conversation,
        start: date,
        end: date | None,
    ) -> FetchedBars:
        """Judge by what Yahoo answered; yfinance's frame counts only when that is a history with rows."""
        answer = conversation.chart
        cause = history if isinstance(history, Exception) else None
        if answer is None:
            raise MalformedAnswerError(ticker, self.name, "yfinance did not ask for the chart") from cause
        range_is_past = end is not None and end <= self._today()
        refused = refusal(answer, ticker=ticker, source=self.name, range_is_past=range_is_past)
        if refused is not None:
            raise refused from cause
        if isinstance(history, Exception):
            if answer.has_rows or not answer.with_prices:
                raise MalformedAnswerError(ticker, self.name, f"yfinance could not read it: {history!r}") from history
            bars = empty_bars()
        else:
            bars = as_bars(history, start, end)
        return self._told_by(answer, ticker, bars)

    def _told_by(self, answer: YahooAnswer, ticker: str, bars: pd.DataFrame) -> FetchedBars:
        try:
            exchange = exchange_of(ticker, answer.meta.get("exchangeName"))
        except UnknownExchangeError as error:
            raise NoDataError(ticker, self.name, str(error)) from error
        return FetchedBars(
            ticker=ticker,
            bars=bars,
            exchange=exchange,
            currency=str(answer.meta["currency"]),
            price_basis=PriceBasis.SPLIT_ADJUSTED,
            source=self.name,
            live=True,
        )


def _is_failure_of_yahoo(error: BaseException) -> bool:
    """Whether an error speaks against Yahoo as a whole; an answer about one symbol shows that it is well."""
    return not isinstance(error, PriceSourceError) or isinstance(error, PriceSourceUnavailableError)
