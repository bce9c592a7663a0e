"""The same answers in plain Python with unlimited integers, module by module as in `fastadl.kernels`.

Two uses: the engine asks here about the few rows that 62-bit integers or pairs of float64 cannot decide, and
the tests hold every kernel against its twin here.
"""

from fastadl.reference.account import (
    equity,
    exposure,
    gross,
    maintenance_margin,
    profit,
    row_value,
)
from fastadl.reference.allocate import largest_remainder, threshold_shares
from fastadl.reference.bankruptcy import bankruptcy_values
from fastadl.reference.collateral import collateral
from fastadl.reference.fill import fill
from fastadl.reference.fund import fitting_lots
from fastadl.reference.guard import allowed
from fastadl.reference.levels import at_level, leverage_shares
from fastadl.reference.socialize import share_by_owner

__all__ = [
    "allowed",
    "at_level",
    "bankruptcy_values",
    "collateral",
    "equity",
    "exposure",
    "fill",
    "fitting_lots",
    "gross",
    "largest_remainder",
    "leverage_shares",
    "maintenance_margin",
    "profit",
    "row_value",
    "share_by_owner",
    "threshold_shares",
]
