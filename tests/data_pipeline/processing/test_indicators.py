"""The fourteen classics, against their textbook formulas."""

import subprocess
import sys

import numpy as np
import pytest

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.indicators import INDICATORS
from data_pipeline.processing.input_columns import COLUMNS
from tests.made_up_bars import bars_of_closes, make_bars


def value(name: str, bars: BarArrays) -> FloatArray:
    return COLUMNS[name].compute(bars)


def test_there_are_fourteen() -> None:
    assert len({column.name for column in INDICATORS}) == 14


def test_a_price_that_rises_by_one_a_day_has_known_averages() -> None:
    closes = np.arange(1.0, 501.0)
    bars = bars_of_closes(closes)

    assert value("sma", bars)[-1] == pytest.approx(np.mean(closes[-20:]) / 500.0 - 1.0)
    assert value("bollinger_middle", bars)[-1] == pytest.approx(value("sma", bars)[-1])
    assert value("bollinger_upper", bars)[-1] == pytest.approx((490.5 + 2 * np.std(closes[-20:])) / 500.0 - 1.0)
    assert value("bollinger_lower", bars)[-1] == pytest.approx((490.5 - 2 * np.std(closes[-20:])) / 500.0 - 1.0)
    # An exponential average of n days trails a straight line by (n - 1) / 2.
    assert value("ema", bars)[-1] == pytest.approx(-9.5 / 500.0)
    assert value("macd", bars)[-1] == pytest.approx((12.5 - 5.5) / 500.0)
    assert value("macd_signal", bars)[-1] == pytest.approx(7.0 / 500.0)
    assert value("macd_histogram", bars)[-1] == pytest.approx(0.0, abs=1e-9)
    assert value("rsi", bars)[-1] == pytest.approx(1.0)
    assert value("atr", bars)[-1] == pytest.approx(1.0 / 500.0)
    assert value("simple_return", bars)[-1] == pytest.approx(1.0 / 499.0)
    assert value("volume_over_week", bars)[-1] == pytest.approx(1.0)


def test_bollinger_bands_are_those_of_ta_lib() -> None:
    import talib

    bars = make_bars(100)

    for name, band in zip(("upper", "middle", "lower"), talib.BBANDS(bars.adj_close, 20, 2.0, 2.0), strict=True):
        np.testing.assert_allclose(value(f"bollinger_{name}", bars), band / bars.adj_close - 1.0, atol=1e-9)


def test_volatility_is_the_deviation_of_twenty_log_returns() -> None:
    bars = make_bars(100)

    expected = np.std(np.diff(np.log(bars.adj_close))[-20:])
    assert value("volatility", bars)[-1] == pytest.approx(expected, rel=1e-9)


def test_volume_over_month_compares_with_twenty_days() -> None:
    bars = make_bars(100)

    assert value("volume_over_month", bars)[-1] == pytest.approx(bars.volume[-1] / np.mean(bars.volume[-20:]))


def test_days_without_any_trade_have_ratio_1() -> None:
    bars = bars_of_closes(np.full(30, 10.0))
    idle = BarArrays(bars.trading_day, *[bars.close] * 5, np.zeros(30))

    assert value("volume_over_month", idle)[-1] == 1.0


def test_ta_lib_is_imported_only_when_a_value_is_asked_for() -> None:
    code = (
        "import sys, numpy as np\n"
        "from tests.made_up_bars import make_bars\n"
        "from data_pipeline.processing.input_columns import COLUMNS, warm_up\n"
        "warm_up(COLUMNS)\n"
        "assert 'talib' not in sys.modules and 'pandas' not in sys.modules\n"
        "COLUMNS['sma'].compute(make_bars(40))\n"
        "assert 'talib' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
