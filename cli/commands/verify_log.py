"""`closecast verify-log`: whether frozen forecasts are what was sealed, and the track record what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.config import Settings
    from app.features.track_record.chain import Verified

RECOUNT_SECONDS = 3600.0  # one statement reads all scores; who asks for it waits


def verify_log(
    head: Annotated[
        str | None, typer.Option(help="A head noted from /track-record: it must be among the links.", metavar="HEX")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Compute the hash chain over frozen forecasts anew: one line for each one changed, added or taken out by SQL.

    Counts the sums of the track record anew too: one line for each that is not that of its scores.

    Ends with exit code 3 where anything is found (docs/track-record.md).

    Example: [bold]closecast verify-log --head 9f86d081…[/bold]
    """
    import asyncio

    from cli.console import out
    from cli.exit_codes import ExitCode
    from cli.progress import working
    from cli.settings import read_settings, require_database

    settings, noted = require_database(read_settings()), _digest(head)
    with working("Verifying"):
        verified = asyncio.run(_verify(settings, noted))
    if as_json:
        _print_json(verified)
    else:
        for finding in verified.findings:
            out.print(str(finding), soft_wrap=True)
        told = f"head {verified.head.head.hex()} of {verified.head.day}" if verified.head else "nothing is sealed yet"
        out.print(
            f"{verified.days} days, {verified.forecasts} forecasts, {verified.unsealed} not sealed yet; {told}",
            soft_wrap=True,
        )
    if verified.findings:
        raise typer.Exit(int(ExitCode.DATA))


def _digest(head: str | None) -> bytes | None:
    """The bytes that ``head`` spells.

    Raises
    ------
    ConfigurationError : it spells no SHA-256.
    """
    from data_pipeline.errors import ConfigurationError

    try:
        digest = None if head is None else bytes.fromhex(head)
    except ValueError:
        digest = b""
    if digest is not None and len(digest) != 32:
        raise ConfigurationError("--head wants the 64 hexadecimal digits that /track-record tells")
    return digest


async def _verify(settings: Settings, noted_head: bytes | None) -> Verified:
    """The chain, and behind its findings those of the sums."""
    from dataclasses import replace

    from app.features.track_record.chain import verify_chain
    from app.features.track_record.recount import recount
    from app.supervisor.one_session import own_sessions

    async with own_sessions(settings) as sessions:
        verified = await verify_chain(sessions, noted_head=noted_head)
    patient = settings.model_copy(update={"database_timeout_seconds": RECOUNT_SECONDS})
    async with own_sessions(patient) as sessions:
        return replace(verified, findings=(*verified.findings, *await recount(sessions)))


def _print_json(verified: Verified) -> None:
    from cli.console import print_json

    print_json(
        {
            "days": verified.days,
            "forecasts": verified.forecasts,
            "unsealed": verified.unsealed,
            "head": verified.head and {"day": verified.head.day, "head": verified.head.head.hex()},
            "findings": [
                {"day": each.day, "what": each.what, "forecast_id": each.forecast_id} for each in verified.findings
            ],
        }
    )
