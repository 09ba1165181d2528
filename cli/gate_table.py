"""A verdict of the gate, for people."""

from collections.abc import Mapping
from typing import Any

from cli.console import out
from cli.tables import print_table

WORDS = {
    "too_few_days": "fewer than 120 trading days that neither bundle has seen",
    "gain_not_proven": "the gain may be luck",
    "median_worse": "the median misses by more than the champion's",
    "coverage_off": "intervals cover another share than they promise",
    "look_ahead": "forecasts move with bars after their cutoff",
    "bundle_refused": "a bundle cannot be loaded",
    "champion_changed": "the champion changed meanwhile: ask again",
    "not_judged": "the stored bars cannot be judged on",
}


def show(verdict: Mapping[str, Any]) -> None:
    """Print the figures that a challenge was decided on, and why it was not passed."""
    test = verdict["test"]
    if test is not None:
        _show_horizons(test)
        out.print(
            f"Gain {test['gain']:+.2%}, p = {test['p_value']:.4f} where test {test['number']} of this champion may "
            f"spend {test['alpha']:.4f}; median error {test['median_ratio'] - 1.0:+.2%}; coverage off by at most "
            f"{100 * max(test['coverage_error'].values(), default=0.0):.1f} points",
            soft_wrap=True,
        )
    span = f", {verdict['first_day']} to {verdict['last_day']}" if verdict["n_days"] else ""
    out.print(f"{verdict['n_days']} trading days that neither has seen{span}; {verdict['n_tickers']} tickers")
    for line in summary(verdict):
        out.print(line, soft_wrap=True)


def brief(verdict: Mapping[str, Any]) -> str:
    """The verdict in one line."""
    test = verdict["test"]
    told = "" if test is None else f"pinball gain {test['gain']:+.1%}, p = {test['p_value']:.3f}, "
    outcome = "passed" if verdict["passed"] else "; ".join(summary(verdict))
    return f"The gate: {told}{verdict['n_days']} days, {verdict['n_tickers']} tickers: {outcome}"


def summary(verdict: Mapping[str, Any]) -> list[str]:
    """Why a challenger did not pass, one line each; empty where it passed."""
    detail = f" ({verdict['detail']})" if verdict["detail"] else ""
    return [f"{reason}: {WORDS[reason]}{detail}" for reason in verdict["reasons"]]


def _show_horizons(test: Mapping[str, Any]) -> None:
    headings = ("horizon", "pinball gain", "over the reference", "median error", "80 % covers", "champion's")
    print_table(headings, map(_horizon, test["horizons"]))


def _horizon(row: Mapping[str, Any]) -> list[str]:
    ours, theirs, reference = row["challenger"], row["champion"], row["reference"]
    return [
        str(row["horizon"]),
        f"{1.0 - ours['pinball'] / theirs['pinball']:+.2%}",
        f"{1.0 - ours['pinball'] / reference['pinball']:+.2%}",
        f"{ours['median_error'] / theirs['median_error'] - 1.0:+.2%}",
        *(f"{side['coverage']['0.8']:.1%}" if "0.8" in side["coverage"] else "–" for side in (ours, theirs)),
    ]
