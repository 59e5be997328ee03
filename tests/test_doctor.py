"""The doctor names the setting that is wrong, and the cure; of a right app it says that all is well."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, redirect
from flask.typing import ResponseReturnValue

from flask_webpubsub import ConfigurationError, Hub, WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.doctor import CHECKS, SETTINGS, Finding, Level, examine, explain_start
from tests.conftest import CONNECTION_STRING, HOST, KEY

CODE = "an-access-code-of-its-own"
DOCS = Path(__file__).parent.parent / "docs"
ENTRA = {
    "WEBPUBSUB_ENTRA_TENANT": "00000000-0000-0000-0000-000000000001",
    "WEBPUBSUB_ENTRA_AUDIENCE": ["00000000-0000-0000-0000-000000000002", "api://shop"],
    "WEBPUBSUB_ENTRA_IDENTITIES": "00000000-0000-0000-0000-000000000003",
}
#: Where no module of another test lies.
ROOT_PATH = "/nowhere/shop"


@pytest.fixture
def config() -> dict[str, Any]:
    """A configuration in which nothing is wrong."""
    return {
        "WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING,
        "WEBPUBSUB_HUB": "chat",
        "WEBPUBSUB_ACCESS_CODE": CODE,
    }


def make_app(config: dict[str, Any]) -> tuple[Flask, WebPubSub]:
    app = Flask("shop", root_path=ROOT_PATH)
    app.config.update(config)
    wps = WebPubSub(app)
    wps.on_message(answer)
    return app, wps


def answer(data: object) -> str:
    raise AssertionError("No check calls a handler.")


def troubles(app: Flask) -> list[Finding]:
    return [finding for finding in examine(app) if finding.level is not Level.OK]


def only(app: Flask) -> Finding:
    (finding,) = troubles(app)
    return finding


def test_of_a_right_app_every_finding_is_good(config: dict[str, Any]) -> None:
    app, _ = make_app(config)

    findings = list(examine(app))

    assert {finding.level for finding in findings} == {Level.OK}
    assert {finding.setting for finding in findings} == {
        *("WEBPUBSUB_CONNECTION_STRING", "WEBPUBSUB_ACCESS_CODE", "WEBPUBSUB_PATH", "handlers", "limits")
    }


@pytest.mark.parametrize("debug", [False, True])
def test_no_finding_holds_a_key_or_a_code(config: dict[str, Any], debug: bool) -> None:
    app, wps = make_app(config | {"DEBUG": debug, "WEBPUBSUB_ALLOW_UNSIGNED": True, "WEBPUBSUB_MAX_BODY_BYTES": 1})
    wps.on_connect(connection=None)(lambda: None)

    said = " ".join(map(str, examine(app)))

    assert KEY not in said
    assert CODE not in said


# One wrong setting of each kind, with which an app starts.

STARTING: dict[str, tuple[dict[str, Any], Level, str, str, str]] = {
    "a misspelt setting": (
        {"WEBPUBSUB_ACCES_CODE": "x"},
        Level.WARNING,
        "WEBPUBSUB_ACCES_CODE",
        "does nothing",
        "WEBPUBSUB_ACCESS_CODE",
    ),
    "a setting of an older version": ({"WEBPUBSUB_FOO_BAR": 1}, Level.WARNING, "WEBPUBSUB_FOO_BAR", "nothing", "out"),
    "no AccessKey": (
        {"WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://{HOST};"},
        Level.PROBLEM,
        "WEBPUBSUB_CONNECTION_STRING",
        "no AccessKey",
        "Copy the whole connection string",
    ),
    "a placeholder for the key": (
        {"WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://{HOST};AccessKey=<key>;"},
        Level.PROBLEM,
        "WEBPUBSUB_CONNECTION_STRING",
        "placeholder",
        "Copy the key",
    ),
    "a placeholder for the host": (
        {"WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://<name>.webpubsub.azure.com;AccessKey={KEY};"},
        Level.PROBLEM,
        "WEBPUBSUB_CONNECTION_STRING",
        "placeholder",
        "Copy the connection string",
    ),
    "the host of the examples": (
        {"WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://example.webpubsub.azure.com;AccessKey={KEY};"},
        Level.PROBLEM,
        "WEBPUBSUB_CONNECTION_STRING",
        "placeholder",
        "Copy the connection string",
    ),
    "a service over plain HTTP": (
        {"WEBPUBSUB_CONNECTION_STRING": f"Endpoint=http://{HOST};AccessKey={KEY};"},
        Level.WARNING,
        "WEBPUBSUB_CONNECTION_STRING",
        "without TLS",
        f"https://{HOST}",
    ),
    "a host of one's own": (
        {"WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://push.shop.test;AccessKey={KEY};"},
        Level.WARNING,
        "WEBPUBSUB_CONNECTION_STRING",
        "push.shop.test is not one of Azure",
        "webpubsub.azure.com",
    ),
    "the development key for everywhere": (
        {
            "WEBPUBSUB_CONNECTION_STRING": DEVELOPMENT_CONNECTION_STRING,
            "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY": True,
        },
        Level.PROBLEM,
        "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY",
        "everybody knows",
        "Take it out",
    ),
    "unsigned events behind a code": (
        {"WEBPUBSUB_ALLOW_UNSIGNED": True},
        Level.WARNING,
        "WEBPUBSUB_ALLOW_UNSIGNED",
        "the access code is all",
        "WEBPUBSUB_CONNECTION_STRING",
    ),
    "unsigned events from anybody": (
        {"WEBPUBSUB_ALLOW_UNSIGNED": True, "WEBPUBSUB_ACCESS_CODE": None},
        Level.PROBLEM,
        "WEBPUBSUB_ALLOW_UNSIGNED",
        "everyone who can reach",
        "Take it out",
    ),
    "no access code": (
        {"WEBPUBSUB_ACCESS_CODE": None},
        Level.WARNING,
        "WEBPUBSUB_ACCESS_CODE",
        "No access code",
        "flask webpubsub code",
    ),
    "a short access code": (
        {"WEBPUBSUB_ACCESS_CODE": ["a-long-one-that-is-fine", "1234"]},
        Level.WARNING,
        "WEBPUBSUB_ACCESS_CODE",
        "can be guessed",
        "flask webpubsub code",
    ),
    "bodies smaller than messages": (
        {"WEBPUBSUB_MAX_BODY_BYTES": 1000},
        Level.WARNING,
        "WEBPUBSUB_MAX_BODY_BYTES",
        "413",
        "Raise it",
    ),
    "uploads smaller than messages": (
        {"MAX_CONTENT_LENGTH": 16 * 1024},
        Level.WARNING,
        "MAX_CONTENT_LENGTH",
        "16384 bytes is answered with 413",
        "Raise it",
    ),
    "states larger than headers": (
        {"WEBPUBSUB_MAX_STATE_BYTES": 8190},
        Level.WARNING,
        "WEBPUBSUB_MAX_STATE_BYTES",
        "431",
        "--limit-request-field_size",
    ),
}


@pytest.mark.parametrize("case", STARTING)
def test_a_wrong_setting_is_named_with_its_cure(config: dict[str, Any], case: str) -> None:
    changes, level, setting, what, cure = STARTING[case]
    if changes.get("WEBPUBSUB_ACCESS_CODE", CODE) is None and case == "unsigned events from anybody":
        changes = changes | {"WEBPUBSUB_CONNECTION_STRING": DEVELOPMENT_CONNECTION_STRING, "TESTING": True}
    app, _ = make_app(config | changes)

    finding = only(app)

    assert (finding.level, finding.setting) == (level, setting)
    assert what in finding.what
    assert cure in finding.cure


def test_the_development_key_is_fine_in_debug_mode(config: dict[str, Any]) -> None:
    app, _ = make_app(config | {"WEBPUBSUB_CONNECTION_STRING": DEVELOPMENT_CONNECTION_STRING, "DEBUG": True})

    assert not troubles(app)
    assert any("local emulator" in finding.what for finding in examine(app))


def test_an_app_on_this_machine_needs_no_access_code(config: dict[str, Any]) -> None:
    local = {"WEBPUBSUB_CONNECTION_STRING": "Endpoint=http://localhost:7080;AccessKey=mine;"}
    app, _ = make_app(config | local | {"WEBPUBSUB_ACCESS_CODE": None})

    assert not troubles(app)


def test_a_keyless_service_is_fine_where_its_identity_is_checked(config: dict[str, Any]) -> None:
    pytest.importorskip("cryptography", reason="the extra 'entra' is not installed")
    app, _ = make_app(config | ENTRA | {"WEBPUBSUB_CONNECTION_STRING": f"Endpoint=https://{HOST};"})

    assert not troubles(app)
    assert any("token of Microsoft Entra ID" in finding.what for finding in examine(app))


def test_the_handlers_of_a_keyless_connection_are_named(config: dict[str, Any]) -> None:
    app, wps = make_app(config | {"OTHER": f"Endpoint=https://other.webpubsub.azure.com;Other={KEY};"})
    wps.on_user_event("typing", connection="OTHER")(answer)

    finding = only(app)

    assert (finding.level, finding.setting) == (Level.PROBLEM, "OTHER")
    assert "tests.test_doctor.answer can not be reached" in finding.what
    assert KEY not in str(finding)


def test_a_connection_string_that_was_changed_after_the_start_is_read_again(config: dict[str, Any]) -> None:
    app, _ = make_app(config)
    app.config["WEBPUBSUB_CONNECTION_STRING"] = ""

    assert only(app).what == "WEBPUBSUB_CONNECTION_STRING holds nothing."


def test_a_handler_that_takes_unsigned_events_is_named(config: dict[str, Any]) -> None:
    app, wps = make_app(config | {"WEBPUBSUB_ACCESS_CODE": None})
    wps.on_connect(connection=None)(answer_connect)

    problem = next(finding for finding in troubles(app) if finding.level is Level.PROBLEM)

    assert problem.setting == "connection=None"
    assert "tests.test_doctor.answer_connect" in problem.what


def answer_connect() -> None:
    raise AssertionError("No check calls a handler.")


# With which an app does not start.

BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "unset": ({"WEBPUBSUB_CONNECTION_STRING": None}, "WEBPUBSUB_CONNECTION_STRING", "Set app.config["),
    "empty": ({"WEBPUBSUB_CONNECTION_STRING": ""}, "WEBPUBSUB_CONNECTION_STRING", "Set app.config["),
    "no-string": ({"WEBPUBSUB_CONNECTION_STRING": 1}, "WEBPUBSUB_CONNECTION_STRING", "Set app.config["),
    "nonsense": ({"WEBPUBSUB_CONNECTION_STRING": "x"}, "WEBPUBSUB_CONNECTION_STRING", "Copy the connection string"),
    "no-endpoint": ({"WEBPUBSUB_CONNECTION_STRING": "AccessKey=k"}, "WEBPUBSUB_CONNECTION_STRING", "Copy"),
    "development-key": (
        {"WEBPUBSUB_CONNECTION_STRING": DEVELOPMENT_CONNECTION_STRING},
        "WEBPUBSUB_CONNECTION_STRING",
        "Use your service's own connection string",
    ),
    "hub": ({"WEBPUBSUB_HUB": "my hub"}, "WEBPUBSUB_HUB", "It begins with a letter"),
    "no-hub": ({"WEBPUBSUB_HUB": None}, "WEBPUBSUB_HUB", "Set WEBPUBSUB_HUB, or hub="),
    "path": ({"WEBPUBSUB_PATH": "/"}, "WEBPUBSUB_PATH", "Set it to a path"),
    "empty-code": ({"WEBPUBSUB_ACCESS_CODE": ""}, "WEBPUBSUB_ACCESS_CODE", "Set it to a secret"),
    "code-is-key": ({"WEBPUBSUB_ACCESS_CODE": KEY}, "WEBPUBSUB_ACCESS_CODE", "Set it to a secret of its own"),
    "body": ({"WEBPUBSUB_MAX_BODY_BYTES": "1k"}, "WEBPUBSUB_MAX_BODY_BYTES", "Set it to a number of bytes"),
    "states": ({"WEBPUBSUB_MAX_STATE_BYTES": 0}, "WEBPUBSUB_MAX_STATE_BYTES", "Set it to a number of bytes"),
    "half-entra": ({"WEBPUBSUB_ENTRA_TENANT": "a"}, "WEBPUBSUB_ENTRA_AUDIENCE", "needs all of"),
    "tenant": (ENTRA | {"WEBPUBSUB_ENTRA_TENANT": "common"}, "WEBPUBSUB_ENTRA_TENANT", "Set it to the id"),
    "once": ({"WEBPUBSUB_ONCE_SECONDS": 0}, "WEBPUBSUB_ONCE_SECONDS", "Set it to a number of seconds"),
    "schema-errors": ({"WEBPUBSUB_SCHEMA_ERRORS": "no"}, "WEBPUBSUB_SCHEMA_ERRORS", "Set it to True or False"),
    "unsigned": ({"WEBPUBSUB_ALLOW_UNSIGNED": "yes"}, "WEBPUBSUB_ALLOW_UNSIGNED", "Set it to True or False"),
    "development": (
        {"WEBPUBSUB_CONNECTION_STRING": DEVELOPMENT_CONNECTION_STRING, "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY": 1},
        "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY",
        "Set it to True or False",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_keeps_an_app_from_starting_is_named_with_its_cure(config: dict[str, Any], case: str) -> None:
    changes, setting, cure = BROKEN[case]
    with pytest.raises(ConfigurationError) as raised:
        make_app(config | changes)

    finding = explain_start(raised.value)

    assert finding is not None
    assert (finding.level, finding.setting) == (Level.PROBLEM, setting)
    assert cure in finding.cure
    assert KEY not in str(finding)


def _unset_connection(wps: WebPubSub) -> None:
    wps.on_connect(connection="SHOP")(answer_connect)


def _two_handlers(wps: WebPubSub) -> None:
    wps.on_message(hub="CHAT")(answer)


def _wrong_argument(wps: WebPubSub) -> None:
    wps.on_connect(lambda reason: None)


def _twice(wps: WebPubSub) -> None:
    wps.init_app(next(iter(wps._apps)))


def _bad_hub(wps: WebPubSub) -> None:
    wps.on_connect(hub="-")(answer_connect)


@pytest.mark.parametrize(
    ("register", "setting", "what", "cure"),
    [
        (_unset_connection, "SHOP", "answer_connect is wrong. SHOP is not set.", "Set app.config['SHOP']"),
        (_two_handlers, "handlers", "has two handlers", "Take one out"),
        (_wrong_argument, "handlers", "reason", "It has: "),
        (_twice, "handlers", "has a WebPubSub extension already", "Call init_app once"),
        (_bad_hub, "handlers", "can not be the name of a hub", "It begins with a letter"),
    ],
    ids=["connection", "duplicate", "argument", "twice", "hub"],
)
def test_a_registration_that_fails_is_explained(
    config: dict[str, Any], register: Callable[[WebPubSub], None], setting: str, what: str, cure: str
) -> None:
    _, wps = make_app(config)
    with pytest.raises((ConfigurationError, RuntimeError, TypeError)) as raised:
        register(wps)

    finding = explain_start(raised.value)

    assert finding is not None
    assert finding.setting == setting
    assert what in finding.what
    assert cure in finding.cure


def test_an_error_of_the_app_itself_is_none_of_the_doctors() -> None:
    with pytest.raises(LookupError) as raised:
        raise LookupError("No database.")

    assert explain_start(raised.value) is None


# Handlers.


def test_an_app_without_the_extension_is_a_problem() -> None:
    finding = only(Flask("shop", root_path=ROOT_PATH))

    assert "does not have the extension" in finding.what
    assert "init_app(app)" in finding.cure


def test_an_app_without_handlers_is_a_problem(config: dict[str, Any]) -> None:
    app = Flask("shop", root_path=ROOT_PATH)
    app.config.update(config)
    WebPubSub(app)

    assert "no handlers" in only(app).what


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("shop_support")
    module.__file__ = f"{ROOT_PATH}/support.py"
    monkeypatch.setitem(sys.modules, "shop_support", module)
    return module


def test_a_hub_that_nobody_registered_is_a_problem(config: dict[str, Any], module: ModuleType) -> None:
    app, wps = make_app(config)
    module.hub = hub = Hub("support")  # type: ignore[attr-defined]
    assert not troubles(app)  # it is empty
    hub.on_message(answer)

    finding = only(app)

    assert (finding.level, finding.setting) == (Level.PROBLEM, "Hub('support')")
    assert finding.cure == "Call wps.register_hub(shop_support.hub)."
    wps.register_hub(hub)
    assert not troubles(app)


def test_an_extension_that_is_on_no_app_is_told(config: dict[str, Any], module: ModuleType) -> None:
    app, _ = make_app(config)
    module.wps = WebPubSub()  # type: ignore[attr-defined]

    finding = only(app)

    assert finding.level is Level.WARNING
    assert "shop_support.wps is not on the app 'shop'" in finding.what


@pytest.mark.parametrize(("name", "decorator"), [("connect", "on_connect"), ("Joined", "on_group_joined")])
def test_a_message_that_is_called_like_a_system_event_is_told(
    config: dict[str, Any], name: str, decorator: str
) -> None:
    app, wps = make_app(config)
    wps.on_user_event(name)(answer)

    assert f"@wps.{decorator}" in only(app).cure


@pytest.mark.parametrize("event_type", ["system", "presence"])
def test_an_event_that_the_service_does_not_send_is_told(config: dict[str, Any], event_type: str) -> None:
    app, wps = make_app(config)
    wps.trigger("conect", event_type=event_type)(answer_connect)

    finding = only(app)

    assert finding.setting == f"{event_type} event 'conect'"
    assert "Use one of" in finding.cure


def test_a_handler_that_two_others_hide_is_told(config: dict[str, Any]) -> None:
    app, wps = make_app(config)
    wps.on_message(client_protocols="mqtt")(answer)
    assert not troubles(app)
    wps.on_message(client_protocols="webPubSub")(answer)

    assert "never called" in only(app).what


# The way to the webhook.


def test_csrf_protection_in_the_way_is_a_problem(config: dict[str, Any]) -> None:
    csrf = pytest.importorskip("flask_wtf").CSRFProtect()
    app, wps = make_app(config | {"SECRET_KEY": "s"})
    csrf.init_app(app)

    finding = only(app)

    assert (finding.level, finding.setting) == (Level.PROBLEM, "CSRFProtect")
    assert "csrf.exempt(wps.blueprint)" in finding.cure
    csrf.exempt(wps.blueprint)
    assert not troubles(app)


def require_login() -> ResponseReturnValue:
    return redirect("/login")


def fail() -> None:
    raise LookupError("No database.")


@pytest.mark.parametrize(("function", "words"), [(require_login, "with 302"), (fail, "LookupError")])
def test_a_function_that_answers_first_is_a_problem(
    config: dict[str, Any], function: Callable[[], Any], words: str
) -> None:
    app, _ = make_app(config | {"TESTING": True})
    app.before_request(function)

    findings = troubles(app)

    assert {finding.setting for finding in findings} == {"before_request"}
    assert any(words in finding.what for finding in findings)
    assert all(f"tests.test_doctor.{function.__name__}" in finding.cure for finding in findings)


def test_a_middleware_that_answers_first_is_a_problem(config: dict[str, Any]) -> None:
    app, _ = make_app(config)

    def middleware(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("503 Closed", [])
        return iter([b""])

    app.wsgi_app = middleware  # type: ignore[method-assign]

    assert {finding.setting for finding in troubles(app)} == {"wsgi_app"}


def test_an_answer_that_is_changed_on_its_way_out_is_told(config: dict[str, Any]) -> None:
    app, _ = make_app(config)

    @app.after_request
    def friendly(response: Any) -> Any:
        response.status_code = 200
        return response

    assert "leaves the app with 200 instead of 401" in only(app).what


def test_another_route_at_the_path_is_a_problem(config: dict[str, Any]) -> None:
    app = Flask("shop", root_path=ROOT_PATH)
    app.config.update(config)
    app.add_url_rule("/runtime/webhooks/webpubsub", "mine", lambda: "", methods=["POST"])
    WebPubSub(app).on_message(answer)

    finding = only(app)

    assert finding.setting == "WEBPUBSUB_PATH"
    assert "'mine'" in finding.what


@pytest.mark.parametrize(
    "changes",
    [
        {"TRUSTED_HOSTS": [".shop.test"]},
        {"SERVER_NAME": "shop.test"},
        {"SERVER_NAME": "shop.test:8000", "APPLICATION_ROOT": "/app"},
        {"WEBPUBSUB_PATH": "/events"},
    ],
    ids=["trusted-hosts", "server-name", "application-root", "path"],
)
def test_an_app_that_is_particular_about_its_address_is_right(config: dict[str, Any], changes: dict[str, Any]) -> None:
    app, _ = make_app(config | changes)

    assert not troubles(app)


def test_an_app_that_insists_on_https_is_right(config: dict[str, Any]) -> None:
    from flask import request

    app, _ = make_app(config)

    @app.before_request
    def insist() -> ResponseReturnValue | None:
        return None if request.is_secure else redirect(request.url.replace("http", "https", 1))

    assert not troubles(app)


def test_the_checks_leave_no_line_in_the_log(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    app, _ = make_app(config)

    list(examine(app))

    assert not caplog.messages


# The page.


def test_the_doctor_knows_every_setting_that_is_documented() -> None:
    page = (DOCS / "configuration.rst").read_text()
    documented = set(re.findall(r"^\.\. py:data:: (WEBPUBSUB_[A-Z_]+)$", page, re.MULTILINE))

    assert documented - SETTINGS == set(), "Add it to SETTINGS of the module doctor."


def test_the_page_on_troubleshooting_has_a_section_for_each_check() -> None:
    page = (DOCS / "troubleshooting.rst").read_text()

    assert re.findall(r"^\.\. _check-([a-z-]+):$", page, re.MULTILINE) == [*CHECKS, "deployed"]
