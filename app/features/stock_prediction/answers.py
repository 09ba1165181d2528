"""A frozen forecast as the answer of a request."""

from collections.abc import Iterable
from datetime import date, datetime
from math import exp
from typing import Any

from app.features.registry.champion import Champion
from app.features.stock_prediction.schemas import (
    DataRead,
    ForecastRead,
    NamedDataVersion,
    ServedBundle,
    SkillRead,
    StepRead,
)
from app.models.forecast import Forecast

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


def skill_of(scores: Iterable[dict[str, Any]], horizons: Iterable[int], days_ahead: int) -> dict[str, SkillRead]:
    """The manifest's figures at each horizon shown; nothing is interpolated between heads."""
    measured = {score["horizon"]: score for score in scores if "label" in score}
    return {
        str(horizon): SkillRead.model_validate(_label(measured[horizon])) if horizon in measured else UNMEASURED
        for horizon in horizons
        if horizon <= days_ahead
    }


def _label(score: dict[str, Any]) -> dict[str, Any]:
    return {field: score.get(field) for field in SkillRead.model_fields}


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
    """The whole answer."""
    steps = steps_of(forecast, days_ahead)
    return ForecastRead(
        forecast_id=forecast.id,
        kind=forecast.kind,
        ticker=forecast.ticker,
        exchange=forecast.exchange,
        currency=forecast.currency,
        cutoff=forecast.cutoff,
        anchor=forecast.anchor,
        price_basis=forecast.price_basis,
        made_at=forecast.made_at,
        bundle=bundle,
        data=DataRead(
            source=forecast.source,
            version=NamedDataVersion(
                table_id=forecast.data_table_id, version=forecast.data_version, content_sha256=forecast.data_sha256
            ),
            as_of=as_of,
            stale=stale,
            repaired_bars=forecast.repaired_bars,
        ),
        steps=steps,
        skill=skill,
        drift_warning=None,
        drift_details=None,
        market_inputs=forecast.market_inputs,
        latency_ms=latency_ms,
        predicted_price=steps[0].median,
        model_version=forecast.bundle_id,
        predictions=[step.median for step in steps],
        generated_at=forecast.made_at,
    )
