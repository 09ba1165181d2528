"""What is told of the tickers that a challenger was fine-tuned for is of these, and of no others."""

from dataclasses import replace

import numpy as np

from benchmarks.gate import simulation
from ml_lifecycle.evaluation.gate import judge
from ml_lifecycle.evaluation.gate_own_tickers import told_of_own_tickers


def test_a_gain_on_ones_own_tickers_is_told_beside_a_loss_on_all() -> None:
    rng = np.random.default_rng(1)
    actual = simulation.SIGMA * rng.standard_normal((4, 150, 3))
    knowing = simulation.SIGMA * simulation.NORMAL * np.ones((4, 150, 3, 1))
    evidence = simulation.evidence_of(actual, challenger=2.0 * knowing, champion=knowing)
    own = sorted(set(evidence.ticker))[1]
    better = np.where((evidence.ticker == own)[:, None, None], evidence.champion, evidence.challenger)
    wide = np.where((evidence.ticker == own)[:, None, None], evidence.challenger, evidence.champion)

    evidence = replace(evidence, challenger=better, champion=wide)

    verdict, told = judge(evidence), told_of_own_tickers(evidence, [own])
    assert verdict.test is not None
    assert verdict.test.gain < 0.0
    assert told.startswith(f"fine-tuned for {own}, there gain +")
    assert told.endswith("; a champion answers for all 4 tickers")


def test_too_few_days_tell_nothing() -> None:
    actual = np.zeros((1, 100, 3))
    evidence = simulation.evidence_of(actual, challenger=np.zeros((1, 100, 3, 9)), champion=np.zeros((1, 100, 3, 9)))

    assert "there too few days to tell;" in told_of_own_tickers(evidence, set(evidence.ticker))
