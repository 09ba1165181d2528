"""The API: one factory that puts the parts together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.core.error_handlers import install_error_handlers
from app.core.paths import CanonicalPathMiddleware
from app.core.security import tokens_from


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What a worker holds while it lives: connections, the champion, the writer of the log."""
    engine = create_engine(app.state.settings)
    app.state.session_factory = session_factory(engine)
    try:
        yield
    finally:
        await engine.dispose()


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application of one worker.

    Raises
    ------
    StartRefusedError : it must not start like this; the message is one line.
    """
    settings = settings or Settings()
    app = FastAPI(title="Closecast", lifespan=lifespan, redirect_slashes=False, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.tokens = tokens_from(settings)
    install_error_handlers(app)
    app.add_middleware(CanonicalPathMiddleware)
    return app
