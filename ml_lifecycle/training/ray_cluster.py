"""A Ray cluster to work on: the one that ``RAY_ADDRESS`` names, or one of this machine for as long as it is needed."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ml_lifecycle.training.tuning_errors import ClusterUnavailableError

OBJECT_STORE_BYTES = 256 * 2**20  # of a cluster that is started here; the bars of a thousand tickers take 300 MB
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would tell Ray's makers over the network
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as Ray will have it; without it, a warning
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study keeps the trials
    "RAY_AIR_NEW_OUTPUT": "0",
}


@contextmanager
def ray_cluster(workers: int) -> Iterator[None]:
    """Connect, and leave again; a cluster that was started here ends with the block, however it ends.

    Parameters
    ----------
    workers : processes at a time, on a cluster that is started here.

    Raises
    ------
    ClusterUnavailableError
    """
    os.environ.update(QUIET)
    import ray

    address = os.environ.get("RAY_ADDRESS")
    if not address:
        ray.init(
            "local",
            num_cpus=workers,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",  # nothing listens where others could reach it
        )
    else:
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ClusterUnavailableError(f"no Ray cluster answers at {address}: {error}".splitlines()[0]) from error
    try:
        yield
    finally:
        ray.shutdown()
