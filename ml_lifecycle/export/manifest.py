"""The manifest of a bundle: what it is, what it was made from, what it must answer."""

import hashlib
import math
from collections.abc import Collection, Mapping
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import MARKET_ARRAYS, BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputKind, InputSpec
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.long_run import long_run_history

STEPS = 30  # a forecast row always holds steps 1-30
HORIZONS = (1, 2, 3, 4, 5, 10, 21, 30)
LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9]+)+$", max_length=80)]
LongRunShare = Annotated[float, Field(ge=0.0, lt=1.0)]
PositiveInt = Annotated[int, Field(ge=1, le=100_000)]


class BundleKind(StrEnum):
    """A trained network, or the reference that every network has to beat."""

    NETWORK = "network"
    REFERENCE = "reference"


class MarketUse(StrEnum):
    """Whether a forecast read what the ticker's market did."""

    USED = "used"
    FALLBACK = "fallback"  # the network reads it, but it is unknown on some or all of the days
    NOT_USED = "not_used"


class ManifestPart(BaseModel):
    """Unknown fields are refused, and no number is NaN or infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NamedDataVersion(ManifestPart):
    """The state of the bars store that the network was trained on."""

    table_id: str
    version: int
    content_sha256: str


class MarketUniverse(ManifestPart):
    """Which tickers make the market inputs of an exchange; other exchanges borrow one or get ``fallback``.

    Attributes
    ----------
    tickers : members of each universe, which goes by the name of its exchange, as of the data version.
    borrowed : exchange without a universe -> the one whose universe its tickers read.
    fallback : what the network sees where the market is unknown, after scaling: 0, an ordinary day.
    """

    tickers: dict[str, tuple[str, ...]]
    borrowed: dict[str, str] = {}
    fallback: Annotated[float, Field(ge=0.0, le=0.0)] = 0.0

    def reads(self, universe: str | None, exchange: str) -> bool:
        """Whether tickers of ``exchange`` were to be forecast with the means of ``universe``."""
        lender = exchange if exchange in self.tickers else self.borrowed.get(exchange)
        return universe is not None and universe == lender

    @model_validator(mode="after")
    def _lenders_exist(self) -> Self:
        if not set(self.borrowed.values()) <= self.tickers.keys():
            raise ValueError("a universe is borrowed that is not named")
        return self


class GoldenWindow(ManifestPart):
    """Bars and the quantiles that they must give wherever the bundle is loaded.

    ``log_returns`` has shape ``(STEPS, n_levels)``; the other fields are the arrays of ``BarArrays``. Those of the
    market hold None where it is unknown, and are empty where it is unknown throughout.
    """

    trading_day: tuple[date, ...]
    open: tuple[FiniteFloat, ...]
    high: tuple[FiniteFloat, ...]
    low: tuple[FiniteFloat, ...]
    close: tuple[FiniteFloat, ...]
    adj_close: tuple[FiniteFloat, ...]
    volume: tuple[FiniteFloat, ...]
    market_return: tuple[FiniteFloat | None, ...] = ()
    market_absolute_return: tuple[FiniteFloat | None, ...] = ()
    log_returns: tuple[tuple[FiniteFloat, ...], ...]

    def bars(self) -> BarArrays:
        """The window as the forecaster takes it."""
        numbers = {name: np.array(getattr(self, name), dtype=np.float64) for name in (*_PRICES, *MARKET_ARRAYS)}
        return BarArrays(trading_day=np.array(self.trading_day, dtype="datetime64[D]"), **numbers)

    def answer(self) -> FloatArray:
        """The quantiles asked for, shape ``(STEPS, n_levels)``."""
        return np.array(self.log_returns, dtype=np.float64)

    @classmethod
    def of(cls, bars: BarArrays, log_returns: FloatArray) -> Self:
        """Record that ``bars`` were answered with ``log_returns``."""
        prices = {name: tuple(getattr(bars, name).tolist()) for name in _PRICES}
        days = tuple(bars.trading_day.astype("datetime64[D]").tolist())
        market = {name: _known_or_none(getattr(bars, name)) for name in MARKET_ARRAYS}
        return cls(trading_day=days, log_returns=tuple(map(tuple, log_returns.tolist())), **prices, **market)

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if len({len(self.trading_day), *(len(getattr(self, name)) for name in _PRICES)}) > 1:
            raise ValueError("arrays of one length wanted")
        if any(len(getattr(self, name)) not in (0, len(self.trading_day)) for name in MARKET_ARRAYS):
            raise ValueError("market arrays of the bars' length wanted, or none")
        return self


_PRICES = ("open", "high", "low", "close", "adj_close", "volume")


def _known_or_none(values: FloatArray) -> tuple[float | None, ...]:
    listed = tuple(value if math.isfinite(value) else None for value in values.tolist())
    return listed if any(value is not None for value in listed) else ()


class Manifest(ManifestPart):
    """Everything a bundle says about itself; nothing of it is read from today's settings.

    Attributes
    ----------
    files : SHA-256 of every file of the folder except ``manifest.json`` itself, by name.
    weights_sha256 : over path, dtype, shape and bytes of each variable (``.keras`` files hold times; this does not).
    history_needed : bars for one forecast, warm-up included; with fewer there is none.
    history_used : newest bars that can change a forecast (the reference, and a network with ``long_run_shares``, take
        up to 1,031 where they have them).
    input_spec : how bars become windows, as ``InputSpec`` reads it; None for the reference.
    fine_tuned_from, fine_tuned_tickers : the bundle whose weights it began with, and the tickers that it went on with.
    tickers : those that it was trained on; ``train_start`` is the day of their first bar.
    member_weights : share of each ONNX file in the average, summing to 1; empty for the reference.
    long_run_shares : per horizon, share of the ticker's own empirical quantiles beside the network's; empty: none.
    scores : per horizon, each figure beside the reference's on the same cutoffs.
    """

    format: Literal[1] = 1
    kind: BundleKind
    created_at: datetime
    files: dict[FileName, Sha256]
    weights_sha256: Sha256 | None = None
    data_version: NamedDataVersion | None = None
    config: dict[str, Any] = {}
    seed: int | None = None
    git_commit: str | None = None
    library_versions: dict[str, str] = {}
    history_needed: PositiveInt
    history_used: PositiveInt
    horizons: tuple[PositiveInt, ...] = HORIZONS
    quantile_levels: tuple[FiniteFloat, ...] = LEVELS
    input_columns: tuple[str, ...] = ()
    context_columns: tuple[str, ...] = ()
    input_spec: InputSpec | None = None
    input_kind: InputKind
    market_universe: MarketUniverse | None = None
    tickers: tuple[str, ...] = ()
    fine_tuned_from: Sha256 | None = None
    fine_tuned_tickers: tuple[str, ...] = ()
    train_start: date | None = None
    train_end: date | None = None
    calibration_end: date | None = None
    member_weights: dict[FileName, FiniteFloat] = {}
    long_run_shares: tuple[LongRunShare, ...] = ()
    golden: GoldenWindow
    scores: list[dict[str, Any]] = []

    def network_interface(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input and output of the graph, its batch axis left out; empty for the reference."""
        spec = self.input_spec
        if spec is None:
            return {}
        return {
            "window": (spec.lookback, len(spec.columns)),
            "context": (len(spec.context_columns),),
            "quantiles": (len(self.horizons), len(self.quantile_levels)),
        }

    @model_validator(mode="after")
    def _steps_and_levels(self) -> Self:
        if self.horizons[:1] != (1,) or self.horizons[-1] != STEPS or not _ascending(self.horizons):
            raise ValueError(f"horizons ascend from 1 to {STEPS}")
        if not _ascending((0.0, *self.quantile_levels, 1.0)) or not _symmetric(self.quantile_levels):
            raise ValueError("quantile levels ascend within (0, 1), symmetric around the median")
        if np.shape(self.golden.log_returns) != (STEPS, len(self.quantile_levels)):
            raise ValueError("the golden answer has one row per step and one column per level")
        if not self.history_needed <= self.history_used:
            raise ValueError("history_used is at least history_needed")
        return self

    @model_validator(mode="after")
    def _input_spec_says_the_same(self) -> Self:
        spec = self.input_spec
        if spec is None:
            return self
        if (spec.columns, spec.context_columns) != (self.input_columns, self.context_columns):
            raise ValueError("input_spec names other columns than input_columns and context_columns")
        used = long_run_history(spec.history_needed, self.long_run_shares)
        if (self.history_needed, self.history_used) != (spec.history_needed, used):
            raise ValueError(f"these columns need {spec.history_needed} bars and use {used}")
        if self.input_kind is not spec.input_kind:
            raise ValueError(f"input_kind is {self.input_kind}, these columns make it {spec.input_kind}")
        if spec.market_bars and self.market_universe is None:
            raise ValueError("a network that reads the market names market_universe")
        return self

    @model_validator(mode="after")
    def _kind_has_its_fields(self) -> Self:
        of_network = (self.weights_sha256, self.input_spec, self.train_end, self.calibration_end)
        if self.kind is BundleKind.NETWORK and (None in of_network or not self.member_weights):
            raise ValueError("a network names weights_sha256, input_spec, train_end, calibration_end, member_weights")
        if self.member_weights and not _shares(self.member_weights.values()):
            raise ValueError("member_weights are positive and sum to 1")
        if len(self.long_run_shares) not in (0, len(self.horizons)):
            raise ValueError("long_run_shares has one share per horizon, or none")
        if self.kind is BundleKind.REFERENCE and (any(of_network) or self.member_weights or self.long_run_shares):
            raise ValueError(
                "a reference has no weights, input_spec, train_end, calibration_end, member_weights or long_run_shares"
            )
        return self

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Self:
        """Validate what ``manifest.json`` holds.

        Raises
        ------
        BundleRefusedError : names the first field that is wrong.
        """
        try:
            manifest = cls.model_validate_json(canonical_json(content), strict=True)
            if manifest.input_spec is not None and manifest.input_spec.own_columns is not None:
                manifest.input_spec.own_columns.require()  # as it lies there now, whatever this process ran before
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise BundleRefusedError(f"manifest.json {where}: {first['msg']}") from error
        except ConfigurationError as error:  # a column that this version does not know, or a module of one's own
            raise BundleRefusedError(f"manifest.json input_spec: {error}") from error
        return manifest


def bundle_id(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical manifest without ``created_at``, so that one content has one name."""
    timeless = {field: value for field, value in content.items() if field != "created_at"}
    return hashlib.sha256(canonical_json(timeless)).hexdigest()


def _shares(weights: Collection[float]) -> bool:
    return min(weights) > 0.0 and abs(sum(weights) - 1.0) < 1e-9


def _ascending(numbers: tuple[float, ...]) -> bool:
    return all(left < right for left, right in pairwise(numbers))


def _symmetric(levels: tuple[float, ...]) -> bool:
    mirrored = tuple(1.0 - level for level in reversed(levels))
    return len(levels) % 2 == 1 and bool(np.allclose(levels, mirrored, rtol=0.0, atol=1e-12))
