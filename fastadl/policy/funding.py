"""The insurance fund's cash and what limits its takeovers (rules R27, R89)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias

from fastadl.decimals import exact, plain
from fastadl.errors import BoundsError, InputError
from fastadl.policy.choices import nearest
from fastadl.schema import SUM_BOUND

if TYPE_CHECKING:
    from fastadl.contracts import Instruments

__all__ = ["Amount", "Fund", "Limit"]

#: A number given exactly: decimal text, integer, Decimal, or a float (its shortest decimal).
Amount: TypeAlias = str | int | float | Decimal | Fraction


@dataclass(frozen=True, slots=True)
class Limit:
    """What the fund may lose in one symbol (rule R89); None where nothing is said.

    Attributes
    ----------
    max_loss : Fraction, optional
        By one takeover of one row.
    daily_share : Fraction, optional
        In a day, as a share of the fund's equity when the day began.
    """

    max_loss: Fraction | None
    daily_share: Fraction | None

    def to_dict(self) -> dict[str, str]:
        """What is said, decimals as text."""
        said = {"max_loss": self.max_loss, "daily_share": self.daily_share}
        return {name: plain(value) for name, value in said.items() if value is not None}


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
    limits : mapping of symbol to mapping, optional
        ``max_loss``, in units of the currency, is the most that one takeover of one row may cost;
        ``daily_share``, in [0, 1], what those of a day may, as a share of the equity it began with (R89).
    daily_share : decimal, optional
        The same share for all symbols together, and debts paid.

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
    limits: tuple[tuple[str, Limit], ...]
    daily_share: Fraction | None

    def __init__(
        self,
        cash: Amount = "0",
        min_equity: Amount = "0",
        max_drawdown: Amount | None = None,
        peak_window: int = 28800,
        limits: Mapping[str, Mapping[str, Amount]] | None = None,
        daily_share: Amount | None = None,
    ) -> None:
        drawdown = None if max_drawdown is None else number(max_drawdown, ("fund", "max_drawdown"))
        if drawdown is not None and not 0 <= drawdown <= 1:
            raise InputError(("fund", "max_drawdown"), max_drawdown, "give a share from 0 to 1, or null")
        share = None if daily_share is None else _share(daily_share, ("fund", "daily_share"))
        object.__setattr__(self, "cash", number(cash, ("fund", "cash")))
        object.__setattr__(self, "min_equity", number(min_equity, ("fund", "min_equity")))
        object.__setattr__(self, "max_drawdown", drawdown)
        object.__setattr__(self, "peak_window", _seconds(peak_window))
        object.__setattr__(self, "limits", () if limits is None else _limits(limits))
        object.__setattr__(self, "daily_share", share)

    @classmethod
    def of(cls, fund: Amount | Mapping[str, Any] | Fund | None) -> Fund:
        """A fund from its cash, from a mapping as in a scenario file, or from nothing (all defaults)."""
        if isinstance(fund, Fund):
            return fund
        if fund is None:
            return cls()
        if not isinstance(fund, Mapping):
            return cls(number(fund, ("fund",)))
        refuse_unknown(fund, cls.__match_args__, "fund")
        for field in ("limits", "daily_share"):
            if field in fund and fund[field] is None:
                raise InputError(("fund", field), None, "give a value, or leave it out (rule R89)")
        return cls(**fund)

    def to_dict(self) -> dict[str, Any]:
        """The mapping `of` reads, decimals as text; what is as it is unless given is left out."""
        table: dict[str, Any] = {"cash": plain(self.cash)}
        if self.min_equity:
            table["min_equity"] = plain(self.min_equity)
        if self.max_drawdown is not None:
            table |= {"max_drawdown": plain(self.max_drawdown), "peak_window": self.peak_window}
        if self.limits:
            table["limits"] = {symbol: limit.to_dict() for symbol, limit in self.limits}
        if self.daily_share is not None:
            table["daily_share"] = plain(self.daily_share)
        return table

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

    def limit_atoms(self, instruments: Instruments) -> dict[int, Limit]:
        """Limits by instrument, losses in atoms, exactly; refuses a symbol that does not exist (rule R89)."""
        found = {}
        for symbol, limit in self.limits:
            code = instruments.lookup(symbol, ("fund", "limits", symbol))
            loss = limit.max_loss
            atoms = None if loss is None else loss * 10 ** instruments[code].decimals
            found[code] = Limit(atoms, limit.daily_share)
        return found


def number(value: Any, path: tuple[str | int, ...]) -> Fraction:
    """The exact number, or an error at its path."""
    try:
        return exact(value)
    except ValueError as error:
        raise InputError(path, value, str(error)) from None


def _share(value: Any, path: tuple[str, ...]) -> Fraction:
    share = number(value, path)
    if not 0 <= share <= 1:
        raise InputError(path, value, "give a share from 0 to 1")
    return share


def _limits(limits: object) -> tuple[tuple[str, Limit], ...]:
    """Symbol and limit, by symbol; a tuple, so that a fund stays a value."""
    if not isinstance(limits, Mapping):
        raise InputError(("fund", "limits"), limits, "give an object of symbol to limits (rule R89)")
    return tuple((str(symbol), _limit(str(symbol), limits[symbol])) for symbol in sorted(limits, key=str))


def _limit(symbol: str, given: object) -> Limit:
    path = ("fund", "limits", symbol)
    if not isinstance(given, Mapping):
        raise InputError(path, given, "give an object with max_loss, daily_share or both (rule R89)")
    refuse_unknown(given, ("max_loss", "daily_share"), *path)
    loss = share = None
    if "max_loss" in given:
        loss = number(given["max_loss"], (*path, "max_loss"))
        if loss < 0:
            raise InputError((*path, "max_loss"), given["max_loss"], "give an amount of 0 or more")
    if "daily_share" in given:
        share = _share(given["daily_share"], (*path, "daily_share"))
    return Limit(loss, share)


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) <= 0:
        raise InputError(("fund", "peak_window"), value, "give whole seconds, more than 0")
    if int(value) > SUM_BOUND:
        raise BoundsError(("fund", "peak_window"), value, "give at most 2^62 seconds (rule R1)")
    return int(value)


def refuse_unknown(mapping: Mapping[str, Any], known: tuple[str, ...], *path: str) -> None:
    """Refuse a key that is not known."""
    for key in mapping:
        if key not in known:
            raise InputError((*path, str(key)), mapping[key], f"no such field{nearest(key, known)}")
