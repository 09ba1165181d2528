"""Whether one window looks like what its network was trained on: its input columns beside ``reference.json``.

The limits are round numbers past which about one ordinary window in a hundred lies (docs/drift.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import FloatArray

Statistic = Literal["psi", "distance"]
PSI_LIMIT = 1.5
DISTANCE_LIMIT = 8.0
MOST_EDGES = 9  # deciles without the outermost; a column with few distinct values has fewer
LEAST_SHARE = 1e-4  # a part that training left empty is still no proof
LEAST_DEVIATION = 1e-12  # of a column that was constant, any other value is far off


@dataclass(frozen=True)
class ColumnDrift:
    """A column that left the training distribution: ``value`` of ``statistic`` is past ``limit``."""

    column: str
    statistic: Statistic
    value: float
    limit: float


@dataclass(frozen=True)
class DriftReference:
    """Training distributions of a network's input columns, those of its window first.

    Attributes
    ----------
    columns, context_columns : their names.
    mean, deviation : over the training part, before the scaler; shape ``(n_columns + n_context,)``.
    edges : deciles of the window's columns, shape ``(n_columns, MOST_EDGES)``, infinite where there are fewer.
    shares : of the training values between the edges, shape ``(n_columns, MOST_EDGES + 1)``; each edge belongs to the
        part above it.
    """

    columns: tuple[str, ...]
    context_columns: tuple[str, ...]
    mean: FloatArray
    deviation: FloatArray
    edges: FloatArray
    shares: FloatArray

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], columns: Sequence[str], context_columns: Sequence[str]
    ) -> Self | None:
        """Read ``reference.json`` of a network that reads these columns; None where it describes none.

        Raises
        ------
        KeyError, TypeError, ValueError : it describes other columns, or is none.
        """
        listed = content["columns"]
        if not listed:
            return None
        if [each["name"] for each in listed] != [*columns, *context_columns]:
            raise ValueError("other columns than the network reads")
        mean, deviation = (
            np.array([each[name] for each in listed], dtype=np.float64) for name in ("mean", "deviation")
        )
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation >= 0.0).all()):
            raise ValueError("finite means and deviations wanted")
        parts = [read_parts(each["edges"], each["shares"]) for each in listed[: len(columns)]]
        edges, shares = (np.stack(arrays) for arrays in zip(*parts, strict=True))
        return cls(tuple(columns), tuple(context_columns), mean, deviation, edges, shares)

    def left(self, window: FloatArray, context: FloatArray) -> list[ColumnDrift]:
        """The columns of one forecast's inputs that left the training distribution.

        A window's column is measured twice: all of its values (``psi``), and the newest one (``distance``), as each
        context column is.

        Parameters
        ----------
        window : shape ``(lookback, n_columns)``, before the scaler.
        context : shape ``(n_context,)``, before the scaler.
        """
        return self.left_many(window[None], context[None])[0]

    def left_many(self, windows: FloatArray, contexts: FloatArray) -> list[list[ColumnDrift]]:
        """``left`` of many forecasts at once: ``windows (n, lookback, n_columns)``, ``contexts (n, n_context)``."""
        stability = self.population_stability(windows).tolist()
        distances = self.distance(np.concatenate([windows[:, -1], contexts], axis=1)).tolist()
        names = (*self.columns, *self.context_columns)
        return [
            [
                *_past_limit("psi", PSI_LIMIT, zip(self.columns, one, strict=True)),
                *_past_limit("distance", DISTANCE_LIMIT, zip(names, other, strict=True)),
            ]
            for one, other in zip(stability, distances, strict=True)
        ]

    def population_stability(self, windows: FloatArray) -> FloatArray:
        """Population stability index of each column, shape ``(n, n_columns)``, of ``(n, lookback, n_columns)``.

        Of the window's values over the parts between the edges, see ``stability_index``; unknown ones (NaN) do not
        count.
        """
        known, n_parts = np.isfinite(windows), MOST_EDGES + 1
        part = (windows[..., None] >= self.edges).sum(axis=-1, dtype=np.int8)
        counts = ((part[..., None] == np.arange(n_parts, dtype=np.int8)) & known[..., None]).sum(axis=-3)
        return stability_index(counts, self.shares)

    def distance(self, newest: FloatArray) -> FloatArray:
        """Standard deviations of the training part between its mean and each value ``(n, n_columns + n_context)``.

        0 where a value is unknown.
        """
        off: FloatArray = np.abs(newest - self.mean) / np.maximum(self.deviation, LEAST_DEVIATION)
        return np.nan_to_num(off, nan=0.0, posinf=np.inf)


def stability_index(counts: NDArray[np.integer[Any]], shares: FloatArray) -> FloatArray:
    """Population stability index of values counted by part, shape ``(...)``; both of shape ``(..., n_parts)``.

    ``sum((a - e) * ln(a / e))``: ``e`` are the training's shares, ``a`` those of the values counted and of as many more
    as there are parts, spread as in training, so that no share is 0 and a handful of values proves little. (Kullback's
    symmetric divergence under the name that credit scoring gave it: Siddiqi, Credit Risk Scorecards, 2006.)
    """
    n_parts = counts.shape[-1]
    found = (counts + n_parts * shares) / (counts.sum(axis=-1, keepdims=True) + n_parts)
    index: FloatArray = ((found - shares) * np.log(found / shares)).sum(axis=-1)
    return index


def read_parts(listed_edges: Any, listed_shares: Any) -> tuple[FloatArray, FloatArray]:
    """Edges and shares of one entry of ``reference.json``, padded to ``MOST_EDGES`` edges.

    Raises
    ------
    ValueError : edges do not ascend, or shares are none.
    """
    edges, shares = np.array(listed_edges, dtype=np.float64), np.array(listed_shares, dtype=np.float64)
    if edges.ndim != 1 or len(edges) > MOST_EDGES or shares.shape != (len(edges) + 1,):
        raise ValueError(f"at most {MOST_EDGES} edges and one share more wanted")
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0.0).any():
        raise ValueError("edges ascend")
    if not (np.isfinite(shares).all() and (shares >= 0.0).all() and abs(shares.sum() - 1.0) < 1e-6):
        raise ValueError("shares sum to 1")
    absent = MOST_EDGES - len(edges)
    floored = np.maximum(np.pad(shares, (0, absent)), LEAST_SHARE)
    return np.pad(edges, (0, absent), constant_values=np.inf), floored / floored.sum()


def _past_limit(statistic: Statistic, limit: float, values: Iterable[tuple[str, float]]) -> list[ColumnDrift]:
    return [ColumnDrift(column, statistic, value, limit) for column, value in values if value > limit]
