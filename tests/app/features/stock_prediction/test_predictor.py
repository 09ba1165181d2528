"""What is live, and what nobody can be told was a forecast."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.features.market_data import crud
from app.features.stock_prediction.predictor import kind_of
from app.models.serving_window import ServingWindowRow
from data_pipeline.serving_window import ServingWindow
from tests.app.windows import make_window


def row_of(window: ServingWindow) -> ServingWindowRow:
    """The row that publishing would write."""
    return ServingWindowRow(**crud.values_of(window))


@pytest.mark.parametrize(
    ("seconds_after_open", "kind"), [(-86_400.0, "live"), (-0.001, "live"), (0.0, "hindcast"), (1.0, "hindcast")]
)
def test_a_forecast_is_live_until_its_first_target_day_opens(seconds_after_open: float, kind: str) -> None:
    """From the opening auction on the market knows something of the outcome."""
    window = make_window(live=True)
    made_at = window.opens_at + timedelta(seconds=seconds_after_open)

    assert kind_of(row_of(window), made_at) == kind


def test_bars_of_files_never_make_a_live_forecast() -> None:
    """Nobody knows when they were written."""
    window = replace(make_window(live=False), opens_at=datetime.max.replace(tzinfo=make_window().opens_at.tzinfo))

    assert kind_of(row_of(window), make_window().opens_at) == "hindcast"
