"""What the routes about the service itself answer."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class About(BaseModel):
    """What this is."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "title": "Closecast",
                "description": "Honest forecasts of the next closes of a stock.",
                "version": "0.1.0",
            }
        }
    )

    title: str
    description: str
    version: str


class Alive(BaseModel):
    """The process answers; nothing is said of what it depends on."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "alive"}})

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Forecasts can be answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "ready",
                "checks": {"database": "ok", "migrations": "ok", "champion": "ok", "prediction_log": "ok"},
            }
        }
    )

    status: Literal["ready"] = "ready"
    checks: dict[str, str]


class Health(BaseModel):
    """As load balancers and the reference systems' clients ask for it."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": "ok", "version": "0.1.0", "timestamp": "2026-11-21T09:30:00Z"}}
    )

    status: Literal["ok", "degraded"]
    version: str
    timestamp: datetime


class ProblemExplanation(BaseModel):
    """One kind of problem: what it means, and what to do about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "/problems/expired-token",
                "title": "Expired token",
                "status": 401,
                "explanation": "The token was valid once: exchange the refresh token at POST /auth/refresh.",
                "example": "this token has expired: refresh it",
            }
        }
    )

    type: str
    title: str
    status: int
    explanation: str
    example: str


class LatencyRead(BaseModel):
    """Milliseconds from the request to its answer's row in the log; null where nothing was answered."""

    mean: float | None
    min: float | None
    max: float | None
    p50: float | None = Field(description="Percentiles are within 2 % of their value.")
    p95: float | None
    p99: float | None


class UnansweredRead(BaseModel):
    """Forecasts that were asked for and not answered; who may not ask, or not as often, has asked for none."""

    unknown: int = Field(description="404: no such ticker.")
    refused: int = Field(description="4xx: the request, or the history, does not allow a forecast.")
    unavailable: int = Field(description="503: a source or the database did not answer in time.")
    failed: int = Field(description="5xx: a failure of ours.")
    total: int


class WindowRead(BaseModel):
    """What was answered since an instant; null: since the beginning."""

    since: datetime | None
    inferences: int
    latency_ms: LatencyRead
    last_inference_at: datetime | None
    errors: UnansweredRead


class MonitorRead(BaseModel):
    """Answered forecasts and how fast, as all processes together have logged them."""

    status: Literal["ok", "degraded"] = Field(description="As /health.")
    last_hour: WindowRead
    last_day: WindowRead
    all_time: WindowRead
    behind: bool = Field(description="The worker has not counted for more than an hour: the figures lack answers.")
    total_inferences: int
    avg_latency_ms: float | None
    min_latency_ms: float | None
    max_latency_ms: float | None
    last_inference_timestamp: datetime | None
