"""What the shell is told: one number for each kind of trouble, and one line for each error."""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class ExitCode(IntEnum):
    """Documented in docs/user-guide.md; scripts rely on them."""

    OK = 0
    USAGE = 2
    DATA = 3
    SOURCE = 4
    MODEL = 5
    SERVICE = 6


def exit_code(error: Exception) -> ExitCode | None:
    """The code for an error that we raise on purpose or expect of the machine; None for a defect of ours."""
    # Imported here: only a failing command pays for knowing all errors.
    from psycopg import OperationalError as PsycopgError
    from pydantic import ValidationError
    from sqlalchemy.exc import OperationalError as SqlError

    from app.core.cleaning_lock import BusyError
    from app.core.database import DatabaseUnavailableError
    from app.core.migrations import TablesBusyError
    from app.core.security import StartRefusedError
    from app.features.registry.errors import GateNotPassedError, PromotionReasonMissingError
    from app.supervisor.errors import ServiceError
    from data_pipeline.errors import ClosecastError, ConfigurationError, StoreUnavailableError
    from data_pipeline.sources.base import PriceSourceError
    from data_pipeline.ticker import MalformedTickerError
    from ml_lifecycle.export.errors import BundleRefusedError, ExportError
    from ml_lifecycle.training.checkpoint import CheckpointUnreadableError
    from ml_lifecycle.training.mlflow_delivery import TrackingUnavailableError
    from ml_lifecycle.training.run_folder import RunFolderBusyError
    from ml_lifecycle.training.tuning_errors import (
        ClusterUnavailableError,
        NoCandidateError,
        NothingToChooseError,
        StudyBusyError,
        StudyNotFoundError,
        TuningBrokenOffError,
    )

    codes: list[tuple[tuple[type[Exception], ...], ExitCode]] = [
        ((ConfigurationError, StartRefusedError, ValidationError), ExitCode.USAGE),
        ((FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError), ExitCode.USAGE),
        ((MalformedTickerError, PromotionReasonMissingError, StudyNotFoundError), ExitCode.USAGE),
        ((PriceSourceError,), ExitCode.SOURCE),
        ((BundleRefusedError, CheckpointUnreadableError, ExportError, GateNotPassedError), ExitCode.MODEL),
        ((NothingToChooseError, NoCandidateError), ExitCode.MODEL),
        ((ServiceError, DatabaseUnavailableError), ExitCode.SERVICE),
        ((ClusterUnavailableError, RunFolderBusyError, StudyBusyError, TuningBrokenOffError), ExitCode.SERVICE),
        ((BusyError, TablesBusyError, TrackingUnavailableError), ExitCode.SERVICE),
        ((PsycopgError, SqlError, StoreUnavailableError, OSError), ExitCode.SERVICE),
        ((ClosecastError,), ExitCode.DATA),
    ]
    if lacks_schema(error):
        return ExitCode.SERVICE
    return next((code for kinds, code in codes if isinstance(error, kinds)), None)


def lacks_schema(error: Exception) -> bool:
    """Whether the database has not, or no longer, what this release reads."""
    from psycopg.errors import UndefinedColumn, UndefinedTable
    from sqlalchemy.exc import ProgrammingError

    return isinstance(error, ProgrammingError) and isinstance(error.orig, UndefinedTable | UndefinedColumn)


def one_line(error: Exception) -> str:
    """What to tell: a setting's name and reason, or the error's own first line."""
    from pydantic import ValidationError

    if lacks_schema(error):
        return "the database is not at this release's schema: `closecast migrate`, or run the release that it is of"
    if isinstance(error, ValidationError):
        return "; ".join(_field(problem) for problem in _problems(error))
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"no such file or folder: {error.filename}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full: make room, then repeat"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    return [(".".join(map(str, problem["loc"])) or error.title, problem["msg"]) for problem in error.errors()]


def _field(problem: tuple[str, str]) -> str:
    name, message = problem
    return f"{name}: {message}"
