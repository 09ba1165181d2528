"""A Ray cluster to work on: the one that ``RAY_ADDRESS`` names, or one of this machine for as long as it is needed."""

import gc
import logging
import os
import secrets
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ml_lifecycle.training.tuning_errors import ClusterUnavailableError

OBJECT_STORE_BYTES = 256 * 2**20  # of a cluster that is started here; the bars of a thousand tickers take 300 MB
STARTS = 3
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would tell Ray's makers over the network
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as Ray will have it; without it, a warning
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study keeps the trials
    "RAY_AIR_NEW_OUTPUT": "0",
}
# A cluster that is started here is nobody else's: it stays on loopback (the variable says so on other systems only by
# its name), and who speaks to it must know a word that is made up for it. Ray reads both when it is imported.
CLOSED = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
THREADS = "OMP_NUM_THREADS"
TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - the name of the variable


@contextmanager
def ray_cluster(workers: int) -> Iterator[None]:
    """Connect, and leave again; a cluster that was started here ends with the block, however it ends.

    Inside such a block another one changes nothing.

    Parameters
    ----------
    workers : processes at a time, on a cluster that is started here.

    Raises
    ------
    ClusterUnavailableError : none answers at ``RAY_ADDRESS``, or none can be started here.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    os.environ.update(QUIET if address else QUIET | CLOSED)
    if not address:
        os.environ.setdefault(TOKEN, secrets.token_hex(32))
    # Ray gives each worker one thread of linear algebra, this process has as many as it may use; with another number
    # sums come in another order, and an optimizer makes whole digits of that.
    os.environ.setdefault(THREADS, str(len(os.sched_getaffinity(0))))
    import ray

    if address:
        _join(address)
    else:
        _start(workers)
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    import ray
    from ray.exceptions import RayError

    try:
        threads = {"env_vars": {THREADS: os.environ[THREADS]}}
        ray.init(address, runtime_env=threads, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:  # the last: a token is wanted, none is given
        raise ClusterUnavailableError(f"no Ray cluster answers at {address}: {error}".splitlines()[0]) from error


def _start(workers: int) -> None:
    """Ray gives its processes 15 and 30 s to come up, too little on busy cores: what failed is ended and begun anew."""
    import ray

    before, failure = _children(), ""
    for _ in range(STARTS):
        try:
            ray.init(
                "local",
                num_cpus=workers,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # noqa: BLE001 - Ray raises nothing narrower
            failure = str(error).partition("\n")[0]
        else:
            return
        _end(_children() - before)
    raise ClusterUnavailableError(f"Ray did not start: {failure}")


def _children() -> set[int]:
    """Processes that this one started."""
    tasks = Path("/proc/self/task")
    return {int(child) for task in tasks.glob("*/children") for child in task.read_text().split()}


def _end(processes: Iterable[int]) -> None:
    """Ray forgets what it had begun to start."""
    ray = sys.modules["ray"]
    ray.shutdown()
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its handles of them say that they are still running
        gc.collect()
