"""A network of this project as a method that is trained along the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays
from data_pipeline.serving_window import DataVersion
from data_pipeline.sources.exchanges import exchange_of
from ml_lifecycle.evaluation.network_forecaster import NetworkForecaster
from ml_lifecycle.training.checkpoint import Checkpoint
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.member_average import load_average
from ml_lifecycle.training.train import train

NOT_STORED = DataVersion(table_id="backtest", version=0, content_sha256="0" * 64)


@dataclass(frozen=True)
class NetworkMethod:
    """See ``Trainable``: trained by ``config`` on the bars given, asked as it is before an export.

    Dates in the configuration give way to its shares, spread over all the bars: the test part is the backtest.
    """

    config: TrainingConfig
    one_ticker = False

    @property
    def levels(self) -> tuple[float, ...]:
        """See ``Trainable``."""
        return self.config.levels

    @property
    def history_needed(self) -> int:
        """See ``Trainable``."""
        return self.config.input_spec.history_needed

    def fitted(self, bars_by_ticker: Mapping[str, BarArrays]) -> NetworkForecaster:
        """See ``Trainable``.

        Raises
        ------
        TooFewPairsError : a part of the bars holds no whole window with its target.
        """
        ends = part_ends(self.config, bars_by_ticker)
        config = TrainingConfig.model_validate({**self.config.model_dump(), **ends})
        with TemporaryDirectory() as folder:
            trained = train(
                config,
                bars_by_ticker,
                data_version=NOT_STORED,
                out_dir=Path(folder),
                universes=_universes(bars_by_ticker),
            )
            return checkpoint_forecaster(trained)


def checkpoint_forecaster(checkpoint: Checkpoint) -> NetworkForecaster:
    """A checkpoint's network with its static calibration."""
    content = checkpoint.content
    return NetworkForecaster(
        load_average(checkpoint),
        content.input_spec,
        checkpoint.scaler,
        horizons=content.config.horizons,
        levels=content.config.levels,
        offsets=checkpoint.offsets,
        long_run_shares=content.config.long_run_shares,
    )


def part_ends(config: TrainingConfig, bars_by_ticker: Mapping[str, BarArrays]) -> dict[str, date]:
    """The last day of each part: the configuration's shares of all trading days, without a test part."""
    days = np.unique(np.concatenate([bars.trading_day.astype("datetime64[D]") for bars in bars_by_ticker.values()]))
    shares = np.cumsum([config.train_share, config.validation_share, config.calibration_share])
    last: list[date] = days[(shares / shares[-1] * len(days)).astype(np.int64) - 1].tolist()
    return dict(zip(("train_end", "validation_end", "calibration_end"), last, strict=True))


def _universes(bars_by_ticker: Mapping[str, BarArrays]) -> dict[str, tuple[str, ...]]:
    """The tickers of each exchange."""
    exchange = {ticker: exchange_of(ticker) for ticker in bars_by_ticker}
    return {name: tuple(one for one in exchange if exchange[one] == name) for name in set(exchange.values())}
