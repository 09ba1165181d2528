"""The demo as a client of its own API: over HTTP, with a token, like everybody else."""

import time
from typing import Any

import httpx

from app.supervisor.errors import ServiceError

READY_SECONDS = 60.0
ANSWER_SECONDS = 20.0


class ApiClient:
    """Speaks to the API at ``url``."""

    def __init__(self, url: str) -> None:
        # trust_env=False: a proxy that leads to Yahoo must not get between us and this machine.
        self._http = httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False)

    def wait_until_ready(self) -> None:
        """Wait for `/readyz`; raises ServiceError when a minute is not enough."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise ServiceError("the API did not become ready within a minute")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def sign_in(self, email: str, password: str) -> bool:
        """Get an access token; False where there is no such account."""
        answer = self._http.post("/auth/token", data={"username": email, "password": password})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return False
        self._http.headers["Authorization"] = f"Bearer {_document(answer)['access_token']}"
        return True

    def predict(self, ticker: str) -> dict[str, Any]:
        """`GET /predict/TICKER`."""
        return _document(self._http.get(f"/predict/{ticker}"))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _document(answer: httpx.Response) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    if answer.is_error:
        raise ServiceError(f"the API answered {answer.status_code}: {document.get('detail', document)}")
    return document
