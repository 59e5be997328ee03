"""Classes of named values: dataclasses whose methods are not generated anew for each class.

To generate ``__repr__`` and ``__eq__`` of forty classes would be a tenth of what importing the package costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


class Record:
    """The base of dataclasses that are shown and compared as dataclasses are."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        names = [item.name for item in fields(self) if item.compare]  # type: ignore[arg-type]
        return all(getattr(self, name) == getattr(other, name) for name in names)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def read_only(cls: type[T]) -> type[T]:
    """Make a dataclass to whose objects nobody writes: type checkers refuse it.

    At run time it is a plain one, as freezing it would cost each of its objects a microsecond.
    """
    return dataclass(eq=False, repr=False)(cls)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def read_only_by_name(cls: type[T]) -> type[T]:
    """The same, for a class whose values are given by name."""
    return dataclass(eq=False, repr=False, kw_only=True)(cls)
