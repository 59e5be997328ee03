"""Every key of the configuration: its default, what it takes, and what it says of a wrong value."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import ConfigurationError, WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING, DEVELOPMENT_KEY
from flask_webpubsub.settings import Settings, read_settings
from tests.conftest import CONNECTION_STRING, HOST, KEY

SECOND = "Endpoint=https://second.example;AccessKey=second-key;Version=1.0;"
KEYLESS = f"Endpoint=https://{HOST};Version=1.0;"


def read(**config: Any) -> Settings:
    return read_settings({"WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING, **config})


def start(**config: Any) -> Flask:
    app = Flask("app")
    app.config.update(config)
    WebPubSub(app)
    return app


def test_the_connection_string_alone_is_enough() -> None:
    settings = read()

    assert [(access.host, access.key) for access in settings.connections] == [(HOST, KEY.encode())]
    assert settings.allow_unsigned is False
    assert settings.hub is None
    assert settings.path == "/runtime/webhooks/webpubsub"
    assert settings.access_codes == ()
    assert settings.max_body_bytes == 2 * 1024 * 1024
    assert settings.max_state_bytes == 4096


@pytest.mark.parametrize("several", [[CONNECTION_STRING, SECOND], (CONNECTION_STRING, SECOND)], ids=["list", "tuple"])
def test_there_may_be_several_connection_strings(several: Any) -> None:
    settings = read(WEBPUBSUB_CONNECTION_STRING=several)

    assert [access.host for access in settings.connections] == [HOST, "second.example"]


NO_CONNECTION: dict[str, Any] = {
    "None": None,
    "empty": "",
    "blank": "  ",
    "an empty list": [],
    "a list with an empty item": [CONNECTION_STRING, ""],
    "a list with a blank item": [CONNECTION_STRING, " "],
    "a list with None": [None],
    "a number": 5,
    "bytes": CONNECTION_STRING.encode(),
    "a list with a number": [CONNECTION_STRING, 5],
}


@pytest.mark.parametrize("value", NO_CONNECTION.values(), ids=NO_CONNECTION)
def test_an_app_without_a_connection_string_does_not_start(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^WEBPUBSUB_CONNECTION_STRING") as caught:
        start(WEBPUBSUB_CONNECTION_STRING=value)

    message = str(caught.value)
    assert "Endpoint=https://<name>.webpubsub.azure.com" in message
    assert DEVELOPMENT_CONNECTION_STRING in message
    assert KEY not in message


def test_a_missing_connection_string_shows_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_CONNECTION_STRING is not set") as caught:
        start()

    assert DEVELOPMENT_CONNECTION_STRING in str(caught.value)


@pytest.mark.parametrize("value", [f"Endpoint={HOST};AccessKey={KEY}", f"AccessKey={KEY}", f"https://{HOST};{KEY}"])
def test_a_malformed_connection_string_is_named_without_its_key(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^WEBPUBSUB_CONNECTION_STRING is no connection string") as caught:
        start(WEBPUBSUB_CONNECTION_STRING=value)

    assert KEY not in str(caught.value)


def test_an_empty_access_key_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="AccessKey of the connection string is empty"):
        start(WEBPUBSUB_CONNECTION_STRING=f"Endpoint=https://{HOST};AccessKey=;")


def test_a_connection_string_without_a_key_starts_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    start(WEBPUBSUB_CONNECTION_STRING=KEYLESS)

    assert "has no AccessKey" in caplog.text
    assert HOST in caplog.text


# The emulator's key.


@pytest.mark.parametrize("listed", [False, True], ids=["alone", "in a list"])
def test_the_development_key_is_refused_where_it_would_let_anybody_in(listed: bool) -> None:
    value = [SECOND, DEVELOPMENT_CONNECTION_STRING] if listed else DEVELOPMENT_CONNECTION_STRING

    with pytest.raises(ConfigurationError, match="local emulator's key") as caught:
        start(WEBPUBSUB_CONNECTION_STRING=value)

    assert "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY" in str(caught.value)


def test_the_development_key_is_refused_in_a_handlers_own_connection() -> None:
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat")
    app.config["DEV"] = DEVELOPMENT_CONNECTION_STRING
    wps = WebPubSub(app)

    with pytest.raises(ConfigurationError, match="local emulator's key"):

        @wps.on_message(connection="DEV")
        def message() -> None: ...


def test_the_development_key_is_known_by_the_key_and_not_by_the_host() -> None:
    with pytest.raises(ConfigurationError, match="local emulator's key"):
        start(WEBPUBSUB_CONNECTION_STRING=f"Endpoint=https://{HOST};AccessKey={DEVELOPMENT_KEY}")


@pytest.mark.parametrize("key", ["DEBUG", "TESTING", "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY"])
def test_the_development_key_is_for_development(key: str) -> None:
    start(WEBPUBSUB_CONNECTION_STRING=DEVELOPMENT_CONNECTION_STRING, **{key: True})


# Unsigned events.


@pytest.mark.parametrize("value", [None, "", []], ids=["None", "empty", "an empty list"])
def test_unsigned_apps_need_no_connection_string(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    start(WEBPUBSUB_CONNECTION_STRING=value, WEBPUBSUB_ALLOW_UNSIGNED=True)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "WEBPUBSUB_ALLOW_UNSIGNED is on" in caplog.text


def test_unsigned_apps_may_leave_the_connection_string_out() -> None:
    assert read_settings({"WEBPUBSUB_ALLOW_UNSIGNED": True}).connections == ()


def test_unsigned_apps_may_still_not_have_a_wrong_connection_string() -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_CONNECTION_STRING"):
        start(WEBPUBSUB_CONNECTION_STRING="nonsense", WEBPUBSUB_ALLOW_UNSIGNED=True)


@pytest.mark.parametrize("key", ["WEBPUBSUB_ALLOW_UNSIGNED", "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY"])
@pytest.mark.parametrize("value", ["True", "false", "", 1, 0, None], ids=repr)
def test_a_switch_is_a_boolean_and_nothing_else(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} is .*True or False"):
        start(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, **{key: value})


# The hub.

HUBS = ["chat", "Chat", "c", "a1_`,.[]", "x" * 128]
NO_HUBS: list[Any] = ["", " ", "1chat", "_chat", "my hub", "my-hub", "café", "a/b", "x" * 129, "chat\n", 5, b"chat"]


@pytest.mark.parametrize("hub", HUBS, ids=lambda hub: hub[:12])
def test_a_hub_that_the_service_can_have(hub: str) -> None:
    assert read(WEBPUBSUB_HUB=hub).hub == hub


@pytest.mark.parametrize("hub", NO_HUBS, ids=lambda hub: repr(hub)[:12])
def test_a_hub_that_the_service_can_never_have_is_refused(hub: Any) -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_HUB is wrong"):
        read(WEBPUBSUB_HUB=hub)


def test_an_unset_hub_may_be_none() -> None:
    assert read(WEBPUBSUB_HUB=None).hub is None


# The path.


@pytest.mark.parametrize(
    ("path", "kept"), [("/events", "/events"), ("/events/", "/events"), ("/a/b//", "/a/b"), ("/über", "/über")]
)
def test_a_path_loses_its_last_slash(path: str, kept: str) -> None:
    assert read(WEBPUBSUB_PATH=path).path == kept


@pytest.mark.parametrize("path", ["", "/", "//", "events", "events/", None, 5, "/<name>", "https://a.example/b"])
def test_a_path_that_can_not_be_served_is_refused(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_PATH is "):
        start(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_PATH=path)


# Access codes.


@pytest.mark.parametrize(
    ("value", "codes"),
    [("one", [b"one"]), (["one", "two"], [b"one", b"two"]), (("one",), [b"one"]), ("ключ", ["ключ".encode()])],
    ids=["one", "a list", "a tuple", "beyond ASCII"],
)
def test_there_may_be_one_or_several_access_codes(value: Any, codes: list[bytes]) -> None:
    assert list(read(WEBPUBSUB_ACCESS_CODE=value).access_codes) == codes


@pytest.mark.parametrize("value", ["", [], [""], ["one", ""], [None], 5, ["one", 5], b"one", True], ids=repr)
def test_an_access_code_that_protects_nothing_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_ACCESS_CODE is empty or no string"):
        start(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_ACCESS_CODE=value)


def test_an_access_code_that_is_no_utf_8_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_ACCESS_CODE holds what UTF-8 can not") as caught:
        start(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_ACCESS_CODE="the-code\udcff")

    assert "the-code" not in str(caught.value)


@pytest.mark.parametrize("value", [KEY, ["one", KEY], ["second-key"]], ids=["alone", "in a list", "of the second"])
def test_an_access_key_is_no_access_code(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_ACCESS_CODE is an AccessKey") as caught:
        start(WEBPUBSUB_CONNECTION_STRING=[CONNECTION_STRING, SECOND], WEBPUBSUB_ACCESS_CODE=value)

    assert KEY not in str(caught.value)


def test_the_access_key_of_a_handlers_own_connection_is_no_access_code() -> None:
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat")
    app.config.update(WEBPUBSUB_ACCESS_CODE="second-key", SECOND=SECOND)
    wps = WebPubSub(app)

    with pytest.raises(ConfigurationError, match="WEBPUBSUB_ACCESS_CODE is an AccessKey"):

        @wps.on_message(connection="SECOND")
        def message() -> None: ...


# Sizes.


@pytest.mark.parametrize("key", ["WEBPUBSUB_MAX_BODY_BYTES", "WEBPUBSUB_MAX_STATE_BYTES"])
@pytest.mark.parametrize("value", [0, -1, "1024", 1.5, None, True], ids=repr)
def test_a_size_is_a_number_of_bytes(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} is .*number of bytes"):
        start(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, **{key: value})


@pytest.mark.parametrize(
    ("own", "of_app", "holds"), [(100, None, 100), (100, 50, 50), (50, 100, 50)], ids=["alone", "app's", "own"]
)
def test_the_smaller_limit_of_a_body_holds(own: int, of_app: int | None, holds: int) -> None:
    assert read(WEBPUBSUB_MAX_BODY_BYTES=own, MAX_CONTENT_LENGTH=of_app).max_body_bytes == holds


def test_the_size_of_states_is_read() -> None:
    assert read(WEBPUBSUB_MAX_STATE_BYTES=10).max_state_bytes == 10


# Secrets, and when it is read.


def test_settings_show_no_secret() -> None:
    settings = read(WEBPUBSUB_ACCESS_CODE="the-code")

    assert KEY not in repr(settings)
    assert "the-code" not in repr(settings)


def test_nothing_secret_is_logged_at_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = start(
        WEBPUBSUB_CONNECTION_STRING=[CONNECTION_STRING, KEYLESS],
        WEBPUBSUB_ALLOW_UNSIGNED=True,
        WEBPUBSUB_ACCESS_CODE="the-code",
    )

    assert KEY not in caplog.text
    assert "the-code" not in caplog.text
    assert KEY not in repr(vars(app.extensions["webpubsub"]))


def test_a_setting_that_changes_after_init_app_changes_nothing(app: Flask) -> None:
    wps = WebPubSub(app)

    @wps.on_message
    def message() -> str:
        return "ack"

    client = wps.test_client(app)
    app.config["WEBPUBSUB_ACCESS_CODE"] = "too late"
    app.config["WEBPUBSUB_CONNECTION_STRING"] = None

    assert client.validate()
