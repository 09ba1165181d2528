"""The figures of a run as Markdown."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from protocol import CMIG4, HORIZONS, SERVED, Figures

from ml_lifecycle.evaluation.backtest_run import BacktestResult
from ml_lifecycle.evaluation.backtest_scores import BacktestScores, score_backtest
from ml_lifecycle.export.manifest import LEVELS

TARGETS = {"naive": (2.5, 2.8, 3.0, 3.5), "ewma_fhs": (2.5, 3.7, 4.4, 5.5), "garch_t": (2.0, 2.5, 2.8, 3.8)}
BRAZIL_TARGETS = (3.6, 3.5, 3.5, 4.5)
GAINING_TARGETS = (80, 85, 85, 85)
P_AIM = 0.01  # against the naive
COVERAGE_AIM, THIRD_AIM = 0.01, (0.77, 0.83)  # error of each interval; the 80 % one in each third
REPORTED_MAPE = 2.24  # per cent, of a reference system on CMIG4.SA
REPORTED_MAE = 3.13  # of another, whose ticker is unknown
NAMES = {
    "network": "this project's network",
    "naive": "naive, empirical quantiles",
    "drift": "drift",
    "ewma_fhs": "EWMA, filtered historical simulation",
    "garch_t": "GARCH(1,1)-t",
    "autoets": "AutoETS",
    "lightgbm": "LightGBM quantiles",
    "tutorial_lstm": "the tutorial's recipe",
}


def markdown(figures: Figures, *, seconds: float) -> str:
    """The whole page."""
    return "\n".join([*_head(figures, seconds), *_aims(figures), *_sections(figures)]) + "\n"


def _head(figures: Figures, seconds: float) -> Iterator[str]:
    first, last = figures.panel.cutoffs
    manifest = figures.bundle.manifest
    quick = " --quick" if figures.extent.members else ""
    yield "# Skill\n"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    yield f"{datetime.now(UTC):%Y-%m-%d}; {machine};"
    yield f"`benchmarks/skill/run{quick}` took {seconds / 60:.0f} minutes. Bundle `{figures.bundle.bundle_id[:12]}`."
    trained = "" if figures.training_seconds is None else f" Training took {figures.training_seconds:.0f} s."
    yield f"The network learnt from {len(figures.learnt)} tickers of `{figures.extent.panel}`, targets to"
    yield f"{manifest.train_end}, and was calibrated to {manifest.calibration_end}.{trained} Everything below is about"
    yield f"{len(figures.held_out)} other tickers, at every fifth trading day from {first} to {last}: nothing was"
    yield "learnt from these tickers or these days, and nothing was chosen by them. They have now been looked at once:"
    yield "a later choice must be made on the choice part alone (tickers learnt from, days to its calibration's end).\n"
    if quick:
        yield "This is the short version: it says that the machinery runs, not how good the forecasts are.\n"


def _aims(figures: Figures) -> Iterator[str]:
    """What came beside what was aimed at; a miss is in bold."""
    own, thirds, rows = _of(figures.panel.scores, SERVED), _thirds(figures.panel), []
    gains = [(NAMES[one], _of(_scored_against(figures.panel, one), SERVED), aims) for one, aims in TARGETS.items()]
    gains += [("the naive in São Paulo", _of(figures.brazil.scores, SERVED), BRAZIL_TARGETS)] if figures.brazil else []
    for name, scores, aims in gains:
        told = [(100 * (row.skill or 0.0), aim) for row, aim in zip(scores, aims, strict=True)]
        rows.append((f"gain over {name}, %", [(f"{one:+.2f} of {aim:+.1f}", one >= aim) for one, aim in told]))
    told = [(100 * (row.tickers_gaining or 0.0), aim) for row, aim in zip(own, GAINING_TARGETS, strict=True)]
    rows.append(("tickers that gain, %", [(f"{one:.0f} of {aim}", one >= aim) for one, aim in told]))
    held = [(_p(row), row.p_value is not None and row.p_value < P_AIM) for row in own]
    rows.append((f"p against the naive, < {P_AIM}", held))
    rows.append(("MAE over the last close's, ≤ 1", [(f"{row.relative_mae:.4f}", row.relative_mae <= 1) for row in own]))
    for each in zip(*(row.intervals for row in own), strict=True):
        held = [(_percent(one.coverage), abs(one.coverage - one.level) <= COVERAGE_AIM) for one in each]
        rows.append((f"inside the {100 * each[0].level:.0f} % interval, ± {100 * COVERAGE_AIM:.0f} point", held))
    for third in ("calm", "usual", "stormy"):
        shares = [thirds.get((SERVED, row.horizon, third)) for row in own]
        held = [(_percent(one), THIRD_AIM[0] <= (one or 0.0) <= THIRD_AIM[1]) for one in shares]
        rows.append((f"inside the 80 % one, {third} third, 77–83", held))
    missed = [sum(not met for _, row in some for _, met in row) for some in (rows, rows[: len(TARGETS)])]
    yield f"## What was missed\n\n{missed[0]} of these {4 * len(rows)} figures miss (**in bold**), among them"
    yield f"{missed[1]} of the {4 * len(TARGETS)} gains on American tickers. Coverage is in per cent.\n"
    yield _row("aim", *(f"{horizon} days" if horizon > 1 else "1 day" for horizon in HORIZONS)) + "\n" + _rule(5)
    yield from (_row(name, *(one if met else f"**{one}**" for one, met in row)) for name, row in rows)
    yield ""


def _sections(figures: Figures) -> Iterator[str]:
    yield from _gains(figures)
    yield from _every_method(figures.panel, "Every method against the naive")
    yield from _coverage(figures.panel)
    if figures.brazil:
        yield from _brazil(figures.brazil)
    if figures.events:
        yield from _cmig4(figures.events)
    yield from _recipes(figures)


def _gains(figures: Figures) -> Iterator[str]:
    yield "## Gain in mean pinball loss, per cent\n"
    yield "In brackets: the target; then the p-value of a two-sided Diebold–Mariano test (losses averaged over tickers"
    yield "per day, Newey–West; Student's t with n − 1 degrees of freedom for n cutoff days, which is more liberal than"
    yield "the [gate's test](promotion.md)).\n"
    yield _row("against", *(f"{horizon} days" if horizon > 1 else "1 day" for horizon in HORIZONS))
    yield _rule(1 + len(HORIZONS))
    for reference, targets in TARGETS.items():
        scores = _of(_scored_against(figures.panel, reference), SERVED)
        yield _row(
            NAMES[reference], *(_gain(row, f"{target:+.1f}") for row, target in zip(scores, targets, strict=True))
        )
    for reference in figures.extent.methods:
        if reference not in TARGETS:
            scores = _of(_scored_against(figures.panel, reference), SERVED)
            yield _row(NAMES[reference], *(_gain(row, None) for row in scores))
    own = _of(figures.panel.scores, SERVED)
    gaining = (
        f"{100 * (row.tickers_gaining or 0.0):.0f} % (≥ {target} %)"
        for row, target in zip(own, GAINING_TARGETS, strict=True)
    )
    yield _row("tickers that gain over the naive", *gaining)
    yield _row("MAE of the median over the last close's", *(f"{row.relative_mae:.4f} (≤ 1)" for row in own))
    yield ""


def _every_method(result: BacktestResult, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield "Gain in mean pinball loss over the naive and its p-value; CRPS in log returns; MAE over the last close's;"
    yield "direction with its 98 % interval, beside the share of rises, which always saying “up” would have got.\n"
    yield _row("days", "method", "gain %", "p", "CRPS", "tickers %", "MAE", "up %", "interval", "rises %")
    yield _rule(10)
    for row in result.scores:
        between = row.direction_interval
        yield _row(
            str(row.horizon),
            NAMES[row.method],
            "–" if row.skill is None else f"{100 * row.skill:+.2f}",
            _p(row),
            f"{row.crps:.5f}",
            _percent(row.tickers_gaining),
            f"{row.relative_mae:.4f}",
            _percent(row.directional_accuracy),
            "–" if between is None else f"{100 * between[0]:.1f} … {100 * between[1]:.1f}",
            _percent(row.share_of_rises),
        )
    yield ""


def _coverage(result: BacktestResult) -> Iterator[str]:
    yield "## Coverage, per cent\n"
    yield "Share of outcomes inside the central intervals, mean width of the 80 % one (log return), standard deviation"
    yield "of the single tickers' coverage, and the 80 % one in the calm, usual and stormy third of the forecasts (by"
    yield "the share's volatility at the cutoff, over all tickers and days).\n"
    yield _row("days", "method", "50", "80", "90", "95", "width", "±", "calm", "usual", "stormy")
    yield _rule(11)
    thirds = _thirds(result)
    for row in result.scores:
        eighty = next(one for one in row.intervals if one.level == 0.8)
        yield _row(
            str(row.horizon),
            NAMES[row.method],
            *(f"{100 * one.coverage:.1f}" for one in row.intervals),
            f"{eighty.width:.4f}",
            f"{100 * eighty.ticker_deviation:.1f}",
            *(_percent(thirds.get((row.method, row.horizon, third))) for third in ("calm", "usual", "stormy")),
        )
    yield ""


def _thirds(result: BacktestResult) -> dict[tuple[str, int, str], float]:
    """Coverage of the 80 % interval by method, horizon and third."""
    return {
        (row.method, row.horizon, row.group): row.coverage[0.8]
        for row in result.conditional
        if row.by == "volatility" and 0.8 in row.coverage
    }


def _brazil(result: BacktestResult) -> Iterator[str]:
    first, last = result.cutoffs
    own = _of(result.scores, SERVED)
    yield "## São Paulo, by a network trained on American shares alone\n"
    yield f"{own[0].n_tickers} tickers of `b3_panel_2015_2025.parquet`, cutoffs {first} to {last}. The file holds 35:"
    yield "NATU3.SA has no bar between 2019-12-18 and 2025-06-26 and 90 after that, fewer than a forecast needs.\n"
    yield _row("against", *(f"{horizon} days" if horizon > 1 else "1 day" for horizon in HORIZONS))
    yield _rule(1 + len(HORIZONS))
    yield _row(NAMES["naive"], *(_gain(row, f"{aim:+.1f}") for row, aim in zip(own, BRAZIL_TARGETS, strict=True)))
    for reference in ("ewma_fhs", "garch_t"):
        yield _row(NAMES[reference], *(_gain(row, None) for row in _of(_scored_against(result, reference), SERVED)))
    yield _row("80 % covers", *(f"{100 * row.intervals[1].coverage:.1f} %" for row in own))
    yield _row("tickers that gain over the naive", *(f"{100 * (row.tickers_gaining or 0.0):.0f} %" for row in own))
    yield _row("MAE of the median over the last close's", *(f"{row.relative_mae:.4f}" for row in own))
    yield ""


def _cmig4(result: BacktestResult) -> Iterator[str]:
    first, last = result.cutoffs
    yield f"## {CMIG4}\n"
    yield f"Every trading day from {first} to {last}, in R$ of the adjusted close, by a network of one seed that"
    yield "was trained on American shares to 2018 and calibrated to 2020. A reference system reports a MAPE of"
    yield f"{REPORTED_MAPE} % for this ticker, without the last close's beside it. Another's MAE of {REPORTED_MAE} is"
    yield "not comparable: its ticker, and so the size of its prices, is unknown.\n"
    yield _row("days", "method", "MAE R$", "RMSE R$", "MAPE %")
    yield _rule(5)
    for horizon in HORIZONS:
        rows = {row.method: row for row in result.scores if row.horizon == horizon}
        naive = rows[SERVED]
        yield _row(str(horizon), "last close", *_money(naive.naive_mae, naive.naive_rmse, naive.naive_mape))
        for name in (SERVED, "tutorial_lstm"):
            row = rows[name]
            yield _row(str(horizon), NAMES[name], *_money(row.mae, row.rmse, row.mape))
    yield ""


def _recipes(figures: Figures) -> Iterator[str]:
    yield "## The tutorial's recipe\n"
    yield "Min-max-scaled closes, two LSTMs of 50 cells, one ticker (`tutorial_lstm`), trained on the ticker's past:"
    yield "its MAPE, and how many times that of the last close it is.\n"
    results = {**figures.recipes, **({CMIG4: figures.events} if figures.events else {})}
    yield _row("ticker", *(f"{horizon} days" if horizon > 1 else "1 day" for horizon in HORIZONS))
    yield _rule(1 + len(HORIZONS))
    for ticker, result in results.items():
        rows = _of(result.scores, "tutorial_lstm")
        yield _row(ticker, *(f"{100 * row.mape:.2f} % = {row.mape / row.naive_mape:.1f} × the naive's" for row in rows))
    yield ""


def _scored_against(result: BacktestResult, reference: str) -> Sequence[BacktestScores]:
    return score_backtest(result.outcomes, LEVELS, HORIZONS, reference=reference)


def _of(scores: Sequence[BacktestScores], method: str) -> list[BacktestScores]:
    return [row for row in scores if row.method == method]


def _gain(row: BacktestScores, target: str | None) -> str:
    aim = "" if target is None else f" ({target})"
    return f"{100 * (row.skill or 0.0):+.2f}{aim}, p {_p(row)}"


def _p(row: BacktestScores) -> str:
    if row.p_value is None:
        return "–"
    return "< 0.0001" if row.p_value < 0.0001 else f"{row.p_value:.4f}"


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def _money(mae: float, rmse: float, mape: float) -> tuple[str, str, str]:
    return f"{mae:.3f}", f"{rmse:.3f}", f"{100 * mape:.2f}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(n: int) -> str:
    return _row(*["---"] * n)
