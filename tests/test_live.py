"""A book that lives: fills change it in place, all of a batch or nothing."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl.decimals import plain
from fastadl.kernels.mark import guard_slots
from fastadl.schema import ROW_BOUND

TIERS = [
    {"min_notional": "0", "maintenance_rate": "0.005"},
    {"min_notional": "1000", "maintenance_rate": "0.02"},
]


class Ledger:
    """The same book, the obvious way: long and short lots and entry value by account and symbol."""

    def __init__(self, book: fa.Book) -> None:
        _, accounts, positions = book.columns()
        self.cash = accounts.cash.tolist()
        self.held: dict[tuple[int, int, int], tuple[int, int]] = {}
        for a, i, q, e in zip(*(column.tolist() for column in (
            positions.account, positions.instrument, positions.lots, positions.entry_value
        )), strict=True):  # fmt: skip
            self.held[a, i, q < 0] = (q, e)

    def fill(self, account: int, symbol: int, lots: int, value: int, fee: int) -> int:
        """One fill; what it realises."""
        short, profit = lots < 0, 0
        held, entry = self.held.pop((account, symbol, not short), (0, 0))
        if held:
            closed = min(abs(lots), abs(held))
            paid = _part(value, closed, abs(lots))
            released = _part(entry, closed, abs(held))
            profit = -paid - released
            if abs(held) > closed:
                kept = held + (closed if held < 0 else -closed)
                self.held[account, symbol, not short] = (kept, entry - released)
            lots += closed if short else -closed
            value -= paid
        if lots:
            more, cost = self.held.get((account, symbol, short), (0, 0))
            self.held[account, symbol, short] = (more + lots, cost + value)
        self.cash[account] += profit - fee
        return profit

    def same(self, book: fa.Book) -> None:
        other = Ledger(book)
        assert other.cash == self.cash
        assert other.held == self.held


def _part(value: int, some: int, whole: int) -> int:
    return (abs(value) * some // whole) * (1 if value >= 0 else -1)


def market(*, accounts: int = 40, symbols: int = 6, hedged: bool = True, seed: int = 0) -> fa.Book:
    """Accounts with up to four positions each; some long and short of one symbol."""
    random = np.random.default_rng(seed)
    held = [
        (f"a{a:03}", f"S{i}", side * int(random.integers(1, 50)))
        for a in range(accounts)
        for i in random.choice(symbols, random.integers(0, 4), replace=False)
        for side in ([1, -1] if hedged and random.random() < 0.3 else [random.choice([1, -1])])
    ]
    net = {f"S{i}": -sum(q for _, s, q in held if s == f"S{i}") for i in range(symbols)}
    held += [("zz", symbol, lots) for symbol, lots in net.items() if lots]
    return fa.Book.from_frames(
        {
            "symbol": [f"S{i}" for i in range(symbols)],
            "kind": ["inverse" if i == 1 else "linear" for i in range(symbols)],
            "contract_size": ["100" if i == 1 else "1" for i in range(symbols)],
            "lot": ["1"] * symbols,
            "tiers": [TIERS] * symbols,
            "mark": ["10"] * symbols,
        },
        {"id": [*(f"a{a:03}" for a in range(accounts)), "zz"], "cash": ["500"] * (accounts + 1)},
        {
            "account": [a for a, _, _ in held],
            "symbol": [s for _, s, _ in held],
            "lots": [int(q) for _, _, q in held],
            "entry_price": ["10"] * len(held),
        },
    )


def batch(random: np.random.Generator, book: fa.Book, trades: int) -> dict[str, Any]:
    """Random trades, two fills each, as codes, lots and atoms."""
    who = np.array([random.choice(len(book.accounts), 2, replace=False) for _ in range(trades)])
    symbol = random.integers(0, len(book.instruments), trades)
    lots = random.integers(1, 60, trades)
    unit = np.array([float(item.unit_value(item.mark)) for item in book.instruments])
    value = np.rint(lots * unit[symbol] * random.uniform(0.97, 1.03, trades)).astype(np.int64)
    return {
        "account": who.ravel().astype(np.int32),
        "symbol": np.repeat(symbol, 2).astype(np.int32),
        "lots": (lots[:, None] * [1, -1]).ravel(),
        "value_atoms": (value[:, None] * [1, -1]).ravel(),
        "fee_atoms": random.integers(0, 100, 2 * trades),
    }


def columns(fills: dict[str, Any]) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in fills.values()), strict=True))


def check_layout(engine: fa.Engine) -> None:
    """Every account has its own slot, rows in order, a right guard; a free slot has nothing."""
    state = engine._state
    book, rows = state.book, state.book.rows
    assert np.array_equal(rows.account[book.slot], np.arange(len(book.slot)))
    free = np.setdiff1d(np.arange(len(rows.cash)), book.slot)
    assert (rows.account[free] == -1).all()
    assert not rows.cash[free].any()
    for g, many in enumerate(rows.group_rows.tolist()):
        span = slice(*rows.group_row[g : g + 2].tolist())
        nobody = rows.account[slice(*rows.group_slot[g : g + 2].tolist())] < 0
        leg, lots, entry = (
            each[span].reshape(many, len(nobody)) for each in (rows.leg, rows.lots, rows.entry)
        )
        leg = leg.astype(np.int64)
        order = 2 * book.instruments.rank[leg >> 1] + (leg & 1)
        assert (np.diff(order[:, ~nobody], axis=0) > 0).all()
        assert not lots[:, nobody].any()
        assert not entry[:, nobody].any()
        assert not entry[lots == 0].any()
        assert ((lots < 0) == (leg & 1 == 1))[lots != 0].all()
    spare = engine._trading._room.spare if engine._trading else None
    if spare is not None:
        listed = []
        for many, slot in enumerate(spare.head.tolist()):
            while slot >= 0:
                listed.append(slot)
                group = np.searchsorted(rows.group_slot, slot, side="right") - 1
                assert rows.group_rows[group] == many
                slot = int(spare.next[slot])
        room = engine._trading._room
        gaps = room._gap[np.searchsorted(rows.group_slot, free, side="right") - 1]
        assert sorted(listed) == free[~gaps].tolist()
        assert len(listed) == spare.free.sum()
    if state.ceiling.any():
        anew = np.full_like(state.guard, np.inf)
        guard_slots(rows, state.ceiling, state.margins, book.slot, anew)
        assert np.array_equal(anew, state.guard)


@pytest.mark.parametrize("seed", range(6))
def test_batches_of_fills_do_what_a_ledger_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    engine = fa.Engine(market(seed=seed, hedged=seed % 2 == 0))
    engine.mark(engine.marks)
    ledger = Ledger(engine.book)
    for _ in range(25):
        fills = batch(random, engine.book, int(random.integers(1, 40)))
        filled = engine.apply_fills(fills)
        assert filled.realized_pnl.tolist() == [ledger.fill(*row) for row in columns(fills)]
        assert filled.to_fund.tolist() == [fills["fee_atoms"].sum()]
        ledger.same(engine.book)
        check_layout(engine)
        assert engine.check().ok


@pytest.mark.parametrize(
    "policy",
    [
        "bitmex",
        pytest.param({"preset": "hyperliquid_2025", "rerank": "each"}, marks=pytest.mark.jit),
        pytest.param(
            {"score": "binance", "allocation": "leverage_fill", "guard": "solvent"}, marks=pytest.mark.jit
        ),
        {"space": "wealth"},
        {"space": "wealth", "socialization": "haircut"},
        {"space": "wealth", "socialization": "opposite_side"},
    ],
)
def test_ticks_after_fills_are_those_of_a_book_made_anew(policy: Any) -> None:
    random = np.random.default_rng(7)
    engine = fa.Engine(market(seed=7), fund="1000", policy=policy)
    for step in range(12):
        engine.apply_fills(batch(random, engine.book, 30))
        fund = engine._state.reserve_cash[0, 0]
        cash = plain(Fraction(int(fund), 10**6))
        anew = fa.Engine(fa.Book.from_frames(*engine.book.to_frames()), fund=cash, policy=policy)
        prices = engine.marks * random.uniform(0.85, 1.15, len(engine.marks))
        for each in (engine, anew):
            each.mark(prices)
        if isinstance(policy, str) or "space" not in policy:
            assert engine.lights().frame().equals(anew.lights().frame())
            for name in engine.symbols:
                assert engine.rank(name, "long").equals(anew.rank(name, "long"))
        reports = engine.deleverage(), anew.deleverage()
        frames = [report.frames() for report in reports]
        for name, frame in frames[0].items():
            if name != "summary":
                assert frame.equals(frames[1][name]), (step, name)
        assert engine.check().ok
        check_layout(engine)


@pytest.mark.parametrize("seed", range(4))
def test_a_refused_batch_changes_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    engine = fa.Engine(market(seed=seed))
    engine.mark(engine.marks)
    engine.apply_fills(batch(random, engine.book, 5))
    ledger = Ledger(engine.book)
    fund = engine._state.reserve_cash.copy()
    for _ in range(20):
        fills = batch(random, engine.book, 30)
        large = np.array([ROW_BOUND, -ROW_BOUND])
        worth = engine.book.instruments[0].unit_value(engine.book.instruments[0].mark)
        late = {
            "account": np.repeat(fills["account"][-2:], 2),
            "symbol": np.zeros(4),
            "lots": np.array([1, -1, *large]),
            "value_atoms": np.array([1, -1, 0, 0]) * int(worth),
            "fee_atoms": np.zeros(4),
        }
        bad = {name: np.append(column, late[name]).astype(column.dtype) for name, column in fills.items()}
        with pytest.raises(fa.BoundsError) as caught:
            engine.apply_fills(bad)
        assert caught.value.path[:2] in [("fills", 62), ("fills", 63)]
        ledger.same(engine.book)
        check_layout(engine)
        assert np.array_equal(fund, engine._state.reserve_cash)
        assert engine.check().ok


def _one_trade(engine: fa.Engine, **changed: Any) -> dict[str, Any]:
    buyer, seller = engine.accounts[:2]
    return {
        "account": [buyer, seller], "symbol": ["S0", "S0"], "lots": [2, -2], "price": ["10.5", "10.5"]
    } | changed  # fmt: skip


BAD = [
    ({"account": ["a000", "nobody"]}, ("fills", 1, "account")),
    ({"account": np.array([0, 99])}, ("fills", 1, "account")),
    ({"symbol": ["S0", "S9"]}, ("fills", 1, "symbol")),
    ({"symbol": np.array([6, 0])}, ("fills", 0, "symbol")),
    ({"lots": [0, 0]}, ("fills", 0, "lots")),
    ({"lots": [2, -1]}, ("fills", "lots")),
    ({"lots": [2, 2]}, ("fills", "lots")),
    ({"price": ["10.5", "10.4"]}, ("fills", "value")),
    ({"price": ["10.5", "0"]}, ("fills", 1, "price")),
    ({"price": ["10.5", "x"]}, ("fills", 1, "price")),
    ({"fee": ["-1", "0.5"]}, ("fills", "fee")),
    ({"fee": ["0.0000001", "0"]}, ("fills", 0, "fee")),
    ({"lots": [ROW_BOUND, -ROW_BOUND]}, ("fills", 0, "price")),
    ({"value": ["1", "-1"]}, ("fills", "price")),
    ({"owner": ["a", "b"]}, ("fills", "owner")),
    ({"side": ["long", "both"]}, ("fills", 1, "side")),
    ({"side": np.array([1, 2])}, ("fills", 1, "side")),
    ({"side": [None, "long"], "lots": [900, -900]}, ("fills", 1, "lots")),
    ({"account": ["a000", "fund"], "side": [None, "long"]}, ("fills", 1, "side")),
    ({"account": np.array([0, -3])}, ("fills", 1, "account")),
]


@pytest.mark.parametrize(("changed", "path"), BAD)
def test_bad_fills_are_refused_by_name(changed: dict[str, Any], path: tuple[Any, ...]) -> None:
    engine = fa.Engine(market())
    ledger = Ledger(engine.book)
    with pytest.raises(fa.InputError) as caught:
        engine.apply_fills(_one_trade(engine, **changed))
    assert caught.value.path == path
    ledger.same(engine.book)
    assert engine.check().ok


@pytest.mark.parametrize("values", [["-21", "21"], ["21", "-20"], ["20", "-21"], ["21.000001", "-21"]])
def test_values_have_the_sign_of_their_lots_and_add_up_to_nothing(values: list[str]) -> None:
    engine = fa.Engine(market())
    fills = _one_trade(engine, value=values)
    del fills["price"]
    with pytest.raises(fa.InputError):
        engine.apply_fills(fills)
    fills["value"] = ["21", "-21"]
    assert engine.apply_fills(fills).to_fund.tolist() == [0]


def test_what_prices_round_off_goes_to_the_fund() -> None:
    engine = fa.Engine(market())
    fills = _one_trade(engine, price=["10.33333333"] * 2)
    assert engine.apply_fills(fills).to_fund.tolist() == [1]
    assert engine.check().ok


def test_frames_and_codes_say_the_same() -> None:
    named, coded = fa.Engine(market()), fa.Engine(market())
    named.apply_fills(pl.DataFrame(_one_trade(named)))
    coded.apply_fills(_one_trade(coded, account=np.array([0, 1]), symbol=np.array([0, 0], np.uint8)))
    Ledger(named.book).same(coded.book)


def test_codes_are_positions_of_names() -> None:
    engine = fa.Engine(market())
    assert engine.codes(accounts=["a003", "zz", "a003"]).tolist() == [3, 40, 3]
    assert engine.codes(symbols=pl.Series(["S5", "S0"])).tolist() == [5, 0]
    with pytest.raises(fa.InputError, match="nobody"):
        engine.codes(accounts=["zz", "nobody"])
    with pytest.raises(fa.InputError, match="S9"):
        engine.codes(symbols="S9")
    with pytest.raises(fa.InputError, match="one of the two"):
        engine.codes()


def test_an_isolated_account_opens_no_second_position() -> None:
    frames = list(market(accounts=6, hedged=False).to_frames())
    held = frames[2].filter(pl.len().over("account") == 1).row(0, named=True)
    mode = pl.when(pl.col("id") == held["account"]).then(pl.lit("isolated")).otherwise(pl.lit("cross"))
    engine = fa.Engine(fa.Book.from_frames(frames[0], frames[1].with_columns(margin_mode=mode), frames[2]))
    ledger = Ledger(engine.book)

    def fills(symbol: str, lots: int) -> dict[str, Any]:
        values = {"lots": [lots, -lots], "price": ["10", "10"]}
        return {"account": [held["account"], "zz"], "symbol": [symbol] * 2} | values

    other = next(symbol for symbol in engine.symbols if symbol != held["symbol"])
    with pytest.raises(fa.InputError, match="isolated"):
        engine.apply_fills(fills(other, 5))
    ledger.same(engine.book)
    engine.apply_fills(fills(held["symbol"], -2 * held["lots"]))
    engine.apply_fills(fills(held["symbol"], held["lots"]))
    engine.apply_fills(fills(other, 5))


def test_prices_far_from_the_mark_are_booked_and_flagged() -> None:
    engine = fa.Engine(market())
    assert engine.apply_fills(_one_trade(engine)).far.tolist() == [False, False]
    assert engine.apply_fills(_one_trade(engine, price=["20", "20"])).far.tolist() == [True, True]


def test_fills_wait_for_the_end_of_a_tick() -> None:
    engine = fa.Engine(market())
    engine.mark(engine.marks)
    engine.takeover()
    with pytest.raises(fa.StageError):
        engine.apply_fills(_one_trade(engine))
    engine.deleverage()
    engine.apply_fills(_one_trade(engine))


def test_opening_and_closing_for_long_takes_no_more_slots() -> None:
    random = np.random.default_rng(3)
    engine = fa.Engine(market(accounts=300, symbols=12))
    sizes = []
    for _ in range(100):
        fills = batch(random, engine.book, 100)
        for sign in (1, -1):  # everything opened is closed again
            fills["lots"] *= sign
            fills["value_atoms"] *= sign
            engine.apply_fills(fills)
        sizes.append(len(engine.book.rows.lots))
    assert sizes[-1] == sizes[10]
    check_layout(engine)


def _trades(account: int, *lots: tuple[str, int], other: str = "zz") -> dict[str, Any]:
    """Fills of an account by symbol, at 10, against another."""
    return {
        "account": [f"a{account:03}", other] * len(lots),
        "symbol": [symbol for symbol, _ in lots for _ in range(2)],
        "lots": [sign * many for _, many in lots for sign in (1, -1)],
        "price": ["10"] * (2 * len(lots)),
    }


def _lonely(book: fa.Book) -> tuple[int, int, int]:
    """An account with one position, its symbol and lots."""
    _, _, positions = book.columns()
    account = int(np.flatnonzero(np.bincount(positions.account) == 1)[0])
    at = int(np.flatnonzero(positions.account == account)[0])
    return account, int(positions.instrument[at]), int(positions.lots[at])


def test_a_closed_row_whose_place_was_taken_comes_back() -> None:
    engine = fa.Engine(market())
    account, symbol, lots = _lonely(engine.book)
    ledger = Ledger(engine.book)
    new, last = [i for i in range(6) if i not in (symbol, 1)][:2]
    fills = _trades(account, (f"S{symbol}", -lots), (f"S{new}", 3), (f"S{last}", ROW_BOUND))
    fills["price"] = [*fills["price"][:4], "0.000001", "0.000001"]
    with pytest.raises(fa.BoundsError):
        engine.apply_fills(fills)
    ledger.same(engine.book)
    check_layout(engine)


def test_who_closes_what_he_opened_goes_back_to_fewer_rows() -> None:
    engine = fa.Engine(market())
    account, symbol, _ = _lonely(engine.book)
    others = [f"S{i}" for i in range(6) if i != symbol]
    engine.apply_fills(_trades(account, *((name, 2) for name in others)))
    room = engine._trading._room
    assert room.rows_of(account) == 6
    engine.apply_fills(_trades(account, *((name, -2) for name in others)))
    assert room.rows_of(account) == 2
    check_layout(engine)


def test_executions_open_rows_of_counterparties_in_place() -> None:
    engine = fa.Engine(market(), fund="1000")
    engine.apply_fills(_one_trade(engine))
    engine.mark(dict.fromkeys(engine.symbols, "8"))
    _, _, positions = engine.book.columns()
    account, symbol, lots = _lonely(engine.book)
    holders = set(positions.account[positions.instrument == symbol].tolist())
    other = next(a for a in range(40) if a not in holders)
    ledger = Ledger(engine.book)
    engine.settle(
        {
            "account": [engine.accounts[account]],
            "symbol": [f"S{symbol}"],
            "side": ["long" if lots > 0 else "short"],
            "lots": [abs(lots)],
            "price": ["8"],
            "counterparty": [engine.accounts[other]],
        }
    )
    unit = engine.book.instruments[symbol].unit_value(Fraction(8))
    paid = floor(lots * unit)
    ledger.fill(account, symbol, -lots, -paid, 0)
    ledger.fill(other, symbol, lots, paid, 0)
    ledger.same(engine.book)
    check_layout(engine)
    engine.deleverage()
    assert engine.check().ok


def test_a_copy_has_fills_of_its_own() -> None:
    engine = fa.Engine(market())
    engine.apply_fills(_one_trade(engine))
    other, ledger = engine.copy(), Ledger(engine.book)
    other.apply_fills(_one_trade(engine))
    ledger.same(engine.book)
    check_layout(other)
    assert engine.check().ok
    assert other.check().ok


def test_sums_past_the_bound_are_refused() -> None:
    engine = fa.Engine(market())
    ledger = Ledger(engine.book)
    fills = {
        "account": np.tile(np.array([0, 1]), 600),
        "symbol": np.zeros(1200, np.int64),
        "lots": np.tile([ROW_BOUND, -ROW_BOUND], 600),
        "value_atoms": np.zeros(1200, np.int64),
    }
    with pytest.raises(fa.BoundsError) as caught:
        engine.apply_fills(fills)
    assert caught.value.path == ("fills", 511, "lots")
    engine._state._room = 10.0
    engine._state.reserve_cash[1, 0] = 1 << 62
    with pytest.raises(fa.BoundsError, match="rule R1"):
        engine.apply_fills(_one_trade(engine))
    ledger.same(engine.book)


# ---------------------------------------------------------------------- deposits and withdrawals


def _free(engine: fa.Engine, account: str) -> Fraction:
    """Cash or equity, whichever is less, beyond initial margin, in atoms, from the frames."""
    table, accounts, positions = engine.book.to_frames()
    backing = cash = Fraction(accounts.filter(id=account)["cash_atoms"][0])
    needed = Fraction(0)
    for row in positions.filter(account=account).iter_rows(named=True):
        i = engine.symbols.index(row["symbol"])
        value = row["lots"] * engine.book.instruments[i].unit_value(Fraction(str(engine.marks[i])))
        backing += value - row["entry_value_atoms"]
        leverage = 20 if abs(value) < 1000 * 10**6 else 5
        needed += abs(value) / leverage
    assert len(table) == len(engine.symbols)
    return max(min(cash, backing) - needed, Fraction(0))


def levered() -> fa.Book:
    table, accounts, positions = market().to_frames()
    tiers = [TIERS[0] | {"max_leverage": "20"}, TIERS[1] | {"max_leverage": "5"}]
    table = table.with_columns(tiers=pl.Series([tiers] * len(table)))
    return fa.Book.from_frames(table, accounts.with_columns(cash_atoms=40 * 10**6), positions)


def test_what_is_free_is_what_lies_beyond_initial_margin() -> None:
    engine = fa.Engine(levered())
    for prices in ("10", "11.3333", "7"):
        engine.mark(dict.fromkeys(engine.symbols, prices))
        found = [engine.free_collateral(name) for name in engine.accounts]
        assert found == [floor(_free(engine, name)) for name in engine.accounts]
        assert 0 in found
        assert any(found)


def test_the_margin_of_a_row_is_asked_where_its_tier_names_no_leverage() -> None:
    item = market().instruments[0]
    assert item.initial_margin(Fraction(10**9)) == item.maintenance_margin(Fraction(10**9))


def test_more_than_is_free_cannot_be_withdrawn_and_the_error_says_how_much_can() -> None:
    engine = fa.Engine(levered())
    name = engine.accounts[3]
    free = engine.free_collateral(name)
    ledger = Ledger(engine.book)
    for amounts in ([free + 1], [free - 5, 6]):
        with pytest.raises(fa.InputError, match=str(free - sum(amounts[:-1]))) as caught:
            engine.withdraw({"account": [name] * len(amounts), "amount_atoms": amounts})
        assert caught.value.path == ("transfers", len(amounts) - 1, "amount")
        ledger.same(engine.book)
    engine.withdraw({"account": [name] * 2, "amount_atoms": [free - 5, 5]})
    assert engine.free_collateral(name) == 0
    assert engine.check().ok


def test_deposits_come_in_whole_or_not_at_all() -> None:
    engine = fa.Engine(market())
    before = engine.book.cash
    with pytest.raises(fa.BoundsError):
        engine.deposit({"account": np.array([1, 2]), "amount_atoms": [7, ROW_BOUND]})
    with pytest.raises(fa.InputError, match="above 0"):
        engine.deposit({"account": np.array([1, 2]), "amount_atoms": [7, 0]})
    with pytest.raises(fa.InputError, match="nobody"):
        engine.deposit({"account": ["a001", "nobody"], "amount": ["7", "1"]})
    assert np.array_equal(engine.book.cash, before)
    engine.deposit({"account": ["a001", "a001"], "amount": ["0.000001", "2"]})
    assert (engine.book.cash - before).tolist()[:3] == [0, 2_000_001, 0]
    assert engine.check().ok
    engine.mark(engine.marks)
    check_layout(engine)


def test_a_deposit_is_no_win_of_the_session() -> None:
    policy = {"space": "wealth", "socialization": "session_profit", "session": 3600}
    engine = fa.Engine(market(), policy=policy)
    engine.tick(engine.marks)
    opening = engine._state.session.opening.copy()
    engine.deposit({"account": ["a001"], "amount": ["5"]})
    session = engine._state.session
    assert (session.opening - opening).tolist()[:3] == [0, 5_000_000, 0]
    engine._state.session = replace(session, ended=opening)
    engine.deposit({"account": ["a001"], "amount": ["5"]})
    assert (engine._state.session.ended - opening).tolist()[:3] == [0, 5_000_000, 0]
