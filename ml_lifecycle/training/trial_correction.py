"""How likely the winner of many trials is only the luckiest: its skill with the number of trials counted."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation.significance import CONFIDENCE, known_mean, overlapping_cutoffs
from ml_lifecycle.evaluation.skill_label import MINIMUM_DAYS, MINIMUM_INDEPENDENT_SPANS, Label
from ml_lifecycle.training.trial import SCORED_HORIZONS, TrialRecord, TrialState

ALPHA = 0.5 - CONFIDENCE / 2.0  # one-sided, as where a single forecaster's label is read off its interval
RESAMPLES = 1_000
SOURCE = "Hansen (2005), test for superior predictive ability, stationary bootstrap; Bonferroni over trials given up"


@dataclass(frozen=True)
class WinnerSkill:
    """The best trial beside the naive.

    Attributes
    ----------
    gain : mean gain in pinball loss, a share of the naive's, on the days that it was chosen on: more than it will be.
    n_trials, n_complete : that were looked at, and that went through all folds.
    n_days : cutoff days.
    p_alone : as if it had been the only one (Diebold–Mariano, one-sided).
    p_corrected : that of the best of so many trials, none of which is better than the naive.
    """

    label: Label
    gain: float
    n_trials: int
    n_complete: int
    n_days: int
    p_alone: float
    p_corrected: float
    correction: str = SOURCE

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def ranked(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that went through all folds, best first; of equal ones the earlier."""
    complete = [record for record in records if record.state is TrialState.COMPLETE]
    return sorted(complete, key=lambda record: (-(record.value or 0.0), record.number))


def winner_skill(
    records: Sequence[TrialRecord], winner: TrialRecord | None = None, *, seed: int = 0
) -> WinnerSkill | None:
    """The best trial's skill, or that of another ``winner`` that was taken from as many; None: no trial is complete.

    Hansen's test resamples the gains of all complete trials together, so that trials that are alike count as little
    more than one. It is given means over spans of cutoffs that share outcomes, since on overlapping cutoffs it finds
    better ones among noise more often than it promises; so, of ten moving averages of noise the best is called better
    in some 2 of 100 studies, where a test of the best alone would do so in 15. It knows nothing of trials that were
    given up: the p is multiplied by their share, as if they had been as many tests of their own.
    """
    complete = ranked(records)
    tried = [record for record in records if record.folds]
    if not complete:
        return None
    best = winner or complete[0]
    days = sorted(best.series())
    gains = np.array([[record.series()[day] for day in days] for record in complete])
    overlap = overlapping_cutoffs(np.array(days, dtype="datetime64[D]"), SCORED_HORIZONS[-1])
    alone = known_mean(np.array([best.series()[day] for day in days]), overlap=overlap).p_not_above_zero
    together = _superior_ability_p(_span_means(gains, overlap), seed=seed) * len(tried) / len(complete)
    corrected = min(1.0, max(alone, together))
    enough = len(days) >= max(MINIMUM_DAYS, MINIMUM_INDEPENDENT_SPANS * overlap)
    return WinnerSkill(
        label=_label(corrected, enough=enough),
        gain=best.value or 0.0,
        n_trials=len(tried),
        n_complete=len(complete),
        n_days=len(days),
        p_alone=alone,
        p_corrected=corrected,
    )


def _span_means(gains: FloatArray, overlap: int) -> FloatArray:
    """Means over ``overlap`` cutoffs each, shape ``(n_trials, n_spans)``; the oldest that fill no span are left out."""
    n_spans = gains.shape[1] // overlap
    means: FloatArray = (
        gains[:, gains.shape[1] - n_spans * overlap :].reshape(len(gains), n_spans, overlap).mean(axis=2)
    )
    return means


def _superior_ability_p(gains: FloatArray, *, seed: int) -> float:
    """Of the best of several, ``gains (n_trials, n_spans)``; 1 where no gain ever varies, never 0."""
    from arch.bootstrap import SPA

    varying = gains[np.ptp(gains, axis=1) > 0.0] if gains.shape[1] > 1 else gains[:0]
    if not len(varying):
        return 1.0
    # Neighbouring spans still share outcomes, hence blocks of two.
    test = SPA(np.zeros(gains.shape[1]), -varying.T, block_size=2, reps=RESAMPLES, studentize=True, seed=seed)
    test.compute()
    return (float(test.pvalues["consistent"]) * RESAMPLES + 1.0) / (RESAMPLES + 1.0)  # the sample counts as one, too


def _label(p: float, *, enough: bool) -> Label:
    if not enough:
        return Label.NOT_YET_MEASURED
    return Label.BETTER if p < ALPHA else Label.NOT_DISTINGUISHABLE
