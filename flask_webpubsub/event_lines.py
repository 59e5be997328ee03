"""One log line for each event that was handled."""

from __future__ import annotations

import logging

from .events import WebPubSubConnectionContext
from .results import describe

#: The header by which the service can be asked about a call.
REQUEST_ID = "x-ms-client-request-id"

logger = logging.getLogger("flask_webpubsub.events")


def log_event(context: WebPubSubConnectionContext, status: int, seconds: float) -> None:
    """Log an event at level ``INFO``, with what the service says of it, the answer's status and the time it took.

    What comes from the wire is written as Python writes it, so that nobody can forge a line.
    """
    if logger.isEnabledFor(logging.INFO):
        logger.info(
            "%s, connection %r, user %r, request %r: %d in %.1f ms",
            describe(context),
            context.connection_id,
            context.user_id,
            context.headers.get(REQUEST_ID),
            status,
            seconds * 1000,
        )
