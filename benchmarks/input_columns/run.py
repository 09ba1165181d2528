"""Which input columns, and which way of training, earn their place: one network per row, on two walk-forward folds.

    python benchmarks/input_columns/run.py --bars ../shared/data/us_panel_2010_2026.parquet [--table training]

prints the tables of docs/input_columns.md, in about ten minutes each on two free cores. Each fold trains, stops by the
days after, and is measured on the days after those. Days after 2024-07 are not read: they belong to the test part of
the backtests, and so does every held-out ticker.
"""

import argparse
import hashlib
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.event_columns import EVENT_COLUMNS
from data_pipeline.processing.indicators import INDICATORS
from data_pipeline.processing.market import with_means_of
from data_pipeline.processing.scaler import fit_scaler
from ml_lifecycle.evaluation.baselines import naive_quantiles_at
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.network_forecaster import scaled_quantiles
from ml_lifecycle.training.config import TrainingConfig, load_config
from ml_lifecycle.training.pairs import TrainingData, gather
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.training_statistics import sample_rows, unconditional_quantiles

FOLDS = (
    Parts(date(2020, 6, 30), date(2021, 6, 30), date(2022, 12, 31)),
    Parts(date(2022, 12, 31), date(2023, 10, 31), date(2024, 7, 31)),
)
SHOWN_HORIZONS = (1, 5, 10, 21)

CLOSES = ("log_return",)
OHLC = (*CLOSES, "range_volatility", "gap")
BARS = (*OHLC, "volume_ratio")
SCORED = (*BARS, "event_score")
MARKET = ("market_return", "market_absolute_return")
CLASSICS = tuple(column.name for column in INDICATORS)
LEVEL = ("volatility_level",)
STATES = (*LEVEL, "volatility_state_fast", "volatility_state_medium", "range_state_fast", "range_state_medium")
WEEK = (*STATES, "weekday_sine", "weekday_cosine")
SEASONAL = tuple(column.name for column in EVENT_COLUMNS if column.name.startswith("seasonal_event"))
YEARLY = tuple(column.name for column in EVENT_COLUMNS if column.name.startswith("yearly_event"))
EVENTS = (*WEEK, *SEASONAL, *YEARLY)
MORE = (*EVENTS, "volatility_state_slow", "range_state_slow", "drawdown", "days_since_event")

COLUMN_SETS = {
    "returns and short volatility": (
        ("log_return", "absolute_return"),
        ("short_volatility_level", "short_volatility_state"),
    ),
    "closes only": (CLOSES, LEVEL),
    "open, high, low, close": (OHLC, LEVEL),
    "the bars: … and volume": (BARS, LEVEL),
    "bars, states of volatility, weekday": (BARS, WEEK),
    "… and market, no events": ((*BARS, *MARKET), WEEK),
    "… and event score, events by quarter": (SCORED, (*WEEK, *SEASONAL)),
    "… and events by year": (SCORED, EVENTS),
    "… and slow states, drawdown, days since event": (SCORED, MORE),
    "… and market": ((*SCORED, *MARKET), MORE),
    "the 14 classics alone": (CLASSICS, LEVEL),
}
NEWEST = {"weight_average": 0.0}
TRAINING_SETS: dict[str, dict[str, Any]] = {
    "as packaged": {},
    "newest weights": NEWEST,
    "newest weights, learning rate 0.001": {**NEWEST, "learning_rate": 1e-3},
    "newest weights, learning rate 0.001, a look every 60 batches": {
        **NEWEST,
        "learning_rate": 1e-3,
        "validate_every": 60,
    },
    "dropout of 0.2 between LSTM and Dense": {"layers": ["LSTM", "Dropout", "Dense", "ReLU", "Linear"], "dropout": 0.2},
    "16 cells": {"hidden_size": 16},
    "every fifth day": {"every_days": 5},
}


@dataclass(frozen=True)
class Measured:
    """One column set: gain in mean pinball loss over the naive, by fold and shown horizon."""

    name: str
    n_inputs: int
    history_needed: int
    gains: list[list[float]]
    kept_rounds: list[int]
    seconds: float


def main() -> None:
    """Measure every set on every fold and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bars", type=Path, required=True, help="us_panel_2010_2026.parquet")
    parser.add_argument("--tickers", type=int, help="the first so many; all that are not held out if left out")
    parser.add_argument("--members", type=int, default=1, help="seeds that are averaged")
    parser.add_argument("--table", choices=("columns", "training"), default="columns")
    told = parser.parse_args()
    bars = read_bars(told.bars, told.tickers)
    print(render_head(told.bars.name, len(bars), told.members), flush=True)
    for name, changes in sets_of(told.table).items():
        print(render(measure(name, load_config("default", members=told.members, **changes), bars)), flush=True)


def sets_of(table: str) -> dict[str, dict[str, Any]]:
    """What is changed in the packaged default, by the row's name."""
    if table == "training":
        return TRAINING_SETS
    return {name: {"columns": columns, "context_columns": context} for name, (columns, context) in COLUMN_SETS.items()}


def read_bars(file: Path, n_tickers: int | None) -> dict[str, BarArrays]:
    """Tickers in the order of their digests, without those held out; nothing after the last part."""
    frame = pl.scan_parquet(file).filter(pl.col("date") <= FOLDS[-1].calibration_end).collect()
    tickers = [ticker for ticker in sorted(frame["ticker"].unique().to_list(), key=_digest) if not held_out(ticker)]
    bars = {
        ticker: _bar_arrays(frame.filter(pl.col("ticker") == ticker).sort("date")) for ticker in tickers[:n_tickers]
    }
    return with_means_of(list(bars), bars)


def held_out(ticker: str) -> bool:
    """Whether no network of this project is chosen or trained on the ticker.

    By the whole digest and by its first four bytes: the panel itself was drawn by the former, which leaves only four.
    """
    return _digest(ticker) % 5 == 0 or (_digest(ticker) >> 224) % 5 == 0


def measure(name: str, config: TrainingConfig, bars: dict[str, BarArrays]) -> Measured:
    """Train, stop and measure on each fold."""
    started = time.monotonic()
    measured = [_on_fold(config, bars, parts) for parts in FOLDS]
    return Measured(
        name=name,
        n_inputs=len(config.columns) + len(config.context_columns),
        history_needed=config.input_spec.history_needed,
        gains=[gains for gains, _ in measured],
        kept_rounds=[kept for _, kept in measured],
        seconds=time.monotonic() - started,
    )


def _on_fold(config: TrainingConfig, bars: dict[str, BarArrays], parts: Parts) -> tuple[list[float], int]:
    """Gains over the naive on the last part, and the look whose weights were kept."""
    from ml_lifecycle.training.determinism import make_deterministic

    make_deterministic(config.seed)
    from ml_lifecycle.models.lstm_model import build_network
    from ml_lifecycle.training.fitting import fit

    data = gather(config, bars, parts)
    sample = data.series.windows(sample_rows(data.pairs["train"]))
    scaler = fit_scaler(config.scaler, sample.window, sample.context)
    networks = build_network(config, unconditional_quantiles(data.pairs["train"], config))
    fitted = fit(config, networks, data, scaler)
    heads = scaled_quantiles(networks.served, data.series, data.pairs["calibration"].rows, scaler)
    return gains_over_naive(config, data, bars, heads), fitted.best_round


def gains_over_naive(
    config: TrainingConfig, data: TrainingData, bars: dict[str, BarArrays], heads: FloatArray
) -> list[float]:
    """Percent of the naive's mean pinball loss by shown horizon, in log returns."""
    rows = data.pairs["calibration"].rows
    unit = data.series.scale[rows, None] * np.sqrt(np.array(config.horizons))
    actual, quantiles = data.pairs["calibration"].targets * unit, heads * unit[..., None]
    naive = np.concatenate(list(_naive_at(rows, config, bars, data.tickers)))
    gains = []
    for place in map(config.horizons.index, SHOWN_HORIZONS):
        beside = pinball_losses(actual[:, place], naive[:, place], config.levels).mean()
        own = pinball_losses(actual[:, place], quantiles[:, place], config.levels).mean()
        gains.append(100.0 * float(1.0 - own / beside))
    return gains


def render_head(source: str, n_tickers: int, members: int) -> str:
    """What was measured where, and the head of the table."""
    horizons = "".join(f" h = {horizon} |" for _ in FOLDS for horizon in SHOWN_HORIZONS)
    spans = "; ".join(f"{parts.validation_end} to {parts.calibration_end}" for parts in FOLDS)
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}; `{source}`, {n_tickers} tickers (none of the held-out ones), "
            f"{members} seed; {platform.machine()}, two shared cores, Python {platform.python_version()}. "
            f"Measured on: {spans}.",
            "",
            f"| column set | inputs | bars needed |{horizons} kept looks | seconds |",
            f"|---|---|---|{'---|' * len(SHOWN_HORIZONS) * len(FOLDS)}---|---|",
        ]
    )


def render(row: Measured) -> str:
    """One line of the table."""
    cells = "".join(f" {gain:+.2f} |" for gains in row.gains for gain in gains)
    kept = ", ".join(map(str, row.kept_rounds))
    return f"| {row.name} | {row.n_inputs} | {row.history_needed} |{cells} {kept} | {row.seconds:.0f} |"


def _naive_at(
    rows: np.ndarray, config: TrainingConfig, bars: dict[str, BarArrays], tickers: tuple[str, ...]
) -> Iterator[FloatArray]:
    """Naive quantiles of the pairs, ticker by ticker, in the order of the joined series."""
    first = 0
    for ticker in tickers:
        series = bars[ticker]
        ends = rows[(rows >= first) & (rows < first + len(series))] - first
        yield _naive_of(ticker, ends, config, series)
        first += len(series)


_naive_seen: dict[tuple[str, bytes], FloatArray] = {}


def _naive_of(ticker: str, ends: np.ndarray, config: TrainingConfig, series: BarArrays) -> FloatArray:
    """The same cutoffs come with every column set, and a thousand returns are sorted for each."""
    key = (ticker, ends.tobytes())
    if key not in _naive_seen:
        _naive_seen[key] = naive_quantiles_at(series.adj_close, ends, config.horizons, config.levels)
    return _naive_seen[key]


def _bar_arrays(frame: pl.DataFrame) -> BarArrays:
    prices = {name: frame[name].cast(pl.Float64).to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return BarArrays(frame["date"].to_numpy().astype("datetime64[D]"), adj_close=prices["close"], **prices)


def _digest(ticker: str) -> int:
    return int(hashlib.sha256(ticker.encode()).hexdigest(), 16)


if __name__ == "__main__":
    main()
