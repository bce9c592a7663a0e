"""Quotas at one level for all: of leverage, or of lots by equity (rules R43, R84).

Passes over all candidates run in chunks of one size; what chunks add up is whole, or a guess that is settled
exactly afterwards, so no answer depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fastadl.kernels._jit import kernel, parallel
from fastadl.kernels.account import split_floor
from fastadl.kernels.wide import add, divide, multiply, whole

__all__ = ["CAPPED", "INNER", "NONE", "UNSURE", "level", "level_shares", "lots_within", "min_max"]

#: What `level_shares` says of a share: nothing, a part of the cap, the cap; or it cannot tell.
NONE, INNER, CAPPED, UNSURE = 0, 1, 2, 3

_CHUNK = 4096
#: An int64 is summed up in two parts.
_LOW = (1 << 31) - 1


@kernel
def _ends(first, last, cap, exposure, equity, width, part):
    part[0], part[1] = np.inf, -np.inf
    part[2:] = 0.0
    for i in range(first, last):
        part[0] = min(part[0], (exposure[i] - cap[i] * width) / equity[i])
        part[1] = max(part[1], exposure[i] / equity[i])
        part[2] += exposure[i]
        part[3] += equity[i]


@kernel
def _given(first, last, cap, exposure, equity, width, at, part):
    """Exposure given at a level, and the equity of those who give a part of their cap."""
    part[:] = 0.0
    for i in range(first, last):
        over = exposure[i] - at * equity[i]
        most = cap[i] * width
        part[0] += min(max(over, 0.0), most)
        part[1] += equity[i] if 0.0 < over < most else 0.0


# What chunks found is merged by other kernels: within a parallel one every sum is a parallel loop of its own.


@kernel
def _merged_ends(part):
    return part[:, 0].min(), part[:, 1].max(), part[:, 2].sum(), part[:, 3].sum()


@kernel
def _merged_given(part):
    return part[:, 0].sum(), part[:, 1].sum()


@kernel
def _merged_shares(part):
    return part.sum(axis=0)


@parallel
def level(cap, exposure, equity, width, need):
    """Level L, to float64, at which ``Σ clip((exposure − L · equity) / width, 0, cap)`` is the need.

    Newton's steps, kept between the levels known to give too much and too little; every fourth halves them.

    Parameters
    ----------
    cap, exposure, equity : int64 (n)
        `equity` is positive.
    width : float
        Exposure of one lot.
    need : int
        Below the sum of `cap`.
    """
    n = cap.shape[0]
    chunks = (n + _CHUNK - 1) // _CHUNK
    part = np.empty((chunks, 4))
    for chunk in prange(chunks):
        last = min(n, (chunk + 1) * _CHUNK)
        _ends(chunk * _CHUNK, last, cap, exposure, equity, width, part[chunk])
    low, high, exposures, equities = _merged_ends(part)
    at = (exposures - need * width) / equities
    for step in range(200):
        if step % 4 == 3 or not low < at < high:
            at = low + 0.5 * (high - low)
            if not low < at < high:
                break
        for chunk in prange(chunks):
            last = min(n, (chunk + 1) * _CHUNK)
            _given(chunk * _CHUNK, last, cap, exposure, equity, width, at, part[chunk])
        given, slope = _merged_given(part)
        excess = given - need * width
        if excess > 0.0:
            low = at
        else:
            high = at
        move = excess / slope if slope > 0.0 else np.inf
        if abs(move) <= 2.0**-51 * abs(at):
            break
        at += move
    return at


@kernel
def _level_share(cap, exposure, equity, at, width):
    """Floor, remainder and kind of one share at a level."""
    size = (exposure + abs(at[0]) * equity) / width[0]
    roughly = (exposure - at[0] * equity) / width[0]
    error = 2.0**-50 * size + 1e-9
    if roughly < -error:
        return np.int64(0), 0.0, NONE
    if roughly > cap + error:
        return cap, 0.0, CAPPED
    error = 1e-11 + 2.0**-98 * size
    if error > 1e-9:
        return np.int64(0), 0.0, UNSURE
    share = divide(add(whole(exposure), multiply(at, whole(-equity))), width)
    down, rest = split_floor(share)
    if rest < error or rest > 1.0 - error:
        return np.int64(0), 0.0, UNSURE
    if down < 0:
        return np.int64(0), 0.0, NONE
    if down >= cap:
        return cap, 0.0, CAPPED
    return down, rest, INNER


@parallel
def level_shares(cap, exposure, equity, at, width, down, rest, kind):
    """Shares ``clip((exposure − at · equity) / width, 0, cap)``: floors, remainders, and what they are.

    Parameters
    ----------
    cap, exposure, equity : int64 (n)
    at, width : float64 pairs
    down : int64 (n)
        Written.
    rest : float64 (n)
        Written, good to 1e-9.
    kind : uint8 (n)
        Written: `NONE`, `INNER`, `CAPPED`; or `UNSURE` next to a whole share, the others then being void.

    Returns
    -------
    int64 (6)
        How many are unsure; caps of the capped; and of the inner ones the sums of exposure and of equity,
        each as what is above 31 bits and what is below.
    """
    n = cap.shape[0]
    chunks = (n + _CHUNK - 1) // _CHUNK
    part = np.empty((chunks, 6), np.int64)
    for chunk in prange(chunks):
        mine = part[chunk]
        for column in range(6):
            mine[column] = 0
        for i in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
            down[i], rest[i], kind[i] = _level_share(cap[i], exposure[i], equity[i], at, width)
            if kind[i] == UNSURE:
                mine[0] += 1
            elif kind[i] == CAPPED:
                mine[1] += cap[i]
            elif kind[i] == INNER:
                mine[2] += exposure[i] >> 31
                mine[3] += exposure[i] & _LOW
                mine[4] += equity[i] >> 31
                mine[5] += equity[i] & _LOW
    return _merged_shares(part)


# ---------------------------------------------------------------------- lots by equity


@kernel
def _lots_within(cap, weight, at):
    """Most lots, up to the cap, whose float64 quotient by weight does not exceed a level."""
    most = at * weight
    lots = cap if most >= cap else np.int64(most)
    while lots < cap and (lots + 1) / weight <= at:
        lots += 1
    while lots > 0 and lots / weight > at:
        lots -= 1
    return lots


@parallel
def lots_within(cap, weight, at, out):
    """Most lots of each, up to the cap, whose float64 quotient by weight does not exceed a level.

    Parameters
    ----------
    cap, weight : int64 (n)
        Positive.
    at : float
        Positive.
    out : int64 (n)
        Written.
    """
    n = cap.shape[0]
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)):
            out[i] = _lots_within(cap[i], float(weight[i]), at)


@kernel
def _try_level(first, last, cap, weight, at, active, below, inside):
    """Lots within a level beyond those below."""
    more = np.int64(0)
    for j in range(first, last):
        i = active[j]
        inside[j] = _lots_within(cap[i], float(weight[i]), at)
        more += inside[j] - below[i]
    return more


@kernel
def _settle_level(first, last, weight, enough, active, inside, below, upto, end):
    """Move one end of the window to the level tried; keep who has lots inside, and the quotients there."""
    end[0], end[1] = np.inf, 0.0
    kept = first
    for j in range(first, last):
        i = active[j]
        if enough:
            upto[i] = inside[j]
        else:
            below[i] = inside[j]
        if below[i] < upto[i]:
            end[0] = min(end[0], (below[i] + 1) / float(weight[i]))
            end[1] = max(end[1], upto[i] / float(weight[i]))
            active[kept] = i
            kept += 1
    return kept - first


@kernel
def _next_level(step, low, high, part):
    """A quotient to try from `low` to below `high`; `part` is where between them the need seems to lie."""
    if step % 3 == 0:
        at = np.sqrt(low * high) if high > 4.0 * low else low + 0.5 * (high - low)
    else:  # a little on either side of it by turns, so that both ends come near
        at = low + min(max(part + (step % 3 - 1.5) / 16.0, 0.0), 1.0) * (high - low)
    return at if low <= at < high else low


@parallel
def min_max(cap, weight, need, below, upto):
    """Lots of each candidate at the largest share of weight that is needed: below it, and up to it.

    The need lies in a window of float64 quotients ``lots / weight``, which shrinks until it is one number.
    Only candidates with a lot inside are looked at again.

    Parameters
    ----------
    cap, weight : int64 (n)
        Positive.
    need : int
        Positive, at most the sum of `cap`.
    below, upto : int64 (n)
        Written: lots whose quotient is less than, and at most, the largest one. Their sums are less than, and
        at least, the need.
    """
    n = cap.shape[0]
    active, inside = np.empty(n, np.int64), np.empty(n, np.int64)
    end = np.empty(((n + _CHUNK - 1) // _CHUNK, 2))
    some = np.empty(end.shape[0], np.int64)
    given, reach, weights = _start_min_max(cap, weight, active, inside, below, upto)
    at = 2.0 * need / weights
    enough = True
    step = 0
    while True:
        chunks = (n + _CHUNK - 1) // _CHUNK
        for chunk in prange(chunks):
            first, last = chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)
            some[chunk] = _settle_level(first, last, weight, enough, active, inside, below, upto, end[chunk])
        n, low, high = _merged_window(active, some[:chunks], end)
        if low >= high:
            return
        if step > 0 or not low <= at < high:
            at = _next_level(step, low, high, (need - given) / (reach - given))
        step += 1
        chunks = (n + _CHUNK - 1) // _CHUNK
        for chunk in prange(chunks):
            first, last = chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK)
            some[chunk] = _try_level(first, last, cap, weight, at, active, below, inside)
        more = _summed(some[:chunks])
        enough = given + more >= need
        if enough:
            reach = given + more
        else:
            given += more


@kernel
def _start_min_max(cap, weight, active, inside, below, upto):
    """Everybody active, from nothing to his cap; returns no lots, all lots, and all weight."""
    reach, weights = np.int64(0), 0.0
    for i in range(cap.shape[0]):
        active[i] = i
        inside[i] = cap[i]
        below[i] = 0
        upto[i] = cap[i]
        reach += cap[i]
        weights += float(weight[i])
    return np.int64(0), reach, weights


@kernel
def _merged_window(active, some, end):
    """Bring those of all chunks who are still active together; how many they are, and their window."""
    n = 0
    low, high = np.inf, 0.0
    for chunk in range(some.shape[0]):
        for j in range(chunk * _CHUNK, chunk * _CHUNK + some[chunk]):
            active[n] = active[j]
            n += 1
        low, high = min(low, end[chunk, 0]), max(high, end[chunk, 1])
    return n, low, high


@kernel
def _summed(some):
    return some.sum()
