#!/usr/bin/env python3
"""Generates the Python client of the API: `python -m tools.client build/client` (docs/client.md)."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tools.openapi import document

BIN: Final = Path(sys.executable).parent  # the generator formats what it wrote by the ruff that it finds on PATH


def generate(folder: Path) -> str:
    """Write an installable project with the package ``closecast_client`` into ``folder``; what the generator said.

    Raises
    ------
    subprocess.CalledProcessError : it could not make something of all of the document.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        told = Path(scratch) / "openapi.json"
        told.write_text(json.dumps(document()))
        options = ("--meta", "setup", "--overwrite", "--fail-on-warning", "--output-path", str(folder.resolve()))
        command = (str(BIN / "openapi-python-client"), "generate", "--path", str(told), *options)
        environment = {**os.environ, "PATH": os.pathsep.join((str(BIN), os.environ.get("PATH", "")))}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 (a command of our own)
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 with what the generator said."""
    parser = argparse.ArgumentParser(prog="python -m tools.client", description="Generate the Python client.")
    parser.add_argument("folder", type=Path, help="where to write the project")
    folder: Path = parser.parse_args(arguments).folder
    try:
        generate(folder)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error.stdout}{error.stderr}")
        return 1
    sys.stdout.write(f"{folder}: `pip install {folder}` installs the package closecast_client\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
