"""How often a forecast's drift warning is false, and what it notices: real windows, and the same with a fault planted.

    python benchmarks/drift/run.py --data ../shared/data

The training distributions of the packaged configurations are made as training makes them, of 60 tickers up to 2022; no
network is trained. Measured are 40 other tickers on days from 2023 on, then some of the same days with each fault, then
spring 2020; none of them is held out for final scores (``sha256(ticker) mod 5 == 0``). Prints the page docs/drift.md;
some three minutes on one core.
"""

import argparse
import hashlib
import os
import platform
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import InputSpec, Windows, latest_window, prepare_series
from ml_lifecycle.monitoring.drift import DISTANCE_LIMIT, PSI_LIMIT, DriftReference
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.training_statistics import reference_distribution

FILE = "us_panel_2010_2026.parquet"
TRAINED_UNTIL, MEASURED_FROM, LAST_DAY = date(2022, 12, 31), date(2023, 1, 1), date(2026, 6, 30)
SPRING_2020 = (date(2020, 2, 24), date(2020, 5, 29))
N_TRAINED, N_MEASURED = 60, 40
EVERY_DAYS = 20
EVERY_PIECE = 5  # of the windows without a fault: what is noticed is noticed in nearly all of them
FAULT_DAYS = 30  # the fault lies in the newest of them
FAR_LIMITS = ((0.5, 4.0), (1.0, 6.0), (PSI_LIMIT, DISTANCE_LIMIT), (2.0, 10.0))

Fault = Callable[[BarArrays], BarArrays]


def from_then_on(factor: float, *names: str) -> Fault:
    """Columns in another unit from some day on."""

    def plant(bars: BarArrays) -> BarArrays:
        factors = np.where(np.arange(len(bars)) >= len(bars) - FAULT_DAYS, factor, 1.0)
        return replace(bars, **{name: getattr(bars, name) * factors for name in names})

    return plant


def standing_still(bars: BarArrays) -> BarArrays:
    """A source that repeats its last bar."""
    kept = np.minimum(np.arange(len(bars)), len(bars) - FAULT_DAYS - 1)
    names = ("open", "high", "low", "close", "adj_close", "volume")
    return replace(bars, **{name: getattr(bars, name)[kept] for name in names})


def one_bad_close(bars: BarArrays) -> BarArrays:
    """The newest close is a tenth of what it was."""
    factors = np.where(np.arange(len(bars)) == len(bars) - 1, 0.1, 1.0)
    return replace(bars, **{name: getattr(bars, name) * factors for name in ("low", "close", "adj_close")})


PRICES = ("open", "high", "low", "close", "adj_close")
FAULTS: dict[str, Fault] = {
    "none": lambda bars: bars,
    f"prices in pence for the newest {FAULT_DAYS} days": from_then_on(100.0, *PRICES),
    f"the same bar repeated for {FAULT_DAYS} days": standing_still,
    "the newest close a tenth of what it was": one_bad_close,
    f"volumes in thousands for the newest {FAULT_DAYS} days": from_then_on(1e-3, "volume"),
    f"a two-for-one split not corrected, {FAULT_DAYS} days ago": from_then_on(0.5, *PRICES),
}


class Measured(NamedTuple):
    """Per window the largest of each statistic, and the columns past their limits."""

    psi: np.ndarray
    distance: np.ndarray
    left: list[list[str]]

    @property
    def warned(self) -> float:
        """Share of windows with a warning."""
        return sum(map(bool, self.left)) / len(self.left)


def main() -> int:
    """Print the page; 0, or 3 with one line where the data is absent."""
    return print_lines(page, __doc__)


def print_lines(lines: Callable[..., Iterable[str]], description: str | None) -> int:
    """Print what ``lines(trained, others)`` gives of the file of bars; 0, or 3 with one line where that is absent."""
    folder = folder_with(FILE, description=description)
    if folder is None:
        return 3
    print("\n".join(lines(*read_bars(folder / FILE))))
    return 0


def folder_with(*files: str, description: str | None) -> Path | None:
    """The folder that the command line names; None, with one line, where one of the files is absent."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("CLOSECAST_SHARED", "../shared")) / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder that holds the files of bars")
    folder: Path = parser.parse_args().data
    absent = [file for file in files if not (folder / file).is_file()]
    if absent:
        print(f"no {absent[0]} in {folder}: name the folder by --data or CLOSECAST_SHARED", file=sys.stderr)
    return None if absent else folder


def read_bars(path: Path) -> tuple[dict[str, BarArrays], dict[str, BarArrays]]:
    """Tickers to train on and others, the first of each by digest that cover the whole time."""
    frame = pl.scan_parquet(path).filter(pl.col("date") <= LAST_DAY)
    spans = frame.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max()).collect()
    whole = spans.filter((pl.col("first") <= date(2015, 1, 1)) & (pl.col("last") >= date(2026, 6, 1)))["ticker"]
    ordered = sorted((ticker for ticker in whole if not held_out(ticker)), key=digest)
    chosen = ordered[:N_TRAINED], ordered[N_TRAINED : N_TRAINED + N_MEASURED]
    return bars_of(frame, chosen[0]), bars_of(frame, chosen[1])


def bars_of(frame: pl.LazyFrame, tickers: Sequence[str]) -> dict[str, BarArrays]:
    """Of each of these tickers, in their order."""
    rows = frame.filter(pl.col("ticker").is_in(tickers)).sort("ticker", "date").collect()
    bars = {str(key[0]): as_bars(group) for key, group in rows.group_by("ticker", maintain_order=True)}
    return {ticker: bars[ticker] for ticker in tickers}


def held_out(ticker: str) -> bool:
    """Whether it is kept for final scores; ``mod 5`` is read of the whole digest and of its first four bytes."""
    return digest(ticker) % 5 == 0 or (digest(ticker) >> 224) % 5 == 0


def digest(ticker: str) -> int:
    """SHA-256 as a number: an order of the tickers that has to do with nothing."""
    return int(hashlib.sha256(ticker.encode()).hexdigest(), 16)


def as_bars(frame: pl.DataFrame) -> BarArrays:
    """Bars of one ticker; where the file has no ``adj_close`` its prices are adjusted throughout."""
    prices = {name: frame[name].cast(pl.Float64).to_numpy() for name in ("open", "high", "low", "close", "volume")}
    adjusted = frame["adj_close"].cast(pl.Float64).to_numpy() if "adj_close" in frame.columns else prices["close"]
    return BarArrays(frame["date"].to_numpy().astype("datetime64[D]"), adj_close=adjusted, **prices)


def trained_reference(name: str, trained: Mapping[str, BarArrays]) -> tuple[InputSpec, DriftReference]:
    """What ``reference.json`` of a packaged configuration would say, read as a bundle reads it."""
    config = load_config(name)
    spec = config.input_spec
    parts = []
    for bars in trained.values():
        series = prepare_series(bars.until(TRAINED_UNTIL), spec)
        parts.append(series.windows(series.usable_ends()[::EVERY_DAYS]))
    arrays = {
        field: np.concatenate([getattr(part, field) for part in parts]) for field in ("window", "context", "scale")
    }
    listed = [column.model_dump(mode="json") for column in reference_distribution(config, Windows(**arrays))]
    reference = DriftReference.from_dict({"columns": listed}, spec.columns, spec.context_columns)
    assert reference is not None
    return spec, reference


def measure(
    spec: InputSpec, reference: DriftReference, pieces: list[BarArrays], fault: Fault = FAULTS["none"]
) -> Measured:
    """Every piece's newest window, as serving would measure it."""
    windows, contexts = zip(*(latest_window(fault(bars), spec)[:2] for bars in pieces), strict=True)
    window, context = np.stack(windows), np.stack(contexts)
    left = reference.left_many(window, context)
    return Measured(
        reference.population_stability(window).max(axis=1),
        reference.distance(np.concatenate([window[:, -1], context], axis=1)).max(axis=1),
        [sorted({each.column for each in one}) for one in left],
    )


def pieces_of(others: Mapping[str, BarArrays], spec: InputSpec, first: date, last: date, every: int) -> list[BarArrays]:
    """As many bars as a forecast reads, up to every so-and-so-many-th day between two."""
    cut = []
    for bars in others.values():
        days = bars.trading_day
        ends = np.flatnonzero((days >= np.datetime64(first)) & (days <= np.datetime64(last)))[::every]
        cut += [bars[end + 1 - spec.history_needed : end + 1] for end in ends if end + 1 >= spec.history_needed]
    return cut


def page(trained: Mapping[str, BarArrays], others: Mapping[str, BarArrays]) -> Iterator[str]:
    """The page for the docs."""
    yield ABOUT
    yield filled(
        f"{datetime.now(UTC):%Y-%m-%d}; `{FILE}`; {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}. Command: `python benchmarks/drift/run.py --data …`. Training distributions: "
        f"{len(trained)} tickers up to {TRAINED_UNTIL}; measured: {len(others)} other tickers, every {EVERY_DAYS}th "
        f"day from {MEASURED_FROM} to {LAST_DAY}."
    )
    yield ""
    measured = {}
    for name in ("default", "closes"):
        spec, reference = trained_reference(name, trained)
        pieces = pieces_of(others, spec, MEASURED_FROM, LAST_DAY, EVERY_DAYS)
        spring = pieces_of(others, spec, *SPRING_2020, 5)
        measured[name] = (
            {
                told: measure(spec, reference, pieces if told == "none" else pieces[::EVERY_PIECE], fault)
                for told, fault in FAULTS.items()
            },
            measure(spec, reference, spring),
        )
    yield "## Windows with a warning, in percent"
    yield "| fault planted | `default` | `closes` |"
    yield "|---|---|---|"
    for told in FAULTS:
        yield f"| {told} | {' | '.join(f'{100 * each[0][told].warned:.1f}' for each in measured.values())} |"
    yield f"| none, spring 2020 | {' | '.join(f'{100 * each[1].warned:.1f}' for each in measured.values())} |"
    yield ""
    by_fault, spring_2020 = measured["default"]
    n_windows, *_, n_with_fault = (len(each.left) for each in by_fault.values())
    yield f"Windows: {n_windows} without a fault, {n_with_fault} with each, {len(spring_2020.left)} in spring 2020."
    yield "False warnings by other limits, in percent:\n"
    yield "| psi over | distance over | `default` | `closes` |"
    yield "|---|---|---|---|"
    for psi, distance in FAR_LIMITS:
        shares = (
            100 * ((each[0]["none"].psi > psi) | (each[0]["none"].distance > distance)).mean()
            for each in measured.values()
        )
        yield f"| {psi} | {distance} | {' | '.join(f'{share:.1f}' for share in shares)} |"
    yield ""
    counted = Counter(column for one in measured["default"][0]["none"].left for column in one).most_common(4)
    yield f"Which columns give the false ones of `default`: {', '.join(f'`{name}` {n}' for name, n in counted)}."
    yield CLOSING


def filled(text: str) -> str:
    """One paragraph, as wide as the other pages."""
    return textwrap.fill(text, 118, break_on_hyphens=False, break_long_words=False)


ABOUT = f"""\
# Drift: whether one window looks like the training part

A network bundle keeps how each of its input columns was distributed in training (`reference.json`). Each forecast's
inputs are measured against it, once, when the forecast is computed; every answer says so: `drift_warning`,
`drift_details.left_training_distribution` (`column`, `statistic`, `value`, `limit`), both null where the bundle knows
no training distribution (the reference bundle has no inputs). A frozen forecast keeps what was measured.

| statistic | what is measured | limit |
|---|---|---|
| `psi` | all values of a window's column, over the training deciles | {PSI_LIMIT:g} |
| `distance` | the newest value of a window's column; each context column | {DISTANCE_LIMIT:g} |

`psi` is the population stability index, as if ten more values had come that are spread as in training. `distance` is
counted from the training mean in training standard deviations. A window's returns are divided by the ticker's own
volatility before they are measured, as they are before the network sees them: a wild ticker is no drift, a window
unlike itself is. A warning is no verdict on the forecast: the network was asked about what it has not seen.
"""
CLOSING = """
## What that says
The limits are round numbers past which about one ordinary window in a hundred lies. What changes the level of prices
inside the window is noticed, and what stops them moving mostly is. **Volumes in another unit are not**: they are read
as ratios to their own past, so that a change of unit fades, and closes alone cannot tell of volumes. A slow change
over months is no matter of one window.
"""


if __name__ == "__main__":
    sys.exit(main())
