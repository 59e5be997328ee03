"""``flask webpubsub dev``, as a person runs it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flask_webpubsub.access import DEVELOPMENT_KEY
from flask_webpubsub.emulator.tokens import make_client_token
from tests.emulator.parts import in_loop
from tests.emulator.processes import Program, free_port, run

#: The command as an installed package adds it to ``flask``.
FLASK = """
from flask.cli import cli
from flask_webpubsub.cli import webpubsub
cli.add_command(webpubsub)
cli.main()
"""

APP = """
import os
from flask import Flask
from flask_webpubsub import WebPubSub

app = Flask(__name__)
app.config["WEBPUBSUB_CONNECTION_STRING"] = os.environ["CONNECTION_STRING"]
app.config["WEBPUBSUB_HUB"] = "chat"
app.config["WEBPUBSUB_ACCESS_CODE"] = "open sesame"
wps = WebPubSub(app)

@wps.on_message
def message(data):
    return f"{data}, {'debug' if app.debug else 'no debug'}"
"""

#: Is there where the debugger is.
DEBUGGER_FILE = "/?__debugger__=yes&cmd=resource&f=style.css"

CONNECT = """
@wps.on_connect
def connect(user_id):
    return {"userId": f"Dr {user_id}"}
"""


class Development:
    """A development server in a process of its own, in a folder that holds its app."""

    def __init__(self, program: Program, folder: Path, port: int, app_port: int) -> None:
        self.program = program
        self.folder = folder
        self.port = port
        self.app_port = app_port

    def url(self, user_id: str = "alice") -> str:
        endpoint = f"http://localhost:{self.port}"
        token = make_client_token(DEVELOPMENT_KEY, endpoint=endpoint, hub="chat", user_id=user_id)
        return f"ws://localhost:{self.port}/client/hubs/chat?access_token={token}"

    def get(self, path: str) -> int:
        """Ask the app itself: the status."""
        http = HTTPConnection("127.0.0.1", self.app_port, timeout=30)
        try:
            http.request("GET", path)
            return http.getresponse().status
        finally:
            http.close()

    async def say(self, text: str) -> Any:
        """Connect and send a message: the answer."""
        async with aiohttp.ClientSession() as http, http.ws_connect(self.url()) as client:
            await client.send_str(text)
            return (await client.receive()).data


def flask(folder: Path, *arguments: str, app: str = "app", **env: str) -> AbstractContextManager[Program]:
    script = folder / "flask_command.py"
    script.write_text(FLASK)
    return run([str(script), *(["--app", app] if app else []), *arguments], cwd=folder, env=env)


def local(port: int, key: str = DEVELOPMENT_KEY) -> str:
    return f"Endpoint=http://localhost:{port};AccessKey={key};Version=1.0;"


@contextmanager
def developing(folder: Path, *arguments: str, source: str = APP, before: tuple[str, ...] = ()) -> Iterator[Development]:
    (folder / "app.py").write_text(source)
    port, app_port = free_port(), free_port()
    command = [*before, "webpubsub", "dev", f"--port={app_port}", *arguments]
    with flask(folder, *command, CONNECTION_STRING=local(port)) as program:
        program.wait_for("Running on")
        dev = Development(program, folder, port, app_port)
        # The port is open from the start. Once the app answers, changes of its code are seen.
        dev.get("/")
        yield dev


@in_loop
async def test_a_chat_with_everything_as_it_comes(tmp_path: Path) -> None:
    with developing(tmp_path) as dev:
        assert await dev.say("hi") == "hi, debug"
        dev.program.wait_for(r"chat  message       alice \[[0-9a-f]{8}\] text \(2 B\)  -> 200 text \(9 B\)  \d+ ms\n")
        output = dev.program.output
        for text in (
            f"Web PubSub emulator on http://localhost:{dev.port}, for development alone",
            "Hub: chat",
            f"ws://localhost:{dev.port}/client/hubs/chat",
            f"Connection string: {local(dev.port)}",
            f"Events go to http://127.0.0.1:{dev.app_port}/runtime/webhooks/webpubsub\n",
            "Serving Flask app 'app'",
            f"Running on http://127.0.0.1:{dev.app_port}",
        ):
            assert output.count(text) == 1
        assert "sesame" not in output  # the lines of the server would have it
        assert dev.program.end(signal.SIGINT) == 0
        assert "Traceback" not in dev.program.output


@in_loop
async def test_a_changed_app_is_wired_anew_while_clients_stay(tmp_path: Path) -> None:
    with developing(tmp_path) as dev:
        async with aiohttp.ClientSession() as http, http.ws_connect(dev.url()) as client:
            await client.send_str("hi")
            assert (await client.receive()).data == "hi, debug"
            (tmp_path / "app.py").write_text(APP + CONNECT)
            dev.program.wait_for("Debugger is active", count=2)
            # The first client was never asked to connect, and is still there.
            await client.send_str("ho")
            assert (await client.receive()).data == "ho, debug"
            assert await dev.say("hi") == "hi, debug"
            dev.program.wait_for(r"connect       alice \[[0-9a-f]{8}\]  -> 200 as Dr alice")


@in_loop
async def test_an_app_that_is_broken_for_a_while_can_be_mended(tmp_path: Path) -> None:
    with developing(tmp_path) as dev:
        (tmp_path / "app.py").write_text(APP + "\n(")
        dev.program.wait_for("SyntaxError")
        dev.program.wait_for("Debugger is active", count=2)
        await dev.say("hi")
        dev.program.wait_for("-> 500|look at the app's log")
        (tmp_path / "app.py").write_text(APP)
        dev.program.wait_for("Debugger is active", count=3)
        while await dev.say("hi") != "hi, debug":
            pass
        assert dev.program.end(signal.SIGINT) == 0


@in_loop
async def test_an_app_that_moves_to_another_service_is_told_to_start_again(tmp_path: Path) -> None:
    with developing(tmp_path) as dev:
        moved = APP.replace('os.environ["CONNECTION_STRING"]', repr(local(1)))
        (tmp_path / "app.py").write_text(moved)
        dev.program.wait_for("start this command again")


@pytest.mark.parametrize(
    ("before", "arguments"),
    [((), ("--no-reload",)), ((), ("--no-reload", "--no-debugger")), (("--debug",), ("--no-reload",))],
    ids=["no-reload", "no-debugger", "debug"],
)
def test_the_reloader_and_the_debugger_can_be_left_out(
    tmp_path: Path, before: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    @in_loop
    async def chat() -> None:
        with developing(tmp_path, *arguments, before=before) as dev:
            assert await dev.say("hi") == "hi, debug"
            assert "Restarting" not in dev.program.output
            assert dev.get(DEBUGGER_FILE) == (404 if "--no-debugger" in arguments else 200)
            assert dev.program.end(signal.SIGINT) == 0
            assert "Traceback" not in dev.program.output

    chat()


@in_loop
async def test_debug_mode_can_be_left_out(tmp_path: Path) -> None:
    source = APP.replace("wps =", 'app.config["WEBPUBSUB_ALLOW_DEVELOPMENT_KEY"] = True\nwps =')
    with developing(tmp_path, source=source, before=("--no-debug",)) as dev:
        assert await dev.say("hi") == "hi, no debug"
        assert dev.get(DEBUGGER_FILE) == 404
        assert "Restarting" not in dev.program.output


# What can not work.


def fail(folder: Path, connection_string: str, *arguments: str, source: str = APP, app: str = "app") -> str:
    """Run the command in vain: its one line."""
    (folder / "app.py").write_text(source)
    with flask(folder, "webpubsub", "dev", *arguments, app=app, CONNECTION_STRING=connection_string) as program:
        assert program.wait() == 2
        # The extension has lines of its own where it warns.
        (line,) = (line for line in program.output.splitlines() if "has no AccessKey: its events" not in line)
        return line


@pytest.mark.parametrize(
    ("connection_string", "words"),
    [
        (
            "Endpoint=https://contoso.webpubsub.azure.com;AccessKey=secret;",
            ["https://contoso.webpubsub.azure.com", "is Azure"],
        ),
        ("Endpoint=http://elsewhere.example:7080;AccessKey=secret;", ["another machine"]),
        ("Endpoint=https://localhost:7080;AccessKey=secret;", ["http:// alone"]),
        ("Endpoint=http://localhost:7080;", ["no AccessKey"]),
        ("nonsense", ["WEBPUBSUB_CONNECTION_STRING is no connection string"]),
        ("", ["WEBPUBSUB_CONNECTION_STRING holds nothing"]),
    ],
    ids=["azure", "elsewhere", "https", "no-key", "nonsense", "empty"],
)
def test_a_connection_string_that_is_not_of_the_emulator_is_one_line(
    tmp_path: Path, connection_string: str, words: list[str]
) -> None:
    line = fail(tmp_path, connection_string)
    for word in words:
        assert word in line
    assert "secret" not in line


@pytest.mark.parametrize("whose", ["app", "emulator"])
def test_a_port_in_use_is_one_line(tmp_path: Path, whose: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used, free = taken.getsockname()[1], free_port()
        app_port, port = (used, free) if whose == "app" else (free, used)
        line = fail(tmp_path, local(port), f"--port={app_port}")
    assert str(used) in line
    assert "in use" in line
    assert str(free) not in line


def test_the_app_and_the_emulator_can_not_share_a_port(tmp_path: Path) -> None:
    assert "both have port 5000" in fail(tmp_path, local(5000))


def test_an_app_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "Could not import 'nothing'" in fail(tmp_path, local(7080), app="nothing")


def test_no_app_at_all_is_one_line(tmp_path: Path) -> None:
    with flask(tmp_path, "webpubsub", "dev", app="") as program:
        assert program.wait() == 2
        assert "Could not locate a Flask application" in program.output
        assert "Traceback" not in program.output


def test_an_app_without_the_extension_is_one_line(tmp_path: Path) -> None:
    source = "from flask import Flask\napp = Flask(__name__)\n"
    assert "add WebPubSub(app)" in fail(tmp_path, local(7080), source=source)


def test_a_missing_package_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    source = "import sys\nsys.modules['aiohttp'] = None\n" + APP
    line = fail(tmp_path, local(free_port()), f"--port={free_port()}", source=source)
    assert line == "Error: The emulator needs more packages: pip install 'flask-webpubsub[emulator]'"


@pytest.mark.parametrize("arguments", [["--port=0"], ["--port=x"], ["--nonsense"]])
def test_a_bad_option_is_status_2(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "app.py").write_text(APP)
    with flask(tmp_path, "webpubsub", "dev", *arguments, CONNECTION_STRING=local(7080)) as program:
        assert program.wait() == 2
        assert "Error: " in program.output.splitlines()[-1]
        assert "Traceback" not in program.output


def test_the_command_is_one_of_flasks() -> None:
    try:
        installed = distribution("flask-webpubsub")
    except PackageNotFoundError:
        pytest.skip("the package is not installed")
    (command,) = installed.entry_points.select(group="flask.commands")
    assert (command.name, command.value) == ("webpubsub", "flask_webpubsub.cli:webpubsub")
