"""What to do about what drifted: nothing, look, or train anew; and why, in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ml_lifecycle.monitoring.column_drift import ColumnFinding, worst
from ml_lifecycle.monitoring.error_drift import CoverageDrift, ErrorDrift

TOLD = 3  # columns in a sentence; the report holds all of them


class Verdict(StrEnum):
    """From nothing to do to most."""

    OK = "ok"
    WATCH = "watch"
    RETRAIN = "retrain"


class Cause(StrEnum):
    """What speaks for training anew; each is a rule of the chain after a close."""

    DRIFT = "drift"
    ERROR = "error"
    COVERAGE = "coverage"


@dataclass(frozen=True)
class Recommendation:
    """The verdict; ``causes`` are those that speak for ``retrain``, ``reason`` names all that moved."""

    verdict: Verdict
    reason: str
    causes: tuple[Cause, ...]


def recommend(
    columns: Sequence[ColumnFinding], error: ErrorDrift | None = None, coverage: Sequence[CoverageDrift] = ()
) -> Recommendation:
    """``retrain`` where anything is far off, ``watch`` where something moved; errors and coverage where known.

    A bundle is not made better by training it on faulty bars: whoever is told of drift looks at the data first
    (docs/drift.md).
    """
    moved = worst(columns)
    missed = [each for each in coverage if each.severity != "none"]
    reasons = [
        *([_columns(moved, len(columns))] if moved else []),
        *([_error(error)] if error is not None and error.severity != "none" else []),
        *map(_coverage, missed),
    ]
    causes = {
        Cause.DRIFT: any(each.severity == "far" for each in moved),
        Cause.ERROR: error is not None and error.severity == "far",
        Cause.COVERAGE: any(each.severity == "far" for each in missed),
    }
    told = tuple(cause for cause, speaks in causes.items() if speaks)
    verdict = Verdict.RETRAIN if told else Verdict.WATCH if reasons else Verdict.OK
    reason = "; ".join([*(reasons or ["nothing left its reference"]), *_not_judged(columns)])
    return Recommendation(verdict, reason, told)


def _columns(moved: Sequence[ColumnFinding], n_columns: int) -> str:
    named = ", ".join(f"{each.column} (KS {each.ks:.2f}, PSI {each.psi:.2f})" for each in moved[:TOLD])
    more = f" and {len(moved) - TOLD} more" if len(moved) > TOLD else ""
    return f"{len(moved)} of {n_columns} columns left their reference: {named}{more}"


def _not_judged(columns: Sequence[ColumnFinding]) -> list[str]:
    """That nothing was found of a column speaks for nothing where nothing could be."""
    count = sum(not each.provable for each in columns)
    return [f"{count} of {len(columns)} columns cannot be judged by so few tickers and days"] if count else []


def _error(error: ErrorDrift) -> str:
    newest = error.changes[-1]
    return f"since {newest.day} the error is {newest.after:.3f} of the naive's, before it was {newest.before:.3f}"


def _coverage(each: CoverageDrift) -> str:
    return f"{100 * each.level:g} % intervals held {100 * each.coverage:.1f} % over {each.n_days} days"
