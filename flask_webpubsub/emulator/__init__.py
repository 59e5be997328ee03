"""A stand-in for Azure Web PubSub on this machine, for development and tests only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import EventHandler, HubSettings, Options
    from .runner import Emulator, RunningEmulator

__all__ = ["Emulator", "EventHandler", "HubSettings", "Options", "RunningEmulator"]

#: The packages that the extra brings, by the names of their modules.
_EXTRA = {"aiohttp", "jwt", "yarl"}


def __getattr__(name: str) -> Any:
    """Import what is asked for, or say which extra it needs."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import options

    if hasattr(options, name):
        return getattr(options, name)
    try:
        from . import runner
    except ModuleNotFoundError as error:
        raise explain_missing(error) from error
    return getattr(runner, name)


def explain_missing(error: ModuleNotFoundError) -> ImportError:
    """What to do about a module that is not installed."""
    if (error.name or "").partition(".")[0] not in _EXTRA:
        return error
    return ImportError("The emulator needs more packages: pip install 'flask-webpubsub[emulator]'", name=error.name)
