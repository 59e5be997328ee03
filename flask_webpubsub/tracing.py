"""The attributes of an event for OpenTelemetry's current span.

OpenTelemetry is never imported here: an app that uses it has done so.
"""

from __future__ import annotations

import sys
from typing import Any

from .event_lines import REQUEST_ID
from .events import WebPubSubConnectionContext
from .signals import event_handled

_TRACE = "opentelemetry.trace"

# What is called by which header of the webhook call.
_HEADERS = {
    "cloudevents.event_id": "ce-id",
    "cloudevents.event_source": "ce-source",
    "cloudevents.event_spec_version": "ce-specversion",
    "cloudevents.event_type": "ce-type",
    "messaging.message.conversation_id": REQUEST_ID,
}


def trace_events(app: object) -> None:
    """Describe each event of an app on the span that is current when it has been handled.

    It is called before an app's first event. It does nothing for an app that has not imported OpenTelemetry, and may
    be called again by one that does so later.
    """
    if _TRACE in sys.modules:
        event_handled.connect(_describe, app)


def find_attributes(context: WebPubSubConnectionContext) -> dict[str, str]:
    """The attributes of an event by the semantic conventions for CloudEvents and for messaging.

    Who the user is, is not among them: a trace may go where that should not be known.
    """
    headers = context.headers
    found = {name: value for name, header in _HEADERS.items() if (value := headers.get(header)) is not None}
    return found | {
        "messaging.system": "webpubsub",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": context.hub,
        "messaging.client.id": context.connection_id,
    }


def _describe(app: object, *, context: WebPubSubConnectionContext, **values: Any) -> None:
    span = sys.modules[_TRACE].get_current_span()
    if span.is_recording():
        span.set_attributes(find_attributes(context))
