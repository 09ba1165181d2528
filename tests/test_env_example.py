"""`.env.example` is the list of settings: complete, true to the defaults, and without a usable secret."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.config import Settings

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^(?:# )?(?P<name>[A-Z][A-Z0-9_]+)=(?P<value>.*)$")
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "GRAFANA_PASSWORD", "GRAFANA_DATABASE_PASSWORD"}


def entries() -> dict[str, str]:
    matches = map(LINE.match, (ROOT / ".env.example").read_text().splitlines())
    return {match["name"]: match["value"] for match in matches if match is not None}


def test_every_setting_is_listed_and_nothing_else() -> None:
    settings = {f"CLOSECAST_{name.upper()}" for name in Settings.model_fields}
    assert set(entries()) - COMPOSE_ONLY == settings


def test_the_values_shown_are_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # away from a developer's own .env
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CLOSECAST_{name.upper()}", raising=False)
    (tmp_path / "shown.env").write_text(
        "\n".join(f"{name}={value}" for name, value in entries().items() if value and name not in COMPOSE_ONLY)
    )
    assert Settings(_env_file="shown.env").model_dump() == Settings(_env_file=None).model_dump()


def test_no_secret_has_a_value() -> None:
    secrets = {
        f"CLOSECAST_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if SecretStr in str_types(field.annotation)
    }
    assert secrets == {
        "CLOSECAST_JWT_SECRET",
        "CLOSECAST_JWT_OTHER_SECRETS",
        "CLOSECAST_DATABASE_URL",
        "CLOSECAST_REDIS_URL",
        "CLOSECAST_TRACKING_URI",
    }
    assert {entries()[name] for name in secrets | COMPOSE_ONLY} == {"", "[]"}


def str_types(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__args__", (annotation,))


def test_an_untouched_copy_is_no_usable_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only copies the file must not get a secret that others know."""
    monkeypatch.delenv("CLOSECAST_JWT_SECRET", raising=False)
    copied = Settings(_env_file=ROOT / ".env.example")
    assert copied.jwt_secret is None or copied.jwt_secret.get_secret_value() == ""
