"""After a run: a universe for an exchange that has none yet, and the means of the universes that the run touched."""

from collections import defaultdict
from collections.abc import Sequence

from data_pipeline.storage.feature_store import FeatureStore
from data_pipeline.ticker_collection import Outcome, TickerResult

SMALLEST_UNIVERSE = 10  # tickers of one exchange in one run; fewer make no market


def update_market(store: FeatureStore, results: Sequence[TickerResult], version: int) -> None:
    """Write the market means that follow from ``results`` at ``version``.

    The first run that brings enough tickers of an exchange makes them its universe; later ones do not change it.
    """
    changed = {result.ticker for result in results if result.outcome not in (Outcome.FAILED, Outcome.UNCHANGED)}
    if not changed:
        return
    universes = store.market.universes(version)
    for exchange, members in _first_universes(results).items():
        if exchange not in universes:
            universes[exchange] = members
            store.market.define(exchange, members, version)
    snapshot = store.at(version)
    for universe, members in universes.items():
        if members & changed:
            store.market.write(universe, snapshot.market_means(members), version)


def redefine_universe(store: FeatureStore, exchange: str, tickers: Sequence[str]) -> None:
    """Make ``tickers`` the universe of ``exchange`` from the newest data version on; its past is computed again.

    Raises
    ------
    NothingStoredError : nothing is stored yet.
    """
    version = store.version().version
    store.market.define(exchange, tickers, version)
    store.market.write(exchange, store.at(version).market_means(frozenset(tickers)), version)


def _first_universes(results: Sequence[TickerResult]) -> dict[str, frozenset[str]]:
    by_exchange: dict[str, set[str]] = defaultdict(set)
    for result in results:
        if result.quality is not None:
            by_exchange[result.quality.exchange].add(result.ticker)
    return {
        exchange: frozenset(tickers) for exchange, tickers in by_exchange.items() if len(tickers) >= SMALLEST_UNIVERSE
    }
