"""What a counterparty can bear: lots it can close and stay above zero, and as healthy (rules R45, R86)."""

from __future__ import annotations

import numpy as np

from fastadl.kernels._jit import kernel
from fastadl.kernels.account import row_value, wide_margin
from fastadl.kernels.layout import locate
from fastadl.kernels.wide import add, divide, multiply, whole

__all__ = ["BELOW_ZERO", "HEALTH", "UNCUT", "allowed"]

#: Why a fill was cut.
UNCUT, BELOW_ZERO, HEALTH = 0, 1, 2

#: Bound on the relative error of sums, products and quotients of pairs of float64.
_ROUNDING = 1e-28


@kernel
def allowed(bankrupt, i, slot, at, lots, rows, side, transfer, health, margins, exact):
    """Lots of a fill that the guard lets through, and why not all of them.

    Parameters
    ----------
    bankrupt : Bankrupt
    i : int
        The bankrupt row.
    slot, at, lots : int
        The counterparty, its row, and the lots it is asked for.
    rows : Rows
    side, transfer : as in `fill`
    health : bool
        Rule R86; else R45 alone.
    margins : Margins
    exact : Exact

    Returns
    -------
    most : int
        −1 if that takes unlimited integers.
    reason : int
        `BELOW_ZERO` where rule R45 alone cuts to as few lots, else `HEALTH`; `UNCUT` where nothing is cut.
    """
    all_lots = bankrupt.lots[i]
    instrument = rows.leg[bankrupt.row[i]] >> 1
    if bankrupt.whole_value[i]:
        price = whole(bankrupt.value[i])
    elif transfer[0] == exact.units[instrument] and transfer[1] == exact.per[instrument]:
        return lots, UNCUT
    else:
        price = divide(multiply(whole(side * all_lots), whole(transfer[0])), whole(transfer[1]))
    worth = row_value(all_lots if rows.lots[bankrupt.row[i]] > 0.0 else -all_lots, instrument, exact)
    loss = add(price, (-worth[0], -worth[1]))
    unsure = 1e-9 + (abs(price[0]) + abs(worth[0])) * _ROUNDING
    if loss[0] <= unsure:
        return (lots if loss[0] < -unsure else -1), UNCUT
    free, error = _free(slot, rows, exact)
    most = _solvent(lots, all_lots, loss, unsure, free, error)
    if health and most > 0:
        cost = divide(loss, whole(all_lots))
        kept = _healthy(most, slot, at, rows, free, error, cost, unsure / all_lots, margins, exact)
        if kept < most:
            return kept, HEALTH
    return most, (BELOW_ZERO if most < lots else UNCUT)


@kernel
def _free(slot, rows, exact):
    """Equity less one atom as a pair of float64, and a bound on its error."""
    free = whole(rows.cash[slot] - 1)
    g = locate(rows.group_slot, slot)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    size = abs(free[0])
    for _ in range(rows.group_rows[g]):
        held = int(rows.lots[at])
        if held != 0:
            value = row_value(held, rows.leg[at] >> 1, exact)
            free = add(free, add(value, whole(-rows.entry[at])))
            size += abs(value[0]) + abs(float(rows.entry[at]))
        at += width
    return free, 1e-9 + size * _ROUNDING


@kernel
def _solvent(lots, all_lots, loss, unsure, free, error):
    """Lots the counterparty can pay for and stay above zero, or −1."""
    if abs(free[0]) < error:
        return -1
    if free[0] < 0.0:
        return 0
    most = divide(multiply(free, whole(all_lots)), loss)
    if most[0] > float(lots) + 1.0:
        return lots
    nearest = np.rint(most[0])
    tolerance = 1e-9 + error * all_lots / loss[0] + most[0] * unsure / loss[0]
    if nearest >= 1.0 and abs((most[0] - nearest) + most[1]) < tolerance:
        return -1
    return min(lots, int(np.floor(most[0])))


@kernel
def _healthy(most, slot, at, rows, free, error, cost, unsure, margins, exact):
    """The largest k up to `most` that leaves equity / margin where it is, or −1.

    With f(k) = equity · released(k) − margin · (k · cost + 1 atom) that is f(k) ≥ 0. Every tier makes a line
    in k, and f is the least of them: the lines tell k in float64, f on both sides of it says if that is so.
    """
    needed, size, sure = _needed(slot, rows, margins, exact)
    if not sure:
        return -1
    if needed[0] == 0.0:
        return most
    equity = add(free, (1.0, 0.0))
    instrument = rows.leg[at] >> 1
    held = int(abs(rows.lots[at]))
    row = equity, error, needed, size * _ROUNDING, cost, unsure, held, instrument
    gain = _gain(most, row, margins, exact)
    if gain[0] > gain[1]:
        return most
    if gain[0] >= -gain[1]:
        return -1
    k = _guess(most, row, margins, exact)
    if k > 0:
        here = _gain(k, row, margins, exact)
        beyond = _gain(k + 1, row, margins, exact)
        return k if here[0] > here[1] and beyond[0] < -beyond[1] else -1
    first = _gain(1, row, margins, exact)
    falls = first[0] + needed[0] < -first[1] - 1e-15 * (abs(first[0]) + needed[0])
    return 0 if most == 1 or falls else -1


@kernel
def _needed(slot, rows, margins, exact):
    """Maintenance margin of an account as a pair, what was added up for it, and whether it is sure."""
    total = (0.0, 0.0)
    size = 0.0
    g = locate(rows.group_slot, slot)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    for _ in range(rows.group_rows[g]):
        if rows.lots[at] != 0.0:
            amount, notional, sure = _row_needs(int(abs(rows.lots[at])), rows.leg[at] >> 1, margins, exact)
            if not sure:
                return total, size, False
            total = add(total, amount)
            size += notional + amount[0]
        at += width
    return total, size, True


@kernel
def _row_needs(lots, instrument, margins, exact):
    """Margin of unsigned lots as a pair, their notional, and whether the margin is sure."""
    notional = row_value(-lots if exact.inverse[instrument] else lots, instrument, exact)
    amount, sure = wide_margin(notional, instrument, margins, exact)
    return amount, notional[0], sure


@kernel
def _gain(k, row, margins, exact):
    """f(k) of `_healthy` and a bound on its error, infinite where a margin is not sure."""
    equity, error, needed, slack, cost, unsure, held, instrument = row
    released, notional, sure = _row_needs(held, instrument, margins, exact)
    rounding = 2.0 * _ROUNDING * (notional + released[0])
    if k < held:
        left, _, sure_left = _row_needs(held - k, instrument, margins, exact)
        released = add(released, (-left[0], -left[1]))
        sure = sure and sure_left
    paid = add(multiply(cost, whole(k)), (1.0, 0.0))
    won = multiply(equity, released)
    lost = multiply(needed, paid)
    gain = add(won, (-lost[0], -lost[1]))
    bound = equity[0] * rounding + error * (abs(released[0]) + rounding)
    bound += slack * paid[0] + needed[0] * unsure * k + _ROUNDING * (abs(won[0]) + lost[0])
    return gain[0], (bound if sure else np.inf)


@kernel
def _guess(most, row, margins, exact):
    """Lots, below `most`, that the lines of the tiers allow, in float64."""
    equity, _, needed, _, cost, _, held, instrument = row
    now = _row_needs(held, instrument, margins, exact)[0][0]
    guess = float(most - 1)
    last = exact.start[instrument + 1]
    for t in range(exact.start[instrument], last + 1):
        per_lot = margins.rate[t] * exact.high[instrument] if t < last else 0.0
        saved = margins.deduction[t] if t < last else 0.0
        slope = needed[0] * cost[0] - equity[0] * per_lot
        if slope > 0.0:
            start = equity[0] * (now - per_lot * held + saved) - needed[0]
            guess = min(guess, np.floor(start / slope))
    return int(max(guess, 0.0))
