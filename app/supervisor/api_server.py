"""The HTTP server of one API process: what uvicorn does, bounded and guarded, and a second port where one is set."""

import gc
import socket

import uvicorn
from fastapi import FastAPI
from uvicorn.config import LifespanType

from app.config import Settings
from app.core.audit_hook import guard_bundles
from app.supervisor.bounded_protocol import BoundedHttpProtocol
from app.supervisor.draining import take_leave
from app.supervisor.listening import listen_among
from app.supervisor.readiness import tell_ready

GRACE_SECONDS = 20  # a forecast takes milliseconds; an unseen ticker is waited for up to 8 s
# New objects before the collector looks for cycles among them. At CPython's 700 the requests that are under way at 64
# connections outlive so many looks that it went through all objects, for 0.1 s each time, every second or two.
NEW_OBJECTS = 20_000


class ApiServer(uvicorn.Server):
    """Serves ``app`` at the public port and, where ``settings.internal_port`` is set, ``inner`` there.

    Raises
    ------
    ServiceError : another program has the internal port.
    """

    def __init__(self, app: FastAPI, inner: FastAPI, settings: Settings) -> None:
        super().__init__(_config(app, settings, lifespan="on"))
        self._app, self._bundles = app, settings.bundles
        self._inner = uvicorn.Server(_config(inner, settings, lifespan="off"))
        port = settings.internal_port
        self._inner_sockets = [] if port is None else [listen_among(settings.host, port)]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the ports; from then on nothing in this process is unpickled."""
        await super().startup(sockets)
        await _open(self._inner, self._inner_sockets)
        guard_bundles(self._bundles, unpickles_elsewhere=False)
        _spare_what_stays()
        tell_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what has begun and close the ports; the second one last, so that the end can be watched there."""
        self._app.state.job_streams.close()  # they would go on for minutes
        await take_leave(self)
        await super().shutdown(sockets)
        await self._inner.shutdown(self._inner_sockets)


def _spare_what_stays() -> None:
    """Have the garbage collector leave alone what start-up made: it stays, and is most of what there is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


async def _open(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
    """Serve on ``sockets`` without a loop and signals of its own."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets)


def _config(app: FastAPI, settings: Settings, *, lifespan: LifespanType) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedHttpProtocol,  # httptools' parser, with bounds
        ws="none",  # nothing here speaks WebSocket: who asks for one is answered in HTTP
        access_log=False,  # structlog writes one line a request; the plain access log halves the throughput
        log_config=None,
        lifespan=lifespan,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
