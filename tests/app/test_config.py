"""A setting that cannot be is refused by the name of its variable, with what it may be."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import Settings


@pytest.fixture(autouse=True)
def _no_setting_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CLOSECAST_")]:
        monkeypatch.delenv(name)


def refusals(**values: object) -> list[tuple[str, str]]:
    """Where and why settings are refused."""
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, **values)
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in refused.value.errors()]


@pytest.mark.parametrize(
    ("name", "value", "place", "message"),
    [
        ("PORT", "70000", "PORT", "Input should be less than or equal to 65535"),
        ("COLLECT_WAIT_SECONDS", "15", "COLLECT_WAIT_SECONDS", "Input should be less than or equal to 10"),
        ("WORKERS", "two", "WORKERS", "Input should be a valid integer, unable to parse string as an integer"),
        ("INFERENCE_ENGINE", "torch", "INFERENCE_ENGINE", "Input should be 'onnx' or 'keras'"),
        ("SOURCES", "yfinance", "SOURCES", 'Input should be JSON such as ["yfinance", "files"]'),
        ("SOURCES", '["yahoo"]', "SOURCES.0", "Input should be 'yfinance', 'files' or 'sample'"),
        ("STORE_OPTIONS", "region", "STORE_OPTIONS", 'Input should be JSON such as {"region": "eu-west-1"}'),
    ],
)
def test_a_variable_is_refused_by_name_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, place: str, message: str
) -> None:
    monkeypatch.setenv(f"CLOSECAST_{name}", value)

    assert refusals() == [(f"CLOSECAST_{place}", message)]


@pytest.mark.parametrize(("name", "value"), [("MODEL_HARD_AGE_DAYS", "89"), ("MODEL_MAX_AGE_DAYS", "366")])
def test_two_variables_that_contradict_each_other_are_both_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CLOSECAST_{name}", value)

    message = "CLOSECAST_MODEL_HARD_AGE_DAYS must not be less than CLOSECAST_MODEL_MAX_AGE_DAYS"
    assert refusals() == [("", message)]


def test_a_variable_of_others_with_a_setting_s_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shell has a HOME."""
    monkeypatch.setenv("HOME", "/home/jane")
    monkeypatch.setenv("PORT", "70000")

    settings = Settings(_env_file=None)

    assert (settings.home, settings.port) == (Path(".closecast"), 8000)


def test_every_wrong_variable_is_told_at_once_and_no_value_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSECAST_PORT", "0")
    monkeypatch.setenv("CLOSECAST_STORE_OPTIONS", '["s3cret"]')

    with pytest.raises(ValidationError, match="CLOSECAST_PORT") as refused:
        Settings(_env_file=None)

    assert "CLOSECAST_STORE_OPTIONS" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_what_an_option_gave_is_refused_by_the_field_s_own_name() -> None:
    assert refusals(port=70_000) == [("port", "Input should be less than or equal to 65535")]


def test_a_given_value_wins_over_a_variable_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("CLOSECAST_PORT=1\nCLOSECAST_WORKERS=1\nCLOSECAST_HOST=file\nCLOSECAST_HOME=\n")
    monkeypatch.setenv("CLOSECAST_PORT", "2")
    monkeypatch.setenv("CLOSECAST_WORKERS", "2")
    monkeypatch.setenv("CLOSECAST_SOURCES", '["files", "sample"]')

    settings = Settings(_env_file=tmp_path / ".env", port=3)

    assert (settings.port, settings.workers, settings.host) == (3, 2, "file")
    assert (settings.home, settings.sources) == (Path(".closecast"), ["files", "sample"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TRUSTED_PROXIES", "banana", "Input should be addresses or networks such as 10.0.0.7,10.1.0.0/16"),
        ("REDIS_URL", "banana", "Input should be an address such as redis://host:6379"),
        ("STORE_URI", "gopher://x", "Input should be a folder, or an address such as s3://bucket/prefix"),
        ("SOURCES", "[]", "List should have at least 1 item after validation, not 0"),
    ],
)
def test_what_would_be_noticed_only_when_it_is_used_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"CLOSECAST_{name}", value)

    assert refusals() == [(f"CLOSECAST_{name}", message)]


def test_what_may_be_named_is_taken() -> None:
    settings = Settings(
        _env_file=None,
        trusted_proxies="127.0.0.1, 10.1.0.0/16,fd00::/8",
        redis_url="rediss://:secret@host:6380/1",
        store_uri="s3://bucket/prefix",
    )

    assert (settings.trusted_proxies, settings.store_uri) == ("127.0.0.1, 10.1.0.0/16,fd00::/8", "s3://bucket/prefix")


def test_no_number_is_without_a_bound() -> None:
    """An instant, a timer or a PostgreSQL value is made of most of them: too much of one failed at its first use."""
    unbounded = []
    for name, field in Settings.model_fields.items():
        if not any(kind in str(field.annotation) for kind in ("int", "float")) or "Literal" in str(field.annotation):
            continue
        for value in (10**12, float("inf")):
            try:
                Settings(_env_file=None, **{name: value})
            except ValidationError:
                continue
            unbounded.append(name)

    assert unbounded == []
