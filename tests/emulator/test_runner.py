"""The emulator in a test: apps of every kind beside it, and clients of the official SDK."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from flask import Flask, session

from flask_webpubsub import ConfigurationError, UserEventResponse, WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING, DEVELOPMENT_KEY
from flask_webpubsub.emulator import Emulator, EventHandler, HubSettings, Options, RunningEmulator
from tests.emulator.chat_apps import make_chat_app, make_handwritten_app, make_sample_app
from tests.emulator.parts import in_loop
from tests.emulator.receivers import Receiver

KEY = "a-key-of-the-app-itself-that-is-long-enough-for-all"
NO_HEADERS: dict[str, str] = {}


async def receive(client: aiohttp.ClientWebSocketResponse) -> str:
    return str((await client.receive()).data)


def talk(url: str, *texts: str) -> list[str]:
    """Connect, send texts, and return what comes back for each."""
    answers: list[str] = []

    @in_loop
    async def run() -> None:
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as client:
            for text in texts:
                await client.send_str(text)
                answers.append(await receive(client))

    run()
    return answers


def make_ready_app(connection_string: Any = DEVELOPMENT_CONNECTION_STRING, **config: Any) -> tuple[Flask, WebPubSub]:
    app = Flask("ready")
    app.secret_key = "secret"
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=connection_string, WEBPUBSUB_HUB="chat", **config)
    wps = WebPubSub(app)

    @wps.on_message
    def message(data: str, hub: str) -> str:
        session["count"] = session.get("count", 0) + 1
        return f"{hub} {session['count']}: {data}"

    return app, wps


def test_a_chat_with_states_over_a_whole_conversation() -> None:
    with Emulator(make_chat_app) as service:
        assert talk(service.client_url(user_id="alice"), "hi", "ho") == ["1 alice: hi", "2 alice: ho"]
        service.events.wait_for("disconnected")
        assert [event.event_name for event in service.events if event.event_name != "connected"] == [
            "connect",
            "message",
            "message",
            "disconnected",
        ]
        first, second = service.events.named("message")
        assert first.response == UserEventResponse("1 alice: hi", states={"count": 1})
        assert second.request.connection_context.states == {"count": 1}
        assert {event.tries for event in service.events} == {1}


def test_the_log_can_still_be_read_after_the_end() -> None:
    with Emulator(make_chat_app) as service:
        talk(service.client_url(), "hi")
    assert service.events.named("message")[0].error is None


@in_loop
async def test_a_refused_client_is_told_why(service: RunningEmulator) -> None:
    async with aiohttp.ClientSession() as http, http.get(service.client_url(user_id="mallory"), headers=UPGRADE) as no:
        assert (no.status, await no.text()) == (401, "Not you.")


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}


def test_a_factory_gets_the_connection_string_of_the_emulator() -> None:
    given: list[str] = []

    def create_app(connection_string: str) -> Flask:
        given.append(connection_string)
        return make_chat_app(connection_string)

    with Emulator(create_app) as service:
        assert given == [service.connection_string]
        assert service.connection_string == f"Endpoint={service.url};AccessKey={DEVELOPMENT_KEY};Version=1.0;"
        assert service.hub == "chat"


def test_two_emulators_run_side_by_side() -> None:
    with Emulator(make_chat_app) as one, Emulator(make_chat_app) as two:
        assert talk(one.client_url(user_id="a"), "x") == ["1 a: x"]
        assert talk(two.client_url(user_id="b"), "y") == ["1 b: y"]
        assert {event.user_id for event in one.events} == {"a"}


def test_an_emulator_can_be_started_again() -> None:
    emulator = Emulator(make_chat_app)
    for _ in range(2):
        with emulator as service:
            assert talk(service.client_url(user_id="a"), "x") == ["1 a: x"]


# An app that is there already.


def test_a_ready_app_has_its_own_keys_and_host() -> None:
    app, _ = make_ready_app(
        [f"Endpoint=http://127.0.0.1:1;AccessKey={KEY};", f"Endpoint=http://127.0.0.1:1;AccessKey={DEVELOPMENT_KEY};"]
    )
    own = app.config["WEBPUBSUB_CONNECTION_STRING"]
    with Emulator(app) as service:
        assert service.url.startswith("http://127.0.0.1:")
        assert KEY in service.connection_string
        assert talk(service.client_url(), "a", "b") == ["chat 1: a", "chat 2: b"]
        assert app.config["WEBPUBSUB_CONNECTION_STRING"] == service.connection_string
        context = service.events[0].request.connection_context
        assert context.origin == "127.0.0.1"
        assert str(context.signature).count("sha256=") == 2
    assert app.config["WEBPUBSUB_CONNECTION_STRING"] is own


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="This machine has no IPv6.")
def test_a_ready_app_may_have_an_address_of_ipv6() -> None:
    app, _ = make_ready_app(f"Endpoint=http://[::1]:7080;AccessKey={KEY};")
    with Emulator(app) as service:
        assert service.url.startswith("http://[::1]:")
        assert talk(service.client_url(), "a") == ["chat 1: a"]


def test_the_path_and_the_access_code_are_the_apps() -> None:
    app, _ = make_ready_app(WEBPUBSUB_PATH="/hook", WEBPUBSUB_ACCESS_CODE=["a&b=c ü", "old"])
    with Emulator(app) as service:
        assert talk(service.client_url(), "a") == ["chat 1: a"]


def test_only_the_system_events_that_have_handlers_are_sent() -> None:
    app, wps = make_ready_app()

    @wps.on_disconnected(hub="Other")
    def disconnected() -> None:
        pass

    @wps.on_group_joined(hub="other")
    def joined() -> None:
        pass

    @wps.on_message(hub="other")
    def message() -> str:
        return "other"

    with Emulator(app) as service:
        assert talk(service.client_url(), "a") == ["chat 1: a"]
        assert talk(service.client_url("other", groups=["g"]), "a") == ["other"]
        service.events.wait_for("disconnected")
        found = {(event.hub, event.event_name) for event in service.events}
        assert found == {("chat", "message"), ("other", "message"), ("other", "joined"), ("other", "disconnected")}


@in_loop
async def test_a_hub_without_handlers_lets_clients_in_and_says_what_is_missing(service: RunningEmulator) -> None:
    url = service.client_url("nobody", user_id="alice")
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as client:
        await client.send_str("hi")
        await client.receive()
        assert client.close_code == 1011
    (event,) = service.events
    assert (event.event_name, event.status) == ("message", 404)
    assert "@wps.on_message(hub='nobody')" in (event.error or "")


@pytest.mark.parametrize(
    ("connection_string", "words"),
    [
        ("Endpoint=https://contoso.webpubsub.azure.com;AccessKey=k;", "which is Azure"),
        ("Endpoint=http://other-machine:7080;AccessKey=k;", "another machine"),
        ("Endpoint=https://localhost:7080;AccessKey=k;", "http:// alone"),
        ("Endpoint=http://localhost:7080;", "no AccessKey"),
    ],
    ids=["azure", "elsewhere", "https", "no-key"],
)
def test_an_app_of_a_service_elsewhere_is_refused(connection_string: str, words: str) -> None:
    app, _ = make_ready_app(connection_string)
    with pytest.raises(ConfigurationError, match=words), Emulator(app):
        pass
    assert app.config["WEBPUBSUB_CONNECTION_STRING"] == connection_string


def test_of_several_services_the_one_on_this_machine_is_meant() -> None:
    app, _ = make_ready_app(
        [
            "Endpoint=https://contoso.webpubsub.azure.com;AccessKey=k;",
            f"Endpoint=http://localhost:7080;AccessKey={KEY};",
        ]
    )
    with Emulator(app) as service:
        assert KEY in service.connection_string
        assert talk(service.client_url(), "a") == ["chat 1: a"]


def test_an_app_that_takes_unsigned_events_gets_them() -> None:
    app, _ = make_ready_app("", WEBPUBSUB_ALLOW_UNSIGNED=True)
    with Emulator(app) as service:
        assert talk(service.client_url(), "a") == ["chat 1: a"]


def test_keys_can_be_set() -> None:
    with Emulator(make_chat_app, keys=[KEY, DEVELOPMENT_KEY]) as service:
        assert talk(service.client_url(user_id="a"), "x") == ["1 a: x"]
        assert f"AccessKey={KEY};" in service.connection_string


# Other apps.


def test_a_receiver_written_by_hand_chats() -> None:
    with Emulator(make_handwritten_app, path="/eventhandler") as service:
        answer = json.loads(talk(service.client_url("chat", user_id="alice"), "hi")[0])
        assert answer == {"from": "alice", "message": "hi"}
        service.events.wait_for("disconnected")
        assert {event.event_name: event.error for event in service.events} == dict.fromkeys(
            ("connect", "connected", "message", "disconnected")
        )


def test_the_official_sample_chats_on_the_extension() -> None:
    with Emulator(make_sample_app) as service:

        def negotiate(user_id: str) -> str:
            with urllib.request.urlopen(f"{service.app_url}/negotiate?id={user_id}") as answer:
                return str(json.load(answer)["url"])

        @in_loop
        async def run() -> None:
            async with aiohttp.ClientSession() as http:
                alice = await http.ws_connect(await asyncio.to_thread(negotiate, "alice"))
                assert await receive(alice) == "[SYSTEM] alice joined."
                bob = await http.ws_connect(await asyncio.to_thread(negotiate, "bob"))
                assert await receive(bob) == await receive(alice) == "[SYSTEM] bob joined."
                await bob.send_str("Hello!")
                assert await receive(bob) == await receive(alice) == "[bob] Hello!"
                await alice.close()
                await bob.close()

        run()
        assert {event.error for event in service.events} == {None}


def plain_wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Allows all, and answers each message with its length."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    message = environ.get("HTTP_CE_EVENTNAME") == "message"
    headers = [("WebHook-Allowed-Origin", "*"), ("Content-Type", "text/plain")]
    start_response("200 OK" if message else "204 No Content", headers if message else headers[:1])
    return [str(len(body)).encode()] if message else []


def test_any_wsgi_app_will_do() -> None:
    with Emulator(plain_wsgi_app, path="/anything") as service:
        assert service.hub is None
        assert talk(service.client_url("chat"), "hello") == ["5"]
        with pytest.raises(ValueError, match="Name a hub"):
            service.client_url()


def test_without_an_app_it_is_the_service_alone() -> None:
    with Emulator() as service:
        assert service.app_url is None
        rest = WebPubSubServiceClient.from_connection_string(service.connection_string, hub="chat")
        url = str(rest.get_client_access_token(user_id="a", groups=["g"])["url"])

        @in_loop
        async def run() -> None:
            async with aiohttp.ClientSession() as http, http.ws_connect(url) as client:
                await asyncio.to_thread(rest.send_to_group, "g", "hello", content_type="text/plain")
                assert await receive(client) == "hello"

        run()
        assert list(service.events) == []


# Options.


def test_event_handlers_can_be_set_with_paths_of_the_app() -> None:
    app, _ = make_ready_app(WEBPUBSUB_PATH="/hook")
    handlers = [EventHandler(url_template="/hook/{event}", user_events="message", system_events=())]
    with Emulator(app, handlers=handlers) as service:
        assert talk(service.client_url(), "a") == ["chat 1: a"]
        assert len(service.events) == 1


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "http://{hub}.example/", "nonsense", "http://a:0/", "http://a:x/"]
)
def test_an_event_handler_that_can_not_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="host"), Emulator(handlers=[EventHandler(url_template=url)]):
        pass


def test_retries_are_off_unless_asked_for(receiver: Receiver) -> None:
    handlers = [EventHandler(url_template=receiver.url, system_events=())]

    def tries(**options: Any) -> int:
        with Emulator(handlers=handlers, **options) as service:
            service.faults.fail(503, times=None)

            @in_loop
            async def run() -> None:
                async with aiohttp.ClientSession() as http, http.ws_connect(service.client_url("chat")) as client:
                    await client.send_str("x")
                    await client.receive()

            run()
            return service.events.wait_for("message").tries

    assert tries() == 1
    assert tries(options=Options.fast(retry_delays=(0.01, 0.01))) == 3


@in_loop
async def test_anonymous_clients_are_let_in_where_options_say_so() -> None:
    options = Options.fast(hubs={"open": HubSettings(allow_anonymous=True)})
    with Emulator(make_chat_app, options=options) as service:
        base = service.url.replace("http", "ws") + "/client/hubs/"
        async with aiohttp.ClientSession() as http:
            await (await http.ws_connect(base + "open")).close()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(base + "chat")
            assert refused.value.status == 401


def test_the_switch_for_anonymous_clients_stays_on_a_hub_that_the_app_handles() -> None:
    app, _ = make_ready_app()
    with Emulator(app, options=Options.fast(default_hub=HubSettings(allow_anonymous=True))) as service:
        assert talk(service.url.replace("http", "ws") + "/client/hubs/chat", "a") == ["chat 1: a"]


def test_what_a_client_url_says_is_what_the_app_sees(service: RunningEmulator) -> None:
    talk(
        service.client_url(user_id="Zoë", roles=["webpubsub.sendToGroup"], groups=["g"], claims={"level": 3}),
        "x",
    )
    connect = service.events.wait_for("connect").request
    claims = connect.claims  # type: ignore[attr-defined]
    assert claims["sub"] == ["Zoë"]
    assert claims["role"] == ["webpubsub.sendToGroup"]
    assert claims["webpubsub.group"] == ["g"]
    assert claims["level"] == ["3"]
    assert service.events.wait_for("message").user_id == "Zoë"


# The end.


def test_a_failure_at_the_start_leaves_nothing_behind() -> None:
    def create_app(connection_string: str) -> Flask:
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Emulator(create_app):
        pass
    assert threading.active_count() == before


def test_an_error_in_a_test_stops_both_servers() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Emulator(make_chat_app):
        raise ZeroDivisionError
    assert threading.active_count() == before


def test_what_there_is_is_what_it_says() -> None:
    import flask_webpubsub.emulator as emulator

    assert {name: getattr(emulator, name).__name__ for name in emulator.__all__} == {
        name: name for name in emulator.__all__
    }
    with pytest.raises(AttributeError, match="nothing"):
        emulator.nothing  # noqa: B018
