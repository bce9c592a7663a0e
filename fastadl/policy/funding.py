"""The insurance fund's cash and the rule that limits what it takes over (rule R27)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import Any, TypeAlias

from fastadl.decimals import exact, plain
from fastadl.errors import BoundsError, InputError
from fastadl.policy.model import nearest
from fastadl.schema import SUM_BOUND

__all__ = ["Amount", "Fund"]

#: A number given exactly: decimal text, integer, Decimal, or a float (its shortest decimal).
Amount: TypeAlias = str | int | float | Decimal | Fraction


@dataclass(frozen=True, slots=True, init=False)
class Fund:
    """The insurance fund of one settlement currency.

    Parameters
    ----------
    cash : decimal
        Units of the currency; at most its decimals.
    min_equity : decimal
        The fund takes nothing over that would leave its equity below this.
    max_drawdown : decimal, optional
        In [0, 1]: nor below ``1 - max_drawdown`` of its highest equity within `peak_window`.
    peak_window : int
        Seconds, more than 0.

    Raises
    ------
    InputError
        Naming the field.

    Examples
    --------
    >>> Fund("1000000", max_drawdown="0.3").max_drawdown
    Fraction(3, 10)
    """

    cash: Fraction
    min_equity: Fraction
    max_drawdown: Fraction | None
    peak_window: int

    def __init__(
        self,
        cash: Amount = "0",
        min_equity: Amount = "0",
        max_drawdown: Amount | None = None,
        peak_window: int = 28800,
    ) -> None:
        drawdown = None if max_drawdown is None else number(max_drawdown, ("fund", "max_drawdown"))
        if drawdown is not None and not 0 <= drawdown <= 1:
            raise InputError(("fund", "max_drawdown"), max_drawdown, "give a share from 0 to 1, or null")
        object.__setattr__(self, "cash", number(cash, ("fund", "cash")))
        object.__setattr__(self, "min_equity", number(min_equity, ("fund", "min_equity")))
        object.__setattr__(self, "max_drawdown", drawdown)
        object.__setattr__(self, "peak_window", _seconds(peak_window))

    @classmethod
    def of(cls, fund: Amount | Mapping[str, Any] | Fund | None) -> Fund:
        """A fund from its cash, from a mapping as in a scenario file, or from nothing (all defaults)."""
        if isinstance(fund, Fund):
            return fund
        if fund is None:
            return cls()
        if not isinstance(fund, Mapping):
            return cls(number(fund, ("fund",)))
        refuse_unknown(fund, ("cash", "min_equity", "max_drawdown", "peak_window"), "fund")
        return cls(**fund)

    def cash_atoms(self, decimals: int) -> int:
        """The cash in atoms of ``10**-decimals``; refuses what is finer, or past 2^62 (rule R1)."""
        atoms = self.cash * 10**decimals
        if atoms.denominator != 1:
            raise InputError(("fund", "cash"), plain(self.cash), f"give at most {decimals} decimal places")
        if abs(atoms) > SUM_BOUND:
            raise BoundsError(("fund", "cash"), plain(self.cash), "keep it within ±2^62 atoms (rule R1)")
        return int(atoms)

    def min_equity_atoms(self, decimals: int) -> Fraction:
        """The least equity in atoms, exactly; refuses what is past 2^62 (rule R1)."""
        atoms: Fraction = self.min_equity * 10**decimals
        if abs(atoms) > SUM_BOUND:
            raise BoundsError(
                ("fund", "min_equity"), plain(self.min_equity), "keep it within ±2^62 atoms (rule R1)"
            )
        return atoms


def number(value: Any, path: tuple[str, ...]) -> Fraction:
    """The exact number, or an error at its path."""
    try:
        return exact(value)
    except ValueError as error:
        raise InputError(path, value, str(error)) from None


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) <= 0:
        raise InputError(("fund", "peak_window"), value, "give whole seconds, more than 0")
    if int(value) > SUM_BOUND:
        raise BoundsError(("fund", "peak_window"), value, "give at most 2^62 seconds (rule R1)")
    return int(value)


def refuse_unknown(mapping: Mapping[str, Any], known: tuple[str, ...], name: str) -> None:
    """Refuse a key that is not known."""
    for key in mapping:
        if key not in known:
            raise InputError((name, str(key)), mapping[key], f"no such field{nearest(key, known)}")
