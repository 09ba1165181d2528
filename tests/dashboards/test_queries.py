"""Every query of every panel and variable, executed: no panel is empty on an installation that works.

Grafana itself is not started: what it sends is made of the dashboards by ``tests.dashboards.boards.filled``.
"""

import math
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from tests.dashboards.boards import ROOT, Asked, boards, filled, queries, query_of, variables
from tests.dashboards.rows import add_rows
from tests.dashboards.running import READER, Prometheus, Running, prometheus, running

pytestmark = [
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="no prometheus on this machine (Debian has a package)"
    ),
]

WINDOW = "10s"  # of rates: ten askings
LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
DATABASE_PASSWORD = "a-role-that-only-reads-7"
LOAD_SECONDS = 25.0  # the API reads its figures from the database every 15 s
BOARDS = boards()


@dataclass(frozen=True)
class Seen:
    """An installation that has been under load, as Grafana sees it."""

    installation: Running
    prometheus: Prometheus
    until: datetime
    database: psycopg.Connection[dict[str, Any]]

    @property
    def since(self) -> datetime:
        """Where the time that is looked at begins; sums of ten minutes and of days lie in it too."""
        return self.until - timedelta(days=2)

    def values(self, board: Mapping[str, Any]) -> dict[str, Sequence[str]]:
        """What can be chosen at the top of a board, all of it where several can be."""
        found: dict[str, Sequence[str]] = {}
        for variable in variables(board):
            query = self.filled(query_of(variable), found, sql=variable["datasource"]["type"] != "prometheus")
            told = self._values(query)
            assert told, (board["title"], variable["name"])
            found[variable["name"]] = told if variable["multi"] else told[:1]
        return found

    def filled(self, query: str, values: Mapping[str, Sequence[str]], *, sql: bool) -> str:
        """As Grafana sends it."""
        return filled(query, values, sql=sql, since=self.since, until=self.until, window=WINDOW)

    def _values(self, query: str) -> list[str]:
        match = LABEL_VALUES.fullmatch(query)
        if match is None:
            return [str(next(iter(row.values()))) for row in self.database.execute(query.encode())]
        told: list[str] = self.prometheus.ask(f"label/{match['label']}/values", **{"match[]": match["series"]})
        return told

    def answer(self, asked: Asked, values: Mapping[str, Sequence[str]]) -> int:
        """How many rows, or series with a number, one query brings."""
        query = self.filled(asked.text, values, sql=asked.is_sql)
        if asked.is_sql:
            return len(self.rows(query, asked.target["format"]))
        at = self.until.timestamp()
        if asked.target.get("instant"):
            told = self.prometheus.ask("query", query=query, time=at)["result"]
            return sum(math.isfinite(float(series["value"][1])) for series in told)
        told = self.prometheus.ask("query_range", query=query, start=at - 20, end=at, step="1s")["result"]
        return sum(any(math.isfinite(float(value)) for _, value in series["values"]) for series in told)

    def rows(self, query: str, format_: str) -> list[dict[str, Any]]:
        """What PostgreSQL answers to the role that Grafana has."""
        found = self.database.execute(query.encode()).fetchall()
        if format_ == "time_series" and found:
            times = [row["time"] for row in found]
            assert times == sorted(times), query
        return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Two API processes and a worker, half a minute of requests of all kinds, a Prometheus that asked meanwhile."""
    folder = tmp_path_factory.mktemp("seen")
    with running(folder) as installation, prometheus(folder, f"127.0.0.1:{installation.port}") as asking:
        add_rows(installation.database_url)
        made = installation.grant(DATABASE_PASSWORD)
        assert (made.returncode, made.stderr) == (0, "")
        _load(installation)
        with psycopg.connect(installation.database_url, autocommit=True, row_factory=dict_row) as connection:
            connection.execute(f"SET SESSION AUTHORIZATION {READER}")
            yield Seen(installation, asking, datetime.now(UTC), connection)


def _load(installation: Running) -> None:
    """Requests of people and of machines, wrong ones among them."""
    headers = installation.register()
    until = time.monotonic() + LOAD_SECONDS
    collecting = threading.Thread(target=installation.http.get, args=["/predict/IBM"], kwargs={"headers": headers})
    collecting.start()
    own_window = installation.http.get("/sample-data?ticker=AAPL", headers=headers).raise_for_status().json()
    while time.monotonic() < until:
        for ticker in ("AAPL", "PETR4.SA", "CMIG4.SA", "NO-SUCH"):
            installation.http.get(f"/predict/{ticker}", headers=headers)
        installation.http.get("/predict/AAPL?days_ahead=99", headers=headers)
        installation.http.get("/predict/AAPL")
        installation.http.post("/predict", json=own_window, headers=headers)  # computed anew each time
        installation.http.get("/nowhere")
        installation.http.post("/auth/token", data={"username": "jane@example.org", "password": "a wrong password"})
        time.sleep(0.2)
    collecting.join()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_no_panel_is_empty(seen: Seen, board: dict[str, Any]) -> None:
    values = seen.values(board)

    answered = {(asked.panel, asked.target["refId"]): seen.answer(asked, values) for asked in queries([board])}

    assert [name for name, found in answered.items() if not found] == []
    assert len(answered) >= 20


def test_grafana_s_own_rule_is_quiet_while_prometheus_asks(seen: Seen) -> None:
    """Its condition would hold below one; nothing and an error would do, too."""
    written = yaml.safe_load((ROOT / "deploy/grafana/provisioning/alerting/watcher.yml").read_text())
    ((question, condition),) = [rule["data"] for group in written["groups"] for rule in group["rules"]]
    (evaluator,) = condition["model"]["conditions"]

    (found,) = seen.prometheus.ask("query", query=question["model"]["expr"], time=seen.until.timestamp())["result"]

    assert evaluator == {"evaluator": {"type": "lt", "params": [1]}}
    assert float(found["value"][1]) == 1.0


def test_prometheus_takes_all_that_is_told(seen: Seen) -> None:
    """And the rules that the dashboards refer to."""
    targets = seen.prometheus.ask("targets")["activeTargets"]
    rules = [rule for group in seen.prometheus.ask("rules")["groups"] for rule in group["rules"]]

    assert [target["lastError"] for target in targets] == [""]
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    assert len(rules) > 20


def test_the_role_may_read_what_is_shown_and_nothing_else(seen: Seen) -> None:
    """No account, no token, no log, no word of a person's; and it changes nothing."""
    for statement in (
        "SELECT email FROM users",
        "SELECT * FROM prediction_log",
        "SELECT * FROM api_keys",
        "SELECT decided_by FROM promotions",
        "SELECT owner_id FROM training_jobs",
        "SELECT spec FROM training_jobs",
        "DELETE FROM live_skill",
        "INSERT INTO chain_runs (exchange, trading_day, opened_at) VALUES ('XNYS', now(), now())",
        "CREATE TABLE mine (a int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            seen.database.execute(statement.encode())


def test_the_role_is_made_again_with_another_password_and_never_without_one(seen: Seen) -> None:
    stored = "SELECT rolpassword, rolcanlogin, rolconnlimit, rolsuper FROM pg_authid WHERE rolname = %s"
    with psycopg.connect(seen.installation.database_url) as owner:
        before = owner.execute(stored, [READER]).fetchone()
    again = seen.installation.grant("another-role-that-only-reads-8")
    for password in (None, "", "short"):
        refused = seen.installation.grant(password)
        assert refused.returncode == 3
        assert "GRAFANA_DATABASE_PASSWORD is not set" in refused.stderr
    with psycopg.connect(seen.installation.database_url) as owner:
        after = owner.execute(stored, [READER]).fetchone()

    assert (again.returncode, again.stderr) == (0, "")
    assert before is not None
    assert after is not None
    assert before[0].startswith("SCRAM-SHA-256$")
    assert after[0] != before[0]
    assert after[1:] == (True, 10, False)


def test_an_empty_panel_is_noticed(seen: Seen) -> None:
    """Of a metric that nobody tells, of a label that nobody has, of a table without a row that is wanted."""
    values: dict[str, Sequence[str]] = {}
    for expr in ("closecast_nothing", 'up{instance="nobody"}', "rate(http_requests_total[1s])"):
        assert seen.answer(Asked("", "", {"expr": expr}), values) == 0
    empty = "SELECT now() AS time, 1 AS n FROM score_days WHERE n < 0"
    assert seen.answer(Asked("", "", {"rawSql": empty, "format": "time_series"}), values) == 0
