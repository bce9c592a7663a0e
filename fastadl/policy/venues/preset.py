"""What a preset says of a venue or a paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["CancelOrders", "Venue"]

#: Which open orders of a deleveraged trader the venue cancels.
CancelOrders: TypeAlias = Literal["none", "symbol", "account"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A preset.

    Parameters
    ----------
    title : str
        Venue or paper.
    date : str
        Of the rules, as far as the source says.
    source : str
        Where they can be read.
    documented : str
        What the source states.
    assumed : str
        What it leaves open and this preset fills in; whitespace in all of these is evened out.
    choices : mapping
        Differences from the first values of rules R66 and R80.
    cancel_orders : {"none", "symbol", "account"}
        Which open orders a deleveraged trader loses; told in a report's ``notices``.
    """

    title: str
    date: str = ""
    source: str = ""
    documented: str = ""
    assumed: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)
    cancel_orders: CancelOrders = "none"

    def __post_init__(self) -> None:
        for name in ("title", "date", "source", "documented", "assumed"):
            object.__setattr__(self, name, " ".join(getattr(self, name).split()))
