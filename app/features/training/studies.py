"""Where the trials of tunings are kept, and who tunes a study: one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from app.config import Settings
from app.core.database import connection_string, database_url
from ml_lifecycle.training.study import StudyPlace
from ml_lifecycle.training.tuning_errors import StudyBusyError

LOCK = "SELECT pg_try_advisory_lock(hashtextextended('closecast study ' || %s, 0))"


def tuning_folder(settings: Settings) -> Path:
    """What tunings keep on this machine; Ray's folder lies in it."""
    return settings.home / "tuning"


def study_place(settings: Settings, name: str) -> StudyPlace:
    """In the database where there is one, else in a journal below `home`."""
    if settings.database_url is None:
        return StudyPlace(str(tuning_folder(settings) / "studies.journal"), name)
    return StudyPlace(database_url(settings).render_as_string(hide_password=False), name)


@contextmanager
def held_study(settings: Settings, name: str) -> Iterator[StudyPlace]:
    """A study that nobody else tunes until the end of the block; a process that dies holds it no longer.

    What a killed tuning left unfinished may be taken up only when it is known to be dead.

    Raises
    ------
    StudyBusyError
    """
    place = study_place(settings, name)
    if settings.database_url is None:
        folder = tuning_folder(settings)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StudyBusyError(name) from error
            yield place
        return
    with psycopg.connect(connection_string(settings), autocommit=True) as connection:
        row = connection.execute(LOCK, (name,)).fetchone()
        if row is None or not row[0]:
            raise StudyBusyError(name)
        yield place
