"""One configuration on folds that walk forward: trained on each, scored beside the naive on the days after it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from data_pipeline.errors import ClosecastError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import make_targets
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED, naive_quantiles_at
from ml_lifecycle.evaluation.evaluate import cutoff_days
from ml_lifecycle.evaluation.forecasters import Cutoffs
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.significance import relative_gains
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.folds import FEWEST_PART_DAYS, Fold, walk_forward
from ml_lifecycle.training.parts import Parts, TooFewPairsError

SCORED_HORIZONS = (1, 5, 10, 21)
SIGNIFICANT_DIGITS = 8  # of the daily gains that a study keeps


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # given up after some folds, on which others had done better
    FAILED = "failed"  # it could not be trained: the values do not go together, or it is a defect


@dataclass(frozen=True)
class FoldScore:
    """What was gained on one fold, as shares of the naive's mean pinball loss.

    Attributes
    ----------
    number : of the fold, from 0.
    horizons : gain at each of ``SCORED_HORIZONS``; ``gain`` is their mean.
    relative_mae : of the median over that of the last close, at each horizon.
    days, daily : each cutoff day, ISO, and the gain on it over tickers and horizons; their mean is ``gain``.
    n : forecasts that were scored; ``unanswered`` of them were the naive's, since the trial had none.
    """

    number: int
    gain: float
    horizons: tuple[float, ...]
    relative_mae: tuple[float, ...]
    days: tuple[str, ...]
    daily: tuple[float, ...]
    n: int
    unanswered: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        content: dict[str, Any] = TypeAdapter(FoldScore).dump_python(self, mode="json")
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FoldScore":
        """Read what ``to_dict`` wrote."""
        return TypeAdapter(FoldScore).validate_python(content)


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study, as it is kept and told.

    Attributes
    ----------
    params : what was chosen, without the strategy.
    value : mean gain over the naive on the folds that were measured; None where it failed.
    failure : why it failed, in one line.
    """

    number: int
    strategy: str
    params: Mapping[str, Any]
    state: TrialState
    folds: tuple[FoldScore, ...]
    seconds: float
    failure: str | None = None

    @property
    def value(self) -> float | None:
        """Mean gain over the naive over the folds that were measured; None where none was."""
        return mean_gain(self.folds) if self.folds else None

    def series(self) -> dict[str, float]:
        """The gain on each cutoff day of all folds."""
        return {day: gain for fold in self.folds for day, gain in zip(fold.days, fold.daily, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        content: dict[str, Any] = TypeAdapter(TrialRecord).dump_python(self, mode="json")
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "TrialRecord":
        """Read what ``to_dict`` wrote."""
        return TypeAdapter(TrialRecord).validate_python(content)


class Trained(Protocol):
    """What a training leaves: see ``evaluation.forecasters.BatchForecaster``."""

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """Log-return quantiles per entry, shape ``(n_ends, n_horizons, n_levels)``."""


Train = Callable[[TrainingConfig, Mapping[str, BarArrays], Parts], Trained]


def train_network(config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays], parts: Parts) -> Trained:
    """The training of a bundle; memory that former networks of this process held is given back first."""
    from ml_lifecycle.training.determinism import turn_onednn_off

    turn_onednn_off()
    import keras

    from ml_lifecycle.training.train import fitted_forecaster

    keras.backend.clear_session()
    return fitted_forecaster(config, bars_by_ticker, parts)


@dataclass(frozen=True)
class Panel:
    """The bars and folds that every trial of a study is held against, and the cutoffs that it is asked at.

    Attributes
    ----------
    bars : of the tickers that are long enough, none after the last fold.
    left_out : tickers that have too few bars before the first fold's measured days.
    every : trading days between two cutoffs.
    history_needed : bars that every configuration of the study can forecast from: all are asked at the same cutoffs.
    """

    bars: Mapping[str, BarArrays]
    left_out: tuple[str, ...]
    folds: tuple[Fold, ...]
    every: int
    history_needed: int
    _asked: dict[tuple[int, tuple[float, ...]], "tuple[Measured, ...]"] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, bars: Mapping[str, BarArrays], *, n_folds: int, every: int, history_needed: int) -> Self:
        """Lay the folds over all trading days.

        Raises
        ------
        TooFewPairsError : the days are too few for so many folds, or no ticker is long enough.
        """
        days = np.unique(np.concatenate([each.trading_day.astype("datetime64[D]") for each in bars.values()]))
        folds = walk_forward(days, n_folds)
        needed = max(history_needed, HISTORY_NEEDED)
        enough = needed + FEWEST_PART_DAYS
        long = {name: each for name, each in bars.items() if len(each.until(folds[0].train_end)) >= enough}
        if not long:
            raise TooFewPairsError(f"no ticker has {enough} bars until {folds[0].train_end}, where the first fold ends")
        return cls(long, tuple(sorted(set(bars) - set(long))), folds, every, needed)

    def measured(self, number: int, levels: tuple[float, ...]) -> "tuple[Measured, ...]":
        """What is asked on a fold, ticker by ticker; empty pieces are left out."""
        if (number, levels) not in self._asked:  # the same for every trial
            self._asked[number, levels] = self._measured(number, levels)
        return self._asked[number, levels]

    def _measured(self, number: int, levels: Sequence[float]) -> "tuple[Measured, ...]":
        fold = self.folds[number]
        known = {ticker: bars.until(fold.measured_end) for ticker, bars in self.bars.items()}
        every_day = cutoff_days(known, after=fold.calibration_end, until=fold.measured_end, every=self.every)
        days = np.array(every_day, dtype="datetime64[D]")
        found = [
            self._of_piece(ticker, piece, days, levels) for ticker, bars in known.items() for piece in bars.pieces()
        ]
        return tuple(each for each in found if len(each.actual))

    def _of_piece(self, ticker: str, piece: BarArrays, days: DayArray, levels: Sequence[float]) -> "Measured":
        own = piece.trading_day.astype("datetime64[D]")
        ends = np.flatnonzero(np.isin(own, days))
        ends = ends[(ends >= self.history_needed - 1) & (ends + SCORED_HORIZONS[-1] < len(piece))]
        return Measured(
            ticker=ticker,
            cutoffs=Cutoffs(piece, ends),
            day=own[ends],
            actual=make_targets(piece.adj_close, ends, SCORED_HORIZONS),
            naive=naive_quantiles_at(piece.adj_close, ends, SCORED_HORIZONS, levels),
        )


@dataclass(frozen=True)
class Measured:
    """Cutoffs of one ticker on a fold: ``actual (n, n_horizons)`` log returns, ``naive (n, n_horizons, n_levels)``."""

    ticker: str
    cutoffs: Cutoffs
    day: DayArray
    actual: FloatArray
    naive: FloatArray


def score_fold(
    config: TrainingConfig, panel: Panel, number: int, *, one_ticker: bool, train: Train = train_network
) -> FoldScore:
    """Train on a fold and score on the days after it.

    Where a trial has no answer (a share that is too short for a network of its own) the naive's stands: it neither
    gains nor loses there.

    Raises
    ------
    TooFewPairsError : a part of the fold holds no window, or nothing is measured.
    """
    asked = panel.measured(number, config.levels)
    if not asked:
        raise TooFewPairsError(f"nothing is measured from {panel.folds[number].calibration_end} on")
    told = _told(config, panel, panel.folds[number], asked, one_ticker=one_ticker, train=train)
    answered = np.asarray(np.isfinite(told).all(axis=(1, 2)))
    naive, actual = np.concatenate([each.naive for each in asked]), np.concatenate([each.actual for each in asked])
    own = np.where(answered[:, None, None], told, naive)
    return _scored(number, own, naive, actual, np.concatenate([each.day for each in asked]), config.levels, answered)


def _told(
    config: TrainingConfig, panel: Panel, fold: Fold, asked: Sequence[Measured], *, one_ticker: bool, train: Train
) -> FloatArray:
    """Quantiles at every cutoff, in the order asked; NaN where there is no answer."""
    known = {ticker: bars.until(fold.measured_end) for ticker, bars in panel.bars.items()}
    if not one_ticker:
        network = train(config, known, fold.parts)
        return np.concatenate(network.forecast_cutoffs([each.cutoffs for each in asked], SCORED_HORIZONS))
    return np.concatenate([_of_one(config, known[each.ticker], fold, each, train) for each in asked])


def _of_one(config: TrainingConfig, bars: BarArrays, fold: Fold, asked: Measured, train: Train) -> FloatArray:
    try:
        network = train(config, {asked.ticker: bars}, fold.parts)
    except TooFewPairsError:
        return np.full_like(asked.naive, np.nan)
    return network.forecast_cutoffs([asked.cutoffs], SCORED_HORIZONS)[0]


def _scored(
    number: int,
    own: FloatArray,
    naive: FloatArray,
    actual: FloatArray,
    days: DayArray,
    levels: Sequence[float],
    answered: NDArray[np.bool_],
) -> FoldScore:
    losses, beside = (
        np.stack([pinball_losses(actual[:, h], each[:, h], levels) for h in range(actual.shape[1])], axis=1)
        for each in (own, naive)
    )
    daily = relative_gains(losses, beside, days)
    by_horizon = (relative_gains(losses[:, [h]], beside[:, [h]], days).mean() for h in range(actual.shape[1]))
    median = own[..., list(levels).index(0.5)]
    errors = np.abs(actual - median).mean(axis=0) / np.abs(actual).mean(axis=0)
    distinct: list[date] = np.unique(days).tolist()
    return FoldScore(
        number=number,
        gain=float(daily.mean()),
        horizons=tuple(map(float, by_horizon)),
        relative_mae=tuple(errors.tolist()),
        days=tuple(day.isoformat() for day in distinct),
        daily=tuple(float(f"{gain:.{SIGNIFICANT_DIGITS}g}") for gain in daily),
        n=len(actual),
        unanswered=int(len(answered) - answered.sum()),
    )


def mean_gain(folds: Sequence[FoldScore]) -> float:
    """A trial's value: the mean gain over the folds."""
    return float(np.mean([fold.gain for fold in folds]))


def run_trial(
    begun: TrialRecord,
    config: TrainingConfig,
    panel: Panel,
    *,
    one_ticker: bool,
    give_up: Callable[[Sequence[FoldScore]], bool],
    train: Train = train_network,
) -> TrialRecord:
    """Walk through the folds, oldest first, until the end or until ``give_up(folds done)`` says so.

    Folds that ``begun`` has done already, in a run that was killed, are not trained again.
    """
    started, folds, state, failure = time.monotonic(), list(begun.folds), TrialState.COMPLETE, None
    try:
        for number in range(len(folds), len(panel.folds)):
            folds.append(score_fold(config, panel, number, one_ticker=one_ticker, train=train))
            if give_up(folds) and len(folds) < len(panel.folds):
                state = TrialState.PRUNED
                break
    except ClosecastError as error:
        state, failure = TrialState.FAILED, str(error)
    seconds = round(time.monotonic() - started, 3)
    return replace(begun, folds=tuple(folds), state=state, failure=failure, seconds=seconds)
