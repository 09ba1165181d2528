"""Settings for a command, read when it runs."""

from pathlib import Path
from typing import Any

from app.config import Settings


def read_settings(**changes: Any) -> Settings:
    """Settings from the environment and `.env`; ``changes`` that are not None come from options and win.

    The user's own input columns that they name may be run by this process from now on.

    Raises
    ------
    pydantic.ValidationError : a value is out of range.
    ConfigurationError : `.env` cannot be read as text, or own columns are not where they should be.
    """
    from data_pipeline.errors import ConfigurationError

    try:
        settings = Settings(**{name: value for name, value in changes.items() if value is not None})
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{Path('.env').resolve()} is no UTF-8 text") from error
    if settings.columns:
        from data_pipeline.processing.own_columns import allow  # brings NumPy

        allow(settings.columns)
    return settings


def with_running_database(settings: Settings) -> Settings:
    """``settings`` with the URL of the embedded PostgreSQL that runs in `home`, where none is configured."""
    if settings.database_url is not None:
        return settings
    from pydantic import SecretStr

    from app.supervisor.postgres import running_url

    url = running_url(settings.home / "postgres")
    return settings if url is None else settings.model_copy(update={"database_url": SecretStr(url)})


def require_database(settings: Settings) -> Settings:
    """``settings`` with a database that can be asked.

    Raises
    ------
    ServiceError : none is configured, and no embedded one runs.
    """
    from app.supervisor.errors import ServiceError

    found = with_running_database(settings)
    if found.database_url is None:
        raise ServiceError(
            f"no database: start `closecast serve` (none runs in {settings.home}), or set CLOSECAST_DATABASE_URL"
        )
    return found


def warn_of_unknown_settings(settings: Settings) -> None:
    """Log the variables, of the environment and of `.env`, that look like a setting and are ignored; no value."""
    import os

    import structlog
    from dotenv import dotenv_values

    from app.config import unknown_variables
    from app.core.monitoring.logging import configure_logging

    if unknown := unknown_variables({*os.environ, *dotenv_values(".env")}):
        configure_logging(settings.log_level)
        structlog.get_logger(__name__).warning("no such settings, ignored", names=unknown)


def whoami() -> str:
    """Who decides, as the ledger keeps it."""
    import getpass

    return f"{getpass.getuser()} (command line)"
