"""Forecasts of many tickers at once: one pass of the network, a result or a problem for each ticker."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import DatabaseUnavailableError
from app.features.market_data.windows import WindowDesk
from app.features.registry.champion import Champion, ChampionHolder
from app.features.stock_prediction.freezing import Freezer
from app.features.stock_prediction.prepared import PreparedAnswer
from app.features.stock_prediction.service import ForecastDesk, Question
from app.models.forecast import Forecast
from app.models.serving_window import ServingWindowRow
from data_pipeline.errors import ClosecastError


class BatchDesk:
    """Answers many questions together; one per process."""

    def __init__(
        self, champions: ChampionHolder, windows: WindowDesk, freezer: Freezer, forecasts: ForecastDesk
    ) -> None:
        self._champions = champions
        self._windows = windows
        self._freezer = freezer
        self._forecasts = forecasts

    async def answer(self, db: AsyncSession, questions: Sequence[Question]) -> list[bytes | ClosecastError]:
        """For each question a ``ForecastRead`` in JSON, logged and frozen, or what its ticker alone would raise.

        Nothing is waited for: of a ticker whose bars have to be collected first, CollectionPendingError is told.

        Raises
        ------
        NoChampionError, LogQueueFullError, DatabaseUnavailableError : of the batch as a whole.
        """
        started = perf_counter()
        stored = await self._windows.find_stored(db, [question.ticker for question in questions])
        windows = [await self._window(db, question, stored) for question in questions]
        await db.commit()  # the connection goes back to the pool: what follows has connections of its own
        now = datetime.now(UTC)
        champion = self._champions.serving(now)
        forecasts = await self._forecasts_of(champion, windows)
        answers: list[PreparedAnswer | ClosecastError] = []
        for question, window, frozen in zip(questions, windows, forecasts, strict=True):
            if isinstance(window, ServingWindowRow) and isinstance(frozen, Forecast):
                answers.append(self._forecasts.prepare(frozen, window, champion, question, now))
                await asyncio.sleep(0)  # a hundred answers take a while to write: others go on in between
            elif isinstance(frozen, ClosecastError):
                answers.append(frozen)
        # One wait for all of them: rows that wait together are committed together.
        return await asyncio.gather(
            *(self._send(answer, question, started, now) for answer, question in zip(answers, questions, strict=True))
        )

    async def _window(
        self, db: AsyncSession, question: Question, stored: Mapping[str, ServingWindowRow]
    ) -> ServingWindowRow | ClosecastError:
        try:
            return await self._windows.find(
                db, question.ticker, question.as_of, question.user_id, stored=stored, wait=False
            )
        except DatabaseUnavailableError:
            raise
        except ClosecastError as error:
            return error

    async def _forecasts_of(
        self, champion: Champion, windows: Sequence[ServingWindowRow | ClosecastError]
    ) -> list[Forecast | ClosecastError]:
        """The frozen forecast of each window; what stands in the place of a window stays there."""
        usable = [window for window in windows if isinstance(window, ServingWindowRow)]
        frozen = iter(await self._freezer.frozen_many(champion, usable))
        return [next(frozen) if isinstance(window, ServingWindowRow) else window for window in windows]

    async def _send(
        self, answer: PreparedAnswer | ClosecastError, question: Question, started: float, now: datetime
    ) -> bytes | ClosecastError:
        if isinstance(answer, ClosecastError):
            return answer
        return await self._forecasts.send(answer, question, started, now)
