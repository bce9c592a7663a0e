"""What every command prints with and is given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Annotated, Any, NoReturn, Protocol, TypeAlias

import msgspec
from cyclopts import Parameter
from rich.console import Console

from fastadl.errors import InputError

__all__ = ["Flag", "Several", "check_page", "console", "print_json", "tell"]

Flag: TypeAlias = Annotated[bool, Parameter(negative="")]
Several: TypeAlias = Annotated[list[str] | None, Parameter(negative="")]


class Result(Protocol):
    """What came of a run."""

    def to_dict(self) -> dict[str, Any]:
        """The result as one object."""


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Where tables go, or progress."""
    return _Console(stderr=stderr)


def print_json(result: dict[str, Any]) -> None:
    """One object, on one line."""
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")


def check_page(file: str) -> None:
    """Refuse now a page that could not be drawn, or written, when a long run is over."""
    from fastadl import io

    for package in ("altair", "vl_convert"):
        if find_spec(package) is None:
            raise InputError(("html",), file, f'pip install "fastadl[lab]" brings {package}, which draws it')
    io.check_file(file)


def tell(
    result: Result,
    show: Callable[[Any, Console], None],
    write: Callable[[Any, str], None],
    *,
    json: bool,
    html: str | None,
) -> None:
    """Print what came of a run, as one object or by `show`, then `write` its page, which may fail."""
    from fastadl.stress.run import uninterrupted

    if json:
        print_json(result.to_dict())
    else:
        show(result, console())
    if html is not None:
        with suppress(KeyboardInterrupt), uninterrupted():  # what is done is worth the moment it takes
            write(result, html)
