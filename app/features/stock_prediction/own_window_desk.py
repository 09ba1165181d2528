"""A client's own window becomes a logged row and an answer: never frozen, never scored."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.monitoring import metrics
from app.features.registry.champion import Champion, ChampionHolder
from app.features.registry.shelf import ASKED_FOR, CLOSES_NETWORK, BundleShelf
from app.features.stock_prediction import answers
from app.features.stock_prediction.asking import Asking
from app.features.stock_prediction.errors import ClosesNetworkMissingError
from app.features.stock_prediction.log_writer import PredictionLogWriter
from app.features.stock_prediction.own_windows import OwnWindow, ToldOfWindow, readable_by
from app.features.stock_prediction.schemas import OwnWindowForecastRead, OwnWindowRead
from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import InputKind, UnusableBarsError
from ml_lifecycle.export.errors import WholeBarsNeededError
from ml_lifecycle.export.forecaster import StepQuantiles

MOST_LOG_RETURN = 300.0  # e to this power, times any price that is taken, is still a float


@dataclass(slots=True, kw_only=True)
class OwnWindowQuestion(Asking):
    """What follows on which window; ``body_sha256`` is of the body as it came."""

    window: OwnWindow
    told: ToldOfWindow
    body_sha256: bytes


@dataclass(frozen=True)
class Reading:
    """The bundle that answers, the bars that it reads, and why it is not the champion."""

    bundle: Champion
    bars: BarArrays
    answered_by: str
    because: str | None = None


class OwnWindowDesk:
    """Answers questions about windows; one per process."""

    def __init__(self, champions: ChampionHolder, shelf: BundleShelf, log: PredictionLogWriter) -> None:
        self._champions = champions
        self._shelf = shelf
        self._log = log

    async def answer(self, db: AsyncSession, question: OwnWindowQuestion) -> OwnWindowForecastRead:
        """The forecast of a window; its log row is committed by then.

        Raises
        ------
        NoChampionError, ClosesNetworkMissingError : nothing is there that could answer.
        InsufficientHistoryError : fewer closes than the closes network needs.
        WholeBarsNeededError : the bundle that was asked for reads more than came.
        UnusableBarsError : the rows give no finite forecast.
        """
        started, now = perf_counter(), datetime.now(UTC)
        reading = await self._choose(db, question, now)
        await db.commit()  # the connection goes back to the pool: nobody waits for the network with one
        with metrics.inference_seconds.time():
            quantiles = await asyncio.to_thread(_forecast, reading)
        latency_ms = round((perf_counter() - started) * 1000, 3)
        flagged = self._champions.is_flagged(reading.bundle, now)
        answer = answers.own_window_answer_of(
            question.window,
            quantiles,
            question.told,
            read=_read(question.window, reading),
            bundle=answers.bundle_of(reading.bundle, now, flagged=flagged),
            skill=answers.skill_of(reading.bundle, question.days_ahead),
            days_ahead=question.days_ahead,
            made_at=now,
            latency_ms=latency_ms,
        )
        told = _logged(question, reading.bundle, quantiles)
        await self._log.append(
            question.log_entry(latency_ms=latency_ms, body_sha256=question.body_sha256, quantiles=told)
        )
        metrics.forecasts_total.labels(metrics.ForecastOutcome.COMPUTED).inc()
        return answer

    async def _choose(self, db: AsyncSession, question: OwnWindowQuestion, now: datetime) -> Reading:
        """The champion where it can read the window, else the closes network; or the bundle that was asked for."""
        if question.bundle is not None:
            return _asked_for(question.bundle, question.window)
        champion = self._champions.serving(now)
        bars = readable_by(champion.bundle.manifest, question.window)
        if isinstance(bars, BarArrays):
            return Reading(champion, bars, "champion")
        because = bars
        network = await self._shelf.closes_network(db, now)
        if network is None:
            raise ClosesNetworkMissingError(because)
        bars = readable_by(network.bundle.manifest, question.window)
        if isinstance(bars, str):
            needed = network.bundle.manifest.history_needed
            raise InsufficientHistoryError(needed=needed, found=len(question.window.closes))
        return Reading(network, bars, CLOSES_NETWORK, because)


def _forecast(reading: Reading) -> StepQuantiles:
    quantiles = reading.bundle.forecaster.forecast(reading.bars)
    if np.abs(quantiles.log_returns).max() > MOST_LOG_RETURN:
        raise UnusableBarsError("these rows jump so far that no price could be told")
    return quantiles


def _asked_for(bundle: Champion, window: OwnWindow) -> Reading:
    manifest = bundle.bundle.manifest
    bars = readable_by(manifest, window)
    if isinstance(bars, BarArrays):
        return Reading(bundle, bars, ASKED_FOR)
    if manifest.input_kind is not InputKind.CLOSES and window.bars is None:
        raise WholeBarsNeededError
    raise InsufficientHistoryError(needed=manifest.history_needed, found=len(window.closes))


def _read(window: OwnWindow, reading: Reading) -> OwnWindowRead:
    manifest = reading.bundle.bundle.manifest
    return OwnWindowRead.model_validate(
        {
            "rows": window.n_rows,
            "read": "closes" if manifest.input_kind is InputKind.CLOSES else "bars",
            "rows_read": min(len(reading.bars), manifest.history_used),
            "answered_by": reading.answered_by,
            "not_by_champion_because": reading.because,
        }
    )


def _logged(question: OwnWindowQuestion, bundle: Champion, quantiles: StepQuantiles) -> dict[str, Any]:
    """What was answered, for as many days as were shown."""
    return {
        "bundle_id": bundle.bundle_id,
        "anchor": question.window.anchor,
        "levels": list(quantiles.levels),
        "log_returns": quantiles.log_returns[: question.days_ahead].tolist(),
    }
