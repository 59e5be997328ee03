"""What a store must be able to do, and which one the settings ask for."""

from __future__ import annotations

from typing import Protocol

from ..errors import ConfigurationError

#: The value of ``WEBPUBSUB_ONCE_STORE`` for one process; it says that there is one.
MEMORY = "memory://"


class Store(Protocol):
    """Keeps one value for each event: the mark of one that is running, or the answer to one that is done.

    Every step is atomic, whoever else is at it. What can not be done raises an
    :exc:`~flask_webpubsub.OnceStoreError`. Times are in seconds.
    """

    def name(self, key: str) -> str:
        """The name by which the store has a key; the other methods take it."""

    def begin(self, name: str, mark: bytes, seconds: float) -> bytes | None:
        """Put a mark where nothing is, and return ``None``; else return what is there."""

    def renew(self, name: str, mark: bytes, seconds: float) -> bool:
        """Let a mark stand for longer, and put it back if it has vanished; ``False`` if another value is there."""

    def keep(self, name: str, answer: bytes, seconds: float) -> None:
        """Put an answer in the place of whatever is there."""

    def forget(self, name: str, mark: bytes) -> None:
        """Remove a mark, and nothing but that mark."""


def make_store(where: object) -> Store:
    """The store that ``WEBPUBSUB_ONCE_STORE`` asks for.

    :param where: ``None`` or ``"memory://"`` for the memory of this process, the URL of a Redis server, or a
        :class:`cachelib.RedisCache`.
    :raises ConfigurationError: if it is none of these.
    :raises ImportError: if the extra ``once`` is not installed, and the store needs it.
    """
    if where is None or where == MEMORY:
        from .memory_store import MemoryStore  # each store is imported by those who use it

        return MemoryStore()
    from .redis_store import make_redis_store

    store = make_redis_store(where)
    if store is None:
        kind = "text that is no URL of a Redis server" if isinstance(where, str) else f"a {type(where).__name__}"
        raise ConfigurationError(
            f"WEBPUBSUB_ONCE_STORE is {kind}: set it to 'redis://localhost:6379/0' and the like, or to a "
            "cachelib.RedisCache. Other caches drop what they hold without a word, or have no safe way for two workers "
            "to ask at the same time. For one process, set it to 'memory://'."
        )
    return store
