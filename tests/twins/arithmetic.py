"""Pairs that take numbers and plain columns: wide products, shares, ranking order, decimals, hashes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastadl.kernels import decimal as columns
from fastadl.kernels import lookup as tables
from fastadl.kernels.rank import BUCKETS
from fastadl.reference import decimal, lookup, rank, wide
from twins.pair import Pair, assert_equal

#: Not negative, of every number of bits, and the last before and the first of some.
sizes = st.one_of(
    st.integers(0, 61).flatmap(lambda bits: st.integers(0, 2 << bits)).map(lambda n: min(n, (1 << 62) - 1)),
    st.sampled_from([0, 1, 2, (1 << 31) - 1, 1 << 31, (1 << 53) - 1, (1 << 53) + 1, (1 << 62) - 1]),
)
signs = st.sampled_from([1, -1])


def whole_numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# ---------------------------------------------------------------------- wide


@st.composite
def products(draw: st.DrawFn) -> tuple[int, int, int]:
    """`x · y / z` within the bounds of `muldiv`, a third of them whole or one off it."""
    x, y = draw(sizes), draw(sizes)
    least = x * y // (1 << 62) + 1
    z = draw(st.one_of(st.just(least), sizes.map(lambda n: max(n, least))))
    if draw(st.integers(0, 2)) == 0:  # z divides x · y
        z = draw(st.integers(1, 1 << 31))
        x = min(x // z, (1 << 62) // max(y, 1)) * z
    return draw(signs) * x, y, z


moderate = st.floats(-1e100, 1e100, allow_subnormal=False)
factors = st.one_of(st.just(0.0), st.just(-0.0), st.builds(lambda s, x: s * x, signs, st.floats(1e-90, 1e90)))


@st.composite
def two_parts(draw: st.DrawFn, *, zero: bool = True) -> tuple[float, float]:
    """A number good to 106 bits, mostly one that float64 cannot hold."""
    number = draw(signs) * Fraction(draw(sizes) if zero else max(1, draw(sizes)), max(1, draw(sizes)))
    return wide.pair(number)


@st.composite
def addends(draw: st.DrawFn) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two numbers, or two that cancel but for their last bits."""
    a = draw(two_parts())
    if draw(st.booleans()):
        return a, draw(two_parts())
    return a, wide.pair(
        -(Fraction(a[0]) + Fraction(a[1])) * (1 + Fraction(draw(st.integers(-3, 3)), 1 << 70))
    )


def within(bound: Fraction) -> Any:
    """A two-part answer that is off by at most a part of the exact one."""

    def agree(kernel: Any, twin: Any, case: Any) -> None:
        high, low = kernel(*case)
        wanted = twin(*case)
        assert abs(Fraction(high) + Fraction(low) - wanted) <= bound * abs(wanted)

    return agree


def near_floor(kernel: Any, twin: Any, parts: tuple[float, float]) -> None:
    down, fraction = kernel(parts)
    number = Fraction(parts[0]) + Fraction(parts[1])
    wanted, rest = twin(number)
    assert 0.0 <= fraction <= 1.0
    assert abs(down + Fraction(fraction) - number) < Fraction(1, 10**12)
    assert down == wanted or min(rest, 1 - rest) < Fraction(1, 10**12)


# ---------------------------------------------------------------------- ranking order

scores = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 5e-324, -5e-324, float("inf"), float("-inf"), 1.5, -1.5]),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda score: score + 0.0),
)
any_key = st.one_of(
    st.integers(-3, 3), st.integers(-(1 << 63), (1 << 63) - 1), st.sampled_from([7 << 52, 8 << 52])
)


def same_keys(kernel: Any, twin: Any, found: list[float]) -> None:
    key = np.empty(len(found), np.int64)
    kernel(np.array(found, np.float64).view(np.int64), key)
    assert_equal(np.unique(key, return_inverse=True)[1], twin(found))


@st.composite
def rankings(draw: st.DrawFn, *, least: int = 0) -> tuple[np.ndarray, np.ndarray]:
    key = draw(st.lists(any_key, min_size=least, max_size=12))
    tie = draw(st.permutations(range(0, 900 * len(key), 900)))
    return whole_numbers(*key), np.array(tie, np.int32)


@st.composite
def chosen_rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    key, tie = draw(rankings())
    chosen = draw(st.lists(st.integers(0, len(key) - 1), unique=True)) if len(key) else []
    return whole_numbers(*chosen), key, tie


@st.composite
def queues(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    key, tie = draw(rankings())
    lots = draw(st.lists(st.integers(1, 4), min_size=len(key), max_size=len(key)))
    return key, tie, whole_numbers(*lots), draw(st.integers(1, sum(lots) + 3))


# ---------------------------------------------------------------------- decimals

NUMERALS = [
    "0",
    "7",
    "-3",
    "0.5",
    "-0.001",
    "1e5",
    "1e-7",
    "-2.50e+22",
    "12345678901234567",
    "007",
    "-0",
    "1.50",
    "10.0100",
]
NUMERALS += ["9" * 18, "9" * 19, f"0.{'0' * 30}1", f"1{'0' * 399}", "0" * 401, f"1.{'0' * 17}1"]
NOT_NUMERALS = [
    "-",
    "--1",
    ".5",
    "1.",
    "1.e5",
    "+1",
    "1e",
    "1e+",
    "1e0005",
    "1E5",
    "0x1",
    "1_0",
    "1.2.3",
    "nan",
    "inf",
    "1,5",
    "½",
    "e5",
]
NOT_NUMERALS += ["", "1 ", " 1"]
lines = st.one_of(st.sampled_from(NUMERALS + NOT_NUMERALS), st.text("0123456789.-+e", max_size=25))


def same_numbers(kernel: Any, twin: Any, case: tuple[list[str], bool]) -> None:
    text, exponents = case
    encoded = [line.encode() for line in text]
    digits, places = np.empty(len(text), np.int64), np.empty(len(text), np.int16)
    status = np.empty(len(text), np.uint8)
    data = np.frombuffer(b"".join(line + b"\n" for line in encoded), np.uint8)
    assert kernel(data, exponents, digits, places, status) == len(text)
    for line, number, place, answer in zip(encoded, digits.tolist(), places.tolist(), status, strict=True):
        wanted = twin(line, exponents)
        if answer == columns.OK:
            assert number * Fraction(10) ** -place == wanted
        elif answer == columns.WIDE:
            assert wanted is not None
            assert sum(48 <= byte <= 57 for byte in line) > 17
        else:
            assert wanted is None


prices = st.one_of(
    st.decimals(-(10**9), 10**9, places=4, allow_nan=False).map(float),
    st.floats(),
    st.sampled_from([0.0, -0.0, 0.1, 1e22, 1e-22, 123456789012345.0, 1e15, 0.30000000000000004, 5e-324]),
)


def same_shortest(kernel: Any, twin: Any, values: list[float]) -> None:
    digits, places = np.empty(len(values), np.int64), np.empty(len(values), np.int16)
    status = np.empty(len(values), np.uint8)
    kernel(np.array(values, np.float64), digits, places, status)
    for value, number, place, answer in zip(values, digits.tolist(), places.tolist(), status, strict=True):
        needed = twin(value) if np.isfinite(value) else None
        short = (
            needed is not None
            and abs(needed) < 10**15
            and any(
                (needed * 10**place).denominator == 1 and abs(needed * 10**place) < 10**15
                for place in range(23)
            )
        )
        assert answer == (columns.OK if short else columns.WIDE)
        if short:
            assert number * Fraction(10) ** -place == needed


def scale_of(num: int, den: int, ten: int) -> columns.Scale:
    return columns.Scale(whole_numbers(1, num), whole_numbers(1, den), whole_numbers(0, ten))


positive = st.one_of(
    st.floats(1e-9, 1e17),
    st.decimals("0.0001", 10**9, places=4, allow_nan=False).map(float),
    st.builds(lambda n, k: n / 10**k, st.integers(1, 10**17), st.integers(0, 20)),
    st.builds(lambda n, k: math.nextafter(n * 2.0**k, 9e99), st.integers(1, 9), st.integers(-40, 50)),
    st.builds(lambda k: 2.0**k, st.integers(-1074, 1023)),
    st.floats(5e-324, 1.7e308),
)


def same_unit_values(kernel: Any, twin: Any, case: Any) -> None:
    """Bit-equal where the kernel is sure."""
    values, (num, den, ten) = case
    scale = columns.Scale(*(whole_numbers(*[number] * len(values)) for number in (num, den, ten)))
    inverse = np.arange(len(values)) % 2 == 1
    unit, sure = np.empty(len(values)), np.empty(len(values), np.bool_)
    kernel(np.array(values, np.float64), scale, inverse, unit, sure)
    for value, upside, found, known in zip(values, inverse.tolist(), unit.tolist(), sure, strict=True):
        if known:
            assert found == twin(value, Fraction(num, den) * Fraction(10) ** ten, upside)


@st.composite
def decimals_on_grids(draw: st.DrawFn) -> tuple[int, int, tuple[int, int, int]]:
    digits = draw(signs) * draw(sizes)
    scale = draw(st.sampled_from([1, 2, 5, 999, 10**9])), draw(st.sampled_from([1, 2, 5, 3, 10**9]))
    return digits, draw(st.integers(-20, 20)), (*scale, draw(st.integers(-3, 12)))


def same_steps(kernel: Any, twin: Any, case: Any) -> None:
    digits, places, (num, den, ten) = case
    out, status = whole_numbers(0), np.empty(1, np.uint8)
    row = whole_numbers(digits), np.array([places], np.int16), np.array([1], np.int32)
    kernel(*row, scale_of(num, den, ten), out, status)
    wanted = twin(digits * Fraction(10) ** -places, Fraction(num, den) * Fraction(10) ** ten)
    if status[0] == columns.OK:
        assert out[0] == wanted
    elif status[0] == columns.NOT_WHOLE:
        assert wanted.denominator > 1
    else:
        assert abs(ten - places) + len(str(digits)) > 8


@st.composite
def bought(draw: st.DrawFn) -> tuple[int, int, int, tuple[int, int, int], bool]:
    digits, places, scale = draw(decimals_on_grids())
    lots = draw(signs) * draw(st.one_of(st.integers(1, 99), st.integers(1, 1 << 53)))
    return lots, max(1, abs(digits)), places, scale, draw(st.booleans())


def same_entry_values(kernel: Any, twin: Any, case: Any) -> None:
    lots, digits, places, (num, den, ten), inverse = case
    out, status = whole_numbers(0), np.empty(1, np.uint8)
    row = whole_numbers(lots), whole_numbers(digits), np.array([places], np.int16), np.array([1], np.int32)
    kernel(*row, scale_of(num, den, ten), np.array([not inverse, inverse]), out, status)
    price, scale = digits * Fraction(10) ** -places, Fraction(num, den) * Fraction(10) ** ten
    if status[0] == columns.OK:
        assert out[0] == twin(lots, price, scale, inverse)
    else:
        assert len(str(lots)) + len(str(digits)) + abs(places) + abs(ten) > 9


# ---------------------------------------------------------------------- hashes

hashes = st.lists(
    st.one_of(st.integers(-4, 4), st.integers(-(1 << 63), (1 << 63) - 1), st.just(-1 << 63)), max_size=9
)


def table_for(keys: list[int]) -> np.ndarray:
    return np.full(1 << len(keys).bit_length(), -1, np.int32)  # as full as it may be


def same_index(kernel: Any, twin: Any, keys: list[int]) -> None:
    assert kernel(whole_numbers(*keys), table_for(keys)) == twin(keys)


def same_found(kernel: Any, twin: Any, case: tuple[list[int], list[int]]) -> None:
    keys, wanted = list(dict.fromkeys(case[0])), case[0] + case[1]
    table, out = table_for(keys), np.empty(len(wanted), np.int32)
    assert tables.index(whole_numbers(*keys), table) == -1
    kernel(whole_numbers(*keys), table, whole_numbers(*wanted), out)
    assert_equal(out, twin(keys, wanted))


def same_runs(kernel: Any, twin: Any, starts: list[bool]) -> None:
    starts = [True, *starts]
    values = np.arange(100, 100 + sum(starts), dtype=np.int32)
    out = np.empty(len(starts), np.int32)
    kernel(np.array(starts), values, out)
    assert_equal(out, twin(starts, values.tolist()))


# ---------------------------------------------------------------------- the pairs


def same_order(kernel: Any, twin: Any, case: Any) -> None:
    assert_equal(kernel(*case), twin(*case))


def same_histogram(kernel: Any, twin: Any, case: Any) -> None:
    """Made in two parts, which add up."""
    key, _, lots, cut = case
    out = np.zeros((2, BUCKETS), np.int64)
    for part in (slice(None, cut), slice(cut, None)):
        kernel(key[part], lots[part], out)
    some = np.flatnonzero(out[1]).tolist()
    assert {b: (out[0, b], out[1, b]) for b in some} == twin(key, lots)
    assert out[0].sum() == lots.sum()


def same_crossing(kernel: Any, twin: Any, case: Any) -> None:
    key, _, lots, need = case
    found = np.zeros((2, BUCKETS), np.int64)
    for bucket, (many, count) in rank.histogram(key, lots).items():
        found[:, bucket] = many, count
    assert tuple(kernel(found, need)) == twin(found, need)


PAIRS = {
    "wide.muldiv": Pair(wide.muldiv, products()),
    "wide.ceil_scaled": Pair(wide.ceil_scaled, products()),
    "wide.trunc_scaled": Pair(wide.trunc_scaled, products()),
    "wide.two_sum": Pair(wide.two_sum, st.tuples(moderate, moderate)),
    "wide.two_product": Pair(wide.two_product, st.tuples(factors, factors)),
    "wide.whole": Pair(wide.whole, st.tuples(st.builds(lambda s, n: s * n, signs, sizes))),
    "wide.add": Pair(wide.add, addends(), within(Fraction(1, 1 << 103))),
    "wide.multiply": Pair(wide.multiply, st.tuples(two_parts(), two_parts()), within(Fraction(1, 1 << 101))),
    "wide.divide": Pair(
        wide.divide, st.tuples(two_parts(), two_parts(zero=False)), within(Fraction(1, 1 << 100))
    ),
    "rank.keys": Pair(rank.keys, st.lists(scores, max_size=12), same_keys),
    "rank.order": Pair(rank.order, chosen_rankings(), same_order),
    "rank.histogram": Pair(rank.histogram, queues(), same_histogram),
    "rank.crossing": Pair(rank.crossing, queues(), same_crossing),
    "rank.select": Pair(rank.select, queues(), same_order),
    "decimal.parse": Pair(decimal.parse, st.tuples(st.lists(lines, max_size=6), st.booleans()), same_numbers),
    "decimal.shortest": Pair(decimal.shortest, st.lists(prices, max_size=6), same_shortest),
    "decimal.on_grid": Pair(decimal.steps, decimals_on_grids(), same_steps),
    "decimal.entry_values": Pair(decimal.entry_value, bought(), same_entry_values),
    "price.unit_values": Pair(
        decimal.unit_value,
        st.tuples(
            st.lists(positive, max_size=8),
            st.tuples(
                st.one_of(st.sampled_from([1, 5, 25, 3]), sizes.filter(bool)),
                st.one_of(st.just(1), st.sampled_from([2, 3, 7]), sizes.filter(bool)),
                st.integers(-4, 9),
            ),
        ),
        same_unit_values,
    ),
    "lookup.index": Pair(lookup.index, hashes, same_index),
    "lookup.find": Pair(lookup.find, st.tuples(hashes, hashes), same_found),
    "lookup.expand": Pair(lookup.expand, st.lists(st.booleans(), max_size=9), same_runs),
}
