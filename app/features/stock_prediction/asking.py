"""What all questions for a forecast have in common, and the log row that each of them becomes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.features.registry.champion import Champion
from app.features.stock_prediction.log_writer import LogEntry


@dataclass(slots=True, kw_only=True)  # not frozen, as log entries are not: one is made per answer
class Asking:
    """Who asks for how many days, and by which route.

    ``logged_as`` is the log row's id and instant where they are given, ``bundle`` the one that an administrator asked
    for in place of whichever would answer.
    """

    days_ahead: int
    user_id: UUID
    route: str
    request_id: str | None
    api_key_id: UUID | None = None
    logged_as: tuple[UUID, datetime] | None = None
    bundle: Champion | None = None

    def log_entry(
        self,
        *,
        latency_ms: float,
        forecast_id: UUID | None = None,
        body_sha256: bytes | None = None,
        quantiles: dict[str, Any] | None = None,
    ) -> LogEntry:
        """The row of its answer: with the frozen forecast, or with the digest of a body and what was told of it."""
        entry = LogEntry(
            route=self.route,
            latency_ms=latency_ms,
            user_id=self.user_id,
            api_key_id=self.api_key_id,
            request_id=self.request_id,
            forecast_id=forecast_id,
            days_ahead=self.days_ahead,
            body_sha256=body_sha256,
            quantiles=quantiles,
        )
        if self.logged_as is not None:
            entry.id, entry.answered_at = self.logged_as
        return entry
