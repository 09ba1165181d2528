"""Scores beside the naive on tickers and days that the network never saw, through the commands that people use.

    python benchmarks/scores/run.py --data ../shared/data

For each file: `closecast collect`, `train` on the tickers that are not held out, `evaluate` on those that are
(``benchmarks.held_out``), at every cutoff after the end of calibration. Prints the head and the tables of
docs/scores.md; about ten minutes on two cores.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.held_out import held_out

FILES = ("us_core_2004_2026.parquet", "b3_panel_2015_2025.parquet", "raw_unadjusted_2018_2025.parquet")
SHOWN_HORIZONS = (1, 5, 10, 21, 30)
HEAD = ("horizon", "forecasts", "days", "MAE / naive", "MAPE %", "naive MAPE %", "pinball gain %", "98 % interval")
INTERVAL_HEAD = ("80 % covers", "naive covers", "80 % width", "naive width", "label")


def main() -> int:
    """Print the tables; 0, or 3 with one line where the data is absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("CLOSECAST_SHARED", "../shared")) / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder that holds the files of bars")
    parser.add_argument("--config", default="default", help="training configuration")
    parser.add_argument("files", nargs="*", default=FILES)
    told = parser.parse_args()
    absent = [name for name in told.files if not (told.data / name).is_file()]
    if absent:
        print(f"no {absent[0]} in {told.data}: name the folder by --data or CLOSECAST_SHARED", file=sys.stderr)
        return 3
    cores = os.cpu_count()
    print(f"{datetime.now(UTC):%Y-%m-%d}; {platform.machine()}, {cores} cores, Python {platform.python_version()}.")
    print(f"Command: `python benchmarks/scores/run.py --data … {' '.join(told.files)}`.")
    for name in told.files:
        with tempfile.TemporaryDirectory() as home:
            for line in _section(told.data / name, told.config, Path(home)):
                print(line, flush=True)
    return 0


def _section(path: Path, config: str, home: Path) -> Iterator[str]:
    collected = _closecast(home, "collect", "--source", "files", "--path", str(path))
    tickers = [result["ticker"] for result in collected["tickers"]]
    seen, unseen = [[name for name in tickers if held_out(name) is wanted] for wanted in (False, True)]
    trained = _closecast(home, "train", "--config", config, "--tickers", ",".join(seen))
    scored = _closecast(home, "evaluate", trained["bundle"], "--tickers", ",".join(unseen))
    manifest = json.loads((Path(trained["folder"]) / "manifest.json").read_text())
    yield f"\n## {path.name}\n"
    yield f"Trained on {len(seen)} tickers, targets until {manifest['train_end']}; calibrated until"
    yield f"{manifest['calibration_end']}; judged after that on {', '.join(unseen)}. Training took"
    yield f"{trained['training_seconds']:.0f} s.\n"
    yield _row((*HEAD, *INTERVAL_HEAD))
    yield _row(["---"] * len((*HEAD, *INTERVAL_HEAD)))
    for row in scored["rows"]:
        if row["ticker"] == "all" and row["horizon"] in SHOWN_HORIZONS:
            yield _row(_cells(row))


def _cells(row: dict[str, Any]) -> list[str]:
    interval = next(entry for entry in row["intervals"] if entry["level"] == 0.8)
    skill = row["skill"]
    between = (
        "–" if skill["interval"] is None else "{:+.1f} … {:+.1f}".format(*(100 * end for end in skill["interval"]))
    )
    return [
        f"{row['horizon']}",
        f"{row['n']}",
        f"{row['n_days']}",
        f"{row['mae_log_return'] / row['naive_mae_log_return']:.4f}",
        f"{100 * row['mape']:.2f}",
        f"{100 * row['naive_mape']:.2f}",
        f"{100 * (1 - row['pinball'] / row['naive_pinball']):+.2f}",
        between,
        f"{interval['coverage']:.3f}",
        f"{interval['naive_coverage']:.3f}",
        f"{interval['width']:.4f}",
        f"{interval['naive_width']:.4f}",
        skill["label"].replace("_", " "),
    ]


def _row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _closecast(home: Path, *arguments: str) -> Any:
    """Run one command in a home of its own and read the JSON that it prints."""
    environment = {**os.environ, "CLOSECAST_HOME": str(home)}
    command = [sys.executable, "-m", "cli", *arguments, "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
