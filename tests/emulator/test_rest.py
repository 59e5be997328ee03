"""The REST interface: each operation's exact status, and what it does to the clients of a hub."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import jwt
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_webpubsub.emulator.hub import Connection, Hub, Hubs, Message
from flask_webpubsub.emulator.options import MIB, Options
from flask_webpubsub.emulator.permissions import Permissions
from flask_webpubsub.emulator.rest import add_rest_routes
from flask_webpubsub.emulator.tokens import CLIENT_PATH, MQTT_PATH, verify_client_token
from flask_webpubsub.enums import WebPubSubDataType

KEY = "the-first-key-of-this-service-with-32-bytes-or-more"
SECOND_KEY = "the-second-key-of-this-service-with-32-bytes-or-more"
TEXT, JSON, BINARY = WebPubSubDataType.TEXT, WebPubSubDataType.JSON, WebPubSubDataType.BINARY
CHAT = "/api/hubs/chat"


@dataclass
class Client:
    """The end of a connection: notes what comes."""

    connection: Connection
    messages: list[Message] = field(default_factory=list)
    closed: list[str | None] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)

    def close(self, reason: str | None) -> None:
        self.closed.append(reason)
        self.connection.hub.remove(self.connection)

    def cut(self) -> None:
        raise AssertionError("REST cuts nobody off.")


@dataclass
class Answer:
    """An answer of the service."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """The REST interface alone, in a thread, over hubs that tests look into."""

    def __init__(self) -> None:
        self.hubs = Hubs()
        self.changes: list[tuple[str, str, bool]] = []
        self.hubs.on_group_change = lambda connection, group, joined: self.changes.append(
            (connection.connection_id, group, joined)
        )
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def chat(self) -> Hub:
        return self.hubs.get("chat")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(
        self, connection_id: str, user_id: str | None = None, *groups: str, roles: tuple[str, ...] = ()
    ) -> Client:
        connection = Connection(
            self.chat, connection_id, user_id=user_id, subprotocol="json", permissions=Permissions.from_roles(roles)
        )
        connection.client = client = Client(connection)
        self.chat.add(connection)
        for group in groups:
            self.chat.join(connection, group)
        return client

    def call(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        content_type: str | None = None,
        *,
        audience: str | None = None,
        key: str = KEY,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call just as it is given; with a token for this call unless there is one."""
        claims = {"aud": self.url + target if audience is None else audience, "exp": time.time() + 60}
        all_headers = {"Authorization": f"Bearer {token or jwt.encode(claims, key)}"}
        if content_type is not None:
            all_headers["Content-Type"] = content_type
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, target, body, {**all_headers, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            connection.close()

    def send(self, target: str, body: bytes | str = "hi", content_type: str = "text/plain", **options: Any) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        return self.call("POST", target, data, content_type, **options)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        application = web.Application()
        add_rest_routes(application, self.hubs, Options(), [KEY, SECOND_KEY])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.stop()


def assert_error(answer: Answer, status: int, code: str, message: str) -> None:
    assert answer.status == status
    assert answer.headers["x-ms-error-code"] == code
    assert answer.json["code"] == code
    assert message in answer.json["message"]


# Who may call.


def test_health_needs_no_token(service: Service) -> None:
    assert service.call("HEAD", "/api/health", token="none").status == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer \u00e9", "Bearer  a b"]
)
def test_a_call_without_a_token_is_401(service: Service, authorization: str) -> None:
    headers = {"Authorization": authorization}
    answer = service.send(f"{CHAT}/:send", headers=headers)
    assert_error(answer, 401, "Unauthorized", "")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json["message"]


def test_a_token_of_a_stranger_is_401_and_nothing_is_sent(service: Service) -> None:
    client = service.connect("c1")
    answer = service.send(f"{CHAT}/:send", key="a-key-that-somebody-made-up-to-try-it-here")
    assert_error(answer, 401, "Unauthorized", "not signed")
    assert client.messages == []


def test_either_key_may_sign(service: Service) -> None:
    assert service.send(f"{CHAT}/:send", key=KEY).status == 202
    assert service.send(f"{CHAT}/:send", key=SECOND_KEY).status == 202


@pytest.mark.parametrize(
    "audience",
    [
        "{url}{target}",
        "{url}{path}",
        "{lower}",
        "{decoded}",
        "https://contoso.webpubsub.azure.com{target}",
    ],
    ids=["with the query", "without the query", "lower case", "decoded", "another host"],
)
def test_the_audience_may_have_any_of_these_forms(service: Service, audience: str) -> None:
    path = f"{CHAT}/users/Alice%20%2F%25/:send"
    target = f"{path}?filter=userId%20eq%20%27x%27&api-version=2024-12-01"
    forms = {
        "url": service.url,
        "target": target,
        "path": path,
        "lower": (service.url + target).lower(),
        "decoded": f"{service.url}{CHAT}/users/Alice /%/:send?filter=userId eq 'x'&api-version=2024-12-01",
    }
    assert service.send(target, audience=audience.format(**forms)).status == 202


@pytest.mark.parametrize("audience", [f"{CHAT}/users/u1/:send", "/api/hubs/other/:send?x=1", f"{CHAT}/:send?x=2"])
def test_a_token_for_another_call_is_401(service: Service, audience: str) -> None:
    answer = service.send(f"{CHAT}/:send?x=1", audience=service.url + audience)
    assert_error(answer, 401, "Unauthorized", "The token is for")


@pytest.mark.parametrize("version", ["", "?api-version=2021-10-01", "?api-version=2024-12-01", "?api-version=1999"])
def test_the_version_does_not_matter(service: Service, version: str) -> None:
    assert service.send(f"{CHAT}/:send{version}").status == 202


# The table of operations: the status when the target exists and when it does not.

TABLE = [
    ("POST", f"{CHAT}/:generateToken", None, 200),
    ("POST", f"{CHAT}/:send", "text/plain", 202),
    ("POST", f"{CHAT}/:closeConnections", None, 204),
    ("POST", f"{CHAT}/:addToGroups", "application/json", 200),
    ("POST", f"{CHAT}/:removeFromGroups", "application/json", 200),
    ("HEAD", f"{CHAT}/connections/c1", None, 200),
    ("DELETE", f"{CHAT}/connections/c1", None, 204),
    ("POST", f"{CHAT}/connections/c1/:send", "text/plain", 202),
    ("DELETE", f"{CHAT}/connections/c1/groups", None, 204),
    ("HEAD", f"{CHAT}/groups/a", None, 200),
    ("POST", f"{CHAT}/groups/a/:send", "text/plain", 202),
    ("POST", f"{CHAT}/groups/a/:closeConnections", None, 204),
    ("GET", f"{CHAT}/groups/a/connections", None, 200),
    ("PUT", f"{CHAT}/groups/b/connections/c1", None, 200),
    ("DELETE", f"{CHAT}/groups/a/connections/c1", None, 204),
    ("HEAD", f"{CHAT}/permissions/sendToGroup/connections/c1?targetName=a", None, 200),
    ("PUT", f"{CHAT}/permissions/joinLeaveGroup/connections/c1?targetName=a", None, 200),
    ("DELETE", f"{CHAT}/permissions/sendToGroup/connections/c1?targetName=a", None, 204),
    ("HEAD", f"{CHAT}/users/u1", None, 200),
    ("POST", f"{CHAT}/users/u1/:send", "text/plain", 202),
    ("POST", f"{CHAT}/users/u1/:closeConnections", None, 204),
    ("PUT", f"{CHAT}/users/u1/groups/b", None, 200),
    ("DELETE", f"{CHAT}/users/u1/groups/a", None, 204),
    ("DELETE", f"{CHAT}/users/u1/groups", None, 204),
]
#: Those that can tell that there is nothing.
MISSING = {
    ("HEAD", f"{CHAT}/connections/c1"): 404,
    ("HEAD", f"{CHAT}/groups/a"): 404,
    ("PUT", f"{CHAT}/groups/b/connections/c1"): 404,
    ("HEAD", f"{CHAT}/permissions/sendToGroup/connections/c1?targetName=a"): 404,
    ("PUT", f"{CHAT}/permissions/joinLeaveGroup/connections/c1?targetName=a"): 404,
    ("DELETE", f"{CHAT}/permissions/sendToGroup/connections/c1?targetName=a"): 404,
    ("HEAD", f"{CHAT}/users/u1"): 404,
    ("PUT", f"{CHAT}/users/u1/groups/b"): 404,
}


@pytest.mark.parametrize(("method", "target", "content_type", "status"), TABLE, ids=lambda value: str(value))
def test_each_operation_has_its_exact_status(
    service: Service, method: str, target: str, content_type: str | None, status: int
) -> None:
    body = b'{"groups": ["a"]}' if content_type else None
    answer = service.call(method, target, body, content_type)
    missing = MISSING.get((method, target), status)
    assert answer.status == missing
    if missing == 404:
        assert answer.headers["x-ms-error-code"] == "NotFound"
        if method != "HEAD":
            assert answer.json["code"] == "NotFound"
    service.connect("c1", "u1", "a", roles=("webpubsub.sendToGroup.a",))
    answer = service.call(method, target, body, content_type)
    assert answer.status == status
    assert bool(answer.body) is (target.endswith(("generateToken", "/groups/a/connections")))


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/api", 404, "NotFound"),
        ("GET", "/api/", 404, "NotFound"),
        ("POST", f"{CHAT}/:sendToMars", 404, "NotFound"),
        ("POST", f"{CHAT}/groups//:send", 404, "NotFound"),
        ("PUT", f"{CHAT}/:send", 405, "MethodNotAllowed"),
        ("GET", f"{CHAT}/users/u1", 405, "MethodNotAllowed"),
        ("POST", "/api/health", 405, "MethodNotAllowed"),
    ],
)
def test_what_is_no_operation_is_an_error(service: Service, method: str, target: str, status: int, code: str) -> None:
    assert_error(service.call(method, target), status, code, "")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/api/hubs/9/:send", "'9' can not be the name of a hub"),
        ("/api/hubs/a-b/:send", "name of a hub"),
        (f"{CHAT}/groups/%20/:send", "name of a group"),
        (f"{CHAT}/groups/{'a' * 1025}/:send", "name of a group"),
    ],
)
def test_a_name_that_can_not_be_is_400(service: Service, target: str, message: str) -> None:
    assert_error(service.send(target), 400, "BadRequest", message)


# Sending.


def test_everybody_gets_a_message_for_all(service: Service) -> None:
    clients = [service.connect("c1", "u1"), service.connect("c2")]
    service.hubs.get("other").add(Connection(service.hubs.get("other"), "c3"))
    assert service.send(f"{CHAT}/:send").status == 202
    expected = Message("hi", TEXT, "server")
    assert [client.messages for client in clients] == [[expected], [expected]]


def test_the_case_of_a_hub_does_not_matter(service: Service) -> None:
    client = service.connect("c1")
    assert service.send("/api/hubs/CHAT/:send").status == 202
    assert len(client.messages) == 1


def test_only_its_members_get_a_message_for_a_group(service: Service) -> None:
    inside, outside = service.connect("c1", "u1", "a"), service.connect("c2", "u1", "A")
    assert service.send(f"{CHAT}/groups/a/:send").status == 202
    assert inside.messages == [Message("hi", TEXT, "group", "a")]
    assert outside.messages == []


def test_all_the_connections_of_a_user_get_a_message(service: Service) -> None:
    first, second, other = service.connect("c1", "u1"), service.connect("c2", "u1"), service.connect("c3", "U1")
    assert service.send(f"{CHAT}/users/u1/:send").status == 202
    assert [len(client.messages) for client in (first, second, other)] == [1, 1, 0]


def test_one_connection_gets_its_message(service: Service) -> None:
    first, second = service.connect("c1", "u1"), service.connect("c2", "u1")
    assert service.send(f"{CHAT}/connections/c2/:send?filter=nonsense").status == 202
    assert [len(client.messages) for client in (first, second)] == [0, 1]


@pytest.mark.parametrize(
    ("body", "content_type", "data", "data_type"),
    [
        (b"", "text/plain", "", TEXT),
        ("räume".encode(), "text/plain; charset=utf-8", "räume", TEXT),
        ("räume".encode("latin-1"), "text/plain;charset=ISO-8859-1", "räume", TEXT),
        (b"hi", "TEXT/PLAIN", "hi", TEXT),
        (b'{"a": [1, 2.5, null]}', "application/json", {"a": [1, 2.5, None]}, JSON),
        (b'"hi"', "application/json; charset=utf-8", "hi", JSON),
        (b"null", "application/json", None, JSON),
        (b"\x00\xff", "application/octet-stream", b"\x00\xff", BINARY),
        (b"\x00\xff", None, b"\x00\xff", BINARY),
        (b"", None, b"", BINARY),
    ],
)
def test_the_content_type_says_what_the_data_are(
    service: Service, body: bytes, content_type: str | None, data: Any, data_type: WebPubSubDataType
) -> None:
    client = service.connect("c1")
    assert service.call("POST", f"{CHAT}/:send", body, content_type).status == 202
    assert client.messages == [Message(data, data_type, "server")]


@pytest.mark.parametrize("content_type", ["text/html", "application/xml", "nonsense", "text/plain; charset=klingon"])
def test_another_type_is_415(service: Service, content_type: str) -> None:
    client = service.connect("c1")
    answer = service.send(f"{CHAT}/:send", content_type=content_type)
    assert_error(answer, 415, "UnsupportedMediaType", "")
    assert client.messages == []


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"", "application/json", "no JSON"),
        (b"{", "application/json", "no JSON"),
        (b"NaN", "application/json", "no JSON"),
        (b"[" * 100_000, "application/json", "no JSON"),
        (b'"\xff"', "application/json", "no text in 'utf-8'"),
        (b"\xff", "text/plain", "no text in 'utf-8'"),
    ],
    ids=["empty", "broken", "NaN", "deep", "not UTF-8", "text that is not UTF-8"],
)
def test_a_malformed_body_is_400(service: Service, body: bytes, content_type: str, message: str) -> None:
    assert_error(service.call("POST", f"{CHAT}/:send", body, content_type), 400, "BadRequest", message)


def test_a_message_of_a_mebibyte_is_sent_and_a_larger_one_is_400(service: Service) -> None:
    client = service.connect("c1")
    assert service.call("POST", f"{CHAT}/:send", b"x" * MIB).status == 202
    assert len(client.messages[0].data) == MIB
    assert_error(service.call("POST", f"{CHAT}/:send", b"x" * (MIB + 1)), 400, "BadRequest", "more than 1048576 bytes")
    assert len(client.messages) == 1


def test_a_compressed_body_is_unpacked_and_measured(service: Service) -> None:
    client = service.connect("c1")
    headers = {"Content-Encoding": "gzip"}
    assert service.send(f"{CHAT}/:send", gzip.compress(b"hi"), headers=headers).status == 202
    assert client.messages == [Message("hi", TEXT, "server")]
    large = service.send(f"{CHAT}/:send", gzip.compress(b"x" * (MIB + 1)), headers=headers)
    assert_error(large, 400, "BadRequest", "more than 1048576 bytes")
    assert_error(service.send(f"{CHAT}/:send", b"hi", headers=headers), 400, "BadRequest", "ended too early")


def test_a_body_without_a_length_is_400(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    token = jwt.encode({"aud": f"{service.url}{CHAT}/:send", "exp": time.time() + 60}, KEY)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain"}
    connection.request("POST", f"{CHAT}/:send", iter([b"hi"]), headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["message"]) == (400, "The call has no Content-Length.")
    connection.close()


@pytest.mark.parametrize("seconds", ["0", "300"])
def test_a_message_may_wait_this_long(service: Service, seconds: str) -> None:
    for path in ("", "/groups/a", "/users/u1", "/connections/c1"):
        assert service.send(f"{CHAT}{path}/:send?messageTtlSeconds={seconds}").status == 202


@pytest.mark.parametrize("seconds", ["", "-1", "301", "1.5", "x", "9" * 5000, "%D9%A1"])
def test_a_message_may_not_wait_this_long(service: Service, seconds: str) -> None:
    for path in ("", "/groups/a", "/users/u1", "/connections/c1"):
        answer = service.send(f"{CHAT}{path}/:send?messageTtlSeconds={seconds}")
        assert_error(answer, 400, "BadRequest", "messageTtlSeconds is")


def test_headers_become_metadata(service: Service) -> None:
    client = service.connect("c1")
    headers = {"X-WebPubSub-Metadata-Trace": "1, 2", "x-webpubsub-metadata-b": "", "x-other": "x"}
    assert service.send(f"{CHAT}/:send", headers=headers).status == 202
    assert client.messages[0].metadata == {"trace": "1, 2", "b": ""}


@pytest.mark.parametrize(("name", "value"), [("a", "b" * 1025), ("a" * 257, "b"), ("a", "é")])
def test_bad_metadata_are_400(service: Service, name: str, value: str) -> None:
    answer = service.send(f"{CHAT}/:send", headers={f"X-WebPubSub-Metadata-{name}": value})
    assert_error(answer, 400, "BadRequest", "metadata")


@pytest.mark.parametrize("path", ["", "/groups/a", "/users/u1"])
def test_a_filter_picks_who_gets_a_message(service: Service, path: str) -> None:
    clients = [service.connect(f"c{number}", "u1", "a") for number in range(3)]
    service.chat.join(clients[1].connection, "b & c")
    wanted = quote("'b & c' in groups and connectionId ne 'c0' and protocol eq 'json'", safe="")
    assert service.send(f"{CHAT}{path}/:send?filter={wanted}").status == 202
    assert [len(client.messages) for client in clients] == [0, 1, 0]


@pytest.mark.parametrize("path", ["", "/groups/a", "/users/u1"])
def test_a_bad_filter_is_400_and_nothing_is_sent(service: Service, path: str) -> None:
    client = service.connect("c1", "u1", "a")
    answer = service.send(f"{CHAT}{path}/:send?filter=true%20or%20userId%20gt%205")
    assert_error(
        answer, 400, "BadRequest", "The filter is wrong at character 9: a string stands where an integer is due"
    )
    assert client.messages == []


def test_an_empty_filter_is_none(service: Service) -> None:
    client = service.connect("c1")
    assert service.send(f"{CHAT}/:send?filter=").status == 202
    assert len(client.messages) == 1


@pytest.mark.parametrize("path", ["", "/groups/a"])
def test_excluded_connections_get_nothing(service: Service, path: str) -> None:
    clients = [service.connect(f"c{number}", "u1", "a") for number in range(4)]
    assert service.send(f"{CHAT}{path}/:send?excluded=c0&excluded=c2&excluded=nobody").status == 202
    assert [len(client.messages) for client in clients] == [0, 1, 0, 1]


# Escaping.


@pytest.mark.parametrize(
    "name",
    ["tenant/alice", "a b", "a+b", "50%", "%2F", "%252F", "é", "🏠", "a?b#c&d=e", "{a}", ".a", ":send", "a'b", "A"],
)
def test_names_are_decoded_once(service: Service, name: str) -> None:
    client = service.connect("c1", name, name)
    escaped = quote(name, safe="")
    lower = re.sub("%..", lambda match: match.group().lower(), escaped)
    assert service.call("HEAD", f"{CHAT}/users/{escaped}").status == 200
    assert service.call("HEAD", f"{CHAT}/groups/{escaped}").status == 200
    assert service.send(f"{CHAT}/users/{escaped}/:send").status == 202
    assert service.send(f"{CHAT}/groups/{lower}/:send").status == 202
    assert service.call("DELETE", f"{CHAT}/users/{escaped}/groups/{escaped}").status == 204
    assert len(client.messages) == 2
    assert client.connection.groups == set()


# Closing.


@pytest.mark.parametrize("path", ["", "/groups/a", "/users/u1"])
def test_connections_are_closed_but_for_the_excluded_ones(service: Service, path: str) -> None:
    clients = [service.connect(f"c{number}", "u1", "a") for number in range(3)]
    other = service.connect("other", "u2", "b")
    target = f"{CHAT}{path}/:closeConnections?excluded=c1&excluded=other&reason=Good%20night%20%26%20bye"
    assert service.call("POST", target).status == 204
    assert [client.closed for client in clients] == [["Good night & bye"], [], ["Good night & bye"]]
    assert other.closed == []
    assert service.call("HEAD", f"{CHAT}/connections/c0").status == 404


def test_one_connection_is_closed_and_needs_no_reason(service: Service) -> None:
    first, second = service.connect("c1", "u1"), service.connect("c2", "u1")
    assert service.call("DELETE", f"{CHAT}/connections/c1").status == 204
    assert service.call("DELETE", f"{CHAT}/connections/c2?reason=").status == 204
    assert (first.closed, second.closed) == ([None], [None])


# Groups.


def test_a_connection_joins_and_leaves_a_group(service: Service) -> None:
    client = service.connect("c1")
    assert service.call("PUT", f"{CHAT}/groups/a/connections/c1").status == 200
    assert service.call("PUT", f"{CHAT}/groups/a/connections/c1").status == 200
    assert client.connection.groups == {"a"}
    assert service.call("DELETE", f"{CHAT}/groups/a/connections/c1").status == 204
    assert service.call("DELETE", f"{CHAT}/groups/a/connections/c1").status == 204
    assert service.call("DELETE", f"{CHAT}/groups/a/connections/nobody").status == 204
    assert service.changes == [("c1", "a", True), ("c1", "a", False)]


def test_a_group_that_can_not_be_is_400_even_for_nobody(service: Service) -> None:
    for method in ("PUT", "DELETE"):
        service.connect(method)
        assert service.call(method, f"{CHAT}/groups/%20/connections/{method}").status == 400
        assert service.call(method, f"{CHAT}/groups/%20/connections/nobody").status == 400


def test_a_user_joins_and_leaves_groups_with_all_connections(service: Service) -> None:
    clients = [service.connect("c1", "u1"), service.connect("c2", "u1"), service.connect("c3", "u2")]
    for group in ("a", "b", "c"):
        assert service.call("PUT", f"{CHAT}/users/u1/groups/{group}").status == 200
    assert service.call("DELETE", f"{CHAT}/users/u1/groups/b").status == 204
    assert [client.connection.groups for client in clients] == [{"a", "c"}, {"a", "c"}, set()]
    assert service.call("DELETE", f"{CHAT}/users/u1/groups").status == 204
    assert [client.connection.groups for client in clients] == [set(), set(), set()]


def test_a_connection_leaves_all_its_groups(service: Service) -> None:
    first, second = service.connect("c1", "u1", "a", "b"), service.connect("c2", "u1", "a")
    assert service.call("DELETE", f"{CHAT}/connections/c1/groups").status == 204
    assert (first.connection.groups, second.connection.groups) == (set(), {"a"})


def test_a_filter_picks_who_joins_and_leaves_groups(service: Service) -> None:
    clients = [service.connect("c1", "u1"), service.connect("c2", "u2"), service.connect("c3")]
    for operation, expected in [("addToGroups", {"a", "b"}), ("removeFromGroups", set())]:
        body = json.dumps({"groups": ["a", "b"], "filter": "userId ne null", "other": 1}).encode()
        assert service.call("POST", f"{CHAT}/:{operation}", body, "application/json; charset=utf-8").status == 200
        assert [client.connection.groups for client in clients] == [expected, expected, set()]
    for operation, expected in [("addToGroups", {"a"}), ("removeFromGroups", set())]:
        for wanted in (None, ""):
            body = json.dumps({"groups": ["a"], "filter": wanted}).encode()
            assert service.call("POST", f"{CHAT}/:{operation}", body, "application/json").status == 200
        assert [client.connection.groups for client in clients] == [expected] * 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "at least one group"),
        (b"{}", "at least one group"),
        (b'{"groups": []}', "at least one group"),
        (b'{"groups": "a"}', "at least one group"),
        (b'{"groups": ["a", ""]}', "name of a group"),
        (b'{"groups": ["a", 7]}', "name of a group"),
        (b'{"groups": ["a"], "filter": 7}', "no string"),
        (b'{"groups": ["a"], "filter": "nothing"}', "The filter is wrong"),
        (b'{"groups": ["' + b"a" * MIB + b'"]}', "more than 1048576 bytes"),
    ],
    ids=lambda value: value[:30].decode() if isinstance(value, bytes) else None,
)
def test_a_malformed_change_of_groups_is_400_and_nothing_is_changed(
    service: Service, body: bytes, message: str
) -> None:
    service.connect("c1")
    for operation in ("addToGroups", "removeFromGroups"):
        answer = service.call("POST", f"{CHAT}/:{operation}", body, "application/json")
        assert_error(answer, 400, "BadRequest", message)
    assert service.changes == []


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/octet-stream"])
def test_a_change_of_groups_that_is_no_json_is_415(service: Service, content_type: str | None) -> None:
    answer = service.call("POST", f"{CHAT}/:addToGroups", b'{"groups": ["a"]}', content_type)
    assert_error(answer, 415, "UnsupportedMediaType", "use 'application/json'")


# Lists.


def list_all(service: Service, target: str) -> list[list[dict[str, str]]]:
    """The pages of a list, by its links."""
    pages = []
    while True:
        answer = service.call("GET", target)
        assert answer.status == 200
        assert set(answer.json) <= {"value", "nextLink"}
        pages.append(answer.json["value"])
        link = answer.json.get("nextLink")
        if link is None:
            return pages
        assert link.startswith(f"{service.url}{target.partition('?')[0]}?")
        target = urlsplit(link)._replace(scheme="", netloc="").geturl()


def test_a_list_names_connections_and_users(service: Service) -> None:
    service.connect("c2", "u1", "a")
    service.connect("c1", None, "a")
    service.connect("c3", "u1", "b")
    expected = [{"connectionId": "c1"}, {"connectionId": "c2", "userId": "u1"}]
    assert list_all(service, f"{CHAT}/groups/a/connections") == [expected]


def test_a_list_of_nothing_is_empty(service: Service) -> None:
    assert list_all(service, f"{CHAT}/groups/a/connections?maxpagesize=1") == [[]]


@pytest.mark.parametrize(
    ("query", "sizes"),
    [
        ("", [200, 50]),
        ("?maxpagesize=200", [200, 50]),
        ("?maxpagesize=125", [125, 125]),
        ("?maxpagesize=100&top=150", [100, 50]),
        ("?maxpagesize=100&top=200", [100, 100]),
        ("?top=201", [200, 1]),
        ("?top=200", [200]),
        ("?top=1", [1]),
        ("?top=1000", [200, 50]),
    ],
)
def test_a_long_list_comes_in_pages(service: Service, query: str, sizes: list[int]) -> None:
    for number in range(250):
        service.connect(f"c{number:03}", None, "a b/c")
    pages = list_all(service, f"{CHAT}/groups/a%20b%2Fc/connections{query}")
    assert [len(page) for page in pages] == sizes
    ids = [item["connectionId"] for page in pages for item in page]
    assert ids == [f"c{number:03}" for number in range(sum(sizes))]


def test_a_list_goes_on_while_connections_come_and_go(service: Service) -> None:
    clients = [service.connect(f"c{number}", None, "a") for number in range(4)]
    first = service.call("GET", f"{CHAT}/groups/a/connections?maxpagesize=2").json
    clients[1].close(None)
    clients[2].close(None)
    service.connect("c9", None, "a")
    target = urlsplit(first["nextLink"])._replace(scheme="", netloc="").geturl()
    assert list_all(service, target) == [[{"connectionId": "c3"}, {"connectionId": "c9"}]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("maxpagesize=0", "maxpagesize is '0'"),
        ("maxpagesize=201", "maxpagesize is '201'"),
        ("maxpagesize=x", "maxpagesize is 'x'"),
        ("top=0", "top is '0'"),
        ("top=-1", "top is '-1'"),
        ("top=99999999999999999999", "top is"),
        ("continuationToken=*", "continuationToken"),
        ("continuationToken=%C3%A9", "continuationToken"),
        ("continuationToken=_w==", "continuationToken"),
    ],
)
def test_a_list_that_can_not_be_is_400(service: Service, query: str, message: str) -> None:
    assert_error(service.call("GET", f"{CHAT}/groups/a/connections?{query}"), 400, "BadRequest", message)


# Permissions.


@pytest.mark.parametrize("permission", ["sendToGroup", "joinLeaveGroup"])
@pytest.mark.parametrize("query", ["", "?targetName=a"], ids=["all", "one group"])
def test_a_permission_is_granted_and_revoked(service: Service, permission: str, query: str) -> None:
    client = service.connect("c1")
    target = f"{CHAT}/permissions/{permission}/connections/c1{query}"
    assert service.call("HEAD", target).status == 404
    assert service.call("PUT", target).status == 200
    assert service.call("HEAD", target).status == 200
    permissions = client.connection.permissions
    check = permissions.can_send if permission == "sendToGroup" else permissions.can_join
    assert (check("a"), check("b")) == (True, query == "")
    assert service.call("DELETE", target).status == 204
    assert service.call("HEAD", target).status == 404
    assert not check("a")


@pytest.mark.parametrize(
    "target", ["fly/connections/c1", "SendToGroup/connections/nobody", "sendToGroup/connections/c1?targetName=%20"]
)
def test_a_permission_that_can_not_be_is_400(service: Service, target: str) -> None:
    service.connect("c1")
    for method in ("PUT", "DELETE", "HEAD"):
        answer = service.call(method, f"{CHAT}/permissions/{target}")
        assert (answer.status, answer.headers["x-ms-error-code"]) == (400, "BadRequest")


# Tokens.


def test_a_token_for_a_client_is_made(service: Service) -> None:
    query = "userId=a%26b&role=r1&role=r2&group=g1&group=g%202&minutesToExpire=5"
    token = service.call("POST", f"{CHAT}/:generateToken?{query}").json["token"]
    read = verify_client_token(token, keys=[KEY], path=CLIENT_PATH, hub="chat")
    assert (read.user_id, read.roles, read.groups) == ("a&b", ["r1", "r2"], ["g1", "g 2"])
    assert 290 < int(read.claims["exp"][0]) - time.time() <= 300
    assert read.claims["aud"] == [f"{service.url}/client/hubs/chat"]


def test_a_plain_token_is_good_for_an_hour(service: Service) -> None:
    token = service.call("POST", f"{CHAT}/:generateToken").json["token"]
    read = verify_client_token(token, keys=[KEY], path=CLIENT_PATH, hub="chat")
    assert (read.user_id, read.roles, read.groups) == (None, [], [])
    assert 3590 < int(read.claims["exp"][0]) - time.time() <= 3600


@pytest.mark.parametrize(("client_type", "path"), [("default", CLIENT_PATH), ("MQTT", MQTT_PATH)])
def test_a_token_is_for_its_kind_of_client(service: Service, client_type: str, path: str) -> None:
    token = service.call("POST", f"{CHAT}/:generateToken?clientType={client_type}").json["token"]
    assert verify_client_token(token, keys=[KEY], path=path, hub="chat").user_id is None


@pytest.mark.parametrize("query", ["clientType=SocketIO", "minutesToExpire=0", "minutesToExpire=x", "group=%20"])
def test_a_token_that_can_not_be_is_400(service: Service, query: str) -> None:
    assert_error(service.call("POST", f"{CHAT}/:generateToken?{query}"), 400, "BadRequest", "")


# Anything.


@pytest.fixture(scope="module")
def shared_service() -> Iterator[Service]:
    service = Service()
    service.connect("c1", "u1", "a")
    yield service
    service.stop()


_WORDS = ["hubs", "chat", "groups", "a", "users", "u1", "connections", "c1", "permissions", "sendToGroup", ":send"]
_ODDITIES = [":closeConnections", ":addToGroups", ":generateToken", "%2F", "%", "%zz", "%ff", ".", "..", "é", "{}", ""]
_SEGMENTS = st.lists(st.sampled_from(_WORDS + _ODDITIES), max_size=7)
_QUERY = st.text("abcdef=&%20'(),;\"é<>?/\\:{}", max_size=30) | st.sampled_from(
    ["filter=", "filter=%FF", "excluded", "top=1", "messageTtlSeconds=%00", "targetName=%20", "continuationToken=AAAA"]
)


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    segments=_SEGMENTS,
    query=_QUERY,
    body=st.binary(max_size=40) | st.just(b'{"groups": ["a"]}'),
    content_type=st.sampled_from(["text/plain", "application/json", "text/plain; charset=", "é", ";", "a/b;c=\x01"]),
    token=st.none() | st.text("ey.J0-_={} ", min_size=1),
)
def test_no_call_ends_in_an_unhandled_exception(
    shared_service: Service,
    method: str,
    segments: list[str],
    query: str,
    body: bytes,
    content_type: str,
    token: str | None,
) -> None:
    target = quote("/api/" + "/".join(segments) + f"?{query}", safe="/:?&=%'(),;<>{}\\\"")
    assert shared_service.call(method, target, body, content_type, token=token).status < 500


def test_ten_thousand_random_calls_end_in_no_unhandled_exception(
    shared_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR")
    chance = random.Random(20)
    operations = [(method, target.partition("?")[0]) for method, target, _, _ in TABLE]
    queries = [
        "",
        "filter=",
        "filter=true",
        "filter=%00(",
        "excluded",
        "top=1",
        "top=%C3",
        "messageTtlSeconds=-",
        "a=%FF&b",
    ]
    queries += [
        "targetName=",
        "targetName=a",
        "continuationToken=AA==",
        "maxpagesize=9",
        "minutesToExpire=1e9",
        "role=x",
    ]
    names = ["a", "c1", "u1", "nobody", "%2F", "%25", "%C3%A9", "%ff", "%20", "a" * 1025, ":send", "{}", "'"]
    bodies = [b"", b"hi", b'{"groups": ["a"]}', b'{"groups": [{}]}', b"\xff", b"[1e999]"]
    connection = http.client.HTTPConnection("127.0.0.1", shared_service.port, timeout=10)
    seen = set()
    for _ in range(10_000):
        method, path = chance.choice(operations)
        parts = [chance.choice(names) if part in ("a", "b", "c1", "u1") else part for part in path.split("/")]
        target = f"{'/'.join(parts)}?{chance.choice(queries)}&{chance.choice(queries)}"
        token = jwt.encode({"aud": shared_service.url + target, "exp": time.time() + 60}, KEY)
        content_type = chance.choice(["text/plain", "application/json", "application/json;charset=utf-7", "image/png"])
        headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
        connection.request(method, target, chance.choice(bodies), headers)
        answer = connection.getresponse()
        answer.read()
        seen.add(answer.status)
    connection.close()
    assert seen == {200, 202, 204, 400, 404, 415}
