"""Plays a whole conversation with the sample app over real HTTP, as the service would: ``python -m sample_app.demo``.

A WSGI server runs the app on a free port of 127.0.0.1, and another one takes the calls that the app sends back to the
service. Every answer is checked: a wrong one ends the demo with exit status 1.
"""

from __future__ import annotations

import io
import logging
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from flask import Flask

from flask_webpubsub import ConnectEventResponse, EventErrorResponse, InvalidAnswerError, UserEventResponse
from flask_webpubsub.testing import WebPubSubTestClient

from . import create_app
from .narration import NarratingClient, Screen
from .over_http import forward_to
from .rest_calls import RestCalls

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = "127.0.0.1"

#: What no other tab has; a real one is made at random.
SEAT = "0123456789abcdef0123456789abcdef"


class WrongAnswerError(Exception):
    """Raised when the app did not answer as it should."""


def main() -> int:
    """Run the demo.

    :returns: the exit status.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal knows arrows and ticks
    logging.basicConfig(stream=sys.stdout, format="      (the app's log: %(message)s)")
    return play(create_app, Screen(sys.stdout))


def make_config(service_port: int) -> dict[str, Any]:
    """The settings of the demo, whatever the environment says: a service of its own, with a fresh key."""
    access_key = secrets.token_hex(16)
    return {
        "WEBPUBSUB_CONNECTION_STRING": f"Endpoint=http://{HOST}:{service_port};AccessKey={access_key};Version=1.0;",
        "WEBPUBSUB_PATH": "/runtime/webhooks/webpubsub",
        "WEBPUBSUB_ACCESS_CODE": None,
        "WEBPUBSUB_ALLOW_UNSIGNED": False,
    }


def play(make_app: Callable[[Mapping[str, Any]], Flask], screen: Screen) -> int:
    """Serve an app, and hold the conversation with it.

    :param make_app: makes the app of its settings.
    :returns: the exit status.
    """
    calls = RestCalls(screen.call)
    with serve(calls) as service_port:
        app = make_app(make_config(service_port))
        with serve(app) as port:
            screen.title(
                f"The sample app runs on http://{HOST}:{port}. Here is what an Azure Web PubSub service sends it, and "
                "what it asks of the service."
            )
            services = {"connection_string": app.config["WEBPUBSUB_CONNECTION_STRING"], "hub": "chat"}
            service = NarratingClient(screen, forward_to(HOST, port), **services)
            forger = NarratingClient(screen, forward_to(HOST, port), **services, keys=["a guess"], system_events=())
            try:
                hold_conversation(service, forger, calls, screen)
            except (WrongAnswerError, InvalidAnswerError) as error:
                screen.wrong(f"{error}")
                screen.title("The demo failed: the app gave a wrong answer.")
                return 1
    screen.title("Every answer was right.")
    return 0


@contextmanager
def serve(app: WSGIApplication) -> Iterator[int]:
    """Serve an app on a free port, which is given, until the block ends."""
    try:
        from waitress.server import create_server
        from waitress.wasyncore import close_all, loop
    except ImportError:
        sys.exit("The demo needs waitress: run 'make demo-script', which installs it, or 'pip install waitress'.")
    sockets: dict[int, Any] = {}
    server = create_server(app, map=sockets, host=HOST, port=0)
    done = Event()

    def run() -> None:
        while not done.is_set():
            loop(timeout=0.1, map=sockets, count=1)

    thread = Thread(target=run, name="server")
    thread.start()
    try:
        yield server.effective_port
    finally:
        done.set()
        thread.join()
        server.task_dispatcher.shutdown()
        close_all(sockets)


def hold_conversation(
    service: WebPubSubTestClient, forger: WebPubSubTestClient, calls: RestCalls, screen: Screen
) -> None:
    """Send the app all that a service sends in the life of a connection.

    :param forger: sends events too, but does not know the service's key.
    :param calls: what the app asks of the service.
    :raises WrongAnswerError: if an answer is not the right one.
    """

    def expect(answer: Any, right_answer: Any, meaning: str) -> None:
        if answer != right_answer:
            raise WrongAnswerError(f"{meaning} So the answer is {right_answer!r}, but it was {answer!r}.")
        screen.right(meaning)

    def token(seat: str = SEAT) -> dict[str, list[str]]:
        return {"webpubsub.group": ["tea-time", f"seat.{seat}"]}

    screen.title("1. Before its first event, the service asks whether it may send any.")
    expect(service.validate(), True, "The app takes events of this service.")

    screen.title("2. Somebody without a name asks to connect.")
    no_name = EventErrorResponse("unauthorized", "Say who you are: choose a name.")
    expect(service.connect().response, no_name, "Without a name, nobody comes in.")

    screen.title("3. Somebody asks to connect under a name that is reserved.")
    reserved = EventErrorResponse("unauthorized", "The name admin is reserved. Choose another one.")
    expect(service.connect("admin", claims=token()).response, reserved, "A reserved name is refused.")

    screen.title("4. Zoë asks to connect. She may, and the app is told that she is connected.")
    zoe = service.connect("Zo%C3%AB", claims=token())
    states = {"name": "Zoë", "room": "tea-time", "seat": SEAT, "count": 0}
    welcome = ConnectEventResponse(groups=["tea-time", f"seat.{SEAT}"], roles=[], states=states)
    expect(zoe.response, welcome, "She is in the group of her room, has her states, and may send to no group herself.")
    expect(zoe.answer.status, 204, "The app has taken notice that she is connected.")
    joined = {"type": "joined", "name": "Zoë", "people": ["Zoë"]}
    expect(calls.take_sent(), [("tea-time", joined)], "The room is told who came.")
    calls.members["tea-time"] = [{"connectionId": zoe.connection_id, "userId": "Zo%C3%AB"}]

    screen.title("5. Somebody else asks to connect as Zoë.")
    taken = EventErrorResponse(409, "Somebody in tea-time is called Zoë already. Choose another name.")
    expect(service.connect("Zo%C3%AB", claims=token("f" * 32)).response, taken, "A name that is taken is refused.")

    screen.title("6. Zoë says something, as text and as JSON.")
    zoe.send_text("Hello!")
    expect((zoe.answer.status, zoe.states["count"]), (204, 1), "It is her first message, and the states say so.")
    said = {"type": "message", "from": "Zoë", "number": 1, "text": "Hello!"}
    expect(calls.take_sent(), [("tea-time", said)], "The room hears it, under her name.")
    zoe.send_json({"text": "I bring cake."})
    expect((zoe.answer.status, zoe.states["count"]), (204, 2), "The states came back with it: it is message 2.")
    said_too = {"type": "message", "from": "Zoë", "number": 2, "text": "I bring cake."}
    expect(calls.take_sent(), [("tea-time", said_too)], "The room hears that too.")

    screen.title("7. She is typing, which is an event of the app's own.")
    zoe.send_event("typing", "")
    expect((zoe.answer.status, zoe.states["count"]), (204, 2), "The event has its own handler, and the states stay.")
    expect(calls.take_sent(), [("tea-time", {"type": "typing", "name": "Zoë"})], "The others are told.")

    screen.title("8. She asks who is there.")
    match zoe.send_event("people", ""):
        case UserEventResponse(data={"people": present}) | present:
            pass
    expect(present, ["Zoë"], "The app has asked the service: it keeps no list itself.")

    screen.title("9. Somebody who does not know the service's key sends an event in her name.")
    forged = forger.connect(zoe.user_id, connection_id=zoe.connection_id).send_text("I hate cake.")
    expect(forged, EventErrorResponse("unauthorized", "Unauthorized"), "A forged event is refused.")
    expect(calls.take_sent(), [], "The room hears nothing of it.")

    screen.title("10. She closes the window.")
    zoe.disconnect("The client left.")
    expect(zoe.answer.status, 204, "The app has taken notice that she left.")
    left = {"type": "left", "name": "Zoë", "people": []}
    expect(calls.take_sent(), [("tea-time", left)], "The room is told who left.")


if __name__ == "__main__":
    sys.exit(main())
