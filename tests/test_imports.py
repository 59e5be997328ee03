"""Imports go down only, and each dependency has its one home."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

import flask_webpubsub

PACKAGE = flask_webpubsub.__name__
ROOT = Path(flask_webpubsub.__file__).parent

# From the bottom to the top. A module imports from its own level and from those before it. What stands in a folder
# counts as the folder; a name of which there is no module yet has its place kept.
LEVELS: list[set[str]] = [
    {"background", "deferred", "enums", "errors", "records", "wire_json"},
    {"mqtt", "states"},
    {"access", "actions", "events", "messages", "responses"},
    {"fields", "message_data", "once", "paths", "properties", "readers", "schemas", "signature"},
    {"codec", "operations"},
    {
        "arguments",
        "event_lines",
        "identity",
        "issuer",
        "payloads",
        "registry",
        "results",
        "settings",
        "signals",
        "tracing",
    },
    {"dispatch", "provisioning"},
    {"blueprint", "decorators", "direct", "guard", "own_response", "requestless", "service", "sessions", "testing"},
    {"cli", "commands", "deployed", "doctor", "emulator", "extension", "fixtures", "remote"},
    {"__init__"},
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}

# These must see what the service sees: they reach an app over HTTP or its WSGI callable alone.
OUTSIDERS = {"emulator", "testing"}

HOMES = {
    "marshmallow": {"fields", "operations", "payloads", "readers", "schemas"},
    "itsdangerous": {"signature"},
    "blinker": {"signals"},
    "aiohttp": {"emulator"},
    "yarl": {"emulator"},  # aiohttp's own URLs
    "jwt": {"emulator", "identity", "issuer"},
    "cryptography": {"identity", "issuer"},
    "azure": {"service"},
    "cachelib": {"once"},
    "redis": {"once"},
    "pytest": {"fixtures"},
    "flask": {name for name, level in LEVEL.items() if level > LEVEL["dispatch"]} - OUTSIDERS,
    "click": {"cli", "commands", "emulator"},
}
EVERYWHERE = {"werkzeug"}
# Of Python itself, if not of the one that runs the tests.
STANDARD = sys.stdlib_module_names | {"annotationlib", "_typeshed"}


def home(module: str) -> str:
    """The entry of the table that a module of the package counts as."""
    return module.split(".")[1] if "." in module else "__init__"


def modules() -> dict[str, Path]:
    """All modules of the package by their names."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
        found[".".join(parts if parts[-1] != "__init__" else parts[:-1])] = path
    return found


MODULES = modules()


def imports(module: str) -> Iterator[str]:
    """The names that a module imports anywhere: at its top, in functions, for type checkers."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                base = resolve_name("." * node.level + (node.module or ""), package)
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield full if full in MODULES else base


def own_imports(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    return {name for name in imports(module) if name.split(".")[0] == PACKAGE}


def test_the_walk_sees_imports_in_functions_and_for_type_checkers() -> None:
    seen = own_imports(f"{PACKAGE}.extension")

    assert f"{PACKAGE}.testing" in seen
    assert "_typeshed.wsgi" in set(imports(f"{PACKAGE}.guard"))
    assert len(MODULES) > 25


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_level(module: str) -> None:
    assert home(module) in LEVEL, f"Give {module} its place in LEVELS."


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    upwards = {name for name in own_imports(module) if LEVEL[home(name)] > LEVEL[home(module)]}

    assert not upwards


def test_there_is_no_circle() -> None:
    graph = {module: own_imports(module) - {module} for module in MODULES}

    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", [module for module in MODULES if home(module) in OUTSIDERS])
def test_who_plays_the_service_sees_what_the_service_sees(module: str) -> None:
    inside = {
        name for name in own_imports(module) if LEVEL[home(name)] > LEVEL["codec"] and home(name) not in OUTSIDERS
    }

    assert not inside


@pytest.mark.parametrize("module", MODULES)
def test_each_dependency_has_its_one_home(module: str) -> None:
    foreign = {name.split(".")[0] for name in imports(module)} - {PACKAGE} - STANDARD
    homeless = {name for name in foreign - EVERYWHERE if home(module) not in HOMES.get(name, set())}

    assert not homeless


def test_what_dispatch_stands_on_knows_no_flask() -> None:
    assert not {name for name in HOMES["flask"] if LEVEL[name] <= LEVEL["dispatch"]}
    assert "flask" in set(imports(f"{PACKAGE}.blueprint"))


# Not werkzeug.test, which Werkzeug itself imports.
LATER = [
    *["aiohttp", "jwt", "cryptography", "azure", "cachelib", "redis", "pytest", "asgiref", "flask.testing"],
    *(
        f"{PACKAGE}.{name}"
        for name in (
            "actions",
            "background",
            "operations",
            "payloads",
            "cli",
            "commands",
            "direct",
            "doctor",
            "emulator",
            "fixtures",
            "identity",
            "issuer",
            "once",
            "requestless",
            "service",
            "sessions",
            "testing",
        )
    ),
]


def test_importing_the_package_imports_nothing_that_an_app_does_not_need() -> None:
    program = f"import {PACKAGE}, sys; print([name for name in {LATER} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT.parent)

    assert done.stdout.strip() == "[]"


def test_an_app_can_start_without_what_it_does_not_need() -> None:
    program = f"""
import sys
from flask import Flask
from {PACKAGE} import WebPubSub
app = Flask("app")
app.config["WEBPUBSUB_CONNECTION_STRING"] = "Endpoint=https://a.example;AccessKey=k;"
wps = WebPubSub(app)
wps.on_message(hub="chat")(lambda data: data)
print([name for name in {LATER} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT.parent)

    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
