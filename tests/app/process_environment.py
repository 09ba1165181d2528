"""Settings for processes that a test starts."""

import os

from app.config import Settings


def environment_of(settings: Settings, **further: str) -> dict[str, str]:
    """This process's environment, with ``settings`` as they are given to a real process."""
    assert settings.database_url is not None
    assert settings.jwt_secret is not None
    return {
        **os.environ,
        "CLOSECAST_HOME": str(settings.home),
        "CLOSECAST_BUNDLE_DIR": str(settings.bundles),
        "CLOSECAST_DATABASE_URL": settings.database_url.get_secret_value(),
        "CLOSECAST_JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "CLOSECAST_LOG_LEVEL": "ERROR",
        **further,
    }
