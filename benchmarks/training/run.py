"""How fast networks train, and what limits it: the same batches through each way of running them.

    python benchmarks/training/run.py [--batches 40] [--variants default,xla]
    python benchmarks/training/run.py --panel ../shared/data/us_panel_2010_2026.parquet

prints the table of docs/training.md, in about three minutes on two cores. Prices are made up: speed does not depend on
them. Each variant runs in a process of its own; one whose libraries are not installed says so.

With ``--panel`` the packaged default is trained, calibrated and written once, on every ticker of a file: how long, by
the clock and by the processor, and how much memory. Days after its calibration part are not read.

Windows/s counts windows times members: a window is read by every member of the network. The processor's time is told
beside the clock's, since the clock also counts whatever else the machine does.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.scaler import Scaler, fit_scaler
from data_pipeline.serving_window import DataVersion
from ml_lifecycle.training.config import TrainingConfig, load_config
from ml_lifecycle.training.pairs import TrainingData, gather, network_inputs
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.training_statistics import sample_rows

PARTS = Parts(date(2018, 12, 31), date(2019, 6, 30), date(2019, 12, 31))
N_TICKERS, N_BARS = 40, 2600
PANEL_PARTS = Parts(date(2022, 12, 31), date(2023, 10, 31), date(2024, 8, 1))
WARM_BATCHES = 3  # the first ones are traced and compiled


@dataclass(frozen=True)
class Variant:
    """One way of training the packaged default."""

    told: str
    batch_size: int = 512
    members: int = 3
    unroll: bool = False
    xla: bool = False
    backend: str = "tensorflow"


VARIANTS = {
    "default": Variant("as trained: Keras LSTM on TensorFlow, three members in one graph"),
    "single": Variant("one member", members=1),
    "large": Variant("batch 1,024", batch_size=1024),
    "unrolled": Variant("time steps unrolled", unroll=True),
    "xla": Variant("compiled by XLA", xla=True),
    "jax": Variant("Keras LSTM on JAX", backend="jax"),
}


def main() -> None:
    """Run every variant in a child and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--panel", type=Path, help="file of bars: train the default on all of it, once")
    parser.add_argument("--child", choices=sorted(VARIANTS), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.child:
        print(json.dumps(measure(VARIANTS[told.child], told.batches)))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    if told.panel:
        print(whole_panel(told.panel))
        return
    print("| variant | windows/s | at full use of two cores | feeding | first batches | peak memory |")
    print("|---|---|---|---|---|---|")
    for name in told.variants.split(","):
        print(_row(VARIANTS[name], _in_child(name, told.batches)), flush=True)


def whole_panel(file: Path) -> str:
    """Train on every ticker of the file; one line of what that took."""
    from ml_lifecycle.evaluation.backtest_bars import read_file_bars
    from ml_lifecycle.training.train import train

    bars = {ticker: each.until(PANEL_PARTS.calibration_end) for ticker, each in read_file_bars(file).items()}
    config = load_config("default", **asdict(PANEL_PARTS))
    version = DataVersion(table_id=file.stem, version=0, content_sha256="0" * 64)  # timed, never exported
    started, processor = time.monotonic(), time.process_time()
    with TemporaryDirectory() as folder:
        content = train(config, bars, data_version=version, out_dir=Path(folder)).content
    seconds, processor = time.monotonic() - started, time.process_time() - processor
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{len(content.tickers)} tickers, {content.pairs['train']:,} windows of {config.members} members, kept look "
        f"{content.best_round} of {len(content.history) - 1}: {seconds:.0f} s by the clock, {processor:.0f} s of the "
        f"processors, {mib:,.0f} MiB at the peak"
    )


def measure(variant: Variant, n_batches: int) -> dict[str, float]:
    """Seconds by the clock and by the processor, per batch."""
    config = load_config("default", batch_size=variant.batch_size, members=variant.members)
    data = gather(config, {f"T{seed}": _made_up(seed) for seed in range(N_TICKERS)}, PARTS)
    sample = data.series.windows(sample_rows(data.pairs["train"]))
    scaler = fit_scaler(config.scaler, sample.window, sample.context)
    trained = _compiled(config, variant)
    started = time.monotonic()
    for batch in range(WARM_BATCHES):
        _train(trained, config, data, scaler, batch)
    first = time.monotonic() - started
    clock, processor, feeding = [], time.process_time(), 0.0
    for batch in range(WARM_BATCHES, WARM_BATCHES + n_batches):
        started = time.monotonic()
        feeding += _train(trained, config, data, scaler, batch)
        clock.append(time.monotonic() - started)
    return {
        "windows": variant.batch_size * variant.members,
        "seconds": float(np.median(clock)),
        "processor_seconds": (time.process_time() - processor) / n_batches,
        "feeding_share": feeding / sum(clock),
        "first_seconds": first,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _compiled(config: TrainingConfig, variant: Variant) -> Any:
    from ml_lifecycle.training.determinism import make_deterministic

    make_deterministic(config.seed)
    import keras

    from ml_lifecycle.models.lstm_model import build_network
    from ml_lifecycle.training.fitting import compile_for_training

    trained = build_network(config).trained
    for layer in trained.layers:
        if isinstance(layer, keras.layers.LSTM):
            layer.unroll = variant.unroll
    compile_for_training(trained, config, jit_compile=variant.xla or "auto")
    return trained


def _train(trained: Any, config: TrainingConfig, data: TrainingData, scaler: Scaler, batch: int) -> float:
    """One batch; gives the seconds that cutting and scaling its windows took."""
    started = time.monotonic()
    pairs = data.pairs["train"]
    chosen = np.random.default_rng(batch).integers(0, len(pairs), config.batch_size)
    inputs = network_inputs(data.series, pairs.rows[chosen], scaler)
    targets = [pairs.targets[chosen][..., None]] * config.members
    fed = time.monotonic() - started
    trained.train_on_batch(inputs, targets)
    return fed


def _in_child(name: str, n_batches: int) -> dict[str, float] | None:
    environment = {**os.environ, "KERAS_BACKEND": VARIANTS[name].backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--child", name, "--batches", str(n_batches)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
        return None
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _row(variant: Variant, seen: dict[str, float] | None) -> str:
    if seen is None:
        return f"| {variant.told} | not run | | | | |"
    per_second, at_best = (
        seen["windows"] * cores / seen[key] for key, cores in (("seconds", 1), ("processor_seconds", 2))
    )
    return (
        f"| {variant.told} | {per_second:,.0f} | {at_best:,.0f} | {100 * seen['feeding_share']:.0f} % | "
        f"{seen['first_seconds']:.0f} s | {seen['peak_mib']:,.0f} MiB |"
    )


def _made_up(seed: int) -> BarArrays:
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.015, N_BARS)))
    opened = close * np.exp(rng.normal(0.0, 0.005, N_BARS))
    days = np.busday_offset(np.datetime64("2010-01-04", "D"), np.arange(N_BARS))
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) / 1.004
    return BarArrays(days, opened, high, low, close, close, rng.uniform(1e5, 1e6, N_BARS))


if __name__ == "__main__":
    main()
