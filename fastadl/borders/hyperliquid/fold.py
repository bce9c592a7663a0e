"""Fills to positions, and where a fill says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from math import floor
from typing import Any

import polars as pl

from fastadl.book import Book
from fastadl.borders.hyperliquid.fills import MOST, Fill, Source, read
from fastadl.borders.hyperliquid.holding import Holding, Origin, atoms
from fastadl.borders.hyperliquid.ledger import Ledger
from fastadl.borders.hyperliquid.universe import CURRENCY, instruments
from fastadl.borders.values import fields, listed, needed, number, text
from fastadl.decimals import places_of, plain
from fastadl.errors import BoundsError, InputError

__all__ = ["Folded", "fold"]

#: USDC a closed pnl may differ by: one atom of how it is printed, one of how the venue divides entry values.
_TOLERANCE = Fraction(2, 10**6)


@dataclass(frozen=True, slots=True)
class Folded:
    """What fills come to.

    Attributes
    ----------
    positions : DataFrame
        ``account``, ``symbol``, ``qty`` (text), ``entry_value_atoms`` and ``entry_from``: ``fills``,
        ``given``, ``closed_pnl`` (derived from the first fill that closed a part of a position opened before)
        or ``first_price`` (not known; as if opened at the price of the first fill). Open ones, by account and
        symbol.
    accounts : DataFrame
        ``id``, ``fills``, and the sums of ``closedPnl`` and ``fee`` as stated: ``realized_pnl_atoms`` rounded
        down and ``fee_atoms`` rounded up. By id.
    differences : DataFrame
        A row for every ``startPosition`` and ``closedPnl`` that is not what the fills before it give:
        ``line``, ``account``, ``symbol``, ``time``, ``tid``, ``field``, ``stated``, ``folded``, and
        ``difference``, stated less folded. In the order of lines.
    fills, spot, repeated : int
        Fills folded; those of spot pairs and outcomes, left out; those that were there before, left out.
    starts, profits : int
        ``startPosition`` and ``closedPnl`` that were held against the fills before; those of the first fill
        of a position opened before, and the closed pnl its entry value is derived from, cannot be.
    """

    positions: pl.DataFrame
    accounts: pl.DataFrame
    differences: pl.DataFrame
    fills: int
    spot: int
    repeated: int
    starts: int
    profits: int

    def book(self, instruments: Any, cash: Mapping[str, Any] | None = None) -> Book:
        """The book of all users, cross margined.

        Parameters
        ----------
        instruments : DataFrame or mapping
            As `Book.from_frames` takes it; see `instruments`.
        cash : mapping of user to number, optional
            USDC before the first fill; 0 for users left out. Funding and transfers are in no fill: add them.

        Raises
        ------
        InputError
            As `Book.from_frames`; for cash of a user without fills.
        """
        before = _cash(cash or {}, self.accounts["id"].to_list())
        accounts = self.accounts.select(
            "id",
            currency=pl.lit(CURRENCY),
            cash_atoms=pl.Series(before, dtype=pl.Int64) + pl.col("realized_pnl_atoms") - pl.col("fee_atoms"),
        )
        return Book.from_frames(instruments, accounts, self.positions.drop("entry_from"))


def fold(
    source: Source,
    *,
    meta: Mapping[str, Any] | None = None,
    opening: Iterable[Mapping[str, Any]] = (),
    tolerance: Any = _TOLERANCE,
    sort: bool = False,
) -> Folded:
    """Fold fills into positions, holding each against its ``startPosition`` and ``closedPnl``.

    Positions are at average cost. Fills of one user, coin and millisecond have no order of their own (a
    ``tid`` is a hash): they are taken in that in which each starts where the one before ended, else in the
    order of lines. Where a start differs from what was folded, fills are missing or repeated: the difference
    is reported, and the position goes on from the stated start as one opened before. Fills of spot pairs and
    outcomes, and those that say the same as one before, ``tid`` included, are counted and left out.

    Parameters
    ----------
    source : path, or iterable of lines or of what they hold
        JSON lines as a node writes them: ``[user, fill]``, a fill with its ``user``, or a block of
        ``events``. A fill has ``coin``, ``px``, ``sz``, ``side``, ``time``, ``startPosition``, ``closedPnl``,
        ``fee``, and may have ``tid`` and ``feeToken``; other fields are not read. All numbers are taken
        exactly.
    meta : mapping, optional
        As in `instruments`, which says how large a lot is; the finest step seen of a coin's sizes if left
        out.
    opening : iterable of mapping, optional
        Positions before the first fill: ``account``, ``symbol``, ``qty``, ``entry_price``.
    tolerance : number, optional
        USDC by which a closed pnl may differ, 0.000002 if left out. To it are added an atom for every lot
        closed, because the venue works profits out from an entry price of six decimals less those of a lot,
        and what an entry value that was derived is in doubt by.
    sort : bool
        Put fills of a user and coin in order of time; if False, one earlier than the one before is refused.

    Returns
    -------
    Folded

    Raises
    ------
    InputError
        Naming line (from 1), field, value and remedy.

    Examples
    --------
    >>> from fastadl.borders import hyperliquid
    >>> fill = {"user": "0xa", "coin": "BTC", "px": "100", "sz": "2", "side": "B", "time": 1,
    ...         "startPosition": "0", "closedPnl": "0", "fee": "0.01"}
    >>> folded = hyperliquid.fold([fill, {**fill, "px": "110", "sz": "1", "side": "A", "time": 2,
    ...                                   "startPosition": "2", "closedPnl": "9"}])
    >>> folded.differences.select("line", "field", "stated", "folded").row(0)
    (2, 'closedPnl', '9', '10')
    """
    before, allowed = _opening(opening), _tolerated(tolerance)
    given = list(read(source))
    perpetual = [fill for fill in given if fill is not None]
    fills = _once(perpetual)
    ledger = Ledger(allowed, _finest(fills) if meta is None else _listed(meta, fills), before)
    for same in _by_user_and_coin(fills):
        ordered = sorted(same, key=lambda fill: fill.time) if sort else _in_order(same)
        for _, moment in groupby(ordered, key=lambda fill: fill.time):
            ledger.take(list(moment))
    return Folded(
        positions=ledger.positions,
        accounts=ledger.accounts,
        differences=ledger.differences,
        fills=len(fills),
        spot=len(given) - len(perpetual),
        repeated=len(perpetual) - len(fills),
        starts=ledger.starts,
        profits=ledger.profits,
    )


def _once(fills: Iterable[Fill]) -> list[Fill]:
    """Fills that no fill before says the same as; one without a ``tid`` may be another of its kind."""
    seen: set[Fill] = set()
    found = []
    for fill in fills:
        if fill.tid is None or fill not in seen:
            found.append(fill)
            seen.add(fill)
    return found


def _by_user_and_coin(fills: Sequence[Fill]) -> Iterable[list[Fill]]:
    groups: dict[tuple[str, str], list[Fill]] = {}
    for fill in fills:
        groups.setdefault((fill.user, fill.coin), []).append(fill)
    return groups.values()


def _in_order(fills: list[Fill]) -> list[Fill]:
    for before, fill in pairwise(fills):
        if fill.time < before.time:
            remedy = f"line {before.line} of this user and coin is later: put lines in order, or sort=True"
            raise InputError(("fills", fill.line, "time"), fill.time, remedy)
    return fills


def _finest(fills: Sequence[Fill]) -> dict[str, Fraction]:
    """The finest decimal step of each coin's sizes."""
    places: dict[str, int] = {}
    for fill in fills:
        seen = max(places_of(fill.size) or 0, places_of(fill.start) or 0)
        places[fill.coin] = max(seen, places.get(fill.coin, 0))
    return {coin: 1 / Fraction(10) ** count for coin, count in places.items()}


def _listed(meta: Mapping[str, Any], fills: Sequence[Fill]) -> dict[str, Fraction]:
    """The lots of the coins, of which every size must be a multiple."""
    coins = list(dict.fromkeys(fill.coin for fill in fills))
    lots = dict(zip(coins, instruments(meta, coins=coins)["lot"], strict=True))
    for fill in fills:
        for name, size in (("sz", fill.size), ("startPosition", fill.start)):
            if (size / lots[fill.coin]).denominator != 1:
                remedy = f"give a multiple of the lot {plain(lots[fill.coin])}"
                raise InputError(("fills", fill.line, name), plain(size), remedy)
    return lots


def _tolerated(tolerance: Any) -> Fraction:
    found = number(tolerance, ("tolerance",))
    if found < 0:
        raise InputError(("tolerance",), tolerance, "give 0 or more")
    return atoms(found)


def _opening(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Holding]:
    found: dict[tuple[str, str], Holding] = {}
    for i, row in enumerate(listed(rows, ("opening",), "give a list of positions")):
        path = ("opening", i)
        user, coin, size, price = (
            needed(fields(row, path), name, path, "every position has it")
            for name in ("account", "symbol", "qty", "entry_price")
        )
        user, coin = (
            text(cell, (*path, name), "give a text") for cell, name in ((user, "account"), (coin, "symbol"))
        )
        size, price = number(size, (*path, "qty")), number(price, (*path, "entry_price"))
        if not size:
            raise InputError((*path, "qty"), row["qty"], "leave out positions of nothing")
        if price <= 0:
            raise InputError((*path, "entry_price"), row["entry_price"], "give a price above 0")
        if abs(size) * price > MOST:
            raise BoundsError((*path, "qty"), row["qty"], f"give what is worth at most {MOST} {CURRENCY}")
        if (user, coin) in found:
            raise InputError((*path, "symbol"), coin, "give one row per account and symbol")
        found[user, coin] = holding = Holding(origin=Origin.GIVEN)
        holding.open(size, price)
    return found


def _cash(cash: Mapping[str, Any], users: Sequence[str]) -> list[int]:
    known = set(users)
    for user in fields(cash, ("cash",)):
        if user not in known:
            raise InputError(("cash", str(user)), "no fills", "name a user of the fills")
    before = {user: number(cash.get(user, 0), ("cash", user)) for user in users}
    for user, amount in before.items():
        if abs(amount) > MOST:
            raise BoundsError(("cash", user), plain(amount), f"give at most {MOST}")
    return [floor(atoms(amount)) for amount in before.values()]
