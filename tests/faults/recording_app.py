"""The app whose workers ``test_killed_workers.py`` kills: it tells Redis of each run of a handler, and who runs it."""

from __future__ import annotations

import os
import time

from flask import Flask
from redis import Redis

from flask_webpubsub import UserEventRequest, UserEventResponse, WebPubSub

app = Flask(__name__)
app.config.from_prefixed_env()
wps = WebPubSub(app)
redis = Redis.from_url(app.config["WEBPUBSUB_ONCE_STORE"])


@wps.on_user_event("count", once=True)
def count(request: UserEventRequest) -> UserEventResponse:
    """Counts in the connection's states."""
    context = request.connection_context
    redis.rpush(f"runs of {context.connection_id}", f"{context.event_id} {os.getpid()}")
    time.sleep(0.01)  # so that a worker that is killed dies in the midst of a few of them
    number = context.states.get("count", 0) + 1
    response = request.create_response({"count": number, "pid": os.getpid()})
    response.set_state("count", number)
    return response
