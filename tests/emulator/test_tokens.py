"""Tokens of clients, of REST calls and of clients that come back."""

from __future__ import annotations

import base64
import random
import time
from typing import Any

import jwt
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from hypothesis import given
from hypothesis import strategies as st

from flask_webpubsub.emulator.tokens import (
    CLIENT_PATH,
    MQTT_PATH,
    ClientToken,
    TokenError,
    make_client_token,
    make_reconnection_token,
    verify_client_token,
    verify_reconnection_token,
    verify_rest_token,
)

KEY = "bG9va3MgbGlrZSBiYXNlNjQgYW5kIGlzIG5vdCBkZWNvZGVk"
OTHER_KEY = "another-key-of-this-service-with-32-bytes-or-more"
ENDPOINT = "http://localhost:7080"
AUDIENCE = f"{ENDPOINT}/client/hubs/chat"


def make(key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"aud": AUDIENCE, "exp": time.time() + 60, **claims}, key, algorithm=algorithm)


def verify(text: str, path: str = CLIENT_PATH, hub: str = "chat") -> ClientToken:
    return verify_client_token(text, keys=[KEY, OTHER_KEY], path=path, hub=hub)


# Clients.


def test_a_token_says_who_the_client_is_and_what_it_may() -> None:
    claims: dict[str, Any] = {
        "sub": "alice",
        "role": ["webpubsub.sendToGroup", "admin"],
        "webpubsub.group": ["a", "b"],
        "name": "Alice",
        "age": 7,
        "paid": True,
        "tags": ["x", 1, None],
    }
    token = verify(make(**claims, exp=2_000_000_000))
    assert token.user_id == "alice"
    assert token.roles == ["webpubsub.sendToGroup", "admin"]
    assert token.groups == ["a", "b"]
    assert token.claims == {
        "aud": [AUDIENCE],
        "exp": ["2000000000"],
        "sub": ["alice"],
        "role": ["webpubsub.sendToGroup", "admin"],
        "webpubsub.group": ["a", "b"],
        "name": ["Alice"],
        "age": ["7"],
        "paid": ["true"],
        "tags": ["x", "1", "null"],
    }


def test_a_bare_token_is_of_an_anonymous_client() -> None:
    token = verify(make())
    assert (token.user_id, token.roles, token.groups) == (None, [], [])


def test_one_role_and_one_group_may_be_plain_strings() -> None:
    token = verify(make(role="admin", **{"webpubsub.group": "a"}))
    assert (token.roles, token.groups) == (["admin"], ["a"])


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_either_key_may_sign(key: str) -> None:
    assert verify(make(key)).user_id is None


@pytest.mark.parametrize(
    ("audience", "hub"),
    [
        (AUDIENCE, "chat"),
        (AUDIENCE.upper().replace("HTTP", "http"), "chat"),
        (AUDIENCE, "CHAT"),
        ("https://contoso.webpubsub.azure.com/client/hubs/chat", "chat"),
        ("http://127.0.0.1:99/client/hubs/chat", "chat"),
        (f"{ENDPOINT}/client/?hub=chat", "Chat"),
        (f"{ENDPOINT}/client?hub=Chat", "chat"),
        (f"{ENDPOINT}/client/hubs/a%5B1%5D", "a[1]"),
        (f"{ENDPOINT}/client/hubs/a[1]", "a[1]"),
    ],
)
def test_the_audience_is_the_path_and_the_hub(audience: str, hub: str) -> None:
    verify(make(aud=audience), hub=hub)
    verify(make(aud=["else", audience]), hub=hub)


@pytest.mark.parametrize(
    "audience",
    [
        "",
        "chat",
        "/client/hubs/chat",
        "ws://localhost:7080/client/hubs/chat",
        f"{ENDPOINT}/client/hubs/other",
        f"{ENDPOINT}/client/hubs/chat/",
        f"{ENDPOINT}/client/hubs/",
        f"{ENDPOINT}/clients/mqtt/hubs/chat",
        f"{ENDPOINT}/client/?hub=other",
        f"{ENDPOINT}/client/?hub=chat&hub=other",
        f"{ENDPOINT}/client/",
        f"{ENDPOINT}/api/hubs/chat",
        "http://[/client/hubs/chat",
        "http:///client/hubs/chat",
        [],
    ],
)
def test_a_token_for_something_else_is_refused(audience: Any) -> None:
    with pytest.raises(TokenError, match="The token is for"):
        verify(make(aud=audience))


def test_a_token_without_audience_is_refused() -> None:
    token = jwt.encode({"exp": time.time() + 60}, KEY)
    with pytest.raises(TokenError, match="The token is for None"):
        verify(token)


def test_an_mqtt_token_is_for_its_own_path_and_may_name_groups_in_two_ways() -> None:
    claims: dict[str, Any] = {"webpubsub.group": ["a", "b"], "group": ["b", "c"]}
    text = make(aud=f"{ENDPOINT}/clients/mqtt/hubs/chat", **claims)
    assert verify(text, MQTT_PATH).groups == ["a", "b", "c"]
    with pytest.raises(TokenError):
        verify(text)
    assert verify(make(**claims)).groups == ["a", "b"]


@pytest.mark.parametrize("offset", [-299, 60], ids=["just out of date", "good"])
def test_clocks_may_differ_by_five_minutes(offset: int) -> None:
    verify(make(exp=time.time() + offset))
    verify(make(nbf=time.time() - offset, iat=time.time() - offset))


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -310), ("nbf", 400), ("iat", 400)])
def test_a_token_at_the_wrong_time_is_refused(claim: str, seconds: int) -> None:
    claims: dict[str, Any] = {claim: time.time() + seconds}
    with pytest.raises(TokenError, match="can not be taken"):
        verify(make(**claims))


@pytest.mark.parametrize("claims", [{"exp": "soon"}, {"exp": float("inf")}, {"sub": 7}])
def test_a_token_with_odd_claims_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenError, match="can not be taken"):
        verify(make(**claims))


def test_a_token_that_never_ends_is_refused() -> None:
    with pytest.raises(TokenError, match='missing the "exp" claim'):
        verify(jwt.encode({"aud": AUDIENCE}, KEY))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_tokens_are_refused() -> None:
    with pytest.raises(TokenError, match="not signed with an AccessKey"):
        verify(make("a-key-that-somebody-made-up-to-try-it-here"))
    with pytest.raises(TokenError, match="can not be taken"):
        verify(jwt.encode({"aud": AUDIENCE, "exp": time.time() + 60}, "", algorithm="none"))
    with pytest.raises(TokenError, match="can not be taken"):
        verify(make(algorithm="HS512"))
    head, _, signature = make().split(".")
    with pytest.raises(TokenError):
        verify(".".join([head, make(sub="admin").split(".")[1], signature]))


def test_the_key_is_its_text_and_is_not_decoded() -> None:
    with pytest.raises(TokenError):
        verify(jwt.encode({"aud": AUDIENCE, "exp": time.time() + 60}, base64.b64decode(KEY)))


def test_a_service_without_keys_takes_no_token() -> None:
    with pytest.raises(TokenError):
        verify_client_token(make(), keys=[], path=CLIENT_PATH, hub="chat")


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é", "\ud800", "\x00", "e30.e30.e30", "e30." * 50])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        verify(text)


@given(st.text() | st.text("ey.J0-_={}", max_size=60))
def test_no_text_ends_in_anything_but_a_token_error(text: str) -> None:
    with pytest.raises(TokenError):
        verify(text)


def test_ten_thousand_broken_tokens_end_in_nothing_but_a_token_error() -> None:
    chance = random.Random(20)
    good = make(sub="alice", role=["r"])
    for _ in range(10_000):
        place = chance.randrange(len(good) - 4)  # the last characters may hold bits that nobody reads
        broken = good[:place] + chance.choice(["", ".", "=", "é", "\x00", "A", "_" * 9]) + good[place + 1 :]
        if broken != good:
            with pytest.raises(TokenError):
                verify(broken)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_JSON = _SCALARS | st.lists(_SCALARS | st.lists(_SCALARS))


@given(st.dictionaries(st.sampled_from(["aud", "exp", "nbf", "iat", "sub", "role", "webpubsub.group", "jti"]), _JSON))
def test_no_signed_claims_end_in_anything_but_a_token_or_an_error(claims: dict[str, Any]) -> None:
    try:
        token = verify(make(**claims))
    except TokenError:
        return
    assert all(isinstance(value, str) for values in token.claims.values() for value in values)


@pytest.mark.parametrize("path", [CLIENT_PATH, MQTT_PATH])
def test_the_tokens_it_makes_are_good(path: str) -> None:
    text = make_client_token(
        KEY, endpoint=ENDPOINT, hub="chat", path=path, user_id="alice", roles=["r"], groups=["g"], claims={"x": "y"}
    )
    token = verify(text, path)
    assert (token.user_id, token.roles, token.groups, token.claims["x"]) == ("alice", ["r"], ["g"], ["y"])
    assert 3500 < int(token.claims["exp"][0]) - time.time() <= 3600


def test_a_token_for_nobody_in_particular_has_no_more_claims_than_it_needs() -> None:
    token = verify(make_client_token(KEY, endpoint=f"{ENDPOINT}/", hub="chat", minutes_to_expire=1))
    assert set(token.claims) == {"aud", "iat", "exp"}
    assert token.claims["aud"] == [AUDIENCE]


@pytest.mark.parametrize(("protocol", "path"), [("Default", CLIENT_PATH), ("MQTT", MQTT_PATH)])
@pytest.mark.parametrize("hub", ["chat", "Chat", "a[1]"])
def test_the_official_sdk_makes_good_tokens(protocol: str, path: str, hub: str) -> None:
    with WebPubSubServiceClient("http://LocalHost:7080/", hub, AzureKeyCredential(KEY)) as client:
        made = client.get_client_access_token(client_protocol=protocol, user_id="alice", roles=["r"], groups=["g"])
    token = verify_client_token(made["token"], keys=[KEY], path=path, hub=hub.lower())
    assert (token.user_id, token.roles, token.groups) == ("alice", ["r"], ["g"])


# REST calls.

TARGET = "/api/hubs/chat/users/a%20b%2Fc/:send?filter=userId%20eq%20%27x%27&api-version=2024-12-01"


@pytest.mark.parametrize(
    "audience",
    [
        ENDPOINT + TARGET,
        ENDPOINT + TARGET.partition("?")[0],
        (ENDPOINT + TARGET).lower(),
        "https://CONTOSO.webpubsub.azure.com" + TARGET,
        ENDPOINT + "/api/hubs/chat/users/a b/c/:send",
        ENDPOINT + "/api/hubs/chat/users/a+b%2fc/%3Asend?filter=userId+eq+'x'&api-version=2024-12-01",
    ],
    ids=["as it is", "without the query", "lower case", "another host", "decoded", "encoded otherwise"],
)
@pytest.mark.parametrize("url", [TARGET, ENDPOINT + TARGET], ids=["target", "url"])
def test_a_call_may_bring_its_url_with_or_without_the_query(audience: str, url: str) -> None:
    verify_rest_token(make(aud=audience), keys=[OTHER_KEY, KEY], url=url)


@pytest.mark.parametrize(
    "audience",
    [
        ENDPOINT + "/api/hubs/chat/:send",
        ENDPOINT + TARGET.partition("&")[0],
        ENDPOINT + TARGET + "&more=1",
        TARGET,
        "https://webpubsub.azure.com",
        None,
    ],
)
def test_a_token_for_another_call_is_refused(audience: str | None) -> None:
    with pytest.raises(TokenError, match="The token is for"):
        verify_rest_token(make(aud=audience), keys=[KEY], url=TARGET)


def test_a_forged_token_for_a_call_is_refused() -> None:
    with pytest.raises(TokenError, match="not signed"):
        verify_rest_token(make(OTHER_KEY, aud=ENDPOINT + TARGET), keys=[KEY], url=TARGET)


# Coming back.


def test_a_client_comes_back_to_its_own_connection() -> None:
    text = make_reconnection_token(KEY, "c1")
    verify_reconnection_token(text, keys=[OTHER_KEY, KEY], connection_id="c1")
    with pytest.raises(TokenError, match="not for the connection 'c2'"):
        verify_reconnection_token(text, keys=[KEY], connection_id="c2")
    with pytest.raises(TokenError, match="not signed"):
        verify_reconnection_token(text, keys=[OTHER_KEY], connection_id="c1")


def test_a_reconnection_token_ends_on_time() -> None:
    text = make_reconnection_token(KEY, "c1", seconds=-1)
    with pytest.raises(TokenError, match="expired"):
        verify_reconnection_token(text, keys=[KEY], connection_id="c1")


def test_one_kind_of_token_is_not_good_for_another_thing() -> None:
    client, back = make(), make_reconnection_token(KEY, AUDIENCE)
    with pytest.raises(TokenError):
        verify_reconnection_token(client, keys=[KEY], connection_id=AUDIENCE)
    with pytest.raises(TokenError):
        verify_rest_token(client, keys=[KEY], url=TARGET)
    with pytest.raises(TokenError):
        verify(make_reconnection_token(KEY, "c1"))
    with pytest.raises(TokenError):
        verify_rest_token(back, keys=[KEY], url=TARGET)
