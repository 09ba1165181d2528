"""What a backtest is asked to compare: bundles, methods by name, methods of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ml_lifecycle.evaluation.backtest import Method
    from ml_lifecycle.export.bundle import Bundle

SHOWN_ID = 12  # characters of a bundle's id that name it in tables and files


@dataclass(frozen=True)
class ChosenMethods:
    """Methods by name, and the tickers whose means are the market of their bundles (empty: all)."""

    methods: dict[str, Method]
    members: frozenset[str]


def choose_methods(
    names: Sequence[str], own: Sequence[str], *, start: date, refit: bool, in_sample: bool
) -> ChosenMethods:
    """Find what is named; everything has the levels of the first bundle or own method, else the usual ones.

    Parameters
    ----------
    start : first day that can be a cutoff.
    refit : whether bundles give way to networks trained along the way by their configuration.
    in_sample : whether a bundle may be asked at cutoffs that it has seen.

    Raises
    ------
    ConfigurationError : nothing is named, or something is that is neither method nor bundle.
    InSampleError : a bundle has seen days from ``start`` on.
    """
    from cli.bundles import find_bundle
    from cli.settings import read_settings
    from data_pipeline.errors import ConfigurationError
    from ml_lifecycle.evaluation.methods.registry import METHODS, load_own_method, named_method
    from ml_lifecycle.export.bundle import load_bundle
    from ml_lifecycle.export.manifest import LEVELS

    if not names and not own:
        raise ConfigurationError(f"name a bundle or a method: {', '.join(METHODS)}, or --method module:attribute")
    bundles = {name: load_bundle(find_bundle(read_settings(), name)) for name in names if name not in METHODS}
    users = {reference.rpartition(":")[2]: load_own_method(reference) for reference in own}
    asked = {
        bundle.bundle_id[:SHOWN_ID]: _bundle_method(bundle, start, refit, in_sample) for bundle in bundles.values()
    }
    levels = next((tuple(method.levels) for method in (asked | users).values()), LEVELS)
    named = {name: named_method(name, levels) for name in names if name in METHODS}
    universes = [bundle.manifest.market_universe for bundle in bundles.values()]
    members = frozenset(ticker for one in universes if one for tickers in one.tickers.values() for ticker in tickers)
    return ChosenMethods({**asked, **named, **users}, members)


def _bundle_method(bundle: Bundle, start: date, refit: bool, in_sample: bool) -> Method:
    from ml_lifecycle.evaluation.evaluate import InSampleError
    from ml_lifecycle.evaluation.methods.network import NetworkMethod
    from ml_lifecycle.export.forecaster import BundleForecaster
    from ml_lifecycle.training.config import parse_config

    manifest = bundle.manifest
    if refit and bundle.network is not None:
        return NetworkMethod(parse_config(manifest.config, where=f"configuration of {bundle.bundle_id[:SHOWN_ID]}"))
    if manifest.calibration_end is not None and start <= manifest.calibration_end and not in_sample:
        raise InSampleError(manifest.calibration_end)
    return BundleForecaster(bundle)
