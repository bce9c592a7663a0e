"""Who carries a market's risk, and what shocks would leave of it: what a monitor looks at (rule R118)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastadl.contracts import Instruments
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.pressure import LEAST, fund_room, shocked_units
from fastadl.engine.state import FUND, State
from fastadl.errors import InputError
from fastadl.kernels.watch import Exposed, Exposure, expose
from fastadl.policy.funding import number
from fastadl.schema import Float64Array

__all__ = ["LARGEST", "Exposures", "checked_leverages", "checked_shocks", "exposures"]

#: How many positions and accounts are the largest.
LARGEST = 10

#: Parts of the book that are added up by themselves, whatever the threads; most sums of all parts.
_PARTS, _SUMS = 16, 1 << 24
_MOST = 16


@dataclass(frozen=True, slots=True)
class Exposures:
    """Who carries how much of a market, as of one moment; money in units of the settlement currency.

    Attributes
    ----------
    instruments : Instruments
    marks, unit : float64 (instruments)
        Mark prices, NaN where there is none; and what a lot is worth at it, without sign, or 0.
    fund : float64 (currencies)
        Equity of the insurance fund.
    open_interest : float64 (instruments)
        Worth of all lots held long, or of those held short where they are more, fund and market account
        included.
    leverages, shocks : float64
        Bounds of leverage and sizes of price moves, as asked for.
    leveraged : float64 (leverages, instruments)
        Part of all lots, long and short, that accounts above this leverage hold.
    market_leveraged : float64 (leverages, currencies)
        The same of the worth of all lots.
    concentration : float64 (instruments)
        Part of a side's lots that its ten largest positions hold, of the side where that is more.
    market_concentration : float64 (currencies)
        Part of the worth of all lots that the ten accounts of the most notional hold.
    shortfall, coverage : float64 (shocks, currencies)
        What accounts would be below zero after prices fall, or rise, by so much, whichever is worse; and how
        often the fund could pay it, infinite where nothing is to be paid.
    pressure : float64 (shocks, instruments)
        Lots of bankrupt accounts that the fund could not pay for, over the lots of the other side's solvent
        accounts, in the worse case of both sides and directions.
    market_pressure : float64 (shocks, currencies)
        The same of the worth of the lots of all symbols.
    """

    instruments: Instruments
    marks: Float64Array
    unit: Float64Array
    fund: Float64Array
    open_interest: Float64Array
    leverages: Float64Array
    shocks: Float64Array
    leveraged: Float64Array
    market_leveraged: Float64Array
    concentration: Float64Array
    market_concentration: Float64Array
    shortfall: Float64Array
    coverage: Float64Array
    pressure: Float64Array
    market_pressure: Float64Array


def exposures(
    state: State, rules: list[FundRule], leverages: Iterable[Any], shocks: Iterable[Any]
) -> Exposures:
    """All of it, in one pass over the book."""
    bounds, sizes = checked_leverages(leverages), checked_shocks(shocks)
    instruments, found = state.instruments, _exposed(state, bounds, sizes)
    one = np.array([10.0**decimals for decimals in instruments.decimals])
    worth = np.abs(state.marks.unit) / one[instruments.currency]
    lots = found.lots.sum(axis=0)
    held, by_leg = lots.sum(axis=0), np.repeat(worth, 2)
    above = lots[::-1].cumsum(axis=0)[::-1][1:]
    reserves = state.book.reserve_lots.astype(np.float64)
    outer = np.stack([reserves.clip(min=0).sum(axis=0), -reserves.clip(max=0).sum(axis=0)], axis=1)
    sides = held.reshape(-1, 2)
    gross = _by_currency(instruments, held * by_leg)
    ten = np.sort(found.accounts.swapaxes(0, 1).reshape(len(one), -1))[:, ::-1][:, :LARGEST]
    coverage, shortfall = _coverage(state, rules, sizes, found.debts.sum(axis=0))
    pressure, market_pressure = _pressure(instruments, by_leg, held, found.fallen.sum(axis=0), coverage)
    return Exposures(
        instruments=instruments,
        marks=state.marks.price.copy(),
        unit=worth,
        fund=np.array([float(state.reserve_equity(FUND, c)) for c in range(len(one))]) / one,
        open_interest=(sides + outer).max(axis=1) * worth,
        leverages=bounds,
        shocks=sizes,
        leveraged=_ratio(above.reshape(len(bounds), -1, 2).sum(axis=2), sides.sum(axis=1)),
        market_leveraged=_ratio(
            np.stack([_by_currency(instruments, each * by_leg) for each in above]), gross
        ),
        concentration=_ratio(_largest(found.rows), held).reshape(-1, 2).max(axis=1),
        market_concentration=_ratio(ten.sum(axis=1) / one, gross),
        shortfall=shortfall.max(axis=1).T / one,
        coverage=coverage.min(axis=1).T,
        pressure=pressure,
        market_pressure=market_pressure,
    )


def _exposed(state: State, bounds: Float64Array, sizes: Float64Array) -> Exposed:
    unit, inverse = np.repeat(state.marks.unit, 2), np.repeat(state.inverse, 2)
    kept = np.stack([1.0 - sizes, 1.0 + sizes])
    exposure = Exposure(
        linear=np.where(inverse, 0.0, unit),
        inverse=np.where(inverse, unit, 0.0),
        backward=bool(inverse.any()),
        kept=kept,
        back=1.0 / kept,
        leverage=bounds,
        currency=state.instruments.currency,
    )
    legs, currencies = len(unit), len(state.instruments.currencies)
    parts = min(max(_SUMS // (legs * (len(bounds) + 1 + LARGEST + kept.size)), 1), _PARTS)
    found = Exposed(
        lots=np.zeros((parts, len(bounds) + 1, legs)),
        rows=np.zeros((parts, legs, LARGEST)),
        accounts=np.zeros((parts, currencies, LARGEST)),
        debts=np.zeros((parts, currencies, *kept.shape)),
        fallen=np.zeros((parts, legs, *kept.shape)),
    )
    expose(exposure, state.book.rows, state.blocks, found)
    return found


def _coverage(
    state: State, rules: list[FundRule], sizes: Float64Array, debts: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """How often the fund could pay, and the atoms to be paid: float64 (currencies, 2, shocks)."""
    units = shocked_units(state, np.concatenate([-sizes, sizes]), np.ones(len(state.instruments)))
    funds = list(zip(rules, state.reserve_cash[FUND].tolist(), strict=True))
    room = fund_room(state, units, funds).reshape(debts.shape)
    return np.divide(room, debts, out=np.full_like(room, np.inf), where=debts > 0), debts


def _pressure(
    instruments: Instruments,
    by_leg: Float64Array,
    held: Float64Array,
    fallen: Float64Array,
    coverage: Float64Array,
) -> tuple[Float64Array, Float64Array]:
    """The worse of both directions: float64 (shocks, instruments), and (shocks, currencies)."""
    unpaid = 1.0 - np.minimum(coverage, 1.0)
    beyond = fallen * unpaid[np.repeat(instruments.currency, 2)]
    solvent = held[:, None, None] - fallen
    across = solvent.reshape(-1, 2, *fallen.shape[1:])[:, ::-1].reshape(fallen.shape)
    each = _ratio(beyond, across).reshape(-1, 2, *fallen.shape[1:]).max(axis=(1, 2))
    shape = len(coverage), *fallen.shape[1:]
    sums = [np.zeros(shape), np.zeros(shape)]
    for total, lots in zip(sums, (beyond, across), strict=True):
        np.add.at(total, np.repeat(instruments.currency, 2), lots * by_leg[:, None, None])
    return each.T, _ratio(*sums).max(axis=1).T


def _largest(rows: Float64Array) -> Float64Array:
    """Lots of the largest positions of each leg, of all parts."""
    most = np.sort(rows.swapaxes(0, 1).reshape(rows.shape[1], -1))[:, ::-1][:, :LARGEST]
    total: Float64Array = most.sum(axis=1)
    return total


def _by_currency(instruments: Instruments, by_leg: Float64Array) -> Float64Array:
    return np.asarray(np.bincount(np.repeat(instruments.currency, 2), by_leg, len(instruments.currencies)))


def _ratio(part: Float64Array, whole: Float64Array) -> Float64Array:
    """Part of a whole; 0 of nothing, and infinite where there is something of nothing."""
    part, whole = np.broadcast_arrays(part, whole)
    out = np.where(part > 0, np.inf, 0.0)
    return np.divide(part, whole, out=out, where=whole > 0)


def checked_leverages(given: Iterable[Any]) -> Float64Array:
    """Bounds of leverage, rising, each once."""
    return _rising("leverages", given, lambda value: value > 0, "give a leverage above 0, such as 20")


def checked_shocks(given: Iterable[Any]) -> Float64Array:
    """Sizes of price moves, rising, each once."""
    remedy = "give the size of a price move, above 0 and up to 0.999"
    return _rising("shocks", given, lambda value: 0 < value <= 1 - LEAST, remedy)


def _rising(name: str, given: Any, possible: Any, remedy: str) -> Float64Array:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InputError((name,), given, "give a list of numbers")
    found: set[float] = set()
    for place, each in enumerate(given):
        if place == _MOST:
            raise InputError((name,), f"more than {place}", f"give at most {place}")
        value = number(each, (name, place))
        if not possible(value):
            raise InputError((name, place), each, remedy)
        found.add(float(value))
    if not found:
        raise InputError((name,), "none", "give at least one")
    return np.array(sorted(found))
