"""Final settlement of what is delisted (rule R107)."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from engines import book, cash, ipc, lots
from fastadl.errors import InputError
from test_live_flags import CROWD, MONEY
from test_live_grow import CASH, LISTED, POSITIONS, check_register, frames, refused


def test_every_row_is_closed_at_the_price_rounded_down() -> None:
    positions = POSITIONS + "c B 1 20\nm X -4 10\nx X 1 10\nfund X 5 9\nmarket X -2 10\nfund B -1 20\n"
    engine = fa.Engine(book(positions, cash=CASH, listed=LISTED), fund="7")
    engine.tick(engine.marks)
    price, unit = "21.7", -Fraction(100 * 100 * 10, 217)
    before, held = cash(engine), engine.book.to_frames()[2].filter(pl.col("symbol") == "B")
    reserve = engine.reserves()["cash"].to_list()
    settled = engine.settle_instrument("B", price)
    worth = {name: floor(size * unit) for name, size in held.select("account", "lots").iter_rows()}
    entry = dict(held.select("account", "entry_value_atoms").iter_rows())
    gained = {name: worth[name] - entry[name] for name in worth}
    assert settled.to_fund == -sum(worth.values())
    assert 0 <= settled.to_fund < len(settled) == 4
    assert cash(engine) == {name: had + gained.get(name, 0) for name, had in before.items()}
    assert engine.reserves()["cash"].to_list() == [reserve[0] + gained["fund"] + settled.to_fund, reserve[1]]
    assert settled.frame().to_dict(as_series=False) == {
        "account": ["m", "c", "x", "fund"],
        "side": ["short", "long", "long", "short"],
        "lots": [3, 1, 3, 1],
        "value": [worth[name] for name in ("m", "c", "x", "fund")],
        "realized_pnl": [gained[name] for name in ("m", "c", "x", "fund")],
    }
    assert engine.check().ok
    assert not any(symbol == "B" for _, symbol in lots(engine))
    assert ("m", "X") in lots(engine)
    assert engine._state.reserve_realized[:, 1].tolist() == [gained["fund"], 0]
    before = cash(engine)
    settled = engine.settle_instrument("X", "10.3")
    gained = dict.fromkeys(before, 0)
    for who, atoms in zip(settled.account[:-2], settled.realized_pnl, strict=False):
        gained[engine.accounts[int(who)]] += int(atoms)
    assert gained == {"m": 600 - 120, "c": 1050, "x": 30 - 650, "é": 0, "b": 0, "a": 0, "k": 0}
    assert cash(engine) == {name: had + gained[name] for name, had in before.items()}
    assert settled.account.tolist() == [0, 0, 1, 2, 2, -1, -2]
    assert settled.lots.tolist() == [20, -4, -15, 1, -5, 5, -2]
    assert engine.check().ok
    check_register(engine)


def test_settlement_does_not_depend_on_the_order_of_rows() -> None:
    instruments, accounts, positions = frames(POSITIONS + "fund X 5 9\n")
    one = fa.Engine(fa.Book.from_frames(instruments, accounts, positions), threads=1)
    two = fa.Engine(fa.Book.from_frames(instruments, accounts.reverse(), positions.reverse()))
    for engine in (one, two):
        engine.settle_instrument("X", "13.37")
    assert cash(one) == cash(two)
    assert ipc(one.reserves()) == ipc(two.reserves())


def test_where_lots_do_not_net_the_fund_stands_in() -> None:
    engine = fa.Engine(book("b X 10 10", cash=CASH, listed={"X": {"mark": "10"}}), fund="5")
    settled = engine.settle_instrument("X", "11")
    assert settled.to_fund == -11000
    assert engine.reserves()["cash"][0] == 500 - 11000
    assert engine.check().ok


def test_debts_that_no_mark_would_find_are_listed() -> None:
    listed = {"X": {"mark": "10"}, "Y": {"mark": "10"}}
    engine = fa.Engine(book(CROWD + "e Y 1 10\nb Y -1 10\n", cash=MONEY, listed=listed))
    other = engine.copy()
    settled = engine.settle_instrument("X", "50")
    assert engine.accounts.gather(settled.in_debt).to_list() == ["c", "d"]
    assert set(engine.tick({}, time=1).liquidations["account"]) == {"b", "e"}
    other.tick({"X": "50"}, time=1)
    assert not len(other.settle_instrument("X", "50").in_debt)


def test_delisted_is_for_good() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    engine.tick(engine.marks)
    engine.settle_instrument("X", "10")
    fill = {"account": ["a", "b"], "lots": [1, -1], "price": ["20", "20"]}
    for symbol in (["X"] * 2, np.zeros(2, np.int32)):
        refused(
            engine,
            lambda symbol=symbol: engine.apply_fills({**fill, "symbol": symbol}),
            "row 0, column symbol",
        )
    refused(engine, lambda: engine.settle_instrument("X", "10"), "it is delisted")
    refused(engine, lambda: engine.list_instruments(frames()[0].head(1)), "the book has, or had, it")
    refused(engine, lambda: engine.deleverage_account("m", "X"), "name a symbol it holds")
    instruments, accounts, _ = engine.book.to_frames()
    with pytest.raises(InputError, match="column symbol: X: it is delisted"):
        fa.Book.from_frames(instruments, accounts, frames()[2])
    engine.tick({"X": "99"})
    engine.tick(engine.marks * 1.01)
    engine.apply_fills(fill | {"symbol": ["A", "A"]})
    assert engine.check().ok


def test_a_settlement_that_cannot_be_changes_nothing() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    engine.tick(engine.marks)
    for symbol, price, words in (
        ("Y", "1", "name one of the instruments"),
        ("X", "0", "give a price above zero"),
        ("X", "-3", "give a price above zero"),
        ("X", "ten", "ten"),
        ("X", "1" + "0" * 30, "2^62"),
        ("X", "1" + "0" * 17, "2^62"),
        ("X", "90000000000000", "2^53"),
    ):
        refused(engine, lambda symbol=symbol, price=price: engine.settle_instrument(symbol, price), words)
    engine.settle_instrument("X", Fraction(1001, 100))
    assert engine.check().ok


def test_symbols_nobody_holds_are_delisted_too() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    settled = engine.settle_instrument("A", 5.5)
    assert (len(settled), settled.to_fund, settled.frame().height) == (0, 0, 0)
    assert engine.check().ok
