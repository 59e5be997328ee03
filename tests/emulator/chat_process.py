"""The chat app for a process of its own, with the local emulator's connection string."""

from __future__ import annotations

from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from tests.emulator.chat_apps import make_chat_app

app = make_chat_app(DEVELOPMENT_CONNECTION_STRING)
