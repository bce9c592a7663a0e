"""What lots are worth in whole atoms."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor

import numpy as np

from fastadl.engine.prices import per_lot
from fastadl.engine.state import bounded
from fastadl.kernels.money import values
from fastadl.schema import Int64Array, IntArray

__all__ = ["values_at"]


def values_at(lots: Int64Array, which: IntArray, units: Mapping[int, Fraction]) -> Int64Array:
    """Values of signed lots in whole atoms, rounded down (rule R15).

    Parameters
    ----------
    lots, which : int64 (n)
        Signed lots, and the key of their unit value.
    units : mapping
        Exact unit value by key, a small number from 0.
    """
    out, sure = np.empty(len(lots), np.int64), np.empty(len(lots), np.bool_)
    values(lots, which.astype(np.int64, copy=False), per_lot(units), out, sure)
    for i in np.flatnonzero(~sure):
        out[i] = bounded(floor(int(lots[i]) * units[int(which[i])]), "value")
    return out
