"""Each alert has a severity, a test and a page that says what to do; what a page names exists."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from pydantic import SecretStr

from app.config import Settings, variable
from app.main import create_app
from cli.main import app
from tests.app.serving import SECRET
from tests.told_metrics import told_metrics, told_series

ROOT = Path(__file__).parents[1]
PROMETHEUS = ROOT / "deploy/prometheus"
RUNBOOKS = ROOT / "docs/runbooks"
PARTS = ["Meaning", "First look", "Mend", "Afterwards"]


def read(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text())


def rules_of(name: str) -> list[dict[str, Any]]:
    return [rule for group in read(name)["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules_of("alerts.yml")}
WATCHER = ROOT / "deploy/grafana/provisioning/alerting/watcher.yml"
OF_GRAFANA = {rule["title"]: rule for group in yaml.safe_load(WATCHER.read_text())["groups"] for rule in group["rules"]}
EVERY_ALERT = ALERTS | OF_GRAFANA
RECORDED = {rule["record"] for rule in rules_of("recording.yml")}


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:closecast|http)_[a-z_]+", text))


def test_rules_ask_for_series_that_exist() -> None:
    expressions = [rule["expr"] for rule in (*ALERTS.values(), *rules_of("recording.yml"))]

    assert named_in(" ".join(expressions)) <= told_series()
    assert set(re.findall(r"closecast:\w+:\w+", " ".join(expressions))) == RECORDED


def test_each_alert_has_a_severity_a_summary_and_its_page() -> None:
    for name, rule in EVERY_ALERT.items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    pages = {page.stem for page in RUNBOOKS.glob("*.md") if page.stem[0].isupper()} - {"README"}
    assert pages == EVERY_ALERT.keys()


def test_each_alert_is_tested_to_come_to_stay_away_and_to_end() -> None:
    tests = [*read("alerts_test.yml")["tests"], *read("alerts_slow_test.yml")["tests"]]
    checks: dict[str, list[bool]] = {}
    for check in (each for test in tests for each in test["alert_rule_test"]):
        checks.setdefault(check["alertname"], []).append(bool(check["exp_alerts"]))

    assert checks.keys() == ALERTS.keys()
    for name, fires in checks.items():
        text = "".join("yes " if fire else "no " for fire in fires)
        assert re.match(r"(no )+(yes )+(no )+", text), name


@pytest.mark.parametrize("name", EVERY_ALERT)
def test_a_page_has_its_parts_and_stands_in_the_index(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    severity = EVERY_ALERT[name]["labels"]["severity"]

    assert page.startswith(f"# {name}\n\n`{severity}`")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == PARTS
    assert f"| [{name}]({name}.md) | {severity} |" in (RUNBOOKS / "README.md").read_text()


def every_page() -> str:
    return "\n".join(page.read_text() for page in RUNBOOKS.glob("[A-Z]*.md"))


def test_the_commands_that_pages_name_exist_with_their_options() -> None:
    root = typer.main.get_command(app)
    lines = {line.replace("\n", " ") for line in re.findall(r"`closecast ([a-z][^`]*)`", every_page())}

    assert len(lines) > 15
    for line in lines:
        command: Any = root
        for word in line.split():
            if word.startswith("--"):
                assert word in {option for each in command.params for option in each.opts}, line
            elif hasattr(command, "commands"):
                assert word in command.commands, line
                command = command.commands[word]


def test_the_series_and_settings_that_pages_name_exist() -> None:
    settings = {variable(name) for name in Settings.model_fields}
    assert named_in(every_page()) <= told_series() | told_metrics().keys()
    assert set(re.findall(r"CLOSECAST_[A-Z_]+", every_page())) <= settings


def test_the_routes_that_pages_name_exist() -> None:
    paths = set(create_app(Settings(_env_file=None, jwt_secret=SecretStr(SECRET))).openapi()["paths"])
    asked = set(re.findall(r"`(?:GET|POST|DELETE) (/[a-z/_{}-]+)", every_page()))

    assert {"/monitor", "/track-record"} <= asked <= paths


def test_links_between_pages_lead_somewhere() -> None:
    targets = set(re.findall(r"\]\(([^)#]+)", every_page()))

    assert [target for target in targets if not (RUNBOOKS / target).resolve().exists()] == []
