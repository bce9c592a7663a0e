"""What a fill brings its two sides."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from adapters import dydx_v4_dollars
from adapters.exchange import exchange, linear, one
from adapters.registry import kind
from fastadl.decimals import exact

#: Where KuCoin prints no mark, one a little off the bankruptcy price is taken: on its good side, where a
#: position is liquidated while it is solvent, or else beyond it if only there the selected position stands
#: as the case says it stood before.
_AWAY, _RATE = (Fraction(2, 100), Fraction(-2, 100)), Fraction(25, 1000)


@kind("settlement_pnl")
def settlement_pnl(case: dict[str, Any]) -> dict[str, Any]:
    given = case["inputs"]
    if "bankruptcy_price" not in given:
        return dydx_v4_dollars.docs_settlement(given)
    price, sign = exact(given["bankruptcy_price"]), 1 if given["bankrupt"].endswith("long") else -1
    marks = [price * (1 + sign * away) for away in _AWAY]
    marks = marks if given.get("mark") is None else [exact(given["mark"])]
    found = [_settled(given, price, sign, mark) for mark in marks]
    before = str(case["expected"].get("transition")).split(" -> ")[0]  # says where the mark stood
    return next((each for each in found if each["transition"].startswith(f"{before} ")), found[0])


def _settled(given: dict[str, Any], price: Fraction, sign: int, mark: Fraction) -> dict[str, Any]:
    """A bankrupt unit against the one the case names, at a mark."""
    other = "short" if sign > 0 else "long"
    entry = exact(given[f"adl_{other}_entry"])
    opened = price * (1 + sign * Fraction(1, 10))
    engine = exchange(
        {"X": linear(rate=_RATE, mark=mark)},
        {"ruined": abs(opened - price), "chosen": 10**6},
        [("ruined", "X", sign, sign * opened), ("chosen", "X", -sign, -sign * entry)],
        policy="kucoin_2025",
    )
    before = one(engine.rank("X", other))["unrealized_pnl"]
    fill = one(engine.tick({}).adl_fills)
    after = fill["realized_pnl"]
    return {
        "settle_price": fill["price"],
        "pnl_per_unit": Fraction(after, 10**6),
        "transition": f"{_word(before)} -> {_word(after, before)}",
    }


def _word(now: float, before: float | None = None) -> str:
    word = "profit" if now > 0 else "loss"
    if before is None or (before > 0) != (now > 0):
        return word
    return f"more {word}" if abs(now) > abs(before) else f"less {word}"
