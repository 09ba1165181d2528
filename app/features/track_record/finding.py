"""What a verification finds."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was; ``day`` and ``forecast_id`` are None where none is concerned by itself."""

    day: date | None
    what: str
    forecast_id: UUID | None = None

    def __str__(self) -> str:
        return (f"{self.day}: " if self.day else "") + self.what + (f" {self.forecast_id}" if self.forecast_id else "")
