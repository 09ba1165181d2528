"""Ways to train that are compared on the same folds: whose bars a network learns from, and in which form.

The first four are those of countless tutorials and of the systems that this one is measured against; what all of them
foretell is the same, log returns in units of the share's own volatility, so their scores are comparable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.price_columns import RANGE_COLUMNS, RAW_COLUMNS

# What tutorials have beside their prices: nothing. The calendar stands in, since a network reads some context.
_PRICES_ALONE = {
    "context_columns": ["weekday_sine", "weekday_cosine"],
    "tree_share": 0.0,
    "long_run_shares": [],
    "scaler": "min_max",
}
_RAW = {**_PRICES_ALONE, "columns": [column.name for column in RAW_COLUMNS]}
_RANGE = {**_PRICES_ALONE, "columns": [column.name for column in RANGE_COLUMNS]}
# One share has some thousand windows: with the batches and epochs of a panel it would see a dozen steps.
_FEW_WINDOWS = {"every_days": 1, "batch_size": 64, "epochs": 10, "learning_rate": 0.001}


@dataclass(frozen=True)
class Strategy:
    """One way to train.

    Attributes
    ----------
    one_ticker : a network for each ticker, from its own bars; else one network for all.
    changes : fields of the training configuration, put over the base and under the parameters that are searched.
    comparison_only : it reads what a later split moves; the gate would refuse it, so it is no candidate for serving.
    """

    name: str
    about: str
    one_ticker: bool
    changes: Mapping[str, Any] = field(default_factory=dict)
    comparison_only: bool = False


_EVERY = (
    Strategy("one_ticker_raw", "one share's raw prices and volume", True, {**_RAW, **_FEW_WINDOWS}, True),
    Strategy("one_ticker_range", "one share's prices within the range of 60 days", True, {**_RANGE, **_FEW_WINDOWS}),
    Strategy("many_tickers_raw", "all shares' raw prices and volume", False, _RAW, True),
    Strategy("many_tickers_range", "all shares' prices within their range of 60 days", False, _RANGE),
    Strategy("volatility_units", "all shares' returns in units of their volatility: this project's", False),
)
STRATEGIES = {strategy.name: strategy for strategy in _EVERY}
OWN_STRATEGY = "volatility_units"


def named_strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises
    ------
    ConfigurationError : there is none.
    """
    if name not in STRATEGIES:
        raise ConfigurationError(f"no strategy is called {name}: {', '.join(STRATEGIES)} are")
    return STRATEGIES[name]
