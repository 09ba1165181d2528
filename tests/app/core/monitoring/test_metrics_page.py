"""docs/metrics.md says what is told, and nothing else."""

import re
from pathlib import Path

from prometheus_client import REGISTRY

from app.core.monitoring import metrics
from tests.told_metrics import Told, name_of, told_metrics

PAGE = Path(__file__).parents[4] / "docs/metrics.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \|(?P<labels>[^|]*)\| (?P<by>[^|]+) \| [^|]+ \|$", re.MULTILINE)


def on_page() -> Told:
    rows = ROW.finditer(PAGE.read_text())
    return {row["name"]: (row["type"], frozenset(re.findall(r"`(\w+)`", row["labels"]))) for row in rows}


def test_the_page_names_each_metric_with_its_type_and_labels() -> None:
    assert on_page() == told_metrics()


def test_nothing_is_registered_that_the_page_does_not_name() -> None:
    """Libraries register what they like when they are imported."""
    registered = {f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()}

    assert registered <= on_page().keys()


def test_what_a_worker_serves_is_marked_so() -> None:
    marked = {row["name"] for row in ROW.finditer(PAGE.read_text()) if "worker" in row["by"]}

    assert marked == {name_of(each) for each in metrics.OF_A_WORKER}
