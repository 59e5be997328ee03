"""Takes the calls that the app sends to the service, for the demo and for tests: shows them, and does nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class RestCalls:
    """A WSGI app that knows of the service's REST API what the sample app uses of it.

    :param show: called with the method, the path and the body of each call.
    """

    def __init__(self, show: Callable[[str, str, bytes], None] = lambda method, path, body: None) -> None:
        self._show = show
        #: Who is in a group, as the service lists them: ``connectionId`` and ``userId``.
        self.members: dict[str, list[dict[str, str]]] = {}
        #: The connections that the app closed, with its reason.
        self.closed: list[tuple[str, str | None]] = []
        self._sent: list[tuple[str, Any]] = []

    def take_sent(self) -> list[tuple[str, Any]]:
        """The messages since the last time, each with its group, and without the time that it bears."""
        sent, self._sent = self._sent, []
        return [(group, {key: value for key, value in message.items() if key != "time"}) for group, message in sent]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        self._show(request.method, request.path, request.get_data())
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "api", "hubs", _, "groups", group, ":send":
                self._sent.append((unquote(group), json.loads(request.get_data())))
                return Response(status=202)
            case "GET", "api", "hubs", _, "groups", group, "connections":
                members = {"value": self.members.get(unquote(group), [])}
                return Response(json.dumps(members), 200, mimetype="application/json")
            case "DELETE", "api", "hubs", _, "connections", connection_id:
                self.closed.append((connection_id, request.args.get("reason")))
                return Response(status=204)
        return Response(status=404)
