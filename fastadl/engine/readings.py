"""What can be read of an engine between ticks, as frames."""

from __future__ import annotations

from math import floor

import numpy as np
import polars as pl

from fastadl.engine.ranking import candidates
from fastadl.engine.state import State
from fastadl.errors import InputError
from fastadl.kernels.measure import FIELDS
from fastadl.policy import AdlPolicy
from fastadl.schema import RESERVED

__all__ = ["ranking", "reserves"]


def reserves(state: State) -> pl.DataFrame:
    """Cash and equity of the fund and the market account, by currency."""
    lines = [
        {
            "account": name,
            "currency": code,
            "cash": int(state.reserve_cash[who, c]),
            "equity": floor(state.reserve_equity(who, c)),
        }
        for c, code in enumerate(state.instruments.currencies)
        for who, name in enumerate(RESERVED)
    ]
    return pl.DataFrame(lines)


def ranking(state: State, policy: AdlPolicy, number: int, symbol: str, side: str) -> pl.DataFrame:
    """The ranking of one side of an instrument, with what the scores are made of; `number` is the tick's."""
    instrument = state.instruments.lookup(symbol, ("symbol",))
    if side not in ("long", "short"):
        raise InputError(("side",), side, "name the side of the ranked positions, long or short")
    none = np.zeros(len(state.book.rows.cash), np.bool_)
    found = candidates(state, [2 * instrument + (side == "short")], policy, none, number, detail=True)[0]
    ranked = found.ranked()
    parts = dict(zip(FIELDS, found.parts[:, ranked], strict=True))
    account = state.book.rows.account[found.slot[ranked]]
    return pl.DataFrame(
        {
            "rank": np.arange(1, len(ranked) + 1),
            "account": state.book.accounts.gather(account.astype(np.uint32)),
            "adl_tier": found.tier[ranked],
            "lots": found.lots[ranked],
            "score": parts["score"],
            "unrealized_pnl": parts["profit"],
            "notional": parts["value"],
            "position_margin": parts["row_margin"],
            "equity": parts["equity"],
            "maintenance_margin": parts["margin"],
            "gross": parts["gross"],
            "leverage": parts["gross"] / np.maximum(parts["equity"], 1.0),
        }
    )
