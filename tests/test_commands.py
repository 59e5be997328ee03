"""The commands of ``flask webpubsub`` beside ``dev``, as a person runs them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from flask_webpubsub import EventErrorResponse, Hub, UserEventRequest, UserEventResponse, WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.cli import webpubsub
from flask_webpubsub.signature import sign_connection
from tests.conftest import CONNECTION_STRING, HOST, KEY
from tests.servers import Server, serve
from tests.test_doctor import ENTRA

CODE = "open&sesame with 26 letters"
QUOTED_CODE = "open%26sesame%20with%2026%20letters"
ROOT = Path(__file__).parent.parent
# Click before 8.2 mixes the two streams of a command, unless it is told not to.
SEPARATE: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}

SERVED = "tests.scenarios.served_app:app"
SERVED_ENVIRONMENT = {
    "FLASK_WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING,
    "FLASK_WEBPUBSUB_HUB": "chat",
    "FLASK_WEBPUBSUB_ACCESS_CODE": CODE,
}

Invoke = Callable[..., Result]


@pytest.fixture
def app() -> Flask:
    app = Flask("shop", root_path="/nowhere/shop")  # so that no module of another test is the app's
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat", WEBPUBSUB_ACCESS_CODE=CODE)
    return app


@pytest.fixture
def invoke(app: Flask) -> Invoke:
    """Runs a command on the app: ``invoke("send", "message", "hi")``."""

    def run(*arguments: str, **options: Any) -> Result:
        return app.test_cli_runner(**SEPARATE).invoke(webpubsub, arguments, catch_exceptions=False, **options)

    return run


@pytest.fixture
def chat(wps: WebPubSub) -> WebPubSub:
    """Handlers of a chat, and of a hub for support."""

    @wps.on_connect
    def connect(user_id: str | None, query: dict[str, list[str]]) -> Any:
        if user_id is None:
            return EventErrorResponse("unauthorized", "Sign in first.")
        return {"groups": query.get("room", []), "states": {"count": 0}}

    @wps.on_message
    def message(request: UserEventRequest, data: Any, states: dict[str, Any]) -> UserEventResponse:
        response = UserEventResponse(data, request.data_type)
        response.set_state("count", states.get("count", 0) + 1)
        return response

    @wps.on_group_joined
    def joined(group: str) -> None:
        click.echo(f"joined {group}")

    @wps.on_disconnected
    def disconnected(reason: str | None) -> None:
        click.echo(f"gone: {reason}")

    support = Hub("support")
    support.on_user_event("typing")(typing)
    wps.register_hub(support)
    return wps


def typing(data: Any) -> None:
    click.echo(f"typing {data!r}")


def flask(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``flask`` in a folder, as it is where the package is installed."""
    script = folder / "flask_command.py"
    script.write_text(
        "from flask.cli import cli\nfrom flask_webpubsub.cli import webpubsub\ncli.add_command(webpubsub)\n"
        "cli.main(prog_name='flask')\n"
    )
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        | {"PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def app_file(folder: Path, *lines: str, connection_string: str = CONNECTION_STRING) -> None:
    """Write an app with a factory."""
    begin = [
        "from flask import Flask",
        "from flask_webpubsub import WebPubSub",
        "wps = WebPubSub()",
        "@wps.on_message",
        "def message(data):",
        "    return data",
        "def create_app():",
        "    app = Flask('shop')",
        f"    app.config['WEBPUBSUB_CONNECTION_STRING'] = {connection_string!r}",
        "    app.config['WEBPUBSUB_HUB'] = 'chat'",
    ]
    end = ["    wps.init_app(app)", "    return app", ""]
    (folder / "app.py").write_text("\n".join([*begin, *(f"    {line}" for line in lines), *end]))


COMMANDS = ("triggers", "url", "send", "check", "code")


# Whatever the command.


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_needs_no_app(tmp_path: Path, command: str) -> None:
    done = flask(tmp_path, "webpubsub", command, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: flask webpubsub {command} ")
    assert done.stderr == ""


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "code"])
def test_without_an_app_a_command_says_how_to_name_one(tmp_path: Path, command: str) -> None:
    done = flask(tmp_path, "webpubsub", command)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: Could not locate a Flask application. Use the 'flask --app' option")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "code"])
def test_every_command_works_in_an_app_factory(tmp_path: Path, command: str) -> None:
    app_file(tmp_path)

    done = flask(tmp_path, "--app", "app", "webpubsub", command)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "chat" in done.stdout


@pytest.mark.parametrize("command", ["triggers", "url", "send"])
def test_a_wrong_configuration_is_no_traceback(tmp_path: Path, command: str) -> None:
    app_file(tmp_path, connection_string=DEVELOPMENT_CONNECTION_STRING)

    done = flask(tmp_path, "--app", "app", "webpubsub", command)

    assert done.returncode == 2
    assert done.stderr.startswith("Error: WEBPUBSUB_CONNECTION_STRING holds the local emulator's key")
    assert f"flask --debug webpubsub {command}" in done.stderr
    assert flask(tmp_path, "--app", "app", "--debug", "webpubsub", command).returncode == 0


@pytest.mark.parametrize("command", ["triggers", "url", "send"])
def test_an_app_without_the_extension_is_no_traceback(invoke: Invoke, command: str) -> None:
    result = invoke(command)

    assert result.exit_code == 2
    assert "The app 'shop' does not have the extension" in result.stderr


# triggers


def test_triggers_are_a_table_like_the_routes(chat: WebPubSub, app: Flask, invoke: Invoke) -> None:
    app.config["OTHER"] = CONNECTION_STRING
    chat.on_user_event("*", client_protocols="mqtt", connection=["WEBPUBSUB_CONNECTION_STRING", "OTHER"])(typing)
    chat.on_connected(connection=None)(lambda: None)

    result = invoke("triggers")

    assert result.exit_code == 0
    rows = [re.split(r" {2,}", line) for line in result.stdout.splitlines()]
    assert rows[0] == ["Hub", "Type", "Event", "Protocol", "Function", "Connections"]
    assert set("".join(rows[1])) == {"-"}
    mine = "tests.test_commands."
    default = "WEBPUBSUB_CONNECTION_STRING"
    assert rows[2:] == [
        ["chat", "system", "connect", "all", f"{mine}chat.<locals>.connect", default],
        ["chat", "system", "connected", "all", rows[3][4], "unsigned"],
        ["chat", "system", "disconnected", "all", f"{mine}chat.<locals>.disconnected", default],
        ["chat", "presence", "joined", "all", f"{mine}chat.<locals>.joined", default],
        ["chat", "user", "*", "mqtt", f"{mine}typing", f"{default}, OTHER"],
        ["chat", "user", "message", "all", f"{mine}chat.<locals>.message", default],
        ["support", "user", "typing", "all", f"{mine}typing", default],
    ]


def test_triggers_are_json_for_programs(chat: WebPubSub, invoke: Invoke) -> None:
    chat.on_connected(connection=None)(lambda: None)

    rows = json.loads(invoke("triggers", "--json").stdout)

    assert len(rows) == 6
    assert rows[-1] == {
        "hub": "support",
        "eventType": "user",
        "eventName": "typing",
        "clientProtocols": "all",
        "function": "tests.test_commands.typing",
        "connections": ["WEBPUBSUB_CONNECTION_STRING"],
    }
    assert rows[1]["connections"] == []


@pytest.mark.usefixtures("wps")
def test_no_triggers_are_told(invoke: Invoke) -> None:
    assert invoke("triggers").stdout == "No handlers are registered.\n"
    assert json.loads(invoke("triggers", "--json").stdout) == []


# url


def az_commands(output: str) -> list[list[str]]:
    """The words of each command for a shell."""
    joined = output.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.startswith("az ")]


def az_values(words: Sequence[str]) -> dict[str, list[str]]:
    """The options of a command; an event handler is taken apart."""
    found: dict[str, list[str]] = {}
    option = ""
    for word in words[4:]:
        if word.startswith("--"):
            option = word
        elif option == "--event-handler":
            name, _, value = word.partition("=")
            found.setdefault(name, []).append(value)
        else:
            found.setdefault(option, []).append(word)
    return found


def test_url_is_what_azure_needs_and_hides_the_code(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("url")

    assert result.exit_code == 0
    assert "\nhttps://<your app>/runtime/webhooks/webpubsub/{event}?code=<your access code>\n" in result.stdout
    assert "--show-code" in result.stdout
    assert "--base-url" in result.stdout
    assert CODE not in result.output
    assert QUOTED_CODE not in result.output
    assert KEY not in result.output


def test_url_has_the_code_when_it_is_asked_for(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("url", "--show-code", "--base-url", "https://shop.test/app/")

    template = f"https://shop.test/app/runtime/webhooks/webpubsub/{{event}}?code={QUOTED_CODE}"
    assert f"\n{template}\n" in result.stdout
    assert [az_values(words)["url-template"] for words in az_commands(result.stdout)] == [[template], [template]]
    assert "keep it out of logs" in result.stderr


def test_the_command_for_azure_follows_from_the_handlers(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("url", "--base-url", "https://shop.test")

    first, second = az_commands(result.stdout)
    assert first[:4] == ["az", "webpubsub", "hub", "create"]
    template = "https://shop.test/runtime/webhooks/webpubsub/{event}?code=<your access code>"
    assert az_values(first) == {
        "--name": ["contoso"],
        "--resource-group": ["<your resource group>"],
        "--hub-name": ["chat"],
        "url-template": [template],
        "user-event-pattern": ["message"],
        "system-event": ["connect", "disconnected"],
    }
    assert az_values(second)["--hub-name"] == ["support"]
    assert az_values(second)["user-event-pattern"] == ["typing"]
    assert "system-event" not in az_values(second)
    assert "group presence events joined" in result.stdout


def test_the_fallback_for_all_messages_is_the_whole_pattern(chat: WebPubSub, invoke: Invoke) -> None:
    chat.on_user_event("*")(typing)

    assert az_values(az_commands(invoke("url").stdout)[0])["user-event-pattern"] == ["*"]


def test_several_messages_are_one_pattern(chat: WebPubSub, invoke: Invoke) -> None:
    chat.on_user_event("it's")(typing)

    assert az_values(az_commands(invoke("url").stdout)[0])["user-event-pattern"] == ["message,it's"]


def test_each_service_of_a_hub_has_its_own_command(wps: WebPubSub, app: Flask, invoke: Invoke) -> None:
    app.config["OTHER"] = "Endpoint=https://fabrikam.webpubsub.azure.com;AccessKey=k;"
    app.config["LOCAL"] = "Endpoint=http://localhost:7080;AccessKey=k;"
    wps.on_message(typing)
    wps.on_user_event("typing", connection="OTHER")(typing)
    wps.on_connected(hub="lab", connection="LOCAL")(lambda: None)
    wps.on_disconnected(hub="open", connection=None)(lambda: None)

    commands = [az_values(words) for words in az_commands(invoke("url").stdout)]

    found = [(c["--name"], c["--hub-name"], c.get("user-event-pattern"), c.get("system-event")) for c in commands]
    assert found == [
        (["contoso"], ["chat"], ["message"], None),
        (["fabrikam"], ["chat"], ["typing"], None),
        (["<your resource>"], ["lab"], None, ["connected"]),
        (["<your resource>"], ["open"], None, ["disconnected"]),
    ]


def test_an_app_that_knows_its_name_needs_no_base_url(chat: WebPubSub, app: Flask, invoke: Invoke) -> None:
    app.config["SERVER_NAME"] = "shop.test"
    app.config["APPLICATION_ROOT"] = "/app"

    assert "\nhttps://shop.test/app/runtime/webhooks/webpubsub/{event}?code" in invoke("url").stdout


def test_a_base_url_that_is_none_is_status_2(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("url", "--base-url", "shop.test")

    assert result.exit_code == 2
    assert "no http or https URL" in result.stderr


@pytest.fixture
def entra(app: Flask) -> None:
    """Events need a token of Microsoft Entra ID."""
    pytest.importorskip("cryptography", reason="the extra 'entra' is not installed")
    app.config.update(ENTRA)


@pytest.mark.usefixtures("entra")
def test_the_command_for_azure_switches_tokens_on_where_the_app_needs_them(wps: WebPubSub, invoke: Invoke) -> None:
    wps.on_message(typing)

    (words,) = az_commands(invoke("url").stdout)

    assert az_values(words)["auth-type"] == ["ManagedIdentity"]
    assert az_values(words)["auth-resource"] == ["api://shop"]


@pytest.mark.usefixtures("no_code")
def test_without_a_code_there_is_none_in_the_url(chat: WebPubSub, invoke: Invoke) -> None:
    output = invoke("url").stdout

    assert "?code" not in output
    assert "flask webpubsub code" in output


@pytest.fixture
def no_code(app: Flask) -> None:
    app.config["WEBPUBSUB_ACCESS_CODE"] = None


@pytest.mark.usefixtures("wps")
def test_without_handlers_there_is_no_hub_to_set(invoke: Invoke) -> None:
    assert "No handlers are registered" in invoke("url").stdout


# code


def test_a_code_is_fresh_and_long_and_alone_on_standard_output(tmp_path: Path) -> None:
    first, second = flask(tmp_path, "webpubsub", "code"), flask(tmp_path, "webpubsub", "code")

    assert first.returncode == 0
    assert re.fullmatch(r"[0-9a-f]{64}\n", first.stdout)
    assert first.stdout != second.stdout
    assert "WEBPUBSUB_ACCESS_CODE" in first.stderr


# send, in process


def test_a_message_is_answered(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("send", "message", "hi", "--user", "alice")

    assert result.exit_code == 0
    assert result.stdout.startswith("To the app 'shop' in this process, hub 'chat', as user 'alice'.\n")
    assert "<- 200 OK in " in result.stdout
    assert "   Content-Type: text/plain; charset=utf-8\n" in result.stdout
    assert '   States: {"count": 1}\n' in result.stdout
    assert result.stdout.endswith("   Body, 2 bytes:\n     hi\n")


@pytest.mark.parametrize("arguments", [["hi"], ["message", "hi"]], ids=["no-handler", "message"])
def test_neither_code_nor_signature_nor_key_is_printed_even_by_an_app_that_echoes(
    wps: WebPubSub, app: Flask, invoke: Invoke, arguments: list[str]
) -> None:
    @wps.on_user_event("*")
    def echo() -> UserEventResponse:
        connection_id = request.headers["ce-connectionId"]
        said = {"url": request.url, "code": request.args["code"], "signature": request.headers["ce-signature"]}
        said["key"] = KEY
        response = UserEventResponse(said)
        response.set_state("seen", sign_connection(connection_id, [KEY.encode()]))
        return response

    @app.after_request
    def tell(response: Any) -> Any:
        response.headers["X-Seen"] = request.headers["ce-signature"] + request.url
        return response

    output = invoke("send", *arguments).output

    connection_id = re.findall(r"connection (\w{32})", output)[0]
    signature = sign_connection(connection_id, [KEY.encode()])
    for secret in (CODE, QUOTED_CODE, KEY, signature, signature.removeprefix("sha256=")):
        assert secret not in output
    assert "***" in output


def test_every_event_comes_from_a_fresh_connection(chat: WebPubSub, invoke: Invoke) -> None:
    output = invoke("send").output + invoke("send").output

    first, second = re.findall(r"connection (\w{32})", output)
    assert first != second


def test_connect_is_asked_with_what_the_client_brings(wps: WebPubSub, invoke: Invoke) -> None:
    @wps.on_connect
    def connect(
        user_id: str, query: Any, claims: Any, headers: Any, subprotocols: list[str]
    ) -> dict[str, list[str] | str]:
        return {"groups": [user_id, *query["room"], *claims["role"], *headers["X-A"]], "subprotocol": subprotocols[1]}

    result = invoke(
        *["send", "Connect", "--user", "alice", "--query", "room=a", "--query", "room=b=c", "--claim", "role=admin"],
        *["--header", "X-A=1", "--subprotocol", "one", "--subprotocol", "two"],
    )

    assert result.exit_code == 0
    body = json.loads(result.stdout.partition("bytes:\n")[2])
    assert body == {"groups": ["alice", "a", "b=c", "admin", "1"], "subprotocol": "two"}
    assert result.stdout.count("->") == 1


def test_a_refused_connect_is_status_1(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("send", "connect")

    assert result.exit_code == 1
    assert "<- 401 Unauthorized in " in result.stdout
    assert "     Sign in first.\n" in result.stdout
    assert "The app answered 401: the handler refused the event" in result.stderr


def test_the_states_of_connect_are_there_for_what_follows(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("send", "--connect", "--user", "alice", "--state", "count=5", "--state", "name=Al", "message", "x")

    assert result.exit_code == 0
    assert re.findall(r"-> (\w+)", result.stdout) == ["connect", "message"]
    assert [json.loads(text) for text in re.findall(r"States: (.*)", result.stdout)] == [
        {"count": 0},
        {"count": 6, "name": "Al"},
    ]


def test_nothing_follows_a_refused_connect(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("send", "message", "x", "--connect")

    assert result.exit_code == 1
    assert re.findall(r"-> (\w+)", result.stdout) == ["connect"]


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["typing", "hi", "--hub", "support"], "typing 'hi'"),
        (["typing", '{"in": "lobby"}', "--json", "--hub", "support"], "typing {'in': 'lobby'}"),
        (["typing", "hi", "--binary", "--hub", "SUPPORT"], "typing b'hi'"),
        (["typing", "--hub", "support"], "typing ''"),
        (["joined", "--group", "lobby"], "joined lobby"),
        (["disconnected", "--reason", "closed"], "gone: closed"),
        (["disconnected"], "gone: None"),
    ],
)
def test_any_event_can_be_sent(chat: WebPubSub, invoke: Invoke, arguments: list[str], printed: str) -> None:
    result = invoke("send", *arguments)

    assert result.exit_code == 0
    assert printed in result.stdout.splitlines()
    assert "<- 204 No Content" in result.stdout


@pytest.mark.parametrize(
    ("content", "arguments", "shown"),
    [
        ("grüße".encode(), [], "text/plain; charset=utf-8"),
        (b"\xff\xd8photo", [], "application/octet-stream"),
        (b"plain", ["--binary"], "application/octet-stream"),
        (b'{"a": 1}', ["--json"], "application/json"),
    ],
    ids=["text", "photo", "binary", "json"],
)
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_the_data_can_be_in_a_file_or_on_standard_input(
    chat: WebPubSub, invoke: Invoke, tmp_path: Path, content: bytes, arguments: list[str], shown: str, source: str
) -> None:
    (tmp_path / "data").write_bytes(content)
    path = str(tmp_path / "data") if source == "file" else "-"

    result = invoke("send", "message", "--file", path, *arguments, input=content if source == "stdin" else None)

    assert result.exit_code == 0
    assert f"   Content-Type: {shown}\n" in result.stdout


def test_a_message_may_have_the_name_of_a_system_event(wps: WebPubSub, invoke: Invoke) -> None:
    wps.on_user_event("connect")(typing)

    assert "typing 'hi'\n" in invoke("send", "connect", "hi", "--user-event").stdout


def test_an_mqtt_client_says_what_its_packet_holds(wps: WebPubSub, invoke: Invoke) -> None:
    @wps.on_connect(client_protocols="mqtt")
    def connect(mqtt: Any) -> dict[str, Any]:
        return {"groups": [mqtt.username, mqtt.password.decode(), mqtt.user_properties[0].value]}

    @wps.on_user_event("temperature", client_protocols="mqtt")
    def temperature(user_properties: Any) -> str:
        return str(user_properties[0].value)

    packet = ["--mqtt", "5.0", "--username", "t-1", "--password", "p", "--property", "zone=north"]
    connected = invoke("send", "connect", *packet)
    sent = invoke("send", "temperature", "21", "--mqtt", "3.1.1", "--property", "unit=C")

    assert json.loads(connected.stdout.partition("bytes:\n")[2])["groups"] == ["t-1", "p", "north"]
    assert sent.stdout.endswith("     C\n")


def test_an_event_without_a_handler_is_status_1_and_the_decorator(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("send", "unheard")

    assert result.exit_code == 1
    assert "<- 404 Not Found" in result.stdout
    assert "add @wps.on_user_event('unheard', hub='chat')" in result.stderr


@pytest.mark.parametrize("debug", [False, True])
def test_a_handler_that_fails_is_a_500_as_it_is_when_served(
    wps: WebPubSub, app: Flask, invoke: Invoke, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app.debug = debug

    @wps.on_message
    def message() -> None:
        raise LookupError("Nobody knows.")

    result = invoke("send")

    assert result.exit_code == 1
    assert "<- 500 Internal Server Error" in result.stdout
    assert "Nobody knows." in caplog.text
    assert "look at the app's log" in result.stderr


def test_an_answer_that_the_service_could_not_read_is_status_1(wps: WebPubSub, invoke: Invoke) -> None:
    from flask import Response as FlaskResponse

    @wps.on_connect
    def connect() -> FlaskResponse:
        return FlaskResponse("<p>Welcome", mimetype="text/html")

    result = invoke("send", "connect")

    assert result.exit_code == 1
    assert "     <p>Welcome\n" in result.stdout
    assert "not the JSON that lets a client in" in result.stderr


def test_what_a_terminal_could_take_for_a_command_is_made_visible(wps: WebPubSub, invoke: Invoke) -> None:
    wps.on_message(lambda: "\x1b]0;evil\x07 \u202e")

    output = invoke("send").output

    assert "\x1b" not in output
    assert "\\x1b]0;evil\\x07" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["connect", "data"], "connect carries no data"),
        (["message", "x", "--file", "-"], "either DATA or --file"),
        (["message", "x", "--json", "--binary"], "either --json or --binary"),
        (["message", "{", "--json"], "The data is no JSON"),
        (["connect", "--state", "a=1"], "no states of its own"),
        (["joined"], "joined needs a --group"),
        (["message", "--group", "a"], "--group is for joined and left"),
        (["message", "--reason", "a"], "--reason is for disconnected"),
        (["message", "--query", "a=1"], "add --connect"),
        (["connect", "--query", "a"], "not of the form NAME=VALUE"),
        (["message", "--username", "a"], "add --mqtt"),
        (["message", "--hub", "a b"], "can not be the name of a hub"),
        (["with,comma"], "can not be the name of an event"),
        (["message", "--user", "a\nb"], "There can be no such event"),
        (["message", "--file", "nowhere"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_sent_is_status_2(chat: WebPubSub, invoke: Invoke, arguments: list[str], words: str) -> None:
    result = invoke("send", *arguments, input="x")

    assert result.exit_code == 2
    assert words in result.stderr


def test_a_hub_must_be_named_where_there_are_several(tmp_path: Path, app: Flask, invoke: Invoke) -> None:
    app.config["WEBPUBSUB_HUB"] = None
    wps = WebPubSub(app)
    assert "Name a hub with --hub." in invoke("send").stderr
    wps.on_message(hub="one")(typing)
    assert "hub 'one'" in invoke("send").stdout


def test_several_hubs_are_listed(app: Flask, invoke: Invoke) -> None:
    app.config["WEBPUBSUB_HUB"] = None
    wps = WebPubSub(app)
    wps.on_message(hub="one")(typing)
    wps.on_message(hub="two")(typing)

    result = invoke("send")

    assert result.exit_code == 2
    assert "'one', 'two'" in result.stderr


def test_an_event_is_signed_by_the_service_of_its_handler(wps: WebPubSub, app: Flask, invoke: Invoke) -> None:
    app.config["OTHER"] = "Endpoint=https://fabrikam.webpubsub.azure.com;AccessKey=another-key;"
    wps.on_user_event("typing", connection="OTHER")(lambda connection_context: connection_context.origin)
    wps.on_message(lambda connection_context: connection_context.origin)

    assert invoke("send", "typing").stdout.endswith("     fabrikam.webpubsub.azure.com\n")
    assert invoke("send").stdout.endswith(f"     {HOST}\n")


def test_an_app_that_takes_unsigned_events_gets_them(app: Flask, invoke: Invoke) -> None:
    app.config.update(WEBPUBSUB_CONNECTION_STRING=None, WEBPUBSUB_ALLOW_UNSIGNED=True)
    WebPubSub(app).on_message(typing)

    assert invoke("send", "message", "x").exit_code == 0


@pytest.mark.usefixtures("entra")
def test_an_app_that_asks_for_a_token_says_so(wps: WebPubSub, invoke: Invoke) -> None:
    wps.on_message(typing)

    result = invoke("send")

    assert result.exit_code == 1
    assert "asks for a token of Microsoft Entra ID" in result.stderr


# send --url


@pytest.fixture(scope="module", params=["gunicorn-sync", "waitress"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, SERVED, env=SERVED_ENVIRONMENT) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    ["", "/", "/runtime/webhooks/webpubsub", "/runtime/webhooks/webpubsub/{event}", f"/?code={QUOTED_CODE}"],
    ids=["no-path", "slash", "path", "template", "code"],
)
def test_a_served_app_answers(server: Server, chat: WebPubSub, invoke: Invoke, path: str) -> None:
    result = invoke("send", "message", "grüße", "--user", "alice", "--url", server.url + path)

    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("     #1: grüße\n")
    assert '   States: {"count": 1}\n' in result.stdout
    assert f"Events are sent to {server.host}:{server.port}, on this machine." in result.stderr
    assert CODE not in result.output
    assert QUOTED_CODE not in result.output


def test_a_conversation_goes_over_the_network(server: Server, chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("send", "message", "hi", "--user", "alice", "--connect", "--url", server.url)

    assert result.exit_code == 0
    assert re.findall(r"-> (\w+)", result.stdout) == ["connect", "message"]


def test_an_app_with_another_key_is_status_1(server: Server, app: Flask, invoke: Invoke) -> None:
    app.config["WEBPUBSUB_CONNECTION_STRING"] = f"Endpoint=https://{HOST};AccessKey=another;"
    WebPubSub(app).on_message(typing)

    result = invoke("send", "--url", server.url)

    assert result.exit_code == 1
    assert "<- 401 Unauthorized" in result.stdout
    assert "the AccessKeys differ" in result.stderr


@contextmanager
def answering(application: Callable[[Request], Response]) -> Iterator[tuple[str, list[Request]]]:
    """A server that answers so: its URL, and the requests that came."""
    seen: list[Request] = []

    @Request.application
    def remember(request: Request) -> Response:
        request.get_data()
        seen.append(request)
        return application(request)

    server = make_server("127.0.0.1", 0, remember)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_redirect_is_not_followed(chat: WebPubSub, invoke: Invoke) -> None:
    with answering(lambda request: Response("mine")) as (elsewhere, followed):

        def lead(request: Request) -> Response:
            return Response(status=307, headers={"Location": f"{elsewhere}/?{request.query_string.decode()}"})

        with answering(lead) as (url, seen):
            result = invoke("send", "--url", url)

    assert result.exit_code == 1
    assert "<- 307 Temporary Redirect" in result.stdout
    assert f"Location: {elsewhere}/?code=***" in result.stdout
    assert len(seen) == 1
    assert not followed


def test_the_template_of_a_url_is_filled_in(chat: WebPubSub, invoke: Invoke) -> None:
    with answering(lambda request: Response(status=204)) as (url, seen):
        invoke("send", "room.moved", "x", "--url", f"{url}/{{hub}}/{{event}}/{{EVENT}}?a=1")

    (request,) = seen
    assert request.path == "/chat/room.moved/room.moved"
    assert request.args.to_dict() == {"a": "1", "code": CODE}


def test_only_one_service_signs_what_leaves_the_machine(wps: WebPubSub, app: Flask, invoke: Invoke) -> None:
    app.config["WEBPUBSUB_CONNECTION_STRING"] = [CONNECTION_STRING, "Endpoint=https://b.test;AccessKey=k;"]
    app.config["WEBPUBSUB_CONNECTION_STRING"].append(f"Endpoint=https://{HOST};AccessKey=second;")
    with answering(lambda request: Response(status=204)) as (url, seen):
        invoke("send", "--url", url)

    (request,) = seen
    assert request.headers["WebHook-Request-Origin"] == HOST
    keys = [KEY.encode(), b"second"]
    assert request.headers["ce-signature"] == sign_connection(request.headers["ce-connectionId"], keys)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://shop.test/", "over https:// alone"),
        ("http://localhost.shop.test/", "over https:// alone"),
        ("http://127.0.0.1@shop.test/", "user name"),
        ("https://alice:secret@shop.test/", "user name"),
        ("ftp://shop.test/", "no http or https URL"),
        ("shop.test", "no http or https URL"),
        ("https://{event}.shop.test/", "placeholder"),
        ("https://shop.test/a b", "characters"),
        ("https://shop.test/\r\nX-A: 1", "characters"),
        ("https://shöp.test/", "characters"),
        ("https://shop.test/#code", "#"),
        ("https://shop.test:99999/", "no http or https URL"),
    ],
)
@pytest.mark.parametrize("command", ["send", "check"])
def test_a_url_that_no_secret_may_go_to_is_status_2(
    chat: WebPubSub, invoke: Invoke, command: str, url: str, words: str
) -> None:
    result = invoke(command, "--url", url)

    assert result.exit_code == 2
    assert words in result.stderr
    assert "secret" not in result.output


def test_who_sends_to_another_machine_is_told_what_a_receiver_can_do(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("send", "--url", "https://shop.invalid")

    assert result.exit_code == 1
    assert "Signed events are sent to shop.invalid. Who receives one can replay it" in result.stderr
    assert "The host of https://shop.invalid/runtime/webhooks/webpubsub/message is not known." in result.stderr


def test_an_app_that_does_not_run_is_one_line(chat: WebPubSub, invoke: Invoke) -> None:
    with answering(lambda request: Response()) as (url, _):
        pass

    result = invoke("send", "--url", url)

    assert result.exit_code == 1
    assert "Nothing listens at" in result.stderr
    assert "Traceback" not in result.output


def test_a_server_that_speaks_no_tls_is_one_line(chat: WebPubSub, invoke: Invoke) -> None:
    with answering(lambda request: Response()) as (url, _):
        result = invoke("send", "--url", url.replace("http", "https", 1))

    assert result.exit_code == 1
    assert "speaks no TLS" in result.stderr


# check


def checked(invoke: Invoke, *arguments: str) -> tuple[int, list[dict[str, str]]]:
    result = invoke("check", "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)


def test_a_right_app_is_told_to_be_right(chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("check")

    assert result.exit_code == 0
    assert "\nAll is well.\n" in result.stdout
    assert "flask webpubsub check --url" in result.stdout


def test_a_warning_is_no_failure(chat: WebPubSub, app: Flask, invoke: Invoke) -> None:
    app.config["WEBPUBSUB_ACCES_CODE"] = "x"

    result = invoke("check")

    assert result.exit_code == 0
    assert "warning  WEBPUBSUB_ACCES_CODE\n" in result.stdout
    assert "-> If you mean WEBPUBSUB_ACCESS_CODE, set that." in result.stdout
    assert "\nNo problems, 1 warning.\n" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["--url", "https://shop.invalid"]], ids=["here", "url"])
def test_a_problem_is_status_1(app: Flask, invoke: Invoke, arguments: list[str]) -> None:
    result = invoke("check", *arguments)

    assert result.exit_code == 1
    assert "problem  WebPubSub\n" in result.stdout
    assert "\n1 problem, no warnings.\n" in result.stdout
    assert "Mend that first" in result.stdout
    assert "shop.invalid" not in result.output


def test_findings_are_json_for_programs(app: Flask, invoke: Invoke) -> None:
    status, (finding,) = checked(invoke)

    assert status == 1
    assert finding == {
        "level": "problem",
        "setting": "WebPubSub",
        "what": "The app 'shop' does not have the extension.",
        "cure": "Add WebPubSub(app), or call init_app(app) in the function that makes the app.",
    }


@pytest.mark.parametrize("factory", [True, False], ids=["factory", "module"])
def test_an_app_that_can_not_start_is_a_finding(tmp_path: Path, factory: bool) -> None:
    app_file(tmp_path, "app.config['WEBPUBSUB_HUB'] = 'my hub'")
    if not factory:
        with (tmp_path / "app.py").open("a") as file:
            file.write("app = create_app()\n")

    done = flask(tmp_path, "--app", "app", "webpubsub", "check")

    assert done.returncode == 1
    assert done.stdout.startswith("problem  WEBPUBSUB_HUB\n")
    assert "-> It begins with a letter" in done.stdout
    assert done.stderr == ""


def test_a_wrong_handler_is_a_finding(tmp_path: Path) -> None:
    app_file(tmp_path, "wps.on_connect(lambda dta: None)")

    done = flask(tmp_path, "--app", "app", "webpubsub", "check")

    assert done.returncode == 1
    assert "'dta'" in done.stdout
    assert done.stderr == ""


def test_an_error_of_the_app_itself_stays_what_it_is(tmp_path: Path) -> None:
    app_file(tmp_path, "raise LookupError('No database.')")

    done = flask(tmp_path, "--app", "app", "webpubsub", "check")

    assert done.returncode == 1
    assert done.stderr.endswith("LookupError: No database.\n")


# check --url


def settings(findings: Sequence[dict[str, str]], level: str) -> list[str]:
    return [finding["setting"] for finding in findings if finding["level"] == level]


def test_a_deployed_app_that_is_right_is_told_to_be_right(server: Server, chat: WebPubSub, invoke: Invoke) -> None:
    result = invoke("check", "--url", server.url)

    assert result.exit_code == 0, result.output
    for words in (
        f"takes events from {HOST}.",
        "A signed event was let in: the keys agree.",
        "A forged event was refused with 401.",
        "A call without the access code was refused with 401.",
        "All is well.",
    ):
        assert words in " ".join(result.stdout.split())
    assert CODE not in result.output
    assert "Traceback" not in server.log


Deploy = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def deploy() -> Deploy:
    """Runs the served app with other settings."""
    return lambda **env: serve("waitress", SERVED, env=SERVED_ENVIRONMENT | env)


@pytest.mark.parametrize(
    ("env", "path", "setting", "cure"),
    [
        (
            {"FLASK_WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://{HOST};AccessKey=other;"},
            "",
            "WEBPUBSUB_CONNECTION_STRING",
            "the same connection string",
        ),
        (
            {"FLASK_WEBPUBSUB_CONNECTION_STRING": "Endpoint=https://b.webpubsub.azure.com;AccessKey=other;"},
            "",
            "WEBPUBSUB_CONNECTION_STRING",
            "the same connection string",
        ),
        ({"FLASK_WEBPUBSUB_ACCESS_CODE": "another-code-than-here"}, "", "WEBPUBSUB_ACCESS_CODE", "the same"),
        ({"FLASK_WEBPUBSUB_PATH": "/events"}, "", "WEBPUBSUB_PATH", "Correct the URL's path"),
        ({}, "/static/{event}", "WEBPUBSUB_PATH", "Correct the path"),
        ({"FLASK_WEBPUBSUB_ALLOW_UNSIGNED": "true"}, "", "WEBPUBSUB_ALLOW_UNSIGNED", "Take WEBPUBSUB_ALLOW_UNSIGNED"),
        ({"FLASK_TRUSTED_HOSTS": '["shop.test"]'}, "", "WEBPUBSUB_CONNECTION_STRING", "the same connection string"),
    ],
    ids=["key", "host", "code", "path", "other-route", "unsigned", "trusted-hosts"],
)
def test_what_is_wrong_with_a_deployed_app_is_named_with_its_cure(
    deploy: Deploy, chat: WebPubSub, invoke: Invoke, env: dict[str, str], path: str, setting: str, cure: str
) -> None:
    with deploy(**env) as server:
        status, findings = checked(invoke, "--url", server.url + path)

    assert status == 1
    assert settings(findings, "problem") == [setting]
    assert cure in next(finding["cure"] for finding in findings if finding["level"] == "problem")


def test_a_deployed_app_that_asks_for_no_code_is_told(deploy: Deploy, chat: WebPubSub, invoke: Invoke) -> None:
    with deploy(FLASK_WEBPUBSUB_ACCESS_CODE="null") as server:
        status, findings = checked(invoke, "--url", server.url)

    assert status == 0
    assert settings(findings, "warning") == ["WEBPUBSUB_ACCESS_CODE"]


ALLOWED = {"WebHook-Allowed-Origin": "*"}


def _answers(options: Response, post: int) -> Callable[[Request], Response]:
    return lambda request: Response(status=post) if request.method == "POST" else options


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            _answers(Response(status=301, headers={"Location": "https://b.test/x?code=y"}), 0),
            "it leads to https://b.test/x,",
        ),
        (_answers(Response(status=403), 0), "a firewall, a proxy or a login page"),
        (_answers(Response(status=405), 0), "does not take the method"),
        (_answers(Response(status=500), 0), "the deployed app failed"),
        (_answers(Response(status=502), 0), "does not reach the app"),
        (_answers(Response(status=418), 0), "which the webhook never answers"),
        (_answers(Response(), 0), "without the header WebHook-Allowed-Origin"),
        (_answers(Response(headers={"WebHook-Allowed-Origin": "b.test"}), 0), "takes events from 'b.test' alone"),
        (_answers(Response(headers=ALLOWED), 200), "something else than the webhook answers"),
        (_answers(Response(headers=ALLOWED), 400), "CSRF protection is in the way"),
        (_answers(Response(headers=ALLOWED), 403), "a firewall, a proxy or a login page"),
        (_answers(Response(headers=ALLOWED), 413), "takes no bodies"),
        (_answers(Response(headers=ALLOWED), 302), "it leads to nowhere"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_each_answer_is_explained(
    chat: WebPubSub, invoke: Invoke, answer: Callable[[Request], Response], words: str
) -> None:
    with answering(answer) as (url, _):
        status, findings = checked(invoke, "--url", url)

    assert status == 1
    problems = [finding for finding in findings if finding["level"] == "problem"]
    assert all(words in finding["what"] for finding in problems)
    assert all(finding["cure"] for finding in problems)


def test_get_is_asked_where_options_is_not_found(chat: WebPubSub, invoke: Invoke) -> None:
    def answer(request: Request) -> Response:
        if request.method == "GET":
            return Response(headers=ALLOWED)
        return Response(status=404)

    with answering(answer) as (url, seen):
        _, findings = checked(invoke, "--url", url)

    assert [request.method for request in seen[:2]] == ["OPTIONS", "GET"]
    assert seen[0].path == "/runtime/webhooks/webpubsub/validate"
    assert "validation" in settings(findings, "ok")


def test_no_handler_of_a_deployed_app_is_called(chat: WebPubSub, invoke: Invoke) -> None:
    with answering(_answers(Response(headers=ALLOWED), 404)) as (url, seen):
        checked(invoke, "--url", url)

    events = [request for request in seen if request.method == "POST"]
    assert len({request.headers["ce-hub"] for request in events}) == 1
    assert events[0].headers["ce-hub"] not in ("chat", "support")
    signed, forged = events
    expected = sign_connection(signed.headers["ce-connectionId"], [KEY.encode()])
    assert signed.headers["ce-signature"] == expected
    assert forged.headers["ce-connectionId"] != signed.headers["ce-connectionId"]
    assert forged.headers["ce-signature"] != sign_connection(forged.headers["ce-connectionId"], [KEY.encode()])


@pytest.mark.usefixtures("entra")
def test_no_signed_event_is_sent_that_would_need_a_token(wps: WebPubSub, invoke: Invoke) -> None:
    wps.on_message(typing)
    with answering(_answers(Response(headers=ALLOWED), 401)) as (url, seen):
        _, findings = checked(invoke, "--url", url)

    assert [request.method for request in seen] == ["OPTIONS", "POST", "OPTIONS"]
    assert "No signed event was sent" in " ".join(finding["what"] for finding in findings)


def test_nothing_there_is_a_problem(chat: WebPubSub, invoke: Invoke) -> None:
    with answering(lambda request: Response()) as (url, _):
        pass

    status, findings = checked(invoke, "--url", url)

    assert status == 1
    assert settings(findings, "problem") == ["--url"]


# The page.


def page_text() -> str:
    return (ROOT / "docs" / "commands.rst").read_text()


def as_shown(text: str) -> list[str]:
    """Lines to compare: connections and durations differ from run to run."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "<id>", text)
    text = re.sub(r"\bin \d+ ms", "in <n> ms", text)
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    from tests.test_docs import rst_blocks

    blocks = rst_blocks(page_text())
    (program,) = [block.text for block in blocks if block.caption == "app.py"]
    (tmp_path / "app.py").write_text(program)
    shown = [block.text for block in blocks if block.language == "console" and "\n" in block.text.strip()]
    assert len(shown) == 5
    for text in shown:
        command, _, printed = text.partition("\n")
        done = flask(tmp_path, *shlex.split(command)[2:])
        assert as_shown(done.stdout + done.stderr) == as_shown(printed), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_on_the_page(command: str) -> None:
    for parameter in webpubsub.commands[command].params:
        for option in parameter.opts:
            assert not option.startswith("--") or f"``{option}``" in page_text(), option


def test_other_commands_of_flask_do_not_import_what_these_need() -> None:
    later = [f"flask_webpubsub.{name}" for name in ("doctor", "deployed", "remote", "testing")] + ["aiohttp"]
    program = f"import flask_webpubsub.cli, sys; print([name for name in {later} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout == "[]\n"
