"""A frozen forecast as the answer of a request."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from math import exp
from typing import Any

from app.features.registry.champion import Champion
from app.features.stock_prediction.crud import PredictionRow
from app.features.stock_prediction.own_windows import OwnWindow, ToldOfWindow
from app.features.stock_prediction.schemas import (
    DataRead,
    DriftDetails,
    ForecastRead,
    NamedDataRead,
    NamedDataVersion,
    OwnDataRead,
    OwnStepRead,
    OwnWindowForecastRead,
    OwnWindowRead,
    PredictionRead,
    ServedBundle,
    SkillRead,
    StepRead,
    StoredForecastRead,
)
from app.features.track_record.schemas import StepScoreRead
from app.models.forecast import Forecast
from app.models.live_skill import ALL_DAYS
from ml_lifecycle.export.forecaster import StepQuantiles

MEDIAN = 0.5
UNMEASURED = SkillRead(
    label="not_yet_measured", source="none", n=0, relative_mae=None, pinball_skill=None, interval=None
)


def steps_of(forecast: Forecast, days_ahead: int) -> list[StepRead]:
    """The first ``days_ahead`` steps in prices."""
    return [_step(forecast, index) for index in range(days_ahead)]


def _step(forecast: Forecast, index: int) -> StepRead:
    log_return = dict(zip(map(str, forecast.levels), forecast.log_returns[index], strict=True))
    prices = {level: forecast.anchor * exp(value) for level, value in log_return.items()}
    return StepRead(
        step=index + 1,
        target_trading_day=forecast.target_trading_days[index],
        known_at=forecast.known_at[index],
        naive=forecast.anchor,
        median=prices[str(MEDIAN)],
        quantiles=prices,
        log_return=log_return,
        probability_up=forecast.probability_up[index],
    )


def skill_of(champion: Champion, days_ahead: int) -> dict[str, SkillRead]:
    """Figures at each horizon shown: of live forecasts once there are any, till then the manifest's.

    Nothing is interpolated between heads.
    """
    shown = (horizon for horizon in champion.bundle.manifest.horizons if horizon <= days_ahead)
    return {str(horizon): _skill(_measured(champion, horizon)) for horizon in shown}


def _measured(champion: Champion, horizon: int) -> Mapping[str, Any] | None:
    live = champion.live.get((horizon, ALL_DAYS))
    found: Mapping[str, Any] = live if live and live["scored"] else champion.scores.get(horizon, {})
    return found.get("skill")


def _skill(measured: Mapping[str, Any] | None) -> SkillRead:
    return UNMEASURED if measured is None else SkillRead.model_validate(measured)


def bundle_of(champion: Champion, now: datetime, *, flagged: bool) -> ServedBundle:
    """Who answers, by whose decision, and how old."""
    return ServedBundle(
        id=champion.bundle_id,
        kind=champion.bundle.manifest.kind.value,
        promotion=champion.promotion,
        age=champion.age(now).days,
        past_max_age=flagged,
    )


def answer_of(
    forecast: Forecast,
    *,
    bundle: ServedBundle,
    skill: dict[str, SkillRead],
    days_ahead: int,
    as_of: date | None,
    stale: bool,
    latency_ms: float,
) -> ForecastRead:
    """The answer of a prediction: the frozen part, and what there is to say about it now."""
    steps = steps_of(forecast, days_ahead)
    return ForecastRead(
        **_frozen_fields(forecast),
        steps=steps,
        bundle=bundle,
        data=DataRead(**_data_fields(forecast), as_of=as_of, stale=stale),
        skill=skill,
        **drift_fields(forecast.drift),
        latency_ms=latency_ms,
        predicted_price=steps[0].median,
        predictions=[step.median for step in steps],
        generated_at=forecast.made_at,
    )


def drift_fields(left: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """``drift_warning`` and ``drift_details``: both null where drift was not measured."""
    if left is None:
        return {"drift_warning": None, "drift_details": None}
    return {"drift_warning": bool(left), "drift_details": DriftDetails(left_training_distribution=list(left))}


def own_window_answer_of(
    window: OwnWindow,
    quantiles: StepQuantiles,
    told: ToldOfWindow,
    *,
    read: OwnWindowRead,
    bundle: ServedBundle,
    skill: dict[str, SkillRead],
    days_ahead: int,
    made_at: datetime,
    latency_ms: float,
) -> OwnWindowForecastRead:
    """The answer to a client's own window, with the fields of any other forecast."""
    steps = [_own_step(window, quantiles, index) for index in range(days_ahead)]
    steps[0] = steps[0].model_copy(update={"target_trading_day": told.target_trading_day})
    return OwnWindowForecastRead(
        ticker=told.ticker,
        exchange=told.exchange,
        currency=told.currency,
        cutoff=window.cutoff,
        target_trading_day=told.target_trading_day,
        anchor=window.anchor,
        made_at=made_at,
        bundle=bundle,
        window=read,
        data=OwnDataRead(as_of=told.as_of),
        steps=steps,
        skill=skill,
        **drift_fields(None if quantiles.drift is None else [asdict(left) for left in quantiles.drift]),
        latency_ms=latency_ms,
        predicted_price=steps[0].median,
        predictions=[step.median for step in steps],
        generated_at=made_at,
        model_version=bundle.id,
    )


def _own_step(window: OwnWindow, quantiles: StepQuantiles, index: int) -> OwnStepRead:
    log_return = dict(zip(map(str, quantiles.levels), quantiles.log_returns[index].tolist(), strict=True))
    prices = {level: window.anchor * exp(value) for level, value in log_return.items()}
    return OwnStepRead(
        step=index + 1,
        target_trading_day=None,
        naive=window.anchor,
        median=prices[str(MEDIAN)],
        quantiles=prices,
        log_return=log_return,
        probability_up=float(quantiles.probability_up[index]),
    )


def stored_answer_of(forecast: Forecast, scores: list[StepScoreRead]) -> StoredForecastRead:
    """A forecast read again: all of it that is frozen, and what came of it."""
    return StoredForecastRead(
        **_frozen_fields(forecast),
        steps=steps_of(forecast, len(forecast.log_returns)),
        data=NamedDataRead(**_data_fields(forecast)),
        scores=scores,
    )


def prediction_of(row: PredictionRow) -> PredictionRead:
    """One line of a user's history."""
    logged, ticker, cutoff, kind, bundle_id = row
    return PredictionRead(
        prediction_id=logged.id,
        answered_at=logged.answered_at,
        route=logged.route,
        request_id=logged.request_id,
        latency_ms=logged.latency_ms,
        days_ahead=logged.days_ahead,
        forecast_id=logged.forecast_id,
        ticker=ticker,
        cutoff=cutoff,
        kind=kind,
        bundle_id=bundle_id or (logged.quantiles or {}).get("bundle_id"),
    )


def _frozen_fields(forecast: Forecast) -> dict[str, Any]:
    return {
        "forecast_id": forecast.id,
        "kind": forecast.kind,
        "ticker": forecast.ticker,
        "exchange": forecast.exchange,
        "currency": forecast.currency,
        "cutoff": forecast.cutoff,
        "anchor": forecast.anchor,
        "price_basis": forecast.price_basis,
        "made_at": forecast.made_at,
        "market_inputs": forecast.market_inputs,
        "model_version": forecast.bundle_id,
    }


def _data_fields(forecast: Forecast) -> dict[str, Any]:
    version = NamedDataVersion(
        table_id=forecast.data_table_id, version=forecast.data_version, content_sha256=forecast.data_sha256
    )
    return {"source": forecast.source, "version": version, "repaired_bars": forecast.repaired_bars}
