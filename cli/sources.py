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

    Where a database runs, Yahoo's token bucket and circuit breaker are those that the worker uses too.

    Raises
    ------
    ConfigurationError : files are asked for, and no path is known or nothing is there.
    """
    from app.features.market_data import sources as shared
    from data_pipeline.sources.registry import OrderedSources

    chosen = _chosen(settings, source=source, path=path)
    if "files" in chosen.sources and chosen.files_path is not None and not chosen.files_path.exists():
        raise ConfigurationError(f"no such file or folder: {chosen.files_path}")
    if chosen.database_url is not None or shared.YAHOO not in chosen.sources:
        return shared.open_sources(chosen)
    each = [chosen.model_copy(update={"sources": [name]}) for name in chosen.sources]
    return OrderedSources([_yahoo(one) if shared.YAHOO in one.sources else shared.open_sources(one) for one in each])


def _chosen(settings: Settings, *, source: str | None, path: Path | None) -> Settings:
    if path is not None and source not in (None, "files"):
        raise ConfigurationError(f"--path goes with --source files, not with {source}")
    if path is not None:
        return settings.model_copy(update={"sources": ["files"], "files_path": path})
    if source is None:
        return settings
    if source == "files" and settings.files_path is None:
        raise ConfigurationError("--source files needs --path FILE_OR_FOLDER, or CLOSECAST_FILES_PATH")
    return settings.model_copy(update={"sources": [source]})


def _yahoo(settings: Settings) -> PriceSource:
    """Yahoo with limits of this process alone."""
    from data_pipeline.sources.throttle import InMemoryBudget
    from data_pipeline.sources.yfinance_collector import YFinanceSource

    return YFinanceSource(
        settings.home / "cache",
        timeout_seconds=settings.source_timeout_seconds,
        limiter=InMemoryBudget(settings.source_requests_per_minute),
    )
