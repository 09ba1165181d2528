"""What the routes about the service itself answer."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


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
