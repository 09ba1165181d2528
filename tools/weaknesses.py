#!/usr/bin/env python3
"""Looks for weaknesses: `python -m tools.weaknesses code | packages [--must-run] | parts FOLDER`.

code      what bandit finds in our packages
packages  published weaknesses of what is locked (pip-audit, asking OSV); where OSV cannot be reached it prints
          `pip-audit: NOT RUN` and that is no failure, unless ``--must-run`` says so
parts     one list of parts (CycloneDX) per file of requirements that an image installs, into FOLDER

Exit code 1 for a finding that is not in `.ci/accepted-findings.toml`, and for one there that is found no more.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ACCEPTED = ROOT / ".ci" / "accepted-findings.toml"
PACKAGES = ("app", "cli", "data_pipeline", "ml_lifecycle", "tools")
LOCKED = "requirements-dev.txt"  # holds all others
IMAGES = ("requirements.txt", "requirements-keras.txt", "requirements-worker.txt", "requirements-train.txt")
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "NameResolutionError")  # as requests names them
OSV = "https://api.osv.dev/v1/query"

Finding = tuple[str, str]  # rule and file, or advisory and package


def code() -> int:
    """What bandit finds, less what is accepted."""
    ran = _run("bandit", "--quiet", "--recursive", "--format", "json", *PACKAGES)
    found = {(result["test_id"], result["filename"]) for result in json.loads(ran.stdout)["results"]}
    accepted = {(entry["rule"], file) for entry in _accepted("bandit") for file in entry["files"]}
    return tell("bandit", found, accepted)


def packages(*, must_run: bool, requirements: str = LOCKED, osv: str = OSV) -> int:
    """What OSV knows of locked packages, less what is accepted."""
    options = ("--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
    # The package index could answer too, but a mirror of it has no advisories, and says so by finding nothing.
    ran = _run("pip-audit", *options, "-s", "osv", "--osv-url", osv, "-r", requirements)
    try:
        found = advisories(json.loads(ran.stdout))
    except json.JSONDecodeError:
        reason = (ran.stderr.strip().splitlines() or ["no output"])[-1]
        if not any(name in ran.stderr for name in UNREACHABLE):
            print(f"pip-audit: FAILED: {reason}")
            return 1
        print(f"pip-audit: NOT RUN: {reason[:200]}")
        return 1 if must_run else 0
    return tell("pip-audit", found, {(entry["advisory"], entry["package"]) for entry in _accepted("pip-audit")})


def advisories(report: dict[str, Any]) -> set[Finding]:
    """Advisory and package of each weakness in pip-audit's report."""
    return {(found["id"], package["name"]) for package in report["dependencies"] for found in package.get("vulns", [])}


def parts(folder: Path) -> int:
    """Write and validate the lists; each has the hashes that are installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in IMAGES:
        target = folder / f"{Path(name).stem}.cdx.json"
        options = ("--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", str(target))
        ran = _run("cyclonedx-py", "requirements", *options, name)
        if ran.returncode != 0:
            print(f"CycloneDX: {name}: {ran.stderr.strip()}")
            return 1
        document = json.loads(target.read_text())
        print(f"CycloneDX {document['specVersion']}: {len(document['components'])} parts of {name} in {target}")
    return 0


def tell(tool: str, found: Iterable[Finding], accepted: Iterable[Finding]) -> int:
    """Print what differs; 1 where something does."""
    found, accepted = set(found), set(accepted)
    for what, where in sorted(found - accepted):
        print(f"{tool}: {what} in {where}: mend it, or accept it with a reason in {ACCEPTED.relative_to(ROOT)}")
    for what, where in sorted(accepted - found):
        print(f"{tool}: {what} in {where} is accepted and not found any more: take it out")
    print(f"{tool}: {len(found - accepted)} new, {len(found & accepted)} accepted")
    return int(found != accepted)


def _accepted(tool: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads(ACCEPTED.read_text()).get(tool, [])
    for entry in entries:
        if not entry.get("reason") or not entry.get("date"):
            sys.exit(f"{ACCEPTED.relative_to(ROOT)}: an entry of {tool} has no reason or no date: {entry}")
    return entries


def _run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    beside = Path(sys.executable).with_name(program)
    return subprocess.run([str(beside), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603


def main(arguments: Sequence[str] | None = None) -> int:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Look for weaknesses.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("code")
    commands.add_parser("packages").add_argument("--must-run", action="store_true")
    commands.add_parser("parts").add_argument("folder", type=Path)
    asked = parser.parse_args(arguments)
    if asked.command == "code":
        return code()
    return packages(must_run=asked.must_run) if asked.command == "packages" else parts(asked.folder)


if __name__ == "__main__":
    sys.exit(main())
