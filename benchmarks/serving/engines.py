"""What the network costs in our hands, beside ONNX Runtime by itself: one window, and 512 at once.

Both run on one thread, on the same inputs, in turn; medians, so that other work on the machine counts little.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime

from app.config import Settings
from app.core.jobs import WorkerTools
from app.features.stock_prediction.precomputing import AT_A_TIME, precompute_forecasts
from app.supervisor.one_session import own_sessions
from benchmarks.serving.installation import made_up_window
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.forecaster import BundleForecaster

BATCH = 512


@dataclass(frozen=True)
class EngineFigures:
    """Medians; seconds for one call."""

    one_by_runtime: float
    one_by_us: float
    one_whole_forecast: float  # input columns, scaling, network, interpolation, calibration
    many_by_runtime: float
    many_by_us: float

    @property
    def cold_ratio(self) -> float:
        """Ours over ONNX Runtime's, one window."""
        return self.one_by_us / self.one_by_runtime

    @property
    def batch_ratio(self) -> float:
        """Our windows a second over ONNX Runtime's, 512 at once."""
        return self.many_by_runtime / self.many_by_us


def measure(folder: Path) -> EngineFigures:
    """Load a network bundle and take times."""
    bundle = load_bundle(folder)
    assert bundle.network is not None, "the reference has no network to measure"
    spec, engine = bundle.network.spec, bundle.network.engine
    forecaster, bars = BundleForecaster(bundle), made_up_window("T00000").bars
    sessions = [_session(folder / name) for name in sorted(bundle.manifest.member_weights)]
    random = np.random.default_rng(7)
    window = random.normal(size=(BATCH, spec.lookback, len(spec.columns))).astype(np.float32)
    context = random.normal(size=(BATCH, len(spec.context_columns))).astype(np.float32)

    def by_runtime(n: int) -> Callable[[], object]:
        inputs = {"window": window[:n], "context": context[:n]}
        return lambda: [session.run(["quantiles"], inputs) for session in sessions]

    def by_us(n: int) -> Callable[[], object]:
        return lambda: engine.quantiles(window[:n], context[:n])

    one_runtime, one_us, whole = _in_turn([by_runtime(1), by_us(1), lambda: forecaster.forecast(bars)], rounds=400)
    many_runtime, many_us = _in_turn([by_runtime(BATCH), by_us(BATCH)], rounds=25)
    return EngineFigures(one_runtime, one_us, whole, many_runtime, many_us)


def _session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])


def _in_turn(calls: list[Callable[[], object]], *, rounds: int) -> list[float]:
    taken: list[list[float]] = [[] for _ in calls]
    for number in range(rounds):
        order = list(zip(calls, taken, strict=True))
        for call, times in order if number % 2 else reversed(order):  # who comes first is not always the same
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return [median(times) for times in taken]


def precompute_rate(settings: Settings, tickers: int) -> float:
    """Forecasts a second that the worker's task makes and freezes, database and input columns included."""
    started = time.perf_counter()
    made = make_ahead(settings)
    if made != tickers:
        raise ValueError(f"{made} forecasts were made ahead, {tickers} were wanted ({AT_A_TIME} at a time)")
    return made / (time.perf_counter() - started)


def make_ahead(settings: Settings) -> int:
    """Run the worker's task once; gives how many forecasts it froze."""
    return asyncio.run(_precompute(settings))


async def _precompute(settings: Settings) -> int:
    async with own_sessions(settings) as sessions:
        return await precompute_forecasts(WorkerTools(settings, sessions))
