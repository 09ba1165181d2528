"""What came beside what was aimed at."""

from collections.abc import Iterator, Sequence

from cells import NAMES, THIRDS, headings, line, of_method, p_value, percent, rule, scored_against, thirds_of
from protocol import HORIZONS, LSTM, SERVED, Figures

from ml_lifecycle.evaluation.backtest_run import BacktestResult
from ml_lifecycle.evaluation.backtest_scores import BacktestScores

TARGETS = {"naive": (2.5, 2.8, 3.0, 3.5), "ewma_fhs": (2.5, 3.7, 4.4, 5.5), "garch_t": (2.0, 2.5, 2.8, 3.8)}
LSTM_TARGETS = (2.2, 2.5, 2.6, 3.0)  # by itself, against the naive
BRAZIL_TARGETS = (3.6, 3.5, 3.5, 4.5)
GAINING_TARGETS = (80, 85, 85, 85)
P_AIM = 0.01  # against the naive
COVERAGE_AIM, THIRD_AIM = 0.01, (0.77, 0.83)  # error of each interval; the 80 % one in each third

Told = tuple[str, bool]  # a figure beside its aim, and whether it is met
Aimed = tuple[str, list[Told]]


def aims(figures: Figures) -> Iterator[str]:
    """The table of all aims; a miss is in bold."""
    gains, rest = [*_american(figures)], [*_brazil(figures), *_panel(figures.panel)]
    rows = gains + rest
    missed, of_gains = (sum(not met for _, told in some for _, met in told) for some in (rows, gains))
    n = len(HORIZONS)
    yield f"## What was missed\n\n{missed} of these {n * len(rows)} figures miss (**in bold**), among them"
    yield f"{of_gains} of the {n * len(gains)} gains on American tickers. Coverage is in per cent."
    if LSTM in figures.panel.outcomes.methods:
        yield "What is served averages the LSTM with other members; by itself the LSTM has a row of its own."
    else:
        yield "What is served is the LSTM and nothing beside it: its row has the first one's figures, beside its aims."
    yield ""
    yield line("aim", *headings()) + "\n" + rule(1 + n)
    yield from (line(name, *(one if met else f"**{one}**" for one, met in told)) for name, told in rows)
    yield ""


def lstm_alone(result: BacktestResult) -> list[BacktestScores]:
    """Scores of the LSTM without the members that it is served with; its own where there are none."""
    return of_method(result.scores, LSTM if LSTM in result.outcomes.methods else SERVED)


def _american(figures: Figures) -> Iterator[Aimed]:
    for reference, targets in TARGETS.items():
        yield _gain(NAMES[reference], of_method(scored_against(figures.panel, reference), SERVED), targets)
    yield _gain("the naive, by the LSTM alone (3 seeds)", lstm_alone(figures.panel), LSTM_TARGETS)


def _brazil(figures: Figures) -> Iterator[Aimed]:
    if figures.brazil:
        yield _gain("the naive in São Paulo", of_method(figures.brazil.scores, SERVED), BRAZIL_TARGETS)


def _gain(over: str, scores: Sequence[BacktestScores], targets: Sequence[float]) -> Aimed:
    told = [(100 * (row.skill or 0.0), aim) for row, aim in zip(scores, targets, strict=True)]
    return f"gain over {over}, %", [(f"{one:+.2f} of {aim:+.1f}", one >= aim) for one, aim in told]


def _panel(result: BacktestResult) -> Iterator[Aimed]:
    own, thirds = of_method(result.scores, SERVED), thirds_of(result)
    told = [(100 * (row.tickers_gaining or 0.0), aim) for row, aim in zip(own, GAINING_TARGETS, strict=True)]
    yield "tickers that gain, %", [(f"{one:.0f} of {aim}", one >= aim) for one, aim in told]
    held = [(p_value(row), _proven(row)) for row in own]
    yield f"p against the naive, < {P_AIM}", held
    yield "MAE over the last close's, ≤ 1", [(f"{row.relative_mae:.4f}", row.relative_mae <= 1) for row in own]
    for each in zip(*(row.intervals for row in own), strict=True):
        held = [(percent(one.coverage), abs(one.coverage - one.level) <= COVERAGE_AIM) for one in each]
        yield f"inside the {100 * each[0].level:.0f} % interval, ± {100 * COVERAGE_AIM:.0f} point", held
    for third, volatility in THIRDS.items():
        shares = [thirds.get((SERVED, row.horizon, third)) for row in own]
        held = [(percent(one), THIRD_AIM[0] <= (one or 0.0) <= THIRD_AIM[1]) for one in shares]
        yield f"inside the 80 % one, third of the forecasts of {volatility} volatility, 77–83", held


def _proven(row: BacktestScores) -> bool:
    return row.skill is not None and row.skill > 0.0 and row.p_value is not None and row.p_value < P_AIM
