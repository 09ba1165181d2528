"""What an input column is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray

Reads = Literal["closes", "bars", "market"]


@dataclass(frozen=True)
class InputColumn:
    """One number per bar, computed from that bar and earlier ones.

    Attributes
    ----------
    warm_up : bars needed before the first exact value: ``compute(bars)[warm_up:]`` is finite, and starting the series
        later changes nothing beyond it (by more than 1e-9 relative).
    compute : bars to values, shape ``(n_bars,)``; NaN is allowed in the first ``warm_up`` places only
        (but see ``can_be_unknown``).
    in_scale_units : the value is a log return (or a volatility) and is divided by the volatility scale at the cutoff
        when it stands in a window, so that calm and stormy tickers look alike to the network.
    reads : ``closes`` where the adjusted closes alone decide the value (neither the days nor another price nor the
        volume), ``bars`` where more of the ticker's own bars does, ``market`` where its universe does.
    can_be_unknown : NaN is allowed beyond the warm-up too and means "not known that day"; the scaler turns it into 0,
        which is the training part's centre, so that the network sees an ordinary day.
    """

    name: str
    warm_up: int
    compute: Callable[[BarArrays], FloatArray]
    in_scale_units: bool = False
    reads: Reads = "bars"
    can_be_unknown: bool = False
