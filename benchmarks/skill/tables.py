"""The figures of a run as Markdown."""

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime

from aims import BRAZIL_TARGETS, GAINING_TARGETS, LSTM_TARGETS, TARGETS, aims, lstm_alone
from cells import NAMES, THIRDS, gain, headings, line, of_method, p_value, percent, rule, scored_against, thirds_of
from protocol import CMIG4, HORIZONS, SERVED, Figures

from ml_lifecycle.evaluation.backtest_run import BacktestResult

SHORT = "This is the short version: it says that the machinery runs, not how good the forecasts are."
EARLIER_LOOK = """\
These days were looked at before. The first look, on 2026-11-21 at bundle `ea3db1fa3ddf` (three LSTMs, nothing beside
them), gave +1.52 / +1.59 / +1.63 / +1.34 % over the naive. Since then boosted trees and the share's own last 1,000 days
were averaged in, columns added and fixed offsets believed in part, each chosen on other tickers and days before
2024-08-02 ([training](training.md), [input columns](input_columns.md), [calibration](calibration.md)). The baselines
changed, too: EWMA simulation lost the noise of its draws, AutoETS its dependence on the price level; and p-values count
overlapping days for what they are worth. A later choice must be made on the choice part alone. CI's short version shows
four of the tickers."""
REPORTED_MAPE = 2.24  # per cent, of a reference system on CMIG4.SA
REPORTED_MAE = 3.13  # of another, whose ticker is unknown


def markdown(figures: Figures, *, seconds: float) -> str:
    """The whole page."""
    return "\n".join([*_head(figures, seconds), *aims(figures), *_sections(figures)]) + "\n"


def _head(figures: Figures, seconds: float) -> Iterator[str]:
    first, last = figures.panel.cutoffs
    manifest = figures.bundle.manifest
    quick = " --quick" if figures.extent.members else ""
    yield "# Skill\n"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    yield f"{datetime.now(UTC):%Y-%m-%d}; {machine};"
    yield f"`benchmarks/skill/run{quick}` took {seconds / 60:.0f} minutes at a load average of"
    yield f"{os.getloadavg()[2]:.0f}. Bundle `{figures.bundle.bundle_id[:12]}`."
    trained = "" if figures.training_seconds is None else f" Training took {figures.training_seconds:.0f} s."
    yield f"The network learnt from {len(figures.learnt)} tickers of `{figures.extent.panel}`, targets to"
    yield f"{manifest.train_end}, and was calibrated to {manifest.calibration_end}.{trained} Everything below is about"
    yield f"{len(figures.held_out)} other tickers, at every fifth trading day from {first} to {last}: nothing was"
    yield f"learnt from these tickers or these days, and no choice used their figures.{_unscored(figures.panel)}\n"
    yield f"{SHORT if quick else EARLIER_LOOK}\n"


def _sections(figures: Figures) -> Iterator[str]:
    yield from _gains(figures)
    yield from _every_method(figures.panel, "Every method against the naive")
    yield from _coverage(figures.panel)
    yield from _conditional(figures)
    if figures.brazil:
        yield from _brazil(figures.brazil)
    if figures.events:
        yield from _cmig4(figures.events)
    yield from _recipes(figures)


def _gains(figures: Figures) -> Iterator[str]:
    yield "## Gain in mean pinball loss, per cent\n"
    yield "In brackets: the target; then the p-value of a two-sided Diebold–Mariano test, the [gate's](promotion.md):"
    yield "losses averaged over tickers per day, Newey–West's variance, no more degrees of freedom than outcomes that"
    yield "overlap leave.\n"
    yield line("against", *headings())
    yield rule(1 + len(HORIZONS))
    for reference, targets in TARGETS.items():
        scores = of_method(scored_against(figures.panel, reference), SERVED)
        yield line(
            NAMES[reference], *(gain(row, f"{target:+.1f}") for row, target in zip(scores, targets, strict=True))
        )
    for reference in figures.extent.methods:
        if reference not in TARGETS:
            scores = of_method(scored_against(figures.panel, reference), SERVED)
            yield line(NAMES[reference], *(gain(row, None) for row in scores))
    alone = zip(lstm_alone(figures.panel), LSTM_TARGETS, strict=True)
    yield line("naive, by the LSTM alone", *(gain(row, f"{target:+.1f}") for row, target in alone))
    own = of_method(figures.panel.scores, SERVED)
    gaining = (
        f"{100 * (row.tickers_gaining or 0.0):.0f} % (≥ {target} %)"
        for row, target in zip(own, GAINING_TARGETS, strict=True)
    )
    yield line("tickers that gain over the naive", *gaining)
    yield line("MAE of the median over the last close's", *(f"{row.relative_mae:.4f} (≤ 1)" for row in own))
    yield ""


def _every_method(result: BacktestResult, title: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield "Gain in mean pinball loss over the naive and its p-value; CRPS in log returns; MAE over the last close's;"
    yield "direction with its 98 % interval, beside the share of rises, which always saying “up” would have got.\n"
    yield line("days", "method", "gain %", "p", "CRPS", "tickers %", "MAE", "up %", "interval", "rises %")
    yield rule(10)
    for row in result.scores:
        between = row.direction_interval
        yield line(
            str(row.horizon),
            NAMES[row.method],
            "–" if row.skill is None else f"{100 * row.skill:+.2f}",
            p_value(row),
            f"{row.crps:.5f}",
            percent(row.tickers_gaining),
            f"{row.relative_mae:.4f}",
            percent(row.directional_accuracy),
            "–" if between is None else f"{100 * between[0]:.1f} … {100 * between[1]:.1f}",
            percent(row.share_of_rises),
        )
    yield ""


def _coverage(result: BacktestResult) -> Iterator[str]:
    yield "## Coverage, per cent\n"
    yield "Share of outcomes inside the central intervals, mean width of the 80 % one (log return), standard deviation"
    yield "of the single tickers' coverage, and coverage of the 80 % one by third of the forecasts: all tickers and"
    yield "days of a horizon together, divided by the share's own volatility at the cutoff. The lowest third is for the"
    yield "greater part shares of low volatility, and no calm market.\n"
    yield line("days", "method", "50", "80", "90", "95", "width", "±", *THIRDS.values())
    yield rule(11)
    thirds = thirds_of(result)
    for row in result.scores:
        eighty = next(one for one in row.intervals if one.level == 0.8)
        yield line(
            str(row.horizon),
            NAMES[row.method],
            *(f"{100 * one.coverage:.1f}" for one in row.intervals),
            f"{eighty.width:.4f}",
            f"{100 * eighty.ticker_deviation:.1f}",
            *(percent(thirds.get((row.method, row.horizon, third))) for third in THIRDS),
        )
    yield ""


def _conditional(figures: Figures) -> Iterator[str]:
    yield "## Coverage by exchange and year, per cent\n"
    yield "Share of outcomes inside the 80 % interval of this project's forecaster, in brackets the naive's; and the"
    yield "number of forecasts one day ahead. Years are those of the cutoffs; XNYS stands for all American exchanges.\n"
    yield line("exchange", "year", "forecasts", *headings())
    yield rule(3 + len(HORIZONS))
    for result in (figures.panel, figures.brazil):
        yield from _by_year(result) if result else ()
    yield ""


def _by_year(result: BacktestResult) -> Iterator[str]:
    """The exchange that all tickers of a result trade on, then each year of it."""
    rows = {(row.by, row.group, row.horizon, row.method): row for row in result.conditional}
    (exchange,) = {group for by, group, _, _ in rows if by == "exchange"}
    years = sorted({group for by, group, _, _ in rows if by == "year"})
    for group in (("exchange", exchange), *(("year", year) for year in years)):
        held = [[rows.get((*group, horizon, method)) for method in (SERVED, "naive")] for horizon in HORIZONS]
        shares = [[percent(one.coverage.get(0.8) if one else None) for one in both] for both in held]
        n = held[0][0].n if held[0][0] else 0
        year = group[1] if group[0] == "year" else "all"
        yield line(exchange, year, f"{n:,}", *(f"{own} ({naive})" for own, naive in shares))


def _brazil(result: BacktestResult) -> Iterator[str]:
    first, last = result.cutoffs
    own = of_method(result.scores, SERVED)
    yield "## São Paulo, by a network trained on American shares alone\n"
    yield f"{own[0].n_tickers} tickers of `b3_panel_2015_2025.parquet`, cutoffs {first} to {last}.{_unscored(result)}\n"
    yield line("against", *headings())
    yield rule(1 + len(HORIZONS))
    yield line(NAMES["naive"], *(gain(row, f"{aim:+.1f}") for row, aim in zip(own, BRAZIL_TARGETS, strict=True)))
    for reference in ("ewma_fhs", "garch_t"):
        yield line(NAMES[reference], *(gain(row, None) for row in of_method(scored_against(result, reference), SERVED)))
    yield line("80 % covers", *(f"{100 * row.intervals[1].coverage:.1f} %" for row in own))
    yield line("tickers that gain over the naive", *(f"{100 * (row.tickers_gaining or 0.0):.0f} %" for row in own))
    yield line("MAE of the median over the last close's", *(f"{row.relative_mae:.4f}" for row in own))
    yield ""


def _cmig4(result: BacktestResult) -> Iterator[str]:
    first, last = result.cutoffs
    yield f"## {CMIG4}\n"
    yield f"Every trading day from {first} to {last}, in R$ of the adjusted close, by a network of one seed that"
    yield "was trained on American shares to 2018 and calibrated to 2020. A reference system reports a MAPE of"
    yield f"{REPORTED_MAPE} % for this ticker, without the last close's beside it. Another's MAE of {REPORTED_MAE} is"
    yield "not comparable: its ticker, and so the size of its prices, is unknown.\n"
    yield line("days", "method", "MAE R$", "RMSE R$", "MAPE %")
    yield rule(5)
    for horizon in HORIZONS:
        rows = {row.method: row for row in result.scores if row.horizon == horizon}
        naive = rows[SERVED]
        yield line(str(horizon), "last close", *_money(naive.naive_mae, naive.naive_rmse, naive.naive_mape))
        for name in (SERVED, "tutorial_lstm"):
            row = rows[name]
            yield line(str(horizon), NAMES[name], *_money(row.mae, row.rmse, row.mape))
    yield ""


def _recipes(figures: Figures) -> Iterator[str]:
    yield "## The tutorial's recipe\n"
    yield "Min-max-scaled closes, two LSTMs of 50 cells, one ticker (`tutorial_lstm`), trained on the ticker's past:"
    yield "its MAPE, and how many times that of the last close it is.\n"
    results = {**figures.recipes, **({CMIG4: figures.events} if figures.events else {})}
    yield line("ticker", *headings())
    yield rule(1 + len(HORIZONS))
    for ticker, result in results.items():
        rows = of_method(result.scores, "tutorial_lstm")
        yield line(ticker, *(f"{100 * row.mape:.2f} % = {row.mape / row.naive_mape:.1f} × the naive's" for row in rows))
    yield ""


def _unscored(result: BacktestResult) -> str:
    """Which tickers have no scored forecast at all, or fewer than they have outcomes."""
    absent = f" No forecast of {', '.join(result.absent)}: too few bars before a cutoff." if result.absent else ""
    left_out = ", ".join(f"{ticker} ({n})" for ticker, n in result.left_out.items())
    return absent + (f" Forecasts without an answer of every method, scored for none: {left_out}." if left_out else "")


def _money(mae: float, rmse: float, mape: float) -> tuple[str, str, str]:
    return f"{mae:.3f}", f"{rmse:.3f}", f"{100 * mape:.2f}"
