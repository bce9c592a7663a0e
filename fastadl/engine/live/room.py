"""Head room of a book: free slots for accounts that open rows, and memory for more of them."""

from __future__ import annotations

import numpy as np

from fastadl.engine.live.regions import Region, carved, regions, widest
from fastadl.engine.state import State
from fastadl.kernels.layout import Rows, locate
from fastadl.kernels.places import Spare, clear_group, make_rows
from fastadl.schema import BoolArray, Int64Array, IntArray

__all__ = ["Room", "room_of"]

#: Columns of `Rows` with one entry per row, and per slot.
_OF_ROWS, _OF_SLOTS = ("leg", "lots", "entry"), ("cash", "account")
#: A new group has so many rows as this part of those of its size, within these bounds.
_PART, _LEAST, _MOST = 4, 1 << 10, 1 << 16
#: Memory asked for, in what is needed: what nothing was written to is not taken from the machine.
_AHEAD = 4
#: More free rows than this part of all have a group cleared before another is added behind the others.
_FREE = 4


def room_of(state: State) -> Room:
    """Where the book of a state can grow, which it is moved to if need be."""
    if state.room is None:
        state.room = Room(state)
    return state.room


class Room:
    """Free slots of a book, and its columns as the first part of longer ones.

    Groups are cut into such of some 65,000 rows. When accounts need a size of which no slot is free, a group
    is added: in a *gap*, or else behind the others. When many rows are free, the accounts of a group with few
    of them first move to free slots of other groups of its size, and it is a gap. So memory follows what is
    held, and no step takes longer than moving one group.

    Parameters
    ----------
    state : State
        Whose columns are moved to where they can grow.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        rows, sizes = state.book.rows, 2 * len(state.instruments) + 2
        self._gap: BoolArray = np.array(
            [not (rows.account[a:b] >= 0).any() for a, b in zip(*_spans(rows), strict=True)], np.bool_
        )
        self.spare = Spare(
            np.full(sizes, -1, np.int32),
            np.empty(0, np.int32),
            np.zeros(sizes, np.int64),
            np.zeros(sizes, np.bool_),
        )
        self._grow(0, 0)
        self._cut()
        self._link_free()

    # ------------------------------------------------------------------ giving slots

    def open(self, account: IntArray, leg: IntArray) -> None:
        """Give accounts closed rows beside those they have; what a slot or a row was, it may no longer be.

        Parameters
        ----------
        account, leg : int32 (n)
        """
        state, i = self._state, 0
        while i >= 0:
            i = make_rows(
                account,
                leg,
                i,
                state.book.slot,
                state.instruments.rank,
                state.book.rows,
                state.guard,
                self.spare,
            )
            if i >= 0:
                self.add(self.rows_of(int(account[i])) + 1)

    def take(self, accounts: IntArray) -> IntArray:
        """Give new accounts a slot each, without cash and of one closed row, if any: int32 (n)."""
        slots, many = np.empty(len(accounts), np.int32), min(len(self._state.instruments), 1)
        for i in range(len(slots)):
            if self.spare.head[many] < 0:
                self.add(many, len(slots) - i)
            slots[i] = slot = int(self.spare.head[many])
            self.spare.head[many] = self.spare.next[slot]
            self.spare.free[many] -= 1
            self._state.book.rows.account[slot] = accounts[i]
        return slots

    def give_back(self, slots: IntArray) -> None:
        """Have slots without open rows free again."""
        rows = self._state.book.rows
        rows.cash[slots] = 0
        rows.account[slots] = -1
        for slot in slots.tolist():
            many = rows.group_rows[locate(rows.group_slot, slot)]
            self.spare.next[slot] = self.spare.head[many]
            self.spare.head[many] = slot
            self.spare.free[many] += 1

    def give_wanted(self) -> None:
        """Add slots that accounts with closed rows would have moved to."""
        wanted = self.spare.wanted
        if np.count_nonzero(wanted):
            for many in np.flatnonzero(wanted).tolist():
                if self.spare.head[many] < 0:
                    self.add(many)
            wanted[:] = False

    def instruments_came(self, many: int) -> None:
        """An account may now have rows of so many more."""
        head, following, free, wanted = self.spare
        more = 2 * many
        self.spare = Spare(
            np.append(head, np.full(more, -1, np.int32)),
            following,
            np.append(free, np.zeros(more, np.int64)),
            np.append(wanted, np.zeros(more, np.bool_)),
        )

    def rows_of(self, account: int) -> int:
        """Rows of an account's slot, open or not."""
        rows = self._state.book.rows
        return int(rows.group_rows[locate(rows.group_slot, self._state.book.slot[account])])

    def add(self, many: int, least: int = 1) -> None:
        """Add a group of free slots of `many` rows each, so many if one group can have them."""
        rows, size = self._state.book.rows, max(many, 1)
        have = int(np.diff(rows.group_slot)[(rows.group_rows == many) & ~self._gap].sum()) * size
        slots = max(min(max(have // _PART, _LEAST, least * size), _MOST) // size, 1)
        if self.spare.free @ np.arange(len(self.spare.free)) > len(rows.lots) // _FREE:
            self._clear(many)
        found = widest(regions(rows, self._gap), many)
        if found is not None and 4 * found.fits(many) >= slots:
            first = self._carve(found, many, min(slots, found.fits(many)))
        else:
            first = self._append(many, slots)
        self._link(many, first)

    def reserve(self, slots: int, rows: int) -> None:
        """Have memory for so many in all."""
        if slots > len(self._long["cash"]) or rows > len(self._long["lots"]):
            self._grow(slots, rows)

    # ------------------------------------------------------------------ groups

    def _clear(self, many: int) -> None:
        """Bring free slots of one other size together, if those of one group fit into the others."""
        rows, free = self._state.book.rows, self.spare.free
        slots = np.zeros(len(free), np.int64)
        np.add.at(slots, rows.group_rows[~self._gap], np.diff(rows.group_slot)[~self._gap])
        share = free / np.maximum(slots, 1)
        share[[0, many]] = 0.0
        for size in np.argsort(-share, kind="stable").tolist():
            if _FREE * share[size] < 1.0:
                return
            count = np.zeros(len(self._gap), np.int64)
            g = clear_group(
                size, self._state.book.slot, rows, self._state.guard, self.spare, ~self._gap, count
            )
            if g >= 0:
                self._gap[g] = True
                return

    def _carve(self, found: Region, many: int, slots: int) -> int:
        """Make the first slots of a gap a group of its own; its number."""
        rows, g = self._state.book.rows, found.first
        pieces = carved(found, many, slots)
        sizes, counts = np.array(pieces, np.int64).T
        kept = slice(0, g), slice(found.last + 1, None)
        group_rows = np.concatenate([rows.group_rows[kept[0]], sizes, rows.group_rows[kept[1]]])
        width = np.diff(rows.group_slot)
        width = np.concatenate([width[kept[0]], counts, width[kept[1]]])
        gap = np.ones(len(pieces), np.bool_)
        gap[0] = False
        self._gap = np.concatenate([self._gap[kept[0]], gap, self._gap[kept[1]]])
        self._regroup(group_rows, width, self._state.book.rows)
        return g

    def _append(self, many: int, slots: int) -> int:
        """Make slots behind all others a group; its number."""
        rows = self._state.book.rows
        first, row = len(rows.cash), len(rows.lots)
        self.reserve(first + slots, row + slots * many)
        long = {name: self._long[name][: row + slots * many] for name in _OF_ROWS}
        long |= {name: self._long[name][: first + slots] for name in _OF_SLOTS}
        for name in _OF_ROWS:
            long[name][row:] = 0
        long["cash"][first:] = 0
        long["account"][first:] = -1
        self._long["guard"][first : first + slots] = np.inf
        self._gap = np.append(self._gap, False)
        width = np.append(np.diff(rows.group_slot), slots)
        self._regroup(np.append(rows.group_rows, many), width, self._state.book.rows._replace(**long))
        return len(width) - 1

    def _regroup(self, group_rows: Int64Array, width: Int64Array, rows: Rows) -> None:
        self._state.book.rows = rows._replace(
            group_rows=group_rows,
            group_slot=np.append(0, np.cumsum(width)),
            group_row=np.append(0, np.cumsum(width * group_rows)),
        )
        self._state.laid_out(self._long["guard"][: len(rows.cash)], ~self._gap)

    def _link(self, many: int, g: int) -> None:
        """Have the slots of a new group found."""
        first, last = self._state.book.rows.group_slot[g : g + 2].tolist()
        self.spare.next[first:last] = np.arange(first + 1, last + 1)
        self.spare.next[last - 1] = self.spare.head[many]
        self.spare.head[many] = first
        self.spare.free[many] += last - first

    # ------------------------------------------------------------------ memory

    def _cut(self) -> None:
        """Cut large groups into such as are added."""
        rows, width = self._state.book.rows, np.diff(self._state.book.rows.group_slot)
        step = np.maximum(_MOST // np.maximum(rows.group_rows, 1), 1)
        step[self._gap] = np.maximum(width[self._gap], 1)
        pieces = -(-width // step)
        for g in np.flatnonzero(pieces > 1).tolist():
            span, many = slice(*rows.group_row[g : g + 2].tolist()), int(rows.group_rows[g])
            for name in _OF_ROWS:
                column = getattr(rows, name)[span]
                whole = column.reshape(many, int(width[g])).copy()
                for at in range(0, int(width[g]), int(step[g])):
                    part = whole[:, at : at + int(step[g])]
                    column[at * many : at * many + part.size] = part.ravel()
        counts = np.repeat(step, pieces)
        last = np.cumsum(pieces)[pieces > 0] - 1
        counts[last] = (width - step * (pieces - 1))[pieces > 0]
        self._gap = np.repeat(self._gap, pieces)
        self._regroup(np.repeat(rows.group_rows, pieces), counts, rows)

    def _grow(self, slots: int, rows: int) -> None:
        """Copy the columns to where there is room for several times as many, and at least for so many."""
        state, now = self._state, self._state.book.rows
        most_slots = max(_AHEAD * len(now.cash), slots) + _MOST
        most_rows = max(_AHEAD * len(now.lots), rows) + _MOST
        long = {name: _longer(getattr(now, name), most_rows) for name in _OF_ROWS}
        long |= {name: _longer(getattr(now, name), most_slots) for name in _OF_SLOTS}
        long["guard"] = _longer(state.guard, most_slots)
        following = _longer(self.spare.next, most_slots)  # nothing has changed if there is no memory for it
        self._long, self.spare = long, self.spare._replace(next=following)
        views = {name: self._long[name][: len(now.lots)] for name in _OF_ROWS}
        views |= {name: self._long[name][: len(now.cash)] for name in _OF_SLOTS}
        state.book.rows = now._replace(**views)
        state.guard = self._long["guard"][: len(now.cash)]

    def _link_free(self) -> None:
        rows = self._state.book.rows
        free = np.flatnonzero(rows.account < 0)
        group = np.searchsorted(rows.group_slot, free, side="right") - 1
        free, group = free[~self._gap[group]], group[~self._gap[group]]
        many = rows.group_rows[group]
        for size in np.unique(many):
            of_size = free[many == size]
            self.spare.next[of_size] = np.append(of_size[1:], -1)
            self.spare.head[size] = of_size[0]
            self.spare.free[size] = len(of_size)


def _spans(rows: Rows) -> tuple[list[int], list[int]]:
    """First slot of each group, and of the one after it."""
    return rows.group_slot[:-1].tolist(), rows.group_slot[1:].tolist()


def _longer(array: IntArray, size: int) -> IntArray:
    long = np.empty(size, array.dtype)
    long[: len(array)] = array
    return long
