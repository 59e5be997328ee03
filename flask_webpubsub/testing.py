"""A test client that talks to an app as the service does, over WSGI."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from threading import Event
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from uuid import uuid4

from werkzeug.test import Client

from .access import parse_connection_string, split_origins
from .codec import STATE_HEADER, Delivery, Response, decode_response, encode_event, is_mqtt
from .deferred import WAITING_KEY
from .enums import WebPubSubDataType, WebPubSubEventType
from .events import (
    ConnectEventRequest,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    MqttConnectEventRequest,
    MqttConnectionContext,
    MqttUserEventRequest,
    UserEventRequest,
    WebPubSubClientCertificate,
    WebPubSubConnectionContext,
    WebPubSubEventRequest,
    request_classes,
)
from .messages import Answer, from_wsgi, to_wsgi
from .mqtt import MqttConnectProperties, MqttDisconnectedProperties, MqttUserProperty
from .responses import ConnectEventResponse, guess_data_type
from .signature import sign_connection
from .states import decode_states

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: The events other than messages that a service can be set to send.
SYSTEM_EVENTS = ("connect", "connected", "disconnected", "joined", "left")

#: The subprotocols that the service speaks itself: it picks one of them where the app picks none.
SERVICE_SUBPROTOCOLS = (
    "json.webpubsub.azure.v1",
    "json.reliable.webpubsub.azure.v1",
    "protobuf.webpubsub.azure.v1",
    "protobuf.reliable.webpubsub.azure.v1",
)

Values = Mapping[str, str | Sequence[str]]

_DEFERRED_SECONDS = 60


class MessageOptions(TypedDict, total=False):
    """What a message may have beside its data; see :meth:`Connection.send_event`."""

    metadata: Mapping[str, str]
    content_type: str
    user_properties: Collection[MqttUserProperty]


class WebPubSubTestClient:
    """Sends events to an app as the service does: signed, numbered, with the states and cookies of each connection.

    :param wsgi_app: the app to talk to; it need not be a Flask app.
    :param connection_string: of the service to play, or of several; ``None`` sends events without a signature.
    :param hub: the hub of the connections.
    :param path: where the app's webhook is.
    :param base_url: where the app is: its host, as ``TRUSTED_HOSTS`` may want it, and the path that it is mounted at.
    :param access_code: the value of ``code`` in the webhook's URL.
    :param keys: the keys to sign with, instead of those of the connection string. An empty list sends no signature.
    :param origins: the hosts that the service calls itself, instead of those of the connection string.
    :param system_events: those that the service is set to send. Without ``connect``, every client is let in.
    :param raise_exceptions: whether an exception of the app comes out of the client, or is a 500.

    All of these are attributes too, and may be changed between events.
    """

    __test__ = False  # for pytest, which takes what is called Test for tests

    def __init__(
        self,
        wsgi_app: WSGIApplication,
        *,
        connection_string: str | Sequence[str] | None,
        hub: str,
        path: str = "/runtime/webhooks/webpubsub",
        base_url: str = "http://localhost",
        access_code: str | None = None,
        keys: Sequence[str] | None = None,
        origins: Sequence[str] | None = None,
        system_events: Container[str] = SYSTEM_EVENTS,
        raise_exceptions: bool = True,
    ) -> None:
        strings = [connection_string] if isinstance(connection_string, str) else connection_string or []
        accesses = [parse_connection_string(text) for text in strings]
        self.wsgi_app = wsgi_app
        self.hub = hub
        self.path = path
        self.base_url = base_url
        self.access_code = access_code
        self.keys = [access.key.decode() for access in accesses if access.key is not None] if keys is None else keys
        self.origins = ([access.host for access in accesses] or ["localhost"]) if origins is None else origins
        self.system_events = system_events
        self.raise_exceptions = raise_exceptions

    @property
    def origin(self) -> str:
        """The ``WebHook-Request-Origin`` header."""
        return ",".join(self.origins)

    def validate(self) -> bool:
        """Ask whether events may be sent to the app, as the service does before its first event."""
        request = Delivery([("WebHook-Request-Origin", self.origin), ("ce-awpsversion", "1.0")], b"")
        answer = self.call("OPTIONS", request)
        if answer.status == 404:
            answer = self.call("GET", request)
        allowed = split_origins(answer.header("WebHook-Allowed-Origin") or "")
        return 200 <= answer.status <= 299 and not {"*", *map(str.lower, self.origins)}.isdisjoint(allowed)

    def connect(
        self,
        user_id: str | None = None,
        *,
        query: Values | None = None,
        claims: Values | None = None,
        headers: Values | None = None,
        subprotocols: Sequence[str] = (),
        client_certificates: Sequence[WebPubSubClientCertificate] = (),
        mqtt: MqttConnectProperties | None = None,
        connection_id: str | None = None,
    ) -> Connection:
        """Connect a client: ask the app, and tell it that the client is connected if it may.

        :param user_id: the user in the client's token, also put into the claims as ``sub``.
        :param query: the query of the client's URL; a value is a string or a list of them, here and below.
        :param claims: the claims of the client's token.
        :param headers: the headers of the client's handshake.
        :param subprotocols: those that the client offers; the connection has the one that the app picks, else the first
            that the service speaks itself.
        :param mqtt: what an MQTT client says when it connects; without it, the client is a plain one.
        :param connection_id: for MQTT, the client id; without it, a fresh one.
        """
        connection = Connection(self, connection_id or uuid4().hex, user_id, mqtt, subprotocols)
        if "connect" in self.system_events:
            connection._ask(
                {
                    "claims": _lists({} if user_id is None else {"sub": user_id}) | _lists(claims),
                    "query": _lists(query),
                    "headers": _lists(headers),
                    "subprotocols": connection._offered,
                    "client_certificates": list(client_certificates),
                }
            )
        connection._begin()
        return connection

    def call(self, method: str, delivery: Delivery, cookies: Mapping[str, str] | None = None) -> Answer:
        """Send one request to the webhook, just as it is given: for what no service would send.

        It comes back when what the handler deferred is done.
        """
        headers = [(name, to_wsgi(value)) for name, value in delivery.headers]
        if cookies:
            headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
        query = {} if self.access_code is None else {"code": self.access_code}
        http = Client(self.wsgi_app, use_cookies=False)
        deferred: list[Event] = []
        try:
            answer = http.open(
                self.path,
                base_url=self.base_url,
                method=method,
                headers=headers,
                query_string=query,
                data=delivery.body,
                environ_overrides={WAITING_KEY: deferred},
            )
        except Exception:
            if self.raise_exceptions:
                raise
            return Answer(500)
        with answer:
            body = answer.get_data()
        for done in deferred:
            if not done.wait(_DEFERRED_SECONDS):
                raise TimeoutError(f"What a handler deferred is not done after {_DEFERRED_SECONDS} seconds.")
        return Answer(answer.status_code, [(name, from_wsgi(value)) for name, value in answer.headers], body)


class Connection:
    """A client's connection, as the service keeps it. Its methods send events, and return what the app answers.

    An empty answer is ``None``.
    """

    def __init__(
        self,
        client: WebPubSubTestClient,
        connection_id: str,
        user_id: str | None,
        mqtt: MqttConnectProperties | None = None,
        subprotocols: Sequence[str] = (),
    ) -> None:
        self.connection_id = connection_id
        self.user_id = user_id
        self.subprotocol = None if mqtt is None else "mqtt"
        #: The states that the app keeps with the connection.
        self.states: Mapping[str, Any] = {}
        #: The cookies that the app has set.
        self.cookies: dict[str, str] = {}
        #: What the app answered to ``connect``.
        self.response: Response | None = None
        #: Whether the client may connect.
        self.accepted = True
        #: The last answer, as it came over HTTP.
        self.answer = Answer(204)
        self._client = client
        self._mqtt = mqtt
        self._offered = ["mqtt"] if mqtt is not None else list(subprotocols)
        self._physical_connection_id = uuid4().hex
        self._session_id: str | None = None
        self._next_id = 0
        self._last: tuple[WebPubSubEventRequest, Delivery] | None = None

    def send_text(self, text: str, **options: Unpack[MessageOptions]) -> Response | None:
        """Send a text message, user event ``message``; for the options see :meth:`send_event`."""
        return self.send_event("message", text, WebPubSubDataType.TEXT, **options)

    def send_json(self, value: Any, **options: Unpack[MessageOptions]) -> Response | None:
        """Send a JSON message, user event ``message``; for the options see :meth:`send_event`."""
        return self.send_event("message", value, WebPubSubDataType.JSON, **options)

    def send_bytes(self, data: bytes, **options: Unpack[MessageOptions]) -> Response | None:
        """Send a binary message, user event ``message``; for the options see :meth:`send_event`."""
        return self.send_event("message", data, WebPubSubDataType.BINARY, **options)

    def send_event(
        self,
        event_name: str,
        data: Any,
        data_type: WebPubSubDataType | str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        user_properties: Collection[MqttUserProperty] = (),
    ) -> Response | None:
        """Send a user event.

        :param data_type: without it, a ``str`` is text, ``bytes`` are binary, and anything else is JSON.
        :param metadata: message metadata (preview).
        :param content_type: instead of the one that the data type has.
        :param user_properties: of an MQTT client's message.
        """
        fields: dict[str, Any] = {
            "data": data,
            "data_type": guess_data_type(data) if data_type is None else WebPubSubDataType(data_type),
            "content_type": content_type,
            "metadata": metadata or {},
        }
        context = self._context(WebPubSubEventType.USER, event_name)
        if self._mqtt is None:
            return self._deliver(UserEventRequest(connection_context=context, **fields))
        return self._deliver(
            MqttUserEventRequest(connection_context=context, user_properties=list(user_properties), **fields)
        )

    def join(self, group: str) -> Response | None:
        """Tell the app that the connection joined a group (preview)."""
        context = self._context(WebPubSubEventType.PRESENCE, "joined")
        return self._deliver(GroupJoinedEventRequest(connection_context=context, group=group))

    def leave(self, group: str) -> Response | None:
        """Tell the app that the connection left a group (preview)."""
        context = self._context(WebPubSubEventType.PRESENCE, "left")
        return self._deliver(GroupLeftEventRequest(connection_context=context, group=group))

    def disconnect(
        self, reason: str | None = None, *, mqtt: MqttDisconnectedProperties | None = None
    ) -> Response | None:
        """End the connection, and tell the app.

        :param mqtt: how an MQTT session ended; without it, the client ended it.
        """
        fields: dict[str, Any] = {"reason": reason}
        if self._mqtt is not None:
            fields["mqtt"] = mqtt or MqttDisconnectedProperties(initiated_by_client=True)
        return self._notify("disconnected", fields)

    def retry(self) -> Response | None:
        """Deliver the last event again, as the service does when it got no answer: the same event with the same id.

        A client that was refused, and is let in by that, is connected as after the first time.

        :raises RuntimeError: if there was no event.
        """
        if self._last is None:
            raise RuntimeError("There was no event that could be delivered again.")
        request, delivery = self._last
        response = self._post(request, delivery)
        if isinstance(request, ConnectEventRequest):
            refused = not self.accepted
            self._settle(response)
            if refused:
                self._begin()
        return response

    def _ask(self, fields: dict[str, Any]) -> None:
        context = self._context(WebPubSubEventType.SYSTEM, "connect")
        if self._mqtt is None:
            request = ConnectEventRequest(connection_context=context, **fields)
        else:
            request = MqttConnectEventRequest(connection_context=context, mqtt=self._mqtt, **fields)
        self._settle(self._deliver(request))

    def _settle(self, response: Response | None) -> None:
        """Take what the app answered to ``connect``."""
        self.response = response
        self.accepted = 200 <= self.answer.status <= 299
        if self.accepted and isinstance(response, ConnectEventResponse):
            if isinstance(response.user_id, str):
                self.user_id = response.user_id or None
            if isinstance(response.subprotocol, str):
                self.subprotocol = response.subprotocol or self.subprotocol

    def _begin(self) -> None:
        if not self.accepted:
            return
        if self._mqtt is not None:
            self._session_id = uuid4().hex
        elif self.subprotocol is None:
            self.subprotocol = next((name for name in self._offered if name in SERVICE_SUBPROTOCOLS), None)
        self._notify("connected", {})

    def _notify(self, event_name: str, fields: dict[str, Any]) -> Response | None:
        context = self._context(WebPubSubEventType.SYSTEM, event_name)
        if event_name not in self._client.system_events:
            return None
        request_class = request_classes(WebPubSubEventType.SYSTEM, event_name)[is_mqtt(context)]
        return self._deliver(request_class(connection_context=context, **fields))

    def _context(self, event_type: WebPubSubEventType, event_name: str) -> WebPubSubConnectionContext:
        if not self.accepted:
            raise RuntimeError(f"The connection was refused, with {self.response!r}: it sends nothing.")
        client = self._client
        fields: dict[str, Any] = {
            "event_type": event_type,
            "event_name": event_name,
            "hub": client.hub,
            "connection_id": self.connection_id,
            "user_id": self.user_id,
            "subprotocol": self.subprotocol,
            "signature": sign_connection(self.connection_id, [key.encode() for key in client.keys]) or None,
            "origin": client.origin,
            "states": self.states,
            "event_id": str(self._next_id),
            "time": datetime.now(UTC).replace(microsecond=0),
        }
        if self._mqtt is None:
            return WebPubSubConnectionContext(**fields)
        return MqttConnectionContext(
            physical_connection_id=self._physical_connection_id, session_id=self._session_id, **fields
        )

    def _deliver(self, request: WebPubSubEventRequest) -> Response | None:
        delivery = encode_event(request)
        self._next_id += 1
        self._last = request, delivery
        return self._post(request, delivery)

    def _post(self, request: WebPubSubEventRequest, delivery: Delivery) -> Response | None:
        self.answer = self._client.call("POST", delivery, self.cookies)
        response = decode_response(self.answer, request)
        if 200 <= self.answer.status <= 299:
            self._keep_cookies()
            if isinstance(request, ConnectEventRequest | UserEventRequest):
                self._keep_states()
        return None if self.answer.status == 204 else response

    def _keep_states(self) -> None:
        header = self.answer.header(STATE_HEADER)
        if header is not None:
            self.states = decode_states(header)

    def _keep_cookies(self) -> None:
        for name, value in self.answer.headers:
            if name.lower() == "set-cookie":
                for cookie in SimpleCookie(value).values():
                    self.cookies.pop(cookie.key, None)
                    if cookie["max-age"] != "0":  # which is how Flask deletes one
                        self.cookies[cookie.key] = cookie.coded_value


def _lists(values: Values | None) -> dict[str, list[str]]:
    return {name: [value] if isinstance(value, str) else list(value) for name, value in (values or {}).items()}
