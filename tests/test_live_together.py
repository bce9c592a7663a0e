"""What calls of a live book do to each other."""

from __future__ import annotations

import pytest

from engines import book, state_of
from fastadl import Engine, InputError

#: Two accounts of ann; at 9 the first is liquidatable and not bankrupt.
POSITIONS = """
ann X 100 10
ann:2 X 1 10
bob X -101 10
"""
OWNERS = ["ann", "bob", "ann"]


def in_liquidation() -> Engine:
    given = book(POSITIONS, cash={"ann": "105", "bob": "1000", "ann:2": "100"}, owner=OWNERS)
    engine = Engine(given, fund="100")
    engine.mark({"X": "9"})
    assert engine.order_liquidations()["lots"].to_list() == [100]
    return engine


def test_no_position_moves_to_an_account_in_liquidation() -> None:
    engine = in_liquidation()
    before = state_of(engine)
    with pytest.raises(InputError, match="in liquidation"):
        engine.transfer({"source": ["ann:2"], "target": ["ann"], "amount": ["50"], "symbol": ["X"]})
    assert state_of(engine) == before
    engine.transfer({"source": ["ann:2"], "target": ["ann"], "amount": ["50"]})


def test_no_transfers_are_fine() -> None:
    engine = in_liquidation()
    before = state_of(engine)
    engine.transfer({"source": [], "target": [], "amount": []})
    assert state_of(engine) == before


def test_final_settlement_ends_orders_of_its_symbol() -> None:
    engine = in_liquidation()
    engine.settle_instrument("X", "9")
    assert engine.orders().is_empty()
    assert engine.free_collateral("ann") == 500
