"""An app whose handlers defer work that others can look at and hold: it connects to a port that the event names."""

from __future__ import annotations

import os
import socket
import sys
import threading

from flask import Flask

from flask_webpubsub import WebPubSub, defer

SECONDS = 30

app = Flask(__name__)
app.config.from_prefixed_env()
wps = WebPubSub(app)


def work(port: str) -> None:
    """Say who it is, wait until something comes back, and say that it is done."""
    with socket.create_connection(("127.0.0.1", int(port)), SECONDS) as connection:
        connection.sendall(f"{os.getpid()}\n".encode())
        if connection.recv(1):
            connection.sendall(b"done\n")


def work_at_the_end(port: str) -> None:
    """Say who it is, wait until the process is about to end, and say that it is done."""
    with socket.create_connection(("127.0.0.1", int(port)), SECONDS) as connection:
        connection.sendall(f"{os.getpid()}\n".encode())
        threading.main_thread().join(SECONDS)
        connection.sendall(b"done\n" if not threading.main_thread().is_alive() else b"too late\n")


@wps.on_user_event("reply")
def reply(data: str) -> str:
    """An event with an answer: 200."""
    defer(work, data)
    return "ack"


@wps.on_user_event("quiet")
def quiet(data: str) -> None:
    """An event without one: 204."""
    defer(work, data)


@wps.on_user_event("late")
def late(data: str) -> None:
    """An event whose work lasts until the server is stopped."""
    defer(work_at_the_end, data)


@wps.on_user_event("plain")
def plain() -> str:
    """An event that defers nothing."""
    return str(os.getpid())


@wps.on_user_event("warm")
def warm() -> None:
    defer(print, "warm", file=sys.stderr)


if app.config.get("WARM"):  # so that a server that loads the app before it forks has threads by then
    wps.test_client(app).connect("alice").send_event("warm", "up")
