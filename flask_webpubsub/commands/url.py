"""``flask webpubsub url``."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import ScriptInfo, pass_script_info

from ..dispatch import Dispatcher
from ..errors import ConfigurationError
from ..provisioning import HubSetting, azure_command, hub_settings, quote_code, url_template
from .loading import load_dispatcher

_PLACEHOLDER = "https://<your app>"


def _verify_base_url(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    if url is not None:
        from ..emulator.handlers import verify_template  # only who asks for it needs it

        try:
            verify_template(url)
        except ConfigurationError as error:
            raise click.BadParameter(str(error)) from error
    return url


@click.command()
@click.option(
    "--base-url",
    metavar="URL",
    callback=_verify_base_url,
    help="Where the app is deployed, such as https://shop.example.com.",
)
@click.option("--show-code", is_flag=True, help="Print the access code too. It is a secret.")
@pass_script_info
def url(info: ScriptInfo, base_url: str | None, show_code: bool) -> None:
    """Show what to enter in Azure.

    Prints the URL of the app's webhook, and for each hub the command that sets it as the hub's event handler, with the
    events that the app has handlers for.
    """
    app, dispatcher = load_dispatcher(info)
    template = url_template(_base_url(app, base_url), dispatcher.settings.path, _code(dispatcher, show_code))
    click.echo(f"URL template of the event handler:\n\n{template}")
    if "<your app>" in template:
        click.echo("\nSay where the app is deployed with --base-url.")
    settings = hub_settings(dispatcher.handlers)
    if not settings:
        click.echo("\nNo handlers are registered: there is no hub to set.")
    for setting in settings:
        _print_setting(setting, template, _audience(dispatcher))
    if settings:
        click.echo("\nFor a hub that has settings already, write 'update' instead of 'create'.")
    _print_advice(dispatcher, show_code)


def _base_url(app: Flask, given: str | None) -> str:
    if given is not None:
        return given.rstrip("/")
    name = app.config.get("SERVER_NAME")
    if not name:
        return _PLACEHOLDER
    return f"https://{name}{app.config['APPLICATION_ROOT']}".rstrip("/")


def _code(dispatcher: Dispatcher, show: bool) -> str | None:
    codes = dispatcher.settings.access_codes
    if not codes:
        return None
    return quote_code(codes[0]) if show else "<your access code>"


def _audience(dispatcher: Dispatcher) -> str | None:
    """What tokens of Microsoft Entra ID are for: its URI, where a client id stands beside it."""
    entra = dispatcher.settings.entra
    if entra is None:
        return None
    return next((audience for audience in entra.audiences if "://" in audience), entra.audiences[0])


def _print_setting(setting: HubSetting, template: str, audience: str | None) -> None:
    where = f" of {setting.resource}" if setting.resource else ""
    click.echo(f"\nHub {setting.hub}{where}:\n")
    click.echo(azure_command(setting, template, audience))
    if setting.presence_events:
        names = " and ".join(setting.presence_events)
        click.echo(f"\nThis hub also wants the group presence events {names}, a preview: set them in the portal.")


def _print_advice(dispatcher: Dispatcher, show_code: bool) -> None:
    if not dispatcher.settings.access_codes:
        click.echo("\nThe app asks for no access code. Make one with 'flask webpubsub code'.")
    elif show_code:
        click.secho("\nThe URL holds the access code: keep it out of logs and tickets.", fg="yellow", err=True)
    else:
        click.echo("\nTo have the access code in it: --show-code.")
