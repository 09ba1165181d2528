"""How an API process takes its leave, so that nobody who asks just then is left without an answer."""

import asyncio

import uvicorn

# A connection that was taken a moment ago has its request on the way, and a client that keeps its connection reads in
# the next answer that it should not: both are served for this long. Who was silent all the while is closed.
LINGER_SECONDS = 0.5


async def take_leave(server: uvicorn.Server) -> None:
    """Take no new connections, tell those that are there to ask elsewhere next time, and wait a little for them.

    uvicorn would close at once what has not asked yet, though its request may have arrived already.
    """
    for listening in server.servers:
        listening.close()
    server.server_state.default_headers.append((b"connection", b"close"))  # in place: what is in flight sees it too
    await asyncio.sleep(LINGER_SECONDS)
