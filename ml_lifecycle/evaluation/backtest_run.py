"""One backtest from methods and bars to files and figures, some tickers at a time."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from ml_lifecycle.evaluation.backtest import ADAPTIVE, InTurn, Method, Plan, backtest, common_levels
from ml_lifecycle.evaluation.backtest_file import BacktestFile
from ml_lifecycle.evaluation.backtest_losses import Outcomes
from ml_lifecycle.evaluation.backtest_scores import BacktestScores, score_backtest
from ml_lifecycle.evaluation.conditional_coverage import ConditionalCoverage, conditional_coverage
from ml_lifecycle.evaluation.evaluate import NothingToEvaluateError
from ml_lifecycle.evaluation.methods.registry import named_method

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class BacktestResult:
    """Figures of one backtest.

    Attributes
    ----------
    files : the Parquet file of each method that was asked for.
    left_out : by ticker, forecasts with a known outcome that some method had no answer for; none of the methods is
        scored there.
    absent : tickers without a single scored forecast.
    """

    plan: Plan
    reference: str
    files: Mapping[str, Path]
    outcomes: Outcomes
    left_out: Mapping[str, int]
    absent: tuple[str, ...]
    scores: tuple[BacktestScores, ...]
    conditional: tuple[ConditionalCoverage, ...]

    @property
    def cutoffs(self) -> tuple[date, date]:
        """The first and the last that were scored."""
        first, last = self.outcomes.cutoff.min().item(), self.outcomes.cutoff.max().item()
        return first, last

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        first, last = self.cutoffs
        return {
            "first_cutoff": first.isoformat(),
            "last_cutoff": last.isoformat(),
            "every": self.plan.every,
            "reference": self.reference,
            "files": {name: str(path) for name, path in self.files.items()},
            "left_out": dict(self.left_out),
            "absent": list(self.absent),
            "scores": [row.to_dict() for row in self.scores],
            "conditional_coverage": [row.to_dict() for row in self.conditional],
        }


def run_backtest(
    methods: Mapping[str, Method],
    bars_by_ticker: Mapping[str, BarArrays],
    plan: Plan,
    *,
    out: Path | None = None,
    reference: str = "naive",
    learn_from: Mapping[str, BarArrays] | None = None,
    adaptive: bool = False,
    progress: Progress | None = None,
    in_turn: InTurn | None = None,
) -> BacktestResult:
    """Run ``methods`` beside ``reference``, which joins them unasked, and score all.

    Parameters
    ----------
    out : where forecasts are written: that file for one method, one file for each of several (``file_of``); None: not.
    adaptive : show and write each of ``methods`` once more, with adaptive intervals.
    in_turn : see ``backtest``.

    Raises
    ------
    NothingToEvaluateError : no forecast has an outcome, or no ticker the bars that every method needs.
    ConfigurationError : the reference is no method, or levels differ.
    """
    levels = common_levels(methods)
    every = {**methods, reference: methods.get(reference) or named_method(reference, levels)}
    adapted = tuple(methods) if adaptive else ()
    shown = [*methods, *(name + ADAPTIVE for name in adapted)]
    files = {name: file_of(out, name, alone=len(shown) == 1) for name in shown} if out else {}
    parts: list[Outcomes] = []
    with_outcome: Counter[str] = Counter()
    with ExitStack() as stack:
        writers = {name: stack.enter_context(BacktestFile(path, levels)) for name, path in files.items()}
        blocks = backtest(
            every,
            bars_by_ticker,
            plan,
            learn_from=learn_from,
            adaptive=adapted,
            progress=progress,
            in_turn=in_turn,
        )
        for block in blocks:
            for name, writer in writers.items():
                writer.write(block, block.quantiles[name])
            parts.append(Outcomes.of(block, levels))
            with_outcome.update(block.ticker[np.isfinite(block.actual)].tolist())
    outcomes = Outcomes.joined(parts)
    if not len(outcomes):
        raise NothingToEvaluateError("no forecast has an outcome and an answer of every method")
    scored = Counter(outcomes.ticker.tolist())
    return BacktestResult(
        plan=plan,
        reference=reference,
        files=files,
        outcomes=outcomes,
        left_out=with_outcome - scored,
        absent=tuple(sorted(set(bars_by_ticker) - set(scored))),
        scores=score_backtest(outcomes, levels, plan.horizons, reference=reference),
        conditional=conditional_coverage(outcomes, levels, plan.horizons),
    )


def file_of(out: Path, method: str, *, alone: bool) -> Path:
    """Where a method's forecasts go: ``out``, or beside it with the method's name where there are several.

    >>> file_of(Path("q.parquet"), "garch_t", alone=False).name
    'q.garch_t.parquet'
    """
    if alone:
        return out
    plain = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in method)
    return out.with_name(f"{out.stem}.{plain}{out.suffix}")
