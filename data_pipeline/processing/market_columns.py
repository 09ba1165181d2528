"""Input columns from the market table: what the ticker's universe did on each bar's day."""

from collections.abc import Mapping

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.column_definition import InputColumn

# Exchange of a ticker -> the universe that it reads where it has none of its own. Only between venues that close at the
# same hour: the day of a market that closes later is not over yet when the forecast is made.
BORROWED: Mapping[str, str] = dict.fromkeys(("XDUS", "XFRA", "XHAM", "XSTU"), "XETR")


def market_return(bars: BarArrays) -> FloatArray:
    """Mean log return of the universe, shape ``(n_bars,)``; NaN where the day does not count."""
    return bars.market_return


def market_absolute_return(bars: BarArrays) -> FloatArray:
    """Mean size of the universe's log returns: how far an ordinary share moved that day."""
    return bars.market_absolute_return


# An unknown day is 0 after scaling and not before: a mean absolute return of 0 would be the calmest day ever seen.
MARKET_COLUMNS = (
    InputColumn("market_return", 0, market_return, in_scale_units=True, reads="market", can_be_unknown=True),
    InputColumn(
        "market_absolute_return", 0, market_absolute_return, in_scale_units=True, reads="market", can_be_unknown=True
    ),
)
