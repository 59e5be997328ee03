"""The app that the servers of ``test_once_redis.py`` run: its handlers tell by Redis how often they were called."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from redis import Redis

from flask_webpubsub import UserEventRequest, UserEventResponse, WebPubSub

#: The most that a handler waits for the test, in seconds.
PATIENCE = 30

app = Flask(__name__)
app.config.from_prefixed_env()
wps = WebPubSub(app)
redis = Redis.from_url(app.config["WEBPUBSUB_ONCE_STORE"], socket_timeout=PATIENCE + 5)


@wps.on_message(once=True)
def pay(request: UserEventRequest, data: Any) -> UserEventResponse:
    """Says who it is the first time, and waits until it may go on."""
    runs = int(redis.incr("runs"))
    if runs == 1:
        redis.rpush("workers", os.getpid())
        redis.blpop(["go"], PATIENCE)
    response = request.create_response(f"{data}: {runs}")
    response.set_state("runs", runs)
    return response
