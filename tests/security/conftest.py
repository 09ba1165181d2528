"""The same real application as in tests/app."""

from tests.app.conftest import (
    admin,
    app,
    bundle_dir,
    client,
    database_url,
    db,
    other_user,
    registered_user,
    sessions,
    settings,
)

__all__ = [
    "admin",
    "app",
    "bundle_dir",
    "client",
    "database_url",
    "db",
    "other_user",
    "registered_user",
    "sessions",
    "settings",
]
