"""Whether spans are told to a collector: the setting, and what it needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from app.config import Settings
from data_pipeline.errors import ConfigurationError

NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


@contextmanager
def spans_told(settings: Settings, service: str) -> Iterator[None]:
    """Tell spans to the collector of the settings until the block ends; without one, do nothing.

    Raises
    ------
    ConfigurationError : what speaks to a collector is not installed.
    """
    if settings.otlp_endpoint is None:
        yield
        return
    require_tracing(settings)
    from app.core.monitoring.span_export import told_to_collector

    with told_to_collector(settings.otlp_endpoint, settings.otlp_sample_ratio, service):
        yield


def require_tracing(settings: Settings) -> None:
    """See that what the setting needs is installed.

    Raises
    ------
    ConfigurationError : it is not.
    """
    if settings.otlp_endpoint is not None and not all(map(_is_installed, NEEDED)):
        raise ConfigurationError("CLOSECAST_OTLP_ENDPOINT needs the extra `tracing`: pip install 'closecast[tracing]'")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False
