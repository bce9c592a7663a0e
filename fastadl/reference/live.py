"""Fills, one after another, on what accounts hold (rules R1, R10, R11, R12, R103)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastadl.reference.layout import open_rows
from fastadl.reference.money import take
from fastadl.reference.wide import trunc_scaled
from fastadl.schema import ROW_BOUND, SUM_BOUND, Float64Array

if TYPE_CHECKING:
    from fastadl.kernels.layout import Rows
    from fastadl.kernels.live import Listing, Log, Sums, Trades
    from fastadl.kernels.money import Reserve

__all__ = ["Holdings", "Refused", "add_up", "take_back", "trade", "trade_reserve"]


class Refused(Exception):  # noqa: N818  # an answer, not an error
    """A fill is refused, by the name the kernels give the reason."""


@dataclass
class Holdings:
    """Cash of every account, and signed lots and entry value by account, instrument and whether short."""

    cash: list[int] = field(default_factory=list)
    held: dict[tuple[int, int, bool], tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows, accounts: int) -> Holdings:
        """What is held in the rows of a book."""
        found = cls([0] * accounts)
        for slot, account in enumerate(rows.account.tolist()):
            if account >= 0:
                found.cash[account] = int(rows.cash[slot])
                for row in open_rows(rows, slot):
                    found.held[account, row.instrument, row.lots < 0] = row.lots, row.entry
        return found


def add_up(trades: Trades, listing: Listing, sums: Sums) -> tuple[int, str]:
    """Add up a batch until a fill that no book could take: that one and why, or −1 and `FINE`."""
    for i, (account, instrument, lots, value, fee, side) in enumerate(_fills(trades)):
        reason = _impossible(account, instrument, lots, value, fee, side, listing)
        if reason is None:
            sums.gross[0] += float(abs(lots))
            sums.gross[1] += float(abs(value)) + float(abs(fee))
            sums_fit = sums.gross <= 0.999 * SUM_BOUND
            reason = None if sums_fit.all() else ("LARGE_ENTRY" if sums_fit[0] else "LARGE_LOTS")
        if reason is not None:
            return i, reason
        sums.lots[instrument] += lots
        sums.value[instrument] += value
        sums.count[instrument] += 1
        sums.fee[listing.currency[instrument]] += fee
    return -1, "FINE"


def _impossible(
    account: int, instrument: int, lots: int, value: int, fee: int, side: int, listing: Listing
) -> str | None:
    if not -2 <= account < len(listing.holds):
        return "NO_ACCOUNT"
    if not 0 <= instrument < len(listing.currency):
        return "NO_SYMBOL"
    if listing.delisted[instrument]:
        return "DELISTED"
    if account < 0 and side:
        return "ONE_ROW"
    if account >= 0 and listing.holds[account] != listing.currency[instrument]:
        return "FOREIGN"
    if lots == 0:
        return "NO_LOTS"
    if abs(lots) > ROW_BOUND:
        return "LARGE_LOTS"
    if value * lots * (-1 if listing.inverse[instrument] else 1) < 0:
        return "SIGN"
    if abs(value) > ROW_BOUND:
        return "LARGE_ENTRY"
    return "LARGE_CASH" if abs(fee) > ROW_BOUND else None


def trade(
    trades: Trades, holdings: Holdings, listing: Listing, unit: Float64Array
) -> tuple[int, str, list[int], list[bool]]:
    """Trade a batch until a fill is refused: that one and why (−1 and `FINE`), profits, and who is far off.

    Parameters
    ----------
    trades : Trades
    holdings : Holdings
        Written, up to and with the refused fill.
    listing : Listing
    unit : float64 (instruments)
        Unit values at mark.
    """
    profits, far = [], []
    for i, (account, instrument, lots, value, fee, side) in enumerate(_fills(trades)):
        far.append(_far(unit, instrument, lots, value))
        try:
            profit = 0
            if account >= 0:
                profit = _one(holdings, account, instrument, lots, value, fee, side, listing, unit)
            profits.append(profit)
        except Refused as reason:
            return i, str(reason), profits, far
    return -1, "FINE", profits, far


def trade_reserve(
    trades: Trades, account: int, unit: Float64Array, most: Float64Array, reserve: Reserve, log: Log
) -> tuple[int, str]:
    """Trade the fills of the fund (−1) or the market account (−2); the first refused, or −1 and `FINE`."""
    for i, (who, instrument, lots, value, fee, _) in enumerate(_fills(trades)):
        if who != account:
            continue
        log.far[i] = _far(unit, instrument, lots, value)
        log.profit[i] = take(reserve, instrument, 1 if lots > 0 else -1, abs(lots), value)
        reserve.cash[reserve.currency[instrument]] -= fee
        held = float(abs(reserve.lots[instrument]))
        if held * abs(float(unit[instrument])) > 0.999 * SUM_BOUND:
            return i, "LARGE_VALUE"
        most[instrument] = max(most[instrument], held)
    return -1, "FINE"


def _far(unit: Float64Array, instrument: int, lots: int, value: int) -> bool:
    worth = float(unit[instrument]) * float(lots)
    return worth != 0.0 and abs(float(value) - worth) > 0.1 * abs(worth)


def take_back(trades: Trades, holdings: Holdings, log: Log) -> None:
    """Put back what was held before each fill, from the last to the first."""
    for i, (account, instrument, *_) in reversed(list(enumerate(_fills(trades)))):
        if account < 0:
            continue
        holdings.cash[account] = int(log.cash[i])
        for short in (False, True):
            holdings.held.pop((account, instrument, short), None)
            if lots := int(log.lots[int(short), i]):
                holdings.held[account, instrument, short] = lots, int(log.entry[int(short), i])


def _one(
    holdings: Holdings,
    account: int,
    instrument: int,
    lots: int,
    value: int,
    fee: int,
    side: int,
    listing: Listing,
    unit: Float64Array,
) -> int:
    """One fill; what closing realises. What is left of it opens, unless it is of the side that it closes."""
    short, held, profit = lots < 0, holdings.held, 0
    opens = side != 0 and side * lots > 0
    many, entry = (0, 0) if opens else held.pop((account, instrument, not short), (0, 0))
    if side and not opens and abs(lots) > abs(many):
        raise Refused("EXCEEDS")
    if many:
        closed = min(abs(lots), abs(many))
        paid, released = trunc_scaled(value, closed, abs(lots)), trunc_scaled(entry, closed, abs(many))
        profit = -paid - released
        step = closed if short else -closed
        if abs(many) > closed:
            held[account, instrument, not short] = many - step, entry - released
        lots, value = lots + step, value - paid
    before = abs(holdings.cash[account])
    holdings.cash[account] += profit - fee
    if abs(holdings.cash[account]) > max(ROW_BOUND, before):
        raise Refused("LARGE_CASH")
    if lots:
        more, cost = held.get((account, instrument, short), (0, 0))
        if not more and listing.isolated[account] and any(owner == account for owner, _, _ in held):
            raise Refused("ISOLATED")
        held[account, instrument, short] = more + lots, cost + value
        if abs(more + lots) > ROW_BOUND:
            raise Refused("LARGE_LOTS")
        if abs(cost + value) > ROW_BOUND:
            raise Refused("LARGE_ENTRY")
        if float(abs(more + lots)) * abs(float(unit[instrument])) > 0.999 * SUM_BOUND:
            raise Refused("LARGE_VALUE")
    return profit


def _fills(trades: Trades) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in trades), strict=True))
