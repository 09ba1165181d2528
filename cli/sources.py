"""Which price sources a command asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from app.config import Settings
    from data_pipeline.sources.base import PriceSource


def open_sources(settings: Settings, *, source: str | None, path: Path | None) -> PriceSource:
    """The source named by option, else those of the settings in their order.

    Raises
    ------
    ConfigurationError : files are asked for, and no path is known.
    """
    from data_pipeline.sources.registry import OrderedSources

    if path is not None:
        source = source or "files"
        if source != "files":
            raise ConfigurationError(f"--path goes with --source files, not with {source}")
    names = [source] if source is not None else list(settings.sources)
    return OrderedSources([_open(name, settings, path) for name in names])


def _open(name: str, settings: Settings, path: Path | None) -> PriceSource:
    if name == "sample":
        from data_pipeline.sources.sample_source import SampleSource

        return SampleSource()
    if name == "files":
        from data_pipeline.sources.file_source import FileSource

        if (found := path or settings.files_path) is None:
            raise ConfigurationError("the source `files` needs --path FILE_OR_FOLDER, or CLOSECAST_FILES_PATH")
        return FileSource(found)
    from data_pipeline.sources.throttle import InMemoryBudget
    from data_pipeline.sources.yfinance_collector import YFinanceSource

    return YFinanceSource(
        settings.home / "cache",
        timeout_seconds=settings.source_timeout_seconds,
        limiter=InMemoryBudget(settings.source_requests_per_minute),
    )
