"""Runs every program that the documentation shows, and holds its tables against the package."""

from __future__ import annotations

import ast
import configparser
import doctest
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import flask_webpubsub
from flask_webpubsub import Hub, dispatch, errors, settings, testing
from tests.conftest import CONNECTION_STRING

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGE = Path(flask_webpubsub.__file__).parent
PAGES = sorted(DOCS.glob("*.rst"))
#: Pages of text alone.
WITHOUT_PROGRAM = {"changes", "license"}

_RST_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\S+)\n(?P<options>(?: +:.*\n)*)\n"
    r"(?P<body>(?:(?P=indent) {3}.*\n|\n)+)",
    re.MULTILINE,
)
_CAPTION = re.compile(r":caption: (.+)")


@dataclass(frozen=True)
class Block:
    """A block of code on a page; ``line`` is where it begins."""

    language: str
    caption: str | None
    text: str
    line: int


def rst_blocks(text: str) -> list[Block]:
    """The blocks of code of a page."""
    blocks = []
    for match in _RST_BLOCK.finditer(text):
        indent = match["indent"] + "   "
        body = "".join(line.removeprefix(indent) for line in match["body"].splitlines(keepends=True))
        caption = _CAPTION.search(match["options"])
        line = text.count("\n", 0, match.start("body")) + 1
        blocks.append(
            Block(match["language"], caption[1] if caption else None, body.rstrip("\n").lstrip("\n") + "\n", line)
        )
    return blocks


class PageRun:
    """Runs the blocks of one page, one after the other, as its reader would.

    A block with the name of a file as its caption is that file: ``app.py`` is imported, and what comes after sees its
    names; a ``test_*.py`` is run by pytest. Any other Python goes on where the one before it ended. A session must
    print what it shows, a log must hold the lines that it shows, and commands must be commands that there are.
    """

    def __init__(
        self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.name = name
        self.folder = folder
        self.namespace: dict[str, Any] = {"__name__": name}
        self._caplog = caplog
        self._monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(folder)
        monkeypatch.chdir(folder)

    def run(self, block: Block) -> None:
        """Run a block, and check what it claims."""
        match block.language:
            case "python" if block.caption:
                self._run_file(block.caption, block.text)
            case "python":
                code = "\n" * (block.line - 1) + block.text
                exec(compile(code, self.name, "exec"), self.namespace)
            case "pycon":
                self._run_session(block)
            case "text" if block.caption == "The log":
                for line in re.split(r"\n(?! )", block.text.strip()):  # an indented line goes on with the one before
                    assert " ".join(line.split()) in self._caplog.messages, "The log does not hold this line."
            case "console":
                verify_commands(block.text)
            case "text":
                pass
            case _:
                pytest.fail(f"Nothing here runs {block.language}: line {block.line} of {self.name}.")

    def _run_file(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        if name.startswith("test_"):
            run = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}"},
                capture_output=True,
                text=True,
            )
            assert run.returncode == 0, run.stdout + run.stderr
        elif name != "conftest.py":
            module = Path(name).stem
            self._monkeypatch.delitem(sys.modules, module, raising=False)
            importlib.invalidate_caches()
            loaded = importlib.import_module(module)
            self._monkeypatch.setitem(sys.modules, module, loaded)
            if module == "app":
                self.namespace = vars(loaded)

    def _run_session(self, block: Block) -> None:
        session = doctest.DocTestParser().get_doctest(block.text, self.namespace, self.name, self.name, block.line - 1)
        assert session.examples
        session.globs = self.namespace
        printed: list[str] = []
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(session, out=printed.append, clear_globs=False)
        assert not printed, "".join(printed)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def extras() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return set(setup["options.extras_require"])


def verify_commands(text: str) -> None:
    """Check that the commands of a console exist: their make targets, extras and modules."""
    for line in re.findall(r"^\$ (.+)$", text, re.MULTILINE):
        words = line.split()
        match words:
            case ["make", target, *_]:
                assert target in make_targets(), line
            case [pip, "install", *_] if pip.endswith("pip"):
                for extra in re.findall(r"\[([a-z,]+)\]", line):
                    assert set(extra.split(",")) <= extras(), line
            case [python, "-m", module, *_] if "python" in python:
                assert importlib.util.find_spec(module), line
            case ["git" | "cd" | "flask" | "curl" | "az", *_]:
                pass
            case _:
                pytest.fail(f"No test knows this command: {line}")


@pytest.fixture
def page_run(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Callable[[str], PageRun]:
    monkeypatch.setenv("FLASK_DEBUG", "1")  # as with `flask --debug`, which takes the development key
    return lambda name: PageRun(name, tmp_path, monkeypatch, caplog)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in WITHOUT_PROGRAM], ids=lambda page: page.stem
)
def test_every_program_of_a_page_does_what_the_page_says(page: Path, page_run: Callable[[str], PageRun]) -> None:
    run = page_run(page.stem)
    for block in rst_blocks(page.read_text()):
        run.run(block)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in WITHOUT_PROGRAM], ids=lambda page: page.stem
)
def test_every_page_opens_with_a_program(page: Path) -> None:
    text = page.read_text()
    sections = re.findall(r"^[-=~]{4,}$", text, re.MULTILINE)
    assert sections, "The page has no title."
    before_second_section = re.split(r"^-{4,}$", text, maxsplit=1, flags=re.MULTILINE)[0]
    opening = rst_blocks(before_second_section)
    assert opening, "The page has no program before its first section."
    assert opening[0].language == "python"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_code_on_a_page_is_hidden_from_the_tests(page: Path) -> None:
    text = page.read_text()
    assert len(rst_blocks(text)) == text.count(".. code-block::")
    for directive in (".. code::", ".. sourcecode::", ".. literalinclude::", ".. highlight::"):
        assert directive not in text
    # A paragraph that ends in '::' opens a block in no language, which nothing would run.
    assert not re.search(r"^(?!\s*\.\. ).*::$", text, re.MULTILINE)


# The quickstart's commands, for real.


def test_the_production_app_reads_the_environment(
    page_run: Callable[[str], PageRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_WEBPUBSUB_CONNECTION_STRING", CONNECTION_STRING)
    monkeypatch.setenv("FLASK_WEBPUBSUB_HUB", "chat")
    run = page_run("production")
    (program,) = [
        block for block in rst_blocks((DOCS / "quickstart.rst").read_text()) if block.caption == "production.py"
    ]
    run.run(program)
    module = sys.modules["production"]
    assert module.wps.test_client(module.create_app()).validate()


@contextmanager
def served(folder: Path, command: list[str]) -> Iterator[str]:
    """Run ``flask … run`` in a folder; gives the server's address."""
    run = subprocess.Popen(
        [sys.executable, "-m", *command, "--no-reload", "--port", "0"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.stdout is not None
    try:
        printed = []
        for line in run.stdout:
            printed.append(line)
            if found := re.search(r"Running on (http://\S+)", line):
                yield found[1]
                return
        pytest.fail("The server did not start:\n" + "".join(printed))
    finally:
        run.terminate()
        run.wait()
        run.stdout.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_quickstart_print_what_it_shows(tmp_path: Path) -> None:
    blocks = rst_blocks((DOCS / "quickstart.rst").read_text())
    (tmp_path / "app.py").write_text(next(block.text for block in blocks if block.caption == "app.py"))
    consoles = [block.text for block in blocks if block.language == "console"]
    (start,) = [text for text in consoles if text.startswith("$ flask")]
    sent = [text for text in consoles if text.startswith("$ curl")]
    assert len(sent) == 2
    with served(tmp_path, start.split()[1:]) as address:
        for text in sent:
            command, _, shown = text.removeprefix("$ ").replace("\\\n", " ").partition("\n")
            command = command.replace("http://127.0.0.1:5000", address)
            run = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30)
            assert run.stdout.strip() == shown.strip()


# What the pages say of the package, and the package.


def test_every_setting_is_documented() -> None:
    read = set(re.findall(r'"(WEBPUBSUB_[A-Z_]+)"', inspect.getsource(settings)))
    assert len(read) >= 8
    page = (DOCS / "configuration.rst").read_text()
    documented = set(re.findall(r"^\.\. py:data:: (WEBPUBSUB_[A-Z_]+)$", page, re.MULTILINE))
    assert documented == read


def test_every_public_name_is_in_the_api_reference() -> None:
    page = (DOCS / "api.rst").read_text()
    documented = set(re.findall(r"^\.\. auto(?:class|exception|data):: (\w+)(?:\(\))?$", page, re.MULTILINE))
    assert set(flask_webpubsub.__all__) <= documented


def test_every_error_is_in_the_api_reference() -> None:
    page = (DOCS / "api.rst").read_text()
    documented = set(re.findall(r"^\.\. autoexception:: (\w+)$", page, re.MULTILINE))
    assert documented == {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }


def listed_modules() -> list[str]:
    """The modules of the architecture page, from the top down."""
    page = (DOCS / "architecture.rst").read_text()
    return re.findall(r"^``(\w+)`` ", page, re.MULTILINE)


def test_the_architecture_page_says_what_each_module_is_for() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(listed_modules()) == sorted(modules | packages)


def imports_of(module: str) -> set[str]:
    """The modules of ours that a module, or a package of ours, imports."""
    file = PACKAGE / f"{module}.py"
    files, level = ([file], 1) if file.exists() else ([*(PACKAGE / module).glob("*.py")], 2)
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    found = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level == level]
    return {(node.module or node.names[0].name).partition(".")[0] for node in found}


@pytest.mark.parametrize("module", listed_modules())
def test_a_module_imports_from_those_below_it_on_the_architecture_page(module: str) -> None:
    listed = listed_modules()
    assert imports_of(module) <= set(listed[listed.index(module) + 1 :])


def test_the_architecture_page_follows_an_event_through_functions_that_exist() -> None:
    page = (DOCS / "architecture.rst").read_text()
    steps = re.findall(r"^#\. ``(\w+)``", page, re.MULTILINE)
    assert len(steps) >= 10
    source = inspect.getsource(dispatch.Dispatcher)
    missing = [step for step in steps if f"{step}(" not in source]
    assert not missing


_EVENTS: dict[str, Callable[[Hub], Callable[..., Any]]] = {
    "connect": lambda hub: hub.on_connect,
    "connected": lambda hub: hub.on_connected,
    "message": lambda hub: hub.on_message,
    "disconnected": lambda hub: hub.on_disconnected,
    "joined": lambda hub: hub.on_group_joined,
}


def argument_rows() -> list[tuple[str, list[str]]]:
    """The table of arguments: each name, and whether each of the events has it."""
    page = (DOCS / "handlers.rst").read_text()
    table = page.partition(".. csv-table:: Arguments by event")[2].split("\n\n")[1]
    rows = re.findall(r"^   ``(\w+)``,(.*)$", table, re.MULTILINE)
    return [(name, [cell.strip() for cell in cells.split(",")]) for name, cells in rows]


@pytest.mark.parametrize("event", _EVENTS)
def test_the_table_of_arguments_is_what_each_event_has(event: str) -> None:
    column = list(_EVENTS).index(event)
    rows = argument_rows()
    with pytest.raises(TypeError) as refusal:
        _EVENTS[event](Hub("chat"))(lambda nonsense: None)
    listed = str(refusal.value).partition("It has: ")[2].rstrip(".").split(", ")
    assert sorted(name for name, cells in rows if cells[column] == "yes") == listed


def test_every_method_of_the_test_client_is_on_the_testing_page() -> None:
    page = (DOCS / "testing.rst").read_text()
    for cls in (testing.WebPubSubTestClient, testing.Connection):
        for name, value in vars(cls).items():
            if callable(value) and not name.startswith("_"):
                assert f"{name}(" in page, f"{cls.__name__}.{name} is not on the page."
