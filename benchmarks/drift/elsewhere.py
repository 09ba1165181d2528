"""`closecast drift` on other undisturbed bars, and on few tickers: other years, funds, another market.

    python benchmarks/drift/elsewhere.py --data ../shared/data

As benchmarks/drift/columns.py does, and by its functions: of the tickers with bars on nearly all days, half are trained
on, up to the end of the year before last; the other half is measured at the end of each quarter. No network is trained,
and tickers that are held out for skill are among them. Prints a part of docs/drift.md; some minutes on one core.
"""

import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl
from columns import CRISIS, Crisis, Many, detection, false_alarms, sample, training_columns
from run import bars_of, digest, filled, folder_with

from ml_lifecycle.training.config import load_config


class Panel(NamedTuple):
    """A file of bars, of which those from ``first`` to ``last`` are read; windows with days of the crisis are apart."""

    file: str
    told: str
    first: date
    last: date
    crisis: Crisis


NEWEST = 10  # quarters, into which faults are planted
YEARS_TRAINED, YEARS_OLD = 5, 2  # a champion's training part, and how long ago it ends at most
CRISIS_2008 = (date(2008, 1, 1), date(2009, 12, 31))
PANELS = (
    Panel("us_long_1970_2021.parquet", "US shares", date(1987, 1, 1), date(2014, 12, 31), CRISIS_2008),
    Panel("us_etf_1995_2026.parquet", "US funds", date(2000, 1, 1), date(2014, 12, 31), CRISIS_2008),
    Panel("b3_panel_2015_2025.parquet", "B3", date(2015, 1, 1), date(2025, 9, 30), CRISIS),
)


def main() -> int:
    """Print the part; 0, or 3 with one line where the data is absent."""
    folder = folder_with(*(panel.file for panel in PANELS), description=__doc__)
    if folder is None:
        return 3
    print(ABOUT)
    print(
        filled(
            f"{datetime.now(UTC):%Y-%m-%d}; {platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}. Command: `python benchmarks/drift/elsewhere.py --data …`."
        )
    )
    for panel in PANELS:
        print("\n".join(lines(panel, folder)))
    print(CLOSING)
    return 0


def lines(panel: Panel, folder: Path) -> Iterator[str]:
    """One table with what it is of."""
    trained, others = halves(panel, folder)
    spec = load_config("default").input_spec
    whole = {day: sample(others, spec, day) for day in quarters(panel)}
    by_year = {year: training_columns(before(trained, year), spec) for year in sorted({day.year for day in whole})}
    yield (
        f"\n**{panel.told}** (`{panel.file}`): {len(trained)} tickers to train on, {len(others)} others at the end of "
        f"each quarter from {min(whole)} to {max(whole)}.\n"
    )
    training = {day: by_year[day.year] for day in whole}
    yield from false_alarms(whole, training, panel.crisis)
    yield ""
    yield from detection(others, spec, {day: training[day] for day in list(whole)[-NEWEST:]})


def before(trained: Many, year: int) -> Many:
    """The training part of a champion that serves in this year."""
    until = date(year - YEARS_OLD, 12, 31)
    return {ticker: bars.until(until).last(YEARS_TRAINED * 252) for ticker, bars in trained.items()}


def halves(panel: Panel, folder: Path) -> tuple[Many, Many]:
    """Tickers with bars on nearly all days, in the order of their digests: each second one is measured."""
    frame = pl.scan_parquet(folder / panel.file).filter(pl.col("date").is_between(panel.first, panel.last))
    counted = frame.group_by("ticker").len().collect()
    whole = counted.filter(pl.col("len") > 0.97 * pl.col("len").max())["ticker"]
    tickers = sorted(whole, key=digest)
    return bars_of(frame, tickers[::2]), bars_of(frame, tickers[1::2])


def quarters(panel: Panel) -> list[date]:
    """Their ends, as soon as there is a training part before them."""
    start = date(panel.first.year + YEARS_TRAINED + YEARS_OLD - 1, 1, 1)
    every = (date(year, month, 28) for year in range(start.year, 2027) for month in (3, 6, 9, 12))
    return [day for day in every if day <= panel.last]


ABOUT = f"""\
### Other bars
The same limits in other years, on funds, on another market, and with as few tickers as a small installation has. Of the
tickers with bars on 97 % of a file's days (so those that lasted) half are trained on: {YEARS_TRAINED} years of bars
up to the end of the year before last; the other half is measured. No network is trained here; tickers that are held
out for skill are among them.
"""
CLOSING = """
What that says: few tickers prove little. Until 2026-11-22 a column that looks 250 bars back was worth 20 values
however few the tickers; then 46 of 100 ordinary windows of 250 days of these US shares, beside their training part, and
71 of the funds spoke for a training. That is why the number of tickers counts, so these two tables are no more out of
sample; one value a ticker follows from what a state is and was not fitted. Its price: what changed in 2008 five tickers
do not prove either (before, 11 and 10 of 12 windows spoke for a training), and of a small venue's volumes among five
funds nobody hears. Ranges, opens and repeated bars that are wrong are found with five tickers nearly as with forty.
Windows of the crisis are those of its years and the year after; training parts of the years that follow hold it too.
"""


if __name__ == "__main__":
    sys.exit(main())
