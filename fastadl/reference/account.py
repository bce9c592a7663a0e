"""What accounts are worth: exactly, and in float64 operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fastadl.contracts import Instruments
from fastadl.reference import mark
from fastadl.reference.layout import open_rows
from fastadl.schema import Float64Array

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.mark import Margins

__all__ = ["equity", "evaluate", "gross", "maintenance_margin", "profit"]
