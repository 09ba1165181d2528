"""What must be true of the database before any process uses it."""

from app.config import Settings
from app.core.database import connection_string
from app.core.migrations import upgrade


def prepare_database(settings: Settings) -> None:
    """Bring the schema up to date and see that a champion is there: the reference, on an empty installation."""
    upgrade(connection_string(settings))
