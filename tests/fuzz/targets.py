"""Everything that is fuzzed: how an input is made, and what must hold of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from . import equality, identity, results, sending, texts, webhook
from .literals import read_literal, write_literal

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed.

    :param make: makes an input, by the decisions of a source.
    :param check: raises whatever it likes if something is wrong with an input.
    :param share: how many of a thousand inputs it gets.
    """

    name: str
    make: Callable[[Random], Any]
    check: Callable[[Any], None]
    share: int

    @property
    def corpus(self) -> list[Path]:
        """The inputs that are kept: what was found, and what is worth trying each time."""
        return sorted((CORPUS / self.name).glob("*.txt"))

    def replay(self, path: Path) -> None:
        """Check an input that was kept."""
        self.check(read_literal(path.read_text("utf-8")))

    def save(self, value: Any, name: str, folder: Path = CORPUS) -> Path:
        """Keep an input."""
        path = folder / self.name / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(write_literal(value), "utf-8")
        return path


TARGETS = {
    target.name: target
    for target in (
        Target("webhook", webhook.make, webhook.check, 450),
        Target("equality", equality.make, equality.check, 150),
        Target("results", results.make, results.check, 150),
        Target("states", texts.make_states, texts.check_states, 60),
        Target("signature", texts.make_signature, texts.check_signature, 60),
        Target("code", texts.make_code, texts.check_code, 40),
        Target("connection_string", texts.make_connection_string, texts.check_connection_string, 40),
        Target("actions", sending.make, sending.check, 30),
        Target("identity", identity.make, identity.check, 20),
    )
}
