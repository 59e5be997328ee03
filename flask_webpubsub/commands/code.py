"""``flask webpubsub code``."""

from __future__ import annotations

from secrets import token_hex

import click


@click.command()
def code() -> None:
    """Make an access code.

    It is a second secret beside the signature, for WEBPUBSUB_ACCESS_CODE. Standard output has the code and nothing
    else.
    """
    click.echo(token_hex(32))
    click.echo(
        "Set it as WEBPUBSUB_ACCESS_CODE, where your app's other secrets are, and then give Azure the URL that "
        "'flask webpubsub url --show-code' prints.",
        err=True,
    )
