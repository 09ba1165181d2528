"""A question becomes a frozen forecast, a logged row and an answer, in this order."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import perf_counter
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.market_data import crud as window_crud
from app.features.market_data.windows import WindowDesk, is_stale
from app.features.registry.champion import Champion, ChampionHolder
from app.features.stock_prediction import answers, crud
from app.features.stock_prediction.log_writer import LogEntry, PredictionLogWriter
from app.features.stock_prediction.predictor import forecast_values
from app.features.stock_prediction.schemas import ForecastRead
from app.models.forecast import Forecast
from app.models.serving_window import ServingWindowRow


@dataclass(frozen=True)
class Question:
    """Who asks for what, and by which route."""

    ticker: str
    days_ahead: int
    as_of: date | None
    user_id: UUID
    route: str
    request_id: str | None


class ForecastDesk:
    """Answers questions; one per process."""

    def __init__(self, champions: ChampionHolder, windows: WindowDesk, log: PredictionLogWriter) -> None:
        self._champions = champions
        self._windows = windows
        self._log = log

    async def answer(self, db: AsyncSession, question: Question) -> ForecastRead:
        """The forecast asked for; its row and its log row are committed when this returns."""
        started = perf_counter()
        window = await self._windows.find(db, question.ticker, question.as_of, question.user_id)
        now = datetime.now(UTC)
        champion = self._champions.serving(now)
        frozen = await self._frozen(db, champion, window, now)
        await db.commit()  # the connection goes back to the pool before the log is waited for
        manifest = champion.bundle.manifest
        latency_ms = (perf_counter() - started) * 1000
        answer = answers.answer_of(
            frozen,
            bundle=answers.bundle_of(champion, now, flagged=self._champions.is_flagged(champion, now)),
            skill=answers.skill_of(manifest.scores, manifest.horizons, question.days_ahead),
            days_ahead=question.days_ahead,
            as_of=question.as_of,
            stale=is_stale(window, now),
            latency_ms=round(latency_ms, 3),
        )
        await self._log.append(
            LogEntry(
                route=question.route,
                latency_ms=latency_ms,
                user_id=question.user_id,
                request_id=question.request_id,
                forecast_id=frozen.id,
                days_ahead=question.days_ahead,
            )
        )
        return answer

    async def _frozen(self, db: AsyncSession, champion: Champion, window: ServingWindowRow, now: datetime) -> Forecast:
        frozen = await crud.find_forecast(db, champion.bundle_id, window.ticker, window.cutoff)
        if frozen is not None:
            return frozen
        whole = await window_crud.find_window(db, window.ticker, as_of=window.as_of, with_bars=True) or window
        values = await asyncio.to_thread(forecast_values, champion, whole, now)
        return await crud.freeze_forecast(db, values)
