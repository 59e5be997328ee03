"""The sample app: who may come in, what is answered to what they say, and the demo that checks it over HTTP."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response

from flask_webpubsub import ConfigurationError, ConnectEventResponse, EventErrorResponse, UserEventResponse
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.testing import Connection, WebPubSubTestClient
from sample_app import chat, create_app, demo, wps
from sample_app.narration import Screen
from tests.conftest import CONNECTION_STRING

ROOT = Path(__file__).parent.parent

STATES = {"name": "Ann", "room": "lobby", "count": 0}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def app() -> Flask:
    return create_app({"TESTING": True, "WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING})


@pytest.fixture
def client(app: Flask) -> WebPubSubTestClient:
    return wps.test_client(app, hub="chat")


@pytest.fixture
def ann(client: WebPubSubTestClient) -> Connection:
    return client.connect(query={"name": "Ann"})


class TestConfiguration:
    def test_comes_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_WEBPUBSUB_CONNECTION_STRING", CONNECTION_STRING)
        monkeypatch.setenv("FLASK_WEBPUBSUB_PATH", "/hook")
        client = wps.test_client(create_app(), hub="chat")
        assert client.path == "/hook"
        assert client.validate()

    def test_in_debug_mode_the_local_emulator_is_trusted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_DEBUG", "1")
        app = create_app()
        assert app.config["WEBPUBSUB_CONNECTION_STRING"] == DEVELOPMENT_CONNECTION_STRING
        assert wps.test_client(app, hub="chat").connect(query={"name": "Ann"}).accepted

    def test_a_connection_string_that_is_set_holds_in_debug_mode_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_DEBUG", "1")
        monkeypatch.setenv("FLASK_WEBPUBSUB_CONNECTION_STRING", CONNECTION_STRING)
        assert create_app().config["WEBPUBSUB_CONNECTION_STRING"] == CONNECTION_STRING

    @pytest.mark.parametrize("debug", [None, "0", "no", "False"])
    def test_deployed_without_a_connection_string_it_does_not_start(
        self, monkeypatch: pytest.MonkeyPatch, debug: str | None
    ) -> None:
        if debug is not None:
            monkeypatch.setenv("FLASK_DEBUG", debug)
        with pytest.raises(ConfigurationError, match="WEBPUBSUB_CONNECTION_STRING is not set"):
            create_app()


class TestConnect:
    def test_a_person_with_a_name_is_let_into_the_room(self, client: WebPubSubTestClient) -> None:
        ann = client.connect(query={"name": " Ann ", "room": "tea-time"})
        assert ann.response == ConnectEventResponse(
            "Ann",
            ["tea-time"],
            ["webpubsub.joinLeaveGroup.tea-time", "webpubsub.sendToGroup.tea-time"],
            states={"name": "Ann", "room": "tea-time", "count": 0},
        )

    def test_the_room_is_the_lobby_unless_one_is_named(self, ann: Connection) -> None:
        assert ann.states == STATES

    @pytest.mark.parametrize(
        ("name", "user_id"), [("Zoë", "Zo%C3%AB"), ("李", "%E6%9D%8E"), ("O'Hara Jr.", "O%27Hara Jr.")]
    )
    def test_a_name_of_any_script_makes_a_user_id_of_ascii(
        self, client: WebPubSubTestClient, name: str, user_id: str
    ) -> None:
        connection = client.connect(query={"name": name})
        assert connection.user_id == user_id
        assert connection.states["name"] == name

    @pytest.mark.parametrize(
        ("query", "status", "message"),
        [
            pytest.param({}, 401, "choose a name", id="no name"),
            pytest.param({"name": ""}, 400, "1 to 24", id="empty name"),
            pytest.param({"name": "  "}, 400, "1 to 24", id="blank name"),
            pytest.param({"name": "x" * 25}, 400, "1 to 24", id="long name"),
            pytest.param({"name": "<b>Ann</b>"}, 400, "1 to 24", id="markup"),
            pytest.param({"name": "Ann\nBob"}, 400, "1 to 24", id="two lines"),
            pytest.param({"name": "Admin"}, 401, "Admin is reserved", id="reserved name"),
            pytest.param({"name": "Ann", "room": ""}, 400, "1 to 32", id="empty room"),
            pytest.param({"name": "Ann", "room": "Tea Time"}, 400, "such as tea-time", id="wrong room"),
            pytest.param({"name": "Ann", "room": "a\n"}, 400, "1 to 32", id="room with a line end"),
        ],
    )
    def test_a_refusal_says_what_to_do(
        self, client: WebPubSubTestClient, query: dict[str, str], status: int, message: str
    ) -> None:
        connection = client.connect(query=query)
        assert not connection.accepted
        assert connection.answer.status == status
        assert isinstance(connection.response, EventErrorResponse)
        assert message in connection.response.error_message


class TestMessages:
    def test_text_is_answered_with_text_and_counted(self, ann: Connection) -> None:
        assert ann.send_text("Hello") == UserEventResponse("#1 in lobby, Ann: Hello", states={**STATES, "count": 1})
        assert ann.send_text("Again") == UserEventResponse("#2 in lobby, Ann: Again", states={**STATES, "count": 2})

    @pytest.mark.parametrize("value", ["Hello", {"text": "Hello"}], ids=["a string", "an object"])
    def test_json_is_answered_with_json(self, ann: Connection, value: Any) -> None:
        said = {"number": 1, "from": "Ann", "room": "lobby", "text": "Hello"}
        assert ann.send_json(value) == UserEventResponse(said, "json", states={**STATES, "count": 1})

    @pytest.mark.parametrize(
        "value",
        [None, 1, [], {}, {"text": 1}, {"text": " "}, " ", "x" * (chat.MAX_LETTERS + 1)],
        ids=["null", "number", "list", "no text", "text of another type", "blank text", "blank", "too long"],
    )
    def test_anything_else_is_refused_and_not_counted(self, ann: Connection, value: Any) -> None:
        ann.send_text("Hello")
        answer = ann.send_json(value)
        assert isinstance(answer, EventErrorResponse)
        assert ann.answer.status == 400
        assert ann.states["count"] == 1

    def test_bytes_are_refused(self, ann: Connection) -> None:
        assert isinstance(ann.send_bytes(b"Hello"), EventErrorResponse)

    def test_typing_tells_who_it_is(self, ann: Connection) -> None:
        assert ann.send_event("typing", "") == UserEventResponse({"typing": "Ann", "room": "lobby"}, "json")

    def test_rename_gives_another_name_from_then_on(self, ann: Connection) -> None:
        renamed = ann.send_event("rename", " Bea ")
        assert renamed == UserEventResponse({"renamed": "Ann", "name": "Bea"}, "json", states={**STATES, "name": "Bea"})
        answer = ann.send_text("Hello")
        assert isinstance(answer, UserEventResponse)
        assert answer.data == "#1 in lobby, Bea: Hello"

    @pytest.mark.parametrize(("name", "status"), [("", 400), ("system", 401)])
    def test_rename_refuses_what_connect_refuses(self, ann: Connection, name: str, status: int) -> None:
        assert isinstance(ann.send_event("rename", name), EventErrorResponse)
        assert ann.answer.status == status
        assert ann.states["name"] == "Ann"

    def test_an_event_that_the_app_does_not_know_is_404(self, ann: Connection) -> None:
        ann.send_event("dance", "")
        assert ann.answer.status == 404


def test_coming_and_going_are_logged(client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sample_app"):
        ann = client.connect(query={"name": "Ann"})
        ann.send_text("Hello")
        ann.disconnect("bye")
    assert [record.getMessage() for record in caplog.records if record.name == "sample_app"] == [
        "'Ann' came into the room 'lobby'.",
        "'Ann' left after 1 messages: 'bye'.",
    ]


def play(app: Flask) -> tuple[int, str]:
    out = io.StringIO()
    return demo.play(app, Screen(out)), out.getvalue()


def spoil(when: Callable[[Response], bool], how: Callable[[Response], None]) -> Flask:
    """The demo's app, with an answer that is not the right one."""
    app = create_app(demo.make_config())

    @app.after_request
    def change(response: Response) -> Response:
        if when(response):
            how(response)
        return response

    return app


class TestDemo:
    @pytest.fixture(autouse=True)
    def _needs_waitress(self) -> None:
        pytest.importorskip("waitress", reason="the demo needs waitress")

    def test_plays_the_conversation_as_a_command(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "sample_app.demo"],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert re.findall(r"^(\d+)\. ", done.stdout, re.MULTILINE) == [str(number) for number in range(1, 11)]
        assert done.stdout.rstrip().endswith("Every answer was right.")
        assert "\033" not in done.stdout
        assert "sha256=" not in done.stdout
        assert "AccessKey" not in done.stdout

    def test_prints_where_there_are_no_arrows_and_ticks(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "sample_app.demo"],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"Every answer was right." in done.stdout

    def test_does_not_mind_the_settings_of_a_deployment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_WEBPUBSUB_CONNECTION_STRING", CONNECTION_STRING)
        monkeypatch.setenv("FLASK_WEBPUBSUB_PATH", "/hook")
        monkeypatch.setenv("FLASK_WEBPUBSUB_ACCESS_CODE", "secret")
        monkeypatch.setenv("FLASK_WEBPUBSUB_ALLOW_UNSIGNED", "true")
        status, text = play(create_app(demo.make_config()))
        assert status == 0, text

    def test_is_in_colour_on_a_terminal_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.delenv("NO_COLOR", raising=False)
        terminal, file = Terminal(), io.StringIO()
        for out in (terminal, file):
            Screen(out).right("It works.")
        assert terminal.getvalue() == "\033[32m  ✓ It works.\033[0m\n"
        assert file.getvalue() == "  ✓ It works.\n"
        monkeypatch.setenv("NO_COLOR", "1")
        Screen(plain := Terminal()).right("It works.")
        assert plain.getvalue() == "  ✓ It works.\n"

    @pytest.mark.parametrize(
        ("when", "how"),
        [
            pytest.param(lambda answer: True, lambda answer: answer.headers.clear(), id="no headers"),
            pytest.param(
                lambda answer: answer.data[:1] == b"#", lambda answer: setattr(answer, "data", "#9"), id="text"
            ),
            pytest.param(
                lambda answer: "ce-connectionState" in answer.headers,
                lambda answer: answer.headers.remove("ce-connectionState"),
                id="states are lost",
            ),
            pytest.param(
                lambda answer: answer.data == b"Unauthorized",
                lambda answer: setattr(answer, "status_code", 204),
                id="a forged event gets through",
            ),
            pytest.param(
                lambda answer: answer.status_code == 204,
                lambda answer: setattr(answer, "status_code", 500),
                id="unblocking events fail",
            ),
            pytest.param(
                lambda answer: answer.data[:1] == b"#",
                lambda answer: setattr(answer, "mimetype", "text/html"),
                id="a type that no message has",
            ),
        ],
    )
    def test_fails_when_an_answer_is_wrong(
        self, when: Callable[[Response], bool], how: Callable[[Response], None]
    ) -> None:
        status, text = play(spoil(when, how))
        assert status == 1
        assert text.count("✗") == 1
        assert text.rstrip().endswith("The demo failed: the app gave a wrong answer.")

    def test_fails_when_a_handler_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def break_down(name: str) -> None:
            raise RuntimeError("down")

        monkeypatch.setattr(chat, "verify_name", break_down)
        status, text = play(create_app(demo.make_config()))
        assert status == 1
        assert "✗ A reserved name is refused." in text

    def test_says_what_is_missing_without_a_server(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "waitress.server", None)
        with pytest.raises(SystemExit, match="pip install waitress"):
            play(app)
