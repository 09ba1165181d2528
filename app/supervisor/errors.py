"""What can go wrong around the processes: each message is one line that says what to do."""

from data_pipeline.errors import ClosecastError


class ServiceError(ClosecastError):
    """A process that the others need did not start or did not stay; the message names it and where its log is."""


class AlreadyRunningError(ServiceError):
    """Another Closecast holds this folder: stop it, or name another folder by CLOSECAST_HOME."""


class DiskFullError(ServiceError):
    """Too little room to run safely: free some, or name another folder by CLOSECAST_HOME."""
