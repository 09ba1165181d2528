"""The files around the containers agree with each other and with the metrics that exist; no password has a default."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import Settings
from app.core.paths import API_PREFIX, canonical_path

ROOT = Path(__file__).parents[1]
READER = "./deploy/grafana/reader.sql"


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """What docker-compose.yml starts."""
    found: dict[str, Any] = read_yaml(ROOT / "docker-compose.yml")["services"]
    return found


def test_prometheus_asks_the_ports_that_compose_gives(services: dict[str, Any]) -> None:
    """By name and over and over, so that each of several containers of a service is asked."""
    config = read_yaml(ROOT / "deploy/prometheus/prometheus.yml")
    asked = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"] if "dns_sd_configs" in job}
    (manager,) = config["alerting"]["alertmanagers"]

    assert {(each["names"][0], each["port"]) for each in asked.values()} == {
        ("api", int(services["api"]["expose"][0])),
        *(
            (name, int(services[name]["environment"]["CLOSECAST_WORKER_METRICS_PORT"]))
            for name in ("worker", "trainer")
        ),
    }
    assert (manager["dns_sd_configs"][0]["names"], manager["dns_sd_configs"][0]["port"]) == (["alertmanager"], 9093)


def test_every_file_that_compose_mounts_or_builds_from_exists(services: dict[str, Any]) -> None:
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    folders = {path for path in mounted if path.startswith(".")} - {READER}
    built = {service["build"].get("dockerfile", "Dockerfile") for service in services.values() if "build" in service}

    assert (ROOT / READER).is_file()
    assert folders == {
        "./deploy/alertmanager",
        "./deploy/compose",
        "./deploy/grafana/dashboards",
        "./deploy/grafana/provisioning",
        "./deploy/prometheus",
    }
    assert all((ROOT / path).is_dir() and any((ROOT / path).rglob("*.*")) for path in folders)
    assert all((ROOT / path).is_file() for path in built)


def test_no_password_has_a_default(services: dict[str, Any]) -> None:
    """`:?` ends the start with its line where the value is missing or empty."""
    text = (ROOT / "docker-compose.yml").read_text()
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET))(\S*)", text)

    assert {name for name, _ in secrets} == {
        "CLOSECAST_JWT_SECRET",
        "POSTGRES_PASSWORD",
        "GRAFANA_PASSWORD",
        "GRAFANA_DATABASE_PASSWORD",
    }
    assert all(rest.startswith(":?") for _, rest in secrets)


def test_our_containers_get_the_settings_of_the_file_and_nobody_else_s_secrets(services: dict[str, Any]) -> None:
    ours = {name: service for name, service in services.items() if "build" in service}

    assert set(ours) == {"migrate", "api", "worker", "trainer", "train", "backup", "mlflow"}
    for name, service in ours.items():
        given = service["environment"]
        assert service["env_file"] == ".env"
        assert {given[f"{whose}_PASSWORD"] for whose in ("POSTGRES", "GRAFANA", "GRAFANA_DATABASE")} == {""}
        assert bool(given["CLOSECAST_JWT_SECRET"]) is (name == "api")


def test_nginx_lets_through_what_the_api_reads() -> None:
    """tests/faults runs it; `make faults`, where there is an nginx."""
    lines = [line.partition("#")[0].split() for line in (ROOT / "deploy/nginx/closecast.conf").read_text().splitlines()]
    settings = Settings(_env_file=None)

    assert ["client_max_body_size", f"{settings.body_limit_bytes // 1024}k;"] in lines
    assert ["server", f"127.0.0.1:{Settings.model_fields['port'].default}", "max_fails=0;"] in lines
    assert ["proxy_set_header", "X-Forwarded-For", "$remote_addr;"] in lines


@pytest.mark.parametrize("configuration", ["deploy/nginx/closecast.conf", "deploy/compose/front.conf"])
def test_nginx_keeps_the_metrics_inside_however_they_are_spelt(configuration: str) -> None:
    """The API takes each spelling for the same route, so that each has to be refused."""
    (denied,) = re.findall(r"location ~ (\S+) \{\s+deny all;", (ROOT / configuration).read_text())

    for path in (f"{prefix}/metrics{end}" for prefix in ("", API_PREFIX) for end in ("", "/")):
        assert canonical_path(path) == "/metrics"
        assert re.search(denied, path), path
    assert not re.search(denied, "/predict/metrics")
