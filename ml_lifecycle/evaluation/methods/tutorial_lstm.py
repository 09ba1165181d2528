"""The recipe of countless tutorials, as a warning: min-max-scaled closes, two LSTMs of 50 cells, one ticker."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation.methods.per_ticker import PerTickerMethod
from ml_lifecycle.export.manifest import LEVELS
from ml_lifecycle.training.determinism import turn_onednn_off

LOOKBACK = 60
UNITS = 50
DROPOUT = 0.2
EPOCHS = 10
BATCH = 32


class TutorialLstmMethod:
    """See ``Trainable``.

    The next scaled close from the last 60, by mean squared error; further steps feed on their own answers. The recipe
    knows no intervals: here they are its errors while training, times the root of the horizon. Unlike many a tutorial
    it is scaled by the training part alone.
    """

    one_ticker = True
    history_needed = LOOKBACK

    def __init__(self, levels: tuple[float, ...] = LEVELS, *, epochs: int = EPOCHS, seed: int = 7) -> None:
        self.levels, self.epochs, self.seed = levels, epochs, seed

    def fitted(self, bars_by_ticker: Mapping[str, BarArrays]) -> "FittedTutorialLstm":
        """See ``Trainable``.

        Raises
        ------
        InsufficientHistoryError : fewer than two windows and a close after them.
        """
        (bars,) = bars_by_ticker.values()
        closes = bars.adj_close
        if len(closes) < LOOKBACK + 2:
            raise InsufficientHistoryError(needed=LOOKBACK + 2, found=len(closes))
        low, high = float(closes.min()), float(closes.max())
        scaled = (closes - low) / (high - low)
        windows, targets = sliding_window_view(scaled[:-1], LOOKBACK), scaled[LOOKBACK:]
        network = self._network()
        network.fit(windows[..., None].astype(np.float32), targets, epochs=self.epochs, batch_size=BATCH, verbose=0)
        said = network.predict(windows[..., None].astype(np.float32), batch_size=1024, verbose=0)[:, 0]
        priced = np.maximum(low + said * (high - low), 0.01 * low)
        errors = np.log(closes[LOOKBACK:] / priced)
        return FittedTutorialLstm(
            self.levels, network, (low, high), np.quantile(errors - np.median(errors), self.levels)
        )

    def _network(self) -> Any:
        turn_onednn_off()
        import keras

        keras.utils.set_random_seed(self.seed)
        layers = keras.layers
        network = keras.Sequential(
            [
                keras.Input((LOOKBACK, 1)),
                layers.LSTM(UNITS, return_sequences=True),
                layers.Dropout(DROPOUT),
                layers.LSTM(UNITS),
                layers.Dropout(DROPOUT),
                layers.Dense(1),
            ]
        )
        network.compile(optimizer="adam", loss="mean_squared_error", jit_compile=False)
        return network


class FittedTutorialLstm(PerTickerMethod):
    """What ``TutorialLstmMethod`` has learnt of one ticker.

    ``bounds`` are the lowest and highest close while training, ``errors (n_levels,)`` quantiles of its log errors.
    """

    history_needed = history_used = LOOKBACK

    def __init__(
        self, levels: tuple[float, ...], network: Any, bounds: tuple[float, float], errors: FloatArray
    ) -> None:
        super().__init__(levels)
        self._network, self._bounds, self._errors = network, bounds, errors

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        low, high = self._bounds
        window = (bars.adj_close[ends[:, None] + np.arange(1 - LOOKBACK, 1)] - low) / (high - low)
        steps = np.empty((len(ends), max(horizons)))
        for step in range(max(horizons)):
            answer = self._network.predict_on_batch(window[..., None].astype(np.float32))
            steps[:, step] = np.asarray(answer)[:, 0]
            window = np.concatenate([window[:, 1:], steps[:, step : step + 1]], axis=1)
        # A scaled price can fall below any that was seen, but a share cannot cost less than nothing.
        price = np.maximum(low + steps * (high - low), 0.01 * low)
        centre = np.log(price / bars.adj_close[ends, None])[:, [horizon - 1 for horizon in horizons]]
        quantiles: FloatArray = centre[..., None] + np.sqrt(np.array(horizons))[:, None] * self._errors
        return quantiles
