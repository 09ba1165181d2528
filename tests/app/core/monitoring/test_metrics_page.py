"""docs/metrics.md says what is told, and nothing else."""

import re
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from app.core.monitoring import metrics, process_watch, request_meter
from app.features.monitoring.database_figures import FIGURES

PAGE = Path(__file__).parents[4] / "docs/metrics.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \|(?P<labels>[^|]*)\| (?P<by>[^|]+) \| [^|]+ \|$", re.MULTILINE)

Told = dict[str, tuple[str, frozenset[str]]]  # type and labels by name


def on_page() -> Told:
    rows = ROW.finditer(PAGE.read_text())
    return {row["name"]: (row["type"], frozenset(re.findall(r"`(\w+)`", row["labels"]))) for row in rows}


def in_code() -> Told:
    modules = (metrics, process_watch, request_meter)
    found = {each for module in modules for each in vars(module).values() if isinstance(each, MetricWrapperBase)}
    ours = {*found, *process_watch.OF_EVERY_PROCESS}
    of_process = {
        name_of(each): (each._type, frozenset(each._labelnames)) for each in ours if isinstance(each, MetricWrapperBase)
    }
    return of_process | {f"closecast_{each.name}": ("gauge", frozenset(each.labels)) for each in FIGURES}


def name_of(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else metric._name


def test_the_page_names_each_metric_with_its_type_and_labels() -> None:
    assert on_page() == in_code()


def test_nothing_is_registered_that_the_page_does_not_name() -> None:
    """Libraries register what they like when they are imported."""
    registered = {f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()}

    assert registered <= on_page().keys()


def test_what_a_worker_serves_is_marked_so() -> None:
    marked = {row["name"] for row in ROW.finditer(PAGE.read_text()) if "worker" in row["by"]}

    assert marked == {name_of(each) for each in metrics.OF_A_WORKER}
