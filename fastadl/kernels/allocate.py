"""Quotas: how many lots each candidate gives (rules R16, R43, R84)."""

from __future__ import annotations

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.wide import muldiv

__all__ = ["bind", "places", "shares", "take", "threshold", "whole_positions"]

_CHUNK = 4096
#: Up to so many candidates are counted by one thread, others in so many pieces.
_FEW = 1 << 14
_PIECES = 4
#: Bits of the fraction of a score; those above are its sign and exponent.
_FRACTION = 52
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
def _cell(key, octaves):
    """Where to look for a key: a power of two has as many cells as hold its chosen keys about one by one."""
    octave = octaves[(key >> _FRACTION) + (octaves.shape[0] >> 1)]
    return (octave >> 6) + ((key & ((1 << _FRACTION) - 1)) >> (octave & 63))


@kernel
def _table(keys):
    """Cells of each power of two (first one above six bits of shift), and where each begins in `keys`."""
    octaves = np.zeros(1 << (64 - _FRACTION), np.int64)
    for j in range(keys.shape[0]):
        octaves[(keys[j] >> _FRACTION) + (octaves.shape[0] >> 1)] += 1
    cells = 0
    for o in range(octaves.shape[0]):
        bits = 0
        while 1 << bits < octaves[o]:
            bits += 1
        octaves[o] = cells << 6 | (_FRACTION - bits)
        cells += 1 << bits
    start = np.zeros(cells + 1, np.int32)
    for j in range(keys.shape[0]):
        start[_cell(keys[j], octaves) + 1] += 1
    for cell in range(cells):
        start[cell + 1] += start[cell]
    return octaves, start


@kernel
def _count_behind(first, last, key, tie, given, keys, ties, octaves, start, count):
    """Others by how many of the chosen ones stand before them."""
    count[:] = 0
    for i in range(first, last):
        if not given[i]:
            cell = _cell(key[i], octaves)
            low, high = start[cell], start[cell + 1]
            while low < high:
                middle = (low + high) >> 1
                if keys[middle] < key[i] or (keys[middle] == key[i] and ties[middle] < tie[i]):
                    low = middle + 1
                else:
                    high = middle
            count[low] += 1


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
    if m == n:
        for j in range(m):
            out[j] = j
        return
    keys, ties, given = _apart(key, tie, chosen)
    octaves, start = _table(keys)
    pieces = 1 if n <= _FEW else _PIECES
    count = np.empty((pieces, m + 1), np.int32)
    if pieces == 1:
        _count_behind(0, n, key, tie, given, keys, ties, octaves, start, count[0])
    else:
        for piece in prange(pieces):
            first, last = piece * n // pieces, (piece + 1) * n // pieces
            _count_behind(first, last, key, tie, given, keys, ties, octaves, start, count[piece])
    _add_up(count, out)


@kernel
def _apart(key, tie, chosen):
    """Keys and ties of the chosen, and who is one of them."""
    given = np.zeros(key.shape[0], np.bool_)
    for j in range(chosen.shape[0]):
        given[chosen[j]] = True
    return key[chosen], tie[chosen], given


@kernel
def _add_up(count, out):
    before = np.int64(0)
    for j in range(out.shape[0]):
        for piece in range(count.shape[0]):
            before += count[piece, j]
        out[j] = before + j


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


@kernel
def bind(cap, weight, left, total, full):
    """Caps that bind when `left` is shared over `total`, a step of `threshold` for some of the candidates.

    Parameters
    ----------
    cap, weight : int64 (n)
    left, total : int
        Budget and weight of all those whose caps do not bind yet; below 2^62.
    full : bool (n)
        Where the cap binds; written where it does now.

    Returns
    -------
    (int, int)
        Caps and weight of the new ones.
    """
    return _newly_full(0, cap.shape[0], cap, weight, left, total, full)


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
    part = np.empty((chunks, 2), np.int64)
    for chunk in prange(chunks):
        part[chunk, 0] = 0
        part[chunk, 1] = _none_full(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK), weight, full)
    left, total = np.int64(budget), _added(part)[1]
    again = True
    while again and total > 0:
        for chunk in prange(chunks):
            last = min(n, (chunk + 1) * _CHUNK)
            caps, weights = _newly_full(chunk * _CHUNK, last, cap, weight, left, total, full)
            part[chunk, 0], part[chunk, 1] = caps, weights
        caps, weights = _added(part)
        left -= caps
        total -= weights
        again = weights > 0
    return left, total


@kernel
def _none_full(first, last, weight, full):
    """Weight of a chunk in which no cap binds yet."""
    weights = np.int64(0)
    for i in range(first, last):
        full[i] = False
        weights += weight[i]
    return weights


@kernel
def _added(part):
    """Sums of two columns; not in a parallel kernel, where a sum is a parallel loop of its own."""
    first, second = np.int64(0), np.int64(0)
    for chunk in range(part.shape[0]):
        first += part[chunk, 0]
        second += part[chunk, 1]
    return first, second
