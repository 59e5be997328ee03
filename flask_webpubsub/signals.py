"""Signals that tell the app of each event, for metrics and the like."""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

#: Sent when a handler has been called, with ``context``, the ``status`` of the answer, and the ``seconds`` it took.
event_handled = _signals.signal("event-handled")

#: Sent when a call was refused, with the ``status`` of the answer and the ``error`` that says why.
event_rejected = _signals.signal("event-rejected")
