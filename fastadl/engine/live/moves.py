"""Transfers from account to account, a position along with them or not (rule R104)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from fastadl.decimals import plain
from fastadl.engine.live.room import room_of
from fastadl.engine.live.transfers import carry_session
from fastadl.engine.state import State, places
from fastadl.errors import BoundsError, InputError
from fastadl.io.transfers import Moves
from fastadl.reference.layout import open_rows
from fastadl.schema import ROW_BOUND, SUM_BOUND

__all__ = ["move"]


@dataclass
class _Account:
    """What an account holds in the course of a batch: cash, and signed lots and entry value by leg."""

    state: State
    cash: int
    held: dict[int, tuple[int, int]]

    @classmethod
    def of(cls, state: State, account: int) -> _Account:
        rows, slot = state.book.rows, int(state.book.slot[account])
        held = {2 * row.instrument + (row.lots < 0): (row.lots, row.entry) for row in open_rows(rows, slot)}
        return cls(state, int(rows.cash[slot]), held)

    def profit(self, leg: int) -> Fraction:
        """Of one row, at mark."""
        lots, entry = self.held[leg]
        return lots * self.state.marks.units[leg >> 1] - entry

    def margin(self) -> Fraction:
        """Σ initial or Σ maintenance margin, whichever is more."""
        units, initial, maintenance = self.state.marks.units, Fraction(0), Fraction(0)
        for leg, (lots, _) in self.held.items():
            item, notional = self.state.instruments[leg >> 1], abs(lots * units[leg >> 1])
            initial += item.initial_margin(notional)
            maintenance += item.maintenance_margin(notional)
        return max(initial, maintenance)

    def equity(self) -> Fraction:
        """At mark."""
        return sum((self.profit(leg) for leg in self.held), Fraction(self.cash))

    def free(self) -> int:
        """Atoms of cash that can leave."""
        return max(0, floor(min(Fraction(self.cash), self.equity()) - self.margin()))


def move(state: State, moves: Moves) -> None:
    """Move money and positions in the order given, all of it or nothing."""
    plan = _Plan(state, moves)
    for i in range(len(moves.atoms)):
        plan.step(i)
    plan.carry_out()


class _Plan:
    """What the accounts of a batch come to hold; the book is written when all of it is found fine."""

    def __init__(self, state: State, moves: Moves) -> None:
        self.state, self.moves = state, moves
        self.owners = state.book.owners
        self.accounts: dict[int, _Account] = {}
        self.worth: dict[int, int] = {}
        self.opened: list[tuple[int, int]] = []

    def account(self, code: int) -> _Account:
        if code not in self.accounts:
            self.accounts[code] = _Account.of(self.state, code)
        return self.accounts[code]

    def step(self, i: int) -> None:
        """One transfer; refuses what may not be."""
        moves, book = self.moves, self.state.book
        source, target, atoms = int(moves.source[i]), int(moves.target[i]), int(moves.atoms[i])
        if self.owners[source] != self.owners[target]:
            raise self._refused(i, "target", "name an account of the same owner as the source")
        if self.state.orders.among(np.array([source]))[0]:
            raise self._refused(i, "source", "wait until its liquidation orders are filled or cancelled")
        giver, taker = self.account(source), self.account(target)
        leg = self._leg(i, giver)
        worth = atoms
        if leg is not None:
            if self.state.orders.among(np.array([target]))[0]:
                raise self._refused(i, "target", "it is in liquidation and takes no position")
            worth += floor(giver.profit(leg))
            self._move_row(i, leg, giver, taker)
        free = giver.free()
        if atoms > free:
            decimals = self.state.instruments.decimals[book.currency[source]]
            raise InputError(
                ("moves", i, "amount"),
                f"{atoms} atoms",
                f"{free} atoms are free ({plain(Fraction(free, 10**decimals))}): move no more",
            )
        giver.cash -= atoms
        taker.cash += atoms
        if abs(taker.cash) > max(ROW_BOUND, abs(taker.cash - atoms)):
            raise BoundsError(("moves", i, "amount"), atoms, "keep cash within 2^53 atoms (rule R1)")
        if leg is not None:
            self._check_margin(i, "source", giver)
            self._check_margin(i, "target", taker)
        self.worth[source] = self.worth.get(source, 0) - worth
        self.worth[target] = self.worth.get(target, 0) + worth

    def _leg(self, i: int, giver: _Account) -> int | None:
        """Leg of the position that moves along."""
        instrument, side = int(self.moves.instrument[i]), int(self.moves.side[i])
        if instrument < 0:
            return None
        sides = (0, 1) if side < 0 else (side,)
        found = [2 * instrument + each for each in sides if 2 * instrument + each in giver.held]
        if not found:
            raise self._refused(i, "symbol", "name a position that the source holds", instrument)
        if len(found) > 1:
            raise self._refused(
                i, "symbol", "the source holds both: give its side, long or short", instrument
            )
        return found[0]

    def _move_row(self, i: int, leg: int, giver: _Account, taker: _Account) -> None:
        target = int(self.moves.target[i])
        if self.state.book.isolated[target] and any(other != leg for other in taker.held):
            raise self._refused(i, "target", "an isolated account holds at most one position")
        lots, entry = giver.held.pop(leg)
        if leg not in taker.held:
            self.opened.append((target, leg))
        many, paid = taker.held.get(leg, (0, 0))
        lots, entry = lots + many, entry + paid
        taker.held[leg] = lots, entry
        beyond = abs(lots) > ROW_BOUND or abs(entry) > ROW_BOUND
        if beyond or abs(lots * self.state.marks.units[leg >> 1]) > SUM_BOUND:
            raise BoundsError(
                ("moves", i, "symbol"),
                lots,
                "keep a position within 2^53 lots and atoms, and its value within 2^62 (rule R1)",
            )

    def _check_margin(self, i: int, column: str, account: _Account) -> None:
        short = account.margin() - account.equity()
        if short > 0:
            raise self._refused(i, column, f"its equity would be {-floor(-short)} atoms below its margin")

    def carry_out(self) -> None:
        """Write what was planned."""
        state, book = self.state, self.state.book
        if self.opened:
            account, leg = np.array(self.opened, np.int32).T
            room_of(state).open(account.copy(), leg.copy())
        for each in self.accounts.values():
            for leg, (lots, _) in each.held.items():
                state.most_lots[leg >> 1] = max(state.most_lots[leg >> 1], abs(lots))
        slots = book.slot[np.array(list(self.accounts), np.int64)]
        state.touch(slots)
        rows = book.rows
        for slot, account in zip(slots.tolist(), self.accounts.values(), strict=True):
            rows.cash[slot] = account.cash
            for at in places(book, np.array([slot])).tolist():
                lots, entry = account.held.get(int(rows.leg[at]), (0, 0))
                rows.lots[at], rows.entry[at] = lots, entry
        carry_session(
            state, np.array(list(self.worth), np.int64), np.array(list(self.worth.values()), np.int64)
        )

    def _refused(self, i: int, column: str, remedy: str, instrument: int | None = None) -> InputError:
        if instrument is None:
            return InputError(("moves", i, column), self._name(i, column), remedy)
        return InputError(("moves", i, column), self.state.instruments.symbols[instrument], remedy)

    def _name(self, i: int, column: str) -> str:
        return str(self.state.book.accounts[int(getattr(self.moves, column)[i])])
