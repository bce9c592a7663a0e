"""A book that changes: fills find or open their rows, trade all or none of them, and renew the guards.

A row opens in place of a closed one of its account, or else the account moves to a free slot of the groups of
one row more. Neither changes what anybody holds, so to undo a fill is to put back what its account had of the
symbol, wherever that is by then.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastadl.kernels._jit import borrowing
from fastadl.kernels.lanes import prefetch
from fastadl.kernels.layout import locate
from fastadl.kernels.mark import _guard
from fastadl.kernels.money import close, take
from fastadl.kernels.places import _find, _narrow, _open, _row
from fastadl.kernels.wide import trunc_scaled

__all__ = [
    "DELISTED",
    "EXCEEDS",
    "FINE",
    "FOREIGN",
    "ISOLATED",
    "LARGE_CASH",
    "LARGE_ENTRY",
    "LARGE_LOTS",
    "LARGE_VALUE",
    "NO_ACCOUNT",
    "NO_LOTS",
    "NO_SLOT",
    "NO_SYMBOL",
    "ONE_ROW",
    "SIGN",
    "Listing",
    "Log",
    "Sums",
    "Trades",
    "add_up",
    "take_back",
    "trade",
    "trade_reserve",
]

#: Why a fill is refused.
FINE, NO_ACCOUNT, NO_SYMBOL, FOREIGN, NO_LOTS, SIGN = 0, 1, 2, 3, 4, 5
LARGE_LOTS, LARGE_ENTRY, LARGE_CASH, LARGE_VALUE, ISOLATED, NO_SLOT = 6, 7, 8, 9, 10, 11
EXCEEDS, ONE_ROW, DELISTED = 12, 13, 14

#: So many fills before its turn the slot of an account is asked for, and its rows half as many before.
_AHEAD = 16
#: Of accounts with more rows, only what is looked at is fetched.
_FETCHED = 16
#: Bound of lots and money of one row, and almost that of a row's value at mark (rule R1).
_ROW_BOUND = 1 << 53
_VALUE_BOUND = 0.999 * 2.0**62
#: A price is far from the mark when the value differs by more than this part of it.
_FAR = 0.1


class Trades(NamedTuple):
    """Fills, one entry each; whole columns of one batch."""

    account: Any  # int32   −1 the fund, −2 the market account
    instrument: Any  # int32
    lots: Any  # int64   signed, bought is above zero
    value: Any  # int64   atoms paid for them, with the sign of the lots' value
    fee: Any  # int64   atoms paid to the fund; below zero: received
    side: Any  # int8   of the row that is meant: 1 long, −1 short, 0 whichever is there


class Listing(NamedTuple):
    """What kernels must know of accounts and instruments."""

    holds: Any  # int16 (accounts)   currency
    isolated: Any  # bool (accounts)
    currency: Any  # int32 (instruments)
    inverse: Any  # bool (instruments)
    rank: Any  # int32 (instruments)   order of the symbols
    delisted: Any  # bool (instruments)


class Sums(NamedTuple):
    """What the fills of a batch come to."""

    lots: Any  # int64 (instruments)   signed
    value: Any  # int64 (instruments)
    count: Any  # int64 (instruments)
    fee: Any  # int64 (currencies)
    gross: Any  # float64 (2)   unsigned lots, and unsigned values and fees, of all


class Log(NamedTuple):
    """What an account held of the instrument before each fill, to undo it; and what that realised."""

    lots: Any  # float64 (2, fills)   long, short
    entry: Any  # int64 (2, fills)
    cash: Any  # int64 (fills)
    profit: Any  # int64 (fills)   atoms realised, fee not counted
    far: Any  # bool (fills)   whether the price is far from the mark
    done: Any  # int64 (1)   how many fills, from the first on, are traded and not undone


@borrowing
def add_up(trades, listing, sums):
    """Add up a batch, and look for what no book could take.

    Parameters
    ----------
    trades : Trades
    listing : Listing
    sums : Sums
        Written; set to zero before.

    Returns
    -------
    fill, reason : int
        The first one refused and why, or −1 and `FINE`.
    """
    for i in range(trades.account.shape[0]):
        account, instrument = trades.account[i], trades.instrument[i]
        lots, value, fee = trades.lots[i], trades.value[i], trades.fee[i]
        if account < -2 or account >= listing.holds.shape[0]:
            return i, NO_ACCOUNT
        if instrument < 0 or instrument >= listing.currency.shape[0]:
            return i, NO_SYMBOL
        if listing.delisted[instrument]:
            return i, DELISTED
        if account >= 0 and listing.holds[account] != listing.currency[instrument]:
            return i, FOREIGN
        if account < 0 and trades.side[i] != 0:
            return i, ONE_ROW
        if lots == 0:
            return i, NO_LOTS
        if lots > _ROW_BOUND or lots < -_ROW_BOUND:
            return i, LARGE_LOTS
        if value != 0 and ((lots > 0) == (value > 0)) == listing.inverse[instrument]:
            return i, SIGN
        if value > _ROW_BOUND or value < -_ROW_BOUND:
            return i, LARGE_ENTRY
        if fee > _ROW_BOUND or fee < -_ROW_BOUND:
            return i, LARGE_CASH
        sums.gross[0] += abs(float(lots))
        sums.gross[1] += abs(float(value)) + abs(float(fee))
        if sums.gross[0] > _VALUE_BOUND:
            return i, LARGE_LOTS
        if sums.gross[1] > _VALUE_BOUND:
            return i, LARGE_ENTRY
        sums.lots[instrument] += lots
        sums.value[instrument] += value
        sums.count[instrument] += 1
        sums.fee[listing.currency[instrument]] += fee
    return -1, FINE


@borrowing
def _fetch(slot, rows, guard):
    """Ask for the memory of an account."""
    g = locate(rows.group_slot, slot)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    prefetch(rows.cash, slot)
    prefetch(guard, slot)
    if rows.group_rows[g] <= _FETCHED:
        for _ in range(rows.group_rows[g]):
            prefetch(rows.leg, at)
            prefetch(rows.lots, at)
            prefetch(rows.entry, at)
            at += width


@borrowing
def trade(trades, slot, listing, unit, most, ceiling, margins, rows, guard, spare, log):
    """Trade a batch, all of it or nothing, then renew the guards (rules R1, R10, R11, R12, R103).

    What a fill closes releases its share of the entry value, what remains of it opens. Fills of the reserves
    are passed over: `trade_reserve` trades them.

    Parameters
    ----------
    trades : Trades
        Which `add_up` found fine.
    slot : int32 (accounts)
        Slot of each account; written.
    listing : Listing
    unit : float64 (instruments)
        Unit values at mark.
    most : float64 (instruments)
        At least the lots of the largest row of each; written.
    ceiling : float64 (instruments)
        What the guards shall hold for.
    margins : Margins
    rows : Rows
        Written.
    guard : float64 (slots)
        Written.
    spare : Spare
        Written.
    log : Log
        Written; `done` says where to go on.

    Returns
    -------
    fill, reason : int
        The first one refused and why, everything undone; or the one whose account found no slot of one row
        more and `NO_SLOT`, those before it traded; or −1 and `FINE`.
    """
    n = trades.account.shape[0]
    for i in range(log.done[0], n):
        if trades.account[i] < 0:
            continue
        if i + _AHEAD < n:
            prefetch(slot, trades.account[i + _AHEAD])
        if i + _AHEAD // 2 < n and trades.account[i + _AHEAD // 2] >= 0:
            _fetch(slot[trades.account[i + _AHEAD // 2]], rows, guard)
        reason = _trade_one(trades, i, slot, listing, unit, most, rows, guard, spare, log)
        if reason == NO_SLOT:
            log.done[0] = i
            return i, reason
        if reason != FINE:
            log.done[0] = 1 + _undo(i, trades, slot, listing.rank, rows, guard, spare, log)
            return i, reason
    log.done[0] = n
    for i in range(n):
        if trades.account[i] >= 0:
            _renew(trades.account[i], slot, ceiling, margins, rows, guard, spare)
    return -1, FINE


@borrowing
def trade_reserve(trades, account, unit, most, reserve, log):
    """Trade the fills of the fund or of the market account (rule R12).

    Parameters
    ----------
    trades : Trades
    account : int
        −1 or −2.
    unit, most : as in `trade`
    reserve : Reserve
        Written.
    log : Log
        Written: ``profit`` and ``far``.

    Returns
    -------
    fill, reason : int
        The first one refused, once it is done, and why, or −1 and `FINE`.
    """
    for i in range(trades.account.shape[0]):
        if trades.account[i] != account:
            continue
        instrument, lots, value = trades.instrument[i], trades.lots[i], trades.value[i]
        log.far[i] = _far(unit[instrument], lots, value)
        log.profit[i] = take(reserve, instrument, 1 if lots > 0 else -1, abs(lots), value)
        reserve.cash[reserve.currency[instrument]] -= trades.fee[i]
        size = abs(float(reserve.lots[instrument]))
        if size * abs(unit[instrument]) > _VALUE_BOUND:
            return i, LARGE_VALUE
        most[instrument] = max(most[instrument], size)
    return -1, FINE


@borrowing
def _far(unit, lots, value):
    """Whether a price is far from the mark."""
    worth = unit * float(lots)
    return worth != 0.0 and abs(float(value) - worth) > _FAR * abs(worth)


@borrowing
def _held(account, instrument, opens, i, slot, rank, rows, log):
    """An account's open rows of an instrument, remembered: that of leg `opens` and the other, or −1.

    Third is how many rows of it the account has, open or not.
    """
    column, first, width, many, _ = _find(account, instrument, slot, rank, rows)
    same = opposite = -1
    log.lots[0, i] = log.lots[1, i] = 0.0
    log.cash[i] = rows.cash[slot[account]]
    found = 0
    at = first + column * width
    while column + found < many and rows.leg[at] >> 1 == instrument:
        if rows.lots[at] != 0.0:
            log.lots[rows.leg[at] & 1, i] = rows.lots[at]
            log.entry[rows.leg[at] & 1, i] = rows.entry[at]
            if rows.leg[at] == opens:
                same = at
            else:
                opposite = at
        found += 1
        at += width
    return same, opposite, found


@borrowing
def _trade_one(trades, i, slot, listing, unit, most, rows, guard, spare, log):
    """Trade one fill; why it is refused, perhaps once it is done, or that there is no slot to do it in."""
    account, instrument = trades.account[i], trades.instrument[i]
    lots, value, side = trades.lots[i], trades.value[i], trades.side[i]
    opens = 2 * instrument + (1 if lots < 0 else 0)
    same, opposite, found = _held(account, instrument, opens, i, slot, listing.rank, rows, log)
    log.profit[i] = 0
    log.far[i] = _far(unit[instrument], lots, value)
    closed = 0
    if opposite >= 0 and (side == 0 or (side > 0) != (lots > 0)):
        closed = min(int(abs(rows.lots[opposite])), abs(lots))
    rest = abs(lots) - closed
    if rest > 0 and side != 0 and (side > 0) != (lots > 0):
        return EXCEEDS
    if rest > 0 and same < 0:
        if closed > 0 and found == 1:
            same = opposite
        else:
            same = _row(account, opens, slot, listing.rank, rows, guard, spare)
            if same < 0:
                return NO_SLOT
    place = slot[account]
    if closed > 0:
        paid = trunc_scaled(value, closed, abs(lots))
        log.profit[i] = close(rows, place, opposite, closed, -paid)
        value -= paid
    rows.cash[place] -= trades.fee[i]
    if abs(rows.cash[place]) > max(_ROW_BOUND, abs(log.cash[i])):
        return LARGE_CASH
    if rest == 0:
        return FINE
    if rows.lots[same] == 0.0:
        if listing.isolated[account] and _any_open(place, rows):
            return ISOLATED
        rows.leg[same] = opens
    now = int(rows.lots[same]) + (rest if lots > 0 else -rest)
    rows.lots[same] = float(now)
    rows.entry[same] += value
    if abs(now) > _ROW_BOUND:
        return LARGE_LOTS
    if abs(rows.entry[same]) > _ROW_BOUND:
        return LARGE_ENTRY
    size = abs(rows.lots[same])
    if size * abs(unit[instrument]) > _VALUE_BOUND:
        return LARGE_VALUE
    most[instrument] = max(most[instrument], size)
    return FINE


@borrowing
def _any_open(place, rows):
    """Whether an account holds anything."""
    g = locate(rows.group_slot, place)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    return _open(rows, rows.group_row[g] + place - rows.group_slot[g], width, rows.group_rows[g]) > 0


@borrowing
def _undo(last, trades, slot, rank, rows, guard, spare, log):
    """Put back what was held before each fill, from `last` on back; the one that found no slot, or −1."""
    for i in range(last, -1, -1):
        account, instrument = trades.account[i], trades.instrument[i]
        if account < 0:
            continue
        column, first, width, many, _ = _find(account, instrument, slot, rank, rows)
        at = first + column * width
        while column < many and rows.leg[at] >> 1 == instrument:
            rows.lots[at] = 0.0
            rows.entry[at] = 0
            column += 1
            at += width
        for short in range(2):
            if log.lots[short, i] != 0.0:
                at = _row(account, 2 * instrument + short, slot, rank, rows, guard, spare)
                if at < 0:
                    return i
                rows.lots[at] = log.lots[short, i]
                rows.entry[at] = log.entry[short, i]
        rows.cash[slot[account]] = log.cash[i]
    return -1


@borrowing
def take_back(trades, slot, rank, ceiling, margins, rows, guard, spare, log):
    """Undo a batch that was traded, and renew the guards.

    Parameters
    ----------
    trades, slot, ceiling, margins, rows, guard, spare : as in `trade`
    rank : int32 (instruments)
    log : Log
        Of the batch, one entry a fill; `done` says what is left, and is written.

    Returns
    -------
    int
        The fill whose account found no slot of one row more, those behind it undone, or −1.
    """
    left = _undo(log.done[0] - 1, trades, slot, rank, rows, guard, spare, log)
    log.done[0] = left + 1
    if left < 0:
        for i in range(trades.account.shape[0]):
            if trades.account[i] >= 0:
                _renew(trades.account[i], slot, ceiling, margins, rows, guard, spare)
    return left


@borrowing
def _renew(account, slot, ceiling, margins, rows, guard, spare):
    """Renew the guard of an account, and move it where it has come to hold too many closed rows."""
    place = slot[account]
    g = locate(rows.group_slot, place)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    first = rows.group_row[g] + place - rows.group_slot[g]
    many = rows.group_rows[g]
    guard[place] = _guard(place, g, rows, ceiling, margins)
    held = _open(rows, first, width, many)
    if held + 2 <= many and 4 * held <= 3 * many:
        _narrow(account, held, slot, rows, guard, spare)
