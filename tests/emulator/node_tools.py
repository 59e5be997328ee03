"""Runs scripts for Node.js with the packages of ``node/package.json``, which are installed once."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

#: Where the scripts and their packages are.
FOLDER = Path(__file__).parent / "node"


def run_node(script: str, *arguments: str, text: str = "", seconds: float = 60) -> str:
    """Run a script to its end, and return what it wrote. The test is skipped where Node.js or a package is missing.

    :param text: what the script reads.
    :raises AssertionError: if the script failed; it shows what it said.
    """
    command = node_command(script, *arguments)
    result = subprocess.run(command, cwd=FOLDER, input=text, capture_output=True, text=True, timeout=seconds)
    assert result.returncode == 0, f"{script} failed: {result.stderr or result.stdout}"
    return result.stdout


def node_command(script: str, *arguments: str) -> list[str]:
    """The command for a script that a test starts by itself, in :data:`FOLDER`. Skips like :func:`run_node`."""
    missing = install_packages(FOLDER)
    if missing is not None:
        pytest.skip(missing)
    return [shutil.which("node") or "node", script, *arguments]


@functools.cache
def install_packages(folder: Path) -> str | None:
    """Install the packages of a folder, if they are not there as its ``package.json`` wants them.

    It gives nothing when they are there, and else says what is missing.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "Node.js and npm are not installed."
    mark = folder / "node_modules" / ".installed"
    wanted = (folder / "package.json").read_text()
    if not mark.exists() or mark.read_text() != wanted:
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return "npm took too long to install the packages."
        if result.returncode != 0:
            return f"npm could not install the packages: {result.stderr.strip()[:500]}"
        mark.write_text(wanted)
    return None
