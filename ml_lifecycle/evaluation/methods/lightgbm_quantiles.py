"""Quantile regression by boosted trees (``lightgbm``), one model for each horizon and level, over all tickers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputSpec, IntArray, make_targets, prepare_series
from ml_lifecycle.evaluation.evaluate import NothingToEvaluateError
from ml_lifecycle.evaluation.methods.per_ticker import PerTickerMethod
from ml_lifecycle.evaluation.rows import RowArrays
from ml_lifecycle.export.interpolation import interpolate_steps, median_index
from ml_lifecycle.export.manifest import LEVELS

HEADS = (1, 5, 10, 21, 30)  # steps between are interpolated in variance, as a network's are
EVERY = 10  # bars between a ticker's training cutoffs: neighbours say nearly the same
STOPPING_SHARE = 0.15  # of the days, the newest, end the boosting
ROUNDS = 400
PATIENCE = 20
SETTINGS = {
    "objective": "quantile",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.8,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # on cores that are not free OpenMP's barriers cost more than a second thread brings
    "seed": 7,
    "verbosity": -1,
}
SPEC = InputSpec(
    columns=("log_return",),
    context_columns=(
        "volatility_level",
        "volatility_state_fast",
        "volatility_state_medium",
        "range_state_fast",
        "range_state_medium",
        "drawdown",
        "momentum_month",
        "momentum_half_year",
        "jump_share",
        "weekday_sine",
        "weekday_cosine",
        "season_sine",
        "season_cosine",
    ),
    lookback=2,
)


@dataclass(frozen=True)
class _Pairs(RowArrays):
    """``inputs (n, n_columns)``; ``targets (n, n_heads)`` in units of ``scale * sqrt(h)``; first and last day."""

    inputs: FloatArray
    targets: FloatArray
    cutoff: DayArray
    known_on: DayArray


class LightGbmMethod:
    """See ``Trainable``. Inputs are the context columns of a network: state of volatility, drawdown, calendar."""

    one_ticker = False
    history_needed = SPEC.history_needed

    def __init__(self, levels: tuple[float, ...] = LEVELS, *, rounds: int = ROUNDS) -> None:
        self.levels, self.rounds = levels, rounds

    def fitted(self, bars_by_ticker: Mapping[str, BarArrays]) -> "FittedLightGbm":
        """See ``Trainable``.

        Raises
        ------
        NothingToEvaluateError : no ticker has enough bars for a pair of inputs and target.
        """
        pieces = [piece for bars in bars_by_ticker.values() for piece in bars.pieces()]
        pairs = [_pairs(piece) for piece in pieces if len(piece) >= SPEC.history_needed + HEADS[-1]]
        if not sum(len(one.inputs) for one in pairs):
            raise NothingToEvaluateError(
                f"lightgbm: no ticker has {SPEC.history_needed + HEADS[-1]} bars to learn from"
            )
        joined = _Pairs.joined(pairs)
        return FittedLightGbm(self.levels, [self._boosters(joined, place) for place in range(len(HEADS))])

    def _boosters(self, pairs: _Pairs, place: int) -> list[Any]:
        """One model for each level; the newest days end the boosting, and no target reaches into them."""
        import lightgbm

        first_stopping_day = np.quantile(pairs.cutoff.astype(np.int64), 1.0 - STOPPING_SHARE).astype("datetime64[D]")
        learnt, stopping = pairs.known_on < first_stopping_day, pairs.cutoff >= first_stopping_day
        sets = [lightgbm.Dataset(pairs.inputs[rows], pairs.targets[rows, place]) for rows in (learnt, stopping)]
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        return [
            lightgbm.train({**SETTINGS, "alpha": level}, sets[0], self.rounds, valid_sets=[sets[1]], callbacks=[stop])
            for level in self.levels
        ]


class FittedLightGbm(PerTickerMethod):
    """What ``LightGbmMethod`` has learnt; ``boosters`` by head and level."""

    history_needed = history_used = SPEC.history_needed

    def __init__(self, levels: tuple[float, ...], boosters: Sequence[Sequence[Any]]) -> None:
        super().__init__(levels)
        self._boosters = boosters

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        series = prepare_series(bars, SPEC)
        inputs, scale = series.context[ends], series.scale[ends]
        in_scale = np.stack([np.stack([one.predict(inputs) for one in row], axis=-1) for row in self._boosters], axis=1)
        heads = np.sort(in_scale, axis=-1) * scale[:, None, None] * np.sqrt(HEADS)[:, None]
        steps = interpolate_steps(heads, HEADS, median=median_index(self.levels))
        return steps[:, [horizon - 1 for horizon in horizons]]


def _pairs(bars: BarArrays) -> _Pairs:
    series = prepare_series(bars, SPEC)
    ends = series.usable_ends()
    ends = ends[ends + HEADS[-1] < len(bars)][::EVERY]
    in_scale = make_targets(bars.adj_close, ends, HEADS) / (series.scale[ends, None] * np.sqrt(HEADS))
    day = bars.trading_day.astype("datetime64[D]")
    return _Pairs(series.context[ends], in_scale, day[ends], day[ends + HEADS[-1]])
