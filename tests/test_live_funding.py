"""Funding payments (rule R105)."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl.decimals import plain
from fastadl.schema import ROW_BOUND
from test_live import Ledger, check_layout, market
from test_live_money import desk


def test_funding_is_paid_on_notional_and_what_rounding_leaves_is_the_funds() -> None:
    engine = fa.Engine(market(), fund="10")
    engine.mark(dict.fromkeys(engine.symbols, "10.12345"))
    rates = {"S0": Fraction("0.000123"), "S1": Fraction("-0.0007"), "S4": Fraction(0)}
    _, accounts, positions = engine.book.columns()
    owed = [0] * len(accounts.cash)
    for a, i, q in zip(positions.account, positions.instrument, positions.lots.tolist(), strict=True):
        unit = abs(engine.book.instruments[i].unit_value(Fraction("10.12345")))
        owed[a] += ceil(q * unit * rates.get(f"S{i}", 0))
    cash, fund = engine.book.cash, engine._state.reserve_cash.copy()
    left = engine.pay_funding({symbol: plain(rate) for symbol, rate in rates.items()}).residue
    assert (cash - engine.book.cash).tolist() == owed
    assert left.tolist() == [sum(owed)]
    assert left[0] > 0
    assert (engine._state.reserve_cash - fund)[:, 0].tolist() == [sum(owed), 0]
    assert engine.check().ok
    engine.mark(engine.marks)
    check_layout(engine)


def test_fund_and_market_account_pay_funding_too() -> None:
    table, accounts, positions = market().to_frames()
    owners = {"a000": "fund", "a001": "market"}
    rows = positions.filter(pl.col("account").is_in(["a000", "a001"])).unique(["account", "symbol"])
    kept = positions.join(rows, on=positions.columns, how="anti")
    rows = rows.with_columns(account=pl.col("account").replace(owners))
    engine = fa.Engine(fa.Book.from_frames(table, accounts, pl.concat([kept, rows])), fund="1000")
    engine.mark(dict.fromkeys(engine.symbols, "10.12345"))
    before = engine._state.reserve_cash[:, 0].copy()
    left = engine.pay_funding(dict.fromkeys(engine.symbols, "0.001")).residue
    for who, name in enumerate(["fund", "market"]):
        owed = 0
        for row in rows.filter(account=name).iter_rows(named=True):
            item = engine.book.instruments[engine.symbols.index(row["symbol"])]
            owed += ceil(row["lots"] * abs(item.unit_value(Fraction("10.12345"))) / 1000)
        assert owed
        before[who] -= owed
    before[0] += left[0]
    assert engine._state.reserve_cash[:, 0].tolist() == before.tolist()
    assert left[0] > 0
    assert engine.check().ok


@pytest.mark.parametrize("rates", [{"S9": "0.1"}, {"S0": "x"}, {"S0": "1.5"}, "0.1"])
def test_bad_rates_are_refused(rates: Any) -> None:
    engine = fa.Engine(market())
    cash = engine.book.cash
    with pytest.raises(fa.InputError):
        engine.pay_funding(rates)
    assert np.array_equal(cash, engine.book.cash)


def test_funding_says_what_was_paid_received_and_left() -> None:
    engine = fa.Engine(market(), fund="10")
    engine.mark(dict.fromkeys(engine.symbols, "10.12345"))
    before = engine.book.cash
    moved = engine.pay_funding({"S0": "0.000123", "S1": "-0.0007"})
    change = engine.book.cash - before
    assert moved.residue.tolist() == (moved.paid - moved.received).tolist()
    assert moved.residue.tolist() == [-int(change.sum())]
    assert moved.paid[0] >= -int(np.minimum(change, 0).sum()) > 0
    assert moved.received[0] > 0


def test_funding_past_the_bound_changes_nothing() -> None:
    engine = fa.Engine(market())
    engine.deposit({"account": np.array([0]), "amount_atoms": [ROW_BOUND - int(engine.book.cash[0])]})
    engine.mark(engine.marks)
    _, _, rows = engine.book.columns()
    at = int(np.flatnonzero(rows.account == 0)[0])
    rate = "-1" if rows.lots[at] > 0 else "1"
    ledger = Ledger(engine.book)
    with pytest.raises(fa.BoundsError):
        engine.pay_funding({engine.symbols[int(rows.instrument[at])]: rate})
    ledger.same(engine.book)
    assert engine.check().ok


@pytest.mark.parametrize("sign", [1, -1])
def test_an_account_past_the_bound_can_still_come_back_and_go_no_further(sign: int) -> None:
    """ADL pays what it must: cash may be past 2^53 (rule R1), and what lowers it is not refused."""

    def past() -> fa.Engine:
        engine = desk()
        engine.tick({"X": "10", "Y": "10", "E": "10"})
        engine._state.book.rows.cash[engine._state.book.slot[0]] = sign * (ROW_BOUND + 10**9)
        engine._totals = engine._state.totals()
        return engine

    def fill(engine: fa.Engine, lots: int, price: str, fee: int) -> None:
        both = {"account": ["ann", "bob"], "symbol": ["X"] * 2, "lots": [lots, -lots]}
        engine.apply_fills(
            both | {"price": [price] * 2, "fee_atoms": [fee, max(0, -fee)], "side": ["long", None]}
        )

    engine = past()
    fill(engine, -1, "9" if sign > 0 else "10", 5 * sign if sign > 0 else -(10**7))
    assert abs(int(engine.book.cash[0])) < ROW_BOUND + 10**9
    with pytest.raises(fa.BoundsError, match="2\\^53"):
        fill(engine, -1, "11" if sign > 0 else "8", 0)
    paid = {"account": ["ann"], "amount_atoms": [7]}
    back, further = (engine.withdraw, engine.deposit) if sign > 0 else (engine.deposit, engine.withdraw)
    before = int(engine.book.cash[0])
    back(paid)
    assert int(engine.book.cash[0]) == before - sign * 7
    with pytest.raises(fa.InputError):
        further(paid)
    if sign > 0:
        engine.transfer({"source": ["ann"], "target": ["ann:Y"], "amount_atoms": [7]})
        with pytest.raises(fa.BoundsError):
            engine.transfer({"source": ["ann:Y"], "target": ["ann"], "amount_atoms": [1]})
    down, up = ("1", "100") if sign > 0 else ("100", "1")
    with pytest.raises(fa.BoundsError, match="ann"):
        past().settle_instrument("X", up)
    assert len(past().settle_instrument("X", down))
    assert engine.check().ok
