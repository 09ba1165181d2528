"""What is done after a close, in which order, and what each step needs to have been tried before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from app.models.after_close import StepState


class Step(StrEnum):
    """In the order in which they are begun; each may be run again at any time."""

    COLLECT = "collect"  # the newest bars of the stored live tickers
    SCORE = "score"  # what became final; adaptive states and figures follow
    PRECOMPUTE = "precompute"  # the next forecasts
    DRIFT = "drift"
    RETRAIN = "retrain"  # whether a rule asks for a training
    GATE = "gate"  # its judgement on what was trained; it promotes


# A step begins when each of these was tried: a source that is away keeps nobody from scoring what is there.
NEEDS: Final[Mapping[Step, tuple[Step, ...]]] = {
    Step.COLLECT: (),
    Step.SCORE: (Step.COLLECT,),
    Step.PRECOMPUTE: (Step.SCORE,),
    Step.DRIFT: (Step.SCORE,),
    Step.RETRAIN: (Step.DRIFT,),
    Step.GATE: (Step.RETRAIN,),
}
SETTLED: Final = frozenset({StepState.DONE, StepState.FAILED, StepState.SKIPPED})
MOST_ATTEMPTS = 6  # the last one five hours after the first: then the next close is nearer
FIRST_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True)
class Outcome:
    """What a step did, in figures; ``lacking``: why it is to be tried again, though that much was done."""

    figures: Mapping[str, Any] = field(default_factory=dict)
    lacking: str | None = None
    skipped: bool = False
    news: bool = True  # whether what comes after it has to be done again


def pause_after(attempts: int) -> timedelta | None:
    """How long until a step that failed is begun again; None: it is not.

    >>> [str(pause_after(attempts)) for attempts in (1, 2, 5, 6)]
    ['0:10:00', '0:20:00', '2:40:00', 'None']
    """
    return FIRST_PAUSE * 2 ** (attempts - 1) if attempts < MOST_ATTEMPTS else None


def ready(states: Mapping[Step, StepState], *, again: bool = False) -> list[Step]:
    """Steps that wait for nothing any more; ``gate`` is settled by what becomes of the training.

    ``again``: those that run, too.
    """
    begun = (StepState.WAITING, StepState.RUNNING) if again else (StepState.WAITING,)
    return [
        step
        for step, needed in NEEDS.items()
        if step is not Step.GATE and states[step] in begun and all(states[each] in SETTLED for each in needed)
    ]


def after(step: Step) -> list[Step]:
    """All steps that stand, directly or not, on what ``step`` does; ``gate`` left out: a training is not taken back.

    >>> [str(each) for each in after(Step.SCORE)]
    ['precompute', 'drift', 'retrain']
    """
    found: list[Step] = []
    for each, needed in NEEDS.items():
        if each is not Step.GATE and ({step, *found} & set(needed)):
            found.append(each)
    return found
