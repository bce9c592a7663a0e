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
#: Up to so many candidates one thread is faster than two.
_FEW = 1 << 15
#: Parts that candidates are split in; fixed, so that nothing depends on the number of threads.
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
    # copies side by side, so that the passes jump about in little memory
    near_key = np.empty(chosen.shape[0], np.int64)
    near_tie = np.empty(chosen.shape[0], np.int32)
    source = np.arange(chosen.shape[0])
    target = np.empty_like(source)
    most = np.int32(0)
    ascending = True
    for i in range(chosen.shape[0]):
        near_key[i] = key[chosen[i]]
        near_tie[i] = tie[chosen[i]]
        ascending = ascending and near_tie[i] >= most
        most = max(most, near_tie[i])
    shift = 0
    while not ascending and (most >> shift) > 0:
        _pass(near_tie, source, target, shift)
        source, target = target, source
        shift += _BITS
    for shift in (0, 11, 22, 33, 44, 53):
        _pass(near_key, source, target, shift)
        source, target = target, source
    for i in range(chosen.shape[0]):
        target[i] = chosen[source[i]]
    return target


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
        As `histogram` gives it.
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

    One pass makes a histogram, which tells the bucket in which the need is met; a second one keeps the
    candidates up to there; only those are looked at again and sorted.

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
        kept = _narrowed(np.arange(n), key, lots, need, np.int64(0), np.int64(0), 64)
        return _cut(kept, key, tie, lots, need)
    found = np.zeros((_PARTS, 2, BUCKETS), np.int64)
    for p in prange(_PARTS):
        first, last = n * p // _PARTS, n * (p + 1) // _PARTS
        histogram(key[first:last], lots[first:last], found[p])
    bucket, before = crossing(found.sum(axis=0), need)
    begin = np.zeros(_PARTS + 1, np.int64)
    for p in range(_PARTS):
        begin[p + 1] = begin[p] + found[p, 1, : bucket + 1].sum()
    bound = np.int64(bucket - (BUCKETS >> 1))
    kept = np.empty(begin[_PARTS], np.int64)
    for p in prange(_PARTS):
        _keep(n * p // _PARTS, n * (p + 1) // _PARTS, key, bound, kept[begin[p] : begin[p + 1]])
    return _cut(_narrowed(kept, key, lots, need, before, bound, _SHIFT), key, tie, lots, need)


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
