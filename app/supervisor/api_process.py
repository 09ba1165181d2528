"""One API process: uvicorn with the fast loop and parser, on a port of its own or on the supervisor's socket."""

import uvicorn

from app.config import Settings
from app.supervisor.lifeline import end_with_supervisor
from app.supervisor.listening import inherited_sockets

GRACE_SECONDS = 20  # a forecast takes milliseconds; an unseen ticker is waited for up to 8 s


def serve_api(settings: Settings) -> None:
    """Answer requests until SIGTERM; what has begun is finished."""
    from app.main import create_app

    end_with_supervisor()
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,  # structlog writes one line a request; the plain access log halves the throughput
        log_config=None,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=inherited_sockets())


if __name__ == "__main__":
    serve_api(Settings())
