"""Ranking: scores of all candidates of a leg, and the best of them without sorting the rest."""

from __future__ import annotations

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.layout import locate
from fastadl.kernels.mark import margin
from fastadl.kernels.scores import SCORES, Candidate, score

__all__ = ["FIELDS", "describe", "keys", "measure", "measure_all", "order", "select"]

_EPSILON = 2.0**-53
_CHUNK = 1024
_BITS = 11
_DIGITS = 1 << _BITS

_BINANCE, _EXTENDED = SCORES.index("binance"), SCORES.index("extended")
#: Scores that look at the account's maintenance margin.
_BY_MARGIN = (_BINANCE, SCORES.index("okx"), SCORES.index("htx"))

#: Rows of the table that `measure` fills.
FIELDS = ("score", "equity", "error", "profit", "value", "row_margin", "margin", "gross")


@kernel
def _accounts(first, last, slots, rows, unit, margins, with_margin, table):
    """Equity, margin (0 if not wanted), gross and error bound of accounts (R6), a line of `table` each."""
    g = 0
    for s in range(first, last):
        slot = slots[s]
        if not rows.group_slot[g] <= slot < rows.group_slot[g + 1]:
            g = locate(rows.group_slot, slot)
        width = rows.group_slot[g + 1] - rows.group_slot[g]
        at = rows.group_row[g] + slot - rows.group_slot[g]
        equity = float(rows.cash[slot])
        size = abs(equity)
        needed = 0.0
        gross = 0.0
        for _ in range(rows.group_rows[g]):
            lots = rows.lots[at]
            if lots != 0.0:
                instrument = rows.leg[at] >> 1
                value = lots * unit[instrument]
                entry = float(rows.entry[at])
                equity += value - entry
                if with_margin:
                    needed += margin(abs(value), instrument, margins)
                gross += abs(value)
                size += 2.0 * abs(value) + abs(entry)
            at += width
        table[s, 0] = equity
        table[s, 1] = needed
        table[s, 2] = gross
        table[s, 3] = _EPSILON * (16.0 + 8.0 * rows.group_rows[g]) * size


@kernel
def _symbol_profit(slot, instrument, rows, unit):
    """Profit of all rows of an account in one symbol."""
    g = locate(rows.group_slot, slot)
    width = rows.group_slot[g + 1] - rows.group_slot[g]
    at = rows.group_row[g] + slot - rows.group_slot[g]
    total = 0.0
    for _ in range(rows.group_rows[g]):
        if rows.leg[at] >> 1 == instrument and rows.lots[at] != 0.0:
            total += rows.lots[at] * unit[instrument] - float(rows.entry[at])
        at += width
    return total


@kernel
def _measure(first, last, number, row, slot, origin, table, rows, unit, margins, inverse, one, out):
    """Scores of candidate rows `first` to `last`.

    Their accounts stand in `table` line by line from row `origin` on; or, where `origin` is −1 − s, by slot
    from slot s on.
    """
    detail = out.shape[0] > 3
    for c in range(first, last):
        line = c - origin if origin >= 0 else slot[c] + 1 + origin
        instrument = rows.leg[row[c]] >> 1
        lots = rows.lots[row[c]]
        value = lots * unit[instrument]
        entry = float(rows.entry[row[c]])
        row_margin = 0.0
        if detail or number == _EXTENDED:
            row_margin = margin(abs(value), instrument, margins)
        symbol_profit = 0.0
        if number == _BINANCE:
            symbol_profit = _symbol_profit(slot[c], instrument, rows, unit)
        out[1, c] = table[line, 0]
        out[2, c] = table[line, 3]
        if detail:
            out[3, c] = value - entry
            out[4, c] = abs(value)
            out[5, c] = row_margin
            out[6, c] = table[line, 1]
            out[7, c] = table[line, 2]
        candidate = Candidate(
            lots=abs(lots),
            short=lots < 0.0,
            inverse=inverse[instrument],
            value=abs(value),
            cost=abs(entry),
            profit=value - entry,
            symbol_profit=symbol_profit,
            row_margin=row_margin,
            cash=float(rows.cash[slot[c]]),
            equity=table[line, 0],
            margin=table[line, 1],
            gross=table[line, 2],
            one=one[instrument],
        )
        out[0, c] = score(number, candidate) + 0.0 if lots != 0.0 else 0.0  # −0.0 and 0.0 are one score


@parallel
def measure(number, row, slot, rows, unit, margins, inverse, one, out):
    """Score and its parts of each candidate row (rules R6, R46).

    Parameters
    ----------
    number : int
        Place of the score in `fastadl.kernels.scores.SCORES`.
    row, slot : int64, int32 (n)
        Candidate rows and their accounts.
    rows : Rows
    unit, margins : float64 (instruments), Margins
    inverse : bool (instruments)
    one : float64 (instruments)
        Atoms of one unit of the settlement currency.
    out : float64 (3, n) or (8, n)
        Written, one line per name in `FIELDS`; ``error`` bounds the error of equity, a closed row scores 0.
    """
    n = row.shape[0]
    with_margin = out.shape[0] > 3 or number in _BY_MARGIN
    table = np.empty((n, 4))
    if n <= _CHUNK:
        _accounts(0, n, slot, rows, unit, margins, with_margin, table)
        _measure(0, n, number, row, slot, 0, table, rows, unit, margins, inverse, one, out)
        return
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        first, last = chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)
        mine = table[first:last]
        _accounts(0, last - first, slot[first:last], rows, unit, margins, with_margin, mine)
        _measure(first, last, number, row, slot, first, mine, rows, unit, margins, inverse, one, out)


@parallel
def measure_all(number, row, slot, span, blocks, rows, unit, margins, inverse, one, out):
    """As `measure`, for so many rows that every account is looked at once, block by block.

    Parameters
    ----------
    span : int64 (2, blocks, legs)
        As `fastadl.kernels.layout.gather` gives it with `row` and `slot`.
    blocks : int64 (blocks, 3)
    number, row, slot, rows, unit, margins, inverse, one, out : as in `measure`
    """
    with_margin = out.shape[0] > 3 or number in _BY_MARGIN
    for b in prange(blocks.shape[0]):
        first = blocks[b, 1]
        table = np.empty((blocks[b, 2] - first, 4))
        slots = np.arange(first, blocks[b, 2])
        _accounts(0, slots.shape[0], slots, rows, unit, margins, with_margin, table)
        for w in range(span.shape[2]):
            begin, end = span[0, b, w], span[1, b, w]
            _measure(begin, end, number, row, slot, -1 - first, table, rows, unit, margins, inverse, one, out)


@parallel
def describe(row, slot, span, rows, rank, tier, lots, tie, tier_out):
    """Lots, tie-breaker and tier of candidate rows, block by block.

    Parameters
    ----------
    row, slot, span : as `fastadl.kernels.layout.gather` gives them
    rows : Rows
    rank, tier : int32, uint8 (accounts)
        Order of the ids, and ADL tier, by account.
    lots, tie, tier_out : int64, int32, uint8 (n)
        Written.
    """
    for b in prange(span.shape[1]):
        for w in range(span.shape[2]):
            for c in range(span[0, b, w], span[1, b, w]):
                account = rows.account[slot[c]]
                lots[c] = int(abs(rows.lots[row[c]]))
                tie[c] = rank[account]
                tier_out[c] = tier[account]


@kernel
def keys(bits, out):
    """Integer keys that ascend as float64 scores descend.

    Parameters
    ----------
    bits : int64 (n)
        Scores, their bytes read as integers; no NaN.
    out : int64 (n)
        Written.
    """
    for i in range(bits.shape[0]):
        out[i] = -bits[i] - 1 if bits[i] >= 0 else bits[i] & 0x7FFFFFFFFFFFFFFF


@kernel
def _digit(key, shift):
    """Eleven bits of a key from `shift` up; the sign bit is turned, so negative keys come first."""
    digit = (key >> shift) & (_DIGITS - 1)
    return digit ^ (_DIGITS >> 1) if shift == 64 - _BITS else digit


@kernel
def _pass(key, source, target, shift):
    start = np.zeros(_DIGITS + 1, np.int64)
    for i in range(source.shape[0]):
        start[_digit(key[source[i]], shift) + 1] += 1
    for d in range(_DIGITS):
        start[d + 1] += start[d]
    for i in range(source.shape[0]):
        d = _digit(key[source[i]], shift)
        target[start[d]] = source[i]
        start[d] += 1


@kernel
def order(chosen, key, tie):
    """Sort candidates by (key, tie), stably, by radix.

    Parameters
    ----------
    chosen : int64 (m)
        Candidates to sort.
    key : int64 (n)
    tie : int32 (n)
        Unique and not negative.

    Returns
    -------
    int64 (m)
    """
    source = chosen.copy()
    target = np.empty_like(source)
    most = np.int64(0)
    for i in range(source.shape[0]):
        most = max(most, np.int64(tie[source[i]]))
    shift = 0
    while (most >> shift) > 0:
        _pass(tie, source, target, shift)
        source, target = target, source
        shift += _BITS
    for shift in (0, 11, 22, 33, 44, 53):
        _pass(key, source, target, shift)
        source, target = target, source
    return source


@kernel
def select(key, tie, lots, need):
    """Best candidates, in order, until their lots cover `need` (all of them if they do not).

    A histogram of lots by the leading bits of the key finds where the running total crosses the need; only
    candidates up to there are sorted.

    Parameters
    ----------
    key : int64 (n)
    tie : int32 (n)
    lots : int64 (n)
        Positive.
    need : int
        Positive.

    Returns
    -------
    int64 (m)
        Places of the chosen candidates, best first; the last one may be needed only in part.
    """
    weight = np.zeros(_DIGITS, np.int64)
    count = np.zeros(_DIGITS, np.int64)
    bound = np.int64(0)
    before = np.int64(0)
    for shift in (53, 42, 31, 20, 9):
        weight[:] = 0
        count[:] = 0
        for i in range(key.shape[0]):
            if shift == 53 or (key[i] >> (shift + _BITS)) == bound:
                d = _digit(key[i], shift)
                weight[d] += lots[i]
                count[d] += 1
        d = 0
        while d < _DIGITS - 1 and before + weight[d] < need:
            before += weight[d]
            d += 1
        raw = d ^ (_DIGITS >> 1) if shift == 53 else d
        if shift == 53:
            bound = raw - _DIGITS if raw >= _DIGITS >> 1 else raw
        else:
            bound = (bound << _BITS) | raw
        if count[d] <= 4096 or shift == 9:
            return _cut(key, tie, lots, need, bound, shift)
    return _cut(key, tie, lots, need, bound, 9)


@kernel
def _cut(key, tie, lots, need, bound, shift):
    many = 0
    for i in range(key.shape[0]):
        if (key[i] >> shift) <= bound:
            many += 1
    chosen = np.empty(many, np.int64)
    many = 0
    for i in range(key.shape[0]):
        if (key[i] >> shift) <= bound:
            chosen[many] = i
            many += 1
    chosen = order(chosen, key, tie)
    total = np.int64(0)
    for i in range(chosen.shape[0]):
        total += lots[chosen[i]]
        if total >= need:
            return chosen[: i + 1]
    return chosen
