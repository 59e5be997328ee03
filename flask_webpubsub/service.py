"""The way from an app to its clients: the official SDK's client for a hub, and access for a client to connect with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from flask import Flask

from .access import ServiceAccess
from .actions import Action
from .blueprint import EXTENSION_KEY
from .dispatch import Dispatcher
from .errors import ConfigurationError
from .operations import make_operations
from .settings import CONNECTION_KEY, read_connections, verify_hub
from .wire_json import make_writer

try:
    from azure.core.credentials import AzureKeyCredential
    from azure.core.exceptions import AzureError
    from azure.messaging.webpubsubservice import WebPubSubServiceClient
except ImportError as error:
    raise ImportError(
        "To reach the service, the app needs Azure's SDK: pip install 'flask-webpubsub[service]'"
    ) from error

__all__ = ["ClientAccess", "WebPubSubServiceClient", "client_access", "send_actions", "service_client"]

_CLIENTS_KEY = "webpubsub.clients"
# By the names of the Azure Functions binding.
_PROTOCOLS = {"default": "Default", "mqtt": "MQTT"}


@dataclass(frozen=True)
class ClientAccess:
    """What a client connects with: the ``WebPubSubConnection`` of Azure Functions.

    :param base_url: the URL of the client endpoint, ``wss://<host>/client/hubs/<hub>``.
    :param url: the same with the token: what a client opens.
    :param access_token: the token alone. Whoever has it can connect.
    """

    base_url: str
    url: str = field(repr=False)
    access_token: str = field(repr=False)


def service_client(app: Flask, hub: str | None = None) -> WebPubSubServiceClient:
    """The SDK's client for a hub of an app; see :meth:`WebPubSub.service_client`."""
    dispatcher: Dispatcher = app.extensions[EXTENSION_KEY]
    name = hub or dispatcher.settings.hub
    if name is None:
        raise ConfigurationError("The service client needs a hub: set WEBPUBSUB_HUB, or name one.")
    verify_hub(name)
    access = _find_access(app, dispatcher, name)
    clients: _Clients = app.extensions.setdefault(_CLIENTS_KEY, _Clients())
    return clients.get(access, name)


def client_access(
    app: Flask,
    *,
    user_id: str | None = None,
    roles: Sequence[str] = (),
    groups: Sequence[str] = (),
    minutes_to_expire: int = 60,
    client_protocol: str = "default",
    hub: str | None = None,
) -> ClientAccess:
    """Access for a client of a hub; see :meth:`WebPubSub.client_access`."""
    if isinstance(roles, str) or isinstance(groups, str):
        raise TypeError("roles and groups are lists of strings, and no single string.")
    if minutes_to_expire < 1:
        raise ValueError(f"minutes_to_expire is {minutes_to_expire!r}: a token is good for a minute at least.")
    protocol = _PROTOCOLS.get(client_protocol.lower())
    if protocol is None:
        raise ValueError(f"client_protocol is {client_protocol!r}: use 'default' or 'mqtt'.")
    made = service_client(app, hub).get_client_access_token(
        user_id=user_id,
        roles=list(roles),
        groups=list(groups),
        minutes_to_expire=minutes_to_expire,
        client_protocol=protocol,
    )
    return ClientAccess(base_url=made["baseUrl"], url=made["url"], access_token=made["token"])


def send_actions(app: Flask, actions: Action | Iterable[Action], hub: str | None = None) -> None:
    """Ask the service to do something; see :meth:`WebPubSub.send_actions`."""
    operations = make_operations(actions, make_writer(getattr(app.json, "default", None)))
    if not operations:
        return
    client = service_client(app, hub)
    for index, operation in enumerate(operations):
        try:
            getattr(client, operation.method)(**operation.arguments)
        except AzureError as error:
            error.action_index = index  # type: ignore[attr-defined]
            error.add_note(f"This was {operation.place}. Those before it are done, those after it are not.")
            raise


class _Clients:
    """The clients of one app, each made when it is first asked for."""

    def __init__(self) -> None:
        self._clients: dict[tuple[ServiceAccess, str], WebPubSubServiceClient] = {}
        self._lock = Lock()

    def get(self, access: ServiceAccess, hub: str) -> WebPubSubServiceClient:
        with self._lock:
            client = self._clients.get((access, hub))
            if client is None:
                client = self._clients[access, hub] = _make_client(access, hub)
            return client


def _make_client(access: ServiceAccess, hub: str) -> WebPubSubServiceClient:
    if access.key is None:
        raise ConfigurationError(
            f"The connection string of {access.endpoint!r} has no AccessKey, which signs the calls of the service."
        )
    client = WebPubSubServiceClient(access.endpoint, hub, AzureKeyCredential(access.key.decode()))
    # It opens its session as it is first used, which several threads must not do at a time.
    return client.__enter__()


def _find_access(app: Flask, dispatcher: Dispatcher, hub: str) -> ServiceAccess:
    """The service of a hub: the first that its handlers name, else the app's first default one.

    It is read anew each time: tests change the app's connection string to that of an emulator.
    """
    folded = hub.lower()
    named = (handler.trigger.connections for handler in dispatcher.handlers if handler.hub.lower() == folded)
    keys = next(filter(None, named), (CONNECTION_KEY,))
    return read_connections(app.config, keys)[0]
