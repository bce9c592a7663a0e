"""From the text of a scenario file to a tree of plain JSON values, losing nothing that must be refused."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

from fastadl.errors import InputError

__all__ = ["Path", "Unquoted", "assign", "decode", "plain_tree"]

#: Where a value stands in a tree, outermost first.
Path: TypeAlias = tuple[str | int, ...]

_LONGEST_INT = 400
_DEEPEST = 16


class Unquoted:
    """A number that only a text can carry exactly: with a point or exponent, NaN, or far too long."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class _Repeated(dict[str, Any]):
    """An object one of whose keys was given twice."""

    twice: str


def decode(text: str, format: str) -> Any:
    """Parse JSON or TOML.

    Parameters
    ----------
    text : str
    format : {"json", "toml"}

    Returns
    -------
    object
        Dicts, lists, texts, integers, booleans, None, and `Unquoted` for every other number.

    Raises
    ------
    InputError
        If the text is malformed (naming line and column), nested too deeply, or gives a key twice.
    """
    try:
        tree = _toml(text) if format == "toml" else _json(text, Unquoted)
        for path, value in _walk(tree):
            if isinstance(value, _Repeated):
                raise InputError((*path, value.twice), "given twice", "give every key once")
    except json.JSONDecodeError as error:
        raise InputError((), f"line {error.lineno}, column {error.colno}", f"not JSON: {error.msg}") from None
    except RecursionError:
        raise InputError((), "nested lists or objects", f"nest at most {_DEEPEST} deep") from None
    return tree


def plain_tree(value: Any, path: Path = ()) -> Any:
    """A copy of a tree of which every value is plain JSON without fractions.

    Raises
    ------
    InputError
        At a number with a point or exponent, text that is not Unicode, or a value JSON does not know.
    """
    if isinstance(value, (Unquoted, float)):
        raise InputError(path, repr(value), 'write it as a decimal text, such as "12.5"')
    if isinstance(value, str):
        _refuse_surrogates(value, path)
        return value
    if value is None or isinstance(value, (bool, int)):
        return value
    if not isinstance(value, (dict, list, tuple)):
        raise InputError(path, value, "give a text, integer, list, object, true, false or null")
    if len(path) >= _DEEPEST:
        raise InputError(path[:4], "nested lists or objects", f"nest at most {_DEEPEST} deep")
    if not isinstance(value, dict):
        return [plain_tree(item, (*path, i)) for i, item in enumerate(value)]
    for key in value:
        if not isinstance(key, str):
            raise InputError(path, key, "name every field by a text")
        _refuse_surrogates(key, path)
    return {key: plain_tree(item, (*path, key)) for key, item in value.items()}


def assign(tree: Any, assignment: str) -> None:
    """Replace one field in place: ``path=value`` (rule R69).

    Parameters
    ----------
    tree : dict
        A whole scenario.
    assignment : str
        Dots between keys, integers index lists. The value is JSON, or else text; a number with a point stays
        the text it is.

    Raises
    ------
    InputError
        If the path leads nowhere.
    """
    where, found, text = assignment.partition("=")
    keys = where.split(".")
    if not found or not all(keys):
        raise InputError(("--set",), assignment, "write path=value with dots between keys (rule R69)")
    if keys[0] == "policy" and len(keys) > 1 and isinstance(tree, dict):
        _open_policy(tree)
    parent: Any = tree
    path: Path = ()
    for key in keys[:-1]:
        place, path = _place(parent, key, path)
        if isinstance(parent, dict) and parent.get(key) is None:
            parent[key] = {}
        parent = parent[place]
    place, path = _place(parent, keys[-1], path)
    parent[place] = _value(text, path)


def _place(parent: Any, key: str, path: Path) -> tuple[Any, Path]:
    """The key or index to use on `parent`, and the path to what stands there."""
    if isinstance(parent, dict):
        return key, (*path, key)
    if not isinstance(parent, list):
        raise InputError(
            path, parent, f"this is no object or list: nothing called {key} can be set in it (rule R69)"
        )
    if not (key.isascii() and key.isdecimal() and len(key) < 10 and int(key) < len(parent)):
        raise InputError((*path, key), key, f"index the list of {len(parent)} from 0 (rule R69)")
    return int(key), (*path, int(key))


def _open_policy(tree: dict[str, Any]) -> None:
    """Make a policy given by name an object, so that one choice can be set in it (rule R69)."""
    policy = tree.get("policy")
    if policy is None or isinstance(policy, str):
        tree["policy"] = {"preset": "bitmex" if policy is None else policy}


def _value(text: str, path: Path) -> Any:
    try:
        value = _json(text, str)
        if any(isinstance(item, _Repeated) for _, item in _walk(value)):
            raise InputError(path, text, "give every key once")
    except json.JSONDecodeError:
        return text
    except RecursionError:
        raise InputError(path, text, f"nest at most {_DEEPEST} deep") from None
    return value


def _json(text: str, unquoted: type[str] | type[Unquoted]) -> Any:
    return json.loads(
        text,
        object_pairs_hook=_object,
        parse_float=unquoted,
        parse_constant=unquoted,
        parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INT else unquoted(digits),
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    repeated = _Repeated(plain)
    repeated.twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
    return repeated


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text, parse_float=Unquoted)
    except ValueError as error:  # malformed, or an integer longer than Python reads
        raise InputError((), "the text", f"not TOML: {error}") from None


def _walk(value: Any) -> Iterator[tuple[Path, Any]]:
    """Every value of a tree, with its path."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, i), item) for i, item in enumerate(value)]


def _refuse_surrogates(text: str, path: Path) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError(path, ascii(text), "give text of whole Unicode characters, no lone surrogates")
