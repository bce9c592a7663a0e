"""Quotas: how many lots each candidate gives (rules R16, R43, R84)."""

from __future__ import annotations

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.wide import muldiv

__all__ = ["places", "shares", "take", "threshold", "whole_positions"]

_CHUNK = 4096
_PIECES = 8
#: A table finds where to look for a key: by its bits above so many, in at most so many cells.
_FINE, _CELLS = 20, 1 << 14
_BITS = 11
#: Beyond this relative distance float64 compares products of three roundings rightly.
_APART = 2.0**-48
_LARGEST = (1 << 63) - 1


@kernel
def whole_positions(cap, need, quota):
    """Close candidates whole, down the ranking, each only if it fits what is left.

    Parameters
    ----------
    cap : int64 (n)
        Lots held, in rank order.
    need : int
    quota : int64 (n)
        Written.
    """
    left = need
    for i in range(cap.shape[0]):
        quota[i] = cap[i] if cap[i] <= left else 0
        left -= quota[i]


@parallel
def shares(budget, weight, total, down, rest):
    """Shares of a whole number by weight: floors and remainders over `total`.

    Parameters
    ----------
    budget, total : int
        Below 2^62; `total` is positive, no share reaches 2^62.
    weight : int64 (n)
        Not negative.
    down, rest : int64 (n)
        Written.
    """
    n = weight.shape[0]
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
            down[i], rest[i] = muldiv(weight[i], budget, total)


# ---------------------------------------------------------------------- the first of many


@kernel
def _take_by(key, lots, need, given, out):
    """Settle by the digits of `key` all that are open (−1) but those at the key where the need is met.

    Returns what those before it give, and how many are still open.
    """
    least = np.int64(_LARGEST)
    most = np.int64(0)
    for i in range(key.shape[0]):
        if out[i] == -1:
            least = min(least, np.int64(key[i]))
            most = max(most, np.int64(key[i]))
    shift = 0
    while least <= most and (most - least) >> shift > 0:
        shift += 1
    weight = np.empty(1 << _BITS, np.int64)
    count = np.empty(1 << _BITS, np.int64)
    bound = np.int64(0)
    members = key.shape[0]
    while shift > 0 and members > 1:
        upper = shift
        shift = max(0, upper - _BITS)
        mask = (1 << (upper - shift)) - 1
        weight[:] = 0
        count[:] = 0
        for i in range(key.shape[0]):
            digits = key[i] - least
            if out[i] == -1 and digits >> upper == bound:
                weight[(digits >> shift) & mask] += lots[i]
                count[(digits >> shift) & mask] += 1
        d = 0
        while d < mask and given + weight[d] < need:
            given += weight[d]
            d += 1
        bound = (bound << (upper - shift)) | d
        members = count[d]
    members = 0
    for i in range(key.shape[0]):
        if out[i] == -1:
            digits = (key[i] - least) >> shift
            if digits < bound:
                out[i] = lots[i]
            elif digits > bound:
                out[i] = 0
            else:
                members += 1
    return given, members


@kernel
def take(first, tie, lots, need, out):
    """What each gives if they give all they have, by (first, tie) from below, until the need is met.

    Histograms of lots by eleven bits at a time find where that is; nobody is sorted.

    Parameters
    ----------
    first : int64 (n)
        Not negative.
    tie : int32 (n)
        Unique and not negative.
    lots : int64 (n)
        Positive.
    need : int
        Positive, at most the sum of `lots`.
    out : int64 (n)
        Written.
    """
    out[:] = -1
    given, members = _take_by(first, lots, need, np.int64(0), out)
    if members > 1:
        given, members = _take_by(tie, lots, need, given, out)
    for i in range(out.shape[0]):
        if out[i] == -1:
            out[i] = need - given


@kernel
def _cell(key, base, shift):
    """Place of a key in a table over the leading bits of all keys from `base` up."""
    return ((key >> _FINE) - base) >> shift


@kernel
def _not_behind(key, tie, keys, ties, start, base, shift):
    """How many of some sorted (key, tie) do not stand behind a given one."""
    cell = _cell(key, base, shift)
    if cell < 0:
        return 0
    if cell >= start.shape[0] - 1:
        return keys.shape[0]
    low, high = start[cell], start[cell + 1]
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key or (keys[middle] == key and ties[middle] <= tie):
            low = middle + 1
        else:
            high = middle
    return low


@parallel
def places(key, tie, chosen, out):
    """Places, from 0, of some candidates among all when these are ordered by (key, tie).

    Parameters
    ----------
    key : int64 (n)
    tie : int32 (n)
        Unique where keys are equal.
    chosen : int64 (m)
        In that order.
    out : int64 (m)
        Written.
    """
    n, m = key.shape[0], chosen.shape[0]
    if m == 0:
        return
    keys, ties = key[chosen], tie[chosen]
    base = keys[0] >> _FINE
    shift = 0
    while _cell(keys[m - 1], base, shift) >= min(4 * m, _CELLS):
        shift += 1
    start = np.zeros(_cell(keys[m - 1], base, shift) + 2, np.int64)
    for j in range(m):
        start[_cell(keys[j], base, shift) + 1] += 1
    for cell in range(start.shape[0] - 1):
        start[cell + 1] += start[cell]
    count = np.zeros((_PIECES, m + 1), np.int32)
    for piece in prange(_PIECES):
        for i in range(piece * n // _PIECES, (piece + 1) * n // _PIECES):
            count[piece, _not_behind(key[i], tie[i], keys, ties, start, base, shift)] += 1
    before = np.int64(0)
    for j in range(m):
        for piece in range(_PIECES):
            before += count[piece, j]
        out[j] = before


# ---------------------------------------------------------------------- min(cap, τ · weight)


@kernel
def _newly_full(first, last, cap, weight, left, total, full):
    """Caps that bind when `left` is shared over `total`; their sum and their weight."""
    per_weight = left / total
    caps = np.int64(0)
    weights = np.int64(0)
    for i in range(first, last):
        if weight[i] > 0 and not full[i]:
            most = per_weight * weight[i]
            if cap[i] <= most * (1.0 + _APART) and (
                cap[i] < most * (1.0 - _APART) or cap[i] <= muldiv(weight[i], left, total)[0]
            ):
                full[i] = True
                caps += cap[i]
                weights += weight[i]
    return caps, weights


@parallel
def threshold(cap, weight, budget, full):
    """Which candidates are capped at the τ where ``Σ min(cap, τ · weight)`` is the budget.

    τ rises from the share that all would get without caps; each round adds those whose caps it has passed.

    Parameters
    ----------
    cap, weight : int64 (n)
    budget : int
        At most the sum of `cap` over positive weights; the sum of `weight` stays below 2^62.
    full : bool (n)
        Written: True where the cap binds.

    Returns
    -------
    (int, int)
        Budget and weight of the others: theirs is ``budget · weight / total`` each.
    """
    n = cap.shape[0]
    chunks = (n + _CHUNK - 1) // _CHUNK
    part = np.zeros((chunks, 2), np.int64)
    for chunk in prange(chunks):
        for i in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
            full[i] = False
            part[chunk, 0] += weight[i]
    total = part[:, 0].sum()
    left = np.int64(budget)
    again = True
    while again and total > 0:
        for chunk in prange(chunks):
            last = min(n, (chunk + 1) * _CHUNK)
            caps, weights = _newly_full(chunk * _CHUNK, last, cap, weight, left, total, full)
            part[chunk, 0], part[chunk, 1] = caps, weights
        left -= part[:, 0].sum()
        total -= part[:, 1].sum()
        again = part[:, 1].any()
    return left, total
