"""The skill table: this project's forecasts beside every baseline, on tickers and days that nothing was learnt from.

    benchmarks/skill/run --data ../shared/data --out docs/skill.md
    benchmarks/skill/run --quick

Held out are the tickers with ``sha256(ticker) mod 5 == 0`` (``benchmarks.held_out``). Everything learns from the
others: targets end before 2023-01-01, early stopping and calibration before 2024-08-02; then comes one look at every
fifth trading day from 2024-08-15 on. The São Paulo panel is forecast by the network that was trained on American shares
alone. The bars of CMIG4.SA end before all that, so a network of its own (one seed), trained on what came before 2019,
forecasts it. Less than an hour on two cores; ``--quick`` takes three minutes on twelve shares and says that the
machinery runs, not how good it is.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported, as in `closecast train`

from protocol import FULL, QUICK, Benchmark, absurd
from tables import markdown


def main() -> int:
    """Run, and write the tables; 0, 1 where a figure cannot be, 3 where the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("CLOSECAST_SHARED", "../shared")) / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder that holds the files of bars")
    parser.add_argument("--config", default="default", help="training configuration")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint trained by this protocol; none: train one")
    parser.add_argument("--quick", action="store_true", help="twelve shares, three minutes")
    parser.add_argument("--out", type=Path, help="Markdown file to write; none: standard output")
    told = parser.parse_args()
    extent = QUICK if told.quick else FULL
    absent = [name for name in extent.files if not (told.data / name).is_file()]
    if absent:
        print(f"no {absent[0]} in {told.data}: name the folder by --data or CLOSECAST_SHARED", file=sys.stderr)
        return 3
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(extent, told.data, told.config, told.checkpoint, Path(folder))
        figures = benchmark.run()
    if strange := absurd(figures.panel):
        print(f"these figures cannot be: {strange}", file=sys.stderr)
        return 1
    text = markdown(figures, seconds=time.monotonic() - started)
    if told.out:
        told.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
