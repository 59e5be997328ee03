"""The extensions of the app, for the modules that use them."""

from __future__ import annotations

from flask_webpubsub import WebPubSub

wps = WebPubSub()
