"""What an engine owns: the book, the marks, the reserves, and what detection keeps at hand."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastadl import reference
from fastadl.book import Book
from fastadl.engine.open_orders import OpenOrders
from fastadl.engine.prices import Betas, Marks, margins
from fastadl.errors import BoundsError, InputError
from fastadl.io.table import is_text
from fastadl.kernels.account import (
    GROSS,
    LONG,
    PROFIT,
    SHORT,
    evaluate,
    exact_margin,
    exact_sum,
    row_profits,
)
from fastadl.kernels.lanes import WIDTH
from fastadl.kernels.mark import guard_blocks, guard_slots
from fastadl.kernels.money import Reserve
from fastadl.policy.choices import nearest
from fastadl.schema import RESERVED, SUM_BOUND, BoolArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.engine.live.accounts import Register
    from fastadl.engine.live.room import Room
    from fastadl.engine.socialize.sessions import Session
    from fastadl.engine.wake import Wake

__all__ = ["FUND", "HEADROOM", "MARKET", "MOST_ALIKE", "State", "alike"]

#: Rows of the reserve tables.
FUND, MARKET = 0, 1

#: Bytes of hot columns in a block, so that blocks take equally long whatever their accounts hold.
_BLOCK = 1 << 17
#: Guards hold while no unit value exceeds this multiple of the one they were made at.
HEADROOM = 1.25
#: Ids that are compared with a name that is unknown; so many letters of its ends are taken for right.
MOST_ALIKE, _ALIKE = 5000, 2
#: Up to this part of all accounts, guards are renewed without looking for repeated ones.
_FEW = 256


class State:
    """Mutable tables of one engine and the arithmetic every stage shares.

    Attributes
    ----------
    marks, previous : Marks
        Now, and before the last mark (rule R20).
    oracle : Marks
        Oracle prices, and the mark where none was ever given (rule R85).
    told : dict
        Oracle prices given so far, by instrument; replaced, never changed in place.
    reserve_cash : int64 (2, currencies)
        Cash of the fund and of the market account, in atoms.
    reserve_realized : int64 (2, instruments)
        What they realised since the engine was made (rule R12), in atoms.
    guard : float64 (slots)
        See `fastadl.kernels.mark`; valid up to `ceiling`.
    session : Session or None
        What is remembered of sessions (rule R95).
    exempt : int64 (n)
        Accounts that are never deleveraged or charged (rule R106).
    register : Register or None
        Where accounts can be added (`fastadl.engine.live.accounts.register_of`); None as long as none was.
    room : Room or None
        Where the book can grow; None as long as nothing did (`fastadl.engine.live.room.room_of`).
    sliced : int64 (accounts) or None
        When an order last closed a part of an account's positions (rule R101), −1 for never; None as long as
        nobody asks.
    orders : OpenOrders
        Liquidation orders that are out (rule R108).
    given : int64 (accounts)
        Their places among all as given, where these are the accounts of one part; empty where they are all.
    wake : Wake or None
        Which accounts a mark looks at; None where it looks at all (rule R124).
    """

    def __init__(self, book: Book) -> None:
        self.book = book
        self.instruments = book.instruments
        self.marks = Marks.initial(book.instruments)
        self.previous = self.oracle = self.marks
        self.told: dict[int, Fraction] = {}
        self.margins = margins(book.instruments)
        self.first_rate: Float64Array = self.margins.rate[self.margins.start[:-1]]
        self.one: Float64Array = np.array([10.0**item.decimals for item in book.instruments])
        self.inverse: BoolArray = book.instruments.inverse
        self.reserve_cash = np.zeros((2, len(book.instruments.currencies)), np.int64)
        self.reserve_realized = np.zeros((2, len(book.instruments)), np.int64)
        self.session: Session | None = None
        self.sliced: Int64Array | None = None
        self.orders = OpenOrders.none()
        self.given: Int64Array = np.empty(0, np.int64)
        self.ceiling: Float64Array
        self.guard: Float64Array
        self.most_lots = _most_lots(book)
        self._undo: list[Callable[[], None]] = []
        self._touched: list[IntArray] = []
        self._room = 0.0
        self.blocks = _blocks(book)
        self.guard = np.empty(len(book.rows.cash))
        self.ceiling = np.zeros(len(self.instruments))
        self.exempt: IntArray = np.flatnonzero(book.exempt)
        self.register: Register | None = None
        self.room: Room | None = None
        self.wake: Wake | None = None

    def __getstate__(self) -> dict[str, Any]:
        """All but room and register, whose columns would not be those of the book: they are made anew."""
        return {**self.__dict__, "room": None, "register": None}

    # ------------------------------------------------------------------ who there is

    @property
    def everybody(self) -> int:
        """How many accounts there are, those of other parts too."""
        return len(self.book.slot)

    def alike(self, name: str) -> list[str]:
        """Ids that a name may stand for, in the order of the book."""
        ids = self.book.accounts
        return ids.gather(alike(ids, name, len(ids))).to_list()

    # ------------------------------------------------------------------ layout and guards

    def laid_out(self, guard: Float64Array, used: BoolArray) -> None:
        """Follow groups that were made anew, some of which are used."""
        self.guard = guard
        self.blocks = _blocks(self.book, used)

    def copy(self) -> State:
        """Tables of its own with the same contents."""
        other = State(self.book.copy())
        other.set_prices(self.prices())
        other.session = self.session
        other.orders = self.orders
        other.sliced = None if self.sliced is None else self.sliced.copy()
        other.reserve_cash = self.reserve_cash.copy()
        other.reserve_realized = self.reserve_realized.copy()
        other.wake = None if self.wake is None else self.wake.copy(other)
        return other

    def at(self, marks: Marks) -> State:
        """The same tables at other marks, to read and not to change."""
        other = copy.copy(self)
        other.marks = marks
        return other

    def spared(self, excluded: BoolArray) -> BoolArray:
        """Slots of accounts that are excluded, exempt or in liquidation: bool (slots)."""
        if not len(self.never):
            return excluded
        spared = excluded.copy()
        spared[self.book.slot[self.never]] = True
        return spared

    @property
    def never(self) -> IntArray:
        """Accounts that are not deleveraged: those exempt, and those in liquidation (rules R106, R108)."""
        return np.concatenate([self.exempt, self.orders.accounts]) if len(self.orders) else self.exempt

    def prices(self) -> tuple[Marks, Marks, Marks, dict[int, Fraction]]:
        """All that a mark replaces, for `set_prices`."""
        return self.marks, self.previous, self.oracle, self.told

    def set_prices(self, prices: tuple[Marks, Marks, Marks, dict[int, Fraction]]) -> None:
        """Take over or put back what `prices` gave."""
        self.marks, self.previous, self.oracle, self.told = prices

    def loosened(self) -> None:
        """Have the guards made anew at the next mark, if they stand far from the present marks."""
        if (self.ceiling > 1.5 * np.abs(self.marks.unit)).any():
            self.ceiling = np.zeros(len(self.instruments))

    def outdated(self) -> None:
        """Have all that marks rely on made anew, because all accounts changed, or what margin they need."""
        self.ceiling = np.zeros(len(self.instruments))
        if self.wake is not None:
            self.wake.all_changed()

    @property
    def fitting(self) -> bool:
        """Whether the guards hold for the present marks."""
        return not np.count_nonzero(np.abs(self.marks.unit) > self.ceiling)

    def fit(self) -> None:
        """Make the guards anew, for unit values up to a quarter above the present ones."""
        self.ceiling = np.abs(self.marks.unit) * HEADROOM
        guard_blocks(self.book.rows, self.ceiling, self.margins, self.blocks, self.guard)

    def touch(self, slots: IntArray) -> None:
        """Remember accounts about to change: to undo it, and to renew their guards."""
        slots = np.asarray(slots)
        self.touch_rows(slots, places(self.book, slots))

    def touch_rows(self, slots: IntArray, places: IntArray) -> None:
        """Remember accounts of which only some rows are about to change."""
        rows = self.book.rows
        cash, lots, entry = rows.cash[slots], rows.lots[places], rows.entry[places]

        def undo() -> None:
            rows.cash[slots] = cash
            rows.lots[places] = lots
            rows.entry[places] = entry

        self._undo.append(undo)
        self._touched.append(slots)
        if self.wake is not None:
            self.wake.changed(rows.account[slots])

    def changed(self, slots: IntArray) -> None:
        """Have the guards of accounts renewed, of which something else remembers what they had."""
        self._touched.append(slots)
        if self.wake is not None:
            self.wake.changed(self.book.rows.account[slots])

    def undoable(self, undo: Callable[[], None]) -> None:
        """Remember how to undo something else."""
        self._undo.append(undo)

    def touch_all(self, cash: Int64Array) -> None:
        """Remember the cash of every slot, which is about to change, and have all guards made anew."""
        rows, ceiling = self.book.rows, self.ceiling

        def undo() -> None:
            rows.cash[:] = cash
            self.ceiling = ceiling

        self._undo.append(undo)
        self.outdated()

    def touch_reserves(self) -> None:
        """Remember the reserves about to change."""
        self._undo.append(self.reserves_back())

    def reserves_back(self) -> Callable[[], None]:
        """What makes the reserves again what they are now."""
        book, cash, realized = self.book, self.reserve_cash.copy(), self.reserve_realized.copy()
        lots, entry = book.reserve_lots.copy(), book.reserve_entry.copy()

        def undo() -> None:
            self.reserve_cash[:] = cash
            self.reserve_realized[:] = realized
            book.reserve_lots[:] = lots
            book.reserve_entry[:] = entry

        return undo

    def remember(self, session: Session) -> None:
        """Replace the memory of sessions."""
        before = self.session

        def undo() -> None:
            self.session = before

        self._undo.append(undo)
        self.session = session

    def remember_slices(self, accounts: IntArray, time: int) -> None:
        """Note that orders closed parts of these accounts' positions (rule R101)."""
        if self.sliced is None:
            self.sliced = np.full(len(self.book.slot), -1, np.int64)
        sliced, before = self.sliced, self.sliced[accounts]

        def undo() -> None:
            sliced[accounts] = before

        self._undo.append(undo)
        sliced[accounts] = time

    def have_orders(self, orders: OpenOrders) -> None:
        """Replace the orders that are out."""
        before = self.orders

        def undo() -> None:
            self.orders = before

        self._undo.append(undo)
        self.orders = orders

    def reserve(self, who: int) -> Reserve:
        """The fund or the market account as kernels take it."""
        return Reserve(
            lots=self.book.reserve_lots[who],
            entry=self.book.reserve_entry[who],
            cash=self.reserve_cash[who],
            realized=self.reserve_realized[who],
            currency=self.instruments.currency,
        )

    def endow(self, currency: int, cash: int) -> None:
        """Give the fund its cash; refuses what lifts the money of the currency past 2^62 (rule R1)."""
        if abs(cash) > SUM_BOUND >> 9 and abs(cash) + self.money(currency) > SUM_BOUND:
            raise BoundsError(("fund", "cash"), cash, "keep a currency within 2^62 (rule R1)")
        self.reserve_cash[FUND, currency] = cash

    def money(self, currency: int) -> int:
        """Cash of accounts and all entry values of a currency, all unsigned, exactly."""
        rows, mine = self.book.rows, self.instruments.currency == currency
        parts = [
            rows.cash[self.book.currency[rows.account] == currency],
            rows.entry[mine[rows.leg >> 1]],
            self.book.reserve_entry[:, mine],
        ]
        return sum(int(np.abs(column).sum()) for column in parts)

    def check_reserve(self, who: int) -> None:
        """Refuse what took a reserve near the 2^62 bound of rule R1."""
        for column in self.reserve(who)[:4]:
            if np.abs(column.astype(np.float64)).max(initial=0.0) > 0.99 * SUM_BOUND:
                raise BoundsError((RESERVED[who],), int(column[0]), "keep it within 2^62 (rule R1)")
        np.maximum(self.most_lots, np.abs(self.book.reserve_lots[who]), out=self.most_lots)

    def commit(self) -> None:
        """Keep what was changed."""
        if self._touched:
            self.refresh(np.concatenate(self._touched))
        self._touched.clear()
        self._undo.clear()

    @property
    def pending(self) -> bool:
        """Whether anything was changed since the last commit."""
        return len(self._undo) > 0

    def rollback(self) -> None:
        """Put everything back as it was at the last commit."""
        for action in reversed(self._undo):
            action()
        self.commit()

    def refresh(self, slots: IntArray) -> None:
        """Renew the guards of accounts that changed."""
        if self.ceiling.any():
            if len(slots) > len(self.guard) // _FEW:  # each once, in the order of memory
                among = np.zeros(len(self.guard), np.bool_)
                among[slots] = True
                slots = np.flatnonzero(among)
            guard_slots(self.book.rows, self.ceiling, self.margins, _narrow(slots), self.guard)

    # ------------------------------------------------------------------ exact numbers

    def evaluated(self, slots: IntArray) -> Float64Array:
        """Equity, margin, gross and error bound of accounts: float64 (4, n)."""
        out = np.empty((4, len(slots)))
        evaluate(self.book.rows, slots, self.marks.unit, self.margins, out)
        return out

    def bankrupt(self, slots: IntArray, values: Float64Array) -> BoolArray:
        """Which accounts have equity below zero, exactly (rule R5)."""
        below = values[0] < 0.0
        near = np.flatnonzero(np.abs(values[0]) <= values[3])
        below[near] = self.equity_floor(slots[near]) < 0
        return below

    def liquidatable(self, slots: IntArray, values: Float64Array) -> BoolArray:
        """Which accounts have equity below maintenance margin, exactly (rules R5, R21)."""
        rows, units = self.book.rows, self.marks.units
        below = values[0] < values[1]
        for s in np.flatnonzero(np.abs(values[0] - values[1]) <= values[3]):
            slot = int(slots[s])
            needed = reference.maintenance_margin(rows, slot, units, self.instruments)
            below[s] = reference.equity(rows, slot, units) < needed
        return below

    def profit_floor(self, slots: IntArray, marks: Marks | None = None) -> Int64Array:
        """Unrealised profit in atoms, rounded down, exactly; at the present marks unless others are given."""
        marks = marks or self.marks
        out, sure = np.empty(len(slots), np.int64), np.empty(len(slots), np.bool_)
        exact_sum(self.book.rows, _narrow(slots), marks.exact, PROFIT, out, sure)
        for s in np.flatnonzero(~sure):
            out[s] = bounded(floor(reference.profit(self.book.rows, int(slots[s]), marks.units)), "equity")
        return out

    def gross_floor(self, slots: IntArray) -> Int64Array:
        """Gross notional in atoms, rounded down, exactly."""
        out, sure = np.empty(len(slots), np.int64), np.empty(len(slots), np.bool_)
        exact_sum(self.book.rows, _narrow(slots), self.marks.exact, GROSS, out, sure)
        for s in np.flatnonzero(~sure):
            gross = reference.gross(self.book.rows, int(slots[s]), self.marks.units)
            out[s] = bounded(floor(gross), "gross")
        return out

    def exposure_floor(self, slots: IntArray, long: bool, betas: Betas) -> Int64Array:
        """Net exposure to a side in atoms, weighted, rounded down, at least 0, exactly (rule R84)."""
        out, sure = np.empty(len(slots), np.int64), np.empty(len(slots), np.bool_)
        exact_sum(
            self.book.rows, _narrow(slots), self.marks.weighted(betas), LONG if long else SHORT, out, sure
        )
        for s in np.flatnonzero(~sure):
            exact = reference.exposure(
                self.book.rows, int(slots[s]), self.marks.units, self.instruments, dict(betas)
            )
            out[s] = bounded(floor(exact if long else -exact), "exposure")
        return np.maximum(out, 0)

    def row_profit_floor(self, row: IntArray) -> Int64Array:
        """Unrealised profit of rows in atoms, rounded down, exactly."""
        rows, units = self.book.rows, self.marks.units
        out, sure = np.empty(len(row), np.int64), np.empty(len(row), np.bool_)
        row_profits(row, rows, self.marks.exact, out, sure)
        for r in np.flatnonzero(~sure):
            at = row[r]
            value = reference.row_value(int(rows.lots[at]), int(rows.leg[at]) >> 1, units)
            out[r] = bounded(floor(value - int(rows.entry[at])), "profit")
        return out

    def cash(self, slots: IntArray) -> Int64Array:
        """Cash of accounts in atoms."""
        cash: Int64Array = self.book.rows.cash[slots]
        return cash

    def equity_floor(self, slots: IntArray, marks: Marks | None = None) -> Int64Array:
        """Equity in atoms, rounded down, exactly (rule R72); marks as in `profit_floor`."""
        return self.profit_floor(slots, marks) + self.book.rows.cash[slots]

    def margin_ceiling(self, slots: IntArray) -> Int64Array:
        """Maintenance margin in atoms, rounded up, exactly (rule R72)."""
        rows, marks = self.book.rows, self.marks
        out, sure = np.empty(len(slots), np.int64), np.empty(len(slots), np.bool_)
        exact_margin(rows, slots, self.margins, marks.exact, out, sure)
        for s in np.flatnonzero(~sure):
            margin = reference.maintenance_margin(rows, int(slots[s]), marks.units, self.instruments)
            out[s] = bounded(ceil(margin), "maintenance_margin")
        return out

    def reserve_floor(self, who: int, currency: int) -> int:
        """Equity of the fund or the market account at mark in atoms, rounded down, exactly."""
        if self._holds_nothing(who):
            return int(self.reserve_cash[who, currency])
        return floor(self.reserve_equity(who, currency))

    def _holds_nothing(self, who: int) -> bool:
        return not (
            np.count_nonzero(self.book.reserve_lots[who]) or np.count_nonzero(self.book.reserve_entry[who])
        )

    def reserve_equity(self, who: int, currency: int) -> Fraction:
        """Equity of the fund or the market account at mark, exactly, in atoms."""
        lots, entry = self.book.reserve_lots[who], self.book.reserve_entry[who]
        if self._holds_nothing(who):
            return Fraction(int(self.reserve_cash[who, currency]))
        held = np.flatnonzero(((lots != 0) | (entry != 0)) & (self.instruments.currency == currency))
        # added up by denominator, of which there are few: fractions take six times as long to add
        units, totals = self.marks.units, defaultdict[int, int](int)
        for i, many, paid in zip(held.tolist(), lots[held].tolist(), entry[held].tolist(), strict=True):
            value = units[i]
            totals[value.denominator] += many * value.numerator - paid * value.denominator
        return int(self.reserve_cash[who, currency]) + sum(
            (Fraction(total, per) for per, total in totals.items()), Fraction(0)
        )

    # ------------------------------------------------------------------ bounds and laws

    def check_values(self, marks: Marks, what: str = "prices") -> None:
        """Refuse marks at which a row would be worth more than 2^62 atoms (rule R1)."""
        beyond = self.most_lots * np.abs(marks.unit) > 0.999 * SUM_BOUND
        for i in np.flatnonzero(beyond) if np.count_nonzero(beyond) else ():
            self.most_lots[i] = _most_lots(self.book)[i]
            if int(self.most_lots[i]) * abs(marks.units[i]) > SUM_BOUND:
                raise BoundsError(
                    (what, self.instruments.symbols[i]),
                    float(marks.price[i]),
                    "no row may be worth more than 2^62 atoms (rule R1)",
                )

    def unmarked(self, marks: Marks) -> IntArray:
        """Instruments that somebody holds and that have no mark among these."""
        never = np.isnan(marks.price) & (self.most_lots > 0.0)
        return np.flatnonzero(never & held_instruments(self.book) if np.count_nonzero(never) else never)

    def open_lots(self) -> Int64Array:
        """Lots of all traders by leg, exactly: int64 (legs)."""
        rows = self.book.rows
        return sums(rows.leg, np.abs(rows.lots).astype(np.int64), 2 * len(self.instruments))

    def open_entries(self) -> Int64Array:
        """Entry value of all traders by leg, exactly, in atoms: int64 (legs)."""
        rows = self.book.rows
        return sums(rows.leg, rows.entry, 2 * len(self.instruments))

    def claim(self, amount: float) -> None:
        """Refuse what may take the lots of an instrument, or the money of a currency, past 2^62 (rule R1).

        Nothing adds more than it claims, so all is counted only when what was left then may be used up.
        """
        if amount > self._room:
            self._room = 0.99 * SUM_BOUND - max(float(each.max(initial=0.0)) for each in self.sizes())
            if amount > self._room:
                raise BoundsError(
                    ("book",), f"{amount:.3g} more lots or atoms", "keep all within 2^62 (rule R1)"
                )
        self._room -= amount

    def sizes(self) -> tuple[Float64Array, Float64Array]:
        """Lots by instrument, and cash and entry values by currency, all unsigned (R1)."""
        book, rows, instruments = self.book, self.book.rows, self.instruments
        count = len(instruments)
        lots = np.bincount(rows.leg >> 1, np.abs(rows.lots), count) + np.abs(book.reserve_lots).sum(axis=0)
        entry = np.bincount(rows.leg >> 1, np.abs(rows.entry), count) + np.abs(book.reserve_entry).sum(axis=0)
        money = np.abs(self.reserve_cash).sum(axis=0).astype(np.float64)
        money += np.bincount(book.currency[rows.account], np.abs(rows.cash), len(money))
        np.add.at(money, instruments.currency, entry)
        return lots, money

    def totals(self) -> tuple[list[int], list[int]]:
        """Σ lots of every instrument, and Σ (cash − entry value) of every currency (laws 1 and 2)."""
        book, rows = self.book, self.book.rows
        instrument = rows.leg >> 1
        count = len(self.instruments)
        lots = [
            int(v)
            for v in sums(instrument, rows.lots.astype(np.int64), count) + book.reserve_lots.sum(axis=0)
        ]
        entry = sums(instrument, rows.entry, count) + book.reserve_entry.sum(axis=0)
        money = self.reserve_cash.sum(axis=0) + sums(
            book.currency[rows.account], rows.cash, len(self.instruments.currencies)
        )
        totals = [int(v) for v in money]
        for i, currency in enumerate(self.instruments.currency):
            totals[currency] -= int(entry[i])
        return lots, totals


def held_legs(book: Book) -> list[int]:
    """Legs of which some trader holds a row."""
    held = np.zeros(2 * len(book.instruments), np.bool_)
    held[book.rows.leg[book.rows.lots != 0]] = True
    return np.flatnonzero(held).tolist()


def held_instruments(book: Book) -> BoolArray:
    """Which instruments somebody holds."""
    held = (book.reserve_lots != 0).any(axis=0)
    held[book.rows.leg[book.rows.lots != 0] >> 1] = True
    return np.asarray(held)


def bounded(value: int, what: str) -> int:
    """An integer that fits the 2^62 bound, or a refusal (rule R1)."""
    if abs(value) > SUM_BOUND:
        raise BoundsError((what,), value, "keep it within ±2^62 atoms (rule R1)")
    return value


def alike(ids: pl.Series, name: str, many: int) -> IntArray:
    """Places of ids that begin and end as a name does; of all, if there are few, these and others: `many`."""
    if many <= MOST_ALIKE:
        return np.arange(len(ids))
    found = ids.str.starts_with(name[:_ALIKE]) & ids.str.ends_with(name[-_ALIKE:])
    return np.flatnonzero(found.to_numpy())[:MOST_ALIKE]


def account_codes(book: Book, given: Sequence[object]) -> IntArray:
    """Positions of accounts by their ids, or by the positions given; −1 of what is no account."""
    codes, count = np.full(len(given), -1, np.int32), len(book.slot)
    texts = [i for i, each in enumerate(given) if is_text(each)]
    if len(texts) == 1:
        codes[texts] = book.index().one(str(given[texts[0]]))
    elif texts:
        codes[texts] = book.index().find(pl.Series([given[i] for i in texts], dtype=pl.String))
    for i, each in enumerate(given):
        if isinstance(each, (int, np.integer)) and not isinstance(each, bool) and 0 <= each < count:
            codes[i] = int(each)
    return codes


def known_account(state: State, given: object, path: tuple[str | int, ...]) -> int:
    """Position of one account; refuses an unknown one at `path`."""
    found = int(account_codes(state.book, [given])[0])
    if found < 0:
        raise unknown_account(state, given, path)
    return found


def unknown_account(state: State, given: object, path: tuple[str | int, ...]) -> InputError:
    """The error that refuses what is no account."""
    remedy = f"name an account of the book, or give its code below {state.everybody}"
    near = nearest(given, state.alike(str(given))) if is_text(given) else ""
    return InputError(path, given, remedy + near)


def _narrow(slots: IntArray) -> IntArray:
    """Slots of one type, so that kernels are compiled once."""
    return slots.astype(np.int32, copy=False)


def places(book: Book, slots: IntArray) -> IntArray:
    """All row places of some accounts."""
    rows = book.rows
    group = np.searchsorted(rows.group_slot, slots, side="right") - 1
    size = rows.group_rows[group]
    width = (rows.group_slot[1:] - rows.group_slot[:-1])[group]
    first = rows.group_row[group] + slots - rows.group_slot[group]
    column = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return np.repeat(first, size) + column * np.repeat(width, size)


def _blocks(book: Book, used: BoolArray | None = None) -> Int64Array:
    """Blocks of the groups, or of those that are used."""
    rows = book.rows
    per_row = rows.lots.itemsize + rows.leg.itemsize
    blocks = []
    for g in range(len(rows.group_rows)) if used is None else np.flatnonzero(used).tolist():
        first, last = rows.group_slot[g : g + 2].tolist()
        size = max(_BLOCK // (8 + per_row * int(rows.group_rows[g])) // WIDTH * WIDTH, 64)
        blocks += [(g, at, min(at + size, last)) for at in range(first, last, size)]
    return np.array(blocks, np.int64).reshape(-1, 3)


def sums(group: IntArray, values: Int64Array, count: int) -> Int64Array:
    """Exact integer sums by group: 26 bits at a time, so that float64 adds them without error."""
    low, high = values & 0x3FFFFFF, values >> 26
    return np.bincount(group, low, count).astype(np.int64) + (
        np.bincount(group, high, count).astype(np.int64) << 26
    )


def _most_lots(book: Book) -> Float64Array:
    most = np.abs(book.reserve_lots).max(axis=0, initial=0).astype(np.float64)
    np.maximum.at(most, book.rows.leg >> 1, np.abs(book.rows.lots))
    return most
