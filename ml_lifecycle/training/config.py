"""What a training run is told: everything that decides its outcome, checked before anything is computed."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.lstm_preprocessor import InputKind, InputSpec
from data_pipeline.processing.own_columns import OwnColumns
from data_pipeline.processing.scaler import ScalerKind
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED as LONG_RUN_NEEDED
from ml_lifecycle.export.manifest import HORIZONS, LEVELS, STEPS
from ml_lifecycle.models.layers import LayerConfig, named_layer
from ml_lifecycle.training.config_document import ConfigDocument
from ml_lifecycle.training.period import Period
from ml_lifecycle.training.yaml_file import read_yaml

CONFIGS = Path(__file__).parent / "configs"
# What a configuration gets that names none; what was chosen (docs/input_columns.md) is configs/default.yaml.
COLUMNS = ("log_return", "range_volatility", "gap", "volume_ratio")
CONTEXT_COLUMNS = (
    "volatility_level",
    "volatility_state_fast",
    "volatility_state_medium",
    "range_state_fast",
    "range_state_medium",
    "weekday_sine",
    "weekday_cosine",
)
ALIASES = {
    "seq_length": "lookback",
    "sequence_length": "lookback",
    "num_epochs": "epochs",
    "layer_config": "layers",
}  # names of the reference systems
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Level = Annotated[float, Field(gt=0.0, lt=1.0)]
LongRunShare = Annotated[float, Field(ge=0.0, lt=1.0)]
Horizon = Annotated[int, Field(ge=1, le=STEPS)]


class TrainingConfig(BaseModel):
    """One training run.

    Attributes
    ----------
    fine_tune : the bundle to go on from, by id or by its beginning; see ``fine_tuning``.
    columns, context_columns, lookback, scale_decays, scale_length : the inputs, see ``InputSpec``.
    input_kind : what the columns are said to read; refused where they read something else. None: whatever they do.
    own_columns : the user's module that some of the columns are from; ``load_config`` fills it in.
    scaler : how input columns are scaled; fitted on the training part.
    layers : the network's body, as mappings or by name (``[LSTM, Dropout, Linear]``; named layers are ``hidden_size``
        wide, one named LSTM stands for ``num_layers`` of them, a last "Linear" is the head). Up to the last LSTM or
        Flatten a layer sees the window, after it also the context. The head (quantiles that never cross) is added by
        itself. Empty: ``num_layers`` LSTMs.
    members : sub-networks of different seeds, averaged inside the graph.
    tree_share : weight of boosted trees over the context (``models.scale_trees``) beside the network; 0: none.
    long_run_shares : per horizon, share of the ticker's own empirical quantiles in the forecast
        (``export.long_run``); empty: the network alone.
    epochs : passes over the training cutoffs at most; early stopping usually ends it sooner.
    weight_average : decay per batch of the moving average of weights that is looked at and kept; 0: the newest weights.
    validate_every : batches between two looks at the validation part; half an epoch at most.
    patience : looks without improvement before training stops.
    every_days : distance between a ticker's training cutoffs, in bars.
    train_share, validation_share, calibration_share : of the trading days, in this order; the rest is the test part.
    gate_days : newest trading days that no part but the test's may reach into, whatever the shares; the gate judges on
        them. Commands take it from the settings where a configuration does not say.
    train_end, validation_end, calibration_end : the same as dates; all three or none. They win over ``gate_days``.
    train_period : only the newest cutoffs of the training part are learnt from, those of so long a time; None: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fine_tune: str | None = Field(default=None, min_length=6)
    name: str = Field(default="lstm", pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    seed: int = Field(default=7, ge=0, le=2**31 - 1)

    columns: tuple[str, ...] = COLUMNS
    context_columns: tuple[str, ...] = Field(default=CONTEXT_COLUMNS, min_length=1)
    input_kind: InputKind | None = None
    lookback: int = Field(default=60, ge=5, le=200)
    scale_decays: tuple[Level, ...] = (0.94, 0.99)
    scale_length: int = Field(default=250, ge=20, le=1000)
    own_columns: OwnColumns | None = None
    scaler: ScalerKind = "standard"

    layers: tuple[LayerConfig, ...] = ()
    hidden_size: int = Field(default=32, ge=1, le=512)
    num_layers: int = Field(default=1, ge=1, le=5)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    members: int = Field(default=1, ge=1, le=9)
    horizons: tuple[Horizon, ...] = HORIZONS
    levels: tuple[Level, ...] = LEVELS

    tree_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    long_run_shares: tuple[LongRunShare, ...] = ()

    learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    weight_decay: float = Field(default=1e-3, ge=0.0, le=1.0)
    weight_average: float = Field(default=0.0, ge=0.0, lt=1.0)
    batch_size: int = Field(default=512, ge=1, le=65536)
    epochs: int = Field(default=3, ge=1, le=1000)
    validate_every: int = Field(default=120, ge=1, le=100_000)
    patience: int = Field(default=6, ge=1, le=1000)
    every_days: int = Field(default=1, ge=1, le=250)

    train_share: Share = 0.70
    validation_share: Share = 0.12
    calibration_share: Share = 0.08
    gate_days: int = Field(default=0, ge=0, le=10_000)
    train_end: date | None = None
    validation_end: date | None = None
    calibration_end: date | None = None
    train_period: Period | None = None

    @model_validator(mode="before")
    @classmethod
    def _other_spellings(cls, content: Any) -> Any:
        """Lift ``hyperparameters {…}``, translate other systems' names, spell out layers given by name."""
        if not isinstance(content, Mapping):
            return content
        flat = _in_own_names(content)
        if isinstance(flat.get("layers"), list | tuple):
            flat["layers"] = _spelled_out(flat["layers"], flat)
        return flat

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.horizons[0] != 1 or self.horizons[-1] != STEPS or list(self.horizons) != sorted(set(self.horizons)):
            raise ValueError(f"horizons must ascend from 1 to {STEPS}: nothing is extrapolated")
        mirrored = sorted(round(1.0 - level, 12) for level in self.levels)
        if list(self.levels) != sorted(set(self.levels)) or not _close(self.levels, mirrored) or 0.5 not in self.levels:
            raise ValueError("levels must ascend, mirror each other and hold 0.5")
        ends = (self.train_end, self.validation_end, self.calibration_end)
        if any(ends) and (None in ends or sorted(ends) != list(ends) or len(set(ends)) < 3):  # type: ignore[type-var]  # None never reaches sorted
            raise ValueError("train_end < validation_end < calibration_end: give all three or none")
        if self.train_share + self.validation_share + self.calibration_share >= 1.0:
            raise ValueError("train_share + validation_share + calibration_share must leave a test part")
        self._check_long_run()
        _check_order(self.body)
        kind = self.input_spec.input_kind
        if self.input_kind not in (None, kind):
            raise ValueError(f"input_kind is declared as {self.input_kind}, but these columns make it {kind}")
        return self

    def _check_long_run(self) -> None:
        if len(self.long_run_shares) not in (0, len(self.horizons)):
            raise ValueError("long_run_shares: one per horizon wanted, or none")
        if any(self.long_run_shares) and self.input_spec.history_needed < LONG_RUN_NEEDED:
            raise ValueError(f"long_run_shares want columns that need {LONG_RUN_NEEDED} bars or more")

    def leaving_to_gate(self, days: int) -> Self:
        """With so many ``gate_days``, unless this configuration says how many."""
        return self if "gate_days" in self.model_fields_set else self.model_copy(update={"gate_days": days})

    @property
    def fewest_days(self) -> int:
        """Trading days without which no training can be: with fewer, some part holds no window with its whole target.

        The first window takes ``history_needed`` bars, its longest target more, and so does that of each part after it.
        """
        longest = self.horizons[-1]
        window = self.input_spec.history_needed + longest
        if self.calibration_end is not None:
            return window
        shares = (self.train_share, self.validation_share, self.calibration_share)
        kept = max(need / share for need, share in zip((window, longest, longest), shares, strict=True))
        return math.ceil(max(kept, self.gate_days + sum(shares) * kept))

    @property
    def body(self) -> tuple[LayerConfig, ...]:
        """The layers before the head; one that never ends the sequence sees the window flattened."""
        if self.layers:
            ends = any(layer.type in ("LSTM", "Flatten") for layer in self.layers)
            return self.layers if ends else (LayerConfig(type="Flatten"), *self.layers)
        dropped = (LayerConfig(type="Dropout", rate=self.dropout),) if self.dropout else ()
        return (LayerConfig(type="LSTM", units=self.hidden_size), *dropped) * self.num_layers

    @property
    def input_spec(self) -> InputSpec:
        """What the network reads."""
        return InputSpec(
            columns=self.columns,
            context_columns=self.context_columns,
            lookback=self.lookback,
            scale_decays=self.scale_decays,
            scale_length=self.scale_length,
            own_columns=self.own_columns,
        )


def load_config(path: Path | str | None = None, *, own: OwnColumns | None = None, **changes: Any) -> TrainingConfig:
    """Read a YAML file (a path, or ``demo`` or ``default`` for the packaged ones) and apply changes to it.

    Parameters
    ----------
    path : its file may also tell the configuration in four parts (``config_document``); the bars that it then names
        are given by ``load_document`` alone.
    own : a user's columns. Those that the file puts in neither list join the columns of the window.

    Raises
    ------
    ConfigurationError : one line that names the file and the first wrong field.
    """
    return configured(load_document(path), own=own, where=str(_config_file(path)), **changes)


def load_document(path: Path | str | None = None) -> ConfigDocument:
    """What a YAML file says, of the configuration and of the bars; the configuration is not validated yet.

    Raises
    ------
    ConfigurationError : it cannot be read, names a field twice, or is no mapping.
    """
    file = _config_file(path)
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: a mapping of field names to values wanted")
    return ConfigDocument.read(content, where=str(file))


def configured(
    document: ConfigDocument, *, where: str = "training configuration", own: OwnColumns | None = None, **changes: Any
) -> TrainingConfig:
    """The configuration of a document, with changes; ``own`` as in ``load_config``.

    Raises
    ------
    ConfigurationError
    """
    try:
        told = {**_in_own_names(document.config), **_in_own_names(changes)}
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    config = parse_config({**told, **({"own_columns": own} if own else {})}, where=where)
    placed = (*config.columns, *config.context_columns)
    joining = [name for name in (own.names if own else ()) if name not in placed]
    return config.model_copy(update={"columns": (*config.columns, *joining)}) if joining else config


def parse_config(content: Mapping[str, Any], *, where: str = "training configuration") -> TrainingConfig:
    """Validate a configuration.

    Raises
    ------
    ConfigurationError : one line that names ``where`` and the first wrong field.
    """
    try:
        return TrainingConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{where}: {field + ': ' if field else ''}{first['msg']}") from error
    except ConfigurationError as error:  # an unknown input column
        raise ConfigurationError(f"{where}: {error}") from error


def _in_own_names(content: Mapping[str, Any]) -> dict[str, Any]:
    """Other systems' names translated, what is boxed in ``hyperparameters`` lifted out.

    Raises
    ------
    ValueError : the box is none, or a field has two values.
    """
    boxed: Any = content.get("hyperparameters", {})
    if not isinstance(boxed, Mapping):
        raise ValueError("hyperparameters must be a mapping")  # noqa: TRY004 - Pydantic reports ValueErrors only
    flat: dict[str, Any] = {}
    told: list[tuple[str, Any]] = [*content.items(), *boxed.items()]
    for name, value in told:
        own = ALIASES.get(name, name)
        if own in flat and flat[own] != value:
            raise ValueError(f"{own} is given two values, under two spellings or in two places")
        flat[own] = value
    flat.pop("hyperparameters", None)
    return flat


def _config_file(path: Path | str | None) -> Path:
    packaged = CONFIGS / f"{path or 'default'}.yaml"
    return packaged if packaged.is_file() else Path(str(path))


def _spelled_out(layers: Sequence[Any], content: Mapping[str, Any]) -> list[Any]:
    """Names become layers; the last "Linear" is the head itself, which every network has."""
    listed = list(layers)
    if len(listed) > 1 and listed[-1] in ("Linear", "Dense"):
        listed.pop()
    hidden_size, dropout = content.get("hidden_size", 32), content.get("dropout") or 0.1
    depth = content.get("num_layers", 1)
    spelled: list[Any] = []
    for layer in listed:
        if not isinstance(layer, str):
            spelled.append(layer)
            continue
        copies = depth if layer == "LSTM" and listed.count("LSTM") == 1 and isinstance(depth, int) else 1
        spelled += [named_layer(layer, hidden_size=hidden_size, dropout=dropout)] * copies
    return spelled


def _check_order(body: tuple[LayerConfig, ...]) -> None:
    types = [layer.type for layer in body]
    if "Flatten" in types and "LSTM" in types[types.index("Flatten") :]:
        raise ValueError("layers: no LSTM after Flatten, there is no sequence left")
    if types.count("Flatten") > 1:
        raise ValueError("layers: one Flatten at most")


def _close(levels: tuple[float, ...], mirrored: list[float]) -> bool:
    return all(abs(one - other) < 1e-9 for one, other in zip(levels, mirrored, strict=True))
