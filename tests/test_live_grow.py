"""Accounts, instruments, tiers and flags that come and change; final settlement (rules R106, R107)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastadl as fa
from engines import RATE, book, cash, ipc, lots, state_of
from fastadl.contracts import Instrument, Kind, Tier
from fastadl.engine.live import listing
from fastadl.errors import BoundsError, InputError, StageError
from fastadl.kernels.mark import guard_slots
from fastadl.schema import ROW_BOUND
from fastadl.stress import Depth, OrderBook
from uncompiled import fewer

TWO = [*RATE, {"min_notional": "1000", "maintenance_rate": "0.05", "max_leverage": "10"}]
LISTED = {
    "X": {"mark": "10", "tiers": TWO},
    "B": {"kind": "inverse", "contract_size": "100", "mark": "20", "tiers": TWO},
    "A": {"mark": "5", "tiers": TWO},
}
CASH = {"m": "300", "c": "90", "x": "120", "é": "0.5", "b": "4000", "a": "75", "k": "0"}
POSITIONS = """\
m X 20 10
c X -15 11
x X -5 9
m B -3 20
x B 3 21
"""
#: All of the waterfall that looks at accounts, or remembers something of each.
POLICIES: list[dict[str, Any]] = [
    {"policy": "bitmex"},
    {"policy": {"preset": "binance_2025", "rerank": "each", "guard": "solvent"}},
    {"policy": {"preset": "deribit", "session": 100}},
    {"policy": {"preset": "deribit", "socialization": "clawback", "session": 100}},
    {"policy": "drift_v2"},
    {"policy": "vega"},
    {"policy": "gmx_v2"},
    {
        "policy": "bitmex",
        "liquidity": {"depth": {"X": "2"}, "slippage": "0.02", "slice": "0.5", "cooldown": 60},
    },
]


def rows_of(table: dict[str, Any], which: slice) -> dict[str, Any]:
    return {name: values[which] for name, values in table.items()}


def frames(positions: str = POSITIONS) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    tiers = [3, 0, 1, 0, 0, 0, 0]
    return book(positions, cash=CASH, listed=LISTED, adl_tier=tiers).to_frames()


def refused(engine: fa.Engine, call: Any, words: str, error: type[Exception] = InputError) -> None:
    """A call is refused so, and nothing has changed."""
    before = state_of(engine)
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
    assert state_of(engine) == before


def check_register(engine: fa.Engine) -> None:
    """Every account has a slot, its place among the sorted ids, and a right guard."""
    state = engine._state
    now, rows = state.book, state.book.rows
    ids = now.accounts.to_list()
    assert np.array_equal(rows.account[now.slot], np.arange(len(ids)))
    assert now.rank.tolist() == [sorted(ids).index(name) for name in ids]
    assert np.array_equal(engine.codes(accounts=ids), np.arange(len(ids)))
    assert np.array_equal(now.index().find(pl.Series(ids)), np.arange(len(ids)))
    free = np.setdiff1d(np.arange(len(rows.cash)), now.slot)
    assert (rows.account[free] == -1).all()
    assert not rows.cash[free].any()
    for name in ("currency", "isolated", "adl_tier", "exempt", "slot", "rank", "owners"):
        assert len(getattr(now, name)) == len(ids)
    if state.ceiling.any():
        anew = np.full_like(state.guard, np.inf)
        guard_slots(rows, state.ceiling, state.margins, now.slot, anew)
        assert np.array_equal(anew, state.guard)


# ---------------------------------------------------------------------- grown as if made so


def told_by(frame: pl.DataFrame) -> Any:
    """What a frame holds, wherever its texts lie in memory."""
    return frame.schema, frame.rows()


def life(engine: fa.Engine, grow: Any) -> list[Any]:
    """Ticks and fills, and everything they told; `grow` is called where engines may grow."""
    told = []
    engine.tick({"X": "10", "B": "20", "A": "5"}, time=10)
    grow(0)
    fills = {"account": ["b", "a", "k", "b"], "symbol": ["A", "A", "X", "X"], "lots": [40, -40, -6, 6]}
    engine.apply_fills(fills | {"price": ["5", "5", "10", "10"]})
    engine.deposit({"account": ["k"], "amount": ["9"]})
    grow(1)
    for time, prices in (
        (50, {"X": "11.5"}),
        (90, {"X": "14", "A": "6.2"}),
        (130, {"B": "12"}),
        (170, {"X": "15"}),
    ):
        report = engine.tick(prices, time=time)
        names = ("liquidations", "executions", "takeovers", "adl_fills", "socialized", "uncovered")
        told += [told_by(getattr(report, name)) for name in names]
        told += [engine.equity().tolist(), engine.maintenance_margin().tolist()]
        told += [told_by(engine.rank("X", side)) for side in ("long", "short")]
        told += [told_by(engine.lights().frame()), told_by(engine.percentiles(by="count").frame())]
        told += [told_by(frame) for frame in (*engine.book.to_frames(), engine.reserves())]
    assert engine.check().ok
    return told


@pytest.mark.parametrize("settings", POLICIES, ids=str)
def test_a_grown_engine_does_what_one_made_whole_does(settings: dict[str, Any]) -> None:
    instruments, accounts, positions = frames()
    settings = {"fund": "5", **settings}
    whole = life(fa.Engine(fa.Book.from_frames(instruments, accounts, positions), **settings), lambda _: None)

    engine = fa.Engine(fa.Book.from_frames(instruments.head(2), accounts.head(3), positions), **settings)

    def grow(at: int) -> None:
        if at == 0:
            assert engine.list_instruments(instruments.tail(1)).tolist() == [2]
            assert engine.open_accounts(accounts[3:6]).tolist() == [3, 4, 5]
            assert engine.open_accounts(accounts.tail(1)).tolist() == [6]
            check_register(engine)

    # the first tick cannot name what is not listed yet, and the last account is there for the first fills
    mark = engine.tick

    def tick(prices: dict[str, str], **options: Any) -> fa.Report:
        return mark(
            {symbol: price for symbol, price in prices.items() if symbol in engine.symbols}, **options
        )

    engine.tick = tick  # type: ignore[method-assign]
    assert life(engine, grow) == whole
    check_register(engine)


def test_a_book_may_begin_with_nothing() -> None:
    instruments, accounts, _ = frames()
    engine = fa.Engine(
        fa.Book.from_frames(
            instruments.head(0),
            accounts.head(0),
            {"account": [], "symbol": [], "lots": [], "entry_value_atoms": []},
        )
    )
    engine.list_instruments(instruments.with_columns(currency=pl.lit("USD"), decimals=pl.lit(6)))
    engine.open_accounts(accounts.with_columns(cash_atoms=pl.col("cash_atoms") * 10**4))
    engine.apply_fills({"account": ["a", "b"], "symbol": ["X", "X"], "lots": [1, -1], "price": ["10", "10"]})
    engine.tick({"X": "11"})
    assert lots(engine) == {("a", "X"): 1, ("b", "X"): -1}
    assert engine.check().ok
    check_register(engine)


# ---------------------------------------------------------------------- accounts

NAMES = st.lists(st.text("abé\U0001f600Z", min_size=1, max_size=3), min_size=1, max_size=30, unique=True)


@settings(deadline=None, max_examples=fewer(60))
@given(NAMES, st.lists(st.integers(0, 6), min_size=1, max_size=9), st.booleans())
def test_ids_keep_their_order_however_they_come(names: list[str], sizes: list[int], ascending: bool) -> None:
    names = sorted(names) if ascending else names
    first = {"id": names[:1], "cash": ["0"]}
    instruments, _, _ = frames()
    nothing = {"account": [], "symbol": [], "lots": [], "entry_value_atoms": []}
    engine = fa.Engine(fa.Book.from_frames(instruments, first, nothing))
    rest = names[1:]
    for size in [*sizes, len(rest)]:
        engine.open_accounts({"id": pl.Series(rest[:size], dtype=pl.String)})
        rest = rest[size:]
        check_register(engine)
    assert engine.accounts.to_list() == names


def test_cash_comes_in_from_outside() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    before = sum(cash(engine).values())
    engine.open_accounts({"id": ["n", "o"], "cash_atoms": [700, 50]})
    assert engine.check().ok
    assert sum(cash(engine).values()) == before + 750
    engine.tick(engine.marks)
    assert engine.free_collateral("n") == 700
    engine.withdraw({"account": ["n"], "amount_atoms": [700]})
    assert engine.check().ok


def test_new_accounts_have_what_their_table_says() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    assert engine.book.owners.to_list() == engine.accounts.to_list()
    engine.open_accounts({"id": ["n"], "cash": ["1"]})
    table = {
        "id": ["o", "p"], "owner": ["n", None], "margin_mode": ["isolated", "cross"], "adl_tier": [7, 0],
        "exempt": [False, True],
    }  # fmt: skip
    engine.open_accounts(table)
    engine.open_accounts({"id": ["q"]})
    expected = {
        "id": ["n", "o", "p", "q"], "currency": ["USD"] * 4, "cash_atoms": [100, 0, 0, 0],
        "owner": ["n", "n", "p", "q"], "margin_mode": ["cross", "isolated", "cross", "cross"],
        "adl_tier": [0, 7, 0, 0], "exempt": [False, False, True, False],
    }  # fmt: skip
    assert engine.book.to_frames()[1].tail(4).to_dict(as_series=False) == expected
    fill = {"account": ["o", "b", "o", "b"], "symbol": ["X", "X", "A", "A"], "lots": [1, -1] * 2}
    refused(
        engine,
        lambda: engine.apply_fills(fill | {"price": ["1"] * 4}),
        "an isolated account holds at most one",
    )


def test_accounts_are_refused_by_their_first_bad_row() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    for table, words in (
        ({"id": ["n", "m"], "cash": ["1", "1"]}, "row 1, column id: m: the book has this account"),
        ({"id": ["n", "o", "n"]}, "row 2, column id: n: ids are unique"),
        ({"id": ["n", "fund"]}, "reserved ids (rule R7)"),
        ({"id": ["n", "m"], "cash": ["1.234", "1"]}, "row 0, column cash"),
        ({"id": ["n"], "cash_atoms": [ROW_BOUND + 1]}, "2^53"),
        ({"id": ["n", "o"], "cash_atoms": [0, -1]}, "row 1, column cash_atoms: -1: an account opens with 0"),
        ({"id": ["n", "o"], "cash": ["1", "-0.01"]}, "row 1, column cash: -0.01: an account opens with 0"),
        ({"id": ["n"], "currency": ["EUR"]}, "instruments settle in USD"),
        ({"id": ["n"], "exempt": ["yes"]}, "give true or false"),
        ({"id": ["n"], "adl_tier": [256]}, "give 0 to 255"),
        ({"id": ["n"], "margin": ["cross"]}, "unknown column"),
        ({"cash": ["1"]}, "column id: missing"),
    ):
        refused(engine, lambda table=table: engine.open_accounts(table), words)
    engine.open_accounts({"id": ["n"]})
    refused(engine, lambda: engine.open_accounts({"id": ["n"]}), "the book has this account")
    many = {"id": [f"n{i}" for i in range(1025)], "cash_atoms": [ROW_BOUND] * 1025}
    refused(engine, lambda: engine.open_accounts(many), "2^62", BoundsError)
    check_register(engine)


def test_ids_lie_in_few_chunks_and_slots_are_used_again() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    for i in range(300):
        engine.open_accounts({"id": [f"n{i:03}"]})
    assert engine._state.book._id.n_chunks() < 12
    groups = len(engine._state.book.rows.group_rows)
    engine.open_accounts({"id": [f"o{i:05}" for i in range(5000)]})
    assert len(engine._state.book.rows.group_rows) <= groups + 2
    check_register(engine)


def test_no_order_has_sliced_a_new_account() -> None:
    liquidity = {
        "depth": {"X": "100"},
        "slippage": "0",
        "slice": "0.5",
        "cooldown": 60,
        "in_cooldown": "wait",
    }
    engine = fa.Engine(fa.Book.from_frames(*frames()), liquidity=liquidity)
    assert engine.tick({"X": "16.9"}, time=0).executions["account"].to_list() == ["c"]
    engine.open_accounts({"id": ["n"], "cash": ["10"]})
    engine.apply_fills(
        {"account": ["n", "b"], "symbol": ["X"] * 2, "lots": [-8, 8], "price": ["16.5", "16.5"]}
    )
    report = engine.tick({"X": "17.6"}, time=30)
    assert report.executions.filter(pl.col("account") == "n")["lots"].to_list() == [4]


# ---------------------------------------------------------------------- all or nothing, copies


class Stop(Exception):  # noqa: N818 - not an error of the engine
    pass


def changes() -> list[Callable[[fa.Engine], object]]:
    """One of everything."""
    new = pl.concat([frames()[0].tail(1).with_columns(symbol=pl.lit(s)) for s in ("N", "0")])
    opened = {"id": ["o", "n"], "cash": ["70", "30"], "exempt": [False, True], "owner": ["m", None]}
    flags = {"account": ["m", "n"], "adl_tier": [9, 1], "exempt": [True, False]}
    fills = {"account": ["o", "n", "m", "o"], "symbol": ["A"] * 4, "lots": [3, -3, 1, -1], "price": ["5"] * 4}
    return [
        lambda engine: engine.open_accounts(opened),
        lambda engine: engine.list_instruments(new),
        lambda engine: engine.set_tiers({"X": [{"min_notional": "0", "maintenance_rate": "0.2"}]}),
        lambda engine: engine.set_flags(flags),
        lambda engine: engine.apply_fills(fills),
        lambda engine: engine.settle_instrument("X", "10.01"),
        lambda engine: engine.open_accounts({"id": [f"z{i}" for i in range(9000)]}),
    ]


def undone(engine: fa.Engine, change: Callable[[fa.Engine], object]) -> None:
    with engine._together():
        change(engine)
        raise Stop


def test_what_is_undone_was_never_there() -> None:
    """A call whose end fails: as when the journal of it cannot be written."""
    held = frames(POSITIONS + "fund X 5 9\nmarket X -5 9.5\n")
    engine = fa.Engine(fa.Book.from_frames(*held), policy={"preset": "deribit", "session": 100}, fund="7")
    engine.tick(engine.marks * 1.01, time=5)
    engine.open_accounts({"id": ["f"], "cash": ["3"]})
    told = engine.copy()
    for change in changes():
        before = state_of(engine)
        for _ in range(2):
            with pytest.raises(Stop):
                undone(engine, change)
            assert state_of(engine) == before
            check_register(engine)
            assert engine._state.margins.rate.tolist() == told._state.margins.rate.tolist()
        change(engine)
        change(told)
    for each in (engine, told):
        each.set_flags({"account": ["x"], "adl_tier": [5]})
        each.tick(each.marks * 1.3, time=20)
        assert each.check().ok
    assert state_of(engine) == state_of(told)
    check_register(engine)


def test_fills_know_what_came_or_went_since_the_last_ones() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    fill = {"account": ["m", "x"], "symbol": ["B", "B"], "lots": [1, -1], "price": ["20", "20"]}
    engine.apply_fills(fill)
    engine.open_accounts({"id": ["n"]})
    engine.list_instruments(frames()[0].tail(1).with_columns(symbol=pl.lit("0")))
    engine.apply_fills({**fill, "account": ["n", "x"], "symbol": ["0", "0"]})
    assert lots(engine)["n", "0"] == 1

    def settle_and_stop() -> None:
        with engine._together():
            engine.settle_instrument("X", "10")
            raise Stop

    with pytest.raises(Stop):
        settle_and_stop()
    engine.apply_fills({**fill, "symbol": ["X", "X"]})
    assert lots(engine)["m", "X"] == 21
    engine.settle_instrument("X", "10")
    refused(engine, lambda: engine.apply_fills({**fill, "symbol": ["X", "X"]}), "it is delisted")
    assert engine.check().ok


def test_copies_grow_apart() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    engine.open_accounts({"id": ["new"]})
    other = engine.copy()
    before = state_of(engine)
    fork = other.fork("bitmex")
    for change in changes():
        change(fork)
    other.open_accounts({"id": ["r", "s"]})
    assert state_of(engine) == before
    assert engine.open_accounts({"id": ["s", "r"], "cash": ["1", "2"]}).tolist() == [8, 9]
    assert engine.codes(accounts=["r", "s"]).tolist() == [9, 8]
    assert other.codes(accounts=["r", "s"]).tolist() == [8, 9]
    check_register(engine)
    check_register(other)


def test_nothing_changes_while_it_is_decided_who_is_bankrupt() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    engine.mark({"X": "20"})
    engine.open_accounts({"id": ["n"]})
    engine.takeover()
    for call in (
        lambda: engine.open_accounts({"id": ["o"]}),
        lambda: engine.list_instruments(frames()[0].head(0)),
        lambda: engine.set_tiers({}),
        lambda: engine.set_flags({"account": ["m"], "exempt": [True]}),
        lambda: engine.settle_instrument("X", "1"),
    ):
        with pytest.raises(StageError):
            call()
    engine.deleverage()
    assert engine.check().ok


# ---------------------------------------------------------------------- instruments and tiers


def test_an_instrument_without_a_mark_waits_for_one() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    engine.tick(engine.marks)
    engine.list_instruments(
        frames()[0].tail(1).with_columns(symbol=pl.lit("N"), mark=pl.lit(None, pl.String))
    )
    assert np.isnan(engine.marks[3])
    assert engine.unit_values[3] == 0
    engine.tick({"X": "10.1"})
    both = {"account": ["a", "b"], "symbol": ["N"] * 2, "lots": [9, -9], "price": ["7", "7"]}
    said = "row 0, column symbol: N: it was never marked: mark it first"
    refused(engine, lambda: engine.apply_fills(both), said)
    late = {
        "account": ["a", "b"] * 2,
        "symbol": ["X", "X", "N", "N"],
        "lots": [9, -9] * 2,
        "price": ["7"] * 4,
    }
    refused(engine, lambda: engine.apply_fills(late), said.replace("0", "2"))
    refused(engine, lambda: engine.apply_fills(late | {"lots": [9, -9, 9, 0]}), said.replace("0", "2"))
    refused(engine, lambda: engine.apply_fills(late | {"lots": [9, 0, 9, -9]}), "row 1, column lots")
    engine.tick({"X": "10.2"})
    engine.tick({"N": "7"})
    assert not engine.apply_fills(both).far.any()
    check_register(engine)
    engine.apply_fills(both | {"lots": [-9, 9]})
    assert engine.tick({"N": "90000"}).liquidations.is_empty()
    assert engine.check().ok


def test_the_first_tick_marks_all_but_what_is_delisted() -> None:
    more = frames()[0].tail(1).with_columns(symbol=pl.lit("N"), mark=pl.lit(None, pl.String))
    one = fa.Engine(fa.Book.from_frames(*frames()))
    one.list_instruments(more)
    refused(one, lambda: one.tick({}), "prices, column N: missing: the first tick marks every symbol")
    one.settle_instrument("N", "5")
    one.tick({})
    assert np.isnan(one.marks[-1])


def test_instruments_are_refused_by_their_first_bad_row() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()), liquidity={"depth": {"X": "1"}})
    new = frames()[0].tail(1).with_columns(symbol=pl.lit("N"))
    for table, words in (
        (pl.concat([new, frames()[0].head(1)]), "row 1, column symbol: X: the book has, or had, it"),
        (pl.concat([new, new]), "row 1, column symbol: N: symbols are unique"),
        (new.with_columns(currency=pl.lit("EUR")), "the book settles in USD, and each currency has its fund"),
        (new.with_columns(decimals=pl.lit(3)), "USD has 2"),
        (new.with_columns(mark=pl.lit("1" + "0" * 40)), "2^62"),
        (new.with_columns(kind=pl.lit("swap")), "give linear"),
    ):
        refused(engine, lambda table=table: engine.list_instruments(table), words)
    assert engine.list_instruments(new.drop("decimals", "currency")).tolist() == [3]
    assert engine._state.instruments[3].decimals == 2


def test_one_account_may_hold_all_that_is_listed() -> None:
    instruments, accounts, _ = frames()
    nothing = {"account": [], "symbol": [], "lots": [], "entry_value_atoms": []}
    engine = fa.Engine(fa.Book.from_frames(instruments.head(1), accounts, nothing))
    engine.open_accounts({"id": ["n"], "cash": ["900"]})
    more = [instruments.head(1).with_columns(symbol=pl.lit(f"N{i}")) for i in range(6)]
    engine.list_instruments(pl.concat(more))
    for symbol in engine.symbols[::-1]:
        engine.apply_fills(
            {"account": ["n", "b"], "symbol": [symbol] * 2, "lots": [1, -1], "price": ["10", "10"]}
        )
    engine.tick({"X": "11"})
    assert sorted(symbol for name, symbol in lots(engine) if name == "n") == sorted(engine.symbols)
    assert engine.check().ok
    check_register(engine)


@pytest.mark.parametrize("price", ["mark", "previous_mark", "oracle"])
def test_a_mark_it_came_with_is_the_previous_one_and_the_oracle_too(price: str) -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    engine.tick({"X": "10.5"}, oracle={"X": "10.4"})
    engine.list_instruments(frames()[0].tail(1).with_columns(symbol=pl.lit("N"), mark=pl.lit("8")))
    engine.apply_fills({"account": ["a", "b"], "symbol": ["N"] * 2, "lots": [2, -2], "price": ["7", "7"]})
    fills = engine.deleverage_account("a", "N", price=price).adl_fills
    assert fills.select("counterparty", "price").rows() == [("b", 8.0)]


def test_an_order_book_for_other_instruments_is_refused() -> None:
    made = fa.Book.from_frames(*frames())
    depth = OrderBook(Depth(), made.instruments, np.full(3, 1e9))
    engine = fa.Engine(made, liquidity=depth)
    new = frames()[0].tail(1).with_columns(symbol=pl.lit("N"))
    refused(engine, lambda: engine.list_instruments(new), "make an order book for the instruments")


def test_legs_keep_to_their_type() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    tier = (Tier(Fraction(0), Fraction(0), Fraction(0)),)
    many = [Instrument(f"N{i}", Kind.LINEAR, Fraction(1), Fraction(1), tier) for i in range(1 << 15)]
    with pytest.raises(BoundsError, match="at most 32768 instruments"):
        listing.list_instruments(engine._state, many)
    assert len(engine.symbols) == 3


def test_each_currency_keeps_its_fund() -> None:
    listed = {**LISTED, "Z": {"currency": "BTC", "mark": "2"}}
    made = book(POSITIONS, cash=CASH, listed=listed, currency=["USD"] * 7)
    engine = fa.Engine(made, fund={"USD": "5", "BTC": "1"})
    new = made.to_frames()[0].tail(1).with_columns(symbol=pl.lit("N"))
    refused(engine, lambda: engine.list_instruments(new.drop("currency")), "column currency: missing")
    engine.list_instruments(new.drop("decimals"))
    assert engine.book.instruments[4].decimals == 8
    refused(engine, lambda: engine.open_accounts({"id": ["n"]}), "column currency: missing")
    engine.open_accounts({"id": ["n", "o"], "currency": ["BTC", "BTC"], "cash": ["1", "0.00000001"]})
    engine.apply_fills({"account": ["n", "o"], "symbol": ["N"] * 2, "lots": [1, -1], "price": ["2", "2"]})
    fill = {"account": ["n", "m"], "symbol": ["N"] * 2, "lots": [1, -1], "price": ["2", "2"]}
    refused(engine, lambda: engine.apply_fills(fill), "settles in the account's currency")
    engine.tick({"N": "2.5"})
    assert engine.check().ok


@pytest.mark.parametrize("ticked", [False, True])
def test_new_tiers_are_those_of_a_book_made_with_them(ticked: bool) -> None:
    steep = [
        {"min_notional": "0", "maintenance_rate": "0.1"},
        {"min_notional": "20", "maintenance_rate": "0.9", "max_leverage": "2"},
    ]
    instruments, accounts, positions = frames()
    changed = {name: instruments[name].to_list() for name in instruments.columns}
    changed["tiers"] = [steep, TWO, RATE]
    other = fa.Engine(fa.Book.from_frames(changed, accounts, positions), policy="binance_2025")
    engine = fa.Engine(fa.Book.from_frames(instruments, accounts, positions), policy="binance_2025")
    if ticked:
        engine.tick(engine.marks)
        other._number += 1
    engine.set_tiers({"X": steep, "A": RATE})
    assert ipc(engine.book.to_frames()[0]) == ipc(other.book.to_frames()[0])
    assert [engine.free_collateral(name) for name in CASH] == [other.free_collateral(name) for name in CASH]
    reports = [each.tick(each.marks) for each in (engine, other)]
    assert reports[0].liquidations.height
    assert ipc(reports[0].liquidations) == ipc(reports[1].liquidations)
    assert state_of(engine) == state_of(other)
    check_register(engine)


def test_tiers_are_refused_by_symbol_and_field() -> None:
    engine = fa.Engine(fa.Book.from_frames(*frames()))
    for tiers, words in (
        ({"X": RATE, "Y": RATE}, "tiers, column Y: Y: name one of the instruments"),
        ({"X": []}, "give a list of at least one tier"),
        ({"A": [RATE[0], RATE[0]]}, "give more than 0"),
        ({"A": [{"min_notional": "0", "maintenance_rate": "2"}]}, "give a rate in [0, 1)"),
        ([RATE], "give a mapping"),
    ):
        refused(engine, lambda tiers=tiers: engine.set_tiers(tiers), words)
