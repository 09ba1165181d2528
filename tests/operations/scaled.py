"""The real rules and configurations, so much quicker that a test can wait for them."""

import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
TIMES_QUICKER = 120
MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SCRAPE = "500ms"  # the shortest window, of five minutes, becomes 2.5 s and needs two scrapes

DURATION = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])|(?<=for: )(\d+)([smhd])\b")


def quicker(duration: str) -> str:
    """A duration as Prometheus spells it, made so much shorter.

    >>> quicker("5m")
    '2500ms'
    """
    return f"{max(1, int(duration[:-1]) * MILLISECONDS[duration[-1]] // TIMES_QUICKER)}ms"


def write_rules(folder: Path) -> None:
    """The rules of deploy/prometheus, whose windows and patience are shorter; all else is theirs."""
    for name in ("recording.yml", "alerts.yml"):
        text = (DEPLOY / "prometheus" / name).read_text()
        (folder / name).write_text(DURATION.sub(lambda found: quicker(found[0]), text))


def write_prometheus(folder: Path, *, api: str, alertmanager: str) -> Path:
    """deploy/prometheus/prometheus.yml with addresses in the place of names."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE}
    (manager,) = config["alerting"]["alertmanagers"]
    manager.pop("dns_sd_configs")
    manager["static_configs"] = [{"targets": [alertmanager]}]
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "closecast-api"]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs")
        job["static_configs"] = [{"targets": [api]}]
    return _written(folder / "prometheus.yml", config)


def write_alertmanager(folder: Path, *, webhook: str, token: str) -> Path:
    """deploy/alertmanager/alertmanager.yml with the test's address, and a token in a file of its own."""
    (folder / "webhook_token").write_text(token)
    text = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    config: dict[str, Any] = yaml.safe_load(
        re.sub(r"(?<=(?:wait|rval): )(\d+)([smh])", lambda found: quicker(found[0]), text)
    )
    (receiver,) = config["receivers"]
    (hook,) = receiver["webhook_configs"]
    hook["url"] = webhook
    hook["http_config"]["authorization"]["credentials_file"] = str(folder / "webhook_token")
    return _written(folder / "alertmanager.yml", config)


def _written(file: Path, config: dict[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(config))
    return file
