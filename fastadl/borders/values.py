"""Single values on their way in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from fastadl.decimals import exact
from fastadl.errors import InputError
from fastadl.io.table import is_text

__all__ = ["Path", "fields", "listed", "needed", "number", "text"]

Path = tuple[str | int, ...]


def fields(given: Any, path: Path) -> Mapping[str, Any]:
    """What must be a mapping."""
    if not isinstance(given, Mapping):
        raise InputError(path, type(given).__name__, "give a mapping of names to values")
    return given


def listed(given: Any, path: Path, remedy: str) -> list[Any]:
    """What must be several of something."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InputError(path, given, remedy)
    return list(given)


def needed(given: Mapping[str, Any], name: str, path: Path, remedy: str) -> Any:
    """A field that must not be missing or None."""
    value = given.get(name)
    if value is None:
        raise InputError((*path, name), None if name in given else "missing", remedy)
    return value


def number(value: Any, path: Path) -> Fraction:
    """An exact number in any spelling of rule R75."""
    try:
        return exact(value)
    except ValueError as error:
        raise InputError(path, value, str(error)) from None


def text(value: Any, path: Path, remedy: str) -> str:
    """A text that is not empty, and that files can hold."""
    if not is_text(value) or not value:
        raise InputError(path, value, remedy)
    return str(value)
