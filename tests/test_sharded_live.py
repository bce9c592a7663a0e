"""A book in shards does between ticks, and in them, what a book in one piece does beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

import fastadl as fa
import test_live_stateful
from engines import state_of
from fastadl import BoundsError, InputError, StageError
from fastadl.engine.settings import checked_policy
from fastadl.errors import FastadlError
from fastadl.recording.entries import difference, outcome
from fastadl.sharded.engine import ShardedEngine
from live_calls import POLICIES, call, made
from live_draws import book_of, draw_world
from uncompiled import fewer

#: Policies that ask a queue for lots.
QUEUES = [given for given in POLICIES if "space" not in given.get("policy", {})]


def answer(engine: fa.Engine, name: str, given: dict[str, Any], read: Any = outcome) -> Any:
    """What came of a call, or why it was refused."""
    try:
        return read(getattr(engine, name)(**given))
    except InputError as error:
        return type(error), error.path, error.value, str(error)
    except FastadlError as error:
        return type(error), str(error)


def same_answer(one: fa.Engine, many: ShardedEngine, name: str, given: dict[str, Any]) -> Any:
    """What both say to a call, which is the same; what they hold, too."""
    expected, found = answer(one, name, given), answer(many, name, given)
    if isinstance(expected, dict) and isinstance(found, dict):
        assert difference(expected, found) is None, (name, given)
    else:
        assert expected == found, (name, given)
    same_state(one, many)
    return expected


def same_state(one: fa.Engine, many: ShardedEngine) -> None:
    """Both hold the same, to the atom."""
    for expected, found in zip(
        (*one.frames(), one.reserves()), (*many.frames(), many.reserves()), strict=True
    ):
        assert expected.equals(found)
    assert one.marks.tobytes() == many.marks.tobytes()
    assert one._totals == many._totals
    assert one.check() == many.check()
    assert (one._number, one._time) == (many._number, many._time)
    assert one.accounts.to_list() == many.accounts.to_list()
    assert np.array_equal(one._state.book.rank, many._gathered().book.rank)
    at_home(many)


def at_home(many: ShardedEngine) -> None:
    """Between ticks only accounts in liquidation are on loan, and ranks in shards are those among all."""
    docket = many._state
    if many._tick is None:
        assert sorted(docket.orders.accounts) == list(range(len(docket.book.slot)))
    ranks = np.concatenate([shard.state.book.rank for shard in many._links._shards])
    codes = np.concatenate([shard.codes for shard in many._links._shards])
    assert sorted(codes.tolist()) == list(range(docket.everybody))
    ids = pl.concat([shard.state.book.accounts for shard in many._links._shards])
    assert ids.gather(np.argsort(ranks)).to_list() == sorted(ids, key=str.encode)


def pair(shards: int, **options: Any) -> tuple[fa.Engine, ShardedEngine]:
    return fa.Engine(**options), ShardedEngine(**options, shards=shards, address="inline")


# ---------------------------------------------------------------------- whatever is called


@pytest.mark.parametrize("setting", range(len(QUEUES)))
def test_any_calls_come_to_the_same(setting):
    shards = 1 + setting % 4
    one, many = pair(shards, **made(setting, **QUEUES[setting]))
    for number in range(fewer(50)):
        name, given = call(one, np.random.default_rng([setting, shards, number]))
        given = {k: v.collect() if isinstance(v, pl.LazyFrame) else v for k, v in given.items()}
        same_answer(one, many, name, given)
        if number % 8 == 0:
            same_answer(one, many, "orders", {})
            same_answer(one, many, "free_collateral", {"accounts": one.accounts})
            same_answer(one, many, "in_liquidation", {"accounts": one.accounts})


# ---------------------------------------------------------------------- one by one


@pytest.fixture
def both():
    """Three shards beside one piece; somebody is below his margin and not bankrupt."""
    one, many = pair(3, **made(5, fund="1000"))
    for engine in (one, many):
        engine.tick(engine.marks)
    return one, many


class Column:
    """As other packages have columns."""

    ndim = 1

    def __init__(self, *values: int) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._values, dtype)


CODES = [
    [3, 4],
    Column(3, 4),
    (3, 4),
    np.array([3, 4], np.int8),
    np.array([3, 4], np.uint64),
    pl.Series([3, 4], dtype=pl.UInt8),
    pl.Series([3, 4], dtype=pl.Int64),
]


@pytest.mark.parametrize(
    "codes", CODES, ids=lambda each: f"{type(each).__name__} {getattr(each, 'dtype', '')}"
)
def test_codes_name_the_accounts_of_the_whole_book_however_they_are_spelled(both, codes):
    same_answer(*both, "deposit", {"transfers": {"account": codes, "amount_atoms": [5, 7]}})
    assert both[0].free_collateral(codes).tolist() == both[1].free_collateral(codes).tolist()


REFUSED = {
    "unknown id": ("deposit", {"transfers": {"account": ["nobody"], "amount_atoms": [1]}}),
    "code of nobody": ("deposit", {"transfers": {"account": [10**6], "amount_atoms": [1]}}),
    "code below zero": ("set_flags", {"flags": {"account": [-1], "exempt": [True]}}),
    "named twice": ("set_flags", {"flags": {"account": [9, 9], "exempt": [True, False]}}),
    "itself": ("transfer", {"moves": {"source": [9], "target": [9], "amount_atoms": [1]}}),
    "too much": ("withdraw", {"transfers": {"account": [9, 3], "amount_atoms": [1, 1 << 50]}}),
    "no lots": ("apply_fills", {"fills": {"account": [9], "symbol": [0], "lots": [0], "value_atoms": [0]}}),
    "beyond R1": ("deposit", {"transfers": {"account": [9], "amount_atoms": [(1 << 53) + 1]}}),
    "nearly an id": ("deleverage_account", {"account": "a01", "symbol": "S0"}),
    "no id of many": ("positions", {"account": "a1234"}),
    "no code of many": ("free_collateral", {"accounts": [3, 10**6]}),
    "counterparty nearly an id": (
        "deleverage_account",
        {"account": 9, "symbol": "S0", "counterparties": ["a01"]},
    ),
    "no code to fill": (
        "apply_fills",
        {"fills": {"account": [41], "symbol": [0], "lots": [1], "value_atoms": [10]}},
    ),
    "no code to move": ("transfer", {"moves": {"source": [9], "target": [41], "amount_atoms": [1]}}),
    "a price far beyond all": ("settle_instrument", {"symbol": "S0", "price": 10**14}),
    "a price beyond all of an inverse lot": (
        "settle_instrument",
        {"symbol": "S1", "price": "0.00000000000001"},
    ),
    "counterparty twice": (
        "deleverage_account",
        {"account": 9, "symbol": "S0", "counterparties": [3, 3]},
    ),
    "no such row": ("deleverage_account", {"account": 9, "symbol": "S0", "side": "long", "lots": 1 << 40}),
    "counterparty itself": (
        "settle",
        {"executions": {"account": [9], "symbol": ["S0"], "side": ["long"], "lots": [1], "price": ["10"],
                        "counterparty": [9]}},
    ),
    "counterparty itself, of other integers": (
        "settle",
        {"executions": {"account": np.array([9], np.int8), "symbol": ["S0"], "side": ["long"], "lots": [1],
                        "price": ["10"], "counterparty": [np.int16(9)]}},
    ),
    "executions of nobody": (
        "settle",
        {"executions": {"account": ["a01"], "symbol": ["S0"], "side": ["long"], "lots": [1],
                        "price": ["10"]}},
    ),
    "an old id": ("open_accounts", {"accounts": {"id": ["new", "a003"], "cash": ["1", "1"]}}),
    "rate": ("pay_funding", {"rates": {"S0": "2"}}),
    "no table": ("apply_fills", {"fills": 7}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_alike_and_changes_nothing(both, name):
    before = state_of(both[1])
    assert isinstance(same_answer(*both, *REFUSED[name]), tuple)
    assert state_of(both[1]) == before


def test_an_error_names_the_code_of_the_whole_book(both):
    large = {"account": [20, 21], "symbol": [0, 0], "lots": [1, -1], "value_atoms": [10, -10]}
    cash = {"transfers": {"account": [20], "amount_atoms": [(1 << 53) - (1 << 40)]}}
    same_answer(*both, "deposit", cash)
    fills = {**large, "fee_atoms": [-(1 << 41), 1 << 41]}
    found = same_answer(*both, "apply_fills", {"fills": fills})
    assert found[:3] == (BoundsError, ("fills", 0, "account"), 20)


def test_a_close_by_hand_is_told_in_codes_of_the_whole_book(both):
    """And of it alone, not of the tick whose number it has."""
    for engine in both:
        engine.set_tiers({s: [{"min_notional": "0", "maintenance_rate": "0.6"}] for s in engine.symbols})
        assert len(engine.tick({}).liquidations) > 0
    for account in ("a009", "a020", 30):
        symbol = both[0].positions(account)["symbol"][0]
        side = both[0].positions(account)["side"][0]
        told = [each.deleverage_account(account, symbol, side=side, price="mark") for each in both]
        assert len(told[0].adl_fills) > 0
        for name in ("bankrupt", "counterparty"):
            assert told[0].columns("adl_fills")[name].tolist() == told[1].columns("adl_fills")[name].tolist()
        assert len(told[0].liquidations) == len(told[1].liquidations) == 0
        assert difference(*map(outcome, told)) is None
        same_state(*both)


def test_a_counterparty_in_liquidation_is_named(both):
    one, many = both
    for engine in both:
        engine.set_tiers({s: [{"min_notional": "0", "maintenance_rate": "0.6"}] for s in engine.symbols})
        engine.mark({})
    same_answer(one, many, "order_liquidations", {})
    ordered = one.orders()["account"].unique(maintain_order=True)
    free = next(each for each in one.frames()[2].iter_rows(named=True) if each["account"] not in ordered)
    given = {
        "account": [free["account"]], "symbol": [free["symbol"]], "lots": [1], "price": ["10"],
        "side": ["long" if free["lots"] > 0 else "short"],
    }  # fmt: skip
    for name in ordered:
        found = same_answer(one, many, "settle", {"executions": {**given, "counterparty": [name]}})
        if isinstance(found, tuple) and "in liquidation" in found[3]:
            assert found[2] == name
            return
    raise AssertionError("nobody was refused")


# ---------------------------------------------------------------------- near the bounds of rule R1


def rich() -> fa.Book:
    """Two currencies; eight accounts of one with all the cash that an account may have."""
    tiers = [[{"min_notional": "0", "maintenance_rate": "0.01"}]] * 2
    return fa.Book.from_frames(
        {"symbol": ["X", "Y"], "kind": ["linear"] * 2, "contract_size": ["1"] * 2, "lot": ["1"] * 2,
         "currency": ["USD", "BTC"], "decimals": [6, 6], "mark": ["10"] * 2, "tiers": tiers},
        {"id": [f"b{i}" for i in range(8)] + ["u0", "u1"], "currency": ["BTC"] * 8 + ["USD"] * 2,
         "cash_atoms": [1 << 53] * 8 + [1000, 1000]},
        {"account": ["u0", "u1", "b0", *(f"b{i}" for i in range(1, 8))], "symbol": ["X"] * 2 + ["Y"] * 8,
         "lots": [5, -5, 7] + [-1] * 7, "entry_price": ["10"] * 10},
    )  # fmt: skip


def test_a_fund_counts_beside_all_that_shards_have():
    most = (1 << 62) - 2000 - 2 * 50_000_000
    for atoms in (most, most + 1):
        given = {"book": rich(), "fund": {"USD": f"{atoms // 10**6}.{atoms % 10**6:06}"}}
        said = []
        for make, more in ((fa.Engine, {}), (ShardedEngine, {"shards": 3, "address": "inline"})):
            try:
                said.append(make(**given, **more).reserves().rows())
            except BoundsError as error:
                said.append(str(error))
        assert said[0] == said[1]
        assert isinstance(said[0], str) == (atoms > most)


@pytest.mark.parametrize(("currency", "percent", "fit"), [("USD", 98, 5), ("BTC", 97, 2)])
def test_what_is_claimed_counts_by_currency_and_instrument(currency, percent, fit):
    """Much of one currency in the fund and of another in shards is not too much of one; of the same it is."""
    one, many = pair(3, book=rich(), fund={currency: f"{percent * (1 << 62) // 10**8}.0"})
    for engine in (one, many):
        engine.tick(engine.marks)
    deposit = {"transfers": {"account": ["u0"], "amount_atoms": [7]}}
    assert isinstance(same_answer(one, many, "deposit", deposit), dict)
    deposit = {"transfers": {"account": ["fund"], "currency": [currency], "amount_atoms": [1 << 53]}}
    said = [isinstance(same_answer(one, many, "deposit", deposit), dict) for _ in range(6)]
    assert said == [number < fit for number in range(6)]


@pytest.mark.parametrize(
    ("name", "given", "wrong"),
    [
        ("pay_funding", {"rates": {"Y": "0.5"}}, "b1"),
        ("pay_funding", {"rates": {"X": "1", "Y": "-0.5"}}, "b0"),
        ("settle_instrument", {"symbol": "Y", "price": "5"}, "b1"),
    ],
)
def test_the_first_account_of_the_book_that_gets_too_much_is_named(name, given, wrong):
    for shards in (1, 3, 7):
        one, many = pair(shards, book=rich())
        for engine in (one, many):
            engine.tick(engine.marks)
        assert same_answer(one, many, name, given)[2] == wrong


def test_oracle_prices_are_held_to_bounds_when_they_are_told():
    """Not again in shards, when rows have grown since."""
    one, many = pair(3, book=rich(), fund={"USD": "0"})
    deposit = {"account": ["u0", "u1"], "amount_atoms": [1 << 50] * 2}
    fills = {"account": ["u0", "u1"], "symbol": ["X"] * 2, "lots": [10_000, -10_000], "price": ["10"] * 2}
    same_answer(one, many, "deposit", {"transfers": deposit})
    same_answer(one, many, "tick", {"prices": {"X": "10", "Y": "10"}, "oracle": {"X": "1000000000"}})
    same_answer(one, many, "apply_fills", {"fills": fills})
    assert isinstance(same_answer(one, many, "tick", {"prices": {"X": "10.01"}}), dict)
    assert not isinstance(same_answer(one, many, "tick", {"prices": {}, "oracle": {"X": "999999999"}}), dict)


class Faulty:
    """Links of which one call to a shard fails."""

    def __init__(self, links: Any, after: int) -> None:
        self._links, self._after = links, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._links, name)

    def __len__(self) -> int:
        return len(self._links)

    def all(self, what: str, *given: Any) -> list[Any]:
        shards = range(len(self))
        found = self.each(what, dict.fromkeys(shards, given))
        return [found[i] for i in shards]

    def each(self, what: str, given: Any) -> dict[int, Any]:
        found = {}
        for shard, mine in given.items():
            if what not in ("rollback", "commit"):
                self._after -= 1
                if self._after == 0:
                    raise StageError(f"a shard fails in {what}")
            found |= self._links.each(what, {shard: mine})
        return found


FAILING = {
    "fills": ("apply_fills", {"fills": {"account": [3, 4, 5, 6], "symbol": [0, 0, 1, 1],
                                        "lots": [2, -2, 3, -3], "price": ["10"] * 4}}),
    "by hand": ("deleverage_account", {"account": 3, "symbol": "S0", "side": None}),
    "new accounts": ("open_accounts", {"accounts": {"id": ["a0", "zzz"], "cash": ["1", "2"]}}),
    "funding": ("pay_funding", {"rates": {"S0": "0.01"}}),
    "final settlement": ("settle_instrument", {"symbol": "S0", "price": "11"}),
    "tiers": ("set_tiers", {"tiers": {"S0": [{"min_notional": "0", "maintenance_rate": "0.3"}]}}),
    "flags": ("set_flags", {"flags": {"account": [3, 4], "exempt": [True, True], "adl_tier": [2, 3]}}),
    "tick": ("tick", {"prices": {"S0": "7", "S1": "14"}}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
def test_a_shard_that_fails_leaves_all_as_they_were(both, name):
    one, many = both
    links, before = many._links, state_of(many)
    for after in range(1, 100):
        many._links = many._state._others = Faulty(links, after)
        failed = answer(many, *FAILING[name], read=lambda _: None)
        many._links = many._state._others = links
        if failed is None:
            break
        assert "a shard fails" in str(failed)
        assert state_of(many) == before, after
        at_home(many)
    else:
        raise AssertionError("it never ends")
    assert after > 2
    answer(one, *FAILING[name])
    same_state(one, many)


def test_new_accounts_go_where_fewest_are(both):
    one, many = both
    for _ in range(4):
        name = f"a{len(one.accounts)}x"
        same_answer(one, many, "open_accounts", {"accounts": {"id": [name, name + "y"], "cash": ["3", "4"]}})
    sizes = [len(shard.codes) for shard in many._links._shards]
    assert max(sizes) - min(sizes) <= 8
    assert many.codes(accounts=one.accounts).tolist() == list(range(len(one.accounts)))


class ShardedExchange(test_live_stateful.Exchange):
    """A book in shards and the model of a live book, told the same."""

    def world(self, dice):
        while True:
            raw = draw_world(dice)
            policy = checked_policy(book_of(raw), raw["policy"])
            if policy.space != "wealth" and policy.trigger != "pool_profit":
                return raw

    def made(self, dice, book, **given):
        return ShardedEngine(book, **given, shards=dice.randint(1, 4), address="inline")

    def copy(self, dice):
        """A copy is an engine in one piece, which goes its own way."""
        if self.model.open:
            return
        other, before = self.engine.copy(), state_of(self.engine)
        for name in ("instruments", "accounts", "positions", "reserves", "marks", "checks"):
            assert state_of(other)[name] == before[name]
        other.deposit({"account": np.array([0]), "amount_atoms": [77]})
        other.tick(np.nan_to_num(other.marks, nan=10.0) * 0.5)
        assert state_of(self.engine) == before


class SoakShardedExchange(ShardedExchange):
    """The same for longer."""


TestShardedExchange = ShardedExchange.TestCase
TestShardedExchange.settings = settings(
    test_live_stateful.TestExchange.settings, max_examples=fewer(8), stateful_step_count=30
)
TestSoakShardedExchange = pytest.mark.soak(SoakShardedExchange.TestCase)
TestSoakShardedExchange.settings = settings(
    TestShardedExchange.settings, max_examples=1000, stateful_step_count=100
)
