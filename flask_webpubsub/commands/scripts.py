"""Sends the events of one client as a script says, and keeps each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from ..codec import Delivery
from ..enums import WebPubSubDataType, WebPubSubEventType
from ..events import UserEventRequest, WebPubSubConnectionContext, WebPubSubEventRequest, request_classes
from ..messages import Answer
from ..mqtt import MqttConnectProperties, MqttUserProperty
from ..testing import WebPubSubTestClient


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a client does.

    :param event: a system or presence event in lower case, or the name of a message.
    :param is_message: whether it is a message.
    :param connect_first: whether the app is asked to let the client in before anything else.
    :param states: those that the connection has, beside those that the app sets.
    """

    event: str
    is_message: bool
    data: Any = ""
    data_type: WebPubSubDataType = WebPubSubDataType.TEXT
    connect_first: bool = False
    user_id: str | None = None
    states: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Sequence[str]] = field(default_factory=dict)
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()
    group: str = ""
    reason: str | None = None
    mqtt: MqttConnectProperties | None = None
    properties: Sequence[MqttUserProperty] = ()


@dataclass(frozen=True)
class Call:
    """One event that was sent, its answer, and the seconds that it took."""

    event: str
    connection_id: str
    signature: str = field(repr=False)
    answer: Answer
    seconds: float


class RecordingClient(WebPubSubTestClient):
    """A test client that keeps what it sent and what came back."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.calls: list[Call] = []

    def call(self, method: str, delivery: Delivery, cookies: Mapping[str, str] | None = None) -> Answer:
        headers = dict(delivery.headers)
        begin = perf_counter()
        answer = super().call(method, delivery, cookies)
        seconds = perf_counter() - begin
        event, connection_id = headers.get("ce-eventName", ""), headers.get("ce-connectionId", "")
        self.calls.append(Call(event, connection_id, headers.get("ce-signature", ""), answer, seconds))
        return answer


def play(client: WebPubSubTestClient, script: Script) -> None:
    """Send the events of a script, over a fresh connection. After a refused connect, nothing more is sent.

    :raises InvalidAnswerError: if the service could not read an answer.
    :raises ValueError: if the script holds what no event can have.
    """
    system_event = "" if script.is_message else script.event
    client.system_events = {name for name in ("connect", "connected") if name == system_event}
    if script.connect_first:
        client.system_events |= {"connect"}
    connection = client.connect(
        script.user_id,
        query=script.query,
        claims=script.claims,
        headers=script.headers,
        subprotocols=script.subprotocols,
        mqtt=script.mqtt,
    )
    if not connection.accepted:
        return
    connection.states = {**connection.states, **script.states}
    match system_event:
        case "":
            connection.send_event(script.event, script.data, script.data_type, user_properties=script.properties)
        case "joined":
            connection.join(script.group)
        case "left":
            connection.leave(script.group)
        case "disconnected":
            client.system_events = {"disconnected"}
            connection.disconnect(script.reason)


def make_request(hub: str, call: Call, script: Script) -> WebPubSubEventRequest:
    """The event of a call, as far as it matters for what its answer means."""
    kind = WebPubSubEventType.SYSTEM
    if call.event == script.event and script.is_message:
        kind = WebPubSubEventType.USER
    elif call.event in ("joined", "left"):
        kind = WebPubSubEventType.PRESENCE
    context = WebPubSubConnectionContext(event_type=kind, event_name=call.event, hub=hub, connection_id="")
    if kind is WebPubSubEventType.USER:
        return UserEventRequest(connection_context=context, data=None, data_type=script.data_type)
    if call.event in ("joined", "left"):
        return WebPubSubEventRequest(connection_context=context)
    return request_classes(kind, call.event)[0](connection_context=context)
