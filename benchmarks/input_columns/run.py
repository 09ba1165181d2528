"""Which input columns, members and ways of training earn their place, on four folds that walk forward.

    python benchmarks/input_columns/run.py --bars ../shared/data/us_panel_2010_2026.parquet --table members
    python benchmarks/input_columns/run.py --bars ../shared/data/us_panel_2010_2026.parquet --table columns
    python benchmarks/input_columns/run.py --bars ../shared/data/us_panel_2010_2026.parquet --table training

print the tables of docs/input_columns.md. Each fold trains, stops by the nine months after, makes its offsets from the
nine after those and is measured on what follows. Days after 2024-07 are not read: they belong to the test part of the
backtests, and so does every held-out ticker. ``members`` trains the packaged default once per fold (some six minutes on
two free cores); every row of the others is a network of one seed of its own, trained anew on every fold (three).
"""

import argparse
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.input_columns.folds import (
    FOLDS,
    SHOWN_HORIZONS,
    Bars,
    Fold,
    FoldData,
    Scored,
    difference,
    fold_data,
    read_bars,
    scored,
)
from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.event_columns import EVENT_COLUMNS
from data_pipeline.processing.indicators import INDICATORS
from ml_lifecycle.evaluation.calibration import believed_offsets, conformal_offsets
from ml_lifecycle.training.config import load_config

MARKET = ("market_return", "market_absolute_return")
SEASON = ("season_sine", "season_cosine")
EVENTS = tuple(column.name for column in EVENT_COLUMNS)
YEARLY = tuple(name for name in EVENTS if name.startswith("yearly"))
SLOW = ("volatility_state_slow", "range_state_slow", "drawdown")
SHAPE = ("tail_weight", "volatility_swing", "overnight_share")
VOLUME = ("volume_state_fast", "volume_state_slow")
RANGE = ("range_today", "range_week")
LEVEL = ("volatility_level",)
DEFAULT = load_config("default")


def less(names: Sequence[str]) -> dict[str, Any]:
    """The default's columns without some."""
    kept = [tuple(name for name in lists if name not in names) for lists in (DEFAULT.columns, DEFAULT.context_columns)]
    return {"columns": kept[0], "context_columns": kept[1]}


def more(names: Sequence[str]) -> dict[str, Any]:
    """The default's context with more."""
    return {"context_columns": (*DEFAULT.context_columns, *names)}


COLUMNS: dict[str, dict[str, Any]] = {
    "default": {},
    "without range, tails, swing, nights, volume (seven)": less((*SHAPE, *VOLUME, *RANGE)),
    "without any event": less((*EVENTS, "event_score")),
    "and the season of the year": more(SEASON),
    "without the yearly events": less(YEARLY),
    "without slow states, drawdown": less(SLOW),
    "without tails, swing, nights": less(SHAPE),
    "without states of the volume": less(VOLUME),
    "without range of the day, of the week": less(RANGE),
    "and momentum": more(("momentum_month", "momentum_half_year")),
    "and market inputs in the window": {"columns": (*DEFAULT.columns, *MARKET)},
    "the 14 classics, level": {"columns": tuple(each.name for each in INDICATORS), "context_columns": LEVEL},
}
TRAINING: dict[str, dict[str, Any]] = {
    "default": {},
    "newest weights, learning rate 0.001": {"weight_average": 0.0, "learning_rate": 1e-3},
    "averaged weights, learning rate 0.001": {"learning_rate": 1e-3},
    "dropout of 0.2 behind the LSTM": {"layers": ["LSTM", "Dropout", "Dense", "ReLU", "Linear"], "dropout": 0.2},
    "16 cells": {"hidden_size": 16},
    "no LSTM, 5 bars": {"layers": ["Flatten", "Dense", "ReLU", "Linear"], "lookback": 5},
    "scale of 0.94 and 0.995 over 500 days": {"scale_decays": (0.94, 0.995), "scale_length": 500},
    "every fifth day": {"every_days": 5},
}


def main() -> None:
    """Measure every row on every fold and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bars", type=Path, required=True, help="us_panel_2010_2026.parquet")
    parser.add_argument("--tickers", type=int, help="the first so many; all that are not held out if left out")
    parser.add_argument("--table", choices=("members", "columns", "training"), default="members")
    parser.add_argument("--rows", type=int, help="the first so many rows only")
    told = parser.parse_args()
    bars = read_bars(told.bars, told.tickers)
    print(head(told.bars.name, len(bars)), flush=True)
    if told.table == "members":
        for line in member_lines(bars):
            print(line, flush=True)
        return
    table = COLUMNS if told.table == "columns" else TRAINING
    first: list[Scored] = []
    for name, changes in list(table.items())[: told.rows]:
        own = [network_alone(bars, fold, changes) for fold in FOLDS]
        first = first or own
        print(line_of(name, own, first), flush=True)


def network_alone(bars: Bars, fold: Fold, changes: Mapping[str, Any]) -> Scored:
    """One seed of a changed default: LSTM only, before offsets."""
    alone = {"members": 1, "tree_share": 0.0, "long_run_shares": ()}
    data = fold_data(load_config("default", **{**alone, **changes}), bars, fold)
    _, heads = data.trained()
    return scored(data.config, data.measured, heads[:, 0] * data.measured.unit[..., None])


def member_lines(bars: Bars) -> Iterator[str]:
    """What each part of the default adds."""
    by_fold = [member_rows(fold_data(DEFAULT, bars, fold)) for fold in FOLDS]
    beside = [rows["as served: … and believed n / (n + 100)"] for rows in by_fold]
    for name in by_fold[0]:
        yield line_of(name, [rows[name] for rows in by_fold], beside)


def member_rows(data: FoldData) -> dict[str, Scored]:
    """Every row on one fold, by its name."""
    config = data.config
    lstm, trees = data.trained(), data.trees()
    shares = np.array(config.long_run_shares)[:, None]

    def averaged(tree_share: float, long_run: FloatArray | float) -> list[FloatArray]:
        """Scaled quantiles of the calibration and the measured part."""
        both = []
        for part, own, other in zip((data.calibration, data.measured), lstm, trees, strict=True):
            members = (1.0 - tree_share) * np.sort(own.mean(axis=1), axis=-1) + tree_share * other
            both.append((1.0 - long_run) * members + long_run * part.naive / part.unit[..., None])
        return both

    def judged(told: FloatArray) -> Scored:
        return scored(config, data.measured, told * data.measured.unit[..., None])

    calibration, served = averaged(config.tree_share, shares)
    actual = data.calibration.actual / data.calibration.unit
    offsets = conformal_offsets(actual, calibration, config.levels)
    n_days = len(np.unique(data.calibration.day))
    half = believed_offsets(offsets, config.horizons, n_days=n_days)
    alone = np.broadcast_to(data.unconditional, served.shape)
    return {
        "unconditional quantiles in units of the scale": judged(alone),
        "one LSTM": judged(lstm[1][:, 0]),
        f"{config.members} LSTMs": judged(averaged(0.0, 0.0)[1]),
        "boosted trees": judged(averaged(1.0, 0.0)[1]),
        "LSTMs and trees, half each": judged(averaged(0.5, 0.0)[1]),
        f"LSTMs and trees ({config.tree_share})": judged(averaged(config.tree_share, 0.0)[1]),
        "LSTMs and long run": judged(averaged(0.0, shares)[1]),
        "LSTMs and long run, twice its shares": judged(averaged(0.0, 2.0 * shares)[1]),
        f"LSTMs, trees ({config.tree_share}) and long run": judged(served),
        "… with offsets, believed in full": judged(served + offsets),
        "as served: … and believed n / (n + 100)": judged(served + half),
    }


def head(source: str, n_tickers: int) -> str:
    """What was measured where, and the head of the table."""
    spans = "; ".join(f"{fold.calibration_end} to {fold.measured_end}" for fold in FOLDS)
    days = "".join(f" h = {horizon} |" for horizon in SHOWN_HORIZONS)
    folds = "".join(f" fold {number} |" for number in range(1, len(FOLDS) + 1))
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}; `{source}`, {n_tickers} tickers (none of the held-out ones); "
            f"{platform.machine()}, two shared cores, Python {platform.python_version()}. Measured: {spans}.",
            "",
            f"| |{days}{folds} all | beside | tickers % | MAE, 21 | coverage |",
            f"|---|{'---|' * (len(SHOWN_HORIZONS) + len(FOLDS) + 5)}",
        ]
    )


def line_of(name: str, own: Sequence[Scored], beside: Sequence[Scored]) -> str:
    """One row: means over folds by horizon, over horizons by fold, and the difference to another row."""
    gains = np.stack([each.gains for each in own])
    cells = [f"{gain:+.2f}" for gain in (*gains.mean(axis=0), *gains.mean(axis=1), gains.mean())]
    points, error = difference(own, beside)
    cells.append("–" if own is beside or not error else f"{points:+.2f} ± {error:.2f}")
    cells.append(" ".join(f"{100 * share:.0f}" for share in np.mean([each.tickers for each in own], axis=0)))
    cells.append(f"{np.mean([each.relative_mae[-1] for each in own]):.4f}")
    cells.append(f"{100 * np.mean([each.misses for each in own]):.2f}")
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
