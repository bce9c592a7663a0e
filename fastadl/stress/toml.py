"""Tables as the text of a TOML file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["written"]

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def written(tables: Mapping[str, Any]) -> str:
    """The text that `tomllib.loads` turns into these tables.

    Parameters
    ----------
    tables : mapping
        Of str to text, whole numbers, floats, booleans, lists of them, and mappings of the same kind.

    Examples
    --------
    >>> print(written({"seeds": [1, 2], "book": {"shape": "pareto"}}), end="")
    seeds = [1, 2]
    <BLANKLINE>
    [book]
    shape = "pareto"
    """
    return "\n".join(_lines(tables, ())).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    if path and (len(inner) < len(table) or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in inner.items():
        yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE.match(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_value(inner)}' for key, inner in value.items())} }}"
    return str(value).lower() if isinstance(value, bool) else repr(value)
