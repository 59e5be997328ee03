"""Runs every program that the documentation shows, and holds its tables against the package."""

from __future__ import annotations

import ast
import configparser
import doctest
import importlib
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import flask_webpubsub
from flask_webpubsub import (
    EventErrorResponse,
    Hub,
    UserEventResponse,
    cli,
    dispatch,
    emulator,
    errors,
    settings,
    testing,
)
from flask_webpubsub.testing import WebPubSubTestClient
from sample_app.over_http import forward_to
from tests.conftest import CONNECTION_STRING, HOST, KEY
from tests.emulator.processes import free_port, run
from tests.servers import serve

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
            case [python, script] if python == "python" and script.endswith(".py"):
                pass
            case [flask, *_, "webpubsub", command] if flask.endswith("flask"):
                assert command in cli.webpubsub.commands, line
            case ["git" | "cd" | "flask" | "curl" | "az" | "export" | "gunicorn", *_]:
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


# The pages on development and on production, for real.


def program(page: str, caption: str) -> str:
    """The file of that name on a page."""
    (block,) = [block for block in rst_blocks((DOCS / f"{page}.rst").read_text()) if block.caption == caption]
    return block.text


def as_pattern(shown: str) -> str:
    """A regular expression for a line of the terminal: times, connections and durations differ from run to run."""
    pattern = re.escape(" ".join(shown.split()))
    pattern = re.sub(r"\d\d:\d\d:\d\d", r"[0-9:]{8}", pattern)
    pattern = re.sub(r"\\\[[0-9a-f]{8}\\\]", r"\\[[0-9a-f]{8}\\]", pattern)
    return re.sub(r"\d+\\ ms", r"[0-9]+\\ ms", pattern).replace(r"\ ", r" +")


def test_the_first_app_of_the_page_on_development_chats_as_the_page_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    pytest.importorskip("aiohttp", reason="the extra 'emulator' is not installed")
    page = (DOCS / "development.rst").read_text()
    port, emulator_port = free_port(), free_port()

    def moved(text: str) -> str:
        return text.replace("5000", str(port)).replace("7080", str(emulator_port))

    (tmp_path / "app.py").write_text(moved(program("development", "app.py")))
    start = next(block.text for block in rst_blocks(page) if block.text.startswith("$ flask --app app webpubsub dev"))
    command, *shown = moved(start).splitlines()
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    # Without the reloader, which would see what others change in this folder meanwhile.
    arguments = ["-m", *command.split()[1:], "--port", str(port), "--no-reload"]
    with run(arguments, cwd=tmp_path, env=environment) as development:
        for line in shown:
            development.wait_for(as_pattern(line))
        module: dict[str, Any] = {"__name__": "talk"}
        exec(program("development", "talk.py"), module)
        for _ in range(2):
            module["talk"](f"http://127.0.0.1:{port}")
        assert capsys.readouterr().out == "carol: hi\n" * 2
        (event, _) = terminal_lines(page, "08:01")
        development.wait_for(as_pattern(event.replace("alice", "carol")), count=2)
        send_event(f"http://127.0.0.1:{port}", "typing")
        (failed,) = terminal_lines(page, "08:02")
        development.wait_for(as_pattern(failed.replace("alice", "carol")))


def terminal_lines(page: str, begin: str) -> list[str]:
    """The lines of a page's terminals that begin so; one that is indented further goes on with the one before."""
    return re.findall(rf"^   ({begin}.+(?:\n    .+)*)$", page, re.MULTILINE)


def send_event(app_url: str, name: str) -> None:
    """Send an event with one character as a client of the JSON protocol."""
    from websocket import create_connection

    with urlopen(f"{app_url}/negotiate?name=carol") as answer:
        url = json.load(answer)["url"]
    with closing(create_connection(url, subprotocols=["json.webpubsub.azure.v1"])) as client:
        client.recv()
        client.send(json.dumps({"type": "event", "event": name, "dataType": "text", "data": "x", "ackId": 1}))
        client.recv()


def test_the_command_of_the_page_on_production_serves_its_app(tmp_path: Path) -> None:
    (tmp_path / "production.py").write_text(program("production", "production.py"))
    consoles = [
        block.text for block in rst_blocks((DOCS / "production.rst").read_text()) if block.language == "console"
    ]
    (start,) = [text for text in consoles if "$ gunicorn" in text]
    words = shlex.split(start.partition("$ gunicorn")[2].replace("\\\n", " "))
    options = [word for word in words[:-1] if word != "127.0.0.1:8000"]
    options.remove("--bind")  # the test takes a free port
    environment = {
        "FLASK_WEBPUBSUB_CONNECTION_STRING": json.dumps([CONNECTION_STRING, CONNECTION_STRING.replace(KEY, "other")]),
        "FLASK_WEBPUBSUB_HUB": "chat",
        "FLASK_WEBPUBSUB_ACCESS_CODE": "a-secret-of-its-own",
        "FLASK_DEBUG": "no",
        "GUNICORN_CMD_ARGS": shlex.join(options),
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
    }
    with serve("gunicorn-gthread", words[-1], env=environment, cwd=tmp_path) as server:
        client = WebPubSubTestClient(
            forward_to(server.host, server.port),
            connection_string=CONNECTION_STRING,
            hub="chat",
            access_code="a-secret-of-its-own",
            system_events=("connect",),
        )
        assert client.validate()
        assert client.connect("alice").send_text("hi") == UserEventResponse("alice: hi")
        client.keys = ["other"]
        assert client.connect("alice").accepted
        assert client.connect().response == EventErrorResponse("unauthorized", "Sign in first.")
        if shutil.which("curl") is not None:
            verify_curl(next(text for text in consoles if text.startswith("$ curl")), server.url)
        assert '"POST /runtime/webhooks/webpubsub" 200' in server.log
        assert "a-secret-of-its-own" not in server.log


def verify_curl(console: str, url: str) -> None:
    """Check that the command of a console prints what it shows, among other lines."""
    command, _, shown = console.removeprefix("$ ").replace("\\\n", " ").partition("\n")
    for placeholder, value in {
        "https://<your app>": url,
        "<code>": "a-secret-of-its-own",
        "<name>.webpubsub.azure.com": HOST,
    }.items():
        command = command.replace(placeholder, value)
    printed = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30).stdout
    assert set(shown.splitlines()) <= set(printed.splitlines())


# What the pages say of the package, and the package.


def test_every_setting_is_documented() -> None:
    read = set(re.findall(r'"(WEBPUBSUB_[A-Z_]+)"', inspect.getsource(settings)))
    assert len(read) >= 8
    page = (DOCS / "configuration.rst").read_text()
    documented = set(re.findall(r"^\.\. py:data:: (WEBPUBSUB_[A-Z_]+)$", page, re.MULTILINE))
    assert documented == read


def test_the_installation_page_names_the_versions_that_the_tests_run_on() -> None:
    page = (DOCS / "installation.rst").read_text()
    oldest = dict(re.findall(r"^(\w+)==(.+)$", (ROOT / "constraints" / "oldest.txt").read_text(), re.MULTILINE))
    for name in "Flask", "Werkzeug", "marshmallow", "itsdangerous":
        assert re.search(rf"{name}\s{re.escape(oldest[name.lower()])}\b", page), name
    classified = set(re.findall(r"Python :: (3\.\d+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE))
    tested = set(re.findall(r"\b3\.1\d\b", (ROOT / ".ci" / "run").read_text()))
    assert classified == tested == set(re.findall(r"\b3\.\d\d\b", page))


def test_every_public_name_is_in_the_api_reference() -> None:
    page = (DOCS / "api.rst").read_text()
    documented = set(re.findall(r"^\.\. auto(?:class|exception|data|function):: (\w+)(?:\(\))?$", page, re.MULTILINE))
    assert set(flask_webpubsub.__all__) <= documented


def test_every_public_name_of_the_emulator_is_in_the_api_reference() -> None:
    page = (DOCS / "api.rst").read_text()
    documented = set(
        re.findall(r"^\.\. autoclass:: (\w+)(?:\(\))?$", page.partition("\nThe emulator\n")[2], re.MULTILINE)
    )
    assert set(emulator.__all__) <= documented


def test_every_error_is_in_the_api_reference() -> None:
    page = (DOCS / "api.rst").read_text()
    documented = set(re.findall(r"^\.\. autoexception:: (\w+)$", page, re.MULTILINE))
    assert documented == {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }


#: The tables of modules on the architecture page: the title before each, and the folder whose modules it lists.
_MODULE_TABLES = {"The modules": PACKAGE, "The emulator's modules": PACKAGE / "emulator"}


def listed_modules(title: str) -> list[str]:
    """The modules of a table of the architecture page, from the top down."""
    page = (DOCS / "architecture.rst").read_text()
    section = re.split(r"^.+\n-{4,}$", page.partition(f"\n{title}\n---")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^``(\w+)`` ", section, re.MULTILINE)


@pytest.mark.parametrize("title", _MODULE_TABLES)
def test_the_architecture_page_says_what_each_module_is_for(title: str) -> None:
    folder = _MODULE_TABLES[title]
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(listed_modules(title)) == sorted(modules | packages)


def imports_of(file: Path) -> set[str]:
    """The modules of ours that a module, or a package of ours, imports from its own folder."""
    files, level = ([file], 1) if file.exists() else ([*file.with_suffix("").glob("*.py")], 2)
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    found = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level == level]
    # What the package's own __init__ says of itself is no module.
    names = {name for node in found for name in ([node.module] if node.module else [item.name for item in node.names])}
    return {name.partition(".")[0] for name in names} - {"explain_missing"}


@pytest.mark.parametrize(
    ("title", "module"), [(title, module) for title in _MODULE_TABLES for module in listed_modules(title)]
)
def test_a_module_imports_from_those_below_it_on_the_architecture_page(title: str, module: str) -> None:
    listed = listed_modules(title)
    assert imports_of(_MODULE_TABLES[title] / f"{module}.py") <= set(listed[listed.index(module) + 1 :])


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


def test_every_member_of_the_emulator_in_tests_is_on_the_testing_page() -> None:
    page = (DOCS / "testing.rst").read_text().partition("Testing with the emulator")[2]
    found = {
        "service": {"connection_string", "url", "app_url", "hub", "client_url", "stop", "events", "faults"},
        "events": {"named", "wait_for", "clear", "listen"},
        "service.faults": {"cut", "fail", "delay", "refuse", "clear"},
    }
    with emulator.Emulator() as service:
        for name, value in [("service", service), ("events", service.events), ("service.faults", service.faults)]:
            public = {member for member in dir(value) if not member.startswith(("_", "take_"))}
            assert public - {"append", "count", "index"} == found[name]
            for member in found[name]:
                assert re.search(rf"``{re.escape(name)}\.{member}\b", page), f"{name}.{member} is not on the page."


def test_every_option_of_the_emulator_is_on_its_page_with_its_default() -> None:
    page = (DOCS / "emulator.rst").read_text()
    rows = dict(re.findall(r"^``(\w+)`` {2,}(.+)$", page.partition(".. _emulator-options:")[2], re.MULTILINE))
    assert set(rows) == {field.name for field in fields(emulator.Options)}
    usual, fast = emulator.Options(), emulator.Options.fast()
    for name, row in rows.items():
        here, in_tests, _ = re.split(r" {2,}", row, maxsplit=2)
        assert (in_tests != "the same") == (getattr(usual, name) != getattr(fast, name)) or name == "hubs", name
        for shown, value in [(here, getattr(usual, name)), (in_tests, getattr(fast, name))]:
            if isinstance(value, int | float) and re.fullmatch(r"[0-9.]+(?: MiB)?", shown):
                number, _, unit = shown.partition(" ")
                assert value == float(number) * (2**20 if unit else 1), name


def test_every_option_of_the_emulators_command_line_is_on_its_page() -> None:
    page = (DOCS / "emulator.rst").read_text()
    documented = set(re.findall(r"^``(--[a-z-]+)", page, re.MULTILINE))
    help_text = subprocess.run(
        [sys.executable, "-m", "flask_webpubsub.emulator", "--help"], capture_output=True, text=True, timeout=30
    ).stdout
    assert documented == set(re.findall(r"^ +(?:-h, )?(--[a-z-]+)", help_text, re.MULTILINE))


def test_every_option_of_the_command_for_development_is_on_its_page() -> None:
    page = (DOCS / "development.rst").read_text()
    for parameter in cli.dev.params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            assert f"``{option}``" in page, option


def log_lines() -> list[str]:
    """The pieces of log lines that the emulator's page explains."""
    page = (DOCS / "emulator.rst").read_text()
    table = page.partition(".. _emulator-log-lines:")[2].partition(".. _emulator-options:")[0]
    return re.findall(r"^``([^`]+)`` ", table, re.MULTILINE)


@pytest.mark.parametrize("line", log_lines())
def test_the_emulator_can_write_each_log_line_that_its_page_explains(line: str) -> None:
    texts = [
        node.value
        for path in (PACKAGE / "emulator").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert any(line in text for text in texts)


def test_every_method_that_the_pages_on_sending_name_is_one_of_the_official_client() -> None:
    from flask_webpubsub.service import WebPubSubServiceClient

    methods = {name for name in vars_of(WebPubSubServiceClient) if not name.startswith("_")}
    beside = {"close", "from_connection_string", "get_client_access_token", "send_request"}
    sending = (DOCS / "sending.rst").read_text()
    table = sending.partition("What it can do:")[2].partition("A mapping is sent")[0]
    assert set(re.findall(r"``(\w+_\w+)", table)) - {"target_name", "connection_id", "user_id"} == methods - beside
    functions = (
        (DOCS / "azure-functions.rst").read_text().partition("``actionName``")[2].partition("``WebPubSubContext``")[0]
    )
    assert set(re.findall(r"``(\w+_\w+)``", functions)) <= methods


def vars_of(cls: type) -> set[str]:
    """The names of a class and its bases."""
    return {name for base in cls.__mro__ for name in vars(base)}
