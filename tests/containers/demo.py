"""The image `demo`, run alone: its first forecast, and one for whoever copies the account that it prints."""

import re
import secrets
import time
from collections.abc import Callable

from tests.containers.caller import Caller
from tests.containers.engine import Engine, wait

LAST_LINE = "no investment advice"


def see_demo(engine: Engine, tell: Callable[[str], None]) -> None:
    """`docker run` with nothing but a port and, harder than anybody must, a read-only root."""
    name = f"closecast-demo-{secrets.token_hex(3)}"
    command = ["--name", name, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--publish", "127.0.0.1::8000"]  # noqa: S108
    started = time.monotonic()
    engine.run(engine.program, "run", "--detach", *command, "closecast-demo")
    try:
        wait(lambda: LAST_LINE in _printed(engine, name), "the demo's forecast", lambda: _printed(engine, name))
        seconds, printed = time.monotonic() - started, _printed(engine, name)
        assert "kind: hindcast" in printed
        assert "promotion: reference" in printed
        account = re.search(r"account (\S+), password (\S+) ", printed)
        assert account is not None, printed
        port = engine.run(engine.program, "port", name, "8000").split(":")[-1].strip()
        caller = Caller(f"http://127.0.0.1:{port}")
        caller.sign_in(account[1], account[2])
        answer = caller.ask("GET", "/predict/AAPL", 200)
        tell(
            f"docker run closecast-demo: forecast after {seconds:.0f} s; asked from outside with the account that it "
            f"printed: 200, kind {answer['kind']}, bundle {answer['bundle']['kind']}"
        )
    finally:
        engine.run(engine.program, "rm", "--force", "--volumes", name, accept_failure=True)


def _printed(engine: Engine, name: str) -> str:
    return engine.run(engine.program, "logs", name, accept_failure=True, both=True)
