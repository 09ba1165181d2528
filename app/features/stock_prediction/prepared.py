"""Answers as bytes: made once for a frozen forecast, sent until something that they say stops being true."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from app.core.bounded_cache import BoundedCache
from app.core.etags import etag_of, json_or_not_modified
from app.features.registry.champion import Champion
from app.features.stock_prediction.schemas import ForecastRead
from app.models.forecast import Forecast
from app.models.serving_window import ServingWindowRow

REMEMBERED_ANSWERS = 10_000  # about 7 kB each
LATENCY_SLOT = -1.0  # no latency is negative, so its place in the JSON is found by it
_SLOT = b'"latency_ms":-1.0'
_NAME = b'"latency_ms":'

Key = tuple[str, int, date | None]  # ticker, days shown, the past day asked for


class FrozenAs(NamedTuple):
    """What is logged and counted of a frozen forecast: its row has arrays that an answer has in it already.

    ``newest_bar_at`` is the beginning of its cutoff day in UTC, in seconds since 1970.
    """

    id: UUID
    kind: str
    newest_bar_at: float
    made_at: datetime

    @classmethod
    def of(cls, forecast: Forecast) -> "FrozenAs":
        """Of one row."""
        newest_bar = datetime.combine(forecast.cutoff, time(), tzinfo=UTC)
        return cls(forecast.id, forecast.kind, newest_bar.timestamp(), forecast.made_at)


@dataclass(frozen=True, slots=True)
class PreparedAnswer:
    """One answer in JSON, but for its latency.

    Attributes
    ----------
    etag : of all that it says.
    headers : of the answer to who does not hold it yet, but for its length.
    window, champion : what it was made from; another object of either, even an equal one, makes it void.
    true_until : the instant from which on it would say something else: a bar becomes final, the bundle a day older.
    """

    forecast: FrozenAs
    window: ServingWindowRow
    champion: Champion
    true_until: datetime
    head: bytes
    tail: bytes
    etag: str
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(
        cls, read: ForecastRead, forecast: Forecast, window: ServingWindowRow, champion: Champion, now: datetime
    ) -> "PreparedAnswer":
        """``read`` was given ``LATENCY_SLOT`` as its latency, at ``now``."""
        head, slot, tail = read.model_dump_json().encode().partition(_SLOT)
        assert slot  # noqa: S101 (the answer of every forecast has this field)
        etag = etag_of(head, tail)
        headers = json_or_not_modified(b"", etag, None).raw_headers
        return cls(
            FrozenAs.of(forecast),
            window,
            champion,
            _true_until(forecast, champion, now),
            head + _NAME,
            tail,
            etag,
            tuple((name, value) for name, value in headers if name != b"content-length"),
        )

    def body(self, latency_ms: float) -> bytes:
        """The whole answer."""
        return b"%b%r%b" % (self.head, latency_ms, self.tail)

    def holds(self, window: ServingWindowRow, champion: Champion, now: datetime) -> bool:
        """Whether it is still what would be answered."""
        return self.window is window and self.champion is champion and now < self.true_until


def _true_until(forecast: Forecast, champion: Champion, now: datetime) -> datetime:
    """When a newer bar becomes final (``stale``), or the bundle's age in days changes, whichever comes first."""
    older_by_a_day = now + timedelta(days=1) - champion.age(now) % timedelta(days=1)
    return min([older_by_a_day, *(instant for instant in forecast.known_at if instant > now)])


class PreparedAnswers:
    """The answers lately given; one per process."""

    def __init__(self) -> None:
        self._kept: BoundedCache[Key, PreparedAnswer] = BoundedCache(REMEMBERED_ANSWERS)

    def find(self, key: Key, window: ServingWindowRow, champion: Champion, now: datetime) -> PreparedAnswer | None:
        """The answer to one question, while it holds."""
        known = self._kept.get(key)
        return known if known is not None and known.holds(window, champion, now) else None

    def keep(self, key: Key, answer: PreparedAnswer) -> None:
        """Remember the answer to a question."""
        self._kept.put(key, answer)
