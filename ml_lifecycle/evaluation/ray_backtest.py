"""A backtest's forecasts on a Ray cluster: the same groups of tickers as on one machine, and so the same numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ml_lifecycle.evaluation.backtest import Block, Group, InTurn, Walk
from ml_lifecycle.training.ray_cluster import ray_cluster


@contextmanager
def on_ray(workers: int) -> Iterator[InTurn]:
    """What ``backtest`` takes as ``in_turn``: so many processes, each with the methods and what they have learnt.

    Raises
    ------
    ClusterUnavailableError
    """
    with ray_cluster(workers):
        yield partial(_blocks, workers)


def _blocks(workers: int, walk: Walk, groups: Sequence[Group]) -> Iterator[Block]:
    """In the order of the groups; a process that is done takes the next one."""
    import ray
    from ray.util import ActorPool

    shared = ray.put(walk)  # once, however many processes read it
    process = ray.remote(num_cpus=1)(_Forecasting)
    pool = ActorPool([process.remote(shared) for _ in range(min(workers, len(groups)))])
    waiting: list[Any] = list(groups)
    yield from pool.map(lambda actor, group: actor.block.remote(group), waiting)


class _Forecasting:
    """A process of the cluster."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    def block(self, group: Group) -> Block:
        """See ``Walk``."""
        return self._walk.block(group)
