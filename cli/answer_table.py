"""A forecast, readable: each step beside the naive, and what the forecast is worth."""

from typing import Any

from rich import box
from rich.table import Table

from cli.console import out


def show(answer: dict[str, Any]) -> None:
    """Print a forecast as `GET /predict/{ticker}` gave it."""
    data, bundle = answer["data"], answer["bundle"]
    out.print(
        f"\n[bold]{answer['ticker']}[/bold]: close of {answer['cutoff']} was {answer['anchor']:.2f} "
        f"{answer['currency']} ({answer['price_basis']} prices, source {data['source']})",
        soft_wrap=True,
    )
    out.print(_steps(answer))
    out.print(f"skill beside the naive: {_skill(answer)}", soft_wrap=True)
    out.print(
        f"kind: {answer['kind']}   stale: {str(data['stale']).lower()}   "
        f"bundle: {bundle['kind']} {bundle['id'][:12]}   promotion: {bundle['promotion']}",
        soft_wrap=True,
    )
    frozen = f"forecast {answer['forecast_id']}, frozen" if answer["forecast_id"] else "kept nowhere, made"
    out.print(f"{frozen} at {answer['made_at']}", soft_wrap=True)


def _steps(answer: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("step", "day", "naive", "median", "80 % interval", "95 % interval", "rise"):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in answer["steps"]:
        quantiles = step["quantiles"]
        table.add_row(
            str(step["step"]),
            step["target_trading_day"],
            f"{step['naive']:.2f}",
            f"{step['median']:.2f}",
            f"{quantiles['0.1']:.2f} … {quantiles['0.9']:.2f}",
            f"{quantiles['0.025']:.2f} … {quantiles['0.975']:.2f}",
            f"{step['probability_up']:.0%}",
        )
    return table


def _skill(answer: dict[str, Any]) -> str:
    """The labels with the steps they hold for: a label is never left out because it is unpleasant."""
    steps: dict[str, list[str]] = {}
    for step, skill in answer["skill"].items():
        steps.setdefault(f"{skill['label'].replace('_', ' ')} ({skill['source']})", []).append(step)
    told = [f"{label} at step {', '.join(found)}" for label, found in steps.items()]
    return "; ".join(told) or "not yet measured"
