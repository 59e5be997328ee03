"""What keeps an app from starting."""

from __future__ import annotations

import re
from traceback import walk_tb

from ..errors import ConfigurationError
from .findings import Finding, Level

_PACKAGE = __name__.partition(".")[0]


_CONFIG_KEY = re.compile(r"app\.config\[(['\"])(?P<key>.+?)\1\]|\b(?P<name>WEBPUBSUB_[A-Z_]+)\b")
# Where a message goes on with what to do.
_CURE = re.compile(
    r"(?:(?<=\.)|[:;]) (?=(?:set|use|call|name|give|take|add|register|install|pip install|it can be|it has|it begins"
    r"|printable|for a service|microsoft entra id needs)\b)",
    re.IGNORECASE,
)
_CURES = {
    "is no connection string": "Copy the connection string from the Azure portal, under 'Keys' of your Web PubSub "
    "resource: Endpoint=https://<name>.webpubsub.azure.com;AccessKey=<key>;Version=1.0;",
    "has two handlers": "Take one out, or give one another hub= or client_protocols=.",
    "such as 'redis://": "Set it to 'redis://localhost:6379/0' and the like, or to 'memory://' for one process.",
}


def explain_start(error: Exception) -> Finding | None:
    """What keeps an app from starting; ``None`` if it has nothing to do with this package."""
    if isinstance(error, ConfigurationError):
        return split_message(str(error))
    # A wrong argument of a handler, init_app called twice: what the package raises as it is set up.
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    own = [name for name in modules if name.startswith(f"{_PACKAGE}.") and ".commands" not in name]
    return split_message(str(error)) if own else None


def split_message(message: str) -> Finding:
    """Make a finding of the message of an error: what is wrong, then what to do."""
    found = _CONFIG_KEY.search(message)
    setting = (found["key"] or found["name"]) if found else "handlers"
    for words, cure in _CURES.items():
        if words in message:
            return Finding(Level.PROBLEM, setting, message, cure)
    parts = _CURE.split(message, maxsplit=1)
    what = parts[0].rstrip(".:;") + "."
    cure = parts[1][0].upper() + parts[1][1:] if len(parts) > 1 else "Correct it."
    return Finding(Level.PROBLEM, setting, what, cure)
