"""What holds for every test: none of them reaches for the real network."""

from collections.abc import Iterator

import pytest

from tests.network_guard import NetworkGuard, dead_proxies


@pytest.fixture(scope="session", autouse=True)
def network_guard() -> Iterator[NetworkGuard]:
    """Only loopback addresses and Unix sockets can be reached, from here and from the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dead_proxies().items():
            patch.setenv(name, value)
        yield NetworkGuard.install(patch)


@pytest.fixture(autouse=True)
def _stay_at_home(network_guard: NetworkGuard) -> Iterator[None]:
    """Fail a test that tried to leave, even where the code under test swallowed the refusal."""
    yield
    left, network_guard.refused = network_guard.refused, []
    assert not left, f"the test reached for the real network: {left}"
