"""Ranking: the order of scores, and the best of them without sorting the rest."""

from __future__ import annotations

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.scores import mix

__all__ = ["BUCKETS", "crossing", "histogram", "keys", "order", "repeated", "select"]

_BITS = 11
_DIGITS = 1 << _BITS
#: Buckets of a histogram: sign, exponent and the first four bits of the fraction of a score.
BUCKETS = 1 << 16
_SHIFT = 48
#: Where the digits of a key begin; the last two overlap.
_SHIFTS = (0, 11, 22, 33, 44, 53)
#: Up to so many are sorted by insertion.
_SHORT = 64
#: Up to so many candidates one thread is about as fast as two, and need not wait for the other.
_FEW = 1 << 16
#: Others are split in parts of at least half as many, by their number alone: nothing depends on the threads.
_PARTS = 8
_LOWEST = -(1 << 63)


@kernel
def _keys(first, last, bits, out):
    for i in range(first, last):
        if bits[i] >= 0:
            out[i] = -bits[i] - 1
        else:
            out[i] = bits[i] & 0x7FFFFFFFFFFFFFFF if bits[i] != _LOWEST else -1


@parallel
def keys(bits, out):
    """Integer keys that ascend as float64 scores descend.

    Parameters
    ----------
    bits : int64 (n)
        Scores, their bytes read as integers; no NaN. −0.0 and 0.0 are one score.
    out : int64 (n)
        Written.
    """
    n = bits.shape[0]
    if n <= _FEW:
        _keys(0, n, bits, out)
        return
    for p in prange(_PARTS):
        _keys(n * p // _PARTS, n * (p + 1) // _PARTS, bits, out)


@kernel
def repeated(key, out):
    """Which keys occur more than once.

    Parameters
    ----------
    key : int64 (n)
    out : bool (n)
        Written.
    """
    size = 4
    while size < 2 * key.shape[0]:
        size *= 2
    first = np.full(size, -1, np.int32)
    for i in range(key.shape[0]):
        out[i] = False
        at = mix(int(key[i])) & (size - 1)
        while first[at] >= 0 and key[first[at]] != key[i]:
            at = (at + 1) & (size - 1)
        if first[at] < 0:
            first[at] = i
        else:
            out[i] = True
            out[first[at]] = True


@kernel
def _digit(key, shift):
    """Eleven bits of a key from `shift` up; the sign bit is turned, so negative keys come first."""
    digit = (key >> shift) & (_DIGITS - 1)
    return digit ^ (_DIGITS >> 1) if shift == 64 - _BITS else digit


@kernel
def _insert(key, tie, at):
    """Sort a few in place by (key, tie)."""
    for i in range(1, at.shape[0]):
        mine = key[i], tie[i], at[i]
        j = i
        while j > 0 and (key[j - 1] > mine[0] or (key[j - 1] == mine[0] and tie[j - 1] > mine[1])):
            key[j], tie[j], at[j] = key[j - 1], tie[j - 1], at[j - 1]
            j -= 1
        key[j], tie[j], at[j] = mine


@kernel
def _radix(key, at):
    """Keys and what comes with them sorted by key, stably; digits that all keys share are passed over."""
    m = at.shape[0]
    start = np.zeros((len(_SHIFTS), _DIGITS), np.int64)
    for i in range(m):
        for j in range(len(_SHIFTS)):
            start[j, _digit(key[i], _SHIFTS[j])] += 1
    other_key, other = np.empty_like(key), np.empty_like(at)
    for j in range(len(_SHIFTS)):
        shift, first = _SHIFTS[j], start[j]
        if first[_digit(key[0], shift)] < m:
            before = np.int64(0)
            for d in range(_DIGITS):
                first[d], before = before, before + first[d]
            for i in range(m):
                d = _digit(key[i], shift)
                other_key[first[d]] = key[i]
                other[first[d]] = at[i]
                first[d] += 1
            key, other_key = other_key, key
            at, other = other, at
    return key, at


@kernel
def _settle_ties(key, tie, at):
    """Put those of equal keys, which stand side by side, in the order of their ties."""
    first = 0
    while first < at.shape[0]:
        last = first + 1
        while last < at.shape[0] and key[last] == key[first]:
            last += 1
        if last > first + 1:
            ties = tie[at[first:last]]
            if last - first <= _SHORT:
                _insert(key[first:last], ties, at[first:last])
            else:
                at[first:last] = _radix(ties.astype(np.int64), at[first:last].copy())[1]
        first = last


@kernel
def order(chosen, key, tie):
    """Sort candidates by (key, tie): by radix, and ties where there are any.

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
    near, at = key[chosen], chosen.copy()
    if at.shape[0] <= _SHORT:
        _insert(near, tie[chosen], at)
        return at
    near, at = _radix(near, at)
    _settle_ties(near, tie, at)
    return at


@kernel
def histogram(key, lots, out):
    """Lots and number of candidates by the leading bits of the key.

    Histograms of parts of the candidates, of threads or machines, add up to that of all.

    Parameters
    ----------
    key, lots : int64 (n)
    out : int64 (2, BUCKETS)
        Added to.
    """
    for i in range(key.shape[0]):
        bucket = (key[i] >> _SHIFT) + (BUCKETS >> 1)
        out[0, bucket] += lots[i]
        out[1, bucket] += 1


@kernel
def crossing(found, need):
    """Where the running total of lots reaches a need.

    Parameters
    ----------
    found : int64 (2, BUCKETS)
        As `histogram` gives it, or added up from parts; the first line is enough.
    need : int
        Positive.

    Returns
    -------
    bucket : int
        The first with which the total is enough; the last one if it never is.
    before : int
        Lots in the buckets before it.
    """
    before = np.int64(0)
    bucket = 0
    while bucket < BUCKETS - 1 and before + found[0, bucket] < need:
        before += found[0, bucket]
        bucket += 1
    return bucket, before


@parallel
def select(key, tie, lots, need):
    """Best candidates, in order, until their lots cover `need` (all of them if they do not).

    A pass over keys and lots makes a histogram, which tells the bucket in which the need is met; a pass over
    the keys alone keeps the candidates up to there; only those are looked at again and sorted. With `keys`,
    which reads and writes as much as the histogram reads, that is two and a half passes over two columns.

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
    n = key.shape[0]
    if n <= _FEW:
        return _best_of_few(key, tie, lots, need)
    parts = min(_PARTS, 2 * n // _FEW)
    # of one size, of which only the parts in use are touched: once such a block was given back, the C library
    # keeps the smaller ones of later ticks, which would else be mapped anew page by page
    found = np.empty((_PARTS, 2, BUCKETS), np.int64)[:parts]
    for p in prange(parts):
        first, last = n * p // parts, n * (p + 1) // parts
        _count(key[first:last], lots[first:last], found[p])
    bucket, before = crossing(_merged(found), need)
    begin = _begins(found, bucket)
    bound = np.int64(bucket - (BUCKETS >> 1))
    kept = np.empty(begin[parts], np.int64)
    for p in prange(parts):
        _keep(n * p // parts, n * (p + 1) // parts, key, bound, kept[begin[p] : begin[p + 1]])
    return _cut(_narrowed(kept, key, lots, need, before, bound, _SHIFT), key, tie, lots, need)


@kernel
def _best_of_few(key, tie, lots, need):
    kept = _narrowed(np.arange(key.shape[0]), key, lots, need, np.int64(0), np.int64(0), 64)
    return _cut(kept, key, tie, lots, need)


@kernel
def _count(key, lots, out):
    """A new histogram."""
    out[:] = 0
    histogram(key, lots, out)


@kernel
def _merged(found):
    """Lots by bucket, of all parts."""
    total = found[0, :1].copy()
    for p in range(1, found.shape[0]):
        for bucket in range(BUCKETS):
            total[0, bucket] += found[p, 0, bucket]
    return total


@kernel
def _begins(found, bucket):
    """Where the candidates that each part has up to a bucket begin among those of all parts."""
    begin = np.zeros(found.shape[0] + 1, np.int64)
    for p in range(found.shape[0]):
        begin[p + 1] = begin[p] + found[p, 1, : bucket + 1].sum()
    return begin


@kernel
def _keep(first, last, key, bound, kept):
    """Candidates up to a bucket, of which there are as many as `kept` has places."""
    many = 0
    for i in range(first, last):
        if (key[i] >> _SHIFT) <= bound:
            kept[many] = i
            many += 1


@kernel
def _narrowed(kept, key, lots, need, before, bound, shift):
    """Candidates without those that stand behind the need, as far as further bits of the key tell.

    `bound` is the key down to `shift` in which the need is met; `before` are the lots of better ones.
    """
    weight = np.empty(_DIGITS, np.int64)
    count = np.empty(_DIGITS, np.int64)
    while shift > _BITS:
        shift -= _BITS
        weight[:] = 0
        count[:] = 0
        for c in range(kept.shape[0]):
            i = kept[c]
            if shift + _BITS == 64 or (key[i] >> (shift + _BITS)) == bound:
                d = _digit(key[i], shift)
                weight[d] += lots[i]
                count[d] += 1
        d = 0
        while d < _DIGITS - 1 and before + weight[d] < need:
            before += weight[d]
            d += 1
        if shift + _BITS == 64:
            bound = np.int64(d - (_DIGITS >> 1))
        else:
            bound = (bound << _BITS) | d
        many = 0
        for c in range(kept.shape[0]):
            if (key[kept[c]] >> shift) <= bound:
                kept[many] = kept[c]
                many += 1
        kept = kept[:many]
        if count[d] <= 4096:
            break
    return kept


@kernel
def _cut(chosen, key, tie, lots, need):
    """Candidates in order, up to the one with which their lots cover the need."""
    chosen = order(chosen, key, tie)
    total = np.int64(0)
    for i in range(chosen.shape[0]):
        total += lots[chosen[i]]
        if total >= need:
            return chosen[: i + 1]
    return chosen
