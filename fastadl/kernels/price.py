"""What one lot is worth at prices given as float64: the float64 nearest to the exact value."""

from __future__ import annotations

import math

import numpy as np

from fastadl.kernels._jit import kernel
from fastadl.kernels.wide import divide, multiply, two_product, whole

__all__ = ["unit_values"]

_POWERS = np.array([float(10**k) for k in range(23)])
_FIFTEEN_DIGITS = 1e15
_LEAST = 1e-22
_EXACT = 1 << 53
#: Two products and a quotient of two-part numbers are good to 2^-98.
_SLACK = 2.0**-96


@kernel
def unit_values(price, scale, inverse, unit, sure):
    """The float64 nearest to `c·P`, or to `−c/P`, where P is the shortest decimal of a float64.

    Parameters
    ----------
    price : float64 (instruments)
        Above 0 and finite.
    scale : fastadl.kernels.decimal.Scale
        The `c` of rule R2.
    inverse : bool (instruments)
    unit : float64 (instruments)
        Written, in atoms.
    sure : bool (instruments)
        Written: False where unlimited integers are needed: 62 bits or 22 places are not enough, or the value
        is next to half way between two float64.
    """
    usual = 0
    for i in range(price.shape[0]):
        unit[i], sure[i] = 0.0, False
        digits, places, usual = _shortest(price[i], usual)
        num, den = scale.num[i], scale.den[i]
        power = scale.ten[i] + places if inverse[i] else scale.ten[i] - places
        if digits == 0 or num >= _EXACT or den >= _EXACT or abs(power) > 22:
            continue
        top, bottom = (float(num), 0.0), (float(den), 0.0)
        if inverse[i]:
            bottom = multiply(bottom, whole(digits))
        else:
            top = multiply(top, whole(digits))
        if power > 0:
            top = multiply(top, (_POWERS[power], 0.0))
        elif power < 0:
            bottom = multiply(bottom, (_POWERS[-power], 0.0))
        value, sure[i] = _nearest(top, bottom)
        unit[i] = -value if inverse[i] else value


@kernel
def _nearest(top, bottom):
    """The float64 nearest to a quotient of positive two-part numbers, and whether that is sure."""
    value, rest = divide(top, bottom)
    slack = _SLACK * value
    return value, value + (rest + slack) == value and value + (rest - slack) == value


@kernel
def _shortest(size, usual):
    """Digits (0: not found) and places of the shortest decimal, and the places to try first next time.

    Two decimals of 15 digits never share a float64, so one found is the shortest, or its value is. Beyond, it
    is the nearest of 16 digits if that reads back as the number, else the nearest of 17.
    """
    if not _LEAST < size < _FIFTEEN_DIGITS:
        return np.int64(0), 0, usual
    scaled = np.rint(size * _POWERS[usual])
    if scaled < _FIFTEEN_DIGITS and scaled / _POWERS[usual] == size:
        return np.int64(scaled), usual, usual
    for places in range(23):
        scaled = np.rint(size * _POWERS[places])
        if scaled >= _FIFTEEN_DIGITS:
            if places > 21 or math.frexp(size)[0] == 0.5:
                break  # around a power of two the nearest decimal is not always the one that reads back
            for more in range(places, places + 2):
                digits, apart = _digits(size, more)
                value, sure = _nearest(whole(digits), (_POWERS[more], 0.0))
                if not (apart and sure):
                    return np.int64(0), 0, usual
                if value == size:
                    return digits, more, usual
            break
        if scaled / _POWERS[places] == size:
            return np.int64(scaled), places, places
    return np.int64(0), 0, usual


@kernel
def _digits(size, places):
    """The whole number nearest to ``size · 10^places``, and whether it is well apart from the next one."""
    high, low = two_product(size, _POWERS[places])
    near = np.rint(high)
    rest = (high - near) + low
    more = np.rint(rest)
    return np.int64(near) + np.int64(more), abs(rest - more) < 0.499
