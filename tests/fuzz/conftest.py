"""What is told at the end of a run: how much was asked."""

from collections import Counter

import pytest

asked = pytest.StashKey[Counter[str]]()


@pytest.fixture(scope="session")
def counted(pytestconfig: pytest.Config) -> Counter[str]:
    """What was asked how often, told at the end."""
    return pytestconfig.stash.setdefault(asked, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line for each kind of asking."""
    for what, times in config.stash.get(asked, Counter()).items():
        terminalreporter.write_line(f"{times} {what}")
