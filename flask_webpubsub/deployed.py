"""Asks a deployed webhook what the service would ask, and says what its answers mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from urllib.parse import parse_qs, urlsplit

from .access import split_origins
from .codec import Delivery
from .doctor.findings import CODE_KEY, PATH_KEY, UNSIGNED_KEY, Finding, Level
from .doctor.webhook import made_up_hub, make_event
from .emulator.handlers import show
from .messages import Answer
from .remote import CallError, RemoteWebhook
from .settings import CONNECTION_KEY
from .testing import WebPubSubTestClient

#: How long the service waits for the answer to a validation request, in seconds.
VALIDATION_SECONDS = 10.0

_FORGED = "A forged event"
_SIGNED = "A signed event"


@dataclass(frozen=True)
class Identity:
    """The service that is played, as the app's configuration has it.

    :param origin: its host.
    :param keys: its AccessKeys; empty if none is known.
    :param access_code: the app's access code; ``None`` if it asks for none.
    :param has_token: whether its events bring a token of Microsoft Entra ID, which nobody else has.
    """

    origin: str
    keys: Sequence[str] = field(repr=False)
    access_code: str | None = field(repr=False)
    has_token: bool = False


def examine_url(url: str, identity: Identity) -> Iterator[Finding]:
    """All findings about a deployed webhook. No handler is called: the events are of a hub that nobody has.

    :param url: its URL or URL template. Without a ``code``, it is called with the one of the identity.
    """
    in_url = "code" in parse_qs(urlsplit(url).query, keep_blank_values=True)
    client = WebPubSubTestClient(
        RemoteWebhook(url, VALIDATION_SECONDS),
        connection_string=None,
        hub=made_up_hub(),
        path="/",
        access_code=None if in_url else identity.access_code,
        keys=identity.keys,
        origins=[identity.origin],
    )
    where = show(url)
    try:
        validation = _validate(client, where, identity)
        yield validation
        if validation.level is Level.PROBLEM:
            return
        if identity.has_token:
            what = "No signed event was sent: it would need a token of Microsoft Entra ID, which only the service has."
            yield Finding(Level.OK, "signed event", what)
        elif identity.keys:
            yield _judge_signed(client.call("POST", _event(client, identity.keys)), where)
        yield _judge_forged(client.call("POST", _event(client, [token_hex()])), where)
        if client.access_code is not None:
            client.access_code = None
            yield from _judge_without_code(client.call("OPTIONS", _validation(client)))
    except CallError as error:
        yield Finding(Level.PROBLEM, "--url", error.what, error.cure)


def _validation(client: WebPubSubTestClient) -> Delivery:
    return Delivery([("WebHook-Request-Origin", client.origin), ("ce-awpsversion", "1.0")], b"")


def _event(client: WebPubSubTestClient, keys: Sequence[str]) -> Delivery:
    return make_event(client.hub, client.origin, keys)


def _validate(client: WebPubSubTestClient, where: str, identity: Identity) -> Finding:
    answer = client.call("OPTIONS", _validation(client))
    if answer.status == 404:
        answer = client.call("GET", _validation(client))
    if not 200 <= answer.status <= 299:
        return _explain_validation(answer, where, identity)
    header = answer.header("WebHook-Allowed-Origin")
    if header is None:
        return Finding(
            Level.PROBLEM,
            PATH_KEY,
            f"{where} answered OPTIONS with {answer.status} but without the header WebHook-Allowed-Origin: it was not "
            "the webhook that answered, but Flask, a CORS extension or a proxy.",
            f"Correct the path of the URL: it is {PATH_KEY} of the deployed app. Or let the proxy pass OPTIONS on.",
        )
    if {"*", identity.origin.lower()}.isdisjoint(split_origins(header)):
        what = f"{where} takes events from {header!r} alone, and the service is {identity.origin!r}."
        return Finding(Level.PROBLEM, CONNECTION_KEY, what, "Give the deployed app this service's connection string.")
    return Finding(Level.OK, "validation", f"{where} takes events from {identity.origin}.")


def _explain_validation(answer: Answer, where: str, identity: Identity) -> Finding:
    what = f"{where} refused the validation request with {answer.status}"
    if answer.status == 400:
        return Finding(
            Level.PROBLEM,
            CONNECTION_KEY,
            f"{what}: the deployed app does not trust {identity.origin!r}, or its TRUSTED_HOSTS lack the URL's host.",
            "Give the deployed app the same connection string as here, and start it again.",
        )
    if answer.status == 401:
        return Finding(
            Level.PROBLEM,
            CODE_KEY,
            f"{what}: the access code is not that of the deployed app, or a proxy asks for a password.",
            f"Give the deployed app the same {CODE_KEY} as here, and let the proxy pass the webhook's path on.",
        )
    if answer.status == 404:
        what += ", and GET too: there is no webhook at this path."
        return Finding(Level.PROBLEM, PATH_KEY, what, f"Correct the URL's path: it is {PATH_KEY} of the deployed app.")
    return _explain(answer, what)


def _judge_signed(answer: Answer, where: str) -> Finding:
    if answer.status == 404:
        what = f"{_SIGNED} was let in: the keys agree. (404, as its hub was made up, so that no handler is called.)"
        return Finding(Level.OK, "signed event", what)
    if answer.status == 401:
        return Finding(
            Level.PROBLEM,
            CONNECTION_KEY,
            f"{_SIGNED} was refused with 401: the deployed app has another AccessKey for this service.",
            "Give it the same connection string as here. Where a key was regenerated, copy the new one.",
        )
    return _explain_event(answer, _SIGNED, where)


def _judge_forged(answer: Answer, where: str) -> Finding:
    if answer.status == 401:
        return Finding(Level.OK, "forged event", f"{_FORGED} was refused with 401.")
    if answer.status == 404:
        return Finding(
            Level.PROBLEM,
            UNSIGNED_KEY,
            f"{_FORGED} was let in: the deployed app does not check signatures, so that everyone can send it events.",
            f"Take {UNSIGNED_KEY} out of its configuration, and set {CONNECTION_KEY}.",
        )
    return _explain_event(answer, _FORGED, where)


def _judge_without_code(answer: Answer) -> Iterator[Finding]:
    if answer.status == 401:
        yield Finding(Level.OK, "access code", "A call without the access code was refused with 401.")
    else:
        what = (
            f"A call without the access code was answered with {answer.status}: the deployed app does not ask for it."
        )
        yield Finding(Level.WARNING, CODE_KEY, what, f"Set {CODE_KEY} of the deployed app, and start it again.")


def _explain_event(answer: Answer, which: str, where: str) -> Finding:
    what = f"{which} was answered with {answer.status}"
    if 200 <= answer.status <= 299:
        return Finding(
            Level.PROBLEM,
            "before_request",
            f"{what}, though its hub was made up: something else than the webhook answers events at {where}.",
            "Look at the before_request functions and error handlers of the deployed app, and at the proxy before it.",
        )
    if answer.status == 400:
        return Finding(
            Level.PROBLEM,
            "CSRFProtect",
            f"{what}: CSRF protection is in the way, or a proxy takes the ce-* headers out.",
            "Exempt the webhook with csrf.exempt(wps.blueprint). The app's log says which of the two it is.",
        )
    return _explain(answer, what)


def _explain(answer: Answer, what: str) -> Finding:
    """What a status means that can answer any call."""
    status = answer.status
    if 300 <= status <= 399:
        target = show(answer.header("Location") or "nowhere")
        what = f"{what}: it leads to {target}, and the service follows no redirects."
        return Finding(Level.PROBLEM, "--url", what, "Give Azure the URL where it leads, or take the redirect off.")
    if status == 401:
        return Finding(
            Level.PROBLEM, CODE_KEY, f"{what}: something before the webhook asks for a password.", _LET_THROUGH
        )
    if status == 403:
        return Finding(
            Level.PROBLEM, "proxy", f"{what}: a firewall, a proxy or a login page is in the way.", _LET_THROUGH
        )
    if status == 405:
        what = f"{what}: another route, or a proxy, does not take the method."
        return Finding(Level.PROBLEM, PATH_KEY, what, f"Correct the URL's path: it is {PATH_KEY}. {_LET_THROUGH}")
    if status == 413:
        return Finding(Level.PROBLEM, "proxy", f"{what}: the server takes no bodies.", "Raise its limit to 1 MiB.")
    if status in (502, 503, 504):
        return Finding(
            Level.PROBLEM, "proxy", f"{what}: the proxy does not reach the app.", "See whether the app runs."
        )
    if status >= 500:
        return Finding(Level.PROBLEM, "app", f"{what}: the deployed app failed.", "Look at its log.")
    return Finding(Level.PROBLEM, "app", f"{what}, which the webhook never answers.", "Look at what stands before it.")


_LET_THROUGH = "Let OPTIONS, GET and POST of the webhook's path pass."
