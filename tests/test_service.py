"""The SDK's client for a hub, and access for clients, as an app gets them from the extension."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from flask import Flask

from flask_webpubsub import ConfigurationError, Hub, WebPubSub
from flask_webpubsub.service import ClientAccess
from tests.conftest import CONNECTION_STRING, HOST, KEY

OTHER_KEY = "the-key-of-another-service-with-32-bytes-or-more"
OTHER = f"Endpoint=http://other.example:8080;AccessKey={OTHER_KEY};Version=1.0;"
THIRD = "Endpoint=https://third.example;AccessKey=the-key-of-a-third-service-with-32-bytes-or-more;"


def make_app(
    name: str = "app", connection_string: Any = CONNECTION_STRING, hub: str | None = "chat", **config: Any
) -> Flask:
    app = Flask(name)
    app.config.update(WEBPUBSUB_CONNECTION_STRING=connection_string, WEBPUBSUB_HUB=hub, **config)
    return app


def base_url(wps: WebPubSub, hub: str | None = None) -> str:
    """Where the clients of a hub connect, which tells its service."""
    return wps.client_access(hub=hub).base_url


def read(access: ClientAccess, key: str = KEY) -> dict[str, Any]:
    """The claims of a token, which the key must have signed."""
    claims: dict[str, Any] = jwt.decode(access.access_token, key, algorithms=["HS256"], options={"verify_aud": False})
    return claims


# The client.


def test_the_client_is_of_the_apps_own_hub_and_connection(wps: WebPubSub) -> None:
    client = wps.service_client()
    assert isinstance(client, WebPubSubServiceClient)
    assert client.get_client_access_token()["baseUrl"] == f"wss://{HOST}/client/hubs/chat"


def test_another_hub_can_be_named(wps: WebPubSub) -> None:
    assert base_url(wps, "Support") == f"wss://{HOST}/client/hubs/Support"


def test_the_client_is_made_once_for_each_hub(wps: WebPubSub) -> None:
    assert wps.service_client() is wps.service_client("chat")
    assert wps.service_client("support") is wps.service_client("support")
    assert wps.service_client() is not wps.service_client("support")


def test_the_client_is_made_once_whichever_threads_ask(wps: WebPubSub) -> None:
    barrier = threading.Barrier(16)

    def ask(_: int) -> WebPubSubServiceClient:
        barrier.wait(10)
        return wps.service_client()

    with ThreadPoolExecutor(16) as pool:
        clients = list(pool.map(ask, range(16)))
    assert len(set(map(id, clients))) == 1


def test_a_connection_string_that_changed_makes_a_new_client(app: Flask, wps: WebPubSub) -> None:
    before = wps.service_client()
    app.config["WEBPUBSUB_CONNECTION_STRING"] = OTHER
    assert base_url(wps) == "ws://other.example:8080/client/hubs/chat"
    app.config["WEBPUBSUB_CONNECTION_STRING"] = CONNECTION_STRING
    assert wps.service_client() is before


# Which connection.


def test_the_first_of_several_default_connections_is_taken() -> None:
    app = make_app(connection_string=[OTHER, CONNECTION_STRING])
    wps = WebPubSub(app)
    assert base_url(wps) == "ws://other.example:8080/client/hubs/chat"


def test_a_hub_whose_handlers_name_a_connection_has_that_one() -> None:
    app = make_app(THIRD_SERVICE=[THIRD, OTHER], OTHER_SERVICE=OTHER)
    wps = WebPubSub(app)
    hub = Hub("Support", connection=["THIRD_SERVICE", "OTHER_SERVICE"])

    @hub.on_connected
    def connected() -> None: ...

    @hub.on_message(connection=None)
    def message() -> None: ...

    @wps.on_message
    def own() -> None: ...

    wps.register_hub(hub)
    assert base_url(wps, "support") == "wss://third.example/client/hubs/support"
    assert base_url(wps) == f"wss://{HOST}/client/hubs/chat"
    assert base_url(wps, "else") == f"wss://{HOST}/client/hubs/else"


def test_a_connection_that_only_some_handlers_name_is_the_hubs() -> None:
    app = make_app(OTHER_SERVICE=OTHER)
    wps = WebPubSub(app)

    @wps.on_message
    def message() -> None: ...

    @wps.on_connect(connection="OTHER_SERVICE")
    def connect() -> None: ...

    assert base_url(wps) == "ws://other.example:8080/client/hubs/chat"


@pytest.mark.parametrize("ask", [WebPubSub.service_client, WebPubSub.client_access])
def test_a_hub_must_be_named_somewhere(ask: Any) -> None:
    app = make_app(hub=None)  # held: an extension does not keep its apps alive
    with pytest.raises(ConfigurationError, match=r"needs a hub: set WEBPUBSUB_HUB"):
        ask(WebPubSub(app))


@pytest.mark.parametrize("hub", ["9", "a-b", "a/b"])
def test_a_hub_that_can_not_be_is_refused(wps: WebPubSub, hub: str) -> None:
    with pytest.raises(ConfigurationError, match="can not be the name of a hub"):
        wps.service_client(hub)


def test_without_a_connection_string_there_is_no_client() -> None:
    app = make_app(connection_string=None, WEBPUBSUB_ALLOW_UNSIGNED=True)
    wps = WebPubSub(app)
    with pytest.raises(ConfigurationError, match=r"WEBPUBSUB_CONNECTION_STRING holds nothing. Set app.config"):
        wps.service_client()


def test_a_connection_string_without_a_key_makes_no_client() -> None:
    app = make_app(connection_string=f"Endpoint=https://{HOST};Version=1.0;")
    wps = WebPubSub(app)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=f"'https://{HOST}' has no AccessKey"):
            wps.service_client()


# Which app.


def test_the_current_app_is_meant_where_there_is_one() -> None:
    first, second = make_app("first"), make_app("second", OTHER)
    wps = WebPubSub(first)
    wps.init_app(second)
    with first.app_context():
        assert base_url(wps) == f"wss://{HOST}/client/hubs/chat"
        client = wps.service_client()
    with second.test_request_context():
        assert base_url(wps) == "ws://other.example:8080/client/hubs/chat"
    with first.app_context():
        assert wps.service_client() is client


def test_several_apps_without_a_context_are_an_error() -> None:
    first, second = make_app("first"), make_app("second")
    wps = WebPubSub(first)
    wps.init_app(second)
    with pytest.raises(RuntimeError, match=r"on 2 apps, and there is no app context.*with app.app_context\(\)"):
        wps.service_client()


def test_no_app_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="on 0 apps"):
        WebPubSub().client_access()


def test_an_app_without_this_extension_is_an_error(wps: WebPubSub) -> None:
    other = make_app("other")
    with other.app_context(), pytest.raises(RuntimeError, match="'other' does not have this extension"):
        wps.service_client()
    WebPubSub(other)
    with other.app_context(), pytest.raises(RuntimeError, match="'other' does not have this extension"):
        wps.service_client()


# Access.


def test_access_for_nobody_in_particular(wps: WebPubSub) -> None:
    access = wps.client_access()
    claims = read(access)
    assert access.base_url == f"wss://{HOST}/client/hubs/chat"
    assert access.url == f"{access.base_url}?access_token={access.access_token}"
    assert claims["aud"] == f"https://{HOST}/client/hubs/chat"
    assert claims["exp"] - claims["iat"] == 3600
    assert set(claims) == {"aud", "iat", "exp"}


def test_access_says_who_the_client_is_and_what_it_may(wps: WebPubSub) -> None:
    claims = read(
        wps.client_access(
            user_id="alice", roles=("webpubsub.sendToGroup.a",), groups=["a", "b"], minutes_to_expire=5, hub="support"
        )
    )
    assert claims["aud"] == f"https://{HOST}/client/hubs/support"
    assert (claims["sub"], claims["role"]) == ("alice", ["webpubsub.sendToGroup.a"])
    assert claims["webpubsub.group"] == ["a", "b"]
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize(
    ("protocol", "path"),
    [("default", "client"), ("Default", "client"), ("mqtt", "clients/mqtt"), ("MQTT", "clients/mqtt")],
)
def test_access_is_for_a_client_protocol(wps: WebPubSub, protocol: str, path: str) -> None:
    access = wps.client_access(client_protocol=protocol)
    assert access.base_url == f"wss://{HOST}/{path}/hubs/chat"
    assert read(access)["aud"] == f"https://{HOST}/{path}/hubs/chat"


def test_access_is_signed_by_the_service_of_the_hub() -> None:
    app = make_app(OTHER_SERVICE=OTHER)
    wps = WebPubSub(app)

    @wps.on_message(hub="support", connection="OTHER_SERVICE")
    def message() -> None: ...

    assert read(wps.client_access(hub="support"), OTHER_KEY)
    assert read(wps.client_access(), KEY)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"roles": "admin"}, TypeError, "lists of strings"),
        ({"groups": "a"}, TypeError, "lists of strings"),
        ({"minutes_to_expire": 0}, ValueError, "minutes_to_expire is 0"),
        ({"minutes_to_expire": -5}, ValueError, "minutes_to_expire is -5"),
        ({"client_protocol": "socketio"}, ValueError, "client_protocol is 'socketio': use 'default' or 'mqtt'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_access_that_can_not_be_is_refused(
    wps: WebPubSub, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        wps.client_access(**options)


def test_access_does_not_show_its_token(wps: WebPubSub) -> None:
    access = wps.client_access(user_id="alice")
    assert access.access_token not in repr(access)
    assert access.base_url in repr(access)


# The extra.


@pytest.mark.parametrize("ask", [WebPubSub.service_client, WebPubSub.client_access])
def test_without_the_extra_the_error_says_what_to_install(
    wps: WebPubSub, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "flask_webpubsub.service", raising=False)
    monkeypatch.setitem(sys.modules, "azure.messaging.webpubsubservice", None)
    with pytest.raises(ImportError, match=r"pip install 'flask-webpubsub\[service\]'"):
        ask(wps)
