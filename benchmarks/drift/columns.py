"""How often `closecast drift` is wrong on undisturbed bars, and what it finds when something is planted in them.

    python benchmarks/drift/columns.py --data ../shared/data

Input columns of the packaged configuration `default`: 40 tickers at the end of each quarter, beside the training part
of 60 others up to 2022 and beside the days before. Then faults in the newest 60 days; then daily errors and intervals
of simple forecasters of the same tickers, undisturbed and worsened. None of the tickers is held out for final scores.
Prints the second part of docs/drift.md; some three minutes on one core.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
from run import FILE, LAST_DAY, TRAINED_UNTIL, filled, print_lines
from scipy import stats

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.processing.lstm_preprocessor import InputSpec, Windows, prepare_series
from data_pipeline.processing.volatility import log_returns
from ml_lifecycle.monitoring.column_drift import (
    CHANCE,
    FAR_KS,
    FAR_PSI,
    MOVED_KS,
    MOVED_PSI,
    WORTH_OF_A_MEMORY,
    ColumnFinding,
    ColumnSample,
    TrainingColumns,
    compare_samples,
    compare_with_training,
)
from ml_lifecycle.monitoring.error_drift import (
    ADWIN_DELTA,
    COVERAGE_DAYS,
    FAR_COVERAGE,
    MOVED_COVERAGE,
    coverage_drift,
    error_drift,
)
from ml_lifecycle.monitoring.recommendation import Verdict, recommend
from ml_lifecycle.training.config import load_config
from ml_lifecycle.training.training_statistics import reference_distribution

DAYS, SHORT = 250, 60
FAULT_DAYS = 60
QUARTERS = [date(year, month, 28) for year in range(2015, 2027) for month in (3, 6, 9, 12)]
CRISIS = (date(2020, 1, 1), date(2022, 12, 31))  # windows that hold days of these years are told apart
LEVELS = (0.5, 0.8, 0.95)
EVERY_DAYS = 21  # windows of the training part: a number that weekdays and it do not share
HISTORY = 500  # days that the simple forecasters look back

Fault = Callable[[BarArrays, np.random.Generator], BarArrays]
Many = Mapping[str, BarArrays]
Crisis = tuple[date, date]


def newest(bars: BarArrays) -> np.ndarray:
    """Where the fault lies."""
    return np.arange(len(bars)) >= len(bars) - FAULT_DAYS


def no_range(bars: BarArrays, _: np.random.Generator) -> BarArrays:
    """A source that gives the close as high and low."""
    where = newest(bars)
    return replace(bars, high=np.where(where, bars.close, bars.high), low=np.where(where, bars.close, bars.low))


def no_opens(bars: BarArrays, _: np.random.Generator) -> BarArrays:
    """A source that gives the last close as the open."""
    last = np.concatenate([bars.open[:1], bars.close[:-1]])
    return replace(bars, open=np.where(newest(bars), last, bars.open))


def stale(bars: BarArrays, _: np.random.Generator) -> BarArrays:
    """A source that repeats each second bar."""
    days = np.arange(len(bars))
    kept = np.where(newest(bars) & (days % 2 == 1), days - 1, days)
    names = ("open", "high", "low", "close", "adj_close", "volume")
    return replace(bars, **{name: getattr(bars, name)[kept] for name in names})


def noisy(bars: BarArrays, source: np.random.Generator) -> BarArrays:
    """Closes that are off by one per cent, each day anew."""
    factor = np.where(newest(bars), np.exp(source.normal(scale=0.01, size=len(bars))), 1.0)
    return replace(bars, **{name: getattr(bars, name) * factor for name in ("close", "adj_close")})


def other_volumes(bars: BarArrays, source: np.random.Generator) -> BarArrays:
    """Volumes of a small venue: a share of the whole that is another one each day."""
    factor = np.where(newest(bars), np.exp(source.normal(-3.0, 1.0, len(bars))), 1.0)
    return replace(bars, volume=bars.volume * factor)


FAULTS: dict[str, Fault] = {
    "high and low are the close": no_range,
    "opens are the last close": no_opens,
    "each second bar repeated": stale,
    "closes off by 1 % at random": noisy,
    "volumes of a small venue": other_volumes,
}


def main() -> int:
    """Print the part; 0, or 3 with one line where the data is absent."""
    return print_lines(part, __doc__)


def training_columns(trained: Many, spec: InputSpec) -> TrainingColumns:
    """What a bundle trained on these bars would keep."""
    windows = []
    for bars in trained.values():
        series = prepare_series(bars, spec)
        windows.append(series.windows(series.usable_ends()[::EVERY_DAYS]))
    arrays = {name: np.concatenate([getattr(one, name) for one in windows]) for name in ("window", "context", "scale")}
    listed = reference_distribution(load_config("default"), Windows(**arrays))
    read = TrainingColumns.from_dict({"columns": [column.model_dump(mode="json") for column in listed]})
    assert read is not None
    return read


def sample(many: Many, spec: InputSpec, day: date, fault: Fault | None = None) -> ColumnSample:
    """The newest days up to one."""
    source = np.random.default_rng(day.toordinal())
    cut = ((ticker, bars.until(day)) for ticker, bars in many.items())
    planted = ((ticker, fault(bars, source) if fault else bars) for ticker, bars in cut)
    return ColumnSample.of(planted, spec, days=DAYS, which=str(day))


def part_of(whole: ColumnSample, first: int, end: int | None) -> ColumnSample:
    """Some of a sample's days, counted from its oldest or newest."""
    days = np.unique(whole.days)[first:end]
    here = np.isin(whole.days, days)
    return replace(whole, values=whole.values[here], days=whole.days[here])


def by_counting(findings: list[ColumnFinding], n_values: int) -> bool:
    """Whether a test that takes each value for an independent one finds drift in any column."""
    return any(stats.kstwobign.sf(each.ks * np.sqrt(n_values)) < CHANCE / len(findings) for each in findings)


def false_alarms(
    whole: Mapping[date, ColumnSample], training: Mapping[date, TrainingColumns], crisis: Crisis
) -> Iterator[str]:
    """Table of undisturbed windows, each beside its training part and beside the days before."""
    apart = f"`retrain`, where days of {crisis[0]:%Y}–{crisis[1]:%Y} are compared"
    yield f"| beside | days | windows | counting values | `watch` | `retrain` | {apart} |"
    yield "|---|---|---|---|---|---|---|"
    quarters = list(whole)
    for days in (DAYS, SHORT):
        windows = {day: part_of(each, -days, None) for day, each in whole.items()}
        yield row(
            f"training | {days}",
            {day: (compare_with_training(training[day], each), each) for day, each in windows.items()},
            crisis,
        )
        before = {
            day: whole[quarters[place - 4]] if days == DAYS else part_of(whole[day], -2 * days, -days)
            for place, day in enumerate(quarters)
            if days != DAYS or place >= 4
        }
        compared = {day: (compare_samples(old, windows[day]), windows[day]) for day, old in before.items()}
        yield row(f"the {days} days before | {days}", compared, crisis)


def row(told: str, compared: Mapping[date, tuple[list[ColumnFinding], ColumnSample]], crisis: Crisis) -> str:
    """Shares of windows, in per cent."""
    ordinary = [each for day, each in compared.items() if not in_crisis(day, crisis)]
    apart = [recommend(findings).verdict for day, (findings, _) in compared.items() if in_crisis(day, crisis)]
    verdicts = [recommend(findings).verdict for findings, _ in ordinary]
    counting = np.mean([by_counting(findings, len(each.days)) for findings, each in ordinary])
    shares = [100 * np.mean([verdict is wanted for verdict in verdicts]) for wanted in (Verdict.WATCH, Verdict.RETRAIN)]
    alarmed = f"{sum(verdict is Verdict.RETRAIN for verdict in apart)} of {len(apart)}"
    return f"| {told} | {len(ordinary)} | {100 * counting:.0f} | {shares[0]:.0f} | {shares[1]:.0f} | {alarmed} |"


def in_crisis(day: date, crisis: Crisis) -> bool:
    """Whether its year of days, or the one before, holds some of the crisis."""
    return crisis[0] <= day and day.year <= crisis[1].year + 1


def detection(many: Many, spec: InputSpec, training: Mapping[date, TrainingColumns]) -> Iterator[str]:
    """Table of planted faults, at the days that have a training part."""
    yield "| planted in the newest 60 days | `watch` or more | `retrain` | column farthest off |"
    yield "|---|---|---|---|"
    for told, fault in FAULTS.items():
        planted = {day: part_of(sample(many, spec, day, fault), -SHORT, None) for day in training}
        found = [compare_with_training(training[day], each) for day, each in planted.items()]
        verdicts = [recommend(findings).verdict for findings in found]
        watch, again = (
            sum(verdict in wanted for verdict in verdicts)
            for wanted in (set(Verdict) - {Verdict.OK}, {Verdict.RETRAIN})
        )
        moved = [
            max((e for e in findings if e.severity != "none"), key=lambda e: e.ks, default=None) for findings in found
        ]
        names = sorted({f"`{each.column}`" for each in moved if each is not None})
        yield f"| {told} | {watch} of {len(found)} | {again} of {len(found)} | {', '.join(names) or '–'} |"


def returns_of(many: Many) -> tuple[np.ndarray, np.ndarray]:
    """Days, and daily log returns of the tickers that have all of them, ``(n_days, n_tickers)``."""
    days = np.unique(np.concatenate([bars.trading_day for bars in many.values()]))
    whole = [bars for bars in many.values() if len(bars) > 0.98 * len(days)]
    shared = whole[0].trading_day
    for bars in whole[1:]:
        shared = np.intersect1d(shared, bars.trading_day)
    columns = [log_returns(bars.adj_close[np.isin(bars.trading_day, shared)]) for bars in whole]
    return shared[1:], np.stack(columns, axis=1)[1:]


def error_table(many: Many) -> Iterator[str]:
    """ADWIN on daily errors of a forecaster that says the median of the last days."""
    days, returns = returns_of(many)
    medians = np.stack([np.median(returns[first : first + HISTORY], axis=0) for first in range(len(returns) - HISTORY)])
    actual, days = returns[HISTORY:], days[HISTORY:]
    ours, naive = np.abs(actual - medians).sum(axis=1), np.abs(actual).sum(axis=1)
    undisturbed = error_drift(days, ours / naive)
    yield f"Undisturbed, {len(days)} days: {len(undisturbed.changes)} changes found."
    yield ""
    yield "| errors grow from some day on by | found within 60 days | `retrain` | days until found, median |"
    yield "|---|---|---|---|"
    starts = range(500, len(days) - 100, 250)
    for growth in (0.02, 0.05, 0.1, 0.2):
        delays, far = [], 0
        for start in starts:
            worse = np.where(np.arange(len(days)) >= start, 1.0 + growth, 1.0)
            stream = ours / naive * worse
            delay = next((n for n in range(1, 61) if error_drift(days[: start + n], stream[: start + n]).changes), None)
            delays += [] if delay is None else [delay]
            far += delay is not None and error_drift(days[: start + 60], stream[: start + 60]).severity == "far"
        median = f"{np.median(delays):.0f}" if delays else "–"
        yield f"| {100 * growth:.0f} % | {len(delays)} of {len(starts)} | {far} of {len(starts)} | {median} |"


def coverage_table(many: Many) -> Iterator[str]:
    """Intervals between quantiles of the last days in units of volatility, as wide as they are and narrower."""
    days, returns = returns_of(many)
    scaled = returns / ewma_volatility(returns)
    ends = range(HISTORY + COVERAGE_DAYS, len(scaled), COVERAGE_DAYS)
    yield f"| intervals of | windows of {COVERAGE_DAYS} days | `watch` or more | `retrain` |"
    yield "|---|---|---|---|"
    for told, factor in (("their own width", 1.0), ("0.9 of it", 0.9), ("0.8 of it", 0.8), ("0.7 of it", 0.7)):
        for years, wanted in (("", False), (", 2020–2022", True)):
            chosen = [end for end in ends if hard(days[end]) is wanted]
            found = [coverage_drift(*held_by(scaled, end, factor), LEVELS) for end in chosen]
            verdicts = [recommend([], None, each).verdict for each in found]
            watch = 100 * np.mean([verdict is not Verdict.OK for verdict in verdicts])
            again = 100 * np.mean([verdict is Verdict.RETRAIN for verdict in verdicts])
            yield f"| {told}{years} | {len(chosen)} | {watch:.0f} % | {again:.0f} % |"


def ewma_volatility(returns: np.ndarray) -> np.ndarray:
    """Of each day from the days before it; decay 0.94."""
    variance = np.empty_like(returns)
    state = (returns[:20] ** 2).mean(axis=0)
    for day, now in enumerate(returns):
        variance[day] = state
        state = 0.94 * state + 0.06 * now**2
    return np.sqrt(variance)


def hard(day: np.datetime64) -> bool:
    """Whether the window ends in the crisis."""
    return bool(np.datetime64(CRISIS[0]) <= day <= np.datetime64(CRISIS[1]))


def held_by(returns: np.ndarray, end: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes inside each interval by day, and how many there were."""
    past, now = returns[end - COVERAGE_DAYS - HISTORY : end - COVERAGE_DAYS], returns[end - COVERAGE_DAYS : end]
    inside = []
    for level in LEVELS:
        low, high = (factor * np.quantile(past, each, axis=0) for each in (0.5 - level / 2, 0.5 + level / 2))
        inside.append(((now >= low) & (now <= high)).sum(axis=1))
    return np.stack(inside, axis=1), np.full(COVERAGE_DAYS, now.shape[1])


def part(trained: Many, others: Many) -> Iterator[str]:
    """The second part of the page."""
    spec = load_config("default").input_spec
    training = training_columns({ticker: bars.until(TRAINED_UNTIL) for ticker, bars in trained.items()}, spec)
    whole = {day: sample(others, spec, day) for day in QUARTERS if day <= LAST_DAY}
    yield ABOUT
    yield filled(
        f"{datetime.now(UTC):%Y-%m-%d}; `{FILE}`; {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}. Command: `python benchmarks/drift/columns.py --data …`. Training part: "
        f"{len(trained)} tickers up to {TRAINED_UNTIL}; measured: {len(others)} other tickers at the end of each "
        f"quarter from {QUARTERS[0]} to {LAST_DAY}."
    )
    yield "\n### Undisturbed bars: alarms in per cent of the windows\n"
    yield from false_alarms(whole, dict.fromkeys(whole, training), CRISIS)
    yield "\n### Faults that are found\n"
    newest = [day for day in whole if day >= date(2024, 1, 1)]
    yield from detection(others, spec, dict.fromkeys(newest, training))
    yield "\n### Errors\n"
    yield from error_table(others)
    yield "\n### Coverage\n"
    yield from coverage_table(others)
    yield CLOSING


ABOUT = f"""\
## Many days: whether recent bars look like they did
`closecast drift`, `POST /drift/detect` and the chain after each close compare the inputs of many tickers on the newest
days (250) with a bundle's `reference.json`, or with the newest days of another data version.

`moved` is worth a look (`watch`), `far` a training (`retrain`); nothing of either is `ok`.

- Input column: moved where it is proven and KS is over {MOVED_KS:g} or PSI over {MOVED_PSI:g}; far over {FAR_KS:g}
  or {FAR_PSI:g}.
- Live errors one step ahead, each day's sum over the naive forecast's: moved where ADWIN (δ {ADWIN_DELTA:g}) finds
  that they went up; far where the naive forecast is better since.
- Live coverage of 50, 80 and 95 % over {COVERAGE_DAYS} days: moved where it is proven to be off by
  {100 * MOVED_COVERAGE:g} points, far where it is too little by {100 * FAR_COVERAGE:g}.

**Proven**: Kolmogorov's p-value is below {100 * CHANCE:g} % over all columns together, with the sample size that the
values are *worth*. Tickers move together and days follow each other: each day counts as one observation of the shares
below the deciles, their variance is Newey and West's over a fifth of the days, made up for its shortfall (Kiefer and
Vogelsang 2005), and a column that looks 250 bars back is worth at most one value a ticker in 250 days, and
{WORTH_OF_A_MEMORY:g} in all. Days that both data versions hold with the same values take no part. How many columns
could not be proven to have moved by so few values, were the distance 1, the reason tells: 28 of the 35 of `default`
look back 250 bars or more, and over 250 days they need five tickers.
"""
CLOSING = """
What that says: a test that counts values finds drift in every quarter. Over a year of days hardly an ordinary quarter
alarms, and what alarms around 2020 to 2022 is the market, which was another one. The limits were chosen on these same
quarters; the next section has others. Over 60 days states of the market weigh more: `--days 60` is for
faults of a source, not for deciding on a training. Errors that grow by a twentieth are found within a month, intervals
a tenth too narrow hardly ever within 60 days. **Whoever is told of drift looks at the bars first** (`closecast data
check`): training on faulty ones makes nothing better.
"""


if __name__ == "__main__":
    sys.exit(main())
