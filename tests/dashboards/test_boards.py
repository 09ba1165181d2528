"""The dashboards are what the code says, and ask only for what there is."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.dashboards.boards import FOLDER, ROOT, boards, panels, queries, query_of, variables
from tools.dashboards.boards import rendered

BOARDS = boards()
PROVISIONING = ROOT / "deploy/grafana/provisioning"
METRIC_LINE = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \|(?P<labels>[^|]*)\|")
NAMES_OF_TYPE = {
    "counter": ("",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}
PROMETHEUS_S_OWN = {"up", "ALERTS"}
NAME = re.compile(r"\b(?:closecast|http)[:_][\w:]+|\b(?:up|ALERTS)(?={)")
SELECTED = re.compile(r"(\w+)\{([^}]*)\}")
HARD_CODED = re.compile(r"\b(?:job|instance|process)\s*(?:=|!=|=~|!~)\s*\"(?!\$)")


def told() -> dict[str, set[str]]:
    """The labels of each series that docs/metrics.md names; tests of the metrics hold that page to the code."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        if match := METRIC_LINE.match(line):
            for ending in NAMES_OF_TYPE[match["type"]]:
                found[match["name"] + ending] = set(re.findall(r"`(\w+)`", match["labels"]))
    return found


def recorded() -> set[str]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/recording.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def promql() -> list[str]:
    """Every question that Prometheus is asked, by panels and variables."""
    asked = [query.text for query in queries(BOARDS) if not query.is_sql]
    return asked + [
        query_of(v) for board in BOARDS for v in variables(board) if v["datasource"]["type"] == "prometheus"
    ]


def test_the_files_are_what_the_code_makes() -> None:
    """`make dashboards` writes them."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == rendered()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_each_panel_says_what_it_shows_and_in_which_unit(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_data_sources_are_chosen_at_the_top(board: dict[str, Any]) -> None:
    chosen = {f"${{{v['name']}}}": v["query"] for v in variables(board, "datasource")}
    asking = [*panels(board), *(target for panel in panels(board) for target in panel["targets"]), *variables(board)]

    assert all(chosen[each["datasource"]["uid"]] == each["datasource"]["type"] for each in asking)
    assert {panel["datasource"]["uid"] for panel in panels(board)} <= set(chosen)
    assert all(target["datasource"] == panel["datasource"] for panel in panels(board) for target in panel["targets"])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_panels_lie_side_by_side_under_names_of_their_own(board: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24  # Grafana's columns
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({panel["title"] for panel in panels(board)}) == len(panels(board))


def test_only_metrics_that_exist_are_asked_for_by_labels_that_they_have() -> None:
    known, names = told(), set()
    for text in promql():
        names |= set(NAME.findall(text))
        for name, selectors in SELECTED.findall(text):
            labels = {part.split("=")[0].rstrip("!") for part in selectors.split(",") if part}
            given_by_prometheus = {"instance", "job"} | ({"alertstate"} if name == "ALERTS" else set())
            assert labels <= known.get(name, set()) | given_by_prometheus, text

    assert names <= set(known) | recorded() | PROMETHEUS_S_OWN
    assert len(names) > 40  # the expression above finds them


def test_no_metric_is_left_out() -> None:
    """Each is on a dashboard, or it need not be told."""
    shown = " ".join(promql())
    unseen = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in told()}

    assert {name for name in unseen if name not in shown} == {
        "closecast_champion_promoted_timestamp_seconds",  # the ledger's table says more
        "closecast_live_forecasts_void",  # so does the graph of outcomes
        "closecast_database_up",  # the alert's; the age of the figures is shown
    }


def test_no_installation_is_written_into_a_query() -> None:
    assert [text for text in promql() if HARD_CODED.search(text)] == []


def test_the_database_is_only_read_and_only_where_the_role_may() -> None:
    """The role's own test executes them."""
    granted = set(re.findall(r"\b[a-z_]+\b", (ROOT / "deploy/grafana/reader.sql").read_text()))
    texts = [query.text for query in queries(BOARDS) if query.is_sql]

    assert texts
    for text in texts:
        assert text.startswith("SELECT ")
        assert ";" not in text
        assert set(re.findall(r"\b(?:FROM|JOIN) ([a-z_]+)\b(?!\()", text)) <= granted


def provisioned() -> dict[str, dict[str, Any]]:
    """By type, each data source that Grafana starts with."""
    files = (PROVISIONING / "datasources").glob("*.yml")
    sources = [source for path in files for source in yaml.safe_load(path.read_text())["datasources"]]
    return {source["type"]: source for source in sources}


def test_every_kind_of_source_that_can_be_chosen_is_provisioned() -> None:
    chosen = {variable["query"] for board in BOARDS for variable in variables(board, "datasource")}

    assert chosen == set(provisioned())


def test_the_database_s_password_comes_from_the_environment_alone() -> None:
    source = provisioned()["grafana-postgresql-datasource"]
    role = (ROOT / "deploy/grafana/reader.sql").read_text()

    assert source["secureJsonData"] == {"password": "${GRAFANA_DATABASE_PASSWORD}"}
    assert f"CREATE ROLE {source['user']}" in role
    assert re.findall(r"PASSWORD (\S+)", role.split("ALTER ROLE", 1)[1])[0] == ":'password';"


def test_grafana_s_own_rules_are_none_of_prometheus_s_and_refer_to_what_is_there() -> None:
    """It shows those through the data source; a second copy of them would drift from the tested one."""
    (file,) = (PROVISIONING / "alerting").glob("*")
    written = yaml.safe_load(file.read_text())
    rules = [rule for group in written["groups"] for rule in group["rules"]]
    theirs = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    assert provisioned()["prometheus"]["jsonData"]["manageAlerts"] is True
    assert {rule["title"] for rule in rules}.isdisjoint(rule["alert"] for group in theirs for rule in group["rules"])
    for rule in rules:
        assert {part["datasourceUid"] for part in rule["data"]} == {provisioned()["prometheus"]["uid"], "__expr__"}
        assert [part["model"]["refId"] for part in rule["data"]] == [part["refId"] for part in rule["data"]]
        assert rule["condition"] == rule["data"][-1]["refId"]
        assert rule["data"][-1]["model"]["expression"] == rule["data"][0]["refId"]
        assert (rule["noDataState"], rule["execErrState"]) == ("Alerting", "Alerting")
    (contact,) = written["contactPoints"]
    assert [policy["receiver"] for policy in written["policies"]] == [contact["name"]]
    (receiver,) = contact["receivers"]
    address = urlsplit(receiver["settings"]["url"])
    assert (address.hostname in compose, address.port) == (True, 9093)
