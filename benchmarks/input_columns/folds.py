"""Four folds that walk forward: what is trained, calibrated and measured on each, and how a forecast is scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.held_out import digest, held_out
from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from data_pipeline.processing.market import with_means_of
from data_pipeline.processing.scaler import Scaler
from ml_lifecycle.evaluation.baselines import naive_quantiles_at
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.network_forecaster import scaled_quantiles
from ml_lifecycle.evaluation.significance import mean_over_days
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.folds import Fold
from ml_lifecycle.training.pairs import TrainingData, gather
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.training_statistics import training_scaler, unconditional_quantiles

SHOWN_HORIZONS = (1, 5, 10, 21)
NAIVE_NEEDS = 1_031  # every measured cutoff has the naive's whole 1,000 returns


FOLDS = (
    Fold(date(2016, 12, 31), date(2017, 9, 30), date(2018, 6, 30), date(2019, 12, 31)),
    Fold(date(2018, 6, 30), date(2019, 3, 31), date(2019, 12, 31), date(2021, 6, 30)),
    Fold(date(2020, 6, 30), date(2021, 3, 31), date(2021, 12, 31), date(2023, 3, 31)),
    Fold(date(2021, 12, 31), date(2022, 9, 30), date(2023, 6, 30), date(2024, 8, 1)),
)
Bars = dict[str, BarArrays]


@dataclass(frozen=True)
class Cutoffs:
    """Forecasts to be made on a part of a fold.

    Attributes
    ----------
    rows : of the joined series, ascending.
    ticker, day : of each row.
    actual : log returns, shape ``(n, n_horizons)``.
    unit : ``scale * sqrt(h)``, shape ``(n, n_horizons)``.
    naive : shape ``(n, n_horizons, n_levels)``.
    """

    rows: IntArray
    ticker: IntArray
    day: DayArray
    actual: FloatArray
    unit: FloatArray
    naive: FloatArray


@dataclass(frozen=True)
class FoldData:
    """One configuration's pairs on one fold."""

    config: TrainingConfig
    data: TrainingData
    scaler: Scaler
    calibration: Cutoffs
    measured: Cutoffs

    @property
    def unconditional(self) -> FloatArray:
        """Quantiles of the scaled training targets, ``(n_horizons, n_levels)``: the untrained network."""
        return unconditional_quantiles(self.data.pairs["train"], self.config)

    def trained(self) -> tuple[FloatArray, FloatArray]:
        """Train the configuration's LSTMs; scaled quantiles ``(n, members, n_horizons, n_levels)``.

        Of the calibration part, then of the measured one.
        """
        from ml_lifecycle.training.determinism import make_deterministic

        make_deterministic(self.config.seed)
        from ml_lifecycle.models.lstm_model import build_network
        from ml_lifecycle.training.fitting import fit

        networks = build_network(self.config, self.unconditional)
        fit(self.config, networks, self.data, self.scaler)
        return self._each_member(networks.trained, self.calibration), self._each_member(networks.trained, self.measured)

    def trees(self) -> tuple[FloatArray, FloatArray]:
        """Boosted trees of the same configuration, asked as they are served; shapes without ``members``."""
        from ml_lifecycle.export.onnx_engine import open_graph, run_graph
        from ml_lifecycle.export.scale_trees_graph import scale_trees_graph
        from ml_lifecycle.models.scale_trees import fit_scale_trees

        config, train = self.config, self.data.pairs["train"]
        context = self.scaler.context.apply(self.data.series.context)
        horizons, levels, n_context = config.horizons, config.levels, context.shape[1]
        learnt = fit_scale_trees(context[train.rows], train.targets, horizons=horizons, levels=levels, seed=config.seed)
        shapes = {"window": (1, 1), "context": (n_context,), "quantiles": (len(horizons), len(levels))}
        graph = scale_trees_graph(learnt, lookback=1, n_columns=1, n_context=n_context)
        session = open_graph(graph, "member_trees.onnx", shapes)
        answers = [
            run_graph(
                session,
                {"window": np.zeros((len(part.rows), 1, 1), np.float32), "context": context[part.rows]},
            )
            for part in (self.calibration, self.measured)
        ]
        return answers[0], answers[1]

    def _each_member(self, trained: object, part: Cutoffs) -> FloatArray:
        """Every member's own answer."""
        stacked = _Stacked(trained, self.config.members)
        return scaled_quantiles(stacked, self.data.series, part.rows, self.scaler)


class _Stacked:
    """The members' outputs side by side, where ``scaled_quantiles`` asks one network."""

    def __init__(self, trained: object, members: int) -> None:
        self.trained, self.members = trained, members

    def predict_on_batch(self, inputs: object) -> NDArray[np.float32]:
        answers = self.trained.predict_on_batch(inputs)  # type: ignore[attr-defined]  # a Keras model
        return np.stack([answers] if self.members == 1 else answers, axis=1)


def fold_data(config: TrainingConfig, bars: Bars, fold: Fold) -> FoldData:
    """Pairs of every part; the calibration part's targets end inside it, the measured part's cutoffs come after it."""
    both = gather(config, bars, Parts(fold.train_end, fold.validation_end, fold.measured_end))
    pieces = [(ticker, piece) for ticker in sorted(bars) for piece in bars[ticker].pieces()]
    pieces = [(ticker, piece) for ticker, piece in pieces if len(piece) >= config.input_spec.history_needed]
    days = np.concatenate([piece.trading_day.astype("datetime64[D]") for _, piece in pieces])
    last = np.datetime64(fold.calibration_end, "D")
    late = both.pairs["calibration"]
    in_calibration = days[late.rows + config.horizons[-1]] <= last
    parts = [
        _cutoffs(config, both, pieces, late.rows[chosen], late.targets[chosen], days)
        for chosen in (in_calibration, days[late.rows] > last)
    ]
    return FoldData(config, both, training_scaler(config, both), *parts)


def _cutoffs(
    config: TrainingConfig,
    data: TrainingData,
    pieces: Sequence[tuple[str, BarArrays]],
    rows: IntArray,
    targets: NDArray[np.float32],
    days: DayArray,
) -> Cutoffs:
    """Only cutoffs with the naive's whole history, so that every configuration is asked the same."""
    first = np.cumsum([0, *(len(piece) for _, piece in pieces)])
    place = np.searchsorted(first, rows, side="right") - 1
    long_enough = rows - first[place] >= NAIVE_NEEDS - 1
    rows, targets, place = rows[long_enough], targets[long_enough], place[long_enough]
    unit = data.series.scale[rows, None] * np.sqrt(config.horizons)
    naive = [
        _naive(ticker, piece, rows[place == number] - first[number], config)
        for number, (ticker, piece) in enumerate(pieces)
    ]
    return Cutoffs(rows, place, days[rows], targets * unit, unit, np.concatenate(naive))


_naive_seen: dict[tuple[str, bytes], FloatArray] = {}


def _naive(ticker: str, piece: BarArrays, ends: IntArray, config: TrainingConfig) -> FloatArray:
    """The same cutoffs come with every configuration, and a thousand returns are sorted for each."""
    key = (ticker, piece.trading_day[ends].tobytes())
    if key not in _naive_seen:
        _naive_seen[key] = naive_quantiles_at(piece.adj_close, ends, config.horizons, config.levels)
    return _naive_seen[key]


@dataclass(frozen=True)
class Scored:
    """One forecast on one fold, by shown horizon.

    Attributes
    ----------
    gains : per cent of the naive's mean pinball loss.
    losses : in per cent of the naive's mean, shape ``(n, n_shown)``.
    tickers : share that gain.
    relative_mae : of the median, over the last close's.
    misses : mean distance of the coverage of four intervals from their promise.
    """

    gains: FloatArray
    losses: FloatArray
    tickers: FloatArray
    relative_mae: FloatArray
    misses: FloatArray
    day: DayArray


def scored(config: TrainingConfig, part: Cutoffs, quantiles: FloatArray) -> Scored:
    """Judge log-return quantiles ``(n, n_horizons, n_levels)``."""
    shown = [config.horizons.index(horizon) for horizon in SHOWN_HORIZONS]
    actual, told = part.actual[:, shown], np.sort(quantiles[:, shown], axis=-1)
    own, naive = (
        np.stack([pinball_losses(actual[:, h], each[:, h], config.levels) for h in range(len(shown))], axis=1)
        for each in (told, part.naive[:, shown])
    )
    usual = naive.mean(axis=0)
    of_ticker = [part.ticker == one for one in np.unique(part.ticker)]
    gained = np.stack([own[chosen].mean(axis=0) < naive[chosen].mean(axis=0) for chosen in of_ticker])
    middle = len(config.levels) // 2
    missed = np.mean([_missed(actual, told, lower, config.levels) for lower in range(middle)], axis=0)
    return Scored(
        gains=100.0 * (1.0 - own.mean(axis=0) / usual),
        losses=100.0 * own / usual,
        tickers=gained.mean(axis=0),
        relative_mae=np.abs(actual - told[..., middle]).mean(axis=0) / np.abs(actual).mean(axis=0),
        misses=missed,
        day=part.day,
    )


def _missed(actual: FloatArray, told: FloatArray, lower: int, levels: Sequence[float]) -> FloatArray:
    upper = len(levels) - 1 - lower
    inside = (actual >= told[..., lower]) & (actual <= told[..., upper])
    distance: FloatArray = np.abs(inside.mean(axis=0) - (levels[upper] - levels[lower]))
    return distance


def difference(many: Sequence[Scored], beside: Sequence[Scored]) -> tuple[float, float]:
    """Mean gain of the first over the second, over folds and horizons, in points; its standard error (Newey–West)."""
    means = [
        mean_over_days((other.losses - one.losses).mean(axis=1), one.day, horizon=SHOWN_HORIZONS[-1])
        for one, other in zip(many, beside, strict=True)
    ]
    errors = [mean.value / mean.statistic if mean.statistic else 0.0 for mean in means]
    return float(np.mean([mean.value for mean in means])), float(np.sqrt(np.sum(np.square(errors))) / len(errors))


def read_bars(file: Path, n_tickers: int | None) -> Bars:
    """Tickers in the order of their digests, without those held out; nothing after the last fold."""
    frame = pl.scan_parquet(file).filter(pl.col("date") <= FOLDS[-1].measured_end).collect()
    tickers = [ticker for ticker in sorted(frame["ticker"].unique().to_list(), key=digest) if not held_out(ticker)]
    bars = {
        ticker: _bar_arrays(frame.filter(pl.col("ticker") == ticker).sort("date")) for ticker in tickers[:n_tickers]
    }
    return with_means_of(list(bars), bars)


def _bar_arrays(frame: pl.DataFrame) -> BarArrays:
    prices = {name: frame[name].cast(pl.Float64).to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return BarArrays(frame["date"].to_numpy().astype("datetime64[D]"), adj_close=prices["close"], **prices)
