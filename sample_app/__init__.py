"""A chat in the browser: what a Flask app that answers the events of Azure Web PubSub looks like.

Run it with ``flask --app sample_app webpubsub dev``, which starts the local emulator beside it. Deployed, it reads
``FLASK_WEBPUBSUB_CONNECTION_STRING`` and the other ``FLASK_`` variables from its environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask.helpers import get_debug_flag

from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING

from . import chat, views
from .extensions import wps

__all__ = ["create_app", "wps"]

wps.register_hub(chat.hub)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the app.

    :param config: settings that go before those of the environment, as tests have them.
    :raises ConfigurationError: if there is no connection string, and the app is not in debug mode.
    """
    app = Flask(__name__)
    app.config.from_prefixed_env()
    app.debug = get_debug_flag()  # FLASK_DEBUG=no means no, and the line above has read a string that is true
    app.config.from_mapping(config)
    if app.debug:
        app.config.setdefault("WEBPUBSUB_CONNECTION_STRING", DEVELOPMENT_CONNECTION_STRING)
    wps.init_app(app)
    app.register_blueprint(views.pages)
    return app
