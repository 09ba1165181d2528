"""What a second worker brings: the same backtest and the same tuning on one process of a Ray cluster, and on two.

    benchmarks/ray/run --bars ../shared/data/us_panel_2010_2026.parquet

prints the tables of docs/tuning.md. Times are without the start of the cluster and its processes, which is told apart:
it is paid once, however many tickers follow. Each answer on Ray is held against the local one, bit for bit.
"""

import argparse
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.evaluation.backtest import Block, InTurn, Method, Plan, Walk, backtest
from ml_lifecycle.evaluation.backtest_bars import read_file_bars
from ml_lifecycle.evaluation.forecasters import NaiveForecaster
from ml_lifecycle.evaluation.methods.ewma_fhs import EwmaFhsMethod
from ml_lifecycle.evaluation.methods.garch_t import GarchTMethod
from ml_lifecycle.evaluation.ray_backtest import on_ray
from ml_lifecycle.training.ray_cluster import ray_cluster
from ml_lifecycle.training.search_space import SearchSpace
from ml_lifecycle.training.tune import Work, tune
from ml_lifecycle.training.tune_spec import TuneSpec

WORKERS = (1, 2)
START = date(2022, 1, 3)
GATE_DAYS = 250
VERSION = DataVersion(table_id="benchmark", version=0, content_sha256="0" * 64)
SPACE = SearchSpace(base="demo", parameters={"learning_rate": [0.0005, 0.001, 0.002, 0.004], "members": [1]})


def main() -> None:
    """Measure both and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bars", type=Path, required=True, help="us_panel_2010_2026.parquet")
    parser.add_argument("--tickers", type=int, default=64, help="of the backtest, in alphabetical order")
    parser.add_argument("--trials-tickers", type=int, default=8, help="of the tuning's four trials")
    parser.add_argument("--every", type=int, default=20, help="trading days between two cutoffs of the backtest")
    told = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    bars = read_file_bars(told.bars)
    print(
        f"{datetime.now(UTC):%Y-%m-%d}; `{told.bars.name}`; {platform.machine()}, {os.cpu_count()} shared cores, load "
        f"{os.getloadavg()[0]:.1f} before; Python {platform.python_version()}.\n"
    )
    for line in backtest_lines(dict(list(bars.items())[: told.tickers]), told.every):
        print(line, flush=True)
    for line in tuning_lines(dict(list(bars.items())[: told.trials_tickers])):
        print(line, flush=True)


def backtest_lines(bars: Mapping[str, BarArrays], every: int) -> Iterator[str]:
    """Methods that take long for each ticker, each group of sixteen a task."""
    methods: dict[str, Method] = {"naive": NaiveForecaster(), "ewma_fhs": EwmaFhsMethod(), "garch_t": GarchTMethod()}
    plan = Plan(start=START, every=every)
    local, expected = timed(partial(forecasts, methods, bars, plan))
    yield f"Backtest of {', '.join(methods)}: {len(bars)} tickers, {sum(map(len, expected)):,} forecasts."
    yield "\n| | seconds | speed | the same numbers | start of Ray, s |\n|---|---|---|---|---|"
    yield f"| this process | {local:.1f} | 1.00 | – | – |"
    for workers in WORKERS:
        began = monotonic()
        with on_ray(workers) as in_turn:
            warm = warmed(in_turn, workers)
            started = monotonic() - began
            seconds, found = timed(partial(forecasts, methods, bars, plan, warm))
        same = all(map(equal, found, expected))
        times = f"{seconds:.1f} | {local / seconds:.2f}"
        yield f"| Ray, {workers} worker{'s' * (workers > 1)} | {times} | {same} | {started:.1f} |"


def tuning_lines(bars: Mapping[str, BarArrays]) -> Iterator[str]:
    """Four trials of the demo's network, on two folds."""
    yield f"\nFour trials of `demo` with one member, {len(bars)} tickers, two folds.\n"
    yield "| | seconds | speed | the same gains |\n|---|---|---|---|"
    first = 0.0
    gains: list[tuple[float, float | None]] = []
    for workers in WORKERS:
        with TemporaryDirectory() as folder, ray_cluster(workers):
            spec = TuneSpec(search="grid", space=SPACE, backend="ray", workers=workers, folds=2)
            work = Work.of(spec, bars, f"{folder}/study.journal", gate_days=GATE_DAYS)
            seconds, result = timed(partial(tune, work, VERSION))
        first = first or seconds
        found = sorted((record.params["learning_rate"], record.value) for record in result.records)
        gains = gains or found
        times = f"{seconds:.1f} | {first / seconds:.2f}"
        yield f"| Ray, {workers} worker{'s' * (workers > 1)} | {times} | {found == gains} |"


def forecasts(
    methods: Mapping[str, Method], bars: Mapping[str, BarArrays], plan: Plan, in_turn: InTurn | None = None
) -> list[Block]:
    """Every block of a backtest."""
    return list(backtest(methods, bars, plan, in_turn=in_turn))


def warmed(in_turn: InTurn, workers: int) -> InTurn:
    """Bring the cluster's processes up before the clock runs: they are kept for the next walk."""
    nobody = Walk({}, {}, [], (1,), (), ())

    def nothing(_: Any) -> None:
        """Imports what a walk needs."""

    import ray

    ray.get([ray.remote(nothing).remote(nobody) for _ in range(2 * workers)])
    return in_turn


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came."""
    began = monotonic()
    found = work()
    return monotonic() - began, found


def equal(one: Block, other: Block) -> bool:
    """Bit for bit."""
    return all(np.array_equal(one.quantiles[name], other.quantiles[name], equal_nan=True) for name in other.quantiles)


if __name__ == "__main__":
    main()
