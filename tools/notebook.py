#!/usr/bin/env python3
"""Executes a notebook that is kept as a script: `python -m tools.notebook docs/notebooks/residuals.py FOLDER`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import jupytext
from nbclient import NotebookClient
from traitlets.config import Config

ROOT: Final = Path(__file__).parents[1]
CELL_SECONDS: Final = 300
KERNEL: Final = {"name": "python3", "display_name": "Python 3", "language": "python"}


def executed(script: Path) -> Any:
    """The notebook with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError : a cell failed; the message holds cell and error.
    """
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata["kernelspec"] = KERNEL
    resources = {"metadata": {"path": str(ROOT)}}
    with TemporaryDirectory() as folder:
        # Unix sockets instead of ports: what runs here is nobody else's to ask.
        config = Config({"KernelManager": {"transport": "ipc", "ip": str(Path(folder) / "kernel")}})
        NotebookClient(notebook, config=config, timeout=CELL_SECONDS, resources=resources).execute()
    return notebook


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the executed notebook."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebook", description="Execute a notebook.")
    parser.add_argument("script", type=Path, help="a script of cells (`# %%`)")
    parser.add_argument("folder", type=Path, help="where to write the .ipynb")
    told = parser.parse_args(arguments)
    told.folder.mkdir(parents=True, exist_ok=True)
    out = told.folder / f"{told.script.stem}.ipynb"
    jupytext.write(executed(told.script), out)
    sys.stdout.write(f"{out}\n")


if __name__ == "__main__":
    main()
