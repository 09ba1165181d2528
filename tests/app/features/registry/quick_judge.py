"""A worker that judges challenges in a moment, and as it likes: what comes before and after the verdict is as it is."""

import random
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from app.config import Settings
from app.features.registry import judging
from benchmarks.gate import simulation
from ml_lifecycle.evaluation.gate import GateVerdict, judge

SECONDS = 0.6  # at most, for a verdict


@cache
def proven() -> GateVerdict:
    """Figures with a p-value of some hundred-thousandths: 100 tickers whose returns lean on the last one."""
    return judge(simulation.correlated_ar1(np.random.default_rng(1), 100, phi=0.3))


def unproven() -> GateVerdict:
    """The same, had chance been as likely."""
    verdict = proven()
    assert verdict.test is not None
    return replace(verdict, test=replace(verdict.test, p_value=0.5))


def verdict_on(_settings: Settings, _challenger: Path, _champion: Path, **_: Any) -> GateVerdict:
    """After a moment: two in three pass."""
    time.sleep(random.uniform(0.1, SECONDS))
    return unproven() if random.random() < 1 / 3 else proven()


def take_over() -> None:
    """Judge so in this process."""
    proven()  # now: it takes longer than a verdict
    judging.verdict_on = verdict_on
