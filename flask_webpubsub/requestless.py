"""Finds what an app asks of Flask's requests, which the events of the lane are not."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import flask
from flask import Flask

from .errors import ConfigurationError
from .registry import Trigger

# What Flask has only while it handles a request, or can do only then.
_OF_REQUESTS = (
    "request",
    "session",
    "after_this_request",
    "copy_current_request_context",
    "stream_with_context",
    "flash",
    "get_flashed_messages",
    "send_file",
    "send_from_directory",
)
# By identity, because the first two are proxies, which compare as what they stand for.
_NAMES = {id(getattr(flask, name)): name for name in _OF_REQUESTS}
# Between a module and the names that are imported of it.
_WITHIN_AN_IMPORT = {"IMPORT_FROM", "STORE_FAST", "STORE_DEREF", "EXTENDED_ARG"}

Names = Mapping[str, Any]


def verify_trigger(trigger: Trigger) -> None:
    """Check that a handler does without a request of Flask's, as far as its own code and its decorators' tell.

    :raises ConfigurationError: if it names one.
    """
    for function in _functions_of(trigger.function):
        for name in _find_uses(function.__code__, function.__globals__, _cells_of(function)):
            raise ConfigurationError(
                f"{trigger} uses flask.{name}, which an event does not have where WEBPUBSUB_DIRECT is set: take what "
                "the handler needs as its arguments, or leave WEBPUBSUB_DIRECT out."
            )


def find_hooks(app: Flask, inside: Callable[..., Any]) -> list[str]:
    """What the app would do with a request to the webhook, and the lane passes by, in words.

    :param inside: the app's ``wsgi_app`` from before the extension was added.
    """
    return sorted({*_find_functions(app), *_find_receivers(app), *_find_others(app, inside)})


def _functions_of(handler: Any) -> Iterator[FunctionType]:
    """The functions that a handler is made of: decorators that tell what they wrap, what is in a partial, and so on."""
    match handler:
        case partial():
            yield from _functions_of(handler.func)
        case MethodType():
            yield from _functions_of(handler.__func__)
        case FunctionType():
            yield handler
        case _:
            call = inspect.unwrap(type(handler).__call__)
            if isinstance(call, FunctionType):
                yield call
    if (wrapped := getattr(handler, "__wrapped__", None)) is not None:
        yield from _functions_of(wrapped)


def _cells_of(function: FunctionType) -> dict[str, Any]:
    """What a function takes from the functions around it."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it is not there yet
            found[name] = cell.cell_contents
    return found


def _find_uses(code: CodeType, names: Names, cells: Names) -> Iterator[str]:
    """What a function's code names of Flask's requests, in functions within it too."""
    source: Any = None  # what the next instruction takes something of
    for step in dis.get_instructions(code):
        if (
            source is flask
            and step.opname in {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}
            and step.argval in _OF_REQUESTS
        ):
            yield step.argval
        match step.opname:
            case "LOAD_GLOBAL" | "LOAD_NAME":
                source = names.get(step.argval)
            case "LOAD_DEREF":
                source = cells.get(step.argval)
            case "IMPORT_NAME":
                source = flask if step.argval == "flask" else None
            case name if name not in _WITHIN_AN_IMPORT:
                source = None
        if id(source) in _NAMES:
            yield _NAMES[id(source)]
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _find_uses(inner, names, cells)


def _find_functions(app: Flask) -> Iterator[str]:
    tables: dict[str, Any] = {
        "before_request": app.before_request_funcs,
        "after_request": app.after_request_funcs,
        "teardown_request": app.teardown_request_funcs,
        "url_value_preprocessor": app.url_value_preprocessors,
    }
    for decorator, table in tables.items():
        for function in [*table.get(None, ()), *table.get("webpubsub", ())]:
            yield f"{_name(function)} (@app.{decorator})"
    for blueprint in (None, "webpubsub"):
        for by_class in app.error_handler_spec.get(blueprint, {}).values():
            for function in by_class.values():
                yield f"{_name(function)} (@app.errorhandler)"


def _find_receivers(app: Flask) -> Iterator[str]:
    for signal in (flask.request_started, flask.request_finished, flask.request_tearing_down):
        for function in signal.receivers_for(app):
            yield f"{_name(function)} (flask.{signal.name.replace('-', '_')})"


def _find_others(app: Flask, inside: Callable[..., Any]) -> Iterator[str]:
    if getattr(inside, "__func__", None) is not Flask.wsgi_app:
        yield f"{_name(inside)} (app.wsgi_app, to be set after the extension was added)"
    if app.response_class is not flask.Response:
        yield f"{_name(app.response_class)} (app.response_class)"


def _name(named: Any) -> str:
    return getattr(named, "__qualname__", type(named).__qualname__)
