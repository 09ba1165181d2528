"""The champion's configuration, and the one that a training begins with where nothing else is said."""

import json
from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.configuration import crud
from app.features.configuration.errors import (
    ConfigVersionNotFoundError,
    InvalidConfigurationError,
    NoChampionConfigError,
)
from app.features.configuration.schemas import (
    ChangedDefaults,
    ConfigParts,
    ConfigRead,
    DefaultsRead,
    Hyperparameters,
    NewDefaults,
)
from app.features.market_data.service import require_stored, require_version
from app.features.registry.service import champion_manifest
from app.models.training_job import TrainingDefaults
from data_pipeline.errors import ConfigurationError
from data_pipeline.ticker import MalformedTickerError
from ml_lifecycle.training.config import ALIASES, TrainingConfig, configured, load_document
from ml_lifecycle.training.config_document import PARTS, ConfigDocument, DataChoice, in_parts

PACKAGED_VERSION = 0
LONGEST = 65_536  # characters of one version, as JSON
# Of the days that one training was cut by, and of a parent that it went on from: another cuts the days anew.
OF_ONE_TRAINING = frozenset(
    {"fine_tune", "gate_days", "train_end", "validation_end", "calibration_end", "train_period"}
)


async def read_config(db: AsyncSession, *, version: int | None = None) -> ConfigRead:
    """Both configurations; of the defaults the newest version, or the one asked for.

    Raises
    ------
    ConfigVersionNotFoundError, NoChampionError
    """
    champion = await champion_parts(db)
    return ConfigRead(**champion.model_dump(), champion=champion, defaults=await read_defaults(db, version=version))


async def champion_parts(db: AsyncSession) -> ConfigParts:
    """The champion's configuration with the tickers that it was trained on.

    Raises
    ------
    NoChampionError : the installation was not prepared.
    """
    bundle_id, manifest = await champion_manifest(db)
    known = {
        "bundle": bundle_id,
        **{name: manifest.get(name) for name in ("kind", "created_at", "data_version", "train_end", "calibration_end")},
    }
    return ConfigParts(**in_parts(manifest["config"], metadata=known, data=_trained_on(manifest)))


async def champion_training(db: AsyncSession) -> tuple[dict[str, Any], list[str]]:
    """What to train the champion's like again: fields of ``TrainingConfig``, and tickers; its days are cut anew.

    Raises
    ------
    NoChampionConfigError : it is the reference.
    NoChampionError
    """
    _, manifest = await champion_manifest(db)
    config = manifest["config"]
    if manifest["kind"] != "network":
        raise NoChampionConfigError
    kept = {name: value for name, value in config.items() if name not in OF_ONE_TRAINING}
    return kept, list(manifest["tickers"])


async def read_defaults(db: AsyncSession, *, version: int | None = None) -> DefaultsRead:
    """The newest version of the defaults, or the one asked for.

    Raises
    ------
    ConfigVersionNotFoundError
    """
    row = None if version == PACKAGED_VERSION else await crud.find_defaults(db, version)
    if row is None and version not in (None, PACKAGED_VERSION):
        raise ConfigVersionNotFoundError(version)
    return _shown(row)


async def replace_defaults(db: AsyncSession, new: NewDefaults, *, by: str) -> DefaultsRead:
    """Append a version that says what ``new`` says and nothing else, and commit.

    Raises
    ------
    InvalidConfigurationError
    TickerNotStoredError, DataVersionNotFoundError : every training that names none of its own would be refused.
    """
    return await _append(db, _own_names(new.model_dump()), by=by)


async def change_defaults(db: AsyncSession, change: ChangedDefaults, *, by: str) -> DefaultsRead:
    """Append a version in which a part is changed, and commit.

    Raises
    ------
    InvalidConfigurationError, TickerNotStoredError, DataVersionNotFoundError
    """
    await crud.lock_defaults(db)
    former = (await read_defaults(db)).model_dump(include=set(PARTS))
    told = change.model_dump(include=set(PARTS))
    changed = in_parts(given(change, change.hyperparameters), metadata={})
    return await _append(db, {part: {**former[part], **_told_once(changed[part], told[part])} for part in PARTS}, by=by)


def given(*told: Hyperparameters | None) -> dict[str, Any]:
    """The hyperparameters that were named, under our own names.

    Raises
    ------
    InvalidConfigurationError : one was given two values, here and there or under two names.
    """
    fields = set(Hyperparameters.model_fields)
    return _told_once(*(each.model_dump(include=fields, exclude_none=True) for each in told if each is not None))


def validated(document: ConfigDocument, **changes: Any) -> TrainingConfig:
    """The configuration that a network would be trained with.

    Raises
    ------
    InvalidConfigurationError
    """
    try:
        return configured(document, where="configuration", **changes)
    except ConfigurationError as error:
        raise InvalidConfigurationError(str(error)) from error


def document_of(parts: Mapping[str, Any]) -> ConfigDocument:
    """Four parts taken apart.

    Raises
    ------
    InvalidConfigurationError
    """
    try:
        return ConfigDocument.read(parts, where="configuration")
    except (ConfigurationError, MalformedTickerError) as error:
        raise InvalidConfigurationError(str(error)) from error


def _own_names(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Parts with each field under our own name."""
    return {part: _told_once(fields) for part, fields in parts.items()}


def _told_once(*told: Mapping[str, Any]) -> dict[str, Any]:
    """Fields under our own names; of two values of one field, which of them counts would be chance.

    Raises
    ------
    InvalidConfigurationError : there are two.
    """
    found: dict[str, Any] = {}
    for name, value in chain.from_iterable(each.items() for each in told):
        own = ALIASES.get(name, name)
        if found.setdefault(own, value) != value:
            raise InvalidConfigurationError(f"{own}: two values are given, {found[own]} and {value}")
    return found


async def _append(db: AsyncSession, parts: dict[str, Any], *, by: str) -> DefaultsRead:
    told = json.dumps(parts)
    if len(told) > LONGEST or "\\u0000" in told:
        raise InvalidConfigurationError(f"at most {LONGEST} characters, none of them NUL, are kept")
    document = document_of(parts)
    if validated(document).fine_tune:
        raise InvalidConfigurationError("fine_tune: the defaults are of trainings of their own")
    await require_stored(db, document.data.tickers)
    await require_version(db, document.data.data_version)
    row = await crud.add_defaults(db, parts, by=by)
    await db.commit()
    return _shown(row)


def _shown(row: TrainingDefaults | None) -> DefaultsRead:
    if row is None:
        return DefaultsRead(**_packaged(), version=PACKAGED_VERSION, changed_at=None, changed_by=None)
    return DefaultsRead(**row.content, version=row.version, changed_at=row.changed_at, changed_by=row.changed_by)


@cache
def _packaged() -> dict[str, dict[str, Any]]:
    """The packaged configuration as it is written: layers by name, so that a width asked for is theirs."""
    return in_parts(load_document("default").config, metadata={})


def _trained_on(manifest: Mapping[str, Any]) -> DataChoice:
    return DataChoice(tickers=tuple(manifest["tickers"]))
