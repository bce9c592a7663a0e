"""The book: every account and position as owned, contiguous columns laid out for the mark pass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastadl.contracts import Instruments
from fastadl.kernels.layout import Rows, place, sort_columns
from fastadl.schema import AccountColumns, BoolArray, Int64Array, IntArray, PositionColumns, read_only

if TYPE_CHECKING:
    import os

    from fastadl.io.index import Index
    from fastadl.kernels.measure import Context

__all__ = ["Book"]


class Book:
    """Instruments, accounts and positions of a futures exchange.

    Build one with `from_frames` or `read`. Accounts are laid out by number of rows and, within one number,
    column by column (sliced ELLPACK), so that marking is a streaming sparse matrix × vector product.

    Attributes
    ----------
    instruments : Instruments
        In the order given.
    rows : fastadl.kernels.layout.Rows
        The hot columns.
    slot : int32 (accounts)
        Place of each account in the layout.
    rank : int32 (accounts)
        Place of each account when ids are sorted by code point; every tie ends here.
    opened : dict
        Position of every account opened since the book was made (rule R106), by id.
    exempt : bool (accounts)
        Who is never deleveraged or charged (rule R106).
    reserve_lots, reserve_entry : int64 (2, instruments)
        What ``fund`` (0) and ``market`` (1) hold: signed lots, and entry value in atoms.
    """

    __slots__ = (
        "_id",
        "_index",
        "_owner",
        "adl_tier",
        "currency",
        "exempt",
        "instruments",
        "isolated",
        "opened",
        "rank",
        "reserve_entry",
        "reserve_lots",
        "rows",
        "slot",
    )

    _id: pl.Series
    _owner: pl.Series | None
    _index: Index | None
    instruments: Instruments
    rows: Rows
    slot: IntArray
    rank: IntArray
    currency: IntArray
    isolated: BoolArray
    adl_tier: IntArray
    exempt: BoolArray
    opened: dict[str, int]
    reserve_lots: Int64Array
    reserve_entry: Int64Array

    # ------------------------------------------------------------------ in and out

    @classmethod
    def from_frames(cls, instruments: Any, accounts: Any, positions: Any) -> Book:
        """Build a book from three polars frames or mappings of arrays.

        Parameters
        ----------
        instruments : DataFrame or mapping
            ``symbol``, ``kind``, ``contract_size``, ``lot``, ``tiers``; optional ``currency``, ``decimals``,
            ``mark``, ``delisted``.
        accounts : DataFrame or mapping
            ``id``, ``cash`` (or ``cash_atoms``); optional ``currency``, ``owner``, ``margin_mode``,
            ``adl_tier``, ``exempt``.
        positions : DataFrame or mapping
            ``account``, ``symbol``, ``qty`` (or ``lots``) and ``entry_price`` or ``entry_value`` (or
            ``entry_value_atoms``).

        Raises
        ------
        InputError
            Naming column, row, value and remedy; see rules R1 to R7 and R75.

        Examples
        --------
        >>> import fastadl as fa
        >>> tiers = [{"min_notional": "0", "maintenance_rate": "0.005"}]
        >>> book = fa.Book.from_frames(
        ...     {"symbol": ["BTC-PERP"], "kind": ["linear"], "contract_size": ["1"], "lot": ["0.001"],
        ...      "tiers": [tiers]},
        ...     {"id": ["ann", "bob"], "cash": ["800", "500"]},
        ...     {"account": ["ann", "bob"], "symbol": ["BTC-PERP"] * 2, "qty": ["0.1", "-0.1"],
        ...      "entry_price": ["50000", "50000"]},
        ... )
        >>> len(book.accounts)
        2
        """
        from fastadl import io

        return cls._from_columns(*io.tables(instruments, accounts, positions))

    @classmethod
    def read(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> Book:
        """Read a book from a folder (or three files) of Parquet, Arrow IPC or CSV."""
        from fastadl import io

        return io.read(source)

    def write(self, folder: str | os.PathLike[str], *, format: str = "parquet") -> Path:
        """Write the book into a new or empty folder, whole or not at all."""
        from fastadl import io

        return io.write(self, folder, format=format)

    def to_frames(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Instruments, accounts and positions in the integer spelling; `from_frames` gives the same book."""
        from fastadl import io

        return io.frames(self)

    # ------------------------------------------------------------------ building

    @classmethod
    def _from_columns(
        cls, instruments: Instruments, accounts: AccountColumns, positions: PositionColumns
    ) -> Book:
        """Lay out validated columns; the arrays are copied, never kept."""
        short = positions.lots < 0
        leg = (2 * positions.instrument + short).astype(leg_type(instruments))
        reserve_lots = np.zeros((2, len(instruments)), np.int64)
        reserve_entry = np.zeros((2, len(instruments)), np.int64)
        reserved = positions.account < 0
        owner, lots, entry = positions.account, positions.lots, positions.entry_value
        if reserved.any():
            who = -1 - owner[reserved]
            reserve_lots[who, positions.instrument[reserved]] = lots[reserved]
            reserve_entry[who, positions.instrument[reserved]] = entry[reserved]
            keep = ~reserved
            owner, lots, entry, leg = owner[keep], lots[keep], entry[keep], leg[keep]
        laid_out = _lay_out(instruments, accounts.cash, owner, leg, lots, entry)
        return cls._of_rows(instruments, accounts, *laid_out, reserve_lots, reserve_entry)

    @classmethod
    def _of_rows(
        cls,
        instruments: Instruments,
        accounts: AccountColumns,
        slot: IntArray,
        rows: Rows,
        reserve_lots: Int64Array,
        reserve_entry: Int64Array,
        *,
        rank: IntArray | None = None,
    ) -> Book:
        """Keep rows that are laid out already (`empty_rows`), their columns sorted; cash is theirs.

        Accounts of a larger book bring the `rank` they have in it.
        """
        self = object.__new__(cls)
        self.instruments = instruments
        self._id = accounts.id.rechunk()
        self._owner = accounts.owner
        self._index = None
        self.opened = {}
        self.currency = accounts.currency.astype(np.int16)
        self.isolated = accounts.isolated.astype(np.bool_)
        self.adl_tier = accounts.adl_tier.astype(np.uint8)
        exempt = accounts.exempt
        self.exempt = np.zeros(len(self._id), np.bool_) if exempt is None else exempt.astype(np.bool_)
        self.rank = _rank(self._id) if rank is None else rank
        self.slot, self.rows = slot, rows
        self.reserve_lots, self.reserve_entry = reserve_lots, reserve_entry
        return self

    def copy(self) -> Book:
        """A book of its own with the same contents."""
        other = object.__new__(type(self))
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, Rows):
                value = Rows(*(array.copy() for array in value))
            elif isinstance(value, np.ndarray) or name == "opened":
                value = value.copy()
            setattr(other, name, value)
        other._index = None if self._index is None else self._index.beside(other.opened)
        return other

    def compact(self) -> Book:
        """The same contents without closed rows and free slots; the book itself where there are none."""
        if self.rows.lots.all() and (self.rows.account >= 0).all():
            return self
        return self._from_columns(*self.columns())

    def read_only(self) -> Book:
        """The same book through arrays that refuse to be written."""
        other = object.__new__(type(self))
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, Rows):
                value = Rows(*(read_only(array) for array in value))
            elif isinstance(value, np.ndarray):
                value = read_only(value)
            setattr(other, name, value)
        return other

    # ------------------------------------------------------------------ reading

    @property
    def accounts(self) -> pl.Series:
        """Ids of the accounts, in the order given (a copy)."""
        return self._id.clone()

    @property
    def owners(self) -> pl.Series:
        """Trader behind each account."""
        return self._id.alias("owner") if self._owner is None else self._owner.clone()

    @property
    def cash(self) -> Int64Array:
        """Cash of each account in atoms, in the order of `accounts` (a copy)."""
        return self.rows.cash[self.slot]

    def index(self) -> Index:
        """What finds the position of accounts in `accounts` by their ids; it is built at first use."""
        if self._index is None:
            from fastadl import io

            self._index = io.Index(self._id, self.opened)
        return self._index

    @property
    def nbytes(self) -> int:
        """Bytes of all columns, ids included."""
        arrays = [getattr(self, name) for name in self.__slots__]
        size = sum(a.nbytes for a in arrays if isinstance(a, np.ndarray)) + sum(a.nbytes for a in self.rows)
        return int(
            size + self._id.estimated_size() + (0 if self._owner is None else self._owner.estimated_size())
        )

    def columns(self) -> tuple[Instruments, AccountColumns, PositionColumns]:
        """The book as flat columns.

        Accounts in the order given, each account's open rows by (symbol, long first), then those of fund and
        market.
        """
        rows = self.rows
        slot_of_row = row_slots(rows)
        held = np.flatnonzero(rows.lots)
        owner = rows.account[slot_of_row[held]]
        order = np.argsort(owner, kind="stable") if len(held) else held
        held, owner = held[order], owner[order]
        who, what = np.nonzero(self.reserve_lots[:, np.argsort(self.instruments.rank)])
        what = np.argsort(self.instruments.rank)[what]
        accounts = AccountColumns(
            id=self._id.rechunk(),
            owner=self._owner,
            currency=self.currency,
            isolated=self.isolated,
            adl_tier=self.adl_tier,
            cash=self.cash,
            exempt=self.exempt if self.exempt.any() else None,
        )
        positions = PositionColumns(
            account=np.concatenate([owner, -1 - who]).astype(np.int32),
            instrument=np.concatenate([rows.leg[held] >> 1, what]).astype(np.int32),
            lots=np.concatenate([rows.lots[held].astype(np.int64), self.reserve_lots[who, what]]),
            entry_value=np.concatenate([rows.entry[held], self.reserve_entry[who, what]]),
        )
        return self.instruments, accounts, positions

    def __len__(self) -> int:
        """Number of open rows, reserved accounts included."""
        return int(np.count_nonzero(self.rows.lots) + np.count_nonzero(self.reserve_lots))

    def __repr__(self) -> str:
        return f"<Book: {len(self._id)} accounts, {len(self)} positions, {len(self.instruments)} instruments>"


def leg_rank(instruments: Instruments) -> IntArray:
    """Order of legs by (symbol, long first): int32 (2 · instruments)."""
    return (2 * np.repeat(instruments.rank, 2) + np.tile([0, 1], len(instruments))).astype(np.int32)


def _rank(ids: pl.Series) -> IntArray:
    rank = np.arange(len(ids), dtype=np.int32)
    if not ids.is_sorted():
        rank[ids.arg_sort().to_numpy()] = np.arange(len(ids), dtype=np.int32)
    return rank


def empty_rows(held: IntArray, leg_type: type[np.unsignedinteger[Any]]) -> tuple[IntArray, Rows]:
    """Slot of each account of so many rows (int32), and columns for them that are yet to be written."""
    counts = np.bincount(held)
    narrow = held.astype(np.uint16) if len(counts) <= 1 << 16 else held  # which NumPy sorts by radix
    account = np.argsort(narrow, kind="stable").astype(np.int32)
    sizes = np.flatnonzero(counts)
    counts = counts[sizes]
    slot = np.empty(len(held), np.int32)
    slot[account] = np.arange(len(held), dtype=np.int32)
    total = int((counts * sizes).sum())
    return slot, Rows(
        group_rows=sizes.astype(np.int64),
        group_slot=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        group_row=np.concatenate([[0], np.cumsum(counts * sizes)]).astype(np.int64),
        leg=np.empty(total, leg_type),
        lots=np.empty(total, np.float64),
        entry=np.empty(total, np.int64),
        cash=np.empty(len(held), np.int64),
        account=account,
    )


def leg_type(instruments: Instruments) -> type[np.unsignedinteger[Any]]:
    """The narrowest dtype of a leg."""
    return np.uint16 if 2 * len(instruments) <= 1 << 16 else np.uint32


def _lay_out(
    instruments: Instruments,
    cash: Int64Array,
    owner: IntArray,
    leg: IntArray,
    lots: Int64Array,
    entry: Int64Array,
) -> tuple[IntArray, Rows]:
    held = np.bincount(owner, minlength=len(cash))
    slot, rows = empty_rows(held, leg.dtype.type)
    np.take(cash, rows.account, out=rows.cash)
    group = np.searchsorted(rows.group_rows, held).astype(np.int32)
    place(read_only(owner), read_only(leg), read_only(lots), read_only(entry), slot, group, rows)
    sort_columns(rows, leg_rank(instruments))
    return slot, rows


def slots_of(rows: Rows | Context, row: IntArray) -> IntArray:
    """Slot of some rows: int64 (n)."""
    group = np.searchsorted(rows.group_row, row, side="right") - 1
    return rows.group_slot[group] + (row - rows.group_row[group]) % np.diff(rows.group_slot)[group]


def row_slots(rows: Rows) -> IntArray:
    """Slot of every row: int64 (rows)."""
    out = np.empty(len(rows.lots), np.int64)
    for g, size in enumerate(rows.group_rows):
        slots = np.arange(rows.group_slot[g], rows.group_slot[g + 1])
        out[rows.group_row[g] : rows.group_row[g + 1]] = np.tile(slots, size)
    return out
