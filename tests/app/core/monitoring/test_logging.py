"""Every line is one JSON object, and none holds a secret."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.core.monitoring.logging import configure_logging

CANARY = "canary-1"  # by name, since a traceback shows the line that holds it
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    configure_logging("INFO")
    yield
    configure_logging("ERROR")  # as the other tests want it


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written, line by line."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_our_own_and_the_library_s_records_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("ours", ticker="AAPL")
        logging.getLogger("some.library").warning("theirs %s", 1)

    ours, theirs = lines(capsys)
    assert {**ours, "at": ""} == {"event": "ours", "ticker": "AAPL", "request_id": "r-1", "level": "info", "at": ""}
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs 1", "warning", "some.library")
    assert theirs["request_id"] == "r-1"
    assert ours["at"].endswith("Z")


def test_uvicorn_s_own_lines_come_the_same_way_and_its_access_log_not_at_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.access").info("GET /predict/AAPL?token=x")

    assert [line["event"] for line in lines(capsys)] == ["Application startup complete."]


def test_configuring_again_doubles_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("x").info("once")

    assert len(lines(capsys)) == 1


def test_the_level_holds_for_both(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("ERROR")
    structlog.get_logger().warning("ours")
    logging.getLogger("x").warning("theirs")

    assert lines(capsys) == []


def test_a_traceback_shows_no_local_variables_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(password: str) -> None:
        raise ValueError(f"postgresql://closecast:{password}@db/x refused Bearer {password}")

    try:
        fails(CANARY)
    except ValueError:
        structlog.get_logger().exception("ours")
        logging.getLogger("x").exception("theirs")

    written = capsys.readouterr().err
    assert written.count("Traceback") == 2
    assert CANARY not in written


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "canary"},
        {"Authorization": "Bearer canary"},
        {"headers": {"cookie": "canary"}},
        {"settings": {"inner": {"jwt_secret": "canary"}}},
        {"errors": [{"input": {"password": "canary"}}]},
        {"headers": (("x", "Bearer canary"), {"cookie": "canary"})},
        {"detail": "Authorization: Bearer canary"},
        {"url": "https://user:canary@example.org/x"},
    ],
    ids=str,
)
def test_what_has_a_secret_s_name_or_shape_is_left_out(
    capsys: pytest.CaptureFixture[str], fields: dict[str, Any]
) -> None:
    structlog.get_logger().info("something", **fields)

    written = capsys.readouterr().err
    assert "canary" not in written
    assert "******" in written


def test_a_signed_token_is_left_out_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("x").warning("got %s from a client", TOKEN)

    assert lines(capsys)[0]["event"] == "got ****** from a client"


def test_a_line_break_in_a_message_makes_no_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info('x\n{"event": "forged"}')

    assert len(lines(capsys)) == 1
