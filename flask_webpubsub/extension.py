"""The extension: :class:`WebPubSub`, and :class:`Hub` for a hub in a module of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from flask import Flask, current_app, has_app_context

from .access import keys_by_host
from .blueprint import EXTENSION_KEY, make_blueprint
from .decorators import Connection, F, Registrar
from .dispatch import Dispatcher
from .enums import ClientProtocols, WebPubSubEventType
from .errors import ConfigurationError
from .guard import Guard
from .registry import Handler, Trigger, TriggerTable
from .responses import NOT_GIVEN
from .settings import (
    CONNECTION_KEY,
    EntraSettings,
    Settings,
    read_connections,
    read_settings,
    verify_access_codes,
    verify_hub,
)

if TYPE_CHECKING:
    from .actions import Action
    from .once import Once
    from .payloads import SchemaLike
    from .service import ClientAccess, WebPubSubServiceClient
    from .testing import WebPubSubTestClient

logger = logging.getLogger("flask_webpubsub")


class WebPubSub(Registrar):
    """Answers the client events of Azure Web PubSub in a Flask app.

    One extension serves any number of apps, each with its own configuration.

    :param app: an app to answer events in; others by :meth:`init_app`.
    :raises ConfigurationError: if the app's configuration can not work.
    """

    def __init__(self, app: Flask | None = None) -> None:
        #: The blueprint of the webhook, for CSRF exemption, ``url_for`` and the like.
        self.blueprint = make_blueprint()
        self._triggers = TriggerTable()
        self._apps: WeakSet[Flask] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Answer events in an app, as its ``WEBPUBSUB_*`` configuration says, which is read here once.

        :raises ConfigurationError: if the configuration can not work with the handlers registered so far.
        :raises RuntimeError: if the app has the extension already.
        """
        if EXTENSION_KEY in app.extensions:
            raise RuntimeError(
                "The app has a WebPubSub extension already. Call init_app once for each app, and either "
                "WebPubSub(app) or init_app(app), not both."
            )
        settings = read_settings(app.config)
        dispatcher = Dispatcher(
            app, settings, app.ensure_sync, getattr(app.json, "default", None), _make_token_verifier(settings.entra)
        )
        verify_access_codes(settings.access_codes, settings.connections)
        _warn(settings)
        for trigger in self._triggers:
            handler = _resolve(trigger, app, dispatcher)
            dispatcher.handlers.verify_free(handler)
            _add(dispatcher, handler)
        app.extensions[EXTENSION_KEY] = dispatcher
        app.register_blueprint(self.blueprint)
        inside = app.wsgi_app
        app.wsgi_app = Guard(app, settings.path)  # type: ignore[method-assign]
        if settings.skip_session:
            from .sessions import SessionSkipper  # other apps do without it

            app.wsgi_app = SessionSkipper(app, settings.path)  # type: ignore[method-assign]
        if settings.direct:
            from .direct import LANE_KEY, Lane  # other apps do without it

            app.wsgi_app = app.extensions[LANE_KEY] = Lane(app, dispatcher, inside)  # type: ignore[method-assign]
        self._apps.add(app)

    def register_hub(self, hub: Hub) -> None:
        """Take over the handlers of a :class:`Hub`.

        :raises ConfigurationError: if an event has a handler already.
        :raises RuntimeError: if it is too late to register anything.
        """
        hub.registered = True
        for trigger in hub.triggers:
            self._register(trigger)

    def test_client(self, app: Flask, hub: str | None = None) -> WebPubSubTestClient:
        """A client that talks to an app as the service does, with the app's own connection strings.

        :param hub: without it, the app's ``WEBPUBSUB_HUB``.
        :raises ConfigurationError: if there is neither.
        """
        return make_test_client(app, hub)

    def service_client(self, hub: str | None = None) -> WebPubSubServiceClient:
        """The official SDK's client for a hub, with which the app reaches its clients.

        It is made once for each app and hub, of the connection that the hub's handlers name, else of the app's first
        default one, and may be used from any thread. The app is the current one, and outside of an app context the
        only one that has the extension. Needs the extra ``service``.

        :param hub: without it, the app's ``WEBPUBSUB_HUB``.
        :raises ConfigurationError: if there is no hub, or no connection string with an AccessKey.
        :raises RuntimeError: if it is not clear which app is meant.
        :raises ImportError: if the extra is not installed.
        """
        from .service import service_client  # apps that only answer events do without the SDK

        return service_client(self._find_app(), hub)

    def client_access(
        self,
        *,
        user_id: str | None = None,
        roles: Sequence[str] = (),
        groups: Sequence[str] = (),
        minutes_to_expire: int = 60,
        client_protocol: str = "default",
        hub: str | None = None,
    ) -> ClientAccess:
        """The URL and the token with which a client connects to a hub; nothing goes over the network.

        :param user_id: who the client is; without it, it is anonymous.
        :param roles: what the client may do, such as ``"webpubsub.sendToGroup.lobby"``.
        :param groups: those that the client is in as soon as it is connected.
        :param minutes_to_expire: how long the client may take to connect. An open connection stays.
        :param client_protocol: ``"default"`` or ``"mqtt"``.
        :param hub: without it, the app's ``WEBPUBSUB_HUB``.
        :raises ValueError: if a value can not be right.
        :raises TypeError: if ``roles`` or ``groups`` is a single string.

        Else it is as :meth:`service_client`.
        """
        from .service import client_access  # as above

        return client_access(
            self._find_app(),
            user_id=user_id,
            roles=roles,
            groups=groups,
            minutes_to_expire=minutes_to_expire,
            client_protocol=client_protocol,
            hub=hub,
        )

    def send_actions(self, actions: Action | Iterable[Action], *, hub: str | None = None) -> None:
        """Ask the service to do something, as the ``WebPubSub`` output binding of Azure Functions does.

        All actions are checked before the first one is sent. They are sent in their order.

        :param actions: one action or several: objects of :mod:`flask_webpubsub.actions`, or the mappings of Azure
            Functions, such as ``{"actionName": "sendToAll", "data": "hi", "dataType": "text"}``.
        :param hub: without it, the app's ``WEBPUBSUB_HUB``.
        :raises ValueError: if an action is unknown, lacks something, or holds what can not be right.
        :raises TypeError: if something is no action at all.
        :raises azure.core.exceptions.AzureError: if one fails. Its ``action_index`` says which, counted from 0.

        Else it is as :meth:`service_client`.
        """
        from .service import send_actions  # as above

        send_actions(self._find_app(), actions, hub)

    def _find_app(self) -> Flask:
        """The current app, or else the only one."""
        if has_app_context():
            app: Flask = cast(Any, current_app)._get_current_object()
            if app in self._apps:
                return app
            raise RuntimeError(f"The app {app.name!r} does not have this extension: call init_app(app) first.")
        apps = list(self._apps)
        if len(apps) != 1:
            raise RuntimeError(
                f"The extension is on {len(apps)} apps, and there is no app context to say which is meant: "
                "work within 'with app.app_context():'."
            )
        return apps[0]

    def _register(self, trigger: Trigger) -> None:
        dispatchers: list[tuple[Flask, Dispatcher]] = [(app, app.extensions[EXTENSION_KEY]) for app in self._apps]
        if any(dispatcher.started for _, dispatcher in dispatchers):
            raise RuntimeError(f"{trigger} is registered after the first event. Register all handlers at start.")
        self._triggers.verify_free(trigger)
        handlers = [(dispatcher, _resolve(trigger, app, dispatcher)) for app, dispatcher in dispatchers]
        for dispatcher, handler in handlers:
            dispatcher.handlers.verify_free(handler)
        for dispatcher, handler in handlers:
            _add(dispatcher, handler)
        self._triggers.add(trigger)


class Hub(Registrar):
    """The handlers of one hub, for a module that does not import the app; :meth:`WebPubSub.register_hub` takes them.

    :param name: the hub's name, whatever its case.
    :param connection: the connection of the handlers that name none; see :meth:`WebPubSub.trigger`.
    :raises ConfigurationError: if the service can not have a hub of this name.
    """

    def __init__(self, name: str, *, connection: Connection = NOT_GIVEN) -> None:
        verify_hub(name)
        self.name = name
        self.triggers = TriggerTable()
        self.registered = False
        self._connection = connection

    def trigger(
        self,
        event_name: str,
        *,
        event_type: WebPubSubEventType | str = WebPubSubEventType.USER,
        hub: str | None = None,
        client_protocols: ClientProtocols | str = ClientProtocols.ALL,
        connection: Connection = NOT_GIVEN,
        schema: SchemaLike | None = None,
        reply_schema: SchemaLike | None = None,
        schema_errors: bool | None = None,
        once: bool | None = None,
    ) -> Callable[[F], F]:
        """Register a function for an event of this hub; see :meth:`WebPubSub.trigger`."""
        if hub is not None and hub.lower() != self.name.lower():
            raise ConfigurationError(f"The hub {self.name!r} can not have handlers of the hub {hub!r}.")
        return super().trigger(
            event_name,
            event_type=event_type,
            hub=self.name,
            client_protocols=client_protocols,
            connection=self._connection if connection is NOT_GIVEN else connection,
            schema=schema,
            reply_schema=reply_schema,
            schema_errors=schema_errors,
            once=once,
        )

    def _register(self, trigger: Trigger) -> None:
        if self.registered:
            raise RuntimeError(f"{trigger} is registered after register_hub(). Call that when the hub is complete.")
        self.triggers.verify_free(trigger)
        self.triggers.add(trigger)


def make_test_client(app: Flask, hub: str | None = None) -> WebPubSubTestClient:
    """A test client for an app that has the extension; see :meth:`WebPubSub.test_client`.

    :raises RuntimeError: if the app does not have it.
    """
    from .testing import WebPubSubTestClient  # the app itself never needs it

    dispatcher: Dispatcher | None = app.extensions.get(EXTENSION_KEY)
    if dispatcher is None:
        raise RuntimeError(f"The app {app.name!r} has no WebPubSub extension: call init_app(app) first.")
    settings = dispatcher.settings
    hub = hub or settings.hub
    if hub is None:
        raise ConfigurationError("The test client needs a hub: set WEBPUBSUB_HUB, or name one.")
    return WebPubSubTestClient(
        app,
        connection_string=_connection_strings(app, dispatcher, hub),
        hub=hub,
        path=settings.path,
        base_url=f"http://{app.config.get('SERVER_NAME') or 'localhost'}",
        access_code=settings.access_codes[0].decode() if settings.access_codes else None,
        system_events=_HandledEvents(dispatcher, hub),
    )


def _connection_strings(app: Flask, dispatcher: Dispatcher, hub: str) -> list[str]:
    """Those that a hub's handlers name or take by default, so that each of them has its own among them."""
    handlers = (handler for handler in dispatcher.handlers if handler.hub.lower() == hub.lower())
    named = [key for handler in handlers for key in handler.trigger.connections or (CONNECTION_KEY,)]
    found = [app.config.get(key) or [] for key in dict.fromkeys(named or (CONNECTION_KEY,))]
    return [text for value in found for text in ([value] if isinstance(value, str) else value)]


class _HandledEvents:
    """The events of a hub that have a handler, which are those that its service would be set to send."""

    def __init__(self, dispatcher: Dispatcher, hub: str) -> None:
        self._dispatcher = dispatcher
        self._hub = hub.lower()

    def __contains__(self, event_name: object) -> bool:
        return any(
            hub == self._hub and name == event_name and event_type is not WebPubSubEventType.USER
            for hub, event_type, name, _ in (handler.key for handler in self._dispatcher.handlers)
        )


def _resolve(trigger: Trigger, app: Flask, dispatcher: Dispatcher) -> Handler:
    """Make a handler of a trigger, with what only the app knows."""
    settings = dispatcher.settings
    hub = trigger.hub or settings.hub
    if hub is None:
        raise ConfigurationError(f"{trigger} names no hub: set WEBPUBSUB_HUB, or hub= in its decorator.")
    if trigger.connections is not None:
        try:
            accesses = read_connections(app.config, trigger.connections)
        except ConfigurationError as error:
            raise ConfigurationError(f"The connection of {trigger} is wrong. {error}") from None
        verify_access_codes(settings.access_codes, accesses)
    else:
        accesses = settings.connections
    if settings.direct:
        from .requestless import verify_trigger  # as above

        verify_trigger(trigger)
    unsigned = trigger.unsigned or (trigger.connections is None and settings.allow_unsigned)
    call = app.ensure_sync(trigger.function)
    if trigger.payload is not None:
        call = trigger.payload.wrap(call, str(trigger), show_errors=settings.schema_errors)
    return Handler(
        trigger=trigger,
        hub=hub,
        call=call,
        keys=None if unsigned else keys_by_host(accesses),
        once=_find_once(trigger, app, settings),
    )


def _find_once(trigger: Trigger, app: Flask, settings: Settings) -> Once | None:
    """What remembers the answers to a handler's events, where that is wanted. An app has one for all handlers."""
    wanted = settings.once and trigger.event_type is WebPubSubEventType.USER if trigger.once is None else trigger.once
    if not wanted:
        return None
    from .once import ONCE_KEY, make_once  # other apps do without it

    if ONCE_KEY not in app.extensions:
        app.extensions[ONCE_KEY] = make_once(settings.once_store, settings.once_seconds)
        if settings.once_store is None and not (app.debug or app.testing):
            logger.warning(
                "The answers to events are remembered in this process alone. Set WEBPUBSUB_ONCE_STORE to the Redis "
                "server that all workers share, or to 'memory://' if there is one process."
            )
    once: Once = app.extensions[ONCE_KEY]
    return once


def _add(dispatcher: Dispatcher, handler: Handler) -> None:
    if handler.keys is None and not dispatcher.handlers.unsigned:
        logger.warning("Events are accepted without a signature, the first of them for %s.", handler.trigger)
    dispatcher.handlers.add(handler)


def _make_token_verifier(settings: EntraSettings | None) -> Callable[[str | None], None] | None:
    if settings is None:
        return None
    try:
        from .identity import TokenVerifier  # apps that need no tokens do without PyJWT
    except ImportError as error:
        raise ConfigurationError(
            "WEBPUBSUB_ENTRA_TENANT is set, and tokens are checked with PyJWT and cryptography: "
            "pip install 'flask-webpubsub[entra]'"
        ) from error
    return TokenVerifier(settings).verify


def _warn(settings: Settings) -> None:
    if settings.allow_unsigned:
        logger.warning(
            "WEBPUBSUB_ALLOW_UNSIGNED is on: the events of all handlers without a connection of their own are accepted "
            "without a signature, from anybody."
        )
    for access in settings.connections:
        if access.key is None and settings.entra is None:
            logger.warning("The connection string of %r has no AccessKey: its events are refused.", access.endpoint)
