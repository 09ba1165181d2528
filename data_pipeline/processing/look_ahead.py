"""Hunting look-ahead: change everything after a cutoff and demand that nothing up to the cutoff moves.

One ticker's bars, one computation on them; ``ml_lifecycle.evaluation.look_ahead_check`` walks the whole path with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import MARKET_ARRAYS, BarArrays, FloatArray
from data_pipeline.processing.column_definition import InputColumn

Compute = Callable[[BarArrays], FloatArray]
Named = Mapping[str, FloatArray]

FACTOR_TOLERANCE = 1e-12  # relative, when a later dividend or split rescales the past
START_TOLERANCE = 1e-9  # relative, when the series starts later, beyond the warm-up
ROUNDING = 4e-15  # what a computation may leave of numbers near 1 that it subtracts: some last bits, whatever remains
LATER_FACTOR = 0.9731
_PRICES = ("open", "high", "low", "close", "adj_close")


def look_ahead_faults(
    compute: Compute, bars: BarArrays, *, end: int, warm_up: int, seed: int = 0, can_be_unknown: bool = False
) -> list[str]:
    """What is wrong with a computation, one line each; empty where nothing is.

    Parameters
    ----------
    compute : bars to one value (or one row of values) per bar.
    end : row of the cutoff, 8 at least, with bars after it.
    warm_up : rows that need not be exact, as the computation declares.
    can_be_unknown : NaN is allowed beyond the warm-up too.
    """

    def rows(first: int, last: int) -> Callable[[BarArrays], Named]:
        return lambda some: {"": _one_row_per_bar(compute, some)[first : last + 1]}

    faults = [what for _, what in future_moves(rows(0, end), bars, end=end, seed=seed)]
    faults += [what for _, what in rescaling_moves(rows(warm_up, end), bars)]
    start = (end - warm_up) // 2
    if start > 0:
        moves = starting_moves(rows(start + warm_up, end), rows(warm_up, end - start), bars, start=start)
        faults += [f"{what} beyond the warm-up of {warm_up}" for _, what in moves]
    beyond, error = _attempt(rows(warm_up, end), bars)
    if not error and not (np.isfinite(beyond[""]) | (np.isnan(beyond[""]) & can_be_unknown)).all():
        faults.append(f"a value beyond the warm-up of {warm_up} is not finite")
    return faults


def future_moves(
    step: Callable[[BarArrays], Named], bars: BarArrays, *, end: int, seed: int = 0
) -> Iterator[tuple[str, str]]:
    """Names of the arrays that another future moved, each with what was done; they must stay, bit for bit.

    Tried on the bars themselves and on ``awkward_pasts``: what fills holes from behind shows only where there are some.

    Parameters
    ----------
    step : bars to arrays by name, of what may depend on bars up to row ``end`` only.
    """
    for past, base in {"": bars, **awkward_pasts(bars, end)}.items():
        found = list(_future_moves(step, base, past, end=end, seed=seed))
        yield from found
        if found:  # on another past the same would be told again
            return


def _future_moves(
    step: Callable[[BarArrays], Named], bars: BarArrays, past: str, *, end: int, seed: int
) -> Iterator[tuple[str, str]]:
    known, error = _attempt(step, bars)
    if error:
        yield "", f"the bars{past}: {error}"
        return
    yield from _moves(f"the same bars{past} again", step, bars, known)
    for name, variant in future_variants(bars, end, seed).items():
        yield from _moves(f"bars after the cutoff {name}{past}", step, variant, known)


def rescaling_moves(
    step: Callable[[BarArrays], Named], bars: BarArrays, *, factor: float = LATER_FACTOR
) -> Iterator[tuple[str, str]]:
    """Names of the arrays that a later dividend or split moved, by rescaling the stored past."""
    known, _ = _attempt(step, bars)
    for name, rescaled in rescaled_variants(bars, factor).items():
        yield from _moves(name, step, rescaled, known, FACTOR_TOLERANCE)


def starting_moves(
    step: Callable[[BarArrays], Named], later_step: Callable[[BarArrays], Named], bars: BarArrays, *, start: int
) -> Iterator[tuple[str, str]]:
    """Names of the arrays that moved when the series began ``start`` bars later.

    Parameters
    ----------
    step, later_step : the same values from the whole series and from the shorter one, whose rows are ``start`` lower.
    """
    known, _ = _attempt(step, bars)
    yield from _moves(f"the series starts {start} bars later", later_step, bars[start:], known, START_TOLERANCE)


def _moves(
    what: str, step: Callable[[BarArrays], Named], bars: BarArrays, known: Named, tolerance: float = 0.0
) -> Iterator[tuple[str, str]]:
    values, error = _attempt(step, bars)
    if error:
        yield "", f"{what}: {error}"
        return
    yield from ((name, f"{what}: a value moved") for name in moved(values, known, tolerance))


def moved(values: Named, known: Named, tolerance: float = 0.0) -> list[str]:
    """Names of the arrays of ``known`` that ``values`` has otherwise; without a tolerance, bit for bit."""
    return [
        name
        for name, array in known.items()
        if not (
            agree(values[name], array, tolerance) if tolerance else np.array_equal(values[name], array, equal_nan=True)
        )
    ]


def _attempt(step: Callable[[BarArrays], Named], bars: BarArrays) -> tuple[Named, str]:
    """The arrays, or what went wrong; on made-up bars a division by nothing is no news."""
    try:
        with np.errstate(all="ignore"):
            return step(bars), ""
    except Exception as error:  # noqa: BLE001 - code of anybody's is tried here: whatever it raises is what to tell
        return {}, " ".join(f"{type(error).__name__}: {error}".split())


def reading_faults(column: InputColumn, bars: BarArrays) -> Iterator[str]:
    """A column must not read more than it declares in ``reads``: which bundles may serve closes alone hangs on it."""

    def step(some: BarArrays) -> Named:
        return {"": _one_row_per_bar(column.compute, some)}

    known, _ = _attempt(step, bars)
    for name, variant in unread_variants(column.reads, bars).items():
        for _, what in _moves(name, step, variant, known):
            yield f"it says that it reads the {column.reads}; without {what}"


def future_variants(bars: BarArrays, end: int, seed: int = 0) -> dict[str, BarArrays]:
    """The same bars up to row ``end`` and another future after it, by what was done to the future."""
    rng = np.random.default_rng(seed)
    after = np.arange(len(bars)) > end
    factor = np.where(after, np.exp(rng.normal(0.0, 0.2, len(bars))), 1.0)
    rolled = np.concatenate([np.arange(end + 1), np.roll(np.arange(end + 1, len(bars)), 1)])
    shifted = replace(bars[rolled], trading_day=bars.trading_day + np.where(after, 3, 0).astype("timedelta64[D]"))
    return {
        "changed": _each_number(bars, lambda values: values * factor),
        "erased": _each_number(bars, lambda values: np.where(after, np.nan, values)),
        "shifted": shifted,
        "cut": bars[: end + 1],
    }


def awkward_pasts(bars: BarArrays, end: int) -> dict[str, BarArrays]:
    """The same bars with days without trade, or without volume and market, at and shortly before the cutoff."""
    rows, traded = np.array([end - 7, end - 1, end]), np.array([end - 8, end - 2, end - 2])
    still = {name: _with(getattr(bars, name), rows, bars.close[traded]) for name in ("open", "high", "low", "close")}
    still["adj_close"] = _with(bars.adj_close, rows, bars.adj_close[traded])
    unknown = {name: _with(getattr(bars, name), rows, np.nan) for name in ("volume", *MARKET_ARRAYS)}
    still["volume"] = _with(bars.volume, rows, 0.0)
    return {
        " (no trade at the cutoff)": _with_numbers(bars, still),
        " (volume and market unknown at the cutoff)": _with_numbers(bars, unknown),
    }


def rescaled_variants(bars: BarArrays, factor: float = LATER_FACTOR) -> dict[str, BarArrays]:
    """The same past as a source tells it after a later dividend, or (split-adjusted) after a later split."""
    split = {name: getattr(bars, name) * factor for name in _PRICES}
    return {
        "a later adjustment factor": replace(bars, adj_close=bars.adj_close * factor),
        "a later split": _with_numbers(bars, {**split, "volume": bars.volume / factor}),
    }


def unread_variants(reads: str, bars: BarArrays) -> dict[str, BarArrays]:
    """The same bars with other numbers where a column that declares ``reads`` does not look."""
    absent = np.full(len(bars), np.nan)
    without_market = _with_numbers(bars, dict.fromkeys(MARKET_ARRAYS, absent))
    if reads == "market":
        return {}
    if reads == "bars":
        return {"the market": without_market}
    days = np.datetime64("2001-01-01", "D") + np.arange(len(bars))
    return {
        "the market": without_market,
        "the other prices": _with_numbers(bars, dict.fromkeys(_PRICES, bars.adj_close)),
        "the volume": replace(bars, volume=absent),
        "the day": replace(bars, trading_day=days),
    }


def agree(values: FloatArray, known: FloatArray, tolerance: float) -> bool:
    """Equal to ``tolerance`` of the value, or of its column's usual size where the value itself is near 0.

    A ratio minus 1 has an error of 1e-16 however small it is: near 0 no computation could keep a relative tolerance,
    nor one of its column's size where that is nothing but such errors: a volume that never changes, over its mean.
    """
    if values.shape != known.shape:
        return False
    size = np.abs(np.where(np.isfinite(known), known, 0.0))
    usual = np.mean(size, axis=0) if len(known) else 0.0
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        near = np.abs(values - known) <= np.maximum(tolerance * np.maximum(size, usual), ROUNDING)
    return bool(np.all(near | (values == known) | (np.isnan(values) & np.isnan(known))))


def numbers_of(bars: BarArrays) -> Mapping[str, FloatArray]:
    """Every array but the days, by name."""
    return {one.name: getattr(bars, one.name) for one in fields(bars) if one.name != "trading_day"}


def _one_row_per_bar(compute: Compute, bars: BarArrays) -> FloatArray:
    values = np.asarray(compute(bars), dtype=np.float64)
    if len(values) != len(bars):
        raise ValueError(f"{len(values)} values for {len(bars)} bars")
    return values


def _each_number(bars: BarArrays, change: Callable[[FloatArray], FloatArray]) -> BarArrays:
    return _with_numbers(bars, {name: change(values) for name, values in numbers_of(bars).items()})


def _with_numbers(bars: BarArrays, numbers: Mapping[str, FloatArray]) -> BarArrays:
    return BarArrays(trading_day=bars.trading_day, **{**numbers_of(bars), **numbers})


def _with(values: FloatArray, rows: NDArray[np.int64], put: FloatArray | Sequence[float] | float) -> FloatArray:
    changed = values.copy()
    changed[rows] = put
    return changed
