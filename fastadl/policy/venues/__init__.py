"""Presets: what venues and papers publish about deleveraging, as choices of rules R66 and R80 (R67, R96).

Venues change their rules, so a name carries the year of its description where there is more than one. A
preset holds only the differences from the first value of every choice; what a source leaves open is filled
by the numbered rules, and said. The presets themselves stand in the TOML files of this folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from fastadl.policy.venues.preset import CancelOrders, Venue

__all__ = ["VENUES", "CancelOrders", "Venue", "named"]

#: Those of rule R67 come first.
_FIRST = ("bitmex", "binance_2025", "okx_2025", "hyperliquid_2025", "extended_2026")


def _shipped() -> dict[str, Venue]:
    found: dict[str, Venue] = {}
    for part in ("central", "on_chain", "research"):
        text = (files(__name__) / f"{part}.toml").read_text("utf-8")
        found |= {name: Venue(**fields) for name, fields in tomllib.loads(text).items()}
    return {name: found[name] for name in (*_FIRST, *found)}


#: Every preset, shipped or added.
named = _shipped()
#: The same, to read.
VENUES: Mapping[str, Venue] = MappingProxyType(named)
