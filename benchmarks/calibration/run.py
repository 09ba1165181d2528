"""What fixed offsets do to a network's intervals, and what adaptive ones would do after them, on the calibration part.

    python benchmarks/calibration/run.py CHECKPOINT --bars ../shared/data/us_panel_2010_2026.parquet

Offsets come from the older half of the part, figures from the newer one, as a training decides on adaptive intervals.
Every seventh of the checkpoint's tickers is looked at. No day of the test part is read.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported, as in `closecast train`

from ml_lifecycle.evaluation.adaptive import Past, choose_adaptive
from ml_lifecycle.evaluation.backtest_bars import read_file_bars
from ml_lifecycle.training.adaptive_choice import calibration_past
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.member_average import load_average
from ml_lifecycle.training.parts import Parts

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02)
EVERY = 7


def main() -> int:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--bars", type=Path, required=True, help="file or folder of bars that holds its tickers")
    told = parser.parse_args()
    checkpoint = Checkpoint.load(told.checkpoint)
    content = checkpoint.content
    known = read_file_bars(told.bars, content.tickers[::EVERY])
    bars = [each.until(content.calibration_end) for each in known.values()]
    parts = Parts(content.train_end, content.validation_end, content.calibration_end)
    network = load_average(checkpoint)
    past = calibration_past(content.config, bars, parts, network, checkpoint.scaler)
    print_tables(past, content.config.levels, content.config.horizons)
    return 0


def print_tables(past: Sequence[Past], levels: tuple[float, ...], horizons: Sequence[int]) -> None:
    """By horizon with the step that serving has; then by step over all horizons."""
    print("| horizon | forecasts | pinball, fixed | adaptive | gain % | 50/80/90/95 % inside, fixed | adaptive |")
    print("|---|---|---|---|---|---|---|")
    for place, horizon in enumerate(horizons):
        of_horizon = [Past(each.days, each.bars, each.quantiles[:, [place]], each.actual[:, [place]]) for each in past]
        print(_row(str(horizon), of_horizon, levels, (horizon,)))
    print(_row("all", past, levels, horizons))
    print()
    print("| step | forecasts | pinball, fixed | adaptive | gain % | 50/80/90/95 % inside, fixed | adaptive |")
    print("|---|---|---|---|---|---|---|")
    for step in STEPS:
        print(_row(str(step), past, levels, horizons, step=step))


def _row(name: str, past: Sequence[Past], levels: tuple[float, ...], horizons: Sequence[int], **step: float) -> str:
    figures = choose_adaptive(past, levels, horizons, **step).figures
    if figures is None:
        return f"| {name} | 0 | | | | | |"
    gain = 1.0 - figures.adaptive_pinball / figures.pinball
    covered, adapted = (
        " / ".join(f"{share:.1%}".removesuffix("%") for share in reversed(shares))
        for shares in (figures.coverage, figures.adaptive_coverage)
    )
    told = f"{figures.pinball:.5f} | {figures.adaptive_pinball:.5f} | {gain:+.2%}".removesuffix("%")
    return f"| {name} | {figures.n:,} | {told} | {covered} | {adapted} |"


if __name__ == "__main__":
    sys.exit(main())
