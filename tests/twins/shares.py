"""Pairs that share lots: by weight, by rank, and at one level for all."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.kernels.levels import CAPPED, INNER, NONE, UNSURE
from fastadl.reference import allocate, levels, wide
from twins.arithmetic import sizes, whole_numbers
from twins.pair import Pair

small = st.integers(0, 6)
amounts = st.one_of(small, small, st.integers(0, 1 << 20), st.integers(0, 1 << 53))
columns_of = st.lists(amounts, max_size=9)


@st.composite
def weighted(draw: st.DrawFn) -> tuple[int, np.ndarray, int, np.ndarray, np.ndarray]:
    weight = whole_numbers(*draw(columns_of.filter(any)))
    budget = draw(st.one_of(small, sizes))
    return budget, weight, int(weight.sum()), np.empty_like(weight), np.empty_like(weight)


@st.composite
def capped(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Caps, weights (some of them 0) and a budget that the caps can carry."""
    n = draw(st.integers(0, 9))
    column = st.lists(amounts, min_size=n, max_size=n)
    cap, weight = whole_numbers(*draw(column)), whole_numbers(*draw(column))
    if draw(st.booleans()):  # caps at one multiple of the weights: all of them bind at once
        cap = np.minimum(weight * draw(small), 1 << 56)
    most = int(cap[weight > 0].sum())
    return cap, weight, draw(st.one_of(st.integers(0, most), st.just(most), st.just(most // 2)))


def same_threshold(kernel: Any, twin: Any, case: Any) -> None:
    cap, weight, budget = case
    full = np.ones(len(cap), np.bool_)
    left, total = kernel(cap, weight, budget, full)
    who = np.flatnonzero(weight)
    shares = dict(zip(who.tolist(), twin(cap[who].tolist(), weight[who].tolist(), budget), strict=True))
    assert np.flatnonzero(full).tolist() == [i for i in who if shares[i] == cap[i]]
    assert total == weight[~full].sum()
    assert left == budget - cap[full].sum()
    for i in who:
        if not full[i]:
            assert shares[i] == Fraction(int(left) * int(weight[i]), int(total))


@st.composite
def binding(draw: st.DrawFn) -> tuple[Any, ...]:
    """Some of the candidates of a step, of which a few may be full already."""
    cap, weight, left = draw(capped())
    full = np.array(draw(st.lists(st.booleans(), min_size=len(cap), max_size=len(cap))), np.bool_)
    most = int(weight[~full].sum())
    return cap, weight, left, draw(st.one_of(st.just(max(1, most)), sizes.map(lambda n: n + 1))), full


@st.composite
def whole_quotas(draw: st.DrawFn) -> tuple[np.ndarray, int, np.ndarray]:
    cap = whole_numbers(*draw(columns_of))
    return cap, draw(st.integers(0, int(cap.sum()) + 2)), np.empty_like(cap)


@st.composite
def takers(draw: st.DrawFn) -> tuple[Any, ...]:
    """Keys in long ties, next to each other or far apart, and what each has."""
    n = draw(st.integers(1, 12))
    keys = st.one_of(st.integers(0, 2), st.just((1 << 61) + 5), st.integers(4090, 4100), sizes)
    first = whole_numbers(*draw(st.lists(keys, min_size=n, max_size=n)))
    tie = np.array(draw(st.permutations(range(0, 900 * n, 900))), np.int32)
    lots = whole_numbers(*draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
    return first, tie, lots, draw(st.integers(1, int(lots.sum()))), np.empty(n, np.int64)


@st.composite
def chosen_places(draw: st.DrawFn) -> tuple[Any, ...]:
    n = draw(st.integers(0, 12))
    keys = st.one_of(st.integers(-2, 2), st.integers(-(1 << 63), (1 << 63) - 1))
    key = whole_numbers(*draw(st.lists(keys, min_size=n, max_size=n)))
    tie = np.array(draw(st.permutations(range(n))), np.int32)
    chosen = draw(st.lists(st.integers(0, n - 1), unique=True)) if n else []
    chosen.sort(key=lambda i: (key[i], tie[i]))
    return key, tie, whole_numbers(*chosen), np.empty(len(chosen), np.int64)


# ---------------------------------------------------------------------- levels


@st.composite
def crowds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, Fraction]:
    """Caps, exposures, equities and the exposure of a lot; some have hedged a part of it, or all."""
    n = draw(st.integers(1, 7))
    lots = st.one_of(st.integers(1, 9), st.integers(1, 10**6))
    width = Fraction(draw(st.integers(1, 10**7)), draw(st.sampled_from([1, 2, 3, 100, 10**6])))
    cap = draw(st.lists(lots, min_size=n, max_size=n))
    more = draw(st.lists(st.one_of(st.just(0), st.integers(0, 10**9)), min_size=n, max_size=n))
    equity = draw(st.lists(st.one_of(st.just(1), st.integers(1, 10**12)), min_size=n, max_size=n))
    hedged = draw(st.lists(st.sampled_from([1, 1, 2, 0]), min_size=n, max_size=n))
    exposure = [
        int(c * width) * h // 2 + (h > 0) + extra * h for c, extra, h in zip(cap, more, hedged, strict=True)
    ]
    return whole_numbers(*cap), whole_numbers(*exposure), whole_numbers(*equity), width


@st.composite
def needs(draw: st.DrawFn) -> tuple[Any, ...]:
    cap, exposure, equity, width = draw(crowds())
    return cap, exposure, equity, width, draw(st.integers(0, int(cap.sum()) - 1))


def same_level(kernel: Any, twin: Any, case: Any) -> None:
    cap, exposure, equity, width, need = case
    found = Fraction(kernel(cap, exposure, equity, float(width), need))
    given = sum(twin(found, cap.tolist(), exposure.tolist(), equity.tolist(), width))
    scale = (int(exposure.sum()) + abs(found) * int(equity.sum())) / width + int(cap.sum())
    assert abs(given - need) <= Fraction(1, 10**12) * scale


@st.composite
def levels_at(draw: st.DrawFn) -> tuple[Any, ...]:
    """A level, often one at which shares are whole, or end."""
    cap, exposure, equity, width = draw(crowds())
    i = draw(st.integers(0, len(cap) - 1))
    lots = draw(st.sampled_from([0, int(cap[i]), int(cap[i]) // 2, Fraction(int(cap[i]), 3)]))
    at = (int(exposure[i]) - lots * width) / int(equity[i])
    return cap, exposure, equity, at * draw(st.sampled_from([1, 1, Fraction(997, 1000)])), width


def same_level_shares(kernel: Any, twin: Any, case: Any) -> None:
    cap, exposure, equity, at, width = case
    down, rest = np.empty_like(cap), np.empty(len(cap))
    kind = np.empty(len(cap), np.uint8)
    sums = kernel(cap, exposure, equity, wide.pair(at), wide.pair(width), down, rest, kind).tolist()
    exact = twin(at, cap.tolist(), exposure.tolist(), equity.tolist(), width)
    for share, most, whole, over, what in zip(exact, cap.tolist(), down.tolist(), rest, kind, strict=True):
        if what == UNSURE:
            assert min(share % 1, -share % 1) < Fraction(1, 10**9)
            continue
        assert what == (NONE if share == 0 else CAPPED if share == most else INNER)
        assert whole == share // 1
        assert abs(Fraction(over) - share % 1) < Fraction(1, 10**9)
    inner = kind == INNER
    assert sums[:2] == [(kind == UNSURE).sum(), cap[kind == CAPPED].sum()]
    assert (sums[2] << 31) + sums[3] == exposure[inner].sum()
    assert (sums[4] << 31) + sums[5] == equity[inner].sum()


@st.composite
def weighed(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    n = draw(st.integers(1, 7))
    weight = st.one_of(st.integers(1, 4), st.integers(1, 1 << 20), sizes.map(lambda size: max(1, size)))
    cap = draw(st.lists(st.integers(1, 12), min_size=n, max_size=n))
    weights = draw(st.one_of(st.lists(weight, min_size=n, max_size=n), weight.map(lambda size: [size] * n)))
    return whole_numbers(*cap), whole_numbers(*weights), draw(st.integers(1, sum(cap)))


@st.composite
def within_levels(draw: st.DrawFn) -> tuple[Any, ...]:
    """A level that is often the quotient of somebody's lots, or next to it."""
    cap, weight, _ = draw(weighed())
    i = draw(st.integers(0, len(cap) - 1))
    at = draw(st.integers(1, int(cap[i]))) / float(weight[i])
    at = draw(st.sampled_from([at, np.nextafter(at, 0.0), np.nextafter(at, np.inf), 3.7 * at]))
    return cap * draw(st.sampled_from([1, 1, 10**12])), weight, float(at), np.empty_like(cap)


def same_min_max(kernel: Any, twin: Any, case: Any) -> None:
    """Between the two answers lie the lots of one quotient, and the twin's answer."""
    cap, weight, need = case
    below, upto = np.empty_like(cap), np.empty_like(cap)
    kernel(cap, weight, need, below, upto)
    given = np.array(twin(cap.tolist(), weight.tolist(), need))
    assert (below <= given).all()
    assert (given <= upto).all()
    assert below.sum() < need <= upto.sum()
    quotients = {
        float(k) / float(w)
        for low, high, w in zip(below.tolist(), upto.tolist(), weight.tolist(), strict=True)
        for k in range(low + 1, high + 1)
    }
    assert len(quotients) == 1


PAIRS = {
    "allocate.whole_positions": Pair(allocate.whole_positions, whole_quotas()),
    "allocate.shares": Pair(allocate.shares, weighted()),
    "allocate.bind": Pair(allocate.bind, binding()),
    "allocate.threshold": Pair(allocate.threshold_shares, capped(), same_threshold),
    "allocate.take": Pair(allocate.take, takers()),
    "allocate.places": Pair(allocate.places, chosen_places()),
    "levels.level": Pair(levels.at_level, needs(), same_level),
    "levels.level_shares": Pair(levels.at_level, levels_at(), same_level_shares),
    "levels.lots_within": Pair(levels.lots_within, within_levels()),
    "levels.min_max": Pair(levels.min_max, weighed(), same_min_max),
}
