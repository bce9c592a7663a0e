"""dYdX v4: bankruptcy price, insurance fund and pairwise deleveraging in quantums.

Base quantums are 10^atomic_resolution of the base currency, quote quantums 10^−6 USDC. A subaccount has a
quote balance, which holds the cost of its positions too, and positions; there is no entry price.

Source: dydxprotocol/v4-chain at 84d4664, x/clob/keeper/liquidations.go and deleveraging.go,
x/subaccounts/lib/updates.go, x/perpetuals/lib/lib.go (AGPL-3.0; read for its rules).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fastadl.errors import InputError
from fastadl.published.refused import RefusedError

__all__ = [
    "Market",
    "Offset",
    "Risk",
    "Subaccount",
    "bankruptcy_quote",
    "can_deleverage",
    "deleverage",
    "fund_covers",
    "insurance_fund_delta",
    "is_valid_update",
    "offset",
    "oracle_quote",
    "risk",
]

_MILLION: Final = 10**6
_QUOTE_RESOLUTION: Final = -6
#: Counterparties looked at in one attempt.
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Market:
    """A perpetual at its oracle price.

    Attributes
    ----------
    price : int
        Of the oracle, in 10^price_exponent USD.
    price_exponent, atomic_resolution : int
    initial_ppm : int
        Initial margin in millionths of the notional; not scaled by open interest here.
    maintenance_ppm : int
        Maintenance margin in millionths of the initial margin.
    """

    price: int
    price_exponent: int
    atomic_resolution: int
    initial_ppm: int
    maintenance_ppm: int

    def notional(self, base: int) -> int:
        """Net notional of signed base quantums in quote quantums, cut toward zero."""
        exponent = self.price_exponent + self.atomic_resolution - _QUOTE_RESOLUTION
        size = abs(base) * self.price
        size = size * 10**exponent if exponent >= 0 else size // 10**-exponent
        return size if base > 0 else -size

    def margins(self, base: int) -> tuple[int, int]:
        """Initial and maintenance requirement in quote quantums, each rounded up."""
        initial = -(-abs(self.notional(base)) * self.initial_ppm // _MILLION)
        return initial, -(-initial * self.maintenance_ppm // _MILLION)


@dataclass(frozen=True, slots=True)
class Subaccount:
    """Quote quantums, and signed base quantums by market; a market without a position is left out."""

    quote: int
    positions: Mapping[str, int] = field(default_factory=dict)

    def traded(self, market: str, base: int, quote: int) -> Subaccount:
        """The subaccount after its position and its quote balance changed."""
        left = {**self.positions, market: self.positions.get(market, 0) + base}
        return Subaccount(self.quote + quote, {name: held for name, held in left.items() if held})


@dataclass(frozen=True, slots=True)
class Risk:
    """Net collateral, initial and maintenance requirement of a subaccount, in quote quantums."""

    collateral: int
    initial: int
    maintenance: int


@dataclass(frozen=True, slots=True)
class Offset:
    """What a scan of counterparties did.

    Attributes
    ----------
    fills : tuple of (name, int)
        Base quantums, unsigned, in order.
    remaining : int
        Base quantums nobody took, unsigned.
    accounts : dict
        Every subaccount that was handed in, after it.
    """

    fills: tuple[tuple[str, int], ...]
    remaining: int
    accounts: dict[str, Subaccount]


def risk(account: Subaccount, markets: Mapping[str, Market]) -> Risk:
    """Collateral and requirements of a subaccount; every position is rounded on its own."""
    collateral, initial, maintenance = account.quote, 0, 0
    for market, base in account.positions.items():
        first, second = markets[market].margins(base)
        collateral += markets[market].notional(base)
        initial, maintenance = initial + first, maintenance + second
    return Risk(collateral, initial, maintenance)


def bankruptcy_quote(account: Subaccount, markets: Mapping[str, Market], market: str, base: int) -> int:
    """Quote quantums an account gets for a change of position at its bankruptcy price.

    ``−ΔN − ⌊TNC · |ΔMMR| / TMMR⌋``: rounded toward +∞, in favour of the account. ΔN and ΔMMR are taken
    between the position before and after, both rounded, and not from the change itself.

    Parameters
    ----------
    account : Subaccount
    markets : mapping
    market : str
    base : int
        The change in base quantums: against the position, and not more than it.

    Raises
    ------
    RefusedError
        ``invalid_position_size_delta``.

    Examples
    --------
    >>> btc = Market(5_000_000_000, -5, -8, 200_000, 500_000)
    >>> bankruptcy_quote(Subaccount(-13_000_000, {"BTC": 100_000_000}), {"BTC": btc}, "BTC", -21_347)
    2776
    """
    held = account.positions.get(market, 0)
    _check_closing(held, base)
    now, listed = risk(account, markets), markets[market]
    margin = abs(listed.margins(held + base)[1] - listed.margins(held)[1])
    if not now.maintenance:
        raise InputError(("account",), account, "give an account with a maintenance requirement")
    return oracle_quote(account, markets, market, base) - now.collateral * margin // now.maintenance


def oracle_quote(account: Subaccount, markets: Mapping[str, Market], market: str, base: int) -> int:
    """Quote quantums an account gets for a change of position at the oracle price: −ΔN."""
    held = account.positions.get(market, 0)
    return markets[market].notional(held) - markets[market].notional(held + base)


def insurance_fund_delta(bankruptcy: int, fill: int, most_ppm: int) -> int:
    """What a liquidation fill brings the insurance fund, in quote quantums; negative if the fund pays.

    ``fill − bankruptcy``, and if that is positive at most ``⌊|fill| · most_ppm / 10^6⌋``.

    Parameters
    ----------
    bankruptcy : int
        From `bankruptcy_quote` for the same change of position.
    fill : int
        Quote quantums the account got from the order book, negative for a purchase.
    most_ppm : int
        Largest liquidation fee in millionths.
    """
    left = fill - bankruptcy
    return left if left <= 0 else min(left, abs(fill) * most_ppm // _MILLION)


def fund_covers(fund: int, delta: int) -> bool:
    """Whether a fill is allowed: the fund gains by it, or has what it pays; otherwise deleverage."""
    return delta >= 0 or fund + delta >= 0


def can_deleverage(
    account: Subaccount, markets: Mapping[str, Market], *, final_settlement: bool
) -> tuple[bool, bool]:
    """Whether an account may be deleveraged at its bankruptcy price, and whether at the oracle price.

    At the bankruptcy price if its net collateral is below 0; else at the oracle price if the market is in
    final settlement.
    """
    ruined = risk(account, markets).collateral < 0
    return ruined, not ruined and final_settlement


def is_valid_update(before: Risk, after: Risk) -> bool:
    """Whether a subaccount may go from one state to another.

    It may if it has its initial margin after it. Otherwise its maintenance requirement must not grow, and
    collateral over requirement not fall; where no position is left, collateral must grow.
    """
    if after.initial <= after.collateral:
        return True
    if after.maintenance > before.maintenance:
        return False
    if not after.maintenance:
        return after.collateral > before.collateral
    return after.collateral * before.maintenance >= before.collateral * after.maintenance


def deleverage(
    liquidated: Subaccount,
    offsetting: Subaccount,
    markets: Mapping[str, Market],
    market: str,
    base: int,
    *,
    at_oracle: bool = False,
) -> tuple[int, Subaccount, Subaccount]:
    """Close a part of one account's position against another account.

    Parameters
    ----------
    liquidated, offsetting : Subaccount
    markets : mapping
    market : str
    base : int
        Change of the liquidated position: against it, and not more than either account holds.
    at_oracle : bool
        Settle at the oracle price instead of the bankruptcy price of the liquidated account.

    Returns
    -------
    (int, Subaccount, Subaccount)
        Quote quantums the liquidated account got, and both accounts after it.

    Raises
    ------
    RefusedError
        ``invalid_position_size_delta``; ``non_overlapping_bankruptcy_prices`` if either update is not valid.
    """
    _check_closing(liquidated.positions.get(market, 0), base)
    _check_closing(offsetting.positions.get(market, 0), -base)
    price = oracle_quote if at_oracle else bankruptcy_quote
    quote = price(liquidated, markets, market, base)
    after = liquidated.traded(market, base, quote), offsetting.traded(market, -base, -quote)
    for name, old, new in zip(("liquidated", "offsetting"), (liquidated, offsetting), after, strict=True):
        was, now = risk(old, markets), risk(new, markets)
        if not is_valid_update(was, now):
            raise RefusedError("non_overlapping_bankruptcy_prices", f"the {name} account would go to {now}")
    return quote, *after


def offset(
    accounts: Mapping[str, Subaccount],
    markets: Mapping[str, Market],
    market: str,
    base: int,
    liquidated: str,
    order: Sequence[str],
) -> Offset:
    """Walk counterparties until a change of position is taken.

    Each takes ``min(left, position)`` at the bankruptcy price of the liquidated account, worked out anew for
    every fill. Who has no position on the other side is passed over, and so is a pair that `deleverage`
    refuses.

    Parameters
    ----------
    accounts, markets : mapping
    market : str
    base : int
        Change of the liquidated position wanted.
    liquidated : str
    order : sequence of str
        The chain starts at random and goes round; at most 500 are looked at.
    """
    after, left, fills = dict(accounts), abs(base), []
    sign = 1 if base > 0 else -1
    for name in order[:_MOST]:
        held = -sign * after[name].positions.get(market, 0)
        size = min(left, -held)
        if size <= 0:
            continue
        try:
            _, one, other = deleverage(after[liquidated], after[name], markets, market, sign * size)
        except RefusedError:
            continue
        after[liquidated], after[name] = one, other
        fills.append((name, size))
        left -= size
    return Offset(tuple(fills), left, after)


def _check_closing(held: int, base: int) -> None:
    if not held or not base or (held > 0) == (base > 0) or abs(base) > abs(held):
        raise RefusedError("invalid_position_size_delta", f"a change of {base} to a position of {held}")
