"""Bars of past data versions, where a run was missed or a window does not reach back. Worker only."""

import logging
from collections.abc import Collection

from app.config import Settings
from data_pipeline.errors import NothingStoredError, UnknownDataVersionError
from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from data_pipeline.storage.feature_store import FeatureStore

logger = logging.getLogger(__name__)

Version = tuple[str, int]  # table and number
Series = tuple[DayArray, FloatArray]  # days and adjusted closes of one ticker


class OutcomeStore:
    """Reads what the store held; opened when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def read(self, version: Version, tickers: Collection[str]) -> dict[str, Series]:
        """By ticker its days and adjusted closes in one data version; without those that it does not hold.

        A version that was vacuumed, or of another table, holds nothing: the next one is then the first there is.
        """
        table_id, number = version
        store = FeatureStore(self._settings.bars_uri, self._settings.store_options)
        try:
            snapshot = store.at(number)
            if snapshot.version is None or snapshot.table_id != table_id:
                return {}
            found = dict(snapshot.iterate_bar_arrays(tickers))
        except (NothingStoredError, UnknownDataVersionError) as error:
            logger.warning("data version %d is gone, outcomes come from a later one: %s", number, error)
            return {}
        return {ticker: (bars.trading_day, bars.adj_close) for ticker, bars in found.items()}
