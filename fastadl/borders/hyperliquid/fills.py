"""Lines of JSON to fills, exactly."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn, TypeGuard

from fastadl.borders.hyperliquid.universe import CURRENCY, DECIMALS
from fastadl.borders.values import needed, number, text
from fastadl.errors import BoundsError, InputError

__all__ = ["MOST", "Fill", "Source", "read"]

Source = str | os.PathLike[str] | Iterable[str | bytes | Mapping[str, Any] | list[Any]]

#: The most USDC that a fill, or what fills add up to, may be worth (rule R1).
MOST = 2**53 // 10**DECIMALS
_SIGNS = {"B": 1, "A": -1}
#: How coins begin that are no perpetuals: spot pairs, and outcomes, which are paid for in full.
_SPOT = ("@", "#")
_FORMS = (
    "give [user, fill], an object of a fill with its user, or a block with its events, as a node writes them"
)


@dataclass(frozen=True, slots=True)
class Fill:
    """One side of a trade of a perpetual; two are equal if they say the same, wherever they stand.

    Attributes
    ----------
    line : int
        Where it stands, from 1.
    user, coin : str
    time : int
        Milliseconds of the epoch.
    tid : int or None
    size : Fraction
        Bought, or sold if negative.
    price, start, closed_pnl, fee : Fraction
        `start` is the position before the fill; `closed_pnl` leaves the fee out.
    """

    line: int = field(compare=False)
    user: str
    coin: str
    time: int
    tid: int | None
    size: Fraction
    price: Fraction
    start: Fraction
    closed_pnl: Fraction
    fee: Fraction


def read(source: Source) -> Iterator[Fill | None]:
    """Fills in the order given, None for one of a spot pair or an outcome, whose balances are no positions.

    Parameters
    ----------
    source : path, or iterable of lines or of what they hold
        A line is ``[user, fill]``, a fill with its ``user``, or a block whose ``events`` are such pairs;
        empty ones are left out.

    Raises
    ------
    InputError
        Naming the file, if there is one, and line, field, value and remedy.
    """
    if not isinstance(source, (str, os.PathLike)):
        if not isinstance(source, Iterable):
            raise InputError(("source",), source, "give a file, or its lines")
        yield from _fills(source)
        return
    name = os.fspath(source)
    try:
        with open(name, "rb") as lines:
            yield from _fills(lines)
    except InputError as error:
        raise error.within(name) from None
    except (OSError, ValueError) as error:  # a name with a NUL is the latter
        raise InputError((), getattr(error, "strerror", str(error)), "give a readable file", name) from None


def _fills(lines: Iterable[Any]) -> Iterator[Fill | None]:
    for line, given in enumerate(lines, 1):
        if isinstance(given, (str, bytes)):
            if not given.strip():
                continue
            given = _parsed(given, line)
        for user, fill in _events(given, line):
            yield _fill(user, fill, line)


def _parsed(text: str | bytes, line: int) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(("fills", line), str(error), "give one JSON value a line") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _events(given: Any, line: int) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """User and fill of what one line holds."""
    if isinstance(given, Mapping) and "events" in given:
        events = given["events"]
    elif isinstance(given, Mapping):
        events = [[given.get("user"), given]]
    else:
        events = [given]
    for event in events if isinstance(events, list) else [events]:
        if not isinstance(event, list) or len(event) != 2 or not isinstance(event[1], Mapping):
            raise InputError(("fills", line), event, _FORMS)
        yield event[0], event[1]


def _fill(user: Any, fill: Mapping[str, Any], line: int) -> Fill | None:
    user = text(user, ("fills", line, "user"), "give the user's address")
    coin = text(fill.get("coin"), ("fills", line, "coin"), "give the coin's name")
    if coin.startswith(_SPOT) or "/" in coin:
        return None
    time, tid, side = (fill.get(name) for name in ("time", "tid", "side"))
    if not _is_whole(time):
        raise InputError(("fills", line, "time"), time, "give milliseconds as an integer")
    if tid is not None and not _is_whole(tid):
        raise InputError(("fills", line, "tid"), tid, "give the trade's id as an integer, or leave it out")
    if not isinstance(side, str) or side not in _SIGNS:
        raise InputError(("fills", line, "side"), side, "give B of a buy or A of a sale")
    token = fill.get("feeToken", CURRENCY)
    if token != CURRENCY:
        remedy = f"leave out coins that settle in another currency than {CURRENCY}"
        raise InputError(("fills", line, "feeToken"), token, remedy)
    price, size, start, pnl, fee = (
        number(needed(fill, name, ("fills", line), "every fill states it"), ("fills", line, name))
        for name in ("px", "sz", "startPosition", "closedPnl", "fee")
    )
    for name, value in (("px", price), ("sz", size)):
        if value <= 0:
            raise InputError(("fills", line, name), fill[name], "give a number above 0")
    for name, worth in (("sz", price * (size + abs(start))), ("closedPnl", abs(pnl)), ("fee", abs(fee))):
        if worth > MOST:
            raise BoundsError(
                ("fills", line, name), fill[name], f"give what is worth at most {MOST} {CURRENCY}"
            )
    return Fill(line, user, coin, time, tid, _SIGNS[side] * size, price, start, pnl, fee)


def _is_whole(value: Any) -> TypeGuard[int]:
    """Whether it is an integer of 64 bits."""
    return type(value) is int and -(2**63) <= value < 2**63
