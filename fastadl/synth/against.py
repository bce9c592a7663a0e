"""A drawn book beside the accounts that were really deleveraged, on Hyperliquid on 2025-10-10."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastadl.book import Book, row_slots
from fastadl.errors import InputError
from fastadl.io.study import StudyTable
from fastadl.schema import Float64Array
from fastadl.synth.blocks import generator
from fastadl.synth.describe import concentration, quantiles, sums, unit_values

__all__ = ["COMPARED", "against"]

COMPARED = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_USERS, _COINS = "adl_by_user_REALTIME.csv", "adl_by_coin_REALTIME.csv"
#: Accounts of less cash are left out of leverage.
_CASH = 100.0
#: No market falls further.
_DEEPEST = 0.95
_MEASURES = ("notional", "profit_share", "cash", "leverage", "positions")
#: Shares are of so many first markets.
_FIRST = (1, 2, 3, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class _Winners:
    """Deleveraged users, or those that would have been: arrays (users), and notional and users by market."""

    notional: Float64Array
    profit: Float64Array
    cash: Float64Array
    positions: Float64Array
    by_market: Float64Array
    users_by_market: Float64Array


def against(book: Book, folder: str | os.PathLike[str], *, seed: int = 0) -> dict[str, Any]:
    """Quantiles of the winners of a crash, real and drawn, side by side.

    The real users are those that were deleveraged, who are winners of the fall, so they are held against the
    drawn book's winners: accounts with shorts in profit after every market has fallen as far as deleveraged
    shorts of the real one gained, markets paired by rank. As many of them as there are real users are taken
    at random: real deleveraging took whole positions with little regard to leverage.

    Parameters
    ----------
    book : Book
        Of one currency, with a mark for every instrument; largest market first.
    folder : path
        With ``adl_by_user_REALTIME.csv`` and ``adl_by_coin_REALTIME.csv``.
    seed : int
        Of the choice among winners.

    Returns
    -------
    dict
        ``users``: real, drawn winners, and how many of those were compared; ``quantiles``: per measure its
        ``real`` and ``drawn`` quantiles at ``at``, and their ``distance``, the largest absolute log-ratio;
        ``markets`` and ``holders``: shares, real and drawn; ``falls``: quantiles of the falls.

    Raises
    ------
    InputError
        Naming the folder, file, column or row that is missing or wrong.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError((), "no such folder", f"give a folder with {_USERS} and {_COINS}", str(folder))
    real, falls = _real(path)
    everyone = _drawn(book, falls)
    chosen = _some(everyone, len(real.notional), seed)
    lines = {name: _beside(_measure(real, name), _measure(chosen, name)) for name in _MEASURES}
    return {
        "users": {
            "real": len(real.notional),
            "winners": len(everyone.notional),
            "compared": len(chosen.notional),
        },
        "at": list(COMPARED),
        "quantiles": lines,
        "markets": {
            "first": list(_FIRST),
            "notional": {who: _leading(w.by_market) for who, w in (("real", real), ("drawn", chosen))},
            "users": {who: _leading(w.users_by_market) for who, w in (("real", real), ("drawn", chosen))},
        },
        "holders": {"real": concentration(real.notional), "drawn": concentration(chosen.notional)},
        "falls": {"at": [0.1, 0.5, 0.9], "drop": quantiles(falls, (0.1, 0.5, 0.9))},
        "distance": max(line["distance"] for line in lines.values()),
    }


def _real(path: Path) -> tuple[_Winners, Float64Array]:
    """The users, and the fall of each market by rank that explains what its shorts gained."""
    users, coins = StudyTable(path / _USERS), StudyTable(path / _COINS)
    notional, gained = coins.numbers("adl_notional"), coins.numbers("closed_pnl")
    fall = np.clip(gained / np.maximum(notional + gained, 1e-9), 0.0, _DEEPEST)
    rank = np.argsort(-notional, kind="stable")
    winners = _Winners(
        notional=users.numbers("adl_notional"),
        profit=users.numbers("closed_pnl"),
        cash=users.numbers("account_value_realtime"),
        positions=users.numbers("num_adl_events"),
        by_market=notional[rank],
        users_by_market=coins.numbers("num_users"),
    )
    return winners, fall[rank]


def _drawn(book: Book, falls: Float64Array) -> _Winners:
    rows, unit = book.rows, unit_values(book.instruments)
    atoms = 10.0 ** book.instruments.decimals[0]
    count = len(unit)
    fall = np.full(count, np.median(falls))
    fall[: len(falls)] = falls[:count]
    short = np.flatnonzero(rows.leg & 1)
    market = rows.leg[short] >> 1
    value = -rows.lots[short] * (unit * (1 - fall))[market] / atoms
    profit = -rows.entry[short] / atoms - value
    gaining = profit > 0
    slot, market = row_slots(rows)[short[gaining]], market[gaining]
    value, profit = value[gaining], profit[gaining]
    accounts = len(rows.account)
    positions = np.bincount(slot, minlength=accounts)
    mine = np.flatnonzero(positions)
    return _Winners(
        notional=sums(slot, value, accounts)[mine],
        profit=sums(slot, profit, accounts)[mine],
        cash=rows.cash[mine] / atoms,
        positions=positions[mine].astype(np.float64),
        by_market=sums(market, value, count),
        users_by_market=np.bincount(market, minlength=count).astype(np.float64),
    )


def _some(winners: _Winners, most: int, seed: int) -> _Winners:
    count = len(winners.notional)
    if count <= most:
        return winners
    chosen = generator(seed).choice(count, most, replace=False)
    of_users = ("notional", "profit", "cash", "positions")
    return replace(winners, **{name: getattr(winners, name)[chosen] for name in of_users})


def _measure(winners: _Winners, name: str) -> Float64Array:
    if name == "profit_share":
        return winners.profit / winners.notional
    if name == "leverage":
        solid = winners.cash > _CASH
        return winners.notional[solid] / winners.cash[solid]
    values: Float64Array = getattr(winners, name)
    return values


def _beside(real: Float64Array, drawn: Float64Array) -> dict[str, Any]:
    """Quantiles of both, and the largest absolute logarithm of the ratio of two that are above 0."""
    pair = {"real": quantiles(real, COMPARED), "drawn": quantiles(drawn, COMPARED)}
    ratios = [b / a for a, b in zip(*pair.values(), strict=True) if a > 0 and b > 0]
    return {**pair, "distance": max((abs(float(np.log(ratio))) for ratio in ratios), default=0.0)}


def _leading(amounts: Float64Array) -> list[float]:
    ranked = np.sort(amounts)[::-1]
    return [float(ranked[:first].sum() / max(ranked.sum(), 1e-300)) for first in _FIRST]
