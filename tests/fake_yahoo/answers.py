"""What the fake Yahoo can be told to answer instead of a price history; bodies as quoted in public reports."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Self

JSON_TYPE = "application/json;charset=utf-8"
HTML_TYPE = "text/html; charset=UTF-8"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer and how it travels.

    Attributes
    ----------
    delay_seconds : silence before the first byte.
    drip_seconds : pause between one byte of the body and the next.
    cut_at : bytes of the body after which the connection is closed; None: all are sent.
    hangs_up : whether the connection breaks before anything is said.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0
    cut_at: int | None = None
    hangs_up: bool = False

    @classmethod
    def of_json(cls, document: Any, status: int = 200) -> Self:
        """A JSON document."""
        return cls(status, json.dumps(document).encode())

    @classmethod
    def of_chart_error(cls, status: int, code: str, description: str) -> Self:
        """Yahoo's error envelope."""
        return cls.of_json({"chart": {"result": None, "error": {"code": code, "description": description}}}, status)

    @classmethod
    def recorded(cls, response: dict[str, Any]) -> Self:
        """A ``response`` of the recorded exchanges."""
        body = json.dumps(response["body_json"]) if "body_json" in response else response["body_text"]
        headers = {name.lower(): value for name, value in response["headers"].items()}
        kept = {name: headers[name] for name in ("set-cookie", "retry-after") if name in headers}
        return cls(response["status"], body.encode(), headers["content-type"], kept)

    def later(self, delay_seconds: float) -> Self:
        """The same after some silence."""
        return replace(self, delay_seconds=delay_seconds)

    def dripping(self, drip_seconds: float) -> Self:
        """The same, byte by byte."""
        return replace(self, drip_seconds=drip_seconds)

    def cut(self, at: int) -> Self:
        """The same, broken off."""
        return replace(self, cut_at=at)

    def with_body(self, body: bytes) -> Self:
        """The same with another body."""
        return replace(self, body=body)


NOT_FOUND = Answer.of_chart_error(404, "Not Found", "No data found, symbol may be delisted")
TOO_MANY_REQUESTS = Answer(429, b"Edge: Too Many Requests", "text/plain")
BAD_GATEWAY = Answer(502, b"<html><head><title>502 Bad Gateway</title></head></html>", "text/html")
MAINTENANCE = Answer(200, b"<!DOCTYPE html><html><body><h1>Will be right back...</h1></body></html>", HTML_TYPE)
HUNG_UP = Answer(hangs_up=True)
OTHER_HTML = Answer(200, b"<!DOCTYPE html><html><body>Sign in to continue</body></html>", HTML_TYPE)
RESULT_NULL = Answer.of_json({"chart": {"result": None, "error": None}})
RESULT_EMPTY = Answer.of_json({"chart": {"result": [], "error": None}})
NO_BODY = Answer(200, b"")


def before_listing(period1: int, period2: int) -> Answer:
    """A range that lies before the first trade."""
    return Answer.of_chart_error(
        400, "Bad Request", f"Data doesn't exist for startDate = {period1}, endDate = {period2}"
    )
