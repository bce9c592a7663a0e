"""Money of a book that lives: transfers between accounts, the fund topped up, what funding moved, readers."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl.engine.live.collateral import affordable, free_collateral
from fastadl.reference.account import equity, initial_margin
from fastadl.reference.collateral import collateral
from test_live import Ledger, batch, check_layout, levered, market

TIERS = [
    {"min_notional": "0", "maintenance_rate": "0.01", "max_leverage": "10"},
    {"min_notional": "1000", "maintenance_rate": "0.02", "max_leverage": "5"},
]


def desk(policy: Any = "bitmex", fund: str = "1000") -> fa.Engine:
    """Ann with a cross and two isolated accounts, and one in another currency; bob is somebody else."""
    table = {
        "symbol": ["X", "Y", "E"],
        "kind": ["linear", "inverse", "linear"],
        "contract_size": ["1", "100", "1"],
        "lot": ["1"] * 3,
        "currency": ["USD", "USD", "EUR"],
        "tiers": [TIERS] * 3,
        "mark": ["10"] * 3,
    }
    accounts = {
        "id": ["ann", "ann:X", "ann:Y", "ann:E", "bob"],
        "cash": ["100", "0", "10", "50", "1000"],
        "currency": ["USD", "USD", "USD", "EUR", "USD"],
        "owner": ["ann"] * 4 + ["bob"],
        "margin_mode": ["cross", "isolated", "isolated", "cross", "cross"],
    }
    held = {
        "account": ["ann", "ann", "ann", "ann:Y", "bob", "bob"],
        "symbol": ["X", "X", "Y", "Y", "X", "Y"],
        "lots": [9, -2, 4, 1, -7, -5],
        "entry_price": ["9", "11", "9", "10", "10", "9.7"],
    }
    return fa.Engine(
        fa.Book.from_frames(table, accounts, held), policy=policy, fund={"USD": fund, "EUR": "5"}
    )


def moves(source: str, target: str, amount: str, **more: Any) -> dict[str, Any]:
    return {"source": [source], "target": [target], "amount": [amount]} | {k: [v] for k, v in more.items()}


def test_cash_moves_between_accounts_of_one_owner() -> None:
    engine = desk()
    before = engine.book.cash
    engine.transfer(moves("ann", "ann:Y", "12.5"))
    assert (engine.book.cash - before).tolist() == [-12_500_000, 0, 12_500_000, 0, 0]
    assert engine.check().ok


def test_a_position_moves_along_as_it_is_and_back_again() -> None:
    engine = desk()
    ledger = Ledger(engine.book)
    engine.apply_fills({"account": ["ann", "bob"], "symbol": ["X"] * 2, "lots": [1, -1], "price": ["10"] * 2})
    ledger.fill(0, 0, 1, 10_000_000, 0)
    ledger.fill(4, 0, -1, -10_000_000, 0)
    long = ledger.held.pop((0, 0, False))
    ledger.held[1, 0, False] = long
    ledger.cash[0] -= 30_000_000
    ledger.cash[1] += 30_000_000
    engine.mark(engine.marks)
    engine.transfer(moves("ann", "ann:X", "30", symbol="X", side="long"))
    ledger.same(engine.book)
    check_layout(engine)
    engine.transfer(moves("ann:X", "ann", "30", symbol="X"))
    ledger.held[0, 0, False] = ledger.held.pop((1, 0, False))
    ledger.cash[:2] = [ledger.cash[0] + 30_000_000, 0]
    ledger.same(engine.book)
    engine.mark(engine.marks)
    check_layout(engine)
    assert engine.check().ok


def test_a_position_joins_one_of_the_same_side() -> None:
    engine = desk()
    lots, entry = 0, 0
    _, _, rows = engine.book.columns()
    for a, i, q, e in zip(rows.account, rows.instrument, rows.lots, rows.entry_value, strict=True):
        if i == 1 and a in (0, 2):
            lots, entry = lots + int(q), entry + int(e)
    engine.transfer(moves("ann", "ann:Y", "20", symbol="Y"))
    assert Ledger(engine.book).held[2, 1, False] == (lots, entry)
    assert engine.check().ok


REFUSED = [
    (moves("ann", "bob", "1"), ("moves", 0, "target"), "same owner"),
    (moves("ann", "ann", "1"), ("moves", 0, "target"), "another account"),
    (moves("ann", "ann:E", "1"), ("moves", 0, "target"), "currency"),
    (moves("ann", "nobody", "1"), ("moves", 0, "target"), "of the book"),
    (moves("fund", "ann", "1"), ("moves", 0, "source"), "of the book"),
    (moves("ann", "ann:X", "-1"), ("moves", 0, "amount"), "at least 0"),
    (moves("ann", "ann:X", "1000"), ("moves", 0, "amount"), "free"),
    (moves("ann", "ann:X", "1", symbol="Q"), ("moves", 0, "symbol"), "name an instrument"),
    (moves("ann", "ann:X", "1", symbol="X"), ("moves", 0, "symbol"), "holds both"),
    (moves("ann", "ann:X", "1", symbol="X", side="up"), ("moves", 0, "side"), "long, short"),
    (moves("ann", "ann:X", "1", side="long"), ("moves", 0, "side"), "name the symbol"),
    (moves("ann:Y", "ann", "1", symbol="X"), ("moves", 0, "symbol"), "that the source holds"),
    (moves("ann", "ann:Y", "1", symbol="X", side="long"), ("moves", 0, "target"), "at most one"),
    (moves("ann:Y", "ann:X", "0", symbol="Y"), ("moves", 0, "target"), "its margin"),
]


@pytest.mark.parametrize(("given", "path", "said"), REFUSED)
def test_a_refused_transfer_is_named_and_undoes_those_before_it(
    given: dict[str, Any], path: tuple[Any, ...], said: str
) -> None:
    engine = desk()
    ledger = Ledger(engine.book)
    with pytest.raises(fa.InputError, match=said) as caught:
        engine.transfer(given)
    assert caught.value.path == path
    first = {"source": ["ann"], "target": ["ann:X"], "amount": ["0.5"], "symbol": [None], "side": [None]}
    both = {name: column + given.get(name, [None]) for name, column in first.items()}
    with pytest.raises(fa.InputError) as caught:
        engine.transfer(both)
    assert caught.value.path == ("moves", 1, path[2])
    ledger.same(engine.book)
    assert engine.check().ok


def test_no_more_than_is_free_once_the_position_has_left() -> None:
    engine = desk()
    engine.mark({"X": "12"})
    engine.transfer(moves("ann", "ann:X", "0", symbol="X", side="short") | {"amount": ["20"]})
    free = engine.free_collateral("ann")
    ledger = Ledger(engine.book)
    with pytest.raises(fa.InputError, match=f"{free} atoms are free"):
        engine.transfer(moves("ann", "ann:Y", "0") | {"amount": [fa_text(free + 1)]})
    ledger.same(engine.book)
    engine.transfer(moves("ann", "ann:Y", fa_text(free)))
    assert engine.free_collateral("ann") == 0


def fa_text(atoms: int) -> str:
    return f"{atoms // 10**6}.{atoms % 10**6:06}"


def test_a_winner_may_not_leave_behind_what_it_margins() -> None:
    engine = desk()
    engine.withdraw({"account": ["ann"], "amount_atoms": [engine.free_collateral("ann")]})
    ledger = Ledger(engine.book)
    engine.mark({"X": "40", "Y": "10"})  # the long wins 279, the short loses 58 of what was left
    with pytest.raises(fa.InputError, match="its margin") as caught:
        engine.transfer(moves("ann", "ann:X", "0", symbol="X", side="long"))
    assert caught.value.path == ("moves", 0, "source")
    ledger.same(engine.book)


def test_transfers_follow_one_another_and_codes_say_the_same() -> None:
    engine = desk()
    codes = engine.codes(accounts=["ann", "ann:X", "ann:Y"])
    around = {"source": codes[[0, 1, 2]], "target": codes[[1, 2, 0]], "amount_atoms": np.array([7, 7, 7])}
    engine.transfer(around)
    assert engine.book.cash.tolist()[:3] == [100_000_000, 0, 10_000_000]


def test_a_transfer_is_no_win_of_the_session() -> None:
    policy = {"space": "wealth", "socialization": "session_profit", "session": 3600}
    engine = desk(policy)
    engine.tick(engine.marks)
    won = engine.equity() - engine._state.session.opening
    engine.transfer(moves("ann", "ann:X", "30", symbol="X", side="long"))
    assert (engine.equity() - engine._state.session.opening).tolist() == won.tolist()


# ---------------------------------------------------------------------- the fund


def test_the_fund_is_topped_up_and_drawn_on_by_currency() -> None:
    engine = desk()
    with pytest.raises(fa.InputError, match="which fund"):
        engine.deposit({"account": ["fund"], "amount": ["1"]})
    engine.deposit({"account": ["fund", "bob"], "amount": ["1", "2"], "currency": ["EUR", None]})
    assert engine._state.reserve_cash[0].tolist() == [6_000_000, 1_000_000_000]
    with pytest.raises(fa.InputError, match="6000000 atoms are free") as caught:
        engine.withdraw(
            {"account": np.array([4, -1]), "amount": ["1", "6.000001"], "currency": ["USD", "EUR"]}
        )
    assert caught.value.path == ("transfers", 1, "amount")
    engine.withdraw({"account": np.array([4, -1]), "amount": ["1", "6"], "currency": ["USD", "EUR"]})
    assert engine._state.reserve_cash[0].tolist() == [0, 1_000_000_000]
    assert engine.check().ok
    with pytest.raises(fa.InputError, match="own"):
        engine.deposit({"account": ["bob"], "amount": ["1"], "currency": ["EUR"]})
    with pytest.raises(fa.InputError, match="of the book"):
        engine.deposit({"account": ["market"], "amount": ["1"], "currency": ["EUR"]})


def test_what_is_withdrawn_from_the_fund_is_no_drawdown_and_what_comes_in_is_room() -> None:
    mean = {"trigger": "drawdown", "drawdown_start": "0.3", "drawdown_reference": "mean"}
    fund, cash = {"cash": "100"}, Fraction(100_000_000)
    for policy, more, total in (("bitmex", {"max_drawdown": "0.2"}, 0), (mean, {}, 1)):
        engine = fa.Engine(market(), policy=policy, fund=fa.Fund(**fund, **more))
        engine.tick(engine.marks, time=1)
        rule = engine._rules[0]
        for sign, taken in ((-1, 40), (1, 0)):
            (engine.withdraw if sign < 0 else engine.deposit)({"account": ["fund"], "amount": ["40"]})
            cash -= taken * 10**6
            assert rule.memory.equity == ((1, cash),)
            assert rule.memory.total == total * cash
        assert engine.check().ok
        cash += 40 * 10**6


def test_the_fund_gives_no_more_than_its_equity() -> None:
    table, accounts, positions = market().to_frames()
    positions = positions.with_columns(account=pl.col("account").replace("a000", "fund"))
    positions = positions.unique(["account", "symbol"], keep="first")
    engine = fa.Engine(fa.Book.from_frames(table, accounts, positions), fund="1000")
    engine.mark(dict.fromkeys(engine.symbols, "11"))
    state = engine._state
    free = min(int(state.reserve_cash[0, 0]), floor(state.reserve_equity(0, 0)))
    with pytest.raises(fa.InputError, match=f"{free} atoms are free"):
        engine.withdraw({"account": ["fund"], "amount_atoms": [free + 1]})
    engine.withdraw({"account": ["fund"], "amount_atoms": [free]})


# ---------------------------------------------------------------------- what is free, quickly


def test_quick_and_exact_answers_are_one() -> None:
    engine = fa.Engine(levered())
    for price in ("10", "11.3333", "7"):
        engine.mark(dict.fromkeys(engine.symbols, price))
        state = engine._state
        account = np.arange(len(engine.accounts), dtype=np.int32)
        free = free_collateral(state, account)
        rows, units, listed = state.book.rows, state.marks.units, state.instruments
        exact = [collateral(rows, slot, units, listed) for slot in state.book.slot.tolist()]
        assert free.tolist() == [max(0, floor(each)) for each in exact]
        assert engine.free_collateral(engine.accounts).tolist() == free.tolist()
        assert [engine.free_collateral(name) for name in engine.accounts] == free.tolist()
        assert affordable(state, account, free) is None
        for i in range(len(account)):
            wanted = free.copy()
            wanted[i] += 1
            assert affordable(state, account, wanted) == i


@pytest.mark.parametrize("leverage", ["10", "100", "1000"])
def test_nobody_becomes_liquidatable_by_what_is_withdrawn_or_moved(leverage: str) -> None:
    """Whatever a tier's largest leverage says, its maintenance margin stays (rule R104)."""
    table, accounts, positions = desk().book.to_frames()
    tiers = [{"min_notional": "0", "maintenance_rate": "0.05", "max_leverage": leverage}]
    book = fa.Book.from_frames(table.to_dict() | {"tiers": [tiers] * 3}, accounts, positions)
    for leave in ("withdraw", "transfer"):
        engine = fa.Engine(book)
        engine.mark({"X": "8", "Y": "9", "E": "10"})
        equity, notional = 100 - 9 + 6, 11 * 8 + Fraction(4 * 100, 9)
        free = floor(10**6 * (equity - max(Fraction(1, int(leverage)), Fraction("0.05")) * notional))
        assert engine.free_collateral("ann") == free
        assert affordable(engine._state, np.array([0], np.int32), np.array([free])) is None
        assert affordable(engine._state, np.array([0], np.int32), np.array([free + 1])) == 0
        if leave == "withdraw":
            engine.withdraw({"account": ["ann"], "amount_atoms": [free]})
        else:
            engine.transfer({"source": ["ann"], "target": ["ann:Y"], "amount_atoms": [free]})
        assert engine.free_collateral("ann") == 0
        assert engine.mark(engine.marks).liquidatable == 0


@pytest.mark.parametrize(
    ("symbol", "lots", "price", "more", "need"),
    [
        ("X", 1, "10", {}, "0"),  # closes of the short
        ("X", 2, "99", {}, "0"),
        ("X", -9, "10", {}, "0"),
        ("X", 2, "10", {"side": "short"}, "0"),
        ("X", 5, "10", {}, "1"),  # closes two, opens three
        ("X", 1, "10", {"side": "long"}, "1"),
        ("X", 1, "9", {"side": "long"}, "1"),
        ("X", 1, "12", {"side": "long"}, "3"),
        ("X", 1, "12", {"side": "long", "fee": "0.03"}, "3.03"),
        ("X", 1, "10", {"side": "long", "fee": "-2"}, "0"),
        ("X", 90, "10", {"side": "long"}, "90"),
        ("X", 91, "10", {"side": "long"}, "191"),  # the row comes to 1000: a fifth of all of it
        ("X", -4, "9.99", {"side": "short"}, "4.04"),
        ("X", -12, "10", {}, "0"),
        ("X", -12, "9", {}, "6"),
        ("Y", 1, "10", {}, "1"),
        ("Y", 1, "12.5", {}, "3"),
    ],
)
def test_an_order_needs_what_its_rows_and_its_price_say(
    symbol: str, lots: int, price: str, more: dict[str, str], need: str
) -> None:
    """Ann has X 9 long and 2 short, Y 4 long, worth 10 a lot: at ten times, at five from 1000 up."""
    order = {"account": ["ann"], "symbol": [symbol], "lots": [lots], "price": [price]}
    engine = desk()
    assert engine.initial_margin(order | {k: [v] for k, v in more.items()}).tolist() == [
        Fraction(need) * 10**6
    ]
    assert engine.check().ok


def test_what_an_order_needs_is_rounded_up() -> None:
    """From four to five lots of 33.3… at a tenth, and an atom lost between what is paid and the mark."""
    engine = desk()
    engine.mark({"Y": "3"})
    order = {"account": ["ann"], "symbol": ["Y"], "lots": [1], "price": ["3"]}
    assert engine.initial_margin(order).tolist() == [16_666_667 - 13_333_333 + 1]


def test_orders_of_reserves_need_nothing_and_bad_ones_are_named() -> None:
    engine = desk()
    fine = {"account": ["fund", "ann", "market"], "symbol": ["X"] * 3, "lots": [5, 5, 5], "price": ["10"] * 3}
    assert engine.initial_margin(fine).tolist() == [0, 10**6, 0]
    coded = {"account": np.array([-1, 0, -2]), "symbol": np.zeros(3, np.int64), "lots": np.full(3, 5)}
    assert engine.initial_margin(coded | {"value_atoms": np.full(3, 50 * 10**6)}).tolist() == [0, 10**6, 0]
    assert engine.initial_margin({name: column[:0] for name, column in fine.items()}).tolist() == []
    for column, value in (("account", "eve"), ("symbol", "Z"), ("symbol", "E"), ("lots", 0), ("price", "-1")):
        with pytest.raises(fa.InputError) as caught:
            engine.initial_margin(fine | {column: [*fine[column][:1], value, *fine[column][2:]]})
        assert caught.value.path == ("orders", 1, column)
    beyond = {"account": ["ann"] * 3, "lots": [3] * 3, "side": ["long", "short", None]}
    with pytest.raises(fa.InputError, match="no more of it than is held") as caught:
        engine.initial_margin(fine | beyond)
    assert caught.value.path == ("orders", 1, "lots")
    listed = engine.book.to_frames()[0].filter(symbol="X").drop("mark")
    engine.list_instruments(listed.with_columns(symbol=pl.lit("Z")))
    with pytest.raises(fa.InputError, match="row 1, column symbol: Z: it was never marked: mark it first"):
        engine.initial_margin(fine | {"symbol": ["X", "Z", "X"]})


@pytest.mark.parametrize("given", [levered, market])
def test_who_has_free_what_an_order_needs_has_its_margin_when_it_is_filled(given: Any) -> None:
    engine, random, count = fa.Engine(given()), np.random.default_rng(3), 150
    engine.mark(dict.fromkeys(engine.symbols, "9.7"))

    def spare(one: fa.Engine, account: int) -> Fraction:
        state, slot = one._state, int(one._state.book.slot[account])
        units, listed = state.marks.units, state.instruments
        return equity(state.book.rows, slot, units) - initial_margin(state.book.rows, slot, units, listed)

    def held(one: fa.Engine, account: int, symbol: str, side: str) -> int:
        found = one.positions(account).filter(symbol=symbol, side=side)["lots"]
        return int(found.sum())

    account = random.integers(0, len(engine.accounts), count)
    symbol = random.choice(engine.symbols, count).tolist()
    lots = random.integers(1, 60, count) * random.choice([-1, 1], count)
    price = random.choice(["9.5", "9.7", "9.72", "10.3"], count).tolist()
    need = engine.initial_margin({"account": account, "symbol": symbol, "lots": lots, "price": price})
    free, opened = engine.free_collateral(account), 0
    for i in range(count):
        one, who, many = engine.copy(), int(account[i]), int(lots[i])
        pair = {"account": np.array([who, -2]), "lots": np.array([many, -many])}
        one.apply_fills(pair | {"symbol": [symbol[i]] * 2, "price": [price[i]] * 2})
        side = "long" if many > 0 else "short"
        if held(one, who, symbol[i], side) == held(engine, who, symbol[i], side):
            assert need[i] == 0
            continue
        before, after = spare(engine, who), spare(one, who)
        worse = price[i] == "9.7" or (float(price[i]) > 9.7) == (many > 0)
        assert max(0, before - after) <= need[i]
        assert not worse or need[i] <= max(0, before - after) + 6
        if need[i] <= free[i]:
            opened += 1
            assert after >= min(before, 0)
    assert opened > 10


def test_withdrawals_of_one_account_add_up_whatever_is_between_them() -> None:
    engine = fa.Engine(levered())
    a, b = (int(each) for each in np.argsort([-engine.free_collateral(name) for name in engine.accounts])[:2])
    free = engine.free_collateral(a), engine.free_collateral(b)
    with pytest.raises(fa.InputError, match=f" {5} atoms are free") as caught:
        engine.withdraw({"account": np.array([a, b, a, b]), "amount_atoms": [free[0] - 5, free[1], 6, 1]})
    assert caught.value.path == ("transfers", 2, "amount")


# ---------------------------------------------------------------------- readers


def test_positions_of_an_account_say_what_its_rows_are() -> None:
    engine = desk()
    engine.mark({"X": "10.5", "Y": "9.5"})
    found = engine.positions("ann")
    assert found.select("symbol", "side", "lots").rows() == [
        ("X", "long", 9),
        ("X", "short", 2),
        ("Y", "long", 4),
    ]
    assert found["entry_price"].round(6).to_list() == [9.0, 11.0, 9.0]
    assert found["notional"].round(6).to_list() == [94.5, 21.0, 42.105263]
    assert found["unrealized_pnl"].round(6).to_list() == [13.5, 1.0, round(400 / 9 - 400 / 9.5, 6)]
    assert found["initial_margin"].round(6).to_list() == [9.45, 2.1, 4.210526]
    assert found["maintenance_margin"].round(6).to_list() == [0.945, 0.21, 0.421053]
    assert found["margin_mode"].unique().to_list() == ["cross"]
    assert engine.positions(3).height == 0
    assert engine.positions(3).schema == found.schema
    with pytest.raises(fa.InputError):
        engine.positions("nobody")
    with pytest.raises(fa.InputError):
        engine.positions(5)


@pytest.mark.parametrize("seed", range(3))
def test_at_its_liquidation_price_an_account_just_keeps_its_margin(seed: int) -> None:
    engine = fa.Engine(market(seed=seed))
    engine.mark(engine.marks)
    seen = 0
    for account in range(len(engine.accounts)):
        for row in engine.positions(account).iter_rows(named=True):
            price = row["liquidation_price"]
            if price is None:
                for factor in (0.001, 0.1, 0.9, 1.1, 10.0, 1000.0):
                    assert not _falls(engine, account, row["symbol"], row["mark_price"] * factor)
                continue
            seen += 1
            away = 1e-7 if price > row["mark_price"] else -1e-7
            assert _falls(engine, account, row["symbol"], price * (1 + away))
            assert not _falls(engine, account, row["symbol"], price * (1 - away))
    assert seen > 10


def _falls(engine: fa.Engine, account: int, symbol: str, price: float) -> bool:
    """Whether an account is below maintenance margin with one mark elsewhere."""
    other = engine.copy()
    other.mark({symbol: price})
    return bool(other.equity()[account] < other.maintenance_margin()[account])


def test_frames_are_of_one_moment_and_stay() -> None:
    engine = fa.Engine(market())
    frames = engine.frames()
    copies = [frame.clone() for frame in frames]
    engine.apply_fills(batch(np.random.default_rng(0), engine.book, 20))
    assert all(one.equals(two) for one, two in zip(frames, copies, strict=True))
    Ledger(fa.Book.from_frames(*engine.frames())).same(engine.book)


def test_a_book_is_described_the_same_with_free_slots_and_closed_rows() -> None:
    engine = fa.Engine(market(hedged=False))
    random = np.random.default_rng(1)
    for _ in range(5):
        engine.apply_fills(batch(random, engine.book, 30))
    book = engine.book
    assert (book.rows.account < 0).any()
    assert not book.rows.lots.all()
    anew = fa.Book.from_frames(*engine.frames())
    assert anew.compact() is anew
    assert len(book.compact().rows.lots) == len(book)
    assert fa.synth.describe(book) == fa.synth.describe(anew)


def test_a_book_prepared_for_what_comes_is_not_moved_again() -> None:
    engine = fa.Engine(market())
    engine.prepare_live(positions=2_000_000, accounts=1_000_000)
    base = engine._state.book.rows.lots.base
    assert len(base) >= 2_000_000
    engine.apply_fills(batch(np.random.default_rng(0), engine.book, 200))
    assert engine._state.book.rows.lots.base is base
    check_layout(engine)
    with pytest.raises(fa.InputError):
        engine.prepare_live(positions=-1)


def test_lights_are_told_as_of_their_moment_though_fills_move_rows() -> None:
    engine = fa.Engine(market())
    engine.mark(engine.marks)
    random = np.random.default_rng(3)
    for _ in range(3):
        then = engine.lights(), engine.percentiles()
        frames = [each.frame() for each in then]
        engine.apply_fills(batch(random, engine.book, 200))
        assert all(each.frame().equals(frame) for each, frame in zip(then, frames, strict=True))
        assert not engine.lights().frame().equals(frames[0])


@pytest.mark.parametrize(("mark", "border"), [("110", 80 / 0.81), ("150", 655 / 4.09)])
def test_of_two_liquidation_prices_the_nearer_one_is_told(mark: str, border: float) -> None:
    """A hedge, almost even, that loses when the price falls, and whose margin outgrows it when it rises."""
    tiers = [
        {"min_notional": "0", "maintenance_rate": "0.01"},
        {"min_notional": "1500", "maintenance_rate": "0.5"},
    ]
    table = {"symbol": ["X"], "kind": ["linear"], "contract_size": ["1"], "lot": ["1"], "tiers": [tiers]}
    held = {"account": ["ann", "ann", "bob"], "symbol": ["X"] * 3, "lots": [10, -9, -1]}
    cash = {"id": ["ann", "bob"], "cash": ["20", "10000"]}
    engine = fa.Engine(fa.Book.from_frames(table, cash, held | {"entry_price": ["100"] * 3}))
    assert engine.mark({"X": mark}).liquidatable == 0
    assert engine.positions("ann")["liquidation_price"].to_list() == pytest.approx([border] * 2)


# ---------------------------------------------------------------------- what follows from a change


def test_new_tiers_count_at_the_next_mark_even_if_no_price_moves() -> None:
    engine = desk()
    assert engine.mark({"X": "10", "Y": "10", "E": "10"}).liquidatable == 0
    engine.deleverage()
    steep = [
        {"min_notional": "0", "maintenance_rate": "0.01"},  # as before: what lies above it is in the guards
        {"min_notional": "1", "maintenance_rate": "0.99"},
    ]
    engine.set_tiers({"X": steep, "Y": steep})
    assert engine.mark({}).liquidatable == 1
    assert engine.liquidations()["account"].to_list() == ["ann"]


def test_a_session_begins_with_the_cash_of_new_accounts_and_a_moved_row_takes_its_profit_along() -> None:
    policy = {"space": "wealth", "socialization": "session_profit", "session": 3600}
    engine = desk(policy)
    engine.tick({"X": "10", "Y": "10", "E": "10"}, time=5)
    engine.open_accounts({"id": ["eve"], "cash": ["50"], "currency": ["USD"], "owner": ["ann"]})
    assert engine._state.session is not None
    assert engine._state.session.opening[5] == 50 * 10**6
    engine.tick({"X": "12"}, time=6)
    won = (engine.equity() - engine._state.session.opening).tolist()
    assert won[5] == 0
    engine.transfer(moves("ann", "eve", "20", symbol="X", side="long"))
    assert engine.positions("eve")["unrealized_pnl"].to_list() == [27.0]
    assert (engine.equity() - engine._state.session.opening).tolist() == won


def test_an_isolated_account_takes_no_second_position() -> None:
    engine = desk()
    engine.mark({"X": "10", "Y": "10", "E": "10"})
    engine.transfer(moves("ann", "ann:X", "20", symbol="X", side="long"))
    for more in ({"symbol": "X", "side": "short"}, {"symbol": "Y"}):
        with pytest.raises(fa.InputError, match="an isolated account holds at most one position"):
            engine.transfer(moves("ann", "ann:X", "20", **more))


def test_what_the_reserves_realise_at_final_settlement_is_remembered() -> None:
    table, accounts, positions = desk().book.to_frames()
    more = {
        "account": ["fund", "market"],
        "symbol": ["X", "X"],
        "lots": [4, -4],
        "entry_value_atoms": [36, -44],
    }
    positions = pl.concat([positions, pl.DataFrame(more).cast(dict(positions.schema))])
    engine = fa.Engine(fa.Book.from_frames(table, accounts, positions), fund={"USD": "5", "EUR": "5"})
    engine.settle_instrument("X", "10")
    worth = 4 * 10 * 10**6
    assert engine._state.reserve_realized.tolist() == [[worth - 36, 0, 0], [44 - worth, 0, 0]]


def test_a_fund_without_accounts_takes_and_gives_money() -> None:
    listed = fa.synth.book("pareto", positions=1000, accounts=400, instruments=2, seed=1).to_frames()[0]
    none = {"account": [], "symbol": [], "lots": [], "entry_value_atoms": []}
    engine = fa.Engine(fa.Book.from_frames(listed, {"id": [], "cash": []}, none), fund="5")
    engine.deposit({"account": ["fund"], "amount": ["2"]})
    engine.withdraw({"account": ["fund"], "amount": ["7"]})
    assert engine.reserves()["cash"].to_list() == [0, 0]
