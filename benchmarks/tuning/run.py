"""How often luck alone makes a tuning's winner look better than the naive, with the correction and without it.

    python -m benchmarks.tuning.run [--studies 400]

Prints the figures of docs/tuning.md: studies of ten trials, none of which is better, by seeds from 0 on.
"""

import argparse
import platform
from datetime import UTC, datetime

from ml_lifecycle.evaluation.skill_label import Label
from ml_lifecycle.training.trial_correction import ALPHA
from tests.ml_lifecycle.tuning.test_trial_correction import DAYS, OVERLAP, TRIALS, judged, make_study


def main() -> None:
    """Simulate, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    winners = [judged(make_study(seed)) for seed in range(studies)]
    better = sum(winner.label is Label.BETTER for winner in winners)
    alone = sum(winner.p_alone < ALPHA for winner in winners)
    print(f"{studies} studies of {TRIALS} trials, {len(DAYS)} cutoffs, {OVERLAP} of which overlap")
    print(f"winner called better: {better} ({better / studies:.1%}); by its own test alone: {alone / studies:.1%}")
    print(f"{platform.machine()}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}")


if __name__ == "__main__":
    main()
