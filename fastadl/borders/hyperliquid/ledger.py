"""What fills add up to, user by user, and where they contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import polars as pl

from fastadl.borders.hyperliquid.fills import MOST, Fill
from fastadl.borders.hyperliquid.holding import Holding, Origin, atoms
from fastadl.borders.hyperliquid.order import chained
from fastadl.decimals import plain
from fastadl.errors import BoundsError

__all__ = ["Ledger"]

_POSITIONS = {
    "account": pl.String,
    "symbol": pl.String,
    "qty": pl.String,
    "entry_value_atoms": pl.Int64,
    "entry_from": pl.String,
}
_ACCOUNTS = {"id": pl.String, "fills": pl.Int64, "realized_pnl_atoms": pl.Int64, "fee_atoms": pl.Int64}
_DIFFERENCES = {
    "line": pl.Int64,
    "account": pl.String,
    "symbol": pl.String,
    "time": pl.Int64,
    "tid": pl.Int64,
    "field": pl.String,
    "stated": pl.String,
    "folded": pl.String,
    "difference": pl.Float64,
}


@dataclass(slots=True)
class _Account:
    fills: int = 0
    realized_pnl: Fraction = Fraction(0)
    fee: Fraction = Fraction(0)


class Ledger:
    """Positions and accounts as fills are taken, and the differences found.

    Parameters
    ----------
    tolerance : Fraction
        Atoms that a closed pnl may differ by, and one more for every lot that is closed: the venue works it
        out from an entry price of six decimals less those of a lot.
    lots : mapping of coin to Fraction
        The smallest step of a size.
    opening : mapping of (user, coin) to Holding
        Positions before the first fill; they are changed.

    Attributes
    ----------
    starts, profits : int
        How many ``startPosition`` and ``closedPnl`` were held against what was folded.
    """

    def __init__(
        self,
        tolerance: Fraction,
        lots: Mapping[str, Fraction],
        opening: Mapping[tuple[str, str], Holding],
    ) -> None:
        self._tolerance = tolerance
        self._lots = lots
        self._held = dict(opening)
        self._accounts = {user: _Account() for user, _ in opening}
        self._differences: list[tuple[object, ...]] = []
        self.starts = self.profits = 0

    def take(self, fills: Sequence[Fill]) -> None:
        """Take fills of one user, coin and moment, each where the one before ended."""
        held = self._held.get((fills[0].user, fills[0].coin))
        for fill in chained(fills, None if held is None else held.size):
            self._take(fill)

    def _take(self, fill: Fill) -> None:
        account = self._accounts.setdefault(fill.user, _Account())
        account.fills += 1
        account.realized_pnl += fill.closed_pnl
        account.fee += fill.fee
        holding = self._started(fill)
        closed = holding.closes(fill.size)
        self._close(fill, holding, closed)
        if closed != -fill.size:
            holding.open(fill.size + closed, fill.price)
        sums = {
            "closedPnl": account.realized_pnl,
            "fee": account.fee,
            "px": holding.entry / atoms(Fraction(1)),
        }
        for field, amount in sums.items():
            if abs(amount) > MOST:
                remedy = f"give fills that add up to at most {MOST}"
                raise BoundsError(("fills", fill.line, field), plain(amount), remedy)

    def _started(self, fill: Fill) -> Holding:
        """The position a fill starts from: what was folded, or what the fill says of it."""
        key = (fill.user, fill.coin)
        held = self._held.get(key)
        if held is not None:
            self.starts += 1
            if held.size == fill.start:
                return held
            self._differ(fill, "startPosition", fill.start, held.size)
        self._held[key] = holding = Holding()
        if fill.start:
            holding.open(fill.start, fill.price)
            holding.origin = Origin.FIRST_PRICE
        return holding

    def _close(self, fill: Fill, holding: Holding, closed: Fraction) -> None:
        """Close a part, none included, and hold its profit against the closed pnl."""
        stated, folded, doubt = atoms(fill.closed_pnl), Fraction(0), Fraction(0)
        if closed:
            unknown = holding.origin == Origin.FIRST_PRICE
            learned = unknown and holding.learn(closed, fill.price, stated)
            folded, doubt = holding.close(closed, fill.price)
            if learned:
                return
        self.profits += 1
        allowed = self._tolerance + doubt + abs(closed) / self._lots[fill.coin]
        if abs(stated - folded) > allowed:
            self._differ(fill, "closedPnl", fill.closed_pnl, folded / atoms(Fraction(1)))

    def _differ(self, fill: Fill, field: str, stated: Fraction, folded: Fraction) -> None:
        self._differences.append(
            (
                *(fill.line, fill.user, fill.coin, fill.time, fill.tid, field),
                *(plain(stated), plain(folded), float(stated - folded)),
            )
        )

    # ------------------------------------------------------------------ reading

    @property
    def positions(self) -> pl.DataFrame:
        """Open positions, by account and symbol."""
        rows = [
            (*key, plain(held.size), held.entry_atoms, held.origin)
            for key, held in sorted(self._held.items())
            if held.size
        ]
        return pl.DataFrame(rows, _POSITIONS, orient="row")

    @property
    def accounts(self) -> pl.DataFrame:
        """Accounts by id; what they realised is rounded down, what they paid up."""
        rows = [
            (user, account.fills, floor(atoms(account.realized_pnl)), ceil(atoms(account.fee)))
            for user, account in sorted(self._accounts.items())
        ]
        return pl.DataFrame(rows, _ACCOUNTS, orient="row")

    @property
    def differences(self) -> pl.DataFrame:
        """Differences in the order of lines."""
        return pl.DataFrame(self._differences, _DIFFERENCES, orient="row").sort("line", maintain_order=True)
