"""Pairs of window and target of many tickers: columns are held once, windows are cut when a batch asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray, PreparedSeries, make_targets, prepare_series
from data_pipeline.processing.scaler import Float32Array, Scaler
from ml_lifecycle.export.long_run import with_long_run
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.parts import PART_NAMES, Parts, TooFewPairsError, known_days, split_ends
from ml_lifecycle.training.period import first_day


@dataclass(frozen=True)
class PairSet:
    """Pairs of one part.

    Attributes
    ----------
    rows : cutoffs, as rows of the joined series, shape ``(n,)``.
    targets : log returns over each horizon in units of ``scale * sqrt(h)``, shape ``(n, n_horizons)``.
    """

    rows: IntArray
    targets: Float32Array

    def __len__(self) -> int:
        return len(self.rows)

    def moved(self, distance: int) -> Self:
        """The same pairs, ``distance`` rows later in the joined series."""
        return type(self)(self.rows + distance, self.targets)

    @classmethod
    def joined(cls, sets: Sequence["PairSet"]) -> Self:
        """All pairs, in the order of the sets."""
        return cls(np.concatenate([pairs.rows for pairs in sets]), np.concatenate([pairs.targets for pairs in sets]))


@dataclass(frozen=True)
class TrainingData:
    """Everything a run reads: the tickers' series one after the other, and the pairs of each part by its name.

    A ticker with holes gives one series for each piece between them.

    ``adj_closes`` are those pieces' adjusted closes, in the order of the joined series; ``skipped`` names the tickers
    that have too few bars; ``calibration_days`` counts the different cutoff days among the calibration pairs.
    """

    series: PreparedSeries
    adj_closes: tuple[FloatArray, ...]
    pairs: Mapping[str, PairSet]
    tickers: tuple[str, ...]
    skipped: tuple[str, ...]
    calibration_days: int


def gather(config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays], parts: Parts) -> TrainingData:
    """Compute columns and targets of every ticker that is long enough.

    Raises
    ------
    TooFewPairsError : a part is empty.
    """
    needed = config.input_spec.history_needed
    pieces = [(ticker, piece) for ticker in sorted(bars_by_ticker) for piece in bars_by_ticker[ticker].pieces()]
    usable = [(ticker, piece) for ticker, piece in pieces if len(piece) >= needed]
    if not usable:
        raise TooFewPairsError(f"no ticker has the {needed} bars that one window needs")
    series: list[PreparedSeries] = []
    calibration_days: list[DayArray] = []
    pairs: dict[str, list[PairSet]] = {name: [] for name in PART_NAMES}
    n_rows = 0
    # Tickers listed alike would otherwise share their cutoffs: every tenth day of the market, some weekdays only. A
    # ticker's turn is its place among all: whether another one gets long enough is known in the test part only.
    turns = {ticker: place % config.every_days for place, ticker in enumerate(sorted(bars_by_ticker))}
    since = _first_cutoff(config, bars_by_ticker, parts)
    for ticker, piece in usable:
        series.append(prepare_series(piece, config.input_spec))
        for name, of_part in _pairs_by_part(config, series[-1], piece, parts, turns[ticker], since).items():
            pairs[name].append(of_part.moved(n_rows))
            if name == "calibration":
                calibration_days.append(piece.trading_day[of_part.rows].astype("datetime64[D]"))
        n_rows += len(piece)
    by_part = {name: PairSet.joined(sets) for name, sets in pairs.items()}
    for name, of_part in by_part.items():
        if not len(of_part):
            newest = f" since {since}" if since is not None and name == "train" else ""
            raise TooFewPairsError(f"the {name} part ({parts}) holds no window with a whole target{newest}")
    tickers = tuple(sorted({ticker for ticker, _ in usable}))
    skipped = tuple(sorted(set(bars_by_ticker) - set(tickers)))
    adj_closes = tuple(piece.adj_close for _, piece in usable)
    n_days = len(np.unique(np.concatenate(calibration_days)))
    return TrainingData(PreparedSeries.joined(series), adj_closes, by_part, tickers, skipped, n_days)


def network_inputs(series: PreparedSeries, rows: IntArray, scaler: Scaler) -> dict[str, Float32Array]:
    """What the network is fed at these cutoffs."""
    windows = series.windows(rows)
    window, context = scaler.apply(windows.window, windows.context)
    return {"window": window, "context": context}


def long_run_averaged(config: TrainingConfig, data: TrainingData, rows: IntArray, heads: FloatArray) -> FloatArray:
    """Scaled quantiles ``(n, n_horizons, n_levels)`` at ascending ``rows``, with the tickers' own long run in them."""
    if not any(config.long_run_shares):
        return heads
    unit = (data.series.scale[rows, None] * np.sqrt(config.horizons))[..., None]
    first = np.cumsum([0, *map(len, data.adj_closes)])
    averaged = []
    for start, closes, (low, high) in zip(first, data.adj_closes, pairwise(np.searchsorted(rows, first)), strict=False):
        averaged.append(
            with_long_run(
                heads[low:high] * unit[low:high],
                closes,
                rows[low:high] - start,
                horizons=config.horizons,
                levels=config.levels,
                shares=config.long_run_shares,
            )
        )
    scaled: FloatArray = np.concatenate(averaged) / unit
    return scaled


def _first_cutoff(
    config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays], parts: Parts
) -> np.datetime64 | None:
    """From when on cutoffs are learnt from, by ``config.train_period``; None: from the first one.

    The period ends with the newest cutoff whose longest target is known by the end of the training part.
    """
    days = known_days(bars_by_ticker)
    known = days[days <= np.datetime64(parts.train_end)]
    if config.train_period is None or len(known) <= config.horizons[-1]:
        return None
    return first_day(config.train_period, known[-1 - config.horizons[-1]])


def _pairs_by_part(
    config: TrainingConfig,
    series: PreparedSeries,
    bars: BarArrays,
    parts: Parts,
    first: int,
    since: np.datetime64 | None,
) -> dict[str, PairSet]:
    """Every ``config.every_days``-th pair of each part, from the ``first``-th on; of training those ``since`` a day."""
    ends_by_part = split_ends(series.usable_ends(), bars.trading_day, parts, longest=config.horizons[-1])
    if since is not None:
        learnt = ends_by_part["train"]
        ends_by_part["train"] = learnt[bars.trading_day[learnt].astype("datetime64[D]") >= since]
    root_h = np.sqrt(np.array(config.horizons))
    pairs = {}
    for name, every_end in ends_by_part.items():
        ends = every_end[first :: config.every_days]
        in_scale = make_targets(bars.adj_close, ends, config.horizons) / (series.scale[ends, None] * root_h)
        pairs[name] = PairSet(ends, in_scale.astype(np.float32))
    return pairs
