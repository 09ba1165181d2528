"""Which rules ask for a training, from what is known after a close; the reason is kept either way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.config import Settings


class Rule(StrEnum):
    """What may ask for a training; each is a setting."""

    SCHEDULE = "schedule"
    DRIFT = "drift"
    ERROR = "error"
    COVERAGE = "coverage"


@dataclass(frozen=True)
class Known:
    """What a decision is made from.

    Attributes
    ----------
    champion_made_at : None: the champion is the reference, which was not trained.
    asked_at : when a training was last asked for, by a rule or by `closecast pipeline`; None: never.
    under_way : a training that a rule asked for has not ended.
    causes, drift_reason : of the newest drift report of this close; empty where there is none.
    """

    now: datetime
    champion_made_at: datetime | None
    asked_at: datetime | None
    under_way: bool
    causes: Sequence[str] = ()
    drift_reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """``rules`` are those that speak for a training; ``train`` says whether one is asked for."""

    train: bool
    rules: tuple[Rule, ...]
    reason: str


def judge(settings: Settings, known: Known) -> Verdict:
    """Whether a training is to be asked for, and why, or why not."""
    if known.champion_made_at is None:
        return Verdict(train=False, rules=(), reason="the champion is the reference: people ask for the first training")
    rules = tuple(_speaking(settings, known, known.champion_made_at))
    if not rules:
        return Verdict(train=False, rules=(), reason="no rule asks for it")
    reason = "; ".join(_told(rule, settings, known) for rule in rules)
    if known.under_way:
        return Verdict(train=False, rules=rules, reason=f"a training is under way already; {reason}")
    pause = timedelta(days=settings.retrain_pause_days)
    if known.asked_at is not None and known.now - known.asked_at < pause:
        return Verdict(
            train=False, rules=rules, reason=f"asked within {settings.retrain_pause_days} days already; {reason}"
        )
    return Verdict(train=True, rules=rules, reason=reason)


def _speaking(settings: Settings, known: Known, made_at: datetime) -> list[Rule]:
    last = made_at if known.asked_at is None else max(made_at, known.asked_at)
    every = settings.retrain_every_days
    by_report = {
        Rule.DRIFT: settings.retrain_on_drift,
        Rule.ERROR: settings.retrain_on_error,
        Rule.COVERAGE: settings.retrain_on_coverage,
    }
    scheduled = every > 0 and known.now - last >= timedelta(days=every)
    return [
        *([Rule.SCHEDULE] if scheduled else []),
        *(rule for rule, wanted in by_report.items() if wanted and rule.value in known.causes),
    ]


def _told(rule: Rule, settings: Settings, known: Known) -> str:
    if rule is Rule.SCHEDULE:
        return f"schedule: {settings.retrain_every_days} days have gone by"
    return f"{rule.value}: {known.drift_reason}"
