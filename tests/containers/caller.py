"""Somebody who uses the published port: an account, a token, forecasts, trainings."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.containers.engine import wait

TRAINING_SECONDS = 600.0
PASSWORD = secrets.token_urlsafe(18)


class Caller:
    """Speaks HTTP to ``url`` with a token of its own."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30.0, trust_env=False)

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Get a token."""
        form = {"username": email, "password": password}
        token = self.ask("POST", "/auth/token", 200, data=form)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, expected: int, **more: Any) -> Any:
        """The JSON answer; an AssertionError tells of another status than the expected one."""
        answer = self._http.request(method, path, **more)
        assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def status(self, path: str) -> int | str:
        """The status of an answer, or the name of what prevented one."""
        try:
            return self._http.get(path).status_code
        except httpx.TransportError as error:
            return type(error).__name__

    def text(self, path: str) -> str:
        """An answer as text."""
        return self._http.get(path).text

    def job_over(self, job_id: str) -> dict[str, Any]:
        """A job of training once it has ended."""
        told: dict[str, Any] = {}

        def is_over() -> bool:
            told.update(self.ask("GET", f"/train/{job_id}", 200))
            return told["status"] in {"succeeded", "failed", "cancelled"}

        wait(is_over, f"job {job_id} over", lambda: str(told), TRAINING_SECONDS)
        return told

    @contextmanager
    def asking(self, path: str) -> Iterator[Counter[int | str]]:
        """Ask for ``path`` ten times a second meanwhile; counts what came, complete at the end."""
        came: Counter[int | str] = Counter()
        over = threading.Event()

        def go_on() -> None:
            while not over.is_set():
                came[self.status(path)] += 1
                time.sleep(0.1)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield came
        finally:
            over.set()
            thread.join()
