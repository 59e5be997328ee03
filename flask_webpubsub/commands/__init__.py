"""The commands of ``flask webpubsub`` beside ``dev``, one module for each."""

from __future__ import annotations

from collections.abc import Sequence

import click

from .check import check
from .code import code
from .send import send
from .triggers import triggers
from .url import url

#: To be added to the group.
COMMANDS: Sequence[click.Command] = (triggers, url, send, check, code)
