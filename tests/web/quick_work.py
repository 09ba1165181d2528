"""A worker whose trainings and judgements take seconds: all that is around them is as it is.

As a module of its own it is the process that a job runs in.
"""

import json
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from app.config import Settings
from app.features.registry import judging
from app.features.training import child, kinds
from app.features.training.kinds import Emit
from ml_lifecycle.evaluation.gate import GateVerdict

MODULE: Final = "tests.web.quick_work"
EPOCH_SECONDS: Final = 1.2  # a worker tells progress once a second
JUDGING_SECONDS: Final = 3.0
WORKER: Final = """
from app.config import Settings
from app.features.training import process
from app.worker import run
from tests.web import quick_work
process.MODULE = {module!r}
quick_work.judge_quickly()
run(Settings(), {queues!r})
"""


def train(settings: Settings, spec: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """As many epochs as were asked for, with losses that fall; then a bundle, written and registered as any."""
    from app.features.registry.folders import register
    from tests.app.features.training.quick_child import write_some_bundle

    epochs = spec["content"]["epochs"]
    emit.log(f"{epochs} epochs of {', '.join(spec['tickers'])}")
    for epoch in range(1, epochs + 1):
        emit.progress(epoch=epoch, epochs=epochs, train_loss=0.2 + 0.1 / epoch, validation_loss=0.22 + 0.08 / epoch)
        time.sleep(EPOCH_SECONDS)
    bundle = register(settings, write_some_bundle(settings.bundles, history_used=900 + epochs))
    figures = {"val_mae": 1.21, "val_rmse": 1.5, "naive_val_mae": 1.25, "naive_val_rmse": 1.6}
    return {"bundle": bundle, **figures}


def judge_quickly() -> None:
    """In this process networks pass and the reference does not."""
    _verdict(passes=True)  # now: it takes longer than a judgement
    judging.verdict_on = verdict_on  # type: ignore[assignment]  # it tells nobody of its progress


def verdict_on(_settings: Settings, challenger: Path, _champion: Path, **_: Any) -> GateVerdict:
    """After a while that a reader sees."""
    time.sleep(JUDGING_SECONDS)
    kind = json.loads((challenger / "manifest.json").read_text())["kind"]
    return _verdict(passes=kind == "network")


@cache
def _verdict(*, passes: bool) -> GateVerdict:
    from tests.app.features.registry import quick_judge

    return quick_judge.proven() if passes else quick_judge.unproven()


kinds.RUNNERS = {**kinds.RUNNERS, "train": f"{MODULE}:train"}  # type: ignore[misc]  # for this process

if __name__ == "__main__":
    sys.exit(child.main())
