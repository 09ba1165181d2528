"""What a process that stays would stumble over only later, and over and over: found before anything is started."""

from app.config import Settings
from app.core.limits_burst import open_redis
from app.core.monitoring.collector import require_tracing
from data_pipeline.errors import ConfigurationError


def refuse_what_cannot_work(settings: Settings, *, asks_sources: bool) -> None:
    """See that what the settings name can be used.

    Parameters
    ----------
    asks_sources : the process, or one that it starts, reads the files of the source `files`.

    Raises
    ------
    ConfigurationError : says which setting to change.
    """
    open_redis(settings)  # connects to nothing yet
    require_tracing(settings)
    if "files" not in settings.sources:
        return
    if settings.files_path is None:
        raise ConfigurationError("the source `files` of CLOSECAST_SOURCES needs CLOSECAST_FILES_PATH")
    if asks_sources and not settings.files_path.exists():
        raise ConfigurationError(f"CLOSECAST_FILES_PATH: no such file or folder: {settings.files_path}")
