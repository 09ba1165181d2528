"""Whether fine-tuning helps: a bundle against what becomes of it on single tickers, on a few together, and abroad.

    python -m benchmarks.fine_tuning.run --data ../shared/data --bundle FOLDER [--learning-rate 0.0005]
    python -m benchmarks.fine_tuning.run --data ../shared/data

prints the tables of docs/fine-tuning.md. Both are measured on the parent's own calibration part, by the bare quantiles
of the network, whose weights that part had no say in; days after 2024-08-01 are not read, they belong to the test part.
Neither is any ticker that is held out. Without a bundle a smaller parent is trained first, on an earlier fold.
"""

import argparse
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.held_out import digest, held_out
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.bars import as_bar_arrays, check_bars
from data_pipeline.serving_window import DataVersion
from data_pipeline.sources.file_source import FileSource
from ml_lifecycle.evaluation.gate import GATE_HORIZONS
from ml_lifecycle.evaluation.metrics import pinball_losses
from ml_lifecycle.evaluation.network_forecaster import scaled_quantiles
from ml_lifecycle.evaluation.significance import KnownMean, mean_over_days
from ml_lifecycle.export.export_model import export_bundle
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.fine_tuning import Parent, fine_tune
from ml_lifecycle.training.pairs import gather
from ml_lifecycle.training.parts import Parts
from ml_lifecycle.training.train import train

NOT_STORED = DataVersion(table_id="benchmark", version=0, content_sha256="0" * 64)
HOME, ABROAD, PANEL = "us_core_2004_2026.parquet", "b3_panel_2015_2025.parquet", "us_panel_2010_2026.parquet"
FEW_ABROAD = 20
EARLIER = {"train_end": "2020-06-30", "validation_end": "2021-06-30", "calibration_end": "2022-12-31"}
EARLIER_TICKERS = 120
FINAL_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Measured:
    """Gain of the fine-tuned network over its parent in percent of the parent's pinball loss, by gate horizon."""

    gains: tuple[float, ...]
    mean: KnownMean
    kept_look: int
    n_looks: int


def main() -> None:
    """Measure every group and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the shared bars")
    parser.add_argument("--bundle", type=Path, help="trained by the protocol of benchmarks/skill")
    parser.add_argument("--learning-rate", type=float, help="instead of the packaged one")
    told = parser.parse_args()
    changes = {} if told.learning_rate is None else {"learning_rate": told.learning_rate}
    with TemporaryDirectory() as folder:
        parent = Parent.read(told.bundle or _earlier_bundle(told.data, Path(folder)))
        print(_head(parent), flush=True)
        for name, bars in _groups(told.data, parent):
            print(_line(name, measure(parent, bars, changes)), flush=True)


def _earlier_bundle(data: Path, folder: Path) -> Path:
    """One seed of the packaged default, on some of the panel up to the end of the earlier fold."""
    config = load_config("default", own=None, members=1, **EARLIER)
    tickers = sorted(filter(lambda name: not held_out(name), FileSource(data / PANEL).tickers()), key=digest)
    until = date.fromisoformat(EARLIER["calibration_end"])
    bars = _read(data / PANEL, tickers[:EARLIER_TICKERS], until)
    checkpoint = train(config, bars, data_version=NOT_STORED, out_dir=folder / "earlier")
    return export_bundle(checkpoint.folder, folder / "bundles")


def _groups(data: Path, parent: Parent) -> Iterator[tuple[str, dict[str, BarArrays]]]:
    home = _known(data / HOME, parent)
    yield from ((ticker, {ticker: bars}) for ticker, bars in home.items())
    yield f"these {len(home)} together", home
    abroad = _known(data / ABROAD, parent)
    few = dict(list(abroad.items())[:FEW_ABROAD])
    yield f"{len(few)} tickers of São Paulo together", few


def _known(file: Path, parent: Parent) -> dict[str, BarArrays]:
    """Tickers that are not held out and have enough bars, up to the end of the parent's calibration part."""
    tickers = [name for name in sorted(FileSource(file).tickers()) if not held_out(name)]
    until = _read(file, tickers, parent.calibration_end)
    return {name: bars for name, bars in until.items() if len(bars) > 1500}


def _read(file: Path, tickers: Sequence[str], until: date) -> dict[str, BarArrays]:
    source, now = FileSource(file), datetime.now(UTC)
    fetched = {name: source.fetch_bars(name, None, None) for name in tickers}
    checked = {name: check_bars(one, now=now, final_after=FINAL_AFTER).bars for name, one in fetched.items()}
    return {name: as_bar_arrays(bars).until(until) for name, bars in checked.items() if len(bars)}


def measure(parent: Parent, bars: Mapping[str, BarArrays], changes: Mapping[str, Any]) -> Measured:
    """Fine-tune on ``bars``, then hold both networks against the outcomes of the calibration part."""
    with TemporaryDirectory() as folder:
        told = load_config("fine_tune", **changes)
        checkpoint = fine_tune(parent, told, bars, data_version=NOT_STORED, out_dir=Path(folder))
        import keras  # after the training has said how TensorFlow is to be imported

        tuned = keras.models.load_model(checkpoint.network_path, compile=False)
    content = checkpoint.content
    data = gather(content.config, bars, Parts(content.train_end, content.validation_end, content.calibration_end))
    pairs = data.pairs["calibration"]
    before = keras.models.load_model(parent.network_file, compile=False)
    days = np.concatenate([bars[ticker].trading_day for ticker in data.tickers])[pairs.rows]
    relative: list[FloatArray] = []
    for horizon in GATE_HORIZONS:
        place = content.config.horizons.index(horizon)
        unit = data.series.scale[pairs.rows] * np.sqrt(horizon)
        ours, theirs = (
            pinball_losses(
                pairs.targets[:, place] * unit,
                scaled_quantiles(network, data.series, pairs.rows, parent.scaler)[:, place] * unit[:, None],
                content.config.levels,
            )
            for network in (tuned, before)
        )
        relative.append(100.0 * (theirs - ours) / theirs.mean())
    mean = mean_over_days(np.mean(relative, axis=0), days, horizon=max(GATE_HORIZONS))
    gains = tuple(float(gain.mean()) for gain in relative)
    return Measured(gains, mean, content.best_round, len(content.history) - 1)


def _head(parent: Parent) -> str:
    horizons = " | ".join(f"h = {horizon}" for horizon in GATE_HORIZONS)
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}; parent trained on {len(parent.manifest.tickers)} tickers to "
            f"{parent.train_end}, measured to {parent.calibration_end}; {platform.machine()}, two shared cores, "
            f"Python {platform.python_version()}.",
            "",
            f"| tickers | {horizons} | mean | p | kept look |",
            f"|---|{'---|' * len(GATE_HORIZONS)}---|---|---|",
        ]
    )


def _line(name: str, row: Measured) -> str:
    gains = " | ".join(f"{gain:+.2f}" for gain in row.gains)
    return (
        f"| {name} | {gains} | {row.mean.value:+.2f} | {row.mean.p_not_above_zero:.2f} | "
        f"{row.kept_look} of {row.n_looks} |"
    )


if __name__ == "__main__":
    main()
