"""Percolator before side indices: profit that is not vested yet is cut before insurance, principal last.

For its side indices A and K see `fastadl.SideIndex`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from fastadl.errors import InputError

__all__ = ["Account", "Crisis", "Cut", "crisis", "cut_profits"]


@dataclass(frozen=True, slots=True)
class Account:
    """Integers in units of the collateral.

    Attributes
    ----------
    principal : int
    pnl : int
        Signed.
    warmed : int
        What of the profit has vested.
    """

    principal: int
    pnl: int
    warmed: int = 0

    @property
    def withdrawable_pnl(self) -> int:
        """Profit that has vested: min(profit, warmed), at least 0."""
        return max(min(self.pnl, self.warmed), 0)


@dataclass(frozen=True, slots=True)
class Cut:
    """Accounts after a loss, what the fund paid, and what nothing was left for."""

    accounts: dict[str, Account]
    fund_paid: int
    uncovered: int


@dataclass(frozen=True, slots=True)
class Crisis:
    """What covered a system-wide deficit.

    Attributes
    ----------
    burned_warming, insurance_draw : int
    equity_haircut : Fraction
        Part of every account's principal and realised profit.
    deficit : int
        Left after it.
    """

    burned_warming: int
    insurance_draw: int
    equity_haircut: Fraction
    deficit: int


def cut_profits(accounts: Mapping[str, Account], loss: int, fund: int) -> Cut:
    """Charge a loss to profit that has not vested, account by account in the order given, then to the fund.

    Principal and vested profit are never touched.

    Notes
    -----
    dcccrypto/percolator, apply_adl at cb6c243. Later versions share the loss in proportion instead.

    Examples
    --------
    >>> cut = cut_profits({"u": Account(1000, 100)}, 200, 50)
    >>> cut.accounts["u"].pnl, cut.fund_paid, cut.uncovered
    (0, 50, 50)
    """
    if loss < 0:
        raise InputError(("loss",), loss, "give a loss that is not negative")
    after, left = {}, loss
    for name, account in accounts.items():
        taken = min(max(account.pnl, 0) - account.withdrawable_pnl, left)
        after[name] = Account(account.principal, account.pnl - taken, account.warmed)
        left -= taken
    paid = min(left, max(fund, 0))
    return Cut(after, paid, left - paid)


def crisis(principal: int, realised: int, warming: int, insurance: int, collateral: int) -> Crisis:
    """Cover a deficit of the whole system: burn warming profit, draw insurance, cut equity by one ratio.

    The deficit is ``principal + realised + warming − collateral − insurance``, at least 0. The fund counts as
    an asset, so drawing from it does not make the deficit smaller; equity is cut for what is left, at most
    whole.

    Notes
    -----
    aeyakovenko/percolator at d594e6a, crates/model_safety/src/crisis/haircut.rs; the ratio there in 64 binary
    places, here exact.

    Examples
    --------
    >>> crisis(1_000_000, 0, 0, 0, 800_000).equity_haircut
    Fraction(1, 5)
    """
    equity = principal + realised

    def deficit() -> int:
        return max(equity + warming - collateral - insurance, 0)

    burned = min(deficit(), max(warming, 0))
    warming -= burned
    drawn = min(deficit(), max(insurance, 0))
    insurance -= drawn
    left = deficit()
    haircut = min(Fraction(left, equity), Fraction(1)) if equity > 0 else Fraction(0)
    return Crisis(burned, drawn, haircut, left - min(left, max(equity, 0)))
