"""Ranking: the order of scores, and the best of them without sorting the rest."""

from __future__ import annotations

import numpy as np

from fastadl.kernels._jit import kernel
from fastadl.kernels.scores import mix

__all__ = ["keys", "order", "repeated", "select"]

_BITS = 11
_DIGITS = 1 << _BITS


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
