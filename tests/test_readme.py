"""Runs the program of the README, and checks its commands and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_docs import PAGES, ROOT, Block, PageRun, make_targets

README = (ROOT / "README.md").read_text()

_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def readme_blocks() -> list[Block]:
    return [
        Block(match["language"], None, match["body"], README.count("\n", 0, match.start("body")) + 1)
        for match in _FENCE.finditer(README)
    ]


def test_every_program_and_command_of_the_readme_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocks = readme_blocks()
    assert 2 * len(blocks) == len(re.findall(r"^```", README, re.MULTILINE))
    assert {block.language for block in blocks} == {"console", "python", "pycon"}
    run = PageRun("README", tmp_path, monkeypatch, caplog)
    for block in blocks:
        run.run(block)


def test_the_first_two_commands_are_make_demo_and_make_test() -> None:
    commands = re.findall(r"^\$ (.+)$", README, re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]
    assert {"demo", "test", "docs"} <= make_targets()


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_readme_links_to_every_page_of_the_documentation() -> None:
    linked = set(re.findall(r"\(docs/([^)]+)\.rst\)", README))
    without = {"index", "changes", "license"}
    assert linked == {page.stem for page in PAGES} - without
