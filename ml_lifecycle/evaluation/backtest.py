"""Walk forward: many methods at the same past cutoffs, each seeing the bars up to there and no later one."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

import numpy as np

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray, make_targets
from ml_lifecycle.evaluation.adaptive import Past, adaptive_along
from ml_lifecycle.evaluation.evaluate import NothingToEvaluateError, cutoff_days
from ml_lifecycle.evaluation.forecasters import Cutoffs, Forecaster, Trainable, forecast_at
from ml_lifecycle.evaluation.rows import ForecastArrays

TICKERS_AT_ONCE = 16
ADAPTIVE = "+adaptive"  # behind the name of a method whose intervals adapt

Method = Forecaster | Trainable


@dataclass(frozen=True)
class Plan:
    """Which cutoffs and horizons, and when methods learn anew.

    Attributes
    ----------
    start, end : first and last day that can be a cutoff; ``end`` None: the last there is.
    every : trading days between two cutoffs.
    refit_every : trading days between two trainings of methods that learn; None: once, before ``start``.
    sliding : later trainings see as many calendar days as the first, not all that came before.
    """

    start: date
    end: date | None = None
    every: int = 1
    horizons: tuple[int, ...] = (1, 5, 10, 21)
    refit_every: int | None = None
    sliding: bool = False


@dataclass(frozen=True)
class Block(ForecastArrays):
    """Forecasts of some tickers; log returns of the adjusted close, which ``anchor`` is, too.

    ``actual`` is NaN where the bar is yet to come. ``quantiles`` are those of each method, shape ``(n, n_levels)``; NaN
    where a method has no answer.
    """

    quantiles: Mapping[str, FloatArray]


@dataclass(frozen=True)
class Span:
    """Cutoffs ``days`` that share one training, on bars after ``learn_after`` (None: all) and before ``days[0]``."""

    days: DayArray
    learn_after: date | None

    def learnt(self, bars_by_ticker: Mapping[str, BarArrays]) -> dict[str, BarArrays]:
        """The bars to learn from; tickers without one are left out."""
        first: date = self.days[0].item()
        before = {ticker: bars.until(first - timedelta(days=1)) for ticker, bars in bars_by_ticker.items()}
        if self.learn_after is not None:
            after = np.datetime64(self.learn_after, "D")
            before = {ticker: bars[bars.trading_day > after] for ticker, bars in before.items()}
        return {ticker: bars for ticker, bars in before.items() if len(bars)}


def backtest(
    methods: Mapping[str, Method],
    bars_by_ticker: Mapping[str, BarArrays],
    plan: Plan,
    *,
    learn_from: Mapping[str, BarArrays] | None = None,
    adaptive: Collection[str] = (),
    progress: Callable[[int, int, str], None] | None = None,
    in_turn: "InTurn | None" = None,
) -> Iterator[Block]:
    """Forecast at each cutoff that a ticker traded on, some tickers at a time.

    Every method gets the same rows: a ticker's cutoffs begin where each method has the bars that it needs.

    Parameters
    ----------
    learn_from : bars that methods of all tickers learn from, those to be forecast where left out.
    adaptive : methods that appear once more, under ``name + ADAPTIVE``, with intervals that follow their own errors at
        the ticker (``adaptive_along``, a step for each outcome that has become known; a hole in the bars starts anew).
    progress : called with tickers done, tickers in all, and what is being done.
    in_turn : who forecasts for the groups of tickers; None: this process, one after the other.

    Raises
    ------
    NothingToEvaluateError : no ticker has the bars that every method needs before a cutoff.
    ConfigurationError : two methods have different levels.
    """
    levels = common_levels(methods)
    spans = _spans(plan, bars_by_ticker)
    shared = {name: method for name, method in methods.items() if isinstance(method, Trainable)}
    learn_from = bars_by_ticker if learn_from is None else learn_from  # an empty one means nothing, not everything
    learnt: dict[str, list[Forecaster]] = {}
    for name, method in shared.items():
        if not method.one_ticker:
            if progress:
                progress(0, len(bars_by_ticker), f"training {name}")
            learnt[name] = [method.fitted(span.learnt(learn_from)) for span in spans]
    needed = max(method.history_needed for method in methods.values())
    asked = [entry for ticker, bars in bars_by_ticker.items() for entry in _entries(ticker, bars, spans, needed)]
    if not asked:
        raise NothingToEvaluateError(f"no cutoff from {plan.start} on with {needed} bars up to it")
    walk = Walk(methods, learnt, spans, plan.horizons, tuple(adaptive), levels)
    groups = list(_in_groups(asked))
    done = 0
    for group, block in zip(groups, (in_turn or _here)(walk, groups), strict=True):
        done += len(group)
        if progress:
            progress(done, len(asked), group[-1].ticker)
        yield block


def _here(walk: "Walk", groups: "Sequence[Group]") -> "Iterator[Block]":
    return map(walk.block, groups)


def common_levels(methods: Mapping[str, Method]) -> tuple[float, ...]:
    """The quantile levels that all methods share: losses over different ones cannot be compared.

    Raises
    ------
    ConfigurationError : two methods have different ones.
    """
    levels = {name: tuple(method.levels) for name, method in methods.items()}
    first, *others = levels
    for name in others:
        if levels[name] != levels[first]:
            raise ConfigurationError(f"{name} has other quantile levels than {first}: compare them in separate runs")
    return levels[first]


@dataclass(frozen=True)
class _Entry:
    """One ticker's bars between holes, the rows of its cutoffs, and the number of the span each belongs to."""

    ticker: str
    bars: BarArrays
    ends: IntArray
    span: IntArray


Group = tuple[_Entry, ...]


@dataclass(frozen=True)
class Walk:
    """A backtest whose methods have learnt what they learn together: all that a process needs to go on with it.

    ``learnt`` holds what methods of all tickers learnt, by span.
    """

    methods: Mapping[str, Method]
    learnt: Mapping[str, Sequence[Forecaster]]
    spans: Sequence[Span]
    horizons: tuple[int, ...]
    adaptive: tuple[str, ...]
    levels: tuple[float, ...]

    def block(self, group: Group) -> Block:
        """The forecasts of a group of tickers.

        Tickers of one group are asked together, and who else is asked can change a network's last bits: the groups are
        the same wherever they are worked on.
        """
        answers = {
            name: _answers(method, self.learnt.get(name), group, self.spans, self.horizons)
            for name, method in self.methods.items()
        }
        for name in self.adaptive:
            each = zip(group, answers[name], strict=True)
            answers[name + ADAPTIVE] = [_adapted(entry, answer, self.levels, self.horizons) for entry, answer in each]
        return Block.joined([_block(entry, number, answers, self.horizons) for number, entry in enumerate(group)])


InTurn = Callable[[Walk, Sequence[Group]], Iterator[Block]]


def _spans(plan: Plan, bars_by_ticker: Mapping[str, BarArrays]) -> list[Span]:
    after = plan.start - timedelta(days=1)
    trading = np.array(cutoff_days(bars_by_ticker, after=after, until=plan.end), dtype="datetime64[D]")
    if not len(trading):
        raise NothingToEvaluateError(f"no bar from {plan.start} on")
    place = np.arange(0, len(trading), plan.every)
    number = place // (plan.refit_every or len(trading))
    first_bar = min(bars.trading_day[0] for bars in bars_by_ticker.values() if len(bars)).astype("datetime64[D]")
    length = trading[0] - first_bar
    spans = []
    for each in np.unique(number):
        days = trading[place[number == each]]
        learn_after: date | None = (days[0] - length - np.timedelta64(1, "D")).item() if plan.sliding else None
        spans.append(Span(days, learn_after))
    return spans


def _entries(ticker: str, bars: BarArrays, spans: Sequence[Span], history_needed: int) -> list[_Entry]:
    days = np.concatenate([span.days for span in spans])
    number = np.repeat(np.arange(len(spans)), [len(span.days) for span in spans])
    entries = []
    for piece in bars.pieces():
        ends = np.flatnonzero(np.isin(piece.trading_day.astype("datetime64[D]"), days))
        ends = ends[ends >= history_needed - 1]
        if len(ends):
            of_span = number[np.searchsorted(days, piece.trading_day[ends].astype("datetime64[D]"))]
            entries.append(_Entry(ticker, piece, ends, of_span))
    return entries


def _in_groups(asked: Iterable[_Entry]) -> Iterator[Group]:
    waiting = iter(asked)
    while group := tuple(islice(waiting, TICKERS_AT_ONCE)):
        yield group


def _answers(
    method: Method,
    learnt: Sequence[Forecaster] | None,
    group: Sequence[_Entry],
    spans: Sequence[Span],
    horizons: Sequence[int],
) -> list[FloatArray]:
    """Quantiles of each entry, shape ``(n_ends, n_horizons, n_levels)``."""
    if not isinstance(method, Trainable):
        return forecast_at(method, [Cutoffs(entry.bars, entry.ends) for entry in group], horizons)
    answers: list[list[FloatArray]] = [[] for _ in group]
    for number, span in enumerate(spans):
        for place, entry in enumerate(group):
            ends = entry.ends[entry.span == number]
            if len(ends):
                forecaster = learnt[number] if learnt else method.fitted(span.learnt({entry.ticker: entry.bars}))
                answers[place] += forecast_at(forecaster, [Cutoffs(entry.bars, ends)], horizons)
    return [np.concatenate(parts) for parts in answers]


def _adapted(entry: _Entry, quantiles: FloatArray, levels: tuple[float, ...], horizons: Sequence[int]) -> FloatArray:
    days = entry.bars.trading_day[entry.ends].astype("datetime64[D]")
    return adaptive_along(Past(days, entry.ends, quantiles, _outcomes(entry, horizons)), levels, horizons).quantiles


def _outcomes(entry: _Entry, horizons: Sequence[int]) -> FloatArray:
    return make_targets(entry.bars.adj_close, entry.ends, horizons)


def _block(entry: _Entry, number: int, answers: Mapping[str, list[FloatArray]], horizons: Sequence[int]) -> Block:
    """Flatten entry ``number`` of a group."""
    n, width = len(entry.ends), len(horizons)
    adj_close = entry.bars.adj_close
    return Block(
        ticker=np.full(n * width, entry.ticker),
        cutoff=np.repeat(entry.bars.trading_day[entry.ends].astype("datetime64[D]"), width),
        horizon=np.tile(np.asarray(horizons, dtype=np.int64), n),
        anchor=np.repeat(adj_close[entry.ends], width),
        actual=_outcomes(entry, horizons).ravel(),
        volatility=np.repeat(Cutoffs(entry.bars, entry.ends).volatility(), width),
        quantiles={name: answer[number].reshape(n * width, -1) for name, answer in answers.items()},
    )
