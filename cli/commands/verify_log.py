"""`closecast verify-log`: whether frozen forecasts are what was sealed, and the track record what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.features.track_record.chain import Verified
    from app.features.track_record.finding import Finding
    from app.features.track_record.recount import Recounted


def verify_log(
    head: Annotated[
        str | None, typer.Option(help="A head noted from /track-record: it must be among the links.", metavar="HEX")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Compute the hash chain over frozen forecasts anew: one line for each one changed, added or taken out by SQL.

    Counts the sums of scores anew too, from which the track record is formed: one line for each that differs.

    Ends with exit code 3 where anything is found (docs/track-record.md).

    Example: [bold]closecast verify-log --head 9f86d081…[/bold]
    """
    import asyncio
    from functools import partial

    from app.features.track_record.chain import verify_chain
    from app.features.track_record.recount import recount
    from app.supervisor.one_session import with_own_sessions
    from cli.console import out
    from cli.exit_codes import ExitCode
    from cli.progress import working
    from cli.settings import read_settings, require_database

    settings, noted = require_database(read_settings()), _digest(head)
    with working("Computing the chain anew"):
        verified = asyncio.run(with_own_sessions(settings, partial(verify_chain, noted_head=noted)))
    if not as_json:  # now: what was found is told even if the next step fails
        _print_findings(verified.findings)
    with working("Counting the sums anew"):
        recounted = asyncio.run(with_own_sessions(settings, recount))
    if as_json:
        _print_json(verified, recounted)
    else:
        _print_findings(recounted.findings)
        told = f"head {verified.head.head.hex()} of {verified.head.day}" if verified.head else "nothing is sealed yet"
        out.print(
            f"{verified.days} days, {verified.forecasts} forecasts, {verified.unsealed} not sealed yet; "
            f"{recounted.sums} sums of scores; {told}",
            soft_wrap=True,
        )
    if verified.findings or recounted.findings:
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


def _print_findings(findings: Sequence[Finding]) -> None:
    """One line each, whatever somebody wrote into the database."""
    from cli.console import out

    for finding in findings:
        told = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(finding))
        out.print(told, soft_wrap=True, markup=False)


def _print_json(verified: Verified, recounted: Recounted) -> None:
    from cli.console import print_json

    print_json(
        {
            "days": verified.days,
            "forecasts": verified.forecasts,
            "unsealed": verified.unsealed,
            "head": verified.head and {"day": verified.head.day, "head": verified.head.head.hex()},
            "sums": recounted.sums,
            "findings": [
                {"day": each.day, "what": each.what, "forecast_id": each.forecast_id}
                for each in (*verified.findings, *recounted.findings)
            ],
        }
    )
