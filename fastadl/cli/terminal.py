"""What every command prints with and is given."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Annotated, Any, NoReturn, TypeAlias

import msgspec
from cyclopts import Parameter
from rich.console import Console

from fastadl import io
from fastadl.errors import InputError

__all__ = ["Flag", "Several", "check_page", "console", "print_json"]

Flag: TypeAlias = Annotated[bool, Parameter(negative="")]
Several: TypeAlias = Annotated[list[str] | None, Parameter(negative="")]


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
    for package in ("altair", "vl_convert"):
        if find_spec(package) is None:
            raise InputError(("html",), file, f'pip install "fastadl[lab]" brings {package}, which draws it')
    io.check_file(file)
