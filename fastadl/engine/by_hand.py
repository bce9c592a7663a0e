"""One row closed against others outside a tick, as the caller says (rule R98)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from fastadl.engine.allocation import Quotas
from fastadl.engine.bankruptcy import bankruptcies
from fastadl.engine.crowd import Crowd
from fastadl.engine.deleverage import Leg, fill_leg
from fastadl.engine.laws import closed_at_zero, owed_zero
from fastadl.engine.ranking import Candidates, among, candidates
from fastadl.engine.results import Tick
from fastadl.engine.state import State, account_codes, known_account, unknown_account
from fastadl.errors import InputError
from fastadl.kernels.layout import expand
from fastadl.policy import AdlPolicy
from fastadl.schema import IntArray

__all__ = ["Order", "close", "leg_of", "terms"]

#: What of a policy has a say; the rest is about when, and about the fund.
_SAY = (
    *("score", "then", "tiers", "allocation", "guard", "split", "cancel_orders"),
    *("seed", "delta_limit", "max_share", "exponent", "min_leverage", "betas"),
)


def terms(policy: AdlPolicy, price: Any) -> AdlPolicy:
    """The policy of one close, at another price if one is given; refuses contradictions (rule R81)."""
    say = {name: getattr(policy, name) for name in _SAY}
    return AdlPolicy(**say, price=policy.price if price is None else price)


#: Symbols that an error names.
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Order:
    """What to close: lots of one leg of an account, and against whom if not as ranked."""

    account: int
    leg: int
    lots: int
    counterparties: IntArray | None

    @classmethod
    def of(
        cls,
        state: State,
        account: object,
        symbol: object,
        side: object,
        lots: object,
        counterparties: object,
    ) -> Order:
        """An order that the account's rows allow.

        Raises
        ------
        InputError
        """
        who = known_account(state, account, ("account",))
        if state.orders.among(np.array([who]))[0]:
            raise InputError(("account",), account, "it is in liquidation: cancel its orders first")
        leg = leg_of(state, who, state.instruments.lookup(symbol, ("symbol",)), side)
        return cls(who, leg, _lots(lots, _held(state, who)[leg]), _others(state, who, counterparties))


def leg_of(state: State, account: int, instrument: int, side: object) -> int:
    """Leg of the row an account holds in an instrument; refuses what it does not hold."""
    held = _held(state, account)
    mine = {leg: size for leg, size in held.items() if leg >> 1 == instrument}
    if not mine:
        symbols = [state.instruments.symbols[leg >> 1] for leg in held]
        listed = f": {', '.join(dict.fromkeys(symbols[:_NAMED]))}" if held else "; it holds nothing"
        raise InputError(("side",), side, f"name a symbol it holds{listed}")
    return _leg(mine, side)


def _held(state: State, account: int) -> dict[int, int]:
    """Unsigned lots by leg."""
    rows = state.book.rows
    _, places = expand(rows, state.book.slot[account : account + 1])
    return {int(rows.leg[at]): int(abs(rows.lots[at])) for at in places}


def _leg(held: dict[int, int], side: object) -> int:
    if side is None:
        if len(held) == 1:
            return next(iter(held))
        raise InputError(("side",), side, "name the side, long or short: the account holds both")
    for leg in held:
        if side == ("short" if leg & 1 else "long"):
            return leg
    sides = " or ".join("short" if leg & 1 else "long" for leg in held)
    raise InputError(("side",), side, f"name a side the account holds: {sides}")


def _lots(lots: object, held: int) -> int:
    if lots is None:
        return held
    if isinstance(lots, bool) or not isinstance(lots, Integral) or not 1 <= int(lots) <= held:
        raise InputError(("lots",), lots, f"give 1 to {held} whole lots, what the account holds")
    return int(lots)


def _others(state: State, account: int, given: object) -> IntArray | None:
    """Counterparties as positions in the book, in the order given."""
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(("counterparties",), given, "give a list of account ids or codes")
    found: dict[int, None] = {}
    for i, who in enumerate(account_codes(state.book, given).tolist()):
        path, name = ("counterparties", i), given[i]
        if who < 0:
            raise unknown_account(state, name, path)
        if who in found or who == account:
            raise InputError(path, name, "name every counterparty once, and not the account itself")
        found[who] = None
    return np.array(list(found), np.int64)


def close(state: State, tick: Tick, order: Order, policy: AdlPolicy, number: int, crowd: Crowd) -> bool:
    """Close the lots of an order; returns whether law 4 holds (rule R32).

    Parameters
    ----------
    state, tick : State, Tick
        The tick is one of its own, and takes the fills.
    order : Order
    policy : AdlPolicy
    number : int
        That a random ranking goes by.
    crowd : Crowd
        Those who may be counterparties.
    """
    slots = state.book.slot[order.account : order.account + 1]
    state.touch(slots)
    doomed = bankruptcies(state, slots, policy.split == "notional")
    leg = Leg(order.leg, np.flatnonzero(doomed.work.leg == order.leg), np.array([order.lots]))
    if order.counterparties is None:
        given = crowd.quotas([order.leg ^ 1], [order.lots], slots)[0]
    else:
        named = state.book.slot[order.counterparties]
        found = candidates(state, [order.leg ^ 1], policy, ~among(state, named), number)[0]
        given = _as_named(found, named)
    owed = owed_zero(doomed, policy)
    fill_leg(state, tick, doomed, leg, given, policy)
    return closed_at_zero(state, doomed, owed)


def _as_named(found: Candidates, slots: IntArray) -> Quotas:
    """Candidates by the place of their accounts among `slots`, each for all it holds."""
    place = {slot: i for i, slot in enumerate(found.slot.tolist())}
    rank = np.array([i for i, slot in enumerate(slots.tolist()) if slot in place], np.int64)
    chosen = np.array([place[slot] for slot in slots[rank].tolist()], np.int64)
    return Quotas(
        row=found.row[chosen],
        slot=found.slot[chosen],
        lots=found.lots[chosen],
        rank=rank + 1,
        score=found.parts[0][chosen],
    )
