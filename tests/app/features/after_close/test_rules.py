"""Which rules ask for a training, and when they are not heard."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.features.after_close.rules import Known, Rule, judge

NOW = datetime(2026, 11, 20, 22, tzinfo=UTC)


def settings(**changes: Any) -> Settings:
    """Settings that come from here alone."""
    return Settings(_env_file=None, jwt_secret=SecretStr("x" * 40), **changes)


def known(*causes: str, age_days: int = 5, asked_days_ago: int | None = None, under_way: bool = False) -> Known:
    """A champion of some age, and a drift report with these causes."""
    asked_at = None if asked_days_ago is None else NOW - timedelta(days=asked_days_ago)
    return Known(NOW, NOW - timedelta(days=age_days), asked_at, under_way, causes, "gap (KS 0.50, PSI 1.20)")


@pytest.mark.parametrize(
    ("what", "rules", "train"),
    [
        (known(), (), False),
        (known(age_days=29), (), False),
        (known(age_days=30), (Rule.SCHEDULE,), True),
        (known(age_days=90, asked_days_ago=29), (), False),
        (known(age_days=90, asked_days_ago=30), (Rule.SCHEDULE,), True),
        (known("drift"), (Rule.DRIFT,), True),
        (known("error", "coverage"), (Rule.ERROR, Rule.COVERAGE), True),
        (known("drift", asked_days_ago=6), (Rule.DRIFT,), False),
        (known("drift", asked_days_ago=7), (Rule.DRIFT,), True),
        (known("drift", under_way=True), (Rule.DRIFT,), False),
    ],
)
def test_each_rule_asks_and_none_asks_again_too_soon(what: Known, rules: tuple[Rule, ...], train: bool) -> None:
    found = judge(settings(), what)

    assert (found.rules, found.train) == (rules, train)


@pytest.mark.parametrize("rule", list(Rule))
def test_each_rule_can_be_switched_off(rule: Rule) -> None:
    """Then it is not even named."""
    off = {"retrain_every_days": 0} if rule is Rule.SCHEDULE else {f"retrain_on_{rule}": False}

    found = judge(settings(**off), known("drift", "error", "coverage", age_days=90))

    assert set(found.rules) == set(Rule) - {rule}


def test_the_reason_is_told_either_way() -> None:
    assert judge(settings(), known()).reason == "no rule asks for it"
    assert judge(settings(), known(age_days=31)).reason == "schedule: 30 days have gone by"
    assert judge(settings(), known("drift")).reason == "drift: gap (KS 0.50, PSI 1.20)"
    assert judge(settings(), known("drift", asked_days_ago=1)).reason.startswith("asked within 7 days already; drift")
    assert judge(settings(), known("drift", under_way=True)).reason.startswith("a training is under way already; ")


def test_the_reference_is_not_trained_anew() -> None:
    """Whatever the report says: nobody has trained anything yet."""
    found = judge(settings(), Known(NOW, None, None, under_way=False, causes=["drift"]))

    assert (found.train, found.rules) == (False, ())
