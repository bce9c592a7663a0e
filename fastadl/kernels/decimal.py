"""Decimals of a whole column: text to digits and places, and from there, exactly, to lots and atoms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastadl.kernels._jit import kernel
from fastadl.kernels.wide import muldiv

__all__ = [
    "FAR",
    "MALFORMED",
    "NOT_WHOLE",
    "OK",
    "WIDE",
    "Scale",
    "entry_values",
    "on_grid",
    "parse",
    "shortest",
]

#: What became of a row.
OK = 0
MALFORMED = 1  # not a decimal
NOT_WHOLE = 2  # between two steps of the grid
WIDE = 3  # does not fit these loops: left to unlimited integers

#: Places of a WIDE decimal: no loop takes it, whatever its scale.
FAR = 10_000

_LIMIT = 4.6e18  # just below 2^62
_MOST = 1e18  # one more digit still fits an int64
_LONGEST = 400
_POWERS = np.array([10**k for k in range(19)], np.int64)

_LINE, _MINUS, _PLUS, _POINT, _ZERO, _NINE, _E = 10, 45, 43, 46, 48, 57, 101


#: Up to here, and with at most 22 places, the quotient of digits and power is the float64 of the decimal.
_FIFTEEN_DIGITS = 1e15
_FLOAT_POWERS = np.array([float(10**k) for k in range(23)])


class Scale(NamedTuple):
    """One exact factor ``num / den · 10^ten`` per instrument or currency, as arrays of int64."""

    num: Any
    den: Any
    ten: Any


@kernel
def shortest(values, digits, places, status):
    """Shortest decimals of float64 numbers, ``digits · 10^-places``, where 15 digits are enough.

    Two decimals of 15 digits never share a float64, so the one found is the shortest, or its value is.

    Parameters
    ----------
    values : float64 (rows)
    digits : int64 (rows)
    places : int16 (rows)
    status : uint8 (rows)
        OK, or WIDE where more than 15 digits or 22 places are needed, or the number is not finite.
    """
    usual = 0
    for i in range(values.shape[0]):
        size = abs(values[i])
        digits[i], places[i], status[i] = 0, FAR, WIDE
        if not size < _FIFTEEN_DIGITS:
            continue
        for attempt in range(-1, 23):
            count = usual if attempt < 0 else attempt
            scaled = np.rint(size * _FLOAT_POWERS[count])
            if scaled >= _FIFTEEN_DIGITS:
                if attempt < 0:
                    continue
                break
            if scaled / _FLOAT_POWERS[count] == size:
                digits[i] = np.int64(scaled) if values[i] >= 0.0 else -np.int64(scaled)
                places[i], status[i] = count, OK
                usual = count
                break


@kernel
def parse(text, exponents, digits, places, status):
    """Read one decimal a line, as ``digits · 10^-places``.

    Parameters
    ----------
    text : uint8
        Every row ends in a line feed.
    exponents : bool
        Whether ``1e-7`` and ``1e+22`` are numbers here.
    digits : int64 (rows)
    places : int16 (rows)
    status : uint8 (rows)
        OK, MALFORMED or WIDE; only where it is OK do the other two mean anything (places are FAR where WIDE).

    Returns
    -------
    int64
        Number of lines; other than the number of rows if a row holds a line feed.
    """
    row = 0
    start = 0
    for end in range(text.shape[0]):
        if text[end] != _LINE:
            continue
        if row < digits.shape[0]:
            digits[row], places[row], status[row] = _number(text, start, end, exponents)
        row += 1
        start = end + 1
    return row


@kernel
def _number(text, start, end, exponents):
    at = start
    negative = at < end and text[at] == _MINUS
    if negative:
        at += 1
    number = 0
    place = 0
    zeros = 0
    seen = 0
    fraction = False
    fits = end - start <= _LONGEST
    while at < end:
        byte = text[at]
        if _ZERO <= byte <= _NINE:
            seen += 1
            if fraction and byte == _ZERO:
                zeros += 1  # of no weight unless another digit follows
            else:
                digit = np.int64(byte) - _ZERO
                if number == 0:
                    number = digit
                elif zeros > 17 or float(number) * float(_POWERS[zeros + 1]) >= _MOST:
                    fits = False
                else:
                    number = number * _POWERS[zeros + 1] + digit
                if fraction:
                    place += zeros + 1
                    zeros = 0
        elif byte == _POINT and not fraction and seen > 0:
            fraction = True
            seen = 0
        else:
            break
        at += 1
    power = 0
    if exponents and at < end and seen > 0 and text[at] == _E:
        power, seen, at = _exponent(text, at + 1, end)
    if at < end or seen == 0:
        return 0, 0, MALFORMED
    if not fits:
        return 0, FAR, WIDE
    return (-number if negative else number), place - power, OK


@kernel
def _exponent(text, at, end):
    """A power of ten of at most three digits, the number of its digits, and where it ends."""
    falling = at < end and text[at] == _MINUS
    if at < end and (text[at] == _MINUS or text[at] == _PLUS):
        at += 1
    power = 0
    seen = 0
    while at < end and _ZERO <= text[at] <= _NINE and seen < 3:
        power = 10 * power + (np.int64(text[at]) - _ZERO)
        seen += 1
        at += 1
    return (-power if falling else power), seen, at


@kernel
def _ratio(x, a, b, power):
    """Floor of ``x · a · 10^power / b``, whether that is exact, and whether it fits (a, b > 0)."""
    if power > 18 or power < -18:
        return 0, False, False
    if power >= 0:
        if float(a) * float(_POWERS[power]) > _LIMIT:
            return 0, False, False
        a = a * _POWERS[power]
    else:
        if float(b) * float(_POWERS[-power]) > _LIMIT:
            return 0, False, False
        b = b * _POWERS[-power]
    if abs(float(x)) > _LIMIT or abs(float(x)) * float(a) > _LIMIT * float(b):
        return 0, False, False
    quotient, remainder = muldiv(x, a, b)
    return quotient, remainder == 0, True


@kernel
def on_grid(digits, places, code, scale, out, status):
    """Decimals as whole steps of a grid.

    Parameters
    ----------
    digits : int64 (rows)
    places : int16 (rows)
    code : int32 (rows)
        Position in `scale`.
    scale : Scale
        Steps per unit.
    out : int64 (rows)
        Number of steps.
    status : uint8 (rows)
        OK, NOT_WHOLE or WIDE.
    """
    for i in range(digits.shape[0]):
        c = code[i]
        power = scale.ten[c] - places[i]
        out[i], whole, fits = _ratio(digits[i], scale.num[c], scale.den[c], power)
        status[i] = WIDE if not fits else (OK if whole else NOT_WHOLE)


@kernel
def entry_values(lots, digits, places, instrument, scale, inverse, out, status):
    """Entry values in atoms of rows given by entry price: ``ceil(s · n · u)`` (rule R11).

    Parameters
    ----------
    lots : int64 (rows)
        Signed.
    digits : int64 (rows), > 0
        Of the entry price.
    places : int16 (rows)
        Of the entry price.
    instrument : int32 (rows)
    scale : Scale
        The `c` of rule R2, per instrument.
    inverse : bool (instruments)
    out : int64 (rows)
        Atoms.
    status : uint8 (rows)
        OK or WIDE.
    """
    for i in range(lots.shape[0]):
        c = instrument[i]
        num = scale.num[c]
        den = scale.den[c]
        value = np.int64(0)
        whole = False
        fits = abs(float(lots[i])) * float(num) <= _LIMIT
        if fits and inverse[c]:
            fits = float(den) * float(digits[i]) <= _LIMIT
            if fits:
                power = scale.ten[c] + places[i]
                value, whole, fits = _ratio(-(lots[i] * num), 1, den * digits[i], power)
        elif fits:
            value, whole, fits = _ratio(lots[i] * num, digits[i], den, scale.ten[c] - places[i])
        out[i] = value if whole else value + 1
        status[i] = OK if fits else WIDE
