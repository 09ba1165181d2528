"""Settings and disks: what can be seen without asking anybody."""

import os
import shutil
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from app.config import MINIMUM_SECRET_LENGTH, Settings, unknown_variables, variable
from app.doctor.finding import Finding, State, fail, ok, warn
from app.supervisor.home import FREE_BYTES_NEEDED

COMFORTABLE_BYTES = 4 * FREE_BYTES_NEEDED
MIB = 1024**2


def look_at_settings(settings: Settings, names: Iterable[str]) -> list[Finding]:
    """Variables that look like a setting and are none; whether the API could start.

    ``names`` are those of the environment and of `.env`.
    """
    known = [variable(field) for field in Settings.model_fields]
    findings = [_misspelt(name, known) for name in unknown_variables(names)]
    if settings.jwt_secret is None:
        advice = f"set {variable('jwt_secret')}: at least {MINIMUM_SECRET_LENGTH} characters, `openssl rand -hex 32`"
        findings.append(warn("settings", "no secret to sign tokens with: the API does not start", advice))
    return findings or [ok("settings", f"{len(settings.model_fields_set)} set, none misspelt")]


def _misspelt(name: str, known: list[str]) -> Finding:
    near = get_close_matches(name.upper(), known, n=1)
    return warn("settings", f"{name} is no setting and is ignored", f"is it {near[0]}?" if near else "remove it")


def look_at_disks(settings: Settings) -> list[Finding]:
    """Room and the right to write, where home, bars and bundles lie."""
    bars = [] if "://" in settings.bars_uri else [Path(settings.bars_uri)]
    places = dict.fromkeys(_existing(place.resolve()) for place in (settings.home, *bars, settings.bundles))
    found = [(place.stat().st_dev, _disk(place)) for place in places]
    bad = [finding for _, finding in found if finding.state is not State.OK]
    return bad or list(dict(reversed(found)).values())  # one line for each disk: its first folder


def _existing(place: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())


def _disk(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    told = f"{free // MIB:,} MiB free at {place}"
    if not os.access(place, os.W_OK | os.X_OK):
        return fail("disk", f"{place} cannot be written", f"give it to this user, or name another {variable('home')}")
    if free < FREE_BYTES_NEEDED:
        return fail("disk", told, f"make room: {FREE_BYTES_NEEDED // MIB} MiB are needed (`closecast cleanup` helps)")
    if free < COMFORTABLE_BYTES:
        return warn("disk", told, "make room soon: `closecast cleanup --dry-run` tells what may go")
    return ok("disk", told)
