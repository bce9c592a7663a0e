"""The positions of one account, in the words exchanges use."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from fastadl.contracts import Instrument, Instruments, Kind
from fastadl.engine.state import State, places
from fastadl.schema import IntArray

__all__ = ["positions"]


def positions(state: State, account: int) -> pl.DataFrame:
    """Open rows of an account by (symbol, long first), money in units of the currency, Float64."""
    rows, book = state.book.rows, state.book
    slot = np.array([book.slot[account]])
    held = places(book, slot)
    held = held[rows.lots[held] != 0.0]
    instrument = (rows.leg[held] >> 1).astype(np.int64)
    items = [state.instruments[i] for i in instrument.tolist()]
    lots, entry = rows.lots[held], rows.entry[held].astype(np.float64)
    unit = state.marks.unit[instrument]
    value, atom = lots * unit, np.array([10.0**-item.decimals for item in items])
    notional = np.abs(value)
    equity = float(rows.cash[slot[0]]) + float((value - entry).sum())
    ladders = [_Ladder.of(state.instruments, i) for i in instrument.tolist()]
    needed = [steps.margin(size) for steps, size in zip(ladders, notional.tolist(), strict=True)]
    asked = [steps.initial(size) for steps, size in zip(ladders, notional.tolist(), strict=True)]
    per_lot = np.array([float(item.lot) for item in items])
    frame = {
        "symbol": pl.Series([item.symbol for item in items], dtype=pl.String),
        "side": pl.Series(["long" if each > 0 else "short" for each in lots.tolist()], dtype=pl.String),
        "contracts": np.abs(lots) * per_lot,
        "lots": np.abs(lots).astype(np.int64),
        "contract_size": np.array([float(item.contract_size) for item in items]),
        "entry_price": _prices(items, entry / lots),
        "mark_price": state.marks.price[instrument],
        "notional": notional * atom,
        "unrealized_pnl": (value - entry) * atom,
        "initial_margin": np.array(asked) * atom,
        "maintenance_margin": np.array(needed) * atom,
        "leverage": np.full(len(held), notional.sum() / max(equity, 1.0)),
        "margin_mode": pl.Series(
            ["isolated" if book.isolated[account] else "cross"] * len(held), dtype=pl.String
        ),
        "liquidation_price": _liquidation_prices(
            items, ladders, instrument, lots, unit, equity - sum(needed)
        ),
    }
    return pl.DataFrame(frame)


def _prices(items: list[Instrument], unit: IntArray) -> pl.Series:
    """Prices at which a lot has these values, null where an inverse one has none."""
    found = [
        None if (item.kind is Kind.INVERSE and not each) else _price(item, each)
        for item, each in zip(items, unit.tolist(), strict=True)
    ]
    return pl.Series(found, dtype=pl.Float64)


def _price(item: Instrument, unit: float) -> float:
    scale = float(item.scale)
    return -scale / unit if item.kind is Kind.INVERSE else unit / scale


class _Ladder(NamedTuple):
    """Tiers of one instrument in float64."""

    lines: list[tuple[float, float]]  # rate, deduction
    least: list[float]
    initial_rate: list[float]

    @classmethod
    def of(cls, instruments: Instruments, instrument: int) -> _Ladder:
        tiers = instruments.tiers
        own = slice(*tiers.start[instrument : instrument + 2].tolist())
        lines = list(zip(tiers.rate[own].tolist(), tiers.deduction[own].tolist(), strict=True))
        return cls(lines, tiers.min_notional[own].tolist(), tiers.initial_rate[own].tolist())

    def margin(self, notional: float) -> float:
        return max(0.0, *(rate * notional - taken for rate, taken in self.lines))

    def initial(self, notional: float) -> float:
        rate = self.initial_rate[bisect_right(self.least, notional) - 1]
        return self.margin(notional) if rate < 0.0 else rate * notional


# ---------------------------------------------------------------------- liquidation prices


def _liquidation_prices(
    items: list[Instrument],
    ladders: list[_Ladder],
    instrument: IntArray,
    lots: IntArray,
    unit: IntArray,
    spare: float,
) -> pl.Series:
    """By symbol, where equity falls to maintenance margin, other marks fixed; null where there is none."""
    found: dict[int, float | None] = {}
    for item, steps, i, mark in zip(items, ladders, instrument.tolist(), unit.tolist(), strict=True):
        if i not in found:
            at = _border(steps.lines, lots[instrument == i].tolist(), mark, spare) if spare >= 0 else None
            found[i] = None if at is None else _price(item, at)
    return pl.Series([found[i] for i in instrument.tolist()], dtype=pl.Float64)


def _border(tiers: list[tuple[float, float]], lots: list[float], mark: float, spare: float) -> float | None:
    """Unit value, of the price nearest to mark, where what lies beyond margin, `spare` at mark, is used up.

    What lies beyond margin is concave in the unit value, so that there is at most one such value on each side
    of the mark, and Newton's steps from beyond it run straight to it.
    """
    sign = 1.0 if mark > 0 else -1.0

    def margin(size: float, upward: bool) -> tuple[float, float]:
        """Margin of one row of so many lots at `size` a lot, and how fast it grows, to one side."""
        needed = slope = 0.0
        for many in map(abs, lots):
            lines = [(rate * many * size - taken, rate * many) for rate, taken in tiers] + [(0.0, 0.0)]
            most = max(line[0] for line in lines)
            steep = [line[1] for line in lines if line[0] == most]
            needed += most
            slope += max(steep) if upward else min(steep)
        return needed, slope

    net = sign * sum(lots)
    start, at_mark = abs(mark), margin(abs(mark), True)[0]

    def beyond(size: float, upward: bool) -> tuple[float, float]:
        needed, slope = margin(size, upward)
        return spare + net * (size - start) - needed + at_mark, net - slope

    roots = []
    if beyond(0.0, True)[0] < 0.0:
        roots.append(_newton(lambda size: beyond(size, True), 0.0))
    rate, taken = tiers[-1]
    lost = net - sum(rate * abs(many) for many in lots)
    if lost < 0.0:
        reached = spare - net * start + at_mark + taken * len(lots)
        roots.append(_newton(lambda size: beyond(size, False), max(-reached / lost, start)))
    roots = [root for root in roots if root > 0.0]
    if not roots:
        return None
    return sign * min(roots, key=lambda root: abs(root - start) / (root if sign < 0 else start))


def _newton(line: Callable[[float], tuple[float, float]], size: float) -> float:
    """Where a concave function is 0, from where it is below: there are as many steps as it has pieces."""
    for _ in range(1000):
        height, slope = line(size)
        if height >= 0.0 or slope == 0.0:
            return size
        after = size - height / slope
        if after == size:
            return size
        size = after
    return size
