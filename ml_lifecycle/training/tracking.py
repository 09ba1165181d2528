"""Runs in MLflow: told as they go, never waited for but at their end, and there for a few seconds at most.

MLflow away, slow, or failing in the middle costs a log line; training neither breaks nor waits (docs/tracking.md).
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

from ml_lifecycle.training.mlflow_delivery import Delivery, Tracker

logger = logging.getLogger(__name__)

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Run:
    """One run, or one nested in another; every method returns at once, and only the end of the outer one waits.

    As a context it ends by itself: ``FAILED`` where an error leaves the block.
    """

    def __init__(
        self, delivery: Delivery | None, tracker: Tracker | None, key: str = "", parent: "Run | None" = None
    ) -> None:
        self._delivery, self._tracker, self._key, self._parent = delivery, tracker, key, parent
        self._ended = False

    def curve(self, step: int, **values: float) -> None:
        """One point of each curve; a value that is no number is left out."""
        self._send("curve", step=step, values={name: float(value) for name, value in values.items()}, at=_now())

    def figures(self, values: Mapping[str, float | None]) -> None:
        """What the run came to, by name."""
        known = {name: float(value) for name, value in values.items() if value is not None}
        self._send("curve", step=0, values=known, at=_now())

    def tag(self, **tags: str) -> None:
        """What became known on the way; ``closecast.`` comes before each name."""
        self._send("tag", tags={f"closecast.{name}": value for name, value in tags.items()})

    def artifact(self, path: Path, folder: str = "") -> None:
        """One file, or a folder of files, under ``folder``; it must stay until the run ends."""
        self._send("artifact", path=str(path.resolve()), folder=folder)

    def child(self, name: str, params: Mapping[str, Any], *, began_seconds_ago: float = 0.0) -> "Run":
        """A run nested in this one."""
        run = Run(self._delivery, self._tracker, uuid4().hex, self)
        run._begin(name, params, {}, at=_now() - int(1000 * began_seconds_ago))
        return run

    def end(self, status: Status = "FINISHED") -> None:
        """The last call; of the outer run, it waits until all is delivered, ``flush_seconds`` at most.

        What could not be delivered by then is not, and is said in one line of the log. A second call does nothing.
        """
        if self._ended:
            return
        self._ended = True
        self._send("end", status=status, at=_now())
        if self._parent is None and self._delivery is not None and self._tracker is not None:
            _flush(self._delivery, self._tracker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("FINISHED" if kind is None else "FAILED" if issubclass(kind, Exception) else "KILLED")

    def _begin(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str | None], *, at: int) -> None:
        self._send(
            "start",
            name=name,
            params=dict(params),
            tags={f"closecast.{tag}": value for tag, value in tags.items() if value is not None},
            parent=self._parent._key if self._parent else "",
            at=at,
        )

    def _send(self, op: str, **arguments: Any) -> None:
        if self._delivery is not None:
            self._delivery.send(op, run=self._key, **arguments)


def open_run(
    tracker: Tracker | None, *, name: str, params: Mapping[str, Any], tags: Mapping[str, str | None] | None = None
) -> Run:
    """Begin a run and the process that delivers it.

    Parameters
    ----------
    tracker : where MLflow is; None: a run that tells nobody.
    params : leaves by dotted name, see ``flat``.
    tags : ``closecast.`` comes before each name; those that are None are left out.
    """
    if tracker is None:
        return Run(None, None)
    run = Run(Delivery(tracker), tracker, uuid4().hex)
    run._begin(name, params, tags or {}, at=_now())
    return run


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of a nested mapping by dotted path.

    >>> flat({"epochs": 3, "layers": {"units": 8}})
    {'epochs': 3, 'layers.units': 8}
    """
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        leaves.update(flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value})
    return leaves


def _flush(delivery: Delivery, tracker: Tracker) -> None:
    delivered = delivery.close(tracker.flush_seconds)
    if not delivered.complete:
        lost = delivered.told - delivered.taken
        reason = delivered.reason or "its process ended"
        logger.warning("MLflow at %s: %d of %d records lost: %s", tracker.shown, lost, delivered.told, reason)


def _now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return int(time.time() * 1000)
