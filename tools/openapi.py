"""The OpenAPI document without a running service, for the site and for generated clients."""

import secrets
from functools import cache
from typing import Any

from pydantic import SecretStr

from app.config import Settings
from app.main import create_app


@cache
def document() -> dict[str, Any]:
    """What `/openapi.json` answers by the default settings; nothing is started for it."""
    signs_nothing = SecretStr(secrets.token_urlsafe(48))
    return create_app(Settings(_env_file=None, jwt_secret=signs_nothing, log_level="ERROR")).openapi()
