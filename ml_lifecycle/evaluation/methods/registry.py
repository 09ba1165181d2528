"""Methods by name, and anybody's own by ``module:attribute``."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from data_pipeline.errors import ConfigurationError
from ml_lifecycle.evaluation.backtest import Method
from ml_lifecycle.evaluation.forecasters import Forecaster, NaiveForecaster, Trainable
from ml_lifecycle.evaluation.methods.autoets import AutoEtsMethod
from ml_lifecycle.evaluation.methods.drift import DriftMethod
from ml_lifecycle.evaluation.methods.ewma_fhs import EwmaFhsMethod
from ml_lifecycle.evaluation.methods.garch_t import GarchTMethod
from ml_lifecycle.evaluation.methods.lightgbm_quantiles import LightGbmMethod
from ml_lifecycle.evaluation.methods.tutorial_lstm import TutorialLstmMethod

METHODS: dict[str, Callable[[tuple[float, ...]], Method]] = {
    "naive": NaiveForecaster,
    "drift": DriftMethod,
    "ewma_fhs": EwmaFhsMethod,
    "garch_t": GarchTMethod,
    "autoets": AutoEtsMethod,
    "lightgbm": LightGbmMethod,
    "tutorial_lstm": TutorialLstmMethod,
}


def named_method(name: str, levels: tuple[float, ...]) -> Method:
    """A method of ours.

    Raises
    ------
    ConfigurationError : none is called so.
    """
    if name not in METHODS:
        raise ConfigurationError(f"no method is called {name}: {', '.join(METHODS)} are")
    return METHODS[name](levels)


def load_own_method(reference: str) -> Method:
    """A user's own method: a ``Forecaster`` or ``Trainable``, or what makes one without arguments.

    Parameters
    ----------
    reference : ``module:attribute``; modules of the working directory are found, too.

    Raises
    ------
    ConfigurationError : no such module or attribute, or it is no method.
    """
    name, _, attribute = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(import_module(name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"--method {reference}: {error}; module:attribute is wanted") from error
    # A class with the attributes of a method passes for one itself: it is called first.
    is_method = not isinstance(found, type) and isinstance(found, Forecaster | Trainable)
    method = found if is_method or not callable(found) else found()
    if not isinstance(method, Forecaster | Trainable):
        raise ConfigurationError(
            f"--method {reference} is no forecaster: it needs levels, history_needed, history_used and forecast_many, "
            "or one_ticker and fitted"
        )
    return method
