"""The same answers in plain Python with unlimited integers, module by module as in `fastadl.kernels`.

Two uses: the engine asks here about the few rows that 62-bit integers or pairs of float64 cannot decide, and
the tests hold every kernel against its twin here.
"""

from fastadl.reference.account import equity, gross, maintenance_margin, profit
from fastadl.reference.allocate import largest_remainder, leverage_shares, threshold_shares
from fastadl.reference.bankruptcy import bankruptcy_values
from fastadl.reference.fill import affordable, fill
from fastadl.reference.fund import fitting_lots

__all__ = [
    "affordable",
    "bankruptcy_values",
    "equity",
    "fill",
    "fitting_lots",
    "gross",
    "largest_remainder",
    "leverage_shares",
    "maintenance_margin",
    "profit",
    "threshold_shares",
]
