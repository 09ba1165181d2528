"""Rows of scores before they are written: losses of steps whose outcome is known, and steps that are given up."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.track_record import crud
from app.features.track_record.crud import OpenForecast
from app.features.track_record.figures import INSIDE
from app.features.track_record.outcome_store import Version
from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.export.conformal import missed_intervals
from ml_lifecycle.monitoring.scoring import StepScores, score_steps

ROWS = 2_000  # in one statement: far within its deadline, on a busy machine too
FIGURES = (
    "log_return",
    "absolute_error",
    "naive_absolute_error",
    "pinball",
    "naive_pinball",
    "direction_hit",
    *INSIDE,
    *(f"naive_{name}" for name in INSIDE),
)


class Came(NamedTuple):
    """A step whose outcome is known."""

    forecast: OpenForecast
    step: int
    trading_day: date
    log_return: float


@dataclass(frozen=True)
class NewScores:
    """Scores of one kind, bundle and data version, for one statement.

    Attributes
    ----------
    columns : of ``Score``, by name, each as long as ``steps``.
    missed : 1 for each interval that missed, shape ``(n, n_intervals)``; None where the steps are void.
    """

    kind: str
    bundle_id: str
    version: Version
    steps: Sequence[Came]
    columns: Mapping[str, Sequence[Any]]
    missed: FloatArray | None


async def scored_steps(db: AsyncSession, version: Version, came: Sequence[Came]) -> list[NewScores]:
    """Losses of steps of one data version; what is read here never changes."""
    scores = []
    for (kind, bundle_id), group in _by_bundle(came):
        levels = await crud.levels_of(db, group[0].forecast.id)
        for part in _parts(group):
            ids, steps = [one.forecast.id for one in part], [one.step for one in part]
            quantiles, naive = await crud.quantiles_at(db, ids, steps, len(levels))
            actual = np.array([one.log_return for one in part])
            columns = _columns(part, score_steps(actual, quantiles, naive, levels))
            missed = missed_intervals(quantiles, actual)
            scores.append(NewScores(kind, bundle_id, version, part, columns, missed))
    return scores


def void_steps(version: Version, given_up: Sequence[Came]) -> Iterator[NewScores]:
    """Steps whose bar did not come, as found out with one data version."""
    for (kind, bundle_id), group in _by_bundle(given_up):
        for part in _parts(group):
            yield NewScores(kind, bundle_id, version, part, _void_columns(part), None)


def _by_bundle(came: Sequence[Came]) -> Iterator[tuple[tuple[str, str], list[Came]]]:
    """Kind and bundle, with what is of them."""
    groups: dict[tuple[str, str], list[Came]] = defaultdict(list)
    for one in came:
        groups[one.forecast.kind, one.forecast.bundle_id].append(one)
    yield from sorted(groups.items())


def _parts(came: Sequence[Came]) -> Iterator[Sequence[Came]]:
    return (came[first : first + ROWS] for first in range(0, len(came), ROWS))


def _columns(came: Sequence[Came], scores: StepScores) -> dict[str, list[Any]]:
    """The columns of ``Score`` rows."""
    return {
        **_key_columns(came, "scored"),
        "log_return": [one.log_return for one in came],
        "absolute_error": scores.absolute_error.tolist(),
        "naive_absolute_error": scores.naive_absolute_error.tolist(),
        "pinball": scores.pinball.tolist(),
        "naive_pinball": [None if np.isnan(loss) else loss for loss in scores.naive_pinball.tolist()],
        "direction_hit": _flags(scores.direction_hit),
        **{name: _flags(scores.inside[:, place]) for place, name in enumerate(INSIDE)},
        **{f"naive_{name}": _flags(scores.naive_inside[:, place]) for place, name in enumerate(INSIDE)},
    }


def _void_columns(came: Sequence[Came]) -> dict[str, list[Any]]:
    return {**_key_columns(came, "void"), **{name: [None] * len(came) for name in FIGURES}}


def _key_columns(came: Sequence[Came], status: str) -> dict[str, list[Any]]:
    return {
        "forecast_id": [one.forecast.id for one in came],
        "step": [one.step for one in came],
        "status": [status] * len(came),
        "trading_day": [one.trading_day for one in came],
    }


def _flags(values: FloatArray) -> list[bool | None]:
    """True for 1, False for 0, None for NaN."""
    return [None if value != value else value == 1.0 for value in values.tolist()]
