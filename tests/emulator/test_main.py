"""``python -m flask_webpubsub.emulator``, as a person runs it."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest

from flask_webpubsub.access import DEVELOPMENT_KEY
from flask_webpubsub.emulator.tokens import make_client_token
from tests.emulator.parts import in_loop
from tests.emulator.processes import Program, free_port, run
from tests.emulator.receivers import Receiver, Reply

MODULE = ["-m", "flask_webpubsub.emulator"]
KEY = "a-primary-key-that-is-long-enough-for-everything"
SECOND_KEY = "a-secondary-key-that-is-long-enough-for-everything"
JSON = "json.webpubsub.azure.v1"


class Emulator:
    """An emulator in a process of its own."""

    def __init__(self, program: Program, key: str) -> None:
        self.program = program
        self.port = int(program.wait_for(r"emulator on http://\S+:(\d+),")[1])
        self.key = key

    def url(self, hub: str = "chat", user_id: str | None = "alice", **claims: Any) -> str:
        endpoint = f"http://localhost:{self.port}"
        token = make_client_token(self.key, endpoint=endpoint, hub=hub, user_id=user_id, **claims)
        return f"ws://localhost:{self.port}/client/hubs/{hub}?access_token={token}"


@contextmanager
def emulator(*arguments: str, key: str = DEVELOPMENT_KEY) -> Iterator[Emulator]:
    with run([*MODULE, "--port=0", *arguments]) as program:
        yield Emulator(program, key)
        assert "Traceback" not in program.output


def echoing(receiver: Receiver) -> Receiver:
    receiver.default = Reply(200, {"Content-Type": "text/plain"}, b"ho")
    return receiver


async def say(client: aiohttp.ClientWebSocketResponse, text: str) -> Any:
    await client.send_str(text)
    return (await client.receive()).data


@in_loop
async def test_a_chat_and_one_line_for_each_event(receiver: Receiver) -> None:
    echoing(receiver)
    with emulator(f"--handler={receiver.url}/hook?code=sesame", "--system-events=disconnected") as service:
        async with aiohttp.ClientSession() as http, http.ws_connect(service.url()) as client:
            assert await say(client, "hi") == "ho"
        service.program.wait_for(
            r"chat  message       alice \[[0-9a-f]{8}\] text \(2 B\)  -> 200 text \(2 B\)  \d+ ms\n"
        )
        service.program.wait_for(r"chat  disconnected  alice \[[0-9a-f]{8}\]  -> 200  \d+ ms\n")
        output = service.program.output
    assert "sesame" not in output
    assert "\x1b" not in output  # it is no terminal
    assert receiver.events[0].path == "/hook?code=sesame"
    assert receiver.events[0].header("WebHook-Request-Origin") == "localhost"


@pytest.mark.parametrize("no_color", ["", "1"])
def test_on_a_terminal_the_lines_have_colours(receiver: Receiver, no_color: str) -> None:
    command = [*MODULE, "--port=0", f"--handler={receiver.url}"]

    @in_loop
    async def run_it() -> None:
        with run(command, terminal=True, env={"NO_COLOR": no_color}) as program:
            service = Emulator(program, DEVELOPMENT_KEY)
            async with aiohttp.ClientSession() as http, http.ws_connect(service.url()):
                program.wait_for(r"-> 204\s" if no_color else r"\x1b\[32m-> 204\x1b\[0m")

    run_it()


def test_it_says_how_it_is_reached() -> None:
    with emulator("--hub=chat", "--hub=game") as service:
        service.program.wait_for("Events go to http://localhost:5000/runtime/webhooks/webpubsub")
        assert "Hub: chat, game" in service.program.output
        assert f"ws://localhost:{service.port}/client/hubs/chat" in service.program.output
        assert (
            f"Connection string: Endpoint=http://localhost:{service.port};AccessKey={DEVELOPMENT_KEY};Version=1.0;"
            in service.program.output
        )


@in_loop
async def test_its_keys_can_be_set_and_are_not_printed(receiver: Receiver) -> None:
    arguments = [f"--handler={receiver.url}", f"--key={KEY}", f"--key={SECOND_KEY}"]
    with emulator(*arguments, key=SECOND_KEY) as service:
        async with aiohttp.ClientSession() as http, http.ws_connect(service.url()):
            service.program.wait_for("connected")
        output = service.program.output
    assert str(receiver.events[0].header("ce-signature")).count("sha256=") == 2
    assert KEY not in output
    assert SECOND_KEY not in output
    assert "AccessKey=<your key>" in output


@in_loop
async def test_the_default_handler_is_flasks_own_address() -> None:
    with emulator() as service:
        service.program.wait_for("Events go to http://localhost:5000/runtime/webhooks/webpubsub")


@in_loop
async def test_events_go_where_their_hub_says(receiver: Receiver) -> None:
    echoing(receiver)
    with emulator(
        f"--handler={receiver.url}/all/{{event}}?a=b", f"--handler=game={receiver.url}/game/{{hub}}", "--system-events="
    ) as service:
        async with aiohttp.ClientSession() as http:
            for hub in ("chat", "game"):
                async with http.ws_connect(service.url(hub)) as client:
                    assert await say(client, "hi") == "ho"
    assert [event.path for event in receiver.events] == ["/all/message?a=b", "/game/game"]


@in_loop
async def test_only_the_events_of_the_named_hubs_are_sent(receiver: Receiver) -> None:
    echoing(receiver)
    with emulator(f"--handler={receiver.url}", "--hub=chat", "--system-events=connect") as service:
        receiver.replies.append(Reply(204))
        async with aiohttp.ClientSession() as http:
            async with http.ws_connect(service.url()) as client:
                assert await say(client, "hi") == "ho"
            async with http.ws_connect(service.url("other")) as client:
                await say(client, "hi")
                assert client.close_code == 1011
        service.program.wait_for("No event handler takes it")
    assert [event.header("ce-hub") for event in receiver.events] == ["chat", "chat"]


@in_loop
async def test_user_events_can_be_chosen(receiver: Receiver) -> None:
    with emulator(f"--handler={receiver.url}", "--user-events=typing", "--system-events=") as service:
        async with aiohttp.ClientSession() as http, http.ws_connect(service.url(), protocols=[JSON]) as client:
            await client.receive_json()
            for ack, event in enumerate(("typing", "message"), start=1):
                await client.send_json({"type": "event", "event": event, "dataType": "text", "data": "", "ackId": ack})
            acks = [await client.receive_json() for _ in range(2)]
    assert [ack["success"] for ack in acks] == [True, False]
    assert [event.header("ce-eventName") for event in receiver.events] == ["typing"]


@in_loop
async def test_anonymous_clients_can_be_allowed(receiver: Receiver) -> None:
    echoing(receiver)
    with emulator("--allow-anonymous", f"--handler={receiver.url}", "--system-events=") as service:
        url = f"ws://127.0.0.1:{service.port}/client/hubs/chat"
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as client:
            assert await say(client, "hi") == "ho"
    assert receiver.events[0].header("ce-userId") is None


@in_loop
async def test_another_name_of_this_machine_can_be_allowed() -> None:
    with emulator("--allowed-host=Emulator.test") as service:
        async with aiohttp.ClientSession() as http:
            for host, status in (("emulator.test", 200), ("emulator.test:80", 200), ("other.test", 403)):
                async with http.get(f"http://127.0.0.1:{service.port}/", headers={"Host": host}) as answer:
                    assert answer.status == status
                    assert ("--allowed-host" in await answer.text()) == (status == 403)


@in_loop
async def test_retries_are_on_unless_they_are_not_wanted(receiver: Receiver) -> None:
    receiver.default = Reply(503)
    handler = f"--handler={receiver.url}"
    with emulator(handler, "--system-events=", "--no-retries") as service:
        async with aiohttp.ClientSession() as http, http.ws_connect(service.url()) as client:
            await say(client, "hi")
        assert len(receiver.events) == 1
    receiver.replies += [Reply(503), Reply(200, {"Content-Type": "text/plain"}, b"ho")]
    with emulator(handler, "--system-events=") as service:
        async with aiohttp.ClientSession() as http, http.ws_connect(service.url()) as client:
            begin = time.monotonic()
            assert await say(client, "hi") == "ho"
            assert time.monotonic() - begin >= 1
        service.program.wait_for(r"\(2 tries\)")


# What can not work.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--handler=ftp://x"], "'ftp://x' is no http or https URL"),
        (["--handler=nonsense"], "'nonsense' is no http or https URL"),
        (["--handler=http://{hub}.example/"], "placeholder in its host"),
        (["--handler=1chat=http://localhost/"], "'1chat' can not be the name of a hub"),
        (["--hub=no hub"], "'no hub' can not be the name of a hub"),
        (["--system-events=connect,nope"], "'nope' is none of connect"),
        (["--key=short"], "at least 32 characters"),
        (["--key", KEY + ";"], "no ';'"),
        (["--key", KEY, "--key", KEY, "--key", KEY], "two keys at most"),
        (["--port=abc"], "abc"),
        (["--port=99999"], "port 99999 can not be used"),
        (["--port=-1"], "port -1 can not be used"),
        (["--bind=203.0.113.7"], "can not be used"),
        (["--bind=no-such-host.invalid"], "can not be used"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_misuse_is_one_line_and_status_2(arguments: list[str], words: str) -> None:
    with run([*MODULE, *arguments]) as program:
        assert program.wait() == 2
        (line,) = program.output.splitlines()
        assert words in line
        assert KEY not in line


def test_a_port_in_use_is_one_line_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, run([*MODULE, f"--port={taken.getsockname()[1]}"]) as program:
        assert program.wait() == 2
        (line,) = program.output.splitlines()
        assert f"port {taken.getsockname()[1]} can not be used: " in line
        assert "--port" in line


@pytest.mark.parametrize("module", ["aiohttp", "jwt"])
def test_a_missing_package_is_one_line_that_says_what_to_install(module: str) -> None:
    code = (
        f"import runpy, sys; sys.modules[{module!r}] = None;"
        "runpy.run_module('flask_webpubsub.emulator', run_name='__main__')"
    )
    with run(["-c", code]) as program:
        assert program.wait() == 2
        assert program.output == "The emulator needs more packages: pip install 'flask-webpubsub[emulator]'\n"


# The end.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_clients_in_peace(receiver: Receiver, number: int) -> None:
    @in_loop
    async def run_it() -> None:
        with emulator(f"--handler={receiver.url}") as service:
            async with aiohttp.ClientSession() as http, http.ws_connect(service.url()) as client:
                service.program.wait_for("connected")
                # The client, too, has its part in the closing.
                closing = asyncio.create_task(client.receive())
                status = await asyncio.to_thread(service.program.end, number)
                assert (await closing).type is aiohttp.WSMsgType.CLOSE
                assert client.close_code == 1001
                assert status == 0

    run_it()


@in_loop
async def test_a_client_of_a_killed_emulator_loses_its_connection(receiver: Receiver) -> None:
    with emulator(f"--handler={receiver.url}") as service:
        async with aiohttp.ClientSession() as http, http.ws_connect(service.url()) as client:
            service.program.wait_for("connected")
            service.program.end(signal.SIGKILL)
            await client.receive()
            assert client.close_code == 1006


# An app that is killed, and starts again.


@contextmanager
def chat_app(port: int) -> Iterator[Program]:
    arguments = ["-m", "flask", "--app", "tests.emulator.chat_process:app", "--debug", "run", "--no-reload"]
    with run([*arguments, f"--port={port}"]) as program:
        program.wait_for("Running on")
        yield program


@in_loop
async def test_an_app_that_is_killed_and_starts_again_goes_on() -> None:
    port = free_port()
    handler = f"--handler=http://127.0.0.1:{port}/runtime/webhooks/webpubsub"
    with emulator(handler, "--no-retries") as service:
        async with aiohttp.ClientSession() as http:
            with chat_app(port) as app:
                raw = await http.ws_connect(service.url(user_id="raw"))
                client = await http.ws_connect(service.url(), protocols=[JSON])
                await client.receive_json()
                assert await say(raw, "hi") == "1 raw: hi"
                assert await ask(client, 1) == (True, "1 alice: hi")
                app.end(signal.SIGKILL)
            # The clients see what the service's own would, and the log says what happened.
            assert await ask(client, 2) == (False, None)
            await say(raw, "hi")
            assert raw.close_code == 1011
            service.program.wait_for("the app is not running")
            with chat_app(port):
                # The app kept nothing: what it knows of the connection came with the event.
                assert await ask(client, 2) == (True, "2 alice: hi")
            await client.close()


@in_loop
async def test_a_message_waits_for_an_app_that_starts_again() -> None:
    port = free_port()
    with emulator(f"--handler=http://127.0.0.1:{port}/runtime/webhooks/webpubsub") as service:
        async with aiohttp.ClientSession() as http:
            with chat_app(port):
                client = await http.ws_connect(service.url())
                assert await say(client, "hi") == "1 alice: hi"
            await client.send_str("ho")
            with chat_app(port):
                assert (await client.receive()).data == "2 alice: ho"
            await client.close()


async def ask(client: aiohttp.ClientWebSocketResponse, ack: int) -> tuple[bool, Any]:
    """Send a message: whether it was acknowledged, and what came back before that."""
    await client.send_json({"type": "event", "event": "message", "dataType": "text", "data": "hi", "ackId": ack})
    answer = None
    while True:
        frame = await client.receive_json()
        if frame["type"] == "ack":
            return frame["success"], answer
        answer = frame["data"]
