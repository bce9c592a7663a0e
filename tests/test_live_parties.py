"""Fills of the fund and the market account, and of one side of a hedge (rule R103)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from engines import book, lots, state_of
from fastadl import BoundsError, Engine, InputError
from test_live import Ledger, check_layout, market

POSITIONS = "ann X 100 100\nbob X -100 100"
CASH = {"ann": "9000", "bob": "9000", "cat": "9000"}


def engine(**accounts: Any) -> Engine:
    one = Engine(book(POSITIONS, cash=CASH, **accounts), fund="1000")
    one.mark({"X": 100})
    return one


def fills(*rows: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    who, many, price = zip(*rows, strict=True)
    return {"account": list(who), "symbol": ["X"] * len(who), "lots": list(many), "price": list(price)} | more


def reserve(one: Engine, who: int) -> tuple[int, int, int, int]:
    """Lots, entry value, cash and what was realised of the fund (0) or the market account (1)."""
    state = one._state
    columns = state.book.reserve_lots, state.book.reserve_entry, state.reserve_cash, state.reserve_realized
    return tuple(int(column[who, 0]) for column in columns)  # type: ignore[return-value]


# ---------------------------------------------------------------------- fund and market


def test_the_fund_sells_what_it_took_over() -> None:
    one = Engine(book(POSITIONS, cash=CASH | {"ann": "500"}), fund="1000")
    one.tick({"X": 94})
    assert reserve(one, 0) == (100, 9500_00, 1000_00, 0)
    filled = one.apply_fills(fills(("fund", -40, 93), ("cat", 40, 93)))
    assert filled.realized_pnl.tolist() == [-80_00, 0]
    assert reserve(one, 0) == (60, 5700_00, 920_00, -80_00)
    one.apply_fills(fills(("fund", -100, 94), ("cat", 100, 94)))
    assert reserve(one, 0) == (-40, -3760_00, 860_00, -140_00)
    assert lots(one)["cat", "X"] == 140
    assert one.check().ok


def test_the_market_may_trade_with_the_only_account_there_is() -> None:
    """Its code, -2, is no place in any column: with compiled kernels nothing would tell."""
    one = Engine(book("", cash={"ann": "9000"}), fund="1000")
    one.mark({"X": 100})
    first, last = ("ann", 1, 100), ("market", -1, 100)
    one.apply_fills(fills(*[first] * 20, ("market", -20, 100), first, last))
    assert lots(one) == {("ann", "X"): 21, ("market", "X"): -21}


def test_names_and_codes_of_the_reserves_say_the_same() -> None:
    named, coded = engine(), engine()
    assert named.codes(accounts=["market", "bob", "fund"]).tolist() == [-2, 1, -1]
    named.apply_fills(fills(("market", 5, 100), ("fund", -5, 100)))
    coded.apply_fills(fills((-2, 5, 100), (-1, -5, 100)) | {"account": np.array([-2, -1])})
    assert state_of(named) == state_of(coded)
    assert reserve(named, 1)[0] == 5


def test_fees_go_to_the_fund_its_own_too() -> None:
    one = engine()
    rows = ("market", 5, 100), ("fund", -5, 100)
    filled = one.apply_fills(fills(*rows, fee=["3", "2"]))
    assert filled.to_fund.tolist() == [5_00]
    assert (reserve(one, 0)[2], reserve(one, 1)[2]) == (1003_00, -3_00)
    assert one.check().ok


def test_what_prices_round_off_goes_to_the_fund() -> None:
    one = engine()
    filled = one.apply_fills(fills(("market", 1, "100.005"), ("ann", -1, "100.005")))
    assert filled.to_fund.tolist() == [1]
    assert one.check().ok


def test_far_prices_of_reserves_are_flagged() -> None:
    rows = ("fund", 1, 80), ("market", -1, 80), ("fund", 1, 99), ("ann", -1, 99)
    assert engine().apply_fills(fills(*rows)).far.tolist() == [True, True, False, False]


@pytest.mark.parametrize("who", ["fund", "market"])
def test_a_refused_batch_leaves_the_reserves_as_they_were(who: str) -> None:
    one = engine()
    before = state_of(one), reserve(one, 0), reserve(one, 1)
    rows = (who, 5, 100), ("ann", -5, 100)
    with pytest.raises(BoundsError) as caught:
        one.apply_fills(fills(*rows, *rows, fee_atoms=[0, 2**53, 0, 2**53]))
    assert caught.value.path == ("fills", 3, "account")
    assert (state_of(one), reserve(one, 0), reserve(one, 1)) == before


def test_a_reserve_beyond_its_bounds_is_named_unless_another_fill_is_bad_before() -> None:
    one = engine()
    before = state_of(one), reserve(one, 1)
    large = 9 * 10**14
    many = [large, -large] * 600
    rows = {
        "account": ["market", "fund"] * 600, "symbol": ["X"] * 1200, "lots": many,
        "value_atoms": [1, -1] * 600,
    }  # fmt: skip
    with pytest.raises(BoundsError) as caught:
        one.apply_fills(rows)
    assert caught.value.path[2] == "lots"
    first = int(caught.value.path[1])
    worth = 100_00 * large
    assert (first // 2) * worth <= 2**62 < (first // 2 + 1) * worth
    bad = {name: column.copy() for name, column in rows.items()}
    bad["account"][:2] = "ann", "bob"
    bad["lots"][:2] = 2**53 - 1, 1 - 2**53
    with pytest.raises(BoundsError) as caught:
        one.apply_fills(bad)
    assert caught.value.path[1] == 0
    assert (state_of(one), reserve(one, 1)) == before


@pytest.mark.parametrize("who", ["fund", "ann"])
def test_an_undone_call_puts_the_reserves_back(who: str) -> None:
    one = engine()
    before = state_of(one), reserve(one, 0), reserve(one, 1)

    def work() -> None:
        with one._together():
            rows = (who, -40, 93), ("cat", 40, 93), ("bob", -40, 93), (who, 40, 93)
            one.apply_fills(fills(*rows, fee=["1"] * 4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (state_of(one), reserve(one, 0), reserve(one, 1)) == before


# ---------------------------------------------------------------------- sides


def test_a_side_opens_a_hedge_and_closes_its_own_row() -> None:
    one = engine()
    rows = ("ann", -30, 100), ("cat", 30, 100)
    one.apply_fills(fills(*rows, side=["short", None]))
    held = one.book.to_frames()[2].filter(account="ann")
    assert held["lots"].to_list() == [100, -30]
    check_layout(one)
    filled = one.apply_fills(fills(("ann", 10, 98), ("cat", -10, 98), side=["short", "long"]))
    assert filled.realized_pnl.tolist() == [20_00, -20_00]
    assert one.book.to_frames()[2].filter(account="ann")["lots"].to_list() == [100, -20]
    one.apply_fills(fills(("ann", 7, 100), ("ann", -7, 100), side=["long", "short"]))
    assert one.book.to_frames()[2].filter(account="ann")["lots"].to_list() == [107, -27]
    one.apply_fills(fills(("ann", -30, 100), ("cat", 30, 100)))
    assert one.book.to_frames()[2].filter(account="ann")["lots"].to_list() == [77, -27]
    assert one.check().ok


@pytest.mark.parametrize(("many", "side"), [(-101, "long"), (1, "short"), (30, "short")])
def test_a_fill_of_a_side_closes_no_more_than_is_held(many: int, side: str) -> None:
    one = engine()
    before = state_of(one)
    with pytest.raises(InputError) as caught:
        one.apply_fills(fills(("cat", -many, 100), ("ann", many, 100), side=[None, side]))
    assert caught.value.path == ("fills", 1, "lots")
    assert state_of(one) == before
    check_layout(one)


def test_an_isolated_account_opens_no_hedge() -> None:
    one = engine(margin_mode=["isolated", "cross", "cross"])
    before = state_of(one)
    with pytest.raises(InputError, match="isolated"):
        one.apply_fills(fills(("ann", -1, 100), ("cat", 1, 100), side=["short", None]))
    assert state_of(one) == before
    one.apply_fills(
        fills(("ann", -100, 100), ("ann", -5, 100), ("cat", 105, 100), side=["long", "short", None])
    )


def test_sides_are_names_or_signs() -> None:
    named, coded, framed = engine(), engine(), engine()
    rows = ("ann", -30, 100), ("cat", 30, 100)
    named.apply_fills(pl.DataFrame(fills(*rows, side=["short", None])))
    coded.apply_fills(fills(*rows) | {"side": np.array([-1, 0])})
    framed.apply_fills(fills(*rows) | {"side": pl.Series([-1, 0])})
    assert state_of(named) == state_of(coded) == state_of(framed)


class Parties(Ledger):
    """A ledger of the fund (−1) and the market account (−2) too."""

    def __init__(self, one: Engine) -> None:
        super().__init__(one.book)
        self.cash = dict(enumerate(self.cash)) | {-1: reserve(one, 0)[2], -2: reserve(one, 1)[2]}

    def trade(self, account: int, symbol: int, lots: int, value: int, fee: int, side: int) -> int:
        """One fill; one that opens its side leaves the other alone."""
        other = account, symbol, lots > 0
        kept = self.held.pop(other, None) if side * lots > 0 else None
        profit = self.fill(account, symbol, lots, value, fee)
        if kept:
            self.held[other] = kept
        return profit

    def closes(self, account: int, symbol: int, lots: int, side: int) -> bool:
        """Whether a fill of a side may be."""
        held = abs(self.held.get((account, symbol, lots > 0), (0, 0))[0])
        return side * lots >= 0 or (account >= 0 and held >= abs(lots))

    def same_as(self, one: Engine) -> None:
        now = Ledger(one.book)
        assert now.held == self.held
        assert now.cash == [self.cash[i] for i in range(len(now.cash))]
        assert [reserve(one, who)[2] for who in (0, 1)] == [self.cash[-1], self.cash[-2]]


def draw(random: np.random.Generator, ledger: Parties, count: int) -> list[tuple[int, ...]]:
    """Trades, two fills each: account, symbol, lots, value, fee and side; the ledger books them."""
    rows: list[tuple[int, ...]] = []
    for _ in range(count):
        symbol, lots = int(random.integers(0, 6)), int(random.integers(1, 60))
        value = lots * int(random.integers(950, 1050)) * (-1 if symbol == 1 else 10**4)
        who = random.choice(np.arange(-2, 41), 2, replace=False).tolist()
        for account, sign in zip(who, (1, -1), strict=True):
            side = int(random.integers(-1, 2)) if account >= 0 else 0
            if not ledger.closes(account, symbol, sign * lots, side):
                side = 0
            fill = account, symbol, sign * lots, sign * value, int(random.integers(0, 99)), side
            ledger.trade(*fill)
            rows.append(fill)
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_parties_and_sides_do_what_a_ledger_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    one = Engine(market(seed=seed), fund="1000")
    one.mark(one.marks)
    ledger = Parties(one)
    for _ in range(20):
        rows = draw(random, ledger, int(random.integers(1, 12)))
        account, symbol, many, value, fee, side = np.array(rows).T
        ledger.cash[-1] += int(fee.sum())
        columns = {"account": account, "symbol": symbol, "side": side, "lots": many}
        one.apply_fills(columns | {"value_atoms": value, "fee_atoms": fee})
        ledger.same_as(one)
        check_layout(one)
        assert one.check().ok


@pytest.mark.parametrize("seed", [0, 1, 11])  # at 11 an account finds no slot of as many rows as it had
def test_batches_are_taken_back_whatever_moved(seed: int) -> None:
    """Accounts that a batch emptied have moved to fewer rows by the time it is undone."""
    random = np.random.default_rng(seed)
    one = Engine(market(seed=seed), fund="1000")
    one.mark(one.marks)
    for _ in range(6):
        rows = draw(random, Parties(one), 8)
        account, symbol, many, value, fee, side = np.array(rows).T
        columns = {"account": account, "symbol": symbol, "side": side, "lots": many}
        one.apply_fills(columns | {"value_atoms": value, "fee_atoms": fee})
    before, ledger = state_of(one), Parties(one)
    held = [(key, lots, entry) for key, (lots, entry) in ledger.held.items() if key[0] >= 0]
    gone = [row for row in held if random.random() < 0.8]
    account, symbol, many, value = np.array([[*key[:2], -lots, -entry] for key, lots, entry in gone]).T
    market_account = np.full(len(gone), -2)
    columns = {
        "account": np.concatenate([account, market_account]),
        "symbol": np.tile(symbol, 2),
        "lots": np.concatenate([many, -many]),
        "value_atoms": np.concatenate([value, -value]),
    }

    def work() -> None:
        with one._together():
            one.apply_fills(columns)
            assert len(lots(one)) < len(held) / 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert state_of(one) == before
    check_layout(one)
