"""The files for containers: nothing runs as root or writes where it should not, and alerts fire and lead somewhere.

`make compose-test` runs what they describe (tests/containers).
"""

import json
import re
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("api", "worker", "trainer", "migrate", "train", "backup", "mlflow")
ONE_SHOT = {"migrate", "reader", "train", "backup"}
WORKERS = ("worker", "trainer")
DOCKERFILES = ("Dockerfile", "Dockerfile.ml_lifecycle")


@pytest.mark.skipif(find_spec("check_jsonschema") is None, reason="check-jsonschema, with the schema, is not installed")
def test_compose_keeps_to_its_own_specification() -> None:
    import jsonschema  # type: ignore[import-untyped]

    spec = find_spec("check_jsonschema")
    assert spec is not None
    assert spec.origin is not None
    schema = Path(spec.origin).parent / "builtin_schemas/vendor/compose-spec.json"

    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(COMPOSE)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, "--no-color", ROOT / name], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_can_do_more_than_it_must(service: str) -> None:
    """A number that is not root, no capability, nothing to write to but volumes and memory, and not all of that."""
    settings = SERVICES[service]
    assert re.fullmatch(r"[1-9][0-9]*:[0-9]+", settings["user"])
    assert settings["read_only"] is True
    assert "/tmp" in settings["tmpfs"]  # noqa: S108 (in a container)
    assert settings["cap_drop"] == ["ALL"]
    assert "cap_add" not in settings
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[0-9]+[mg]", settings["mem_limit"])


def test_what_stays_is_looked_after_and_what_ends_is_not_started_again() -> None:
    assert {name for name, settings in SERVICES.items() if "healthcheck" not in settings} == ONE_SHOT
    assert {name for name, settings in SERVICES.items() if settings["restart"] != "unless-stopped"} == ONE_SHOT


def test_dependencies_are_waited_for_until_they_serve() -> None:
    for name, settings in SERVICES.items():
        for other, wanted in settings.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert wanted == {"condition": expected}, f"{name} on {other}"
    assert {"db", "migrate"} <= set(SERVICES["api"]["depends_on"])


def test_apis_scale_behind_one_port() -> None:
    """A port of the host's can be one container's only: neither API nor worker publishes one, or has a name its own."""
    for name in ("api", "worker", "trainer"):
        assert not {"ports", "container_name"} & set(SERVICES[name])
    assert SERVICES["front"]["ports"] == ["${CLOSECAST_PUBLISH:-127.0.0.1:8000}:8080"]
    front = (ROOT / "deploy/compose/front.conf").read_text()
    assert "listen 8080;" in front
    assert f"set $api api:{SERVICES['api']['expose'][0]};" in front
    assert "upstream" not in re.sub(
        r"#.*|proxy_next_upstream", "", front
    )  # resolved once, it would miss new containers


@pytest.mark.parametrize("file", ["deploy/compose/front.conf", "deploy/nginx/closecast.conf"])
def test_no_caller_chooses_the_address_that_limits_count_by(file: str) -> None:
    """The API believes what the front says: a caller's own X-Forwarded-For must not be part of it."""
    said = re.sub(r"#.*", "", (ROOT / file).read_text())

    assert re.findall(r"proxy_set_header\s+X-Forwarded-For\s+(.*);", said) == ["$remote_addr"]
    assert len(re.findall(r"proxy_pass\s", said)) == 1
    assert "set_real_ip_from" not in said  # only who is named in FRONT_PROXIES, and that is nobody at first
    assert SERVICES["front"]["environment"] == {"FRONT_PROXIES": "${FRONT_PROXIES:-}"}


def make_env(file: Path) -> "subprocess.CompletedProcess[str]":
    """`make env`, to another file."""
    environment = {"FILE": str(file), "PATH": "/usr/bin:/bin"}
    return subprocess.run([ROOT / "tools/env"], env=environment, capture_output=True, text=True, check=False)


def test_make_env_writes_secrets_of_its_own_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert (make_env(first).returncode, make_env(second).returncode) == (0, 0)
    texts = [path.read_text() for path in (first, second)]
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))
    made = [dict(re.findall(r"^([A-Z_]+)=([0-9a-f]{64})$", text, re.MULTILINE)) for text in texts]

    assert set(made[0]) == set(made[1]) == asked
    assert len({*made[0].values(), *made[1].values()}) == 2 * len(asked)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert re.sub(r"=[0-9a-f]{64}$", "=", texts[0], flags=re.MULTILINE) == (ROOT / ".env.example").read_text()
    again = make_env(first)
    assert again.returncode == 1
    assert "stays as it is" in again.stderr
    assert first.read_text() == texts[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_the_api_may_read_bundles_and_not_change_them() -> None:
    assert SERVICES["api"]["volumes"] == ["data:/data:ro"]


def test_each_worker_does_what_its_image_can() -> None:
    """Only the training image holds TensorFlow."""
    commands = {name: (SERVICES[name]["image"], SERVICES[name]["command"][-1]) for name in WORKERS}
    assert commands == {"worker": ("closecast-worker", "data"), "trainer": ("closecast-train", "train")}
    assert 'CMD ["worker", "--queues", "data"]' in (ROOT / "Dockerfile").read_text()


def test_training_by_hand_starts_on_request_only() -> None:
    assert SERVICES["train"]["profiles"] == ["train"]


def test_nothing_is_published_to_other_machines_unasked() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") or ":-127.0.0.1:" in port for port in published)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_run_as_a_number_that_is_not_root_on_hashed_requirements(name: str) -> None:
    text = (ROOT / name).read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    installs = re.findall(r"pip install (\S+)", text)
    assert set(installs) == {"--require-hashes", "--no-deps"}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_an_image_copies_is_there_and_let_in(name: str) -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copies = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / name).read_text(), re.MULTILINE)
    for path in (path for line in copies for path in line.split()[:-1]):
        assert (ROOT / path).exists()
        assert any(Path(path).match(pattern) for pattern in let_in)
