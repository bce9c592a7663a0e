"""The named shapes, and shapes made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fastadl.errors import InputError
from fastadl.synth.shapes import ASSUMED, Shape, nearest

__all__ = ["ABOUT", "SHAPES", "About", "assigned", "named"]


@dataclass(frozen=True, slots=True)
class About:
    """What a named shape is for, and what its parameters rest on.

    Attributes
    ----------
    title, source : str
    sources : mapping
        Of single parameters that rest on something else.
    """

    title: str
    source: str
    sources: Mapping[str, str] = field(default_factory=dict)


_PARETO = Shape()
_LIMIT = "a limiting case, by assumption"
_LONGS = "with those of the shorts, open interest by leverage on Hyperliquid on 2025-12-15"

SHAPES: Final[Mapping[str, Shape]] = {
    "pareto": _PARETO,
    "retail": Shape(
        size_law="uniform", smallest=100.0, largest=1e3, top_shares=(), rank_slope=0.0, even=True,
        hedged_share=0.0, one_way=1.0, long_leverage=8.0, short_leverage=8.0,
    ),
    "hyperliquid_like": Shape(
        size_scale=130.0, size_sigma=1.85, size_tail=0.64, largest=400e6,
        top_shares=(0.236, 0.193, 0.117, 0.082, 0.063), crowding=0.85,
        busy_share=0.05, busy_factor=6.5, maker_share=0.003, maker_factor=11.0, maker_size=14.0,
        hedged_share=0.0, isolated_share=0.2, short_share=0.53,
        long_leverage=3.0, long_sigma=0.5, short_leverage=0.76, short_sigma=1.15, leverage_slope=0.07,
        past_volatility=0.21,
    ),
    "whale": replace(_PARETO, whales=5, whale_share=0.6),
    "hedged": replace(_PARETO, hedged_share=1.0),
    "crowded_long": replace(
        _PARETO, size_tail=1.5, short_share=0.02, one_way=1.0, hedged_share=0.0,
        long_leverage=12.0, long_sigma=0.5, short_leverage=2.0, short_sigma=0.4,
    ),
    "uniform": Shape(
        size_law="uniform", smallest=100.0, largest=20e3, top_shares=(), rank_slope=0.0, even=True,
        hedged_share=0.0,
    ),
}  # fmt: skip

ABOUT: Final[Mapping[str, About]] = {
    "pareto": About(
        "Heavy tails and a few dominant markets",
        "published figures of Hyperliquid's markets and accounts, October to December 2025",
    ),
    "retail": About("Many small accounts at high leverage, all markets alike", _LIMIT),
    "hyperliquid_like": About(
        "Sizes, cash, leverage and markets of the accounts that a real crash deleveraged",
        "fitted to the 19,337 users deleveraged on Hyperliquid on 2025-10-10, who are its winners",
        {
            "top_shares": "shares of the value deleveraged on 2025-10-10, before the fall of each market",
            "largest": "the largest user deleveraged on 2025-10-10: 330 M",
            "hedged_share": "Hyperliquid nets an account's market to one position",
            "isolated_share": ASSUMED,
            "short_share": "811 long and 922 short positions in fills of 2025-10-27",
            "long_leverage": _LONGS,
            "long_sigma": _LONGS,
        },
    ),
    "whale": About("A few accounts hold most of the large markets; the rest is pareto", _LIMIT),
    "hedged": About(
        "Every account of two positions or more is long and short in one market; the rest is pareto", _LIMIT
    ),
    "crowded_long": About("Many small, highly levered longs against few large, low levered shorts", _LIMIT),
    "uniform": About("Sizes, accounts and markets all alike: nothing to concentrate on", _LIMIT),
}


def named(shape: str, **parameters: Any) -> Shape:
    """A named shape, with some parameters of one's own.

    Parameters
    ----------
    shape : str
        A name of `SHAPES`.
    **parameters
        Of `Shape`.

    Raises
    ------
    InputError
        For an unknown name of either kind, with the nearest one, and for a value out of bounds.

    Examples
    --------
    >>> named("pareto", size_tail=0.9).size_tail
    0.9
    """
    if shape not in SHAPES:
        raise InputError(("shape",), shape, f"give one of {', '.join(SHAPES)}{nearest(shape, SHAPES)}")
    known = Shape.parameters()
    for name in parameters:
        if name not in known:
            raise InputError(("shape", name), parameters[name], f"no such parameter{nearest(name, known)}")
    return replace(SHAPES[shape], **parameters)


def assigned(texts: Sequence[str]) -> dict[str, Any]:
    """Parameters from texts such as ``size_tail=0.9``.

    Raises
    ------
    InputError
        For a text without ``=``, an unknown parameter, or what is no number where one is wanted.
    """
    return dict(_assigned(text) for text in texts)


def _assigned(text: str) -> tuple[str, Any]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise InputError(("set",), text, "give NAME=VALUE, e.g. size_tail=0.9")
    defaults = Shape()
    _known(name, value)
    kind = type(getattr(defaults, name))
    try:
        if kind is bool:
            return name, {"true": True, "yes": True, "false": False, "no": False}[value.lower()]
        if kind is tuple:
            return name, tuple(float(share) for share in value.replace(",", " ").split())
        return name, kind(value)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", tuple: "shares such as 0.3,0.2", int: "a whole number"}
        raise InputError(("shape", name), value, f"give {wanted.get(kind, 'a number')}") from None


def _known(name: str, value: object) -> None:
    known = Shape.parameters()
    if name not in known:
        raise InputError(("shape", name), value, f"no such parameter{nearest(name, known)}")
