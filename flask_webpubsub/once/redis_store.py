"""A Redis server as a store, which the workers of all machines share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigurationError, OnceStoreError

try:
    from cachelib import RedisCache
    from redis import Redis, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ImportError(
        "To keep the answers to events, the app needs cachelib and redis: pip install 'flask-webpubsub[once]'"
    ) from error

# A server that does not answer must not hold a client's event for long; options in the URL go before these.
_TIMEOUT_SECONDS = 2
_SCHEMES = ("redis://", "rediss://", "unix://")

_RENEW = """
local held = redis.call('get', KEYS[1])
if held == false or held == ARGV[1] then
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    return 1
end
return 0
"""
_FORGET = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    redis.call('del', KEYS[1])
end
"""


def make_redis_store(where: object) -> RedisStore | None:
    """The store of a URL or of a cache; ``None`` if it is no Redis.

    Nothing is sent to the server yet: an app can start before it does.

    :raises ConfigurationError: if the URL is wrong.
    """
    if isinstance(where, RedisCache):
        return RedisStore(where)
    if not isinstance(where, str) or not where.startswith(_SCHEMES):
        return None
    # One call that failed is made again at once: the server may have closed a connection that was idle.
    retry = Retry(NoBackoff(), 1)
    try:
        client = Redis.from_url(
            where, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, retry=retry
        )
    except ValueError:  # whose text holds parts of the URL, and maybe of its password
        raise ConfigurationError(
            "WEBPUBSUB_ONCE_STORE is no URL of a Redis server, such as 'redis://localhost:6379/0'."
        ) from None
    return RedisStore(RedisCache(client))


@contextmanager
def _own_errors() -> Iterator[None]:
    """Make what the client raises an error of the package, which says that the store failed."""
    try:
        yield
    except RedisError as error:
        raise OnceStoreError(f"The Redis server failed with a {type(error).__name__}.") from error


class RedisStore:
    """Keeps marks and answers in a Redis server, below the key prefix of a cache.

    The cache's own methods are passed by: they pickle values, which is to run whatever somebody else wrote there, and
    their ``add`` is two steps, between which a worker may be killed.
    """

    def __init__(self, cache: RedisCache) -> None:
        self._prefix: str | Callable[[], str] = cache.key_prefix
        # Where the cache reads elsewhere, it may read what is old.
        self._client: Any = cache._write_client

    def name(self, key: str) -> str:
        """See :class:`~.store.Store`, also for the other methods."""
        prefix = self._prefix
        return (prefix() if callable(prefix) else prefix) + key

    @_own_errors()
    def begin(self, name: str, mark: bytes, seconds: float) -> bytes | None:
        while not self._client.set(name, mark, px=_milliseconds(seconds), nx=True):
            held = self._client.get(name)
            if held is not None:  # else it ended between the two
                held = held.encode() if isinstance(held, str) else bytes(held)
                # The mark is our own where the first answer of the server was lost, and the client asked again.
                return None if held == mark else held
        return None

    @_own_errors()
    def renew(self, name: str, mark: bytes, seconds: float) -> bool:
        return bool(self._client.eval(_RENEW, 1, name, mark, _milliseconds(seconds)))

    @_own_errors()
    def keep(self, name: str, answer: bytes, seconds: float) -> None:
        self._client.set(name, answer, px=_milliseconds(seconds))

    @_own_errors()
    def forget(self, name: str, mark: bytes) -> None:
        self._client.eval(_FORGET, 1, name, mark)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
