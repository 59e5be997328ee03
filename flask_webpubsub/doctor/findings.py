"""What the doctor finds, and the words that it is said in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..settings import CONNECTION_KEY

PATH_KEY = "WEBPUBSUB_PATH"
CODE_KEY = "WEBPUBSUB_ACCESS_CODE"
BODY_KEY = "WEBPUBSUB_MAX_BODY_BYTES"
STATE_KEY = "WEBPUBSUB_MAX_STATE_BYTES"
UNSIGNED_KEY = "WEBPUBSUB_ALLOW_UNSIGNED"
DIRECT_KEY = "WEBPUBSUB_DIRECT"

#: Every setting that there is.
SETTINGS = {
    CONNECTION_KEY,
    "WEBPUBSUB_HUB",
    PATH_KEY,
    CODE_KEY,
    BODY_KEY,
    STATE_KEY,
    UNSIGNED_KEY,
    "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY",
    "WEBPUBSUB_SCHEMA_ERRORS",
    "WEBPUBSUB_ONCE",
    "WEBPUBSUB_ONCE_STORE",
    "WEBPUBSUB_ONCE_SECONDS",
    DIRECT_KEY,
    "WEBPUBSUB_ENTRA_TENANT",
    "WEBPUBSUB_ENTRA_AUDIENCE",
    "WEBPUBSUB_ENTRA_IDENTITIES",
    "WEBPUBSUB_SKIP_SESSION",
}


class Level(StrEnum):
    """How bad a finding is. With a problem, events do not come, or come from anybody."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found.

    :param setting: the key in ``app.config``, the decorator or the option that it is about.
    :param what: what is so, as a sentence.
    :param cure: what to change; empty where nothing needs to be.
    """

    level: Level
    setting: str
    what: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.level.value}: {self.setting}: {self.what}" + (f" {self.cure}" if self.cure else "")


def list_names(items: Iterable[str]) -> str:
    """Names as a sentence has them: with commas, and ``and`` before the last."""
    names = list(items)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"


def count(number: int, noun: str) -> str:
    """A number with its noun, in the singular or the plural."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
