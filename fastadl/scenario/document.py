"""The shape of a scenario file (section 6 of the rules): which fields there are, and of which type.

Values are checked where they are used: numbers, references and duplicates by `fastadl.io`, choices by
`fastadl.policy`, prices and times by `fastadl.scenario.run`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fastadl.decimals import plain
from fastadl.errors import InputError
from fastadl.policy.choices import nearest
from fastadl.scenario.text import Path
from fastadl.schema import SUM_BOUND

__all__ = ["Document", "json_text", "read", "tables"]

#: A decimal: a text, or an integer.
Number: TypeAlias = str | int


class _Fields(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An object of the file; whatever is not named is refused."""


class _Currency(_Fields, frozen=True):
    code: str = "USD"
    decimals: Annotated[int, Meta(ge=0, le=12)] = 6


class _Tier(_Fields, frozen=True):
    min_notional: Number
    maintenance_rate: Number
    deduction: Number | UnsetType = UNSET
    max_leverage: Number | UnsetType = UNSET


class _Instrument(_Fields, frozen=True):
    symbol: str
    kind: str
    contract_size: Number
    lot: Number
    tiers: Annotated[list[_Tier], Meta(min_length=1)]
    mark: Number | None = None


class _Account(_Fields, frozen=True):
    id: str
    cash: Number
    owner: str | UnsetType = UNSET
    margin_mode: str = "cross"
    adl_tier: Annotated[int, Meta(ge=0, le=255)] = 0


class _Position(_Fields, frozen=True):
    account: str
    symbol: str
    qty: Number
    entry_price: Number | UnsetType = UNSET
    entry_value: Number | UnsetType = UNSET


class _Tick(_Fields, frozen=True):
    marks: dict[str, Any]
    oracle: dict[str, Any] | UnsetType = UNSET
    time: Annotated[int, Meta(ge=0, le=SUM_BOUND)] | UnsetType = UNSET


class Document(_Fields, frozen=True):
    """A whole scenario file."""

    instruments: list[_Instrument]
    accounts: list[_Account]
    positions: list[_Position]
    ticks: list[_Tick]
    name: str = ""
    note: str = ""
    currency: _Currency = _Currency()
    fund: dict[str, Any] | None = None
    policy: str | dict[str, Any] = "bitmex"
    liquidity: dict[str, Any] | None = None


_OBJECTS: dict[Path, type[_Fields]] = {
    (): Document,
    ("currency",): _Currency,
    ("instruments",): _Instrument,
    ("instruments", "tiers"): _Tier,
    ("accounts",): _Account,
    ("positions",): _Position,
    ("ticks",): _Tick,
}

_MESSAGE = re.compile(r"(?P<text>.*?)(?: - at `\$(?P<where>.*)`)?\Z", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_FIELD = re.compile(r"Object (missing|contains).* field `(.*)`", re.DOTALL)
_WORDS = {
    "`int | str | null`": 'a decimal text such as "12.5", or null',
    "`int | str`": 'a decimal text such as "12.5", or an integer',
    "`str | object`": "a text or an object",
    "`object | null`": "an object or null",
    "`array`": "a list",
    "`object`": "an object",
    "`str`": "a text",
    "`int`": "an integer",
}


def read(tree: Any) -> Document:
    """The document a plain tree holds.

    Raises
    ------
    InputError
        At a field that is unknown, missing, null or of the wrong type.
    """
    try:
        return msgspec.convert(tree, Document)
    except msgspec.ValidationError as error:
        raise _refusal(tree, str(error)) from None


def tables(document: Document) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Instruments, accounts and positions as columns of texts, ready for `fastadl.io.tables`."""
    instruments, accounts = document.instruments, document.accounts
    return (
        {
            **_columns(instruments, ("symbol", "kind", "contract_size", "lot", "mark")),
            "tiers": [[_tier(tier) for tier in item.tiers] for item in instruments],
        },
        {
            **_columns(accounts, ("id", "cash", "owner", "margin_mode")),
            "adl_tier": [account.adl_tier for account in accounts],
        },
        _columns(document.positions, ("account", "symbol", "qty", "entry_price", "entry_value")),
    )


def _columns(rows: list[Any], names: tuple[str, ...]) -> dict[str, list[str | None]]:
    return {name: [_cell(getattr(row, name)) for row in rows] for name in names}


def _cell(value: object) -> str | None:
    return None if value is None or value is UNSET else str(value)


def _tier(tier: _Tier) -> dict[str, str]:
    cells = ((name, _cell(getattr(tier, name))) for name in tier.__struct_fields__)
    return {name: cell for name, cell in cells if cell is not None}


def _refusal(tree: Any, message: str) -> InputError:
    """What msgspec says, as an error of ours."""
    match = _MESSAGE.match(message)
    text, where = (match["text"], match["where"] or "") if match else (message, "")
    path: Path = tuple(name or int(index) for name, index in _STEP.findall(where))
    value = tree
    for part in path:
        value = value[part]
    field = _FIELD.match(text)
    if field is None:
        expected = text.removeprefix("Expected ").partition(", got ")[0]
        for theirs, ours in _WORDS.items():
            expected = expected.replace(theirs, ours)
        return InputError(path, json_text(value), f"give {expected}")
    name = field[2]
    if field[1] == "missing":
        return InputError((*path, name), "missing", "this field is required")
    known = _OBJECTS[tuple(part for part in path if isinstance(part, str))].__struct_fields__
    return InputError((*path, name), json_text(value[name]), f"no such field{nearest(name, known)}")


def json_text(value: object) -> str:
    """A value as the file spells it; a text without its quotes."""
    value = plain(value) if isinstance(value, Fraction) else value
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
