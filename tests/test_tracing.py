"""What an app with OpenTelemetry sees of an event on its span, and that no other app has anything of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import flask_webpubsub
from flask_webpubsub import EventError, WebPubSub, event_handled
from flask_webpubsub.mqtt import MqttConnectProperties, MqttProtocolVersion
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING, KEY
from tests.test_dispatch import ack, call, make_event

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import cloudevents_attributes, messaging_attributes

pytestmark = pytest.mark.both_doors


class Spans:
    """An app whose every request has a span, as OpenTelemetry's own instrumentation of WSGI gives it one."""

    def __init__(self, app: Flask) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._tracer = provider.get_tracer(__name__)
        self._wsgi_app = app.wsgi_app
        app.wsgi_app = self  # type: ignore[method-assign]

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self._tracer.start_as_current_span("POST"):
            return self._wsgi_app(environ, start_response)

    @property
    def finished(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    @property
    def attributes(self) -> dict[str, Any]:
        """Those of the only span."""
        (span,) = self.finished
        return dict(span.attributes or {})


@pytest.fixture
def spans(wps: WebPubSub, app: Flask) -> Spans:
    return Spans(app)


def test_the_span_of_an_event_says_which_event_it_was(wps: WebPubSub, app: Flask, spans: Spans) -> None:
    wps.on_message(ack)

    headers = {
        "ce-source": "/hubs/chat/client/c1",
        "ce-specversion": "1.0",
        "ce-userId": "ada",
        "x-ms-client-request-id": "4f3a",
    }
    assert call(app, make_event(headers={**headers})).status == 200
    assert spans.attributes == {
        "cloudevents.event_id": "1",
        "cloudevents.event_source": "/hubs/chat/client/c1",
        "cloudevents.event_spec_version": "1.0",
        "cloudevents.event_type": "azure.webpubsub.user.message",
        "messaging.system": "webpubsub",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "chat",
        "messaging.client.id": "c1",
        "messaging.message.conversation_id": "4f3a",
    }


def test_the_attributes_are_those_of_the_semantic_conventions(wps: WebPubSub, app: Flask, spans: Spans) -> None:
    wps.on_message(ack)

    call(app, make_event(headers={"ce-source": "/", "ce-specversion": "1.0", "x-ms-client-request-id": "a"}))
    known = {
        value
        for module in (cloudevents_attributes, messaging_attributes)
        for name, value in vars(module).items()
        if name.startswith(("CLOUDEVENTS_", "MESSAGING_"))
    }
    assert spans.attributes.keys() <= known
    assert spans.attributes["messaging.operation.type"] in {
        member.value for member in messaging_attributes.MessagingOperationTypeValues
    }


def test_what_the_service_does_not_send_is_left_out(wps: WebPubSub, app: Flask, spans: Spans) -> None:
    wps.on_message(ack)

    call(app, make_event(headers={"ce-id": None}))
    assert spans.attributes.keys() == {
        "cloudevents.event_type",
        "messaging.system",
        "messaging.operation.type",
        "messaging.operation.name",
        "messaging.destination.name",
        "messaging.client.id",
    }


def test_no_secret_no_user_and_no_message_is_in_a_span(app: Flask) -> None:
    app.config["WEBPUBSUB_ACCESS_CODE"] = "the-code"
    wps = WebPubSub(app)
    spans = Spans(app)

    @wps.on_message
    def message() -> str:
        return "the-answer"

    headers: dict[str, str | None] = {"Cookie": "session=the-cookie", "ce-userId": "the-user"}
    event = make_event(body=b"the-message", query="code=the-code", headers=headers)
    assert call(app, event).status == 200
    for value in spans.attributes.values():
        assert "the-" not in value
        assert KEY not in value
        assert event["HTTP_CE_SIGNATURE"].removeprefix("sha256=") not in value


@pytest.mark.parametrize("mqtt", [False, True], ids=["plain", "mqtt"])
def test_every_kind_of_event_is_described(
    wps: WebPubSub, client: WebPubSubTestClient, spans: Spans, mqtt: bool
) -> None:
    wps.on_connect(lambda: None)
    wps.on_connected(lambda: None)
    wps.on_group_joined(lambda: None)
    wps.on_user_event("move")(lambda: None)
    wps.on_disconnected(lambda: None)

    chat = client.connect(mqtt=MqttConnectProperties(protocol_version=MqttProtocolVersion.V500) if mqtt else None)
    chat.join("lobby")
    chat.send_event("move", "go")
    chat.disconnect()

    described = [dict(span.attributes or {}) for span in spans.finished]
    assert [attributes["cloudevents.event_type"] for attributes in described] == [
        "azure.webpubsub.sys.connect",
        "azure.webpubsub.sys.connected",
        "azure.webpubsub.gp.joined",
        "azure.webpubsub.user.move",
        "azure.webpubsub.sys.disconnected",
    ]
    assert [attributes["cloudevents.event_id"] for attributes in described] == ["0", "1", "2", "3", "4"]


def fail() -> None:
    raise LookupError


def refuse() -> None:
    raise EventError("userError", "No.")


@pytest.mark.parametrize("handler", [fail, refuse])
def test_an_event_that_failed_is_described_too(wps: WebPubSub, app: Flask, spans: Spans, handler: Any) -> None:
    app.testing = False
    wps.on_message(handler)

    assert call(app, make_event()).status in {400, 500}
    assert spans.attributes["cloudevents.event_type"] == "azure.webpubsub.user.message"


def test_a_refused_call_says_nothing_of_an_event_that_was_not_checked(wps: WebPubSub, app: Flask, spans: Spans) -> None:
    wps.on_message(ack)

    assert call(app, make_event(key="forged")).status == 401
    assert spans.attributes == {}


def test_a_span_of_the_handler_is_not_mistaken_for_that_of_the_event(wps: WebPubSub, app: Flask, spans: Spans) -> None:
    tracer = spans._tracer

    @wps.on_message
    def message() -> None:
        with tracer.start_as_current_span("inside"):
            pass

    call(app, make_event())
    inside, outside = spans.finished
    assert (inside.name, dict(inside.attributes or {})) == ("inside", {})
    assert (outside.attributes or {})["messaging.destination.name"] == "chat"


def test_an_event_without_a_span_is_handled_as_ever(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_message(lambda: "ack")

    assert not trace.get_current_span().is_recording()
    answer = client.connect().send_text("hi")
    assert answer is not None
    assert answer == flask_webpubsub.UserEventResponse("ack")


def test_each_app_is_described_once(app: Flask) -> None:
    wps = WebPubSub(app)
    wps.on_message(ack)

    for _ in range(3):
        call(app, make_event())
    assert len(list(event_handled.receivers_for(app))) == 1


def test_a_call_that_is_no_event_does_not_start_it(wps: WebPubSub, client: WebPubSubTestClient, app: Flask) -> None:
    assert client.validate()
    assert list(event_handled.receivers_for(app)) == []


@pytest.mark.view_only("a span of Flask's requests")
def test_the_instrumentation_of_flask_gives_the_span() -> None:
    instrumentation = pytest.importorskip(
        "opentelemetry.instrumentation.flask", reason="OpenTelemetry's instrumentation of Flask is not installed"
    )
    app = Flask("app")
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat")
    wps = WebPubSub(app)
    wps.on_message(lambda: "ack")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentation.FlaskInstrumentor().instrument_app(app, tracer_provider=provider)

    wps.test_client(app).connect().send_text("hi")

    (span,) = exporter.get_finished_spans()
    attributes = span.attributes or {}
    assert attributes["cloudevents.event_type"] == "azure.webpubsub.user.message"
    assert 200 in {attributes.get("http.status_code"), attributes.get("http.response.status_code")}


# In a process of its own, which has imported OpenTelemetry early, late or never.
PROGRAM = """
import sys
from flask import Flask
{before_app}
from flask_webpubsub import WebPubSub, event_handled

app = Flask("app")
app.config["WEBPUBSUB_CONNECTION_STRING"] = "Endpoint=https://a.example;AccessKey=k;"
app.config["WEBPUBSUB_HUB"] = "chat"
wps = WebPubSub(app)
wps.on_message(lambda data: data)
client = wps.test_client(app)
{before_event}
client.connect().send_text("hi")
{after_event}
print(any(name.partition(".")[0] == "opentelemetry" for name in sys.modules), len(event_handled.receivers))
"""
IMPORT = "from opentelemetry import trace"
TIMES: dict[str, tuple[dict[str, str], str]] = {
    "never": ({}, "False 0"),
    "before the app is made": ({"before_app": IMPORT}, "True 1"),
    "after the app is made": ({"before_event": IMPORT}, "True 1"),
    "after the first event": ({"after_event": IMPORT}, "True 0"),
    "after the first event, and asked for": (
        {"after_event": f"{IMPORT}\nfrom flask_webpubsub.tracing import trace_events\ntrace_events(app)"},
        "True 1",
    ),
}


@pytest.mark.parametrize(("lines", "printed"), TIMES.values(), ids=TIMES)
def test_events_are_described_where_opentelemetry_was_imported_by_the_first_of_them(
    lines: dict[str, str], printed: str
) -> None:
    program = PROGRAM.format(**({"before_app": "", "before_event": "", "after_event": ""} | lines))
    folder = Path(flask_webpubsub.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=False)

    assert (done.stdout.strip(), done.stderr) == (printed, "")
