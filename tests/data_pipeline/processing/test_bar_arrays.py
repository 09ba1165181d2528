"""Bars as arrays: cutting by number, by day, and at holes."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays
from tests.made_up_bars import make_bars


def _with_break(bars: BarArrays, row: int, days: int) -> BarArrays:
    """The same bars, those from ``row`` on ``days`` later."""
    later = np.where(np.arange(len(bars)) >= row, days, 0).astype("timedelta64[D]")
    return replace(bars, trading_day=bars.trading_day + later)


def test_bars_without_a_hole_are_one_piece() -> None:
    """A week without trading, as in September 2001, is no hole."""
    bars = _with_break(make_bars(10), row=5, days=7)
    assert [len(piece) for piece in bars.pieces()] == [10]


def test_a_break_of_months_parts_the_bars() -> None:
    bars = _with_break(make_bars(10), row=4, days=200)
    before, after = bars.pieces()
    assert (len(before), len(after)) == (4, 6)
    assert bars.after_last_hole().trading_day[0] == bars.trading_day[4]


def test_arrays_of_different_lengths_are_refused() -> None:
    bars = make_bars(4)
    with pytest.raises(ValueError, match="one length"):
        replace(bars, close=bars.close[:2])


def test_until_includes_its_day_and_last_takes_what_there_is() -> None:
    bars = make_bars(5, start="2024-01-01")
    assert bars.until(date(2024, 1, 3)).cutoff == date(2024, 1, 3)
    assert len(bars.last(9)) == 5


def test_market_arrays_are_cut_with_the_bars() -> None:
    bars = make_bars(6)

    assert bars[2:5].market_return.tolist() == bars.market_return[2:5].tolist()
    assert bars.last(2).market_absolute_return.tolist() == bars.market_absolute_return[-2:].tolist()


def test_without_a_universe_the_market_is_unknown_every_day() -> None:
    bars = make_bars(6)
    alone = BarArrays(bars.trading_day, bars.open, bars.high, bars.low, bars.close, bars.adj_close, bars.volume)

    assert np.isnan(alone.market_return).all()
    assert len(alone.until(bars.trading_day[3].item()).market_absolute_return) == 4
