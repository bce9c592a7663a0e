"""How much the fund of a currency may lose, and what it remembers from mark to mark (rules R27, R88, R89)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from fastadl.contracts import Instruments
from fastadl.engine.state import FUND, State
from fastadl.policy import AdlPolicy, Fund

__all__ = ["WHOLE", "FundRule", "Memory", "Purse"]

#: Stands for the fund as a whole where an instrument may stand: in what is spent, in what rests, for debts.
WHOLE = -1

_DAY = 86400
_ZERO = Fraction(0)
#: (time, value) just after marks, oldest first.
_History: TypeAlias = tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a fund remembers; replaced, never changed in place.

    Attributes
    ----------
    time : int, optional
        Of the last mark.
    equity : tuple of (time, Fraction)
        The fund's equity just after the marks in the window: all of them where their mean counts, else those
        that no later one has reached, so that the first is the highest.
    total : Fraction
        Sum of these equities.
    profit : mapping of instrument to tuple of (time, Fraction)
        The fund's profit there, in the same way, once it has had any.
    resting : frozenset of int
        Instruments, or `WHOLE`, whose switch is on.
    day : int
        Number of the day since time 0.
    opening : Fraction
        Equity just after the first mark of the day.
    spent : mapping of instrument or `WHOLE` to Fraction
        What takeovers have cost since then.
    """

    time: int | None = None
    equity: _History = ()
    total: Fraction = _ZERO
    profit: Mapping[int, _History] = field(default_factory=lambda: MappingProxyType({}))
    resting: frozenset[int] = frozenset()
    day: int = -1
    opening: Fraction = _ZERO
    spent: Mapping[int, Fraction] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class _Fall:
    """How far the fund may fall below where it stood.

    ``start`` and ``stop`` are shares of that, ``least`` is the least fall allowed, in atoms; without
    ``switched`` nothing rests (rule R27).
    """

    window: int
    start: Fraction
    stop: Fraction
    least: Fraction | None = None
    mean: bool = False
    by_symbol: bool = False
    switched: bool = True

    @classmethod
    def of(cls, fund: Fund, policy: AdlPolicy, decimals: int) -> _Fall | None:
        if policy.trigger != "drawdown":
            share = fund.max_drawdown
            return None if share is None else cls(fund.peak_window, share, share, switched=False)
        start, stop, window = policy.drawdown_start, policy.drawdown_stop, policy.drawdown_window
        assert start is not None
        assert stop is not None
        assert window is not None
        amount = policy.drawdown_amount
        return cls(
            window,
            start,
            stop,
            least=None if amount is None else amount * 10**decimals,
            mean=policy.drawdown_reference == "mean",
            by_symbol=policy.drawdown_scope == "symbol",
        )

    def allowed(self, reference: Fraction) -> Fraction:
        share = self.start * reference
        return share if self.least is None else max(share, self.least)


class FundRule:
    """Room of the fund of one currency (rules R27, R88, R89).

    Attributes
    ----------
    fund : Fund
    currency : int
    memory : Memory
    row_by_row : bool
        Whether rows of different symbols have rooms of their own, or gains do not widen the room.
    """

    def __init__(self, fund: Fund, policy: AdlPolicy, instruments: Instruments, currency: int) -> None:
        decimals = instruments.decimals[currency]
        self.fund = fund
        self.currency = currency
        self.memory = Memory()
        self.least = fund.min_equity_atoms(decimals)
        self.fall = _Fall.of(fund, policy, decimals)
        self.limits = fund.limit_atoms(instruments)
        self.daily_share = fund.daily_share
        by_symbol = self.fall is not None and self.fall.by_symbol
        self.row_by_row = bool(self.limits) or self.daily_share is not None or by_symbol

    def copy(self) -> FundRule:
        """A rule of its own with the same memory."""
        return copy(self)

    def withdrawn(self, atoms: int) -> None:
        """Have taken from the fund what is no loss of it: where it stood is lower by as much (rule R104)."""
        memory = self.memory
        equity = tuple((time, value - atoms) for time, value in memory.equity)
        added_up = self.fall is not None and self.fall.mean
        total = memory.total - atoms * len(equity) if added_up else memory.total
        self.memory = replace(memory, equity=equity, total=total)

    def marked(self, state: State, time: int) -> None:
        """Remember where the fund stands just after a mark, and set its switches."""
        if self.fall is None and not self.row_by_row:
            return
        memory, equity = self.memory, state.reserve_equity(FUND, self.currency)
        if memory.day != time // _DAY:
            memory = replace(memory, day=time // _DAY, opening=equity, spent=MappingProxyType({}))
        if self.fall is not None:
            memory = _remembered(memory, self.fall, time, equity, _profits(self, state))
            if self.fall.switched:
                memory = replace(memory, resting=_switches(memory, self.fall))
        self.memory = memory

    def reference(self) -> Fraction:
        """The equity that a fall is measured from: r of rule R88 (p, with scope ``symbol``)."""
        assert self.fall is not None
        return _reference(self.memory, self.fall)

    def floor(self) -> Fraction:
        """The equity that the fund as a whole keeps."""
        if self.fall is None or self.fall.by_symbol:
            return self.least
        reference = self.reference()
        return max(self.least, reference - self.fall.allowed(reference))

    def room(self, state: State) -> Fraction:
        """Room for a debt, and for any row unless rows are told apart."""
        return Purse(self, state).room(WHOLE)

    def rest(self, wanting: set[int]) -> None:
        """Switch on where takeovers of rows, or of debts (`WHOLE`), left something for want of room."""
        if self.fall is not None and self.fall.switched and wanting:
            new = wanting - {WHOLE} if self.fall.by_symbol else {WHOLE}
            self.memory = replace(self.memory, resting=self.memory.resting | new)


class Purse:
    """The means of one fund while a stage spends them; nothing moves until the stage is done.

    Parameters
    ----------
    rule : FundRule
    state : State
    """

    def __init__(self, rule: FundRule, state: State) -> None:
        self._rule = rule
        self._memory = rule.memory
        self._floor = rule.floor()
        self._equity = state.reserve_equity(FUND, rule.currency)
        self._spent = dict(rule.memory.spent)
        self._profit = _profits(rule, state)

    def own(self, which: int) -> Fraction:
        """Room for a row of an instrument, or for a debt (`WHOLE`), limits aside (rules R27, R88)."""
        fall, memory = self._rule.fall, self._memory
        by_symbol = fall is not None and fall.by_symbol
        if (which if by_symbol else WHOLE) in memory.resting:
            return _ZERO
        room = self._equity - self._floor
        if fall is not None and by_symbol and which != WHOLE:
            history = memory.profit.get(which)
            highest = history[0][1] if history else _ZERO
            fallen = highest - self._profit.get(which, _ZERO)
            room = min(room, fall.allowed(self._rule.reference()) - fallen)
        return room

    def room(self, which: int) -> Fraction:
        """Room for a row of an instrument, or for a debt (`WHOLE`), within every limit (rule R89)."""
        rooms, rule, opening = [self.own(which)], self._rule, self._memory.opening
        limit = rule.limits.get(which)
        if limit is not None and limit.max_loss is not None:
            rooms.append(limit.max_loss)
        if limit is not None and limit.daily_share is not None:
            rooms.append(limit.daily_share * opening - self._spent.get(which, _ZERO))
        if rule.daily_share is not None:
            rooms.append(rule.daily_share * opening - self._spent.get(WHOLE, _ZERO))
        return min(rooms)

    def take(self, instrument: int, gain: Fraction, cost: Fraction) -> None:
        """A takeover changed the fund's equity by `gain`, and cost `cost`."""
        self._equity += gain
        self._profit[instrument] = self._profit.get(instrument, _ZERO) + gain
        for which in (instrument, WHOLE):
            self._spent[which] = self._spent.get(which, _ZERO) + cost

    def pay(self, amount: int) -> None:
        """A debt was paid in cash."""
        self._equity -= amount
        self._spent[WHOLE] = self._spent.get(WHOLE, _ZERO) + amount

    def close(self) -> None:
        """Have the rule remember what was spent."""
        if self._rule.row_by_row:
            self._rule.memory = replace(self._rule.memory, spent=MappingProxyType(self._spent))


def _reference(memory: Memory, fall: _Fall) -> Fraction:
    return memory.total / len(memory.equity) if fall.mean else memory.equity[0][1]


def _profits(rule: FundRule, state: State) -> dict[int, Fraction]:
    """The fund's profit in every instrument where it had to do, if symbols are told apart (rule R88)."""
    if rule.fall is None or not rule.fall.by_symbol:
        return {}
    held = state.reserve(FUND)
    some = (held.lots != 0) | (held.entry != 0) | (held.realized != 0)
    units = state.marks.units
    return {
        int(i): int(held.realized[i]) + int(held.lots[i]) * units[i] - int(held.entry[i])
        for i in np.flatnonzero(some & (held.currency == rule.currency))
    }


def _remembered(
    memory: Memory, fall: _Fall, time: int, equity: Fraction, profits: dict[int, Fraction]
) -> Memory:
    """The memory after a mark, what has left the window forgotten."""
    start = time - fall.window
    if fall.mean:
        kept = tuple(point for point in memory.equity if point[0] >= start)
        gone = sum((value for _, value in memory.equity[: len(memory.equity) - len(kept)]), _ZERO)
        history, total = (*kept, (time, equity)), memory.total - gone + equity
    else:
        history, total = _highest(memory.equity, start, time, equity), _ZERO
    before: _History = () if memory.time is None else ((memory.time, _ZERO),)
    profit = {
        i: _highest(memory.profit.get(i, before), start, time, profits.get(i, _ZERO))
        for i in {*memory.profit, *profits}
    }
    return replace(memory, time=time, equity=history, total=total, profit=MappingProxyType(profit))


def _highest(history: _History, start: int, time: int, value: Fraction) -> _History:
    """The values that are the highest since `start`, or can become it when older ones are forgotten."""
    kept = (point for point in history if point[0] >= start and point[1] > value)
    return (*kept, (time, value))


def _switches(memory: Memory, fall: _Fall) -> frozenset[int]:
    """Who rests after a mark (rule R88)."""
    reference = _reference(memory, fall)
    start = fall.allowed(reference)
    stop = start * fall.stop / fall.start
    if fall.by_symbol:
        fallen = {i: points[0][1] - points[-1][1] for i, points in memory.profit.items()}
    else:
        fallen = {WHOLE: reference - memory.equity[-1][1]}
    armed = reference > 0 or not fall.by_symbol
    return frozenset(
        which
        for which in {*fallen, *memory.resting}
        if (armed and fallen.get(which, _ZERO) >= start)
        or (which in memory.resting and fallen.get(which, _ZERO) >= stop)
    )
