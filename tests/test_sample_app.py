"""The sample app: who may come in, what the room is told, its pages, and the demo that checks it over HTTP."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
import websocket
from flask import Flask, Response

from flask_webpubsub import (
    ConfigurationError,
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    UserEventResponse,
)
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.emulator import Emulator
from flask_webpubsub.testing import Connection, WebPubSubTestClient
from sample_app import chat, create_app, demo, names, rooms, wps
from sample_app.narration import Screen
from sample_app.rest_calls import RestCalls
from tests.conftest import CONNECTION_STRING, KEY

ROOT = Path(__file__).parent.parent

SEAT = "a" * 32
OTHER_SEAT = "b" * 32
STATES = {"name": "Ann", "room": "lobby", "seat": SEAT, "count": 0}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def calls() -> RestCalls:
    """What the app asks of its service."""
    return RestCalls()


@pytest.fixture
def app(calls: RestCalls) -> Iterator[Flask]:
    pytest.importorskip("waitress", reason="needs waitress")
    with demo.serve(calls) as port:
        connection_string = f"Endpoint=http://127.0.0.1:{port};AccessKey={KEY};Version=1.0;"
        yield create_app({"TESTING": True, "WEBPUBSUB_CONNECTION_STRING": connection_string})


@pytest.fixture
def client(app: Flask) -> WebPubSubTestClient:
    return wps.test_client(app, hub="chat")


@pytest.fixture
def ann(client: WebPubSubTestClient, calls: RestCalls) -> Connection:
    """Ann, whose coming the room has been told of."""
    connection = client.connect("Ann", claims=token())
    calls.take_sent()
    return connection


def token(room: str = "lobby", seat: str = SEAT) -> dict[str, list[str]]:
    """The claims of a token from /negotiate, besides the name."""
    return {"webpubsub.group": [room, f"seat.{seat}"]}


def put(calls: RestCalls, name: str, connection_id: str, seat: str, room: str = "lobby") -> None:
    """Let the service list a connection in a room."""
    for group in (room, f"seat.{seat}"):
        calls.members.setdefault(group, []).append({"connectionId": connection_id, "userId": name})


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
        assert wps.test_client(app, hub="chat").validate()

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


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["Ann", "O'Hara Jr.", "O\N{RIGHT SINGLE QUOTATION MARK}Hara", "李", "हिन्दी", "Anna-Lena", "R2 D2", "x" * 24],
    )
    def test_of_any_script_are_fine(self, name: str) -> None:
        assert names.read_name(f" {name} ") == name

    def test_have_one_form(self) -> None:
        assert names.read_name("Zoe\u0308") == "Zoë"

    @pytest.mark.parametrize("name", ["ADMIN", "\uff33\uff39stem", " server "], ids=ascii)
    def test_that_look_like_a_reserved_one_are_reserved(self, name: str) -> None:
        with pytest.raises(EventError, match="is reserved"):
            names.read_name(name)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "  ",
            "x" * 25,
            "<b>Ann</b>",
            "Ann\nBob",
            "Ann\u202e",
            "Ann\u200b",
            "\u0301Ann",
            "1st",
            "Ann -",
            "a\u00a0b",
        ],
        ids=ascii,
    )
    def test_that_could_mislead_are_refused(self, name: str) -> None:
        with pytest.raises(EventError, match="1 to 24"):
            names.read_name(name)


class TestConnect:
    def test_a_person_with_a_token_is_let_into_the_room(self, client: WebPubSubTestClient, calls: RestCalls) -> None:
        ann = client.connect("Ann", claims=token("tea-time"))
        assert ann.response == ConnectEventResponse(
            groups=["tea-time", f"seat.{SEAT}"], roles=[], states={**STATES, "room": "tea-time"}
        )
        assert calls.take_sent() == [("tea-time", {"type": "joined", "name": "Ann", "people": ["Ann"]})]

    @pytest.mark.parametrize(
        ("name", "user_id"), [("Zoë", "Zo%C3%AB"), ("李", "%E6%9D%8E"), ("O'Hara Jr.", "O%27Hara Jr.")]
    )
    def test_a_name_of_any_script_makes_a_user_id_of_ascii(
        self, client: WebPubSubTestClient, name: str, user_id: str
    ) -> None:
        assert rooms.Place(name, "lobby", SEAT).user_id == user_id
        assert client.connect(user_id, claims=token()).states["name"] == name

    @pytest.mark.parametrize(
        ("user_id", "groups", "status", "message"),
        [
            pytest.param(None, ["lobby", f"seat.{SEAT}"], 401, "choose a name", id="no name"),
            pytest.param("Ann", [], 401, "choose a name", id="no room"),
            pytest.param("Ann", ["lobby"], 401, "choose a name", id="no seat"),
            pytest.param("Ann", ["lobby", "music"], 401, "choose a name", id="two rooms"),
            pytest.param("%3Cb%3E", ["lobby", f"seat.{SEAT}"], 400, "1 to 24", id="markup"),
            pytest.param("Admin", ["lobby", f"seat.{SEAT}"], 401, "Admin is reserved", id="reserved name"),
            pytest.param("Ann", ["Tea Time", f"seat.{SEAT}"], 400, "such as tea-time", id="wrong room"),
            pytest.param("Ann", [f"seat.{SEAT}", f"seat.{SEAT}"], 400, "1 to 32", id="a seat for a room"),
        ],
    )
    def test_a_token_that_is_none_of_ours_is_refused(
        self, client: WebPubSubTestClient, user_id: str | None, groups: list[str], status: int, message: str
    ) -> None:
        connection = client.connect(user_id, claims={"webpubsub.group": groups})
        assert not connection.accepted
        assert connection.answer.status == status
        assert isinstance(connection.response, EventErrorResponse)
        assert message in connection.response.error_message

    def test_what_the_url_says_counts_for_nothing(self, client: WebPubSubTestClient) -> None:
        ann = client.connect("Ann", claims=token(), query={"name": "Bea", "room": "music", "group": "music"})
        assert ann.states == STATES

    @pytest.mark.parametrize("name", ["Ann", "ANN"])
    def test_a_name_that_somebody_in_the_room_has_is_refused(
        self, client: WebPubSubTestClient, calls: RestCalls, name: str
    ) -> None:
        put(calls, "Ann", "1", OTHER_SEAT)
        connection = client.connect(name, claims=token())
        assert connection.response == EventErrorResponse(
            409, f"Somebody in lobby is called {name} already. Choose another name."
        )
        assert calls.closed == []
        assert client.connect("Ann", claims=token("music")).accepted

    def test_who_comes_back_takes_the_place_of_the_lost_connection(
        self, client: WebPubSubTestClient, calls: RestCalls
    ) -> None:
        put(calls, "Ann", "lost", SEAT)
        assert client.connect("Ann", claims=token()).accepted
        assert calls.closed == [("lost", "moved")]

    def test_of_two_who_came_at_the_same_time_the_later_one_is_closed(
        self, client: WebPubSubTestClient, calls: RestCalls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rooms, "make_way", lambda place: put(calls, "Ann", "1", OTHER_SEAT))
        ann = client.connect("Ann", claims=token())
        assert calls.closed == [(ann.connection_id, "taken")]
        assert calls.take_sent() == []


class TestMessages:
    @pytest.mark.parametrize("value", ["Hello", {"text": "Hello"}], ids=["a string", "an object"])
    def test_are_said_to_the_room_under_the_name_of_the_token(
        self, ann: Connection, calls: RestCalls, value: Any
    ) -> None:
        ann.send_json(value)
        ann.send_text("Again")
        assert ann.answer.status == 204
        assert ann.states == {**STATES, "count": 2}
        said = {"type": "message", "from": "Ann", "number": 1, "text": "Hello"}
        assert calls.take_sent() == [("lobby", said), ("lobby", {**said, "number": 2, "text": "Again"})]

    def test_keep_their_id_and_nothing_else_of_what_the_client_says(self, ann: Connection, calls: RestCalls) -> None:
        ann.send_json({"text": "Hello", "id": "1", "from": "Bea", "room": "music", "type": "left", "time": "never"})
        said = {"type": "message", "from": "Ann", "number": 1, "text": "Hello", "id": "1"}
        assert calls.take_sent() == [("lobby", said)]

    @pytest.mark.parametrize("message_id", [1, None, "x" * 65, {}], ids=["number", "null", "too long", "object"])
    def test_lose_an_id_that_is_none(self, ann: Connection, calls: RestCalls, message_id: Any) -> None:
        ann.send_json({"text": "Hello", "id": message_id})
        assert "id" not in calls.take_sent()[0][1]

    @pytest.mark.parametrize(
        "value",
        [None, 1, [], {}, {"text": 1}, {"text": " "}, " ", "x" * (chat.MAX_LETTERS + 1)],
        ids=["null", "number", "list", "no text", "text of another type", "blank text", "blank", "too long"],
    )
    def test_of_another_form_are_refused_and_not_counted(self, ann: Connection, calls: RestCalls, value: Any) -> None:
        ann.send_text("Hello")
        answer = ann.send_json(value)
        assert isinstance(answer, EventErrorResponse)
        assert ann.answer.status == 400
        assert ann.states["count"] == 1
        assert len(calls.take_sent()) == 1

    def test_bytes_are_refused(self, ann: Connection) -> None:
        assert isinstance(ann.send_bytes(b"Hello"), EventErrorResponse)

    def test_typing_is_told_to_the_others(self, ann: Connection, calls: RestCalls) -> None:
        ann.send_event("typing", "")
        assert calls.take_sent() == [("lobby", {"type": "typing", "name": "Ann"})]

    def test_who_is_online_is_answered_to_who_asks(self, ann: Connection, calls: RestCalls) -> None:
        put(calls, "Zo%C3%AB", "2", OTHER_SEAT)
        put(calls, "bea", "3", "c" * 32)
        put(calls, "Ann", ann.connection_id, SEAT)
        answer = ann.send_event("people", "")
        assert isinstance(answer, UserEventResponse)
        assert answer.data["people"] == ["Ann", "bea", "Zoë"]
        assert calls.take_sent() == []

    def test_an_event_that_the_app_does_not_know_is_404(self, ann: Connection) -> None:
        ann.send_event("dance", "")
        assert ann.answer.status == 404


class TestLeaving:
    def test_is_told_to_the_room(self, ann: Connection, calls: RestCalls) -> None:
        put(calls, "Ann", ann.connection_id, SEAT)
        put(calls, "Bea", "2", OTHER_SEAT)
        ann.disconnect("bye")
        assert calls.take_sent() == [("lobby", {"type": "left", "name": "Ann", "people": ["Bea"]})]

    def test_is_none_when_another_connection_of_the_person_is_there(self, ann: Connection, calls: RestCalls) -> None:
        put(calls, "Ann", "newer", SEAT)
        ann.disconnect("moved")
        assert calls.take_sent() == [("lobby", {"type": "people", "name": "Ann", "people": ["Ann"]})]


def test_coming_and_going_are_logged(client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sample_app"):
        ann = client.connect("Ann", claims=token())
        ann.send_text("Hello")
        ann.disconnect("bye")
    assert [record.getMessage() for record in caplog.records if record.name == "sample_app"] == [
        "'Ann' came into the room 'lobby'.",
        "'Ann' left after 1 messages: 'bye'.",
    ]


class TestPage:
    def test_lets_the_browser_load_nothing_but_its_own(self, app: Flask) -> None:
        answer = app.test_client().get("/")
        assert answer.status_code == 200
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert re.fullmatch(r"'self' ws://127\.0\.0\.1:\d+", policy["connect-src"])
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=|https?://", answer.text)

    def test_of_an_app_on_azure_may_connect_there(self) -> None:
        app = create_app({"TESTING": True, "WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING})
        policy = app.test_client().get("/").headers["Content-Security-Policy"]
        assert "connect-src 'self' wss://contoso.webpubsub.azure.com;" in policy

    def test_every_file_of_the_page_is_there(self, app: Flask) -> None:
        client = app.test_client()
        paths = set(re.findall(r'(?:src|href)="([^"]+)"', client.get("/").text)) | {"/static/connection.js"}
        assert len(paths) >= 4
        assert {path: client.get(path, buffered=True).status_code for path in paths} == dict.fromkeys(paths, 200)


class TestNegotiate:
    def ask(self, app: Flask, values: Any) -> tuple[int, dict[str, Any]]:
        answer = app.test_client().post("/negotiate", json=values)
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status_code, answer.get_json()

    def test_gives_a_token_with_the_name_the_room_and_a_seat(self, app: Flask) -> None:
        status, place = self.ask(app, {"name": " Zoë ", "room": "tea-time"})
        assert (status, place["name"], place["room"]) == (200, "Zoë", "tea-time")
        claims = jwt.decode(place["url"].partition("access_token=")[2], KEY, ["HS256"], options={"verify_aud": False})
        assert claims["sub"] == "Zo%C3%AB"
        assert claims["webpubsub.group"] == ["tea-time", f"seat.{place['seat']}"]
        assert "role" not in claims
        assert re.fullmatch("[0-9a-f]{32}", place["seat"])

    def test_every_tab_gets_a_seat_of_its_own_and_keeps_it(self, app: Flask) -> None:
        first, second = (self.ask(app, {"name": "Ann", "room": "lobby"})[1]["seat"] for _ in range(2))
        assert first != second
        assert self.ask(app, {"name": "Ann", "room": "lobby", "seat": first})[1]["seat"] == first

    @pytest.mark.parametrize("seat", ["", "lobby", "A" * 32, "a" * 33, 1, None], ids=repr)
    def test_a_seat_that_can_not_be_is_replaced(self, app: Flask, seat: Any) -> None:
        assert re.fullmatch("[0-9a-f]{32}", self.ask(app, {"name": "Ann", "room": "lobby", "seat": seat})[1]["seat"])

    @pytest.mark.parametrize(
        ("values", "status", "field"),
        [
            pytest.param({"room": "lobby"}, 400, "name", id="no name"),
            pytest.param({"name": 1, "room": "lobby"}, 400, "name", id="a number"),
            pytest.param({"name": "system", "room": "lobby"}, 401, "name", id="a reserved name"),
            pytest.param({"name": "Bea"}, 400, "room", id="no room"),
            pytest.param({"name": "Bea", "room": "a.b"}, 400, "room", id="a wrong room"),
            pytest.param({"name": "ann", "room": "lobby"}, 409, "name", id="a taken name"),
            pytest.param({"name": "Ann", "room": "lobby", "seat": "c" * 32}, 409, "name", id="a seat of nobody"),
            pytest.param(["Ann"], 400, "room", id="a list"),
        ],
    )
    def test_says_why_not(self, app: Flask, calls: RestCalls, values: Any, status: int, field: str) -> None:
        put(calls, "Ann", "1", OTHER_SEAT)
        found, answer = self.ask(app, values)
        assert (found, answer["field"]) == (status, field)
        assert answer["message"]

    def test_what_is_no_json_is_refused(self, app: Flask) -> None:
        answer = app.test_client().post("/negotiate", data="name=Ann&room=lobby")
        assert answer.status_code == 400
        assert answer.get_json()["field"] == "room"

    def test_who_holds_the_seat_may_come_back(self, app: Flask, calls: RestCalls) -> None:
        put(calls, "Ann", "1", SEAT)
        assert self.ask(app, {"name": "Ann", "room": "lobby", "seat": SEAT})[0] == 200
        assert calls.closed == []

    def test_a_service_that_refuses_is_said_without_its_words(
        self, app: Flask, calls: RestCalls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(calls, "_answer", lambda request: Response("a secret", 401))
        status, answer = self.ask(app, {"name": "Ann", "room": "lobby"})
        assert (status, answer["message"]) == (503, "The chat is out of order for now. Try again in a moment.")
        assert "can not be asked who is in a room" in caplog.text


def test_of_two_tokens_for_one_name_the_second_is_refused_by_the_service() -> None:
    def make_app(connection_string: str) -> Flask:
        return create_app({"TESTING": True, "WEBPUBSUB_CONNECTION_STRING": connection_string})

    with Emulator(app := make_app(DEVELOPMENT_CONNECTION_STRING)):
        ask = app.test_client().post
        urls = [ask("/negotiate", json={"name": "Ann", "room": "lobby"}).get_json()["url"] for _ in range(2)]
        first = websocket.create_connection(urls[0], timeout=10)
        assert '"joined"' in first.recv()
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            websocket.create_connection(urls[1], timeout=10)
        first.close()
    assert caught.value.status_code == 409
    assert b"called Ann already" in (caught.value.resp_body or b"")


MakeApp = Callable[[Mapping[str, Any]], Flask]


def play(make_app: MakeApp = create_app) -> tuple[int, str]:
    out = io.StringIO()
    return demo.play(make_app, Screen(out)), out.getvalue()


def spoil(when: Callable[[Response], bool], how: Callable[[Response], None]) -> MakeApp:
    """Makes the demo's app, with an answer that is not the right one."""

    def make_app(config: Mapping[str, Any]) -> Flask:
        app = create_app(config)

        @app.after_request
        def change(response: Response) -> Response:
            if when(response):
                how(response)
            return response

        return app

    return make_app


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
        status, text = play()
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
                lambda answer: b"people" in answer.data, lambda answer: setattr(answer, "data", b"{}"), id="JSON"
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
                lambda answer: b"people" in answer.data,
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
        def break_down(name: str) -> str:
            raise RuntimeError("down")

        monkeypatch.setattr(rooms, "read_name", break_down)
        status, text = play()
        assert status == 1
        assert "✗ A reserved name is refused." in text

    def test_fails_when_the_room_is_not_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rooms, "tell", lambda room, message, besides=(): None)
        status, text = play()
        assert status == 1
        assert "✗ The room is told who came." in text

    def test_says_what_is_missing_without_a_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "waitress.server", None)
        with pytest.raises(SystemExit, match="pip install waitress"):
            play()
