"""Exact products and quotients wider than 64 bits, and sums in two float64 parts.

Everything runs the same with the compiler off: no step relies on integer wrap-around.
"""

from __future__ import annotations

from fastadl.kernels._jit import kernel

__all__ = [
    "add",
    "ceil_scaled",
    "divide",
    "muldiv",
    "multiply",
    "trunc_scaled",
    "two_product",
    "two_sum",
    "whole",
]

#: Products up to here are computed directly: with a divisor more, which a remainder takes, they stay below
#: 2^63. The float64 estimate is good to 2 parts in 2^53.
_DIRECT = 4.6e18
#: A float64 estimate of a quotient up to here is less than 4 off.
_NEAR = 4503599627370496.0  # 2^52
_SMALL = 1 << 58
_LOW = (1 << 31) - 1
_SPLIT = 134217729.0  # 2^27 + 1, Dekker's splitter


@kernel
def muldiv(x, y, z):
    """Floor and remainder of `x · y / z`.

    Parameters
    ----------
    x : int64, |x| < 2^62
    y : int64, 0 <= y < 2^62
    z : int64, 0 < z < 2^62; the quotient must stay below 2^62

    Returns
    -------
    (int64, int64)
        ``floor(x·y/z)`` and ``x·y − floor(x·y/z)·z`` (0 <= remainder < z).
    """
    if abs(float(x)) * float(y) < _DIRECT:
        product = x * y
        quotient = product // z
        return quotient, product - quotient * z
    size = abs(x)
    estimate = float(size) * float(y) / float(z)
    if estimate < _NEAR and z < _SMALL:
        quotient, remainder = _from_estimate(size, y, z, int(estimate))
    else:
        quotient, remainder = _bit_by_bit(size, y, z)
    if x < 0:
        if remainder > 0:
            return -quotient - 1, z - remainder
        return -quotient, remainder
    return quotient, remainder


@kernel
def _from_estimate(x, y, z, quotient):
    """Quotient and remainder from a quotient less than 4 off; ``x·y − quotient·z`` in limbs of 31 bits."""
    low = (x & _LOW) * (y & _LOW) - (quotient & _LOW) * (z & _LOW)
    middle = (x >> 31) * (y & _LOW) + (x & _LOW) * (y >> 31)
    middle = middle - ((quotient >> 31) * (z & _LOW) + (quotient & _LOW) * (z >> 31)) + (low >> 31)
    high = (x >> 31) * (y >> 31) - (quotient >> 31) * (z >> 31) + (middle >> 31)
    remainder = (((middle & _LOW) << 31) | (low & _LOW)) + (high << 62)
    while remainder < 0:
        remainder += z
        quotient -= 1
    while remainder >= z:
        remainder -= z
        quotient += 1
    return quotient, remainder


@kernel
def _bit_by_bit(size, y, z):
    step = size // z
    rest = size - step * z
    quotient = size - size
    remainder = quotient
    for bit in range(61, -1, -1):
        quotient = quotient + quotient
        remainder = remainder + remainder
        if remainder >= z:
            remainder -= z
            quotient += 1
        if (y >> bit) & 1:
            quotient += step
            remainder += rest
            if remainder >= z:
                remainder -= z
                quotient += 1
    return quotient, remainder


@kernel
def ceil_scaled(x, y, z):
    """`ceil(x · y / z)`, bounds as in `muldiv`."""
    quotient, remainder = muldiv(x, y, z)
    return quotient + 1 if remainder > 0 else quotient


@kernel
def trunc_scaled(x, y, z):
    """`x · y / z` rounded toward zero, bounds as in `muldiv` (rule R10)."""
    quotient, remainder = muldiv(x, y, z)
    return quotient + 1 if (quotient < 0 and remainder > 0) else quotient


@kernel
def two_sum(a, b):
    """`a + b` as its float64 value and the part that was rounded off, exactly."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


@kernel
def two_product(a, b):
    """`a · b` as its float64 value and the part that was rounded off, exactly."""
    product = a * b
    spread = _SPLIT * a
    a_high = spread - (spread - a)
    a_low = a - a_high
    spread = _SPLIT * b
    b_high = spread - (spread - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@kernel
def whole(x):
    """An int64 below 2^62 as two float64 parts, exactly."""
    high = float(x)
    return high, float(x - int(high))


@kernel
def add(a, b):
    """Sum of two-part numbers; relative error below 2^-103."""
    high, low = two_sum(a[0], b[0])
    tail, rest = two_sum(a[1], b[1])
    high, low = two_sum(high, low + tail)
    return two_sum(high, low + rest)


@kernel
def multiply(a, b):
    """Product of two-part numbers; relative error below 2^-101."""
    high, low = two_product(a[0], b[0])
    return two_sum(high, low + (a[0] * b[1] + a[1] * b[0]))


@kernel
def divide(a, b):
    """Quotient of two-part numbers; relative error below 2^-100."""
    first = a[0] / b[0]
    product = multiply(b, (first, 0.0))
    rest = add(a, (-product[0], -product[1]))
    second = rest[0] / b[0]
    product = multiply(b, (second, 0.0))
    rest = add(rest, (-product[0], -product[1]))
    third = rest[0] / b[0]
    high, low = two_sum(first, second)
    return two_sum(high, low + third)
