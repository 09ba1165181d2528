"""The ordered list of price sources: the first that answers names itself in the data."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from data_pipeline.sources.base import FetchedBars, PriceSource, PriceSourceError, PriceSourceUnavailableError

logger = logging.getLogger(__name__)


class OrderedSources:
    """A ``PriceSource`` that asks others in order; ``FetchedBars.source`` names the one that answered.

    What the sources before it failed with is logged, and told in ``FetchedBars.passed_over``.

    Only a ``PriceSourceError`` leads to the next source; anything else is a defect and travels up. When all fail, the
    error that tells most is raised: one that may pass (``PriceSourceUnavailableError``: the ticker may exist after all)
    before a final one, the earlier source's before the later's.

    Parameters
    ----------
    sources : at least one, the preferred first.
    """

    def __init__(self, sources: Sequence[PriceSource]) -> None:
        if not sources:
            raise ValueError("at least one price source wanted")
        self._sources = list(sources)
        self.name = ",".join(source.name for source in sources)

    def tickers(self) -> list[str]:
        """Every ticker that any of the sources holds by itself, sorted."""
        return sorted({ticker for source in self._sources for ticker in source.tickers()})

    def fetch_bars(self, ticker: str, start: date | None, end: date | None) -> FetchedBars:
        """Bars of the first source that has them.

        Raises
        ------
        PriceSourceError : no source has them.
        """
        errors: list[PriceSourceError] = []
        for source in self._sources:
            try:
                return _fallen_back(source.fetch_bars(ticker, start, end), errors)
            except PriceSourceError as error:
                errors.append(error)
        raise next((error for error in errors if isinstance(error, PriceSourceUnavailableError)), errors[0])


def _fallen_back(fetched: FetchedBars, errors: Sequence[PriceSourceError]) -> FetchedBars:
    """``fetched``, with the errors that led to its source."""
    for error in errors:
        level = logging.WARNING if isinstance(error, PriceSourceUnavailableError) else logging.INFO
        logger.log(level, "fall-back to %s: %s", fetched.source, error)
    return replace(fetched, passed_over=(*errors, *fetched.passed_over))
