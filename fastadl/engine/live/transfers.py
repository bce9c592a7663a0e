"""Deposits and withdrawals, a batch of them or none (rule R104)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fastadl.decimals import plain
from fastadl.engine.live.collateral import affordable, free_collateral, free_fund
from fastadl.engine.state import FUND, State
from fastadl.errors import BoundsError, InputError
from fastadl.io.transfers import Transfers
from fastadl.schema import ROW_BOUND, BoolArray, Int64Array, IntArray

__all__ = ["carry_session", "deposit", "withdraw"]


def deposit(state: State, transfers: Transfers) -> None:
    """Add to cash."""
    state.claim(float(transfers.atoms.astype(np.float64).sum()))
    _move(state, transfers, transfers.atoms)


def withdraw(state: State, transfers: Transfers) -> None:
    """Take from cash what is free."""
    account, currency, atoms = transfers
    state.claim(float(atoms.astype(np.float64).sum()))
    wanted = _so_far(np.where(account < 0, -1 - currency, account), atoms)
    rows = np.flatnonzero(account >= 0)
    bad = affordable(state, account[rows], wanted[rows])
    beyond = [] if bad is None else [int(rows[bad])]
    of_fund = np.flatnonzero(account < 0)
    free = {int(c): free_fund(state, int(c)) for c in np.unique(currency[of_fund])}
    beyond += [int(i) for i in of_fund if int(wanted[i]) > free[int(currency[i])]][:1]
    for i in sorted(beyond)[:1]:
        has = free[int(currency[i])] if account[i] < 0 else int(free_collateral(state, account[i : i + 1])[0])
        left = has - int(wanted[i]) + int(atoms[i])
        amount = plain(Fraction(left, 10 ** state.instruments.decimals[currency[i]]))
        raise InputError(
            ("transfers", i, "amount"),
            f"{atoms[i]} atoms",
            f"{left} atoms are free ({amount}): withdraw no more",
        )
    _move(state, transfers, -atoms)


def _so_far(key: IntArray, atoms: Int64Array) -> Int64Array:
    """What each entry and all before it of its key come to."""
    order = np.argsort(key, kind="stable")
    ordered, total = key[order], np.cumsum(atoms[order])
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(key) else order
    before = np.repeat(total[first] - atoms[order][first], np.diff(np.append(first, len(key))))
    out = np.empty(len(key), np.int64)
    out[order] = total - before
    return out


def _move(state: State, transfers: Transfers, atoms: Int64Array) -> None:
    """Change cash."""
    book = state.book
    mine: BoolArray = transfers.account >= 0
    account, own = transfers.account[mine], atoms[mine]
    slots = book.slot[account]
    state.touch_rows(slots, np.empty(0, np.int64))
    most = np.maximum(np.abs(book.rows.cash[slots]), ROW_BOUND)
    np.add.at(book.rows.cash, slots, own)
    for i in np.flatnonzero(np.abs(book.rows.cash[slots]) > most):
        row = int(np.flatnonzero(mine)[i])
        raise BoundsError(("transfers", row, "amount"), int(own[i]), "keep cash within 2^53 atoms (rule R1)")
    carry_session(state, account, own)
    if not mine.all():
        state.touch_reserves()
        np.add.at(state.reserve_cash[FUND], transfers.currency[~mine], atoms[~mine])
        state.check_reserve(FUND)


def carry_session(state: State, account: IntArray, atoms: Int64Array) -> None:
    """Have what sessions began with follow money that came or went, which is neither won nor lost (R95)."""
    if state.session is not None:
        state.remember(state.session.carried(account, atoms))
