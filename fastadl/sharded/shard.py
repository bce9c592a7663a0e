"""A part of a book: the accounts that are at home in one place, and what is asked of them."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.contracts import Instrument
from fastadl.engine.detect import detect, mark
from fastadl.engine.live import funding, listing, settlement
from fastadl.engine.live.accounts import open_accounts, register_of, smaller
from fastadl.engine.live.room import room_of
from fastadl.engine.results import Report, Tick
from fastadl.engine.saving import resume_state, saved_book, saved_state
from fastadl.engine.socialize import begin_session
from fastadl.engine.socialize.moves import Moves, move
from fastadl.engine.socialize.sessions import forget_ended, slots_in_debt
from fastadl.engine.state import State, alike
from fastadl.journal.disk import Disk
from fastadl.journal.entry import End
from fastadl.journal.recovery import refusals
from fastadl.journal.snapshot import contents_of, seal_of, write
from fastadl.policy import AdlPolicy
from fastadl.schema import AccountColumns, Int64Array, IntArray
from fastadl.sharded.moving import Moving, come_back, leave, look
from fastadl.sharded.part import Chosen, Part
from fastadl.sharded.placing import Placing
from fastadl.sharded.report import Detected

__all__ = ["READING", "Shard"]

#: Calls that change nothing of what a shard answers later.
READING = frozenset(
    {
        *("ahead_of", "alike", "charged", "codes_of", "contents", "detected", "figure", "find"),
        *("ids", "look_at", "money", "rows", "save", "some_ids", "tally", "unmarked", "worth", "write_list"),
    }
)

_NONE = np.empty(0, np.int64)
NO_MOVES = Moves(_NONE, _NONE, _NONE, _NONE)


class Shard(Placing, Part):
    """A book without reserves, whose accounts keep their place among those of all shards.

    A call changes nothing for good before `commit`; `rollback` takes back what came since the last one.

    Parameters
    ----------
    book : Book
        Its ``rank`` is that among the accounts of all shards. It is taken over.
    policy : AdlPolicy
    codes : int64 (accounts)
        Positions of its accounts among those of all shards, rising.
    """

    def __init__(self, book: Book, policy: AdlPolicy, codes: Int64Array) -> None:
        super().__init__(State(book), policy)
        self.codes = codes
        self._tick: Tick | None = None
        self._stayed: dict[int, Detected] = {}
        self._charged: dict[int, Moves] = {}
        self._away = np.zeros(len(book.slot), np.bool_)

    @property
    def codes(self) -> Int64Array:
        """Positions of its accounts among those of all shards."""
        return self.state.given

    @codes.setter
    def codes(self, codes: Int64Array) -> None:
        self.state.given = codes

    # ------------------------------------------------------------------ all or nothing

    def commit(self) -> None:
        """Keep what was done."""
        self.state.commit()

    def rollback(self) -> None:
        """Take back what was done since the last commit."""
        self.state.rollback()

    # ------------------------------------------------------------------ snapshots

    def save(self, path: Path, end: End) -> str:
        """Write a snapshot of all that is committed; what `seal_of` says of it."""
        contents = {
            **saved_state(self.state),
            "rank": self.state.book.rank,
            "codes": self.codes,
            "away": self._away,
        }
        with refusals(path, "make room: the journal goes on without this snapshot"):
            if path.exists():  # of a process that was lost before it could say so
                shutil.rmtree(path)
            write(Disk(), path, end, contents_of(contents))
            return seal_of(path)

    @classmethod
    def of(cls, contents: Mapping[str, Any], policy: AdlPolicy) -> Self:
        """The shard that `save` wrote."""
        book = saved_book(contents)
        book.rank = contents["rank"].copy()
        shard = cls(book, policy, contents["codes"].copy())
        resume_state(shard.state, contents)
        shard._away = contents["away"].copy()
        return shard

    # ------------------------------------------------------------------ stages

    def mark(
        self,
        prices: Mapping[int, Fraction],
        oracle: Mapping[int, Fraction],
        number: int,
        time: int,
        everybody: bool,
        read: Collection[int] = (),
    ) -> tuple[int, Moving | None]:
        """Mark, and detect; how many are liquidatable that stay here, and who is lent.

        Parameters
        ----------
        prices, oracle : mapping of instrument to price
        number, time : int
            Of the tick.
        everybody : bool
            Lend all that were detected, not only the bankrupt.
        read : collection of int
            Earlier ticks whose report somebody may still read.
        """
        state, before = self.state, self.state.marks
        was, tick_was, kept = state.prices(), self._tick, (self._stayed, self._charged)

        def undo() -> None:
            state.set_prices(was)
            self._tick, (self._stayed, self._charged) = tick_was, kept

        state.undoable(undo)
        mark(state, prices, oracle, first_tick=number == 0)
        begin_session(state, self.policy, time)
        self._tick = tick = Tick(number, time, len(state.instruments.currencies))
        detect(state, tick, prices, before)
        lends = np.ones(len(tick.accounts), np.bool_) if everybody else tick.was_bankrupt
        stay = np.flatnonzero(~lends)
        self._stayed = {each: found for each, found in kept[0].items() if each in read}
        self._charged = {each: found for each, found in kept[1].items() if each in read}
        self._stayed[number] = Detected(tick, stay)
        return len(stay), self.lend(tick.accounts[lends])

    def lend_detected(self) -> tuple[Detected, Moving | None]:
        """Lend those detected in this tick that stayed here; what was found of them, if nobody asked yet."""
        tick = self._tick
        assert tick is not None
        number, stayed = tick.number, self._stayed[tick.number]

        def undo() -> None:
            self._stayed[number] = stayed

        self.state.undoable(undo)
        self._stayed[number] = Detected(tick, np.empty(0, np.int64))
        return stayed, self.lend(stayed.columns["account"])

    def charged(self, number: int) -> tuple[Moves, pl.Series, Int64Array]:
        """Who was charged in a tick, their ids, and their codes among all."""
        moves = self._charged.get(number) or NO_MOVES
        ids = self.state.book.accounts.gather(moves.account.astype(np.uint32)).rechunk()
        return moves, ids, self.codes[moves.account]

    def tally(self, number: int) -> Int64Array:
        """Accounts a tick detected and left here, those it charged, and how much: int64 (3, currencies)."""
        book, moves = self.state.book, self._charged.get(number, NO_MOVES)
        stayed = book.currency[self._stayed[number].columns["account"]]
        found = np.zeros((3, len(self.state.instruments.currencies)), np.int64)
        np.add.at(found[0], stayed, 1)
        np.add.at(found[1], moves.currency, 1)
        np.add.at(found[2], moves.currency, np.maximum(-moves.amount, 0))
        return found

    def write_list(self, number: int, name: str, path: str) -> None:
        """Write the entries that a list of a tick's report has of accounts of this shard, as Parquet."""
        tick = Tick(number, 0, len(self.state.instruments.currencies))
        moves = self._charged.get(number, NO_MOVES)
        charged = {"account": moves.account, "currency": moves.currency, "amount": moves.amount}
        tick.lists.update(liquidations=[self._stayed[number].columns], socialized=[charged])
        frame: pl.DataFrame = getattr(Report(tick, self.state.book, ""), name)
        frame.write_parquet(path)

    def detected(self, number: int) -> Detected:
        """Those detected in a tick that stayed here."""
        return self._stayed[number].named(self.state.book, self.codes)

    # ------------------------------------------------------------------ loans

    def lend(self, account: IntArray) -> Moving | None:
        """Have accounts leave, of which some may be away already; None where nobody is left to go."""
        account = account[~self._away[account]]
        if not len(account):
            return None
        self._set_away(account, True)
        return leave(self.state, account, self.codes[account])

    def lend_named(self, ids: pl.Series, codes: Int64Array) -> Moving | None:
        """Lend accounts of some ids and codes among all, those that are here."""
        return self.lend(self._named(ids, codes))

    def look_at(self, ids: pl.Series, codes: Int64Array) -> Moving:
        """The same, but they stay."""
        account = self._named(ids, codes)
        return self._look(account[~self._away[account]])

    def contents(self) -> Moving:
        """All that are here."""
        return self._look(np.flatnonzero(~self._away).astype(np.int32))

    def _named(self, ids: pl.Series, codes: Int64Array) -> IntArray:
        at = np.searchsorted(self.codes, codes)
        here = at < len(self.codes)
        here[here] = self.codes[at[here]] == codes[here]
        found = self.find(ids)
        return np.unique(np.concatenate([found[found >= 0], at[here].astype(np.int32)]))

    def _look(self, account: IntArray) -> Moving:
        return look(self.state, account, self.codes[account])

    def lend_chosen(self) -> tuple[dict[Any, Chosen | None], Moving | None]:
        """Whom the rounds that ended have found, by leg, and those of them that were still here."""
        chosen = self.chosen()
        accounts = [each.account for each in chosen.values() if each is not None]
        return chosen, self.lend(np.unique(np.concatenate([np.empty(0, np.int32), *accounts])))

    def lend_in_debt(self) -> Moving | None:
        """Lend those without rows whose cash is negative."""
        return self.lend(self.state.book.rows.account[slots_in_debt(self.state)])

    def pay(self, number: int) -> None:
        """Have those of this shard pay whom the rounds that ended have charged."""
        charged = self._charged

        def undo() -> None:
            self._charged = charged

        self.state.undoable(undo)
        self._charged = {**charged, number: move(self.state, -self.answer.amount)}

    def forget_ended(self) -> None:
        """The debts of the session that ended have been charged."""
        forget_ended(self.state)

    def come_back(self, coming: Moving) -> None:
        """Take in accounts that were lent."""
        self._set_away(coming.account, False)
        come_back(self.state, coming)

    def _set_away(self, account: IntArray, away: bool) -> None:
        def undo() -> None:
            self._away[account] = not away

        self.state.undoable(undo)
        self._away[account] = away

    # ------------------------------------------------------------------ between ticks

    def pay_funding(self, rates: Mapping[int, Fraction]) -> funding.Paid:
        """Have all here pay and receive; accounts by code among all."""
        return funding.pay_rows(self.state, rates).by_code(self.codes)

    def set_tiers(self, tiers: dict[int, Any]) -> None:
        """Replace tiers of instruments."""
        listing.set_tiers(self.state, tiers)

    def list_instruments(self, new: Sequence[Instrument]) -> None:
        """Add instruments."""
        listing.list_instruments(self.state, new)

    def settle_instrument(self, instrument: int, price: Fraction) -> settlement.Closed:
        """Close all rows of an instrument at a price, and delist it; accounts by code among all."""
        closed = settlement.close_rows(self.state, instrument, price)
        listing.delist(self.state, instrument)
        return closed.by_code(self.codes)

    def ahead_of(self, ids: pl.Series) -> tuple[int, Int64Array]:
        """How many accounts are at home here, and how many of them stand ahead of each id, ascending."""
        book, rank = self.state.book, np.empty(len(self.codes), np.int32)
        rank[np.argsort(book.rank)] = np.arange(len(rank), dtype=np.int32)
        return len(rank), smaller(book._id, rank, ids)

    def make_room(self, ahead: Int64Array) -> None:
        """Move ranks for new ids of all shards, ascending, ahead of which so many accounts stand."""
        register_of(self.state).make_room(ahead)

    def open_accounts(self, accounts: AccountColumns, ranks: IntArray, codes: Int64Array) -> list[int]:
        """Add accounts that have these ranks and codes among all; what cash came in by currency."""
        before = self.codes, self._away

        def undo() -> None:
            self.codes, self._away = before

        self.state.undoable(undo)
        self.codes = np.concatenate([self.codes, codes])
        self._away = np.concatenate([self._away, np.zeros(len(codes), np.bool_)])
        return open_accounts(self.state, accounts, ranks)[1]

    def prepare(self, positions: int, accounts: int) -> None:
        """Move the book to where it can grow, to so many in all, and make what finds ids."""
        self.state.book.index()
        room_of(self.state).reserve(2 * accounts, 2 * positions)

    # ------------------------------------------------------------------ figures

    def ids(self) -> tuple[Int64Array, pl.Series]:
        """Codes among all, and ids, of those who are at home here."""
        return self.codes, self.state.book.accounts.rechunk()

    def worth(self, name: str) -> tuple[Int64Array, Any]:
        """The same codes, and what a method of `State` says of everybody: `evaluated`, `cash` and others."""
        return self.codes, getattr(self.state, name)(self.state.book.slot)

    def rows(self) -> int:
        """Open rows."""
        return len(self.state.book)

    def find(self, ids: pl.Series) -> IntArray:
        """Position of each id, or −1."""
        return self.state.book.index().find(ids)

    def codes_of(self, ids: pl.Series) -> IntArray:
        """Code of each id among all, −1 where it is not at home here: int32 (n)."""
        found = self.find(ids)
        codes = np.full(len(found), -1, np.int32)
        codes[found >= 0] = self.codes[found[found >= 0]]
        return codes

    def alike(self, name: str, many: int) -> tuple[Int64Array, pl.Series]:
        """Ids that a name may stand for among so many of all shards, with their codes among these."""
        ids = self.state.book.accounts
        found = alike(ids, name, many)
        return self.codes[found], ids.gather(found).rechunk()

    def unmarked(self) -> IntArray:
        """Instruments held here that have no mark."""
        return self.state.unmarked(self.state.marks)

    def figure(self, name: str) -> Any:
        """What a state adds up: ``open_lots``, ``open_entries``, ``totals`` or ``sizes``."""
        return getattr(self.state, name)()

    def money(self, currency: int) -> int:
        """As `State.money`."""
        return self.state.money(currency)
