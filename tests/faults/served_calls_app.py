"""The app of ``test_slow_requests.py``: it tells which messages its handler was called with."""

from __future__ import annotations

from flask import Flask

from flask_webpubsub import WebPubSub

app = Flask(__name__)
app.config.from_prefixed_env()
wps = WebPubSub(app)
messages: list[str] = []


@wps.on_message
def message(data: str) -> str:
    messages.append(data)
    return data


@wps.on_user_event("messages")
def tell() -> dict[str, object]:
    """All that came so far."""
    return {"data": messages, "dataType": "json"}


@wps.on_user_event("unread")
def unread() -> str:
    """An event whose data nobody looks at."""
    return "unread"
