"""What a client loses who sends closes only: the packaged `closes` network beside the one that reads whole bars.

    python benchmarks/closes/run.py --data ../shared/data [--tickers 60]

Both train on the same tickers (none that is held out, ``benchmarks.held_out``) with targets that end before 2023, stop
early by the following half year, are calibrated on the two months after it, and forecast the same cutoffs from 2023-09
on, whose targets end before 2024-08-01. Later bars are not read. Prints the page docs/closes.md; some five minutes on
two cores that do nothing else.
"""

import argparse
import os
import platform
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.held_out import digest, held_out
from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.market import with_means_of
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.evaluation.evaluate import ForecastRows, cutoff_days, forecast_rows
from ml_lifecycle.evaluation.methods.network import checkpoint_forecaster
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.significance import daily_means, mean_over_days
from ml_lifecycle.training.config import TrainingConfig, load_config
from ml_lifecycle.training.train import train

FILE = "us_panel_2010_2026.parquet"
HORIZONS = (1, 5, 10, 21)
DATES = {"train_end": date(2022, 12, 31), "validation_end": date(2023, 6, 30), "calibration_end": date(2023, 8, 31)}
LAST_DAY = date(2024, 7, 31)
EVERY_DAYS = 5
EXCHANGE = "XNYS"
WARM_UP_RULE = """\
A bundle of the packaged configuration `closes` (`closecast train --config closes`) reads adjusted closes and nothing
else: no day, no other price, no volume, no market. **60 closes always suffice**, and with 59 there is no forecast: the
first serves only for the return to the second, the 59 returns are all that the window, the volatility scale and the
volatility states read. Closes before the newest 60 change nothing. In Python: `BundleForecaster.forecast_closes`.
"""
HOW_TO_READ = """
Gains in mean pinball loss over the naive forecast with empirical quantiles, in percent, on cutoffs from 2023-09 to
2024-07 that neither network learnt from. *Lost* is what the closes-only network loses against the other on the same
forecasts, in percent of the naive's loss, with its 98 % half width (Newey–West over daily means).
"""


def main() -> int:
    """Print the page; 0, or 3 with one line where the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("CLOSECAST_SHARED", "../shared")) / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder that holds the file of bars")
    parser.add_argument("--tickers", type=int, default=60)
    told = parser.parse_args()
    path = told.data / FILE
    if not path.is_file():
        print(f"no {FILE} in {told.data}: name the folder by --data or CLOSECAST_SHARED", file=sys.stderr)
        return 3
    bars = read_bars(path, told.tickers)
    with tempfile.TemporaryDirectory() as folder:
        whole, closes = (measure(name, bars, Path(folder) / name) for name in ("default", "closes"))
    print("\n".join(page(whole, closes, len(bars))))
    return 0


def read_bars(path: Path, n_tickers: int) -> dict[str, BarArrays]:
    """The first tickers by digest that are not held out and cover the whole time, up to the last day that is read."""
    frame = pl.scan_parquet(path).filter(pl.col("date") <= LAST_DAY)
    spans = frame.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max(), n=pl.len()).collect()
    whole = spans.filter((pl.col("first") <= date(2015, 1, 1)) & (pl.col("last") >= date(2024, 7, 25)))["ticker"]
    chosen = sorted((ticker for ticker in whole if not held_out(ticker)), key=digest)[:n_tickers]
    rows = frame.filter(pl.col("ticker").is_in(chosen)).sort("ticker", "date").collect()
    bars = {str(key[0]): as_bars(group) for key, group in rows.group_by("ticker", maintain_order=True)}
    return with_means_of(bars.keys(), bars)


def as_bars(frame: pl.DataFrame) -> BarArrays:
    """Bars of one ticker; the file's prices are adjusted throughout."""
    prices = {name: frame[name].cast(pl.Float64).to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return BarArrays(frame["date"].to_numpy().astype("datetime64[D]"), adj_close=prices["close"], **prices)


def measure(name: str, bars: Mapping[str, BarArrays], folder: Path) -> tuple[TrainingConfig, ForecastRows, float]:
    """Train a packaged configuration on the dates above; its forecasts on the days after them, and the seconds."""
    changes: dict[str, Any] = {**DATES, "every_days": EVERY_DAYS}
    config = load_config(name, **changes)
    started = time.monotonic()
    version = DataVersion(FILE, 0, "0" * 64)
    checkpoint = train(config, bars, data_version=version, out_dir=folder, universes={EXCHANGE: tuple(bars)})
    seconds = time.monotonic() - started
    days = np.array(cutoff_days(bars, after=DATES["calibration_end"], every=EVERY_DAYS), dtype="datetime64[D]")
    return config, forecast_rows(checkpoint_forecaster(checkpoint), bars, days, HORIZONS), seconds


def page(
    whole: tuple[TrainingConfig, ForecastRows, float], closes: tuple[TrainingConfig, ForecastRows, float], n: int
) -> Iterator[str]:
    """The page for the docs."""
    yield "# Closes alone: how many, and what is lost\n"
    yield WARM_UP_RULE
    yield f"{datetime.now(UTC):%Y-%m-%d}; `{FILE}`, {n} tickers (none of the held-out ones); {platform.machine()},"
    yield f"{os.cpu_count()} cores, Python {platform.python_version()}."
    yield f"Command: `python benchmarks/closes/run.py --data … --tickers {n}`.\n"
    for config, _, seconds in (whole, closes):
        spec = config.input_spec
        reads = f"by bar `{' '.join(spec.columns)}`, at the cutoff `{' '.join(spec.context_columns)}`"
        told = f"- `{config.name}` needs {spec.history_needed} bars: {reads}; trained in {seconds:.0f} s."
        yield textwrap.fill(told, 118, subsequent_indent="  ", break_on_hyphens=False)
    yield HOW_TO_READ
    yield "| horizon | forecasts | days | whole bars gain | closes gain | lost |"
    yield "|---|---|---|---|---|---|"
    for horizon in HORIZONS:
        yield compared(whole[1], closes[1], horizon)


def compared(whole: ForecastRows, closes: ForecastRows, horizon: int) -> str:
    """One line of the table."""
    one, other = (rows.where(rows.horizon == horizon) for rows in (whole, closes))
    if not (np.array_equal(one.ticker, other.ticker) and np.array_equal(one.cutoff, other.cutoff)):
        raise AssertionError("the networks were asked for different forecasts")
    naive, with_bars, with_closes = (
        pinball_losses(rows.actual, quantiles, rows.levels)
        for rows, quantiles in ((one, one.naive), (one, one.quantiles), (other, other.quantiles))
    )
    lost = mean_over_days(with_closes - with_bars, one.cutoff, horizon=horizon)
    gains = " | ".join(f"{100 * (1 - losses.mean() / naive.mean()):+.2f}" for losses in (with_bars, with_closes))
    share = 100 / daily_means(naive, one.cutoff).mean()
    half = share * (lost.half_width or 0.0)  # two networks that say the same differ by nothing
    return (
        f"| {horizon} | {len(one)} | {len(np.unique(one.cutoff))} | {gains} | {share * lost.value:.2f} ± {half:.2f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
