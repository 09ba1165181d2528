"""The price sources of the settings, with limits that all processes share. Worker only: this brings yfinance."""

from app.config import Settings
from app.core.database import bounded_connection_string
from app.features.market_data.source_limits import PostgresBudget, PostgresCircuit
from data_pipeline.errors import ConfigurationError
from data_pipeline.sources.base import PriceSource
from data_pipeline.sources.registry import OrderedSources

YAHOO = "yfinance"


def open_sources(settings: Settings) -> PriceSource:
    """The sources that the settings name, asked in their order.

    Raises
    ------
    ConfigurationError : files are named, and no path is.
    """
    return OrderedSources([_open(name, settings) for name in settings.sources])


def _open(name: str, settings: Settings) -> PriceSource:
    if name == "sample":
        from data_pipeline.sources.sample_source import SampleSource

        return SampleSource()
    if name == "files":
        from data_pipeline.sources.file_source import FileSource

        if settings.files_path is None:
            raise ConfigurationError("the source `files` needs CLOSECAST_FILES_PATH")
        return FileSource(settings.files_path)
    from data_pipeline.sources.yfinance_collector import YFinanceSource

    connection_string = bounded_connection_string(settings)
    return YFinanceSource(
        settings.home / "cache",
        timeout_seconds=settings.source_timeout_seconds,
        limiter=PostgresBudget(connection_string, YAHOO, settings.source_requests_per_minute),
        breaker=PostgresCircuit(connection_string, YAHOO),
    )
