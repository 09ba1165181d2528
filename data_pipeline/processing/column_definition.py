"""What an input column is."""

from collections.abc import Callable
from dataclasses import dataclass

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray


@dataclass(frozen=True)
class InputColumn:
    """One number per bar, computed from that bar and earlier ones.

    Attributes
    ----------
    warm_up : bars needed before the first exact value: ``compute(bars)[warm_up:]`` is finite, and starting the series
        later changes nothing beyond it (by more than 1e-9 relative).
    compute : bars to values, shape ``(n_bars,)``; NaN is allowed in the first ``warm_up`` places only.
    in_scale_units : the value is a log return (or a volatility) and is divided by the volatility scale at the cutoff
        when it stands in a window, so that calm and stormy tickers look alike to the network.
    """

    name: str
    warm_up: int
    compute: Callable[[BarArrays], FloatArray]
    in_scale_units: bool = False
