"""Which requests are for the webhook."""

from __future__ import annotations

from .messages import Environ, to_wsgi


class WebhookPath:
    """The path of the webhook, as WSGI has it.

    :param path: as ``WEBPUBSUB_PATH`` says, without a slash at its end.
    """

    def __init__(self, path: str) -> None:
        self._path = to_wsgi(path)
        self._below = self._path + "/"

    def leads_to(self, environ: Environ) -> bool:
        """Whether a request is for the webhook; the names of events may follow the path."""
        path: str = environ.get("PATH_INFO", "")
        if path != self._path:
            path = "/" + path.lstrip("/")  # as Flask reads it
        return path == self._path or path.startswith(self._below)
