"""The published arithmetic of venues, in their own units and roundings.

The engine has one exact arithmetic for everybody (rules R10 to R16). These modules are for those who must
match a venue to its last digit, or check us against it: pure functions, one module a venue, each with its
formula, its source and the direction it rounds in. Nothing in the engine uses them.

Integer venues take and give integers in the venue's smallest units; the others take whatever is an exact
number (integer, Fraction, Decimal, decimal text, or a float for its shortest decimal) and give Fractions, so
that nothing is rounded that the venue does not round.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastadl.published.refused import RefusedError

if TYPE_CHECKING:
    from fastadl.published import binance as binance
    from fastadl.published import bitmex as bitmex
    from fastadl.published import bybit as bybit
    from fastadl.published import dexextra as dexextra
    from fastadl.published import drift_v2 as drift_v2
    from fastadl.published import dydx_v1 as dydx_v1
    from fastadl.published import dydx_v4 as dydx_v4
    from fastadl.published import flox as flox
    from fastadl.published import gmx_v2 as gmx_v2
    from fastadl.published import gte as gte
    from fastadl.published import isolated as isolated
    from fastadl.published import kraken as kraken
    from fastadl.published import mango_v4 as mango_v4
    from fastadl.published import okx as okx
    from fastadl.published import paradex as paradex
    from fastadl.published import percolator as percolator
    from fastadl.published import vega as vega

__all__ = [
    "RefusedError",
    "binance",
    "bitmex",
    "bybit",
    "dexextra",
    "drift_v2",
    "dydx_v1",
    "dydx_v4",
    "flox",
    "gmx_v2",
    "gte",
    "isolated",
    "kraken",
    "mango_v4",
    "okx",
    "paradex",
    "percolator",
    "vega",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
