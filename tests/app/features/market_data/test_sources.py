"""Which sources the worker asks."""

from pathlib import Path

import pytest

from app.config import Settings
from app.features.market_data.sources import open_sources
from data_pipeline.errors import ConfigurationError


def test_sources_are_asked_in_the_order_of_the_settings(settings: Settings, tmp_path: Path) -> None:
    """Yahoo with limits that live in the database; nothing is asked yet."""
    prices = tmp_path / "prices.csv"
    prices.write_text("date,ticker,open,high,low,close,volume\n2024-01-02,AAPL,1,2,1,2,100\n")
    ordered = settings.model_copy(update={"sources": ["sample", "yfinance", "files"], "files_path": prices})

    assert open_sources(ordered).name == "sample,yfinance,files"


def test_files_without_a_path_are_refused(settings: Settings) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError, match="CLOSECAST_FILES_PATH"):
        open_sources(settings.model_copy(update={"sources": ["files"]}))
