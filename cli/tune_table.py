"""A tuning for people: its trials, best first, and what may be said of the best one."""

from collections.abc import Iterable, Mapping
from typing import Any

from cli.console import out
from cli.tables import print_table
from ml_lifecycle.training.trial import SCORED_HORIZONS

MOST_SHOWN = 20
WORDS = {
    "better": "better than the naive on the days it was chosen on",
    "not_distinguishable_from_naive": "not to be told from luck",
    "not_yet_measured": "too few days to say",
}
LEGEND = """\
gain %: in mean pinball loss over the naive, mean of folds and horizons (log returns: no price level and no currency
counts for more); at: the same by trading days ahead; MAE: of the median over the last close's, mean of the horizons."""


def show(result: Mapping[str, Any]) -> None:
    """Print the trials that did best, and the winner's skill with all trials counted."""
    trials = result["trials"]
    n_folds = len(result["folds"])
    horizons = [f"at {horizon}" for horizon in SCORED_HORIZONS]
    folds = [f"fold {number}" for number in range(1, n_folds + 1)]
    headings = ("trial", "strategy", "parameters", "gain %", *horizons, *folds, "MAE", "s")
    print_table(headings, (_row(trial, n_folds) for trial in trials[:MOST_SHOWN]))
    out.print(LEGEND)
    if len(trials) > MOST_SHOWN:
        out.print(f"{len(trials) - MOST_SHOWN} more trials in study {result['study']}")
    show_skill(result["skill"])
    if result["left_out"]:
        out.print(f"too few bars: {', '.join(result['left_out'])}", soft_wrap=True)


def show_skill(skill: Mapping[str, Any]) -> None:
    """What may be said of the best of so many."""
    out.print(
        f"Best of {skill['n_trials']} trials on {skill['n_days']} cutoff days: gain {skill['gain']:+.2%}; p = "
        f"{skill['p_corrected']:.4f} with all trials counted ({skill['p_alone']:.4f} were it the only one): "
        f"{WORDS[skill['label']]}",
        soft_wrap=True,
    )


def _row(trial: Mapping[str, Any], n_folds: int) -> list[str]:
    folds = trial["folds"]
    missing = ["–"] * (n_folds - len(folds))
    return [
        str(trial["number"]),
        trial["strategy"],
        " ".join(f"{name}={_short(value)}" for name, value in trial["params"].items()) or "–",
        "failed" if trial["value"] is None else _percent(trial["value"]),
        *(_percent(value) for value in _means(fold["horizons"] for fold in folds)),
        *(_percent(fold["gain"]) for fold in folds),
        *missing,
        "–" if not folds else f"{_mean(_means(fold['relative_mae'] for fold in folds)):.4f}",
        f"{trial['seconds']:.0f}",
    ]


def _means(rows: Iterable[Iterable[float]]) -> list[float]:
    columns = list(zip(*rows, strict=True))
    return [_mean(column) for column in columns] or [float("nan")] * len(SCORED_HORIZONS)


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return sum(every) / len(every)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:+.2f}" if fraction == fraction else "–"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
