"""``flask webpubsub check``."""

from __future__ import annotations

import click
from flask.cli import ScriptInfo, pass_script_info

from .loading import verify_url


@click.command()
@click.option("--url", callback=verify_url, help="Also ask the app that is deployed there, as the service would.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@pass_script_info
def check(info: ScriptInfo, url: str | None, as_json: bool) -> None:
    """Look for what keeps events from the app.

    Reads its configuration and its handlers, and sends a forged event through the app itself. No handler is called.

    With --url, the deployed app is asked for validation, and a signed and a forged event of a hub that does not exist
    are sent to it.

    The exit status is 1 if there is a problem, and 2 if the app can not be loaded at all.
    """
    from .checking import check_app  # the other commands of 'flask' do without

    click.get_current_context().exit(check_app(info, url, as_json=as_json))
