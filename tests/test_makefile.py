"""The commands of the README: what they run, and what they say where something is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make() -> Make:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False)

    return run


def make_python(path: Path, *, without: str = "") -> Path:
    """A python command that is this one, but fails when its program holds a certain text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    refuse = f'case "$*" in *"{without}"*) exit 1;; esac\n' if without else ""
    path.write_text(f'#!/bin/sh\n{refuse}exec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return path


def test_help_lists_every_target(make: Make) -> None:
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = re.findall(r"^make (\S+) +\S", make("help").stdout, re.MULTILINE)
    assert sorted(listed) == sorted(" ".join(phony).split())


def test_demo_script_plays_the_conversation(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("waitress", reason="the demo needs waitress")
    make_python(tmp_path / "bin/python")
    (tmp_path / "bin/pip").touch()
    (tmp_path / ".has-demo").touch()
    done = make("demo-script", f"VENV={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Every answer was right.")


def test_load_sends_as_many_events_as_it_is_told(make: Make, tmp_path: Path) -> None:
    make_python(tmp_path / "bin/python")
    (tmp_path / "bin/pip").touch()
    (tmp_path / ".has-test").touch()
    done = make("load", "EVENTS=400", f"VENV={tmp_path}", "ARGS=-k every_event_is_answered")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "400 events of 200 clients" in done.stdout


def test_without_the_venv_module_the_package_is_named(make: Make, tmp_path: Path) -> None:
    python = make_python(tmp_path / "python", without="ensurepip")
    done = make("venv", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.returncode != 0
    assert f"apt install python3.{sys.version_info[1]}-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_an_older_python_is_refused(make: Make, tmp_path: Path) -> None:
    python = make_python(tmp_path / "python", without="version_info < (3, 11)")
    done = make("venv", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.returncode != 0
    assert "not Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()
