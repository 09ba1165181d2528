"""The files for containers: nothing runs as root or writes where it should not, and alerts fire and lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = ("api", "worker", "trainer", "migrate", "train")
WORKERS = ("worker", "trainer")
DOCKERFILES = ("Dockerfile", "Dockerfile.ml_lifecycle")


@pytest.mark.parametrize("service", OURS)
def test_our_containers_can_write_nowhere_but_to_their_volumes(service: str) -> None:
    settings = COMPOSE["services"][service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]


def test_the_api_may_read_bundles_and_not_change_them() -> None:
    assert COMPOSE["services"]["api"]["volumes"] == ["data:/data:ro"]


def test_each_worker_does_what_its_image_can() -> None:
    """Only the training image holds TensorFlow."""
    commands = {
        name: (COMPOSE["services"][name]["image"], COMPOSE["services"][name]["command"][-1]) for name in WORKERS
    }
    assert commands == {"worker": ("closecast-worker", "data"), "trainer": ("closecast-train", "train")}
    assert 'CMD ["worker", "--queues", "data"]' in (ROOT / "Dockerfile").read_text()


def test_training_by_hand_starts_on_request_only() -> None:
    assert COMPOSE["services"]["train"]["profiles"] == ["train"]


def test_nothing_is_published_to_other_machines_unasked() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert all("127.0.0.1:" in port for port in published)


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
