"""Plays a whole conversation with the sample app over real HTTP, as the service would: ``python -m sample_app.demo``.

A WSGI server runs the app on a free port of 127.0.0.1. Every answer is checked: a wrong one ends the demo with exit
status 1.
"""

from __future__ import annotations

import io
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from flask import Flask

from flask_webpubsub import ConnectEventResponse, EventErrorResponse, InvalidAnswerError, UserEventResponse
from flask_webpubsub.testing import WebPubSubTestClient

from . import create_app
from .narration import NarratingClient, Screen
from .over_http import forward_to

HOST = "127.0.0.1"


class WrongAnswerError(Exception):
    """Raised when the app did not answer as it should."""


def main() -> int:
    """Run the demo.

    :returns: the exit status.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal knows arrows and ticks
    logging.basicConfig(stream=sys.stdout, format="      (the app's log: %(message)s)")
    return play(create_app(make_config()), Screen(sys.stdout))


def make_config() -> dict[str, Any]:
    """The settings of the demo, whatever the environment says: a service of its own, with a fresh key."""
    access_key = secrets.token_hex(16)
    return {
        "WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://demo.webpubsub.azure.com;AccessKey={access_key};Version=1.0;",
        "WEBPUBSUB_PATH": "/runtime/webhooks/webpubsub",
        "WEBPUBSUB_ACCESS_CODE": None,
        "WEBPUBSUB_ALLOW_UNSIGNED": False,
    }


def play(app: Flask, screen: Screen) -> int:
    """Serve an app, and hold the conversation with it.

    :returns: the exit status.
    """
    with serve(app) as port:
        screen.title(f"The sample app runs on http://{HOST}:{port}. Here is what an Azure Web PubSub service sends it.")
        services = {"connection_string": app.config["WEBPUBSUB_CONNECTION_STRING"], "hub": "chat"}
        service = NarratingClient(screen, forward_to(HOST, port), **services)
        forger = NarratingClient(screen, forward_to(HOST, port), **services, keys=["a guess"], system_events=())
        try:
            hold_conversation(service, forger, screen)
        except (WrongAnswerError, InvalidAnswerError) as error:
            screen.wrong(f"{error}")
            screen.title("The demo failed: the app gave a wrong answer.")
            return 1
    screen.title("Every answer was right.")
    return 0


@contextmanager
def serve(app: Flask) -> Iterator[int]:
    """Serve an app on a free port, which is given, until the block ends."""
    try:
        from waitress.server import create_server
        from waitress.wasyncore import close_all, loop
    except ImportError:
        sys.exit("The demo needs waitress: run 'make demo', which installs it, or 'pip install waitress'.")
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


def hold_conversation(service: WebPubSubTestClient, forger: WebPubSubTestClient, screen: Screen) -> None:
    """Send the app all that a service sends in the life of a connection.

    :param forger: sends events too, but does not know the service's key.
    :raises WrongAnswerError: if an answer is not the right one.
    """

    def expect(answer: Any, right_answer: Any, meaning: str) -> None:
        if answer != right_answer:
            raise WrongAnswerError(f"{meaning} So the answer is {right_answer!r}, but it was {answer!r}.")
        screen.right(meaning)

    screen.title("1. Before its first event, the service asks whether it may send any.")
    expect(service.validate(), True, "The app takes events of this service.")

    screen.title("2. Somebody without a name asks to connect.")
    nobody = service.connect()
    no_name = EventErrorResponse("unauthorized", "Say who you are: choose a name.")
    expect(nobody.response, no_name, "Without a name, nobody comes in.")

    screen.title("3. Somebody asks to connect under a name that is reserved.")
    reserved = EventErrorResponse("unauthorized", "The name admin is reserved. Choose another one.")
    expect(service.connect(query={"name": "admin"}).response, reserved, "A reserved name is refused.")

    screen.title("4. Zoë asks to connect. She may, and the app is told that she is connected.")
    zoe = service.connect(query={"name": "Zoë", "room": "tea-time"})
    states = {"name": "Zoë", "room": "tea-time", "count": 0}
    roles = ["webpubsub.joinLeaveGroup.tea-time", "webpubsub.sendToGroup.tea-time"]
    welcome = ConnectEventResponse("Zo%C3%AB", ["tea-time"], roles, states=states)
    expect(zoe.response, welcome, "She is in the group of her room, with the roles for it, and has her states.")
    expect(zoe.answer.status, 204, "The app has taken notice that she is connected.")

    screen.title("5. She says something, twice.")
    hello = UserEventResponse("#1 in tea-time, Zoë: Hello!", states={**states, "count": 1})
    expect(zoe.send_text("Hello!"), hello, "It is message 1, and the states say so.")
    still_there = UserEventResponse("#2 in tea-time, Zoë: Anybody there?", states={**states, "count": 2})
    expect(zoe.send_text("Anybody there?"), still_there, "The states came back with it: it is message 2.")

    screen.title("6. She says something in JSON.")
    said = {"number": 3, "from": "Zoë", "room": "tea-time", "text": "I bring cake."}
    json = UserEventResponse(said, "json", states={**states, "count": 3})
    expect(zoe.send_json({"text": "I bring cake."}), json, "JSON is answered with JSON.")

    screen.title("7. She is typing, which is an event of the app's own.")
    typing = UserEventResponse({"typing": "Zoë", "room": "tea-time"}, "json")
    expect(zoe.send_event("typing", ""), typing, "The event has its own handler, and the states stay.")

    screen.title("8. She takes another name.")
    renamed = UserEventResponse(
        {"renamed": "Zoë", "name": "Queen Zoë"}, "json", states={**states, "name": "Queen Zoë", "count": 3}
    )
    expect(zoe.send_event("rename", "Queen Zoë"), renamed, "Her new name stands in the states.")

    screen.title("9. Somebody who does not know the service's key sends an event in her name.")
    forged = forger.connect(zoe.user_id, connection_id=zoe.connection_id).send_text("I hate cake.")
    expect(forged, EventErrorResponse("unauthorized", "Unauthorized"), "A forged event is refused.")

    screen.title("10. She closes the window.")
    zoe.disconnect("The client left.")
    expect(zoe.answer.status, 204, "The app has taken notice that she left.")


if __name__ == "__main__":
    sys.exit(main())
