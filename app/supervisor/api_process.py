"""One API process: uvicorn with the fast loop and parser, on a port of its own or on the supervisor's socket."""

from app.config import Settings
from app.supervisor.lifeline import end_with_supervisor
from app.supervisor.listening import inherited_sockets


def serve_api(settings: Settings) -> None:
    """Answer requests until SIGTERM; what has begun is finished.

    Raises
    ------
    ServiceError : the internal port is taken.
    """
    from app.main import create_app, create_inner_app
    from app.supervisor.api_server import ApiServer

    end_with_supervisor()
    app = create_app(settings)
    ApiServer(app, create_inner_app(app), settings).run(sockets=inherited_sockets())


if __name__ == "__main__":
    serve_api(Settings())
