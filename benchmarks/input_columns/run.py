"""Which input columns earn their place: one small network per column set, judged on days that none of them saw.

    python benchmarks/input_columns/run.py --bars ../shared/data/us_panel_2010_2026.parquet

prints the head and the table of docs/input_columns.md, in about five minutes on two cores.

Training ends with 2022. Early stopping looks at 2023-01 to 2023-10, the choice at 2023-11 to 2024-07. Later days are
not read: they belong to the test part of the backtests, and so does every ticker with ``sha256(ticker) mod 5 == 0``.
"""

import argparse
import hashlib
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.indicators import INDICATORS
from data_pipeline.processing.scaler import fit_scaler
from ml_lifecycle.evaluation.baselines import naive_quantiles_at
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.network_forecaster import scaled_quantiles
from ml_lifecycle.evaluation.significance import daily_means, mean_with_half_width
from ml_lifecycle.training.config import TrainingConfig, parse_config
from ml_lifecycle.training.pairs import TrainingData, gather
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.training_statistics import sample_rows, unconditional_quantiles

PARTS = Parts(date(2022, 12, 31), date(2023, 10, 31), date(2024, 7, 31))
SHOWN_HORIZONS = (1, 5, 10, 21)
N_TICKERS = 30

CLOSES = ("log_return",)
OHLC = (*CLOSES, "range_volatility", "gap")
BARS = (*OHLC, "volume_ratio")
CLASSICS = tuple(column.name for column in INDICATORS)
LEVEL = ("volatility_level",)
STATES = (*LEVEL, "volatility_state_fast", "volatility_state_medium", "range_state_fast", "range_state_medium")
SHAPE = (*STATES, "drawdown", "jump_share")

COLUMN_SETS = {
    "closes only": (CLOSES, LEVEL),
    "open, high, low, close": (OHLC, LEVEL),
    "the bars: … and volume": (BARS, LEVEL),
    "bars and states of volatility": (BARS, STATES),
    "… and drawdown, jump share": (BARS, SHAPE),
    "… and momentum": (BARS, (*SHAPE, "momentum_month", "momentum_half_year")),
    "bars, states and weekday": (BARS, (*STATES, "weekday_sine", "weekday_cosine")),
    "bars, states and season": (BARS, (*STATES, "season_sine", "season_cosine")),
    "the 14 classics alone": (CLASSICS, LEVEL),
}


@dataclass(frozen=True)
class Measured:
    """One column set: gain in mean pinball loss over the naive by horizon, and its 98 % half width."""

    name: str
    n_inputs: int
    history_needed: int
    skill: dict[int, float]
    half_width: dict[int, float]
    best_round: int
    seconds: float


def main() -> None:
    """Measure every set and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bars", type=Path, required=True, help="us_panel_2010_2026.parquet")
    parser.add_argument("--tickers", type=int, default=N_TICKERS)
    told = parser.parse_args()
    bars = read_bars(told.bars, told.tickers)
    measured = []
    for name, (columns, context) in COLUMN_SETS.items():
        measured.append(measure(name, config_of(columns, context), bars))
        print(f"{name}: {measured[-1].seconds:.0f} s", file=sys.stderr)
    print(render(measured, told.bars.name, len(bars)))


def read_bars(file: Path, n_tickers: int) -> dict[str, BarArrays]:
    """The first tickers in the order of their digests, without those held out; nothing after the last part."""
    frame = pl.scan_parquet(file).filter(pl.col("date") <= PARTS.calibration_end).collect()
    by_digest = sorted(frame["ticker"].unique().to_list(), key=_digest)
    chosen = [ticker for ticker in by_digest if _digest(ticker) % 5][:n_tickers]
    return {ticker: _bar_arrays(frame.filter(pl.col("ticker") == ticker).sort("date")) for ticker in chosen}


def config_of(columns: tuple[str, ...], context: tuple[str, ...]) -> TrainingConfig:
    """The packaged default with these columns; the rest is the same for all."""
    return parse_config(
        {
            "columns": columns,
            "context_columns": context,
            "layers": [{"type": "LSTM", "units": 32}, {"type": "Dense", "units": 32, "activation": "relu"}],
            "members": 2,
            "every_days": 5,
            "epochs": 3,
            "validate_every": 10,
            "patience": 6,
        }
    )


def measure(name: str, config: TrainingConfig, bars: dict[str, BarArrays]) -> Measured:
    """Train on the training part, stop by the first later part, measure on the second."""
    from ml_lifecycle.models.lstm_model import build_network
    from ml_lifecycle.training.determinism import make_deterministic
    from ml_lifecycle.training.fitting import fit

    started = time.monotonic()
    make_deterministic(config.seed)
    data = gather(config, bars, PARTS)
    sample = data.series.windows(sample_rows(data.pairs["train"]))
    scaler = fit_scaler(config.scaler, sample.window, sample.context)
    networks = build_network(config, unconditional_quantiles(data.pairs["train"], config))
    fitted = fit(config, networks, data, scaler)
    heads = scaled_quantiles(networks.served, data.series, data.pairs["calibration"].rows, scaler)
    skill, half_width = skills(config, data, bars, heads)
    return Measured(
        name=name,
        n_inputs=len(config.columns) + len(config.context_columns),
        history_needed=config.input_spec.history_needed,
        skill=skill,
        half_width=half_width,
        best_round=fitted.best_round,
        seconds=round(time.monotonic() - started, 1),
    )


def skills(
    config: TrainingConfig, data: TrainingData, bars: dict[str, BarArrays], heads: FloatArray
) -> tuple[dict[int, float], dict[int, float]]:
    """Skill and half width by shown horizon, in log returns."""
    rows = data.pairs["calibration"].rows
    unit = data.series.scale[rows, None] * np.sqrt(np.array(config.horizons))
    actual, quantiles = data.pairs["calibration"].targets * unit, heads * unit[..., None]
    naive, day = (np.concatenate(parts) for parts in zip(*_naive_at(rows, config, bars, data.tickers), strict=True))
    skill, half_width = {}, {}
    for horizon in SHOWN_HORIZONS:
        place = config.horizons.index(horizon)
        beside = pinball_losses(actual[:, place], naive[:, place], config.levels)
        gain = beside - pinball_losses(actual[:, place], quantiles[:, place], config.levels)
        # Every fifth day of each ticker is a cutoff, but not the same days: nearly every day has some.
        mean, half = mean_with_half_width(daily_means(gain, day), n_lags=horizon - 1)
        skill[horizon], half_width[horizon] = float(mean / beside.mean()), float(half / beside.mean())
    return skill, half_width


def render(measured: list[Measured], source: str, n_tickers: int) -> str:
    """The page for the docs."""
    head = "".join(f" h = {horizon} |" for horizon in SHOWN_HORIZONS)
    lines = [
        "# Input columns: what was measured",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; `{source}`, {n_tickers} tickers (none of the held-out ones); "
        f"{platform.machine()}, two shared cores, Python {platform.python_version()}.",
        "Command: `python benchmarks/input_columns/run.py --bars …/us_panel_2010_2026.parquet`.",
        "",
        "Each set trains the same network (LSTM 32, Dense 32, two seeds averaged) on cutoffs up to 2022, stops by "
        "2023-01 to 2023-10 and is measured on 2023-11 to 2024-07. Later days and held-out tickers were not read.",
        "Figures are gains in mean pinball loss over the naive forecast with empirical quantiles, in percent, with the "
        "98 % half width; differences below half a point are ties. Round 0 is the untrained network: the unconditional "
        "quantiles in units of the volatility scale.",
        "",
        f"| column set | inputs | bars needed |{head} kept round | seconds |",
        f"|---|---|---|{'---|' * len(SHOWN_HORIZONS)}---|---|",
    ]
    for row in measured:
        cells = "".join(f" {100 * row.skill[h]:+.2f} ± {100 * row.half_width[h]:.2f} |" for h in SHOWN_HORIZONS)
        lines.append(
            f"| {row.name} | {row.n_inputs} | {row.history_needed} |{cells} {row.best_round} | {row.seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _naive_at(
    rows: np.ndarray, config: TrainingConfig, bars: dict[str, BarArrays], tickers: tuple[str, ...]
) -> Iterator[tuple[FloatArray, np.ndarray]]:
    """Naive quantiles and cutoff days of the pairs, ticker by ticker, in the order of the joined series."""
    first = 0
    for ticker in tickers:
        series = bars[ticker]
        ends = rows[(rows >= first) & (rows < first + len(series))] - first
        yield naive_quantiles_at(series.adj_close, ends, config.horizons, config.levels), series.trading_day[ends]
        first += len(series)


def _bar_arrays(frame: pl.DataFrame) -> BarArrays:
    prices = {name: frame[name].cast(pl.Float64).to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return BarArrays(frame["date"].to_numpy().astype("datetime64[D]"), adj_close=prices["close"], **prices)


def _digest(ticker: str) -> int:
    return int(hashlib.sha256(ticker.encode()).hexdigest(), 16)


if __name__ == "__main__":
    main()
