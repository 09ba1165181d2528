"""What routes about signing in depend on."""

from typing import Annotated

from fastapi import Depends, Request

from app.core.limits import Limits, client_network
from app.features.auth.service import Client, SignIns


async def sign_ins_of(request: Request) -> SignIns:
    """The use cases, as this process was started with them."""
    sign_ins: SignIns = request.app.state.sign_ins
    return sign_ins


async def client_of(request: Request) -> Client:
    """Where the request came from."""
    return Client(address=client_network(request), user_agent=request.headers.get("user-agent", ""))


async def slow_down_strangers(request: Request) -> None:
    """Let an address register, sign in and refresh only so often; raises TooManyRequestsError."""
    limits: Limits = request.app.state.limits
    await limits.slow_down_address(request)


ServedSignIns = Annotated[SignIns, Depends(sign_ins_of)]
ThisClient = Annotated[Client, Depends(client_of)]
STRANGERS = [Depends(slow_down_strangers)]
