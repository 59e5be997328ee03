"""How a handler's arguments are bound, and what is refused when it is registered."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Annotated, Any, BinaryIO, Optional, Union

import pytest

from flask_webpubsub import (
    ConnectedEventRequest,
    ConnectEventRequest,
    DisconnectedEventRequest,
    EventErrorResponse,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    MqttConnectedEventRequest,
    MqttConnectEventRequest,
    MqttConnectProperties,
    MqttDisconnectedEventRequest,
    MqttDisconnectedProperties,
    MqttProtocolVersion,
    MqttUserEventRequest,
    MqttUserProperty,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    WebPubSubClientCertificate,
    WebPubSubConnectionContext,
    WebPubSubDataType,
    WebPubSubEventRequest,
)
from flask_webpubsub.testing import WebPubSubTestClient

if TYPE_CHECKING:
    from decimal import Decimal  # as an app may import what only type checkers need

pytestmark = pytest.mark.both_doors

Handler = Callable[..., Any]
MQTT = MqttConnectProperties(protocol_version=MqttProtocolVersion.V500, username="ada")


class Seen:
    """Remembers what a handler was called with."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __call__(self, **values: Any) -> None:
        self.values = values


@pytest.fixture
def seen() -> Seen:
    return Seen()


# What each event has.

COMMON = {"connection_context", "connection_id", "event_name", "hub", "request", "states", "user_id"}
NAMES: dict[str, set[str]] = {
    "on_connect": COMMON | {"claims", "client_certificates", "headers", "mqtt", "query", "subprotocols"},
    "on_connected": COMMON,
    "on_message": COMMON | {"data", "data_type", "metadata", "user_properties"},
    "on_disconnected": COMMON | {"mqtt", "reason"},
    "on_group_joined": COMMON | {"group"},
    "on_group_left": COMMON | {"group"},
}
ALL_NAMES = sorted(set().union(*NAMES.values()))


def function_of(*parameters: str) -> Handler:
    """A function with these parameters."""
    namespace: dict[str, Any] = {}
    exec(f"def handler({', '.join(parameters)}): return locals()", namespace)
    made: Handler = namespace["handler"]
    return made


@pytest.mark.parametrize("decorator", NAMES)
@pytest.mark.parametrize("name", ALL_NAMES)
def test_a_name_is_taken_where_the_event_has_it(wps: WebPubSub, decorator: str, name: str) -> None:
    register = getattr(wps, decorator)
    if name in NAMES[decorator]:
        register(function_of(name))
    else:
        with pytest.raises(TypeError, match=f"takes '{name}', which .* does not have") as caught:
            register(function_of(name))
        assert str(caught.value).endswith(f"It has: {', '.join(sorted(NAMES[decorator]))}.")


def test_an_unknown_name_is_refused_with_the_list_of_what_is_there(wps: WebPubSub) -> None:
    with pytest.raises(TypeError, match=r"handler\(\) takes 'message', which the user event 'typing'") as caught:
        wps.on_user_event("typing")(function_of("data", "message"))
    assert "It has: connection_context, connection_id, data, data_type, event_name, hub," in str(caught.value)


def test_an_unknown_system_event_has_the_context_alone(wps: WebPubSub) -> None:
    register = wps.trigger("renamed", event_type="system")
    with pytest.raises(TypeError, match=f"It has: {', '.join(sorted(COMMON))}"):
        register(function_of("data"))
    register(function_of(*COMMON))


def test_the_arguments_of_connect(wps: WebPubSub, client: WebPubSubTestClient, seen: Seen) -> None:
    @wps.on_connect
    def connect(
        request: Any,
        connection_context: Any,
        states: Any,
        user_id: Any,
        connection_id: Any,
        hub: Any,
        event_name: Any,
        claims: Any,
        query: Any,
        headers: Any,
        subprotocols: Any,
        client_certificates: Any,
        mqtt: Any,
    ) -> None:
        seen(**locals())

    certificate = WebPubSubClientCertificate(thumbprint="ab12")
    client.connect(
        "ada",
        query={"room": "lobby"},
        claims={"role": ["a", "b"]},
        headers={"X-Device": "phone"},
        subprotocols=["one", "two"],
        client_certificates=[certificate],
        connection_id="c1",
    )

    values = {name: value for name, value in seen.values.items() if name != "seen"}
    request, context = values.pop("request"), values.pop("connection_context")
    assert type(request) is ConnectEventRequest
    assert type(context) is WebPubSubConnectionContext
    assert request.connection_context is context
    assert context.time is not None
    assert abs((datetime.now(UTC) - context.time).total_seconds()) < 60
    assert values == {
        "states": {},
        "user_id": "ada",
        "connection_id": "c1",
        "hub": "chat",
        "event_name": "connect",
        "claims": {"sub": ["ada"], "role": ["a", "b"]},
        "query": {"room": ["lobby"]},
        "headers": {"X-Device": ["phone"]},
        "subprotocols": ["one", "two"],
        "client_certificates": [certificate],
        "mqtt": None,
    }


def test_the_arguments_of_a_message(wps: WebPubSub, client: WebPubSubTestClient, seen: Seen) -> None:
    @wps.on_message
    def message(data: Any, data_type: Any, metadata: Any, user_properties: Any, user_id: Any, states: Any) -> None:
        seen(
            data=data,
            data_type=data_type,
            metadata=metadata,
            user_properties=user_properties,
            user_id=user_id,
            states=dict(states),
        )

    client.connect().send_text("hi", metadata={"trace": "1"})

    assert seen.values == {
        "data": "hi",
        "data_type": WebPubSubDataType.TEXT,
        "metadata": {"trace": "1"},
        "user_properties": None,
        "user_id": None,
        "states": {},
    }
    assert seen.values["data_type"] == "text"


def test_the_arguments_of_the_other_events(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    seen: list[tuple[str, Any]] = []

    @wps.on_group_joined
    @wps.on_group_left
    def group_changed(event_name: str, group: str) -> None:
        seen.append((event_name, group))

    @wps.on_disconnected
    def disconnected(reason: str | None, mqtt: Any) -> None:
        seen.append((reason or "", mqtt))

    connection = client.connect()
    connection.join("lobby")
    connection.leave("lobby")
    connection.disconnect("bye")

    assert seen == [("joined", "lobby"), ("left", "lobby"), ("bye", None)]


def test_what_only_mqtt_has_is_there_for_mqtt_clients(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    seen: list[Any] = []

    @wps.on_connect
    def connect(mqtt: MqttConnectProperties | None) -> None:
        seen.append(mqtt)

    @wps.on_message
    def message(user_properties: list[MqttUserProperty] | None) -> None:
        seen.append(user_properties)

    @wps.on_disconnected
    def disconnected(mqtt: MqttDisconnectedProperties | None) -> None:
        seen.append(mqtt)

    connection = client.connect(mqtt=MQTT)
    connection.send_text("hi", user_properties=[MqttUserProperty("a", "1")])
    connection.disconnect()

    assert seen == [MQTT, [MqttUserProperty("a", "1")], MqttDisconnectedProperties(initiated_by_client=True)]


# Kinds of parameters.


def test_a_positional_only_parameter_is_refused(wps: WebPubSub) -> None:
    with pytest.raises(TypeError, match="takes 'data' by position: arguments are given by name"):
        wps.on_message(function_of("data", "/"))
    with pytest.raises(TypeError, match="takes 'other' by position"):
        wps.on_message(function_of("other=1", "/"))


def test_keyword_only_parameters_are_bound(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(*, data: str, hub: str) -> str:
        return f"{data} in {hub}"

    assert client.connect().send_text("hi") == UserEventResponse("hi in chat")


def test_a_default_serves_what_the_event_lacks(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(data: str = "default", reason: str = "none", retries: int = 3) -> str:
        return f"{data} {reason} {retries}"

    assert client.connect().send_text("hi") == UserEventResponse("hi none 3")


def test_variable_parameters_get_nothing(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(*args: Any, data: str, **kwargs: Any) -> str:
        return f"{args} {data} {kwargs}"

    assert client.connect().send_text("hi") == UserEventResponse("() hi {}")


def test_a_handler_may_take_nothing(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message() -> str:
        return "ack"

    assert client.connect().send_text("hi") == UserEventResponse("ack")


# Request classes, by type.


def by_type(annotation: Any) -> Handler:
    """A function that takes a parameter of a type, and tells what it was given."""

    def typed(event: Any) -> str:
        return type(event).__name__

    typed.__annotations__ = {"event": annotation}
    return typed


REQUESTS: dict[str, tuple[type[WebPubSubEventRequest], type[WebPubSubEventRequest]]] = {
    "on_connect": (ConnectEventRequest, MqttConnectEventRequest),
    "on_connected": (ConnectedEventRequest, MqttConnectedEventRequest),
    "on_message": (UserEventRequest, MqttUserEventRequest),
    "on_disconnected": (DisconnectedEventRequest, MqttDisconnectedEventRequest),
    "on_group_joined": (GroupJoinedEventRequest, GroupJoinedEventRequest),
    "on_group_left": (GroupLeftEventRequest, GroupLeftEventRequest),
}
REQUEST_CLASSES = sorted({cls for both in REQUESTS.values() for cls in both}, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("decorator", REQUESTS)
@pytest.mark.parametrize("cls", REQUEST_CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("protocols", ["all", "webPubSub", "mqtt"])
def test_a_request_class_is_taken_where_the_event_can_be_one(
    wps: WebPubSub, decorator: str, cls: type[WebPubSubEventRequest], protocols: str
) -> None:
    plain, mqtt = REQUESTS[decorator]
    given = {"all": (plain, mqtt), "webPubSub": (plain,), "mqtt": (mqtt,)}[protocols]
    register = getattr(wps, decorator)(client_protocols=protocols)

    if any(issubclass(one, cls) for one in given):
        register(by_type(cls))
    else:
        with pytest.raises(TypeError, match=f"takes a {cls.__name__}, which .* never is: it is a {given[0].__name__}"):
            register(by_type(cls))


def test_the_base_class_is_any_event(wps: WebPubSub) -> None:
    for decorator in REQUESTS:
        getattr(wps, decorator)(by_type(WebPubSubEventRequest))
    wps.trigger("renamed", event_type="system")(by_type(WebPubSubEventRequest))


ANNOTATIONS: dict[str, Any] = {
    "the class": UserEventRequest,
    "a base": WebPubSubEventRequest,
    "in quotes": "UserEventRequest",
    "or None": UserEventRequest | None,
    "or None in quotes": "UserEventRequest | None",
    "Optional": Optional[UserEventRequest],  # noqa: UP045
    "a union": UserEventRequest | ConnectEventRequest,
    "Union": Union[ConnectEventRequest, UserEventRequest],  # noqa: UP007
    "Annotated": Annotated[UserEventRequest, "what the client sent"],
    "Annotated in quotes": "Annotated[UserEventRequest, 'what the client sent']",
    "Annotated in a union": Annotated[UserEventRequest, 1] | None,
}


@pytest.mark.parametrize("annotation", ANNOTATIONS.values(), ids=ANNOTATIONS)
def test_a_request_is_bound_by_type_whatever_its_name(
    wps: WebPubSub, client: WebPubSubTestClient, annotation: Any
) -> None:
    wps.on_message(by_type(annotation))

    assert client.connect().send_text("hi") == UserEventResponse("UserEventRequest")


def test_a_type_goes_before_a_name(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(data: UserEventRequest) -> str:
        return type(data).__name__

    assert client.connect().send_text("hi") == UserEventResponse("UserEventRequest")


def test_mqtt_clients_give_the_mqtt_class(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(event: UserEventRequest) -> str:
        return type(event).__name__

    assert client.connect(mqtt=MQTT).send_text("hi") == UserEventResponse("MqttUserEventRequest")


# Annotations that can not be evaluated.


def test_an_import_for_type_checkers_counts_as_absent(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(data: Decimal, event: UserEventRequest, data_type: NoSuchName) -> str:  # type: ignore[name-defined]  # noqa: F821
        return f"{data} {type(event).__name__} {data_type}"

    assert client.connect().send_text("hi") == UserEventResponse("hi UserEventRequest text")


def test_an_unknown_name_with_an_annotation_that_can_not_be_evaluated_is_refused(wps: WebPubSub) -> None:
    with pytest.raises(TypeError, match="takes 'amount'"):

        @wps.on_message
        def message(amount: Decimal) -> None: ...


@pytest.mark.parametrize("annotation", ["1 / 0", "a b", "(", "data.upper()", 5, "5", [str], lambda: None], ids=repr)
def test_a_strange_annotation_counts_as_absent(wps: WebPubSub, client: WebPubSubTestClient, annotation: Any) -> None:
    def message(data: Any) -> Any:
        return data

    message.__annotations__ = {"data": annotation}
    wps.on_message(message)

    assert client.connect().send_text("hi") == UserEventResponse("hi")


# Callables of other kinds.


def test_a_function_under_functools_wraps_is_bound_by_its_own_names(
    wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    def logged(function: Handler) -> Handler:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return f"logged {function(*args, **kwargs)}"

        return wrapper

    @wps.on_message
    @logged
    def message(event: UserEventRequest, data: bytes) -> str:
        return f"{type(event).__name__} {data!r}"

    assert client.connect().send_text("hi") == UserEventResponse("logged UserEventRequest b'hi'")


def greet(greeting: str, event: UserEventRequest, data: bytes) -> str:
    return f"{greeting} {type(event).__name__} {data!r}"


PARTIALS = {
    "by position": functools.partial(greet, "hello"),
    "by name": functools.partial(greet, greeting="hello"),
    "of a partial": functools.partial(functools.partial(greet), "hello"),
}


@pytest.mark.parametrize("function", PARTIALS.values(), ids=PARTIALS)
def test_a_partial_is_bound_by_what_is_left(wps: WebPubSub, client: WebPubSubTestClient, function: Handler) -> None:
    wps.on_message(function)

    assert client.connect().send_text("hi") == UserEventResponse("hello UserEventRequest b'hi'")


class Greeter:
    """A handler that is an object."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def __call__(self, event: UserEventRequest, data: bytes) -> str:
        return greet(self.greeting, event, data)

    def greet(self, event: UserEventRequest, data: bytes) -> str:
        return self(event, data)

    @classmethod
    def greet_as_class(cls, event: UserEventRequest, data: bytes) -> str:
        return greet("hello", event, data)

    @staticmethod
    def greet_statically(event: UserEventRequest, data: bytes) -> str:
        return greet("hello", event, data)


OBJECTS: dict[str, Handler] = {
    "an object": Greeter("hello"),
    "a method": Greeter("hello").greet,
    "a class method": Greeter.greet_as_class,
    "a static method": Greeter.greet_statically,
    "a partial of an object": functools.partial(Greeter("hello")),
    "a lambda": lambda data: f"hello UserEventRequest {data.encode()!r}",
}


@pytest.mark.parametrize("function", OBJECTS.values(), ids=OBJECTS)
def test_an_object_that_can_be_called_is_a_handler(
    wps: WebPubSub, client: WebPubSubTestClient, function: Handler
) -> None:
    assert wps.on_message(function) is function
    assert client.connect().send_text("hi") == UserEventResponse("hello UserEventRequest b'hi'")


def test_an_object_is_named_by_its_class_in_messages(wps: WebPubSub) -> None:
    with pytest.raises(TypeError, match=r"^Greeter\(\) takes a UserEventRequest"):
        wps.on_connect(Greeter("hello"))


# The data, in the form that the handler asks for.

FORMS: dict[str, tuple[Any, Any]] = {
    "str": (str, lambda raw: raw.decode()),
    "str or None": (str | None, lambda raw: raw.decode()),
    "str in quotes": ("str", lambda raw: raw.decode()),
    "Annotated str": (Annotated[str, "text"], lambda raw: raw.decode()),
    "bytes": (bytes, lambda raw: raw),
    "bytes or None": (bytes | None, lambda raw: raw),
}
SENT: dict[str, tuple[str, Any, bytes]] = {
    "text": ("send_text", "hé", "hé".encode()),
    "JSON": ("send_json", {"a": [1]}, b'{"a":[1]}'),
    "a JSON string": ("send_json", "hi", b'"hi"'),
    "JSON null": ("send_json", None, b"null"),
    "binary": ("send_bytes", b"raw", b"raw"),
    "nothing": ("send_text", "", b""),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sent", SENT)
def test_data_has_the_form_that_is_asked_for(
    wps: WebPubSub, client: WebPubSubTestClient, seen: Seen, form: str, sent: str
) -> None:
    def message(data: Any) -> None:
        seen(data=data)

    annotation, expected = FORMS[form]
    message.__annotations__ = {"data": annotation}
    wps.on_message(message)
    method, value, raw = SENT[sent]
    getattr(client.connect(), method)(value)

    assert seen.values == {"data": expected(raw)}


@pytest.mark.parametrize("annotation", [BinaryIO, IO[bytes], io.BytesIO, BinaryIO | None], ids=str)
@pytest.mark.parametrize("sent", SENT)
def test_data_is_a_stream_for_who_asks_for_one(
    wps: WebPubSub, client: WebPubSubTestClient, seen: Seen, annotation: Any, sent: str
) -> None:
    def message(data: BinaryIO) -> None:
        seen(data=data.read())

    message.__annotations__ = {"data": annotation}
    wps.on_message(message)
    method, value, raw = SENT[sent]
    getattr(client.connect(), method)(value)

    assert seen.values == {"data": raw}


@pytest.mark.parametrize("annotation", [None, Any, object, str | bytes, dict[str, Any], list, "Decimal"], ids=str)
@pytest.mark.parametrize("sent", SENT)
def test_data_has_its_own_form_for_anybody_else(
    wps: WebPubSub, client: WebPubSubTestClient, seen: Seen, annotation: Any, sent: str
) -> None:
    def message(data: Any) -> None:
        seen(data=data)

    message.__annotations__ = {} if annotation is None else {"data": annotation}
    wps.on_message(message)
    method, value, _ = SENT[sent]
    getattr(client.connect(), method)(value)

    assert seen.values == {"data": value}


@pytest.mark.parametrize("value", [0, False, None, [], {}, "", 0.0], ids=repr)
def test_falsy_json_stays_what_it_is(wps: WebPubSub, client: WebPubSubTestClient, seen: Seen, value: Any) -> None:
    @wps.on_message
    def message(data: Any) -> None:
        seen(data=data)

    client.connect().send_json(value)

    assert repr(seen.values["data"]) == repr(value)


def test_bytes_that_are_no_text_are_400_for_who_asks_for_text(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    called = False

    @wps.on_message
    def message(data: str) -> None:
        nonlocal called
        called = True

    assert client.connect().send_bytes(b"\xff") == EventErrorResponse("userError", "Bad Request")
    assert not called


def test_a_request_has_the_bytes_as_they_came(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(request: UserEventRequest) -> bytes:
        return request.get_data()

    answer = client.connect().send_event("message", b'{ "a" : 1 }', content_type="application/json")
    assert answer == UserEventResponse(b'{ "a" : 1 }')


# Errors of the handler's own.


def test_a_type_error_inside_a_handler_is_neither_swallowed_nor_tried_again(
    wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    calls = 0

    @wps.on_message
    def message(data: str) -> None:
        nonlocal calls
        calls += 1
        raise TypeError("message() got an unexpected keyword argument 'data'")

    with pytest.raises(TypeError, match="unexpected keyword argument"):
        client.connect().send_text("hi")
    assert calls == 1


def test_arguments_are_worked_out_once(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message(data: str) -> str:
        return data

    # From now on, nobody looks at the function's annotations again.
    message.__annotations__ = {"data": "1 / 0"}
    message.__signature__ = None  # type: ignore[attr-defined]

    assert client.connect().send_text("hi") == UserEventResponse("hi")
