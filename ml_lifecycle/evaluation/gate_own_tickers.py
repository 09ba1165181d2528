"""What the gate's figures say of the tickers that a challenger was fine-tuned for, beside those of all."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from ml_lifecycle.evaluation.gate import Evidence, judge


def told_of_own_tickers(evidence: Evidence, tickers: Collection[str]) -> str:
    """One line for people; it decides nothing, since a champion answers for every ticker."""
    named = ", ".join(sorted(tickers))
    test = judge(_restricted(evidence, tickers)).test
    there = "too few days to tell" if test is None else f"gain {test.gain:+.2%}, p = {test.p_value:.3f}"
    everybody = len(np.unique(evidence.ticker))
    return f"fine-tuned for {named}, there {there}; a champion answers for all {everybody} tickers"


def _restricted(evidence: Evidence, tickers: Collection[str]) -> Evidence:
    rows = np.isin(evidence.ticker, list(tickers))
    arrays = ("ticker", "cutoff", "actual", "challenger", "champion", "reference")
    return replace(evidence, **{name: getattr(evidence, name)[rows] for name in arrays})
