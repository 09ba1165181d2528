"""Each day's intervals as a bar of characters, all on one scale of prices."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.console import out

WIDTH = 60
WIDE, NARROW, MEDIAN, NAIVE = "─", "━", "●", "│"  # 95 %, 50 %, median, where the naive forecast stands


def show(answer: Mapping[str, Any]) -> None:
    """Print the chart of a forecast as `GET /predict/{ticker}` words it."""
    out.print("\n".join(lines(answer["steps"])), highlight=False, markup=False)


def lines(steps: Sequence[Mapping[str, Any]], width: int = WIDTH) -> list[str]:
    """One line per step between the lowest and the highest price of any 95 % interval, and the scale below.

    >>> quantiles = {"0.025": 8.0, "0.25": 9.0, "0.75": 11.0, "0.975": 12.0}
    >>> for line in lines([{"step": 1, "naive": 10.0, "median": 10.4, "quantiles": quantiles}], width=21):
    ...     print(line)
     1 ─────━━━━━│━●━━━─────
       8.00            12.00
    """
    low = min(step["quantiles"]["0.025"] for step in steps)
    high = max(step["quantiles"]["0.975"] for step in steps)
    drawn = [f"{step['step']:2d} {_line(step, low, high, width)}".rstrip() for step in steps]
    left, right = f"{low:.2f}", f"{high:.2f}"
    return [*drawn, f"   {left}{right:>{width - len(left)}}"]


def _line(step: Mapping[str, Any], low: float, high: float, width: int) -> str:
    def place(price: float) -> int:
        return round((price - low) / (high - low) * (width - 1)) if high > low else 0

    quantiles, cells = step["quantiles"], [" "] * width
    for first, last, mark in (("0.025", "0.975", WIDE), ("0.25", "0.75", NARROW)):
        begin, end = place(quantiles[first]), place(quantiles[last])
        cells[begin : end + 1] = mark * (end + 1 - begin)
    cells[place(step["naive"])] = NAIVE
    cells[place(step["median"])] = MEDIAN
    return "".join(cells)
