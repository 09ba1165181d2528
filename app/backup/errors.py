"""What can go wrong with a copy of everything; each message is one line that says what to do."""

from app.supervisor.errors import ServiceError
from data_pipeline.errors import ClosecastError


class BackupRefusedError(ClosecastError):
    """The archive is damaged, not one of ours, or of a newer release: take another one."""


class NotEmptyError(ServiceError):
    """There is something where the archive is to go: name an empty CLOSECAST_HOME, or say --force to replace it."""
