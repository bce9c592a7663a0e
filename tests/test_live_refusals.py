"""What live calls refuse whatever they are handed: typed, named, and with nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from engines import state_of
from fastadl.engine.live import room
from test_live_money import desk, moves

HALF = "\ud800"
FILLS = {"account": ["ann", "bob"], "symbol": ["X", "X"], "lots": [1, -1], "price": ["10", "10"]}
EXECUTIONS = {"account": ["ann"], "symbol": ["X"], "side": ["long"], "lots": [1], "price": ["10"]}


def with_half(table: dict[str, list[Any]], column: str) -> dict[str, list[Any]]:
    return table | {column: [HALF, *table.get(column, [None])[1:]]}


CALLS: dict[str, Callable[[fa.Engine], object]] = {
    **{
        f"prepare {n!r}": lambda e, n=n: e.prepare_live(positions=n)
        for n in ("x", 1.5, 10**13, 10**30, -1, True)
    },
    "prepare accounts": lambda e: e.prepare_live(accounts=None),  # type: ignore[arg-type]
    **{f"cancel {n}": lambda e, n=n: e.cancel_orders([n]) for n in (2**80, -(2**80), HALF)},
    "side": lambda e: e.apply_fills(FILLS | {"side": np.array([-(2**63), 0])}),
    **{
        f"fill {c}": lambda e, c=c: e.apply_fills(with_half(FILLS, c)) for c in ("account", "symbol", "price")
    },
    **{
        f"execution {c}": lambda e, c=c: e.settle(with_half(EXECUTIONS, c))
        for c in ("account", "symbol", "side", "lots", "counterparty", "order")
    },
    "deposit": lambda e: e.deposit({"account": [HALF], "amount": ["1"]}),
    "withdraw": lambda e: e.withdraw({"account": ["ann"], "amount": [HALF]}),
    "source": lambda e: e.transfer(moves(HALF, "ann", "1")),
    "target": lambda e: e.transfer(moves("ann", HALF, "1")),
    "free": lambda e: e.free_collateral(HALF),
    "free of many": lambda e: e.free_collateral([HALF]),
    "positions": lambda e: e.positions(HALF),
    "codes": lambda e: e.codes(accounts=HALF),
    "symbols": lambda e: e.codes(symbols=[HALF]),
    "open": lambda e: e.open_accounts({"id": [HALF], "currency": ["USD"]}),
    "flags": lambda e: e.set_flags({"account": [HALF], "exempt": [True]}),
    "tiers": lambda e: e.set_tiers({HALF: []}),
    "rates": lambda e: e.pay_funding({HALF: "0"}),
    "delist": lambda e: e.settle_instrument(HALF, "1"),
    "close": lambda e: e.deleverage_account(HALF, "X"),
    "close against": lambda e: e.deleverage_account("bob", "X", counterparties=[HALF]),
}


@pytest.fixture(scope="module")
def engine() -> fa.Engine:
    engine = desk()
    engine.tick({"X": "10", "Y": "10", "E": "10"})
    return engine


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_typed_error_says_what_is_wrong(engine: fa.Engine, call: Callable[[fa.Engine], object]) -> None:
    before = state_of(engine)
    with pytest.raises(fa.InputError) as caught:
        call(engine)
    assert str(caught.value).isprintable()
    assert state_of(engine) == before


def test_room_that_cannot_be_had_is_refused_and_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, longer = desk(), room._longer

    def full(array: Any, size: int) -> Any:
        if size > 10**6 and array.dtype == np.int64:
            raise MemoryError
        return longer(array, size)

    engine.prepare_live()
    before = state_of(engine)
    monkeypatch.setattr(room, "_longer", full)
    with pytest.raises(fa.MemoryLimitError, match="positions: 1000000: there is no address space"):
        engine.prepare_live(positions=10**6, accounts=10)
    monkeypatch.undo()
    assert state_of(engine) == before
    engine.prepare_live(positions=10**6)
    engine.tick({"X": "10", "Y": "10", "E": "10"})
    assert len(engine.apply_fills(FILLS)) == 2


def test_an_error_without_a_place_can_be_printed() -> None:
    assert str(fa.InputError((), 3, "give two")) == "input: 3: give two"


def test_a_block_that_is_kept_or_undone_is_for_one_call() -> None:
    engine = desk()
    engine.tick({"X": "10", "Y": "10", "E": "10"})
    paid, before = {"account": ["ann"], "amount": ["1"]}, state_of(engine)
    firsts = (
        lambda: engine.deposit(paid),
        lambda: engine.apply_fills(FILLS),
        lambda: engine.open_accounts({"id": ["eve"], "currency": ["USD"]}),
    )

    def both(first: Callable[[], object], second: Callable[[], object]) -> None:
        with engine._together():
            first()
            second()

    for first in firsts:
        for second in (lambda: engine.withdraw(paid), lambda: engine.apply_fills(FILLS)):
            with pytest.raises(RuntimeError, match="one call that changes accounts per block"):
                both(first, second)
            assert state_of(engine) == before
    with engine._together():
        engine.deposit(paid)
    engine.withdraw(paid)
    assert engine.check().ok


def test_codes_are_taken_in_lists_too() -> None:
    named, coded = desk(), desk()
    for engine, (ann, bob, both) in ((named, ("ann", "bob", ["X", "X"])), (coded, (0, 4, [0, 0]))):
        engine.tick({"X": "10", "Y": "10", "E": "10"})
        engine.apply_fills(FILLS | {"account": [ann, bob], "symbol": both})
        engine.deposit({"account": [bob], "amount": ["3"]})
        engine.transfer({"source": [ann], "target": [1], "amount": ["2"]})
        engine.set_flags({"account": [bob], "adl_tier": [2]})
    assert state_of(named) == state_of(coded)
    for bad in ([0, 99], [0, True], [0, "bob"], [0, 2**70]):
        with pytest.raises(fa.InputError, match="column account"):
            coded.apply_fills(FILLS | {"account": bad})


def test_an_execution_without_an_order_may_be_of_an_account_that_nobody_detected() -> None:
    engine = desk()
    engine.tick({"X": "10", "Y": "10", "E": "10"})
    assert engine.liquidations().is_empty()
    assert engine.settle(EXECUTIONS).tolist() == [10**6]
    assert engine.deleverage().executions["account"].to_list() == ["ann"]
    assert engine.check().ok
