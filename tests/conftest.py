"""What holds for every test: none of them reaches for the real network; who runs it, and when."""

from collections.abc import Iterator

# First of all: where TensorFlow is loaded before it, its libcurl takes the place of this one and lacks options.
import curl_cffi  # noqa: F401
import pytest
from xdist.remote import Producer

from tests.network_guard import NetworkGuard, dead_proxies
from tests.scheduling import FilesOfOneWorker, longest_first, scheduler


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesOfOneWorker | None:
    """See ``tests.scheduling``."""
    return scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See ``tests.scheduling``."""
    items[:] = longest_first(items)


@pytest.fixture(scope="session", autouse=True)
def network_guard() -> Iterator[NetworkGuard]:
    """Only loopback addresses and Unix sockets can be reached, from here and from the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dead_proxies().items():
            patch.setenv(name, value)
        patch.setenv("CLOSECAST_TRACKING", "false")  # MLflow takes seconds: tests of it say so
        yield NetworkGuard.install(patch)


@pytest.fixture(autouse=True)
def _stay_at_home(network_guard: NetworkGuard) -> Iterator[None]:
    """Fail a test that tried to leave, even where the code under test swallowed the refusal."""
    yield
    left, network_guard.refused = network_guard.refused, []
    assert not left, f"the test reached for the real network: {left}"
