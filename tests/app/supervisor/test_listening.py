"""One socket for all API processes; a taken port is told."""

import socket
import subprocess
import sys

import pytest

from app.supervisor import listening
from app.supervisor.errors import ServiceError


def port_of(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def test_a_taken_port_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PATIENCE_SECONDS", 0.1)
    with (
        listening.listen("127.0.0.1", 0) as holder,
        pytest.raises(ServiceError, match=rf"port {port_of(holder)} is taken: set CLOSECAST_PORT"),
    ):
        listening.listen("127.0.0.1", port_of(holder))


def test_a_port_that_is_free_can_be_taken_after_it_was_checked() -> None:
    with listening.listen("127.0.0.1", 0) as holder:
        port = port_of(holder)
    listening.check_port("127.0.0.1", port)
    listening.listen("127.0.0.1", port).close()


def test_the_next_free_port_comes_after_the_taken_one() -> None:
    with listening.listen("127.0.0.1", 0) as holder:
        assert port_of(holder) < listening.free_port("127.0.0.1", port_of(holder)) <= port_of(holder) + 100


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b"])
def test_an_address_of_another_machine_or_none_at_all_is_refused(host: str) -> None:
    """In a process of its own: this one is kept from naming such addresses at all. Binding sends nothing."""
    script = f"from app.supervisor.listening import listen; listen('{host}', 8000)"
    finished = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert f"ServiceError: cannot listen on {host} port 8000" in finished.stderr


def test_a_process_inherits_the_supervisors_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening.listen("127.0.0.1", 0) as holder:
        monkeypatch.setenv(listening.LISTEN_FD, str(holder.fileno()))
        inherited = listening.inherited_sockets()
        assert inherited is not None
        assert inherited[0].getsockname() == holder.getsockname()
        inherited[0].detach()


def test_without_a_supervisor_there_is_nothing_to_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(listening.LISTEN_FD, raising=False)
    assert listening.inherited_sockets() is None
