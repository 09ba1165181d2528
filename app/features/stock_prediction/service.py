"""A question becomes a frozen forecast, a logged row and an answer, in this order."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import perf_counter
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.monitoring import metrics
from app.core.paging import decode_cursor, encode_cursor, page_of
from app.features.market_data.windows import WindowDesk, is_stale
from app.features.registry.champion import Champion, ChampionHolder
from app.features.registry.errors import NoChampionError
from app.features.stock_prediction import answers, crud
from app.features.stock_prediction.asking import Asking
from app.features.stock_prediction.errors import ForecastNotFoundError
from app.features.stock_prediction.freezing import Freezer
from app.features.stock_prediction.log_writer import PredictionLogWriter
from app.features.stock_prediction.predictor import LIVE
from app.features.stock_prediction.prepared import LATENCY_SLOT, FrozenAs, PreparedAnswer, PreparedAnswers
from app.features.stock_prediction.schemas import ForecastRead, PredictionRead, StoredForecastRead
from app.features.track_record.service import scores_of
from app.models.forecast import Forecast
from app.models.serving_window import ServingWindowRow
from app.schemas.page import Page


@dataclass(slots=True, kw_only=True)
class Question(Asking):
    """The next days of which ticker, and as of which past day."""

    ticker: str
    as_of: date | None


class Sent(NamedTuple):
    """A logged answer: JSON, and the tag of what it says."""

    body: bytes
    etag: str


class ForecastDesk:
    """Answers questions; one per process."""

    def __init__(
        self, champions: ChampionHolder, windows: WindowDesk, freezer: Freezer, log: PredictionLogWriter
    ) -> None:
        self._champions = champions
        self._windows = windows
        self._freezer = freezer
        self._log = log
        self._prepared = PreparedAnswers()

    async def answer(self, db: AsyncSession, question: Question) -> Sent:
        """The forecast asked for, a ``ForecastRead`` in JSON; its row and its log row are committed by then.

        Raises
        ------
        What ``WindowDesk.find``, ``ChampionHolder.serving``, ``Freezer.frozen`` and ``PredictionLogWriter.append`` do.
        """
        started = perf_counter()
        window = await self._windows.find(db, question.ticker, question.as_of, question.user_id)
        await db.commit()  # the connection goes back to the pool: what follows has connections of its own
        now = datetime.now(UTC)
        champion = question.bundle or self._champions.serving(now)
        prepared = self._prepared.find(_key(question), window, champion, now)
        if prepared is None:
            prepared = self.prepare(await self._freezer.frozen(champion, window), window, champion, question, now)
        return Sent(await self.send(prepared, question, started, now), prepared.etag)

    def prepare(
        self, frozen: Forecast, window: ServingWindowRow, champion: Champion, question: Question, now: datetime
    ) -> PreparedAnswer:
        """The answer that a frozen forecast gives to a question, as it was given before or made now."""
        prepared = self._prepared.find(_key(question), window, champion, now)
        if prepared is not None:
            return prepared
        read = self._read(frozen, window, champion, question, now)
        prepared = PreparedAnswer.of(read, frozen, window, champion, now)
        if question.bundle is None:  # nobody else asks for that one
            self._prepared.keep(_key(question), prepared)
        return prepared

    def at_hand(self, ticker: str, days_ahead: int, now: datetime) -> PreparedAnswer | None:
        """The answer from the newest bars, where it is prepared and nothing has to be asked of anybody before."""
        window = self._windows.known(ticker, now)
        if window is None:
            return None
        try:
            champion = self._champions.serving(now)
        except NoChampionError:
            return None
        return self._prepared.find((ticker, days_ahead, None), window, champion, now)

    async def send(self, prepared: PreparedAnswer, question: Question, started: float, now: datetime) -> bytes:
        """The body to send, once the request is logged; ``started`` is of ``perf_counter``."""
        latency_ms = round((perf_counter() - started) * 1000, 3)
        await self._log.append(question.log_entry(latency_ms=latency_ms, forecast_id=prepared.forecast.id))
        _measure(prepared.forecast, now)
        return prepared.body(latency_ms)

    def _read(
        self, frozen: Forecast, window: ServingWindowRow, champion: Champion, question: Question, now: datetime
    ) -> ForecastRead:
        return answers.answer_of(
            frozen,
            bundle=answers.bundle_of(champion, now, flagged=self._champions.is_flagged(champion, now)),
            skill=answers.skill_of(champion, question.days_ahead),
            days_ahead=question.days_ahead,
            as_of=question.as_of,
            stale=is_stale(live=window.live, known_at=frozen.known_at, now=now),
            latency_ms=LATENCY_SLOT,
        )


def _key(question: Question) -> tuple[str, int, date | None]:
    return question.ticker, question.days_ahead, question.as_of


def _measure(frozen: FrozenAs, asked_at: datetime) -> None:
    outcome = metrics.ForecastOutcome.COMPUTED if frozen.made_at >= asked_at else metrics.ForecastOutcome.REPEATED
    # A hindcast's age says nothing of how fresh the bars are.
    age_seconds = asked_at.timestamp() - frozen.newest_bar_at if frozen.kind == LIVE else None
    metrics.count_answered(outcome, age_seconds)


async def read_forecast(db: AsyncSession, forecast_id: UUID, user_id: UUID) -> StoredForecastRead:
    """A forecast that was answered to this user, all of its steps with their scores.

    Raises
    ------
    ForecastNotFoundError : there is none, or it was answered to others only.
    """
    frozen = await find_answered_forecast(db, forecast_id, user_id)
    return answers.stored_answer_of(frozen, await scores_of(db, forecast_id))


async def find_answered_forecast(db: AsyncSession, forecast_id: UUID, user_id: UUID) -> Forecast:
    """The row of a forecast that was answered to this user.

    Raises
    ------
    ForecastNotFoundError : there is none, or it was answered to others only.
    """
    frozen = await crud.find_answered_forecast(db, forecast_id, user_id)
    if frozen is None:
        raise ForecastNotFoundError(forecast_id)
    return frozen


async def list_predictions(
    db: AsyncSession, user_id: UUID, *, ticker: str | None, cursor: str | None, limit: int
) -> Page[PredictionRead]:
    """One page of what a user was answered, newest first; of one ticker if one is given.

    Raises
    ------
    InvalidCursorError
    """
    rows = await crud.list_predictions(db, user_id, ticker=ticker, limit=limit + 1, before=decode_cursor(cursor))
    return page_of(
        rows,
        limit,
        item=answers.prediction_of,
        cursor=lambda last: encode_cursor(last.answered_at, last.prediction_id),
    )
