"""Every way to misuse an engine: where the error points, what it says, and that nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import numba
import numpy as np
import polars as pl
import pytest

from engines import book, ipc, state_of
from fastadl import AdlPolicy, Book, BoundsError, Engine, Fund, InputError, Liquidity, PolicyError, StageError

NAN, INF = float("nan"), float("inf")
LISTED = {"X": {"mark": "100"}, "Y": {"mark": "50"}, "B": {"kind": "inverse", "currency": "BTC", "mark": "7"}}
POSITIONS = """
ann X 10 100
ann Y -2 50
bob X -6 100
cy  X -4  98
dee Y  2  50
lyn B  3   7
max B -3   7
"""
CASH = {"ann": "100", "bob": "500", "cy": "500", "dee": "5", "lyn": "5", "max": "5"}
ACCOUNTS = {
    "currency": ["USD"] * 4 + ["BTC"] * 2,
    "margin_mode": ["cross"] * 3 + ["isolated"] + ["cross"] * 2,
}
FUNDS = {"USD": Fund("33", max_drawdown="0.5"), "BTC": "1"}


def fresh(**options: Any) -> Engine:
    return Engine(book(POSITIONS, cash=CASH, listed=LISTED, **ACCOUNTS), **({"fund": FUNDS} | options))


def quiet() -> Engine:
    """After a first tick."""
    engine = fresh()
    engine.tick({}, time=60)
    return engine


def opened() -> Engine:
    """In the middle of a tick with two accounts detected."""
    engine = quiet()
    engine.mark({"X": 80, "Y": 40}, 90)
    return engine


def declared() -> Engine:
    """Where the fund has taken over what it has room for."""
    engine = opened()
    engine.takeover()
    return engine


def after(engine: Engine) -> tuple[dict[str, bytes], dict[str, bytes | str]]:
    """The next report, without its clock, and the state it leaves."""
    frames = engine.tick({"X": 79, "Y": "40.5"}, time=99, executions=executions()).frames()
    frames["summary"] = frames["summary"].drop(pl.selectors.starts_with("seconds_"))
    return {name: ipc(frame) for name, frame in frames.items()}, state_of(engine)


@cache
def untouched(state: Callable[[], Engine]) -> tuple[dict[str, bytes], dict[str, bytes | str]]:
    """The same of an engine that never saw a bad call."""
    return after(state())


PRICE = "give a price above zero"
FINITE = "give a finite number"
DIGITS = "give a number of at most 400 digits"
DECIMAL = "write a decimal such as 12.5, without exponent"
NUMBER = "give a decimal text, Decimal, integer or float"
SYMBOL = "name one of the instruments, such as"
SHAPE = "give a mapping of symbol to price, or one price per instrument"
ROW = "no row may be worth more than 2^62 atoms (rule R1)"
BOUND = "between 2^-200 and 2^62 atoms (rule R1)"
#: prices; place and value; remedy
PRICES: list[tuple[Any, str, str]] = [
    ({"X": NAN}, "prices, column X: nan", FINITE),
    ({"X": INF}, "prices, column X: inf", FINITE),
    ({"X": -INF}, "prices, column X: -inf", FINITE),
    ({"X": Decimal("NaN")}, "prices, column X: Decimal('NaN')", FINITE),
    ({"X": np.float64("nan")}, "prices, column X", FINITE),
    ({"X": 0}, "prices, column X: 0", PRICE),
    ({"X": 0.0}, "prices, column X: 0.0", PRICE),
    ({"X": "0.00"}, "prices, column X: 0.00", PRICE),
    ({"X": "-1"}, "prices, column X: -1", PRICE),
    ({"X": -1e-9}, "prices, column X: -1e-09", PRICE),
    ({"X": "1e5"}, "prices, column X: 1e5", DECIMAL),
    ({"X": " 5"}, "prices, column X: 5", DECIMAL),
    ({"X": ""}, "prices, column X: ''", DECIMAL),
    ({"X": "1,000"}, "prices, column X: 1,000", DECIMAL),
    ({"X": None}, "prices, column X: None", NUMBER),
    ({"X": [80]}, "prices, column X: [80]", NUMBER),
    ({"X": 1 + 0j}, "prices, column X: (1+0j)", NUMBER),
    ({"X": True}, "prices, column X: True", "give a number, not true or false"),
    ({"X": np.bool_(True)}, "prices, column X", "give a number, not true or false"),
    ({"X": np.array(80.0)}, "prices, column X: array(80.)", NUMBER),
    ({"X": b"80"}, "prices, column X: b'80'", NUMBER),
    ({"X": 10**5000}, "prices, column X: a number of thousands of digits", DIGITS),
    ({"X": Fraction(1, 10**400)}, "prices, column X: 'Fraction(1, 1000", DIGITS),
    ({"X": "9" * 401}, "prices, column X: '999", DECIMAL),
    ({"X": Decimal("1e999")}, "prices, column X", "give a number of at most 400 digits"),
    ({"X": 1e300}, "prices, column X: ", BOUND),
    ({"X": 10**19}, "prices, column X: 10000000000000000000", BOUND),
    ({"X": "0." + "0" * 90 + "1"}, "prices, column X: 0.000", BOUND),
    ({"X": 10**16}, "prices, column X: 1e+16", ROW),
    ({"B": Fraction(1, 2 * 10**10)}, "prices, column B: 5e-11", ROW),
    ({"X": 80, "Z": 1}, "prices, column Z: Z", SYMBOL),
    ({"x": 80}, "prices, column x: x", SYMBOL),
    ({None: 80}, "prices, column None: None", SYMBOL),
    ({0: 80}, "prices, column 0: 0", SYMBOL),
    ([80, 40], "prices: 2 prices", "give one price for each of 3 instruments"),
    ([80] * 4, "prices: 4 prices", "give one price for each of 3 instruments"),
    (np.array([]), "prices: 0 prices", "give one price for each of 3 instruments"),
    (np.ones((1, 3)), "prices: 1 prices", "give one price for each of 3 instruments"),
    (np.ones((3, 1)), "prices, column X: [1.0]", NUMBER),
    (np.array([80, NAN, 7]), "prices, column Y: nan", FINITE),
    (pl.Series([80.0, None, 7.0]), "prices, column Y: None", NUMBER),
    (np.array([True, True, True]), "prices, column X: True", "not true or false"),
    (np.float64(80), "prices: ", SHAPE),
    (80, "prices: 80", SHAPE),
    ((price for price in (80, 40, 7)), "prices: <generator", SHAPE),
    ("80", "prices: 80", SHAPE),
    (None, "prices: None", SHAPE),
    ({80, 40, 7}, "prices: {", SHAPE),
    (pl.DataFrame({"X": [80]}), "prices: ", SHAPE),
]  # fmt: skip
TIMES: list[tuple[Any, str, str]] = [
    (59, "time: 59", "time does not run backwards: give 60 or later"),
    (-1, "time: -1", "time does not run backwards"),
    (60.0, "time: 60.0", "give whole seconds"),
    (NAN, "time: nan", "give whole seconds"),
    ("60", "time: 60", "give whole seconds"),
    (True, "time: True", "give whole seconds"),
    (np.float64(90), "time: np.float64(90.0)", "give whole seconds"),
    (-(10**5000), "time: a number of thousands of digits", "give 60 or later"),
    (10**5000, "time: a number of thousands of digits", "give at most 2^62 seconds (rule R1)"),
    (2**62 + 1, "time: 4611686018427387905", "give at most 2^62 seconds (rule R1)"),
]


def executions(**columns: Any) -> dict[str, Any]:
    """Two good executions, with columns replaced (or taken away, by None)."""
    good = {
        "account": ["bob", "ann"], "symbol": ["X", "X"], "side": ["short", "long"], "lots": [1, 4],
        "price": ["79", "79.5"],
    }  # fmt: skip
    return {name: column for name, column in (good | columns).items() if column is not None}


def second(name: str, value: Any, **columns: Any) -> dict[str, Any]:
    """The same with one value of the second row replaced."""
    first = executions().get(name, [None])[0]
    return executions(**{name: [first, value]}, **columns)


AT = "executions, row 1, column"
ACCOUNT = "name an account of the book"
WHOLE = "give a positive whole number"
SIDE = "name the side that is closed, long or short"
SIGN = "give the sign the row's value has"
PLACES = "give at most 2 decimal places"
FEE = "give a fee from 0 to 2^53 atoms"
OTHER = "name another account of the same currency, or null for the market"
HELD = "executions, row 1: {} lots"
DEPTH = "liquidity, column depth, column X:"
NO_PRICE: dict[str, Any] = {"price": None}
EXECUTIONS: list[tuple[Any, str, str]] = [
    (5, "executions: int", "give a frame or a mapping of columns"),
    ([1], "executions: list", "give a frame or a mapping of columns"),
    (executions(when=[1, 2]), "executions, column when: unknown column", "use account, symbol, side"),
    (executions(side="long"), "executions, column side: long", "give a list, array or Series"),
    (executions(lots=4), "executions, column lots: 4", "give a list, array or Series"),
    (executions(lots=np.array(4)), "executions, column lots: array(4)", "give a list, array or Series"),
    (executions(price={"bob": 79, "ann": 80}), "executions, column price: {'bob'", "give a list, array"),
    (executions(lots=[1]), "executions: columns of different lengths", "give one value per execution"),
    (executions(account=None), "executions: symbol, side", "give account, once"),
    (executions(symbol=None), "executions: account, side", "give symbol, once"),
    (executions(side=None), "executions: account, symbol, lots", "give side, once"),
    (executions(lots=None), "executions: account", "give qty or lots, once"),
    (executions(qty=[1, 4]), "executions: account", "give qty or lots, once"),
    (executions(price=None), "executions: account", "give price or value or value_atoms, once"),
    (executions(value=["79", "318"]), "executions: account", "give price or value or value_atoms, once"),
    (executions(fee=[0, 0], fee_atoms=[0, 0]), "executions: account", "give fee or fee_atoms, once"),
    (second("account", "eve"), f"{AT} account: eve", ACCOUNT),
    (second("account", "fund"), f"{AT} account: fund", ACCOUNT),
    (second("account", "market"), f"{AT} account: market", ACCOUNT),
    (second("account", None), f"{AT} account: None", ACCOUNT),
    (second("account", 99), f"{AT} account: 99", ACCOUNT),
    (second("symbol", "Z"), f"{AT} symbol: Z", SYMBOL),
    (second("symbol", None), f"{AT} symbol: None", SYMBOL),
    (second("symbol", "B"), f"{AT} symbol: B", "name an instrument that settles in the account's currency"),
    (second("side", "buy"), f"{AT} side: buy", SIDE),
    (second("side", None), f"{AT} side: None", SIDE),
    (second("side", 1), f"{AT} side: 1", SIDE),
    (second("side", np.array(["long", "short"])), f"{AT} side: array(", SIDE),
    (second("side", ["long"]), f"{AT} side: ['long']", SIDE),
    (second("lots", 0), f"{AT} lots: 0", WHOLE),
    (second("lots", -4), f"{AT} lots: -4", WHOLE),
    (second("lots", 0.5), f"{AT} lots: 0.5", WHOLE),
    (second("qty", "0.5", lots=None), "executions, row 0, column qty: None", NUMBER),
    (executions(qty=["1", "0.5"], lots=None), f"{AT} qty: 0.5", "give a positive multiple of the lot 1"),
    (second("lots", True), f"{AT} lots: True", "not true or false"),
    (second("lots", None), f"{AT} lots: None", NUMBER),
    (second("lots", NAN), f"{AT} lots: nan", FINITE),
    (second("lots", 10**5000), f"{AT} lots: a number of thousands of digits", DIGITS),
    (second("lots", "four"), f"{AT} lots: four", DECIMAL),
    (second("lots", 11), HELD.format(11), "the account holds 10 lots of that side"),
    (second("side", "short"), HELD.format(4), "the account holds 0 lots of that side"),
    (second("lots", 2**53 + 1), f"{AT} lots: 9007199254740993", "keep it within 2^53 lots (rule R1)"),
    (executions(account=["ann"] * 2, side=["long"] * 2, lots=[7, 4]), HELD.format(4), "holds 3 lots"),
    (executions(lots=[6, 5], counterparty=["ann", None]), HELD.format(5), "holds 4 lots"),
    (second("price", 0), f"{AT} price: 0", "give a price above zero"),
    (second("price", "-1"), f"{AT} price: -1", "give a price above zero"),
    (second("price", INF), f"{AT} price: inf", FINITE),
    (second("price", None), f"{AT} price: None", NUMBER),
    (second("price", "79,5"), f"{AT} price: 79,5", DECIMAL),
    (second("price", 10**17), f"{AT} price: 1", "keep the value within 2^61 atoms (rule R1)"),
    (executions(value=["-79", "-318"], **NO_PRICE), f"{AT} value: -318", SIGN),
    (executions(account=["ann", "lyn"], symbol=["Y", "B"], value=[-4, 9], **NO_PRICE), f"{AT} value", SIGN),
    (executions(value_atoms=[1, 31800], **NO_PRICE), "executions, row 0, column value_atoms: 1", SIGN),
    (executions(value=["-79", "318.001"], **NO_PRICE), f"{AT} value: 318.001", PLACES),
    (executions(value_atoms=[-7900, 0.5], **NO_PRICE), f"{AT} value_atoms: 0.5", "give whole atoms"),
    (executions(value_atoms=[-1, 2**61], **NO_PRICE), "executions: 2305843009213693953", "within 2^61 atoms"),
    (executions(fee=[0, "-0.01"]), f"{AT} fee: -0.01", FEE),
    (executions(fee=[0, "0.001"]), f"{AT} fee: 0.001", PLACES),
    (executions(fee=[0, True]), f"{AT} fee: True", "not true or false"),
    (executions(fee_atoms=[0, 2**53 + 1]), f"{AT} fee_atoms: 9007199254740993", FEE),
    (executions(counterparty=[None, "eve"]), f"{AT} counterparty: eve", ACCOUNT),
    (executions(counterparty=[None, "ann"]), f"{AT} counterparty: ann", OTHER),
    (executions(counterparty=[None, 99]), f"{AT} counterparty: 99", ACCOUNT),
    (executions(counterparty=[None, np.array(["bob", "cy"])]), f"{AT} counterparty: array(", ACCOUNT),
    (executions(counterparty=[None, "max"]), f"{AT} counterparty: max", OTHER),
    (executions(counterparty=[None, "dee"]), f"{AT} counterparty: dee", "an isolated account holds one"),
    (pl.DataFrame(executions(lots=[6, 36])), HELD.format(36), "holds 10 lots"),
    (pl.LazyFrame(executions(lots=[6, 0])), f"{AT} lots: 0", WHOLE),
]  # fmt: skip
OPTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"fund": "5"}, "fund: 5", "give one fund per currency: BTC, USD"),
    ({"fund": {"USD": "5", "EUR": "1"}}, "fund, column EUR: 1", "name currencies: BTC, USD"),
    ({"fund": {"USD": "0.001"}}, "fund, column USD, column cash: 0.001", "give at most 2 decimal places"),
    ({"fund": {"USD": "NaN"}}, "fund, column USD: NaN", DECIMAL),
    ({"fund": {"USD": 10**5000}}, "fund, column USD: a number of thousands of digits", DIGITS),
    ({"fund": {"BTC": {"min_equity": 2**62}}}, "fund, column BTC, column min_equity: 4", "within ±2^62"),
    ({"fund": {"USD": NAN}}, "fund, column USD: nan", FINITE),
    ({"fund": {"USD": 10**18}}, "fund, column USD, column cash: 1", "within ±2^62 atoms"),
    ({"fund": {"USD": {"money": 1}}}, "fund, column USD, column money: 1", "no such field"),
    ({"fund": {"USD": {"max_drawdown": 2}}}, "fund, column USD, column max_drawdown: 2", "from 0 to 1"),
    ({"fund": {"USD": {"peak_window": 0}}}, "fund, column USD, column peak_window: 0", "give whole seconds"),
    ({"fund": [5]}, "fund: [5]", NUMBER),
    ({"fund": True}, "fund: True", "not true or false"),
    ({"policy": "bitmax"}, "policy: bitmax", "did you mean bitmex?"),
    ({"policy": None}, "policy: None", "give the name of a preset, a mapping"),
    ({"policy": {"pricing": "mark"}}, "policy, column pricing: mark", "no such choice; did you mean price?"),
    ({"policy": {"price": "marked"}}, "policy, column price: marked", "did you mean mark?"),
    ({"policy": {"preset": "x"}}, "policy, column preset: x", "name one of bitmex, binance_2025"),
    ({"policy": {"allocation": "whole", "guard": "solvent"}}, "policy, column guard: solvent", "(rule R45)"),
    ({"liquidity": "fixed"}, "liquidity: fixed", "give a mapping, a Liquidity or null"),
    ({"liquidity": {"model": "book"}}, "liquidity, column model: book", "take one of fixed"),
    ({"liquidity": {"depth": {"Z": 1}}}, "liquidity, column depth, column Z: Z", SYMBOL),
    ({"liquidity": {"depth": {"X": "0.5"}}}, f"{DEPTH} 0.5", "give a multiple of the lot 1"),
    ({"liquidity": {"depth": {"X": -1}}}, f"{DEPTH} -1", "give a quantity of 0 or more"),
    ({"liquidity": Liquidity(depth={"X": 2**63})}, DEPTH, "within 2^62 lots (rule R1)"),
    ({"liquidity": {"fee": 1}}, "liquidity, column fee: 1", "give a share from 0 to below 1"),
    ({"liquidity": {"slippage": "-0.1"}}, "liquidity, column slippage: -0.1", "from 0 to below 1"),
    ({"liquidity": {"slippage": 1}}, "liquidity, column slippage: 1", "from 0 to below 1"),
    ({"liquidity": {"fee": "-0.1"}}, "liquidity, column fee: -0.1", "from 0 to below 1"),
    ({"liquidity": {"depths": {}}}, "liquidity, column depths: {}", "no such field; did you mean depth?"),
    ({"liquidity": {"depth": 5}}, "liquidity, column depth: 5", "give quantities by symbol"),
    ({"liquidity": {"surplus": "me"}}, "liquidity, column surplus: me", "take one of trader, fund"),
    ({"threads": 0}, "threads: 0", "the threads numba has"),
    ({"threads": 10**6}, "threads: 1000000", "the threads numba has"),
    ({"threads": numba.config.NUMBA_NUM_THREADS + 1}, "threads: ", "the threads numba has"),
    ({"threads": 1.0}, "threads: 1.0", "the threads numba has"),
    ({"threads": True}, "threads: True", "the threads numba has"),
    ({"incremental": 1}, "incremental: 1", "give True or False"),
]  # fmt: skip


RANKINGS: list[tuple[Any, Any, str, str]] = [
    ("Z", "long", "symbol: Z", SYMBOL),
    ("y", "long", "symbol: y", f"{SYMBOL} Y"),
    (0, "long", "symbol: 0", SYMBOL),
    (None, "long", "symbol: None", SYMBOL),
    (["X"], "long", "symbol: ['X']", SYMBOL),
    ("X", "buy", "side: buy", "name the side of the ranked positions, long or short"),
    ("X", "Long", "side: Long", "long or short"),
    ("X", None, "side: None", "long or short"),
    ("X", 1, "side: 1", "long or short"),
]


def places(rows: list[tuple[Any, ...]]) -> list[str]:
    return [row[-2] for row in rows]


def kind_of(told: str) -> type[InputError]:
    """Of errors, those of a policy and those of rule R1 have their own types."""
    return PolicyError if told.startswith("policy") else BoundsError if "(rule R1)" in told else InputError


def refused(engine: Engine, call: Callable[[], object], place: str, remedy: str) -> None:
    """The call fails with one line saying where, what and what to do, and leaves the engine as it was."""
    state = state_of(engine)
    with pytest.raises(InputError) as caught:
        call()
    told = str(caught.value)
    assert type(caught.value) is kind_of(told)
    assert told.startswith(place)
    assert remedy in told.removeprefix(place)
    assert "\n" not in told
    assert state_of(engine) == state


@pytest.mark.parametrize("state", [quiet, opened])
@pytest.mark.parametrize(("prices", "place", "remedy"), PRICES, ids=places(PRICES))
def test_prices(state, prices, place, remedy):
    engine = state()
    refused(engine, lambda: engine.mark(prices), place, remedy)
    refused(engine, lambda: engine.tick(prices, executions=executions()), place, remedy)
    assert after(engine) == untouched(state)


@pytest.mark.parametrize(("time", "place", "remedy"), TIMES, ids=places(TIMES))
def test_times(time, place, remedy):
    engine = quiet()
    refused(engine, lambda: engine.mark({"X": 80}, time), place, remedy)
    refused(engine, lambda: engine.tick({"X": 80}, time=time), place, remedy)
    assert after(engine) == untouched(quiet)


def test_a_first_time_is_not_negative():
    engine = fresh()
    refused(engine, lambda: engine.tick({}, time=-1), "time: -1", "give 0 or later")
    assert engine.mark({}, 0).tick == 0


@pytest.mark.parametrize(("given", "place", "remedy"), EXECUTIONS, ids=places(EXECUTIONS))
def test_executions(given, place, remedy):
    engine = opened()
    refused(engine, lambda: engine.settle(given), place, remedy)
    refused(engine, lambda: engine.tick({"X": 79}, time=99, executions=given), place, remedy)
    engine.settle(executions())
    assert len(engine.deleverage().executions) == 2
    engine = opened()
    refused(engine, lambda: engine.settle(given), place, remedy)
    assert after(engine) == untouched(opened)


@pytest.mark.parametrize(("symbol", "side", "place", "remedy"), RANKINGS, ids=places(RANKINGS))
def test_rankings(symbol, side, place, remedy):
    engine = opened()
    refused(engine, lambda: engine.rank(symbol, side), place, remedy)
    assert after(engine) == untouched(opened)


@pytest.mark.parametrize(
    "read", [Engine.equity, Engine.maintenance_margin, lambda engine: engine.rank("Y", "long")]
)
def test_what_nobody_can_value(read):
    listed = {"X": {"mark": "9"}, "Y": {}, "Z": {}}
    engine = Engine(book("ann Y 1 5\nbob Y -1 5", cash={"ann": "9", "bob": "9"}, listed=listed))
    state = state_of(engine)
    with pytest.raises(StageError, match=r"Y has no mark yet: call mark\(prices\) first"):
        read(engine)
    assert state_of(engine) == state


def writes(seen: Book) -> list[Callable[[], None]]:
    """Ways to write into every array that a book shows."""
    arrays = (*seen.rows, seen.slot, seen.rank, seen.currency, seen.isolated, seen.adl_tier,
              seen.reserve_lots, seen.reserve_entry)  # fmt: skip
    return [lambda array=array: array.__setitem__(..., 0) for array in arrays]


def test_nobody_writes_into_an_engine():
    """What belongs to the engine refuses to be written; what it hands out is the caller's."""
    engine = opened()
    state = state_of(engine)
    for write in writes(engine.book):
        with pytest.raises(ValueError, match="read-only"):
            write()
    for copied in (engine.marks, engine.equity(), engine.maintenance_margin(), engine.book.cash):
        copied[:] = 0
    for ids in (engine.accounts, engine.book.accounts, engine.book.owners):
        ids[0] = "eve"
    for frame in (*engine.book.to_frames(), engine.reserves(), engine.liquidations()):
        frame[0, 0] = None
    assert state_of(engine) == state
    assert after(engine) == untouched(opened)


@pytest.mark.parametrize(("options", "place", "remedy"), OPTIONS, ids=places(OPTIONS))
def test_options(options, place, remedy):
    given = book(POSITIONS, cash=CASH, listed=LISTED, **ACCOUNTS)
    engine = Engine(given, copy=False)
    refused(engine, lambda: Engine(given, copy=False, **options), place, remedy)


@pytest.mark.parametrize("kind", [AdlPolicy, Fund, Liquidity])
def test_unknown_arguments(kind):
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        kind(colour="red")


def test_a_first_tick_marks_every_symbol():
    engine = Engine(
        book("ann X 1 5\nbob X -1 5", cash={"ann": "9", "bob": "9"}, listed={"X": {}, "Y": {"mark": "3"}})
    )
    refused(engine, lambda: engine.tick({}), "prices, column X: missing", "the first tick marks every symbol")
    refused(
        engine,
        lambda: engine.mark({"Y": 5}),
        "prices, column X: missing",
        "the first tick marks every symbol",
    )
    engine.mark({"X": 5})


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda e: e.mark({"X": 81}), "end it with deleverage before a new mark"),
        (lambda e: e.tick({"X": 81}), "end it with deleverage before a new mark"),
        (lambda e: e.takeover(), "go on with deleverage"),
        (lambda e: e.settle(), "settle before takeover"),
        (lambda e: e.settle(executions()), "settle before takeover"),
    ],
)
def test_stages_that_were_done(call, told):
    engine, other = declared(), declared()
    state = state_of(engine)
    with pytest.raises(StageError, match=told):
        call(engine)
    assert state_of(engine) == state
    fills, expected = engine.deleverage().adl_fills, other.deleverage().adl_fills
    assert len(fills)
    assert fills.equals(expected)
    assert state_of(engine) == state_of(other)


def test_what_would_pass_a_bound_in_the_course_of_a_call():
    """Each execution is fine, but the market account cannot take another 2^61 atoms."""
    engine = opened()
    large = executions(
        account=["ann"], symbol=["X"], side=["long"], lots=[1], price=None, value_atoms=[2**61]
    )
    engine.settle(large)
    refused(engine, lambda: engine.settle(large), "market: ", "keep it within 2^62 (rule R1)")
    assert engine.check().ok
