"""Every metric that the code tells, by the objects that tell it."""

from prometheus_client.metrics import MetricWrapperBase

from app.core.monitoring import metrics, process_watch, request_meter
from app.features.monitoring.database_figures import FIGURES

Told = dict[str, tuple[str, frozenset[str]]]  # type and labels by name
ENDINGS = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


def told_metrics() -> Told:
    """By the names of docs/metrics.md."""
    modules = (metrics, process_watch, request_meter)
    found = {each for module in modules for each in vars(module).values() if isinstance(each, MetricWrapperBase)}
    of_processes = {
        name_of(each): (str(each._type), frozenset(each._labelnames))
        for each in found.union(process_watch.OF_EVERY_PROCESS)
    }
    return of_processes | {f"closecast_{each.name}": ("gauge", frozenset(each.labels)) for each in FIGURES}


def name_of(metric: MetricWrapperBase) -> str:
    """As Prometheus shows it."""
    return f"{metric._name}_total" if metric._type == "counter" else metric._name


def told_series() -> set[str]:
    """Names that a query may ask for."""
    return {f"{name}{ending}" for name, (kind, _) in told_metrics().items() for ending in ENDINGS[kind]}
