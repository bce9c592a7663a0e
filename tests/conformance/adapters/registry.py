"""Cases, and who works on them: one adapter for each `model` (of peers) or `kind` (of venues)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Adapter", "Case", "kind", "model", "read"]

#: From a case to what the library finds, in the form of the case's `expected`.
Adapter: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

_MODELS: dict[str, Adapter] = {}
_KINDS: dict[str, Adapter] = {}


@dataclass(frozen=True)
class Case:
    """One case of a file; its decimals are `Decimal`, so that their printed places are known."""

    data: dict[str, Any]
    number: int

    @property
    def id(self) -> str:
        return str(self.data.get("id", self.number))

    @property
    def is_target(self) -> bool:
        return self.data.get("target", True) is not False

    @property
    def about(self) -> str:
        """What it is a case of; that of a peer names a model, and its kind only says where it comes from."""
        what = "model" if "model" in self.data else "kind"
        return f"{what} {self.data.get(what)!r}"

    @property
    def known(self) -> dict[str, Adapter]:
        """Adapters of its form."""
        return _MODELS if "model" in self.data else _KINDS

    def adapter(self) -> Adapter | None:
        """Who works on it, if anybody does."""
        name = self.data["model"] if "model" in self.data else self.data.get("kind")
        return self.known.get(str(name))


def model(*names: str) -> Callable[[Adapter], Adapter]:
    """Register the adapter of a peer's model."""
    return _register(_MODELS, names)


def kind(*names: str) -> Callable[[Adapter], Adapter]:
    """Register the adapter of a kind of venue case."""
    return _register(_KINDS, names)


def _register(known: dict[str, Adapter], names: tuple[str, ...]) -> Callable[[Adapter], Adapter]:
    def register(adapter: Adapter) -> Adapter:
        for name in names:
            assert name not in known, f"two adapters for {name}"
            known[name] = adapter
        return adapter

    return register


def read(file: Path) -> Iterator[Case]:
    """The cases of a file ``{"cases": [...]}``.

    Raises
    ------
    ValueError
        If it is not such a file.
    """
    try:
        cases = json.loads(file.read_text("utf-8"), parse_float=Decimal)["cases"]
    except (OSError, TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f'{file}: give a JSON file {{"cases": [...]}} ({error!r})') from None
    if not isinstance(cases, list) or not all(isinstance(each, dict) for each in cases):
        raise ValueError(f"{file}: cases is not a list of objects")
    yield from (Case(each, number) for number, each in enumerate(cases))
