"""The public face: stages, reports, readings, executions, copies, threads, interruptions."""

from __future__ import annotations

import threading
from fractions import Fraction
from math import ceil, floor

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import book, cash, lots, state_of
from fastadl import Book, Engine, Fund, InputError, StageError, testing
from fastadl.engine import bankruptcy, close_out, detect, spread
from fastadl.engine import fund as fund_stage
from uncompiled import fewer

#: ann is bankrupt at 80 by 100 dollars, bob and cy stand on the other side
POSITIONS = """
ann X  10 100
bob X  -6 100
cy  X  -4  98
"""
CASH = {"ann": "100", "bob": "500", "cy": "500"}
TEXT, WHOLE, FLOAT = pl.String(), pl.Int64(), pl.Float64()
LEG = {"symbol": TEXT, "side": TEXT, "lots": WHOLE}
SCHEMAS = {
    "liquidations": {
        "account": TEXT, "status": TEXT, "equity": WHOLE, "maintenance_margin": WHOLE,
        "maintenance_ratio": FLOAT, "shortfall": WHOLE, "currency": TEXT,
    },
    "executions": {
        "account": TEXT, **LEG, "price": FLOAT, "value": WHOLE, "realized_pnl": WHOLE, "currency": TEXT
    },
    "fees": {"account": TEXT, "kind": TEXT, "amount": WHOLE, "currency": TEXT},
    "netted": {"account": TEXT, "symbol": TEXT, "lots": WHOLE, "realized_pnl": WHOLE, "currency": TEXT},
    "fund_payments": {"account": TEXT, "amount": WHOLE, "currency": TEXT},
    "takeovers": {
        "account": TEXT, **LEG, "at": TEXT, "price": FLOAT, "value": WHOLE, "realized_pnl": WHOLE,
        "fund_loss": WHOLE, "currency": TEXT,
    },
    "adl_fills": {
        "bankrupt": TEXT, "counterparty": TEXT, **LEG, "price": FLOAT, "value": WHOLE,
        "bankrupt_realized_pnl": WHOLE, "realized_pnl": WHOLE, "rank": WHOLE, "score": FLOAT,
        "currency": TEXT,
    },
    "socialized": {"account": TEXT, "amount": WHOLE, "currency": TEXT},
    "uncovered": {"account": TEXT, "amount": WHOLE, "open": pl.List(pl.Struct(LEG)), "currency": TEXT},
    "refused": {"account": TEXT, "bankrupt": TEXT, **LEG, "reason": TEXT},
    "notices": {
        "account": TEXT, **LEG, "price": FLOAT, "rank": WHOLE, "score": FLOAT, "realized_pnl": WHOLE,
        "currency": TEXT, "cancel_orders": TEXT,
    },
    "summary": {
        "tick": WHOLE, "time": WHOLE, "currency": TEXT, "liquidatable": WHOLE, "bankrupt": WHOLE,
        "n_liquidations": WHOLE, "n_executions": WHOLE, "n_fees": WHOLE, "n_netted": WHOLE,
        "n_fund_payments": WHOLE, "n_takeovers": WHOLE, "n_adl_fills": WHOLE, "n_socialized": WHOLE,
        "n_uncovered": WHOLE, "n_refused": WHOLE, "shortfall": WHOLE, "fees": WHOLE, "fund_paid": WHOLE,
        "takeover_loss": WHOLE, "adl_lots": WHOLE, "adl_value": WHOLE, "socialized": WHOLE,
        "uncovered": WHOLE, "fund_equity_before": WHOLE, "fund_equity_after": WHOLE, "seconds_mark": FLOAT,
        "seconds_detect": FLOAT, "seconds_close_out": FLOAT, "seconds_fund": FLOAT, "seconds_adl": FLOAT,
        "seconds_total": FLOAT,
    },
}  # fmt: skip


def engine(positions=POSITIONS, money=None, *, listed=None, accounts=None, **options):
    return Engine(book(positions, cash=money or CASH, listed=listed, **(accounts or {})), **options)


def executed(**columns):
    return {"account": ["ann"], "symbol": ["X"], "side": ["long"], "lots": [4], "price": ["79.5"]} | columns


def untimed(report):
    frames = report.frames()
    return {
        name: frame.drop([c for c in frame.columns if c.startswith("seconds_")])
        for name, frame in frames.items()
    }


def same_report(one, other):
    left, right = untimed(one), untimed(other)
    return [name for name in left if not left[name].equals(right[name])] == []


# ---------------------------------------------------------------------- stages

RICH = {"X": {"mark": "100"}, "Y": {"kind": "inverse", "contract_size": "5000", "mark": "50"}}
RICH_POSITIONS = """
ann X  10 100
ann X  -2  90
ann Y   3  50
bob X  -6 100
bob Y  -3  51
cy  X  -4  98
dee X   7  99
eve X  -5 101
fund X  1 100
"""
RICH_CASH = {"ann": "100", "bob": "500", "cy": "500", "dee": "205", "eve": "60"}
EXECUTIONS = {
    "account": ["ann", "dee"], "symbol": ["X", "X"], "side": ["long", "long"], "lots": [2, 3],
    "price": ["79", 81], "counterparty": ["eve", None], "fee": ["0.50", None],
}  # fmt: skip
OPTIONS = [
    {},
    {"policy": {"space": "wealth"}, "fund": "5"},
    {"policy": {"trigger": "none"}, "fund": Fund("40", max_drawdown="0.5")},
    {"policy": "okx_2025", "liquidity": {"depth": {"X": "4"}, "slippage": "0.01", "fee": "0.02"}},
]


@pytest.mark.parametrize("executions", [None, EXECUTIONS], ids=["simulated", "given"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_stage_by_stage_is_the_same_tick(options, executions):
    whole = engine(RICH_POSITIONS, RICH_CASH, listed=RICH, **options)
    stages = whole.copy()
    for price in ("80", "131"):
        report = whole.tick({"X": price}, executions=executions, time=7)
        marked = stages.mark({"X": price}, 7)
        detected = stages.liquidations()
        stages.settle(executions)
        stages.takeover()
        other = stages.deleverage()
        assert same_report(report, other)
        assert state_of(stages) == state_of(whole)
        assert (marked.tick, marked.time) == (report.tick, report.time) == (other.tick, 7)
        assert detected.drop("shortfall").equals(report.liquidations.drop("shortfall"))
        executions = None


def test_deleverage_runs_the_takeover_that_was_left_out():
    whole = engine(fund="33")
    stages = whole.copy()
    report = whole.tick({"X": 80})
    stages.mark({"X": 80})
    assert same_report(report, stages.deleverage())


def test_a_stage_after_a_finished_tick_begins_another_at_the_same_marks():
    one = engine()
    first = one.tick({"X": 80})
    second = one.deleverage()
    assert (first.tick, second.tick) == (0, 1)
    assert second.summary["n_liquidations"].item() == 0
    assert one.marks.tolist() == [80.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.settle(), lambda e: e.takeover(), lambda e: e.deleverage(), lambda e: e.liquidations(),
        lambda e: e.equity(), lambda e: e.maintenance_margin(), lambda e: e.rank("X", "long"),
    ],
)  # fmt: skip
def test_nothing_works_before_the_first_mark(call):
    one = engine()
    state = state_of(one)
    with pytest.raises(StageError, match=r"call mark\(prices\) first"):
        call(one)
    assert state_of(one) == state


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda e: e.settle(), "settle before takeover"),
        (lambda e: e.settle(EXECUTIONS), "settle before takeover"),
        (lambda e: e.takeover(), "go on with deleverage"),
    ],
)
def test_stages_out_of_order_are_refused(call, told):
    one = engine()
    one.mark({"X": 80})
    one.takeover()
    state = state_of(one)
    with pytest.raises(StageError, match=told):
        call(one)
    assert state_of(one) == state
    assert len(one.deleverage().adl_fills) == 2


# ---------------------------------------------------------------------- reports


@pytest.mark.parametrize("price", [100, 80], ids=["quiet", "busy"])
def test_every_frame_is_there_with_its_columns(price):
    report = engine(fund="33", liquidity={"depth": {"X": 1}}).tick({"X": price})
    assert {name: dict(frame.schema) for name, frame in report.frames().items()} == SCHEMAS
    assert [name for name in SCHEMAS if len(getattr(report, name))] == (
        ["summary"]
        if price == 100
        else ["liquidations", "executions", "takeovers", "adl_fills", "notices", "summary"]
    )
    assert report.summary is report.summary


def test_a_report_outlives_the_ticks_after_it():
    one = engine()
    report = one.tick({"X": 80})
    one.tick({"X": 200})
    assert report.adl_fills.select("counterparty", "lots", "value").rows() == [
        ("bob", 6, 54000),
        ("cy", 4, 36000),
    ]
    assert (report.tick, report.time) == (0, 0)


def test_notices_tell_the_counterparty_about_its_own_row():
    notices = engine().tick({"X": 80}).notices
    columns = ("account", "side", "lots", "price", "rank", "realized_pnl", "cancel_orders")
    assert notices.select(columns).rows() == [
        ("bob", "short", 6, 90.0, 1, 6000, "account"),
        ("cy", "short", 4, 90.0, 2, 3200, "account"),
    ]


@settings(max_examples=fewer(60), deadline=None)
@given(st.data())
def test_summary_adds_up_and_the_old_book_plus_the_report_is_the_new_book(data):
    held = data.draw(testing.books())
    currencies = held.instruments.currencies
    one = Engine(
        held,
        policy=data.draw(st.sampled_from(("bitmex", "okx_2025", "hyperliquid_2025", {"space": "wealth"}))),
        fund={code: data.draw(st.sampled_from(("0", "3", "1000"))) for code in currencies},
        liquidity={
            "depth": {
                item.symbol: str(2 * item.lot.numerator / item.lot.denominator) for item in held.instruments
            },
            "fee": "0.01",
            "surplus": "fund",
        },
    )
    before = one.copy()
    equity_before = dict(
        before.reserves().filter(pl.col("account") == "fund").select("currency", "equity").rows()
    )
    report = one.tick(data.draw(testing.marks(held)))
    testing.check_invariants(before, report, one)
    assert report.summary["currency"].to_list() == list(currencies)
    for line in report.summary.iter_rows(named=True):
        mine = {
            name: frame.filter(pl.col("currency") == line["currency"])
            for name, frame in report.frames().items()
            if name not in ("summary", "refused")
        }
        assert {name: line[f"n_{name}"] for name in mine if name != "notices"} == {
            name: len(frame) for name, frame in mine.items() if name != "notices"
        }
        assert line["liquidatable"] + line["bankrupt"] == len(mine["liquidations"])
        assert line["shortfall"] == mine["liquidations"]["shortfall"].sum()
        assert line["fees"] == mine["fees"]["amount"].sum()
        assert line["fund_paid"] == mine["fund_payments"]["amount"].sum()
        assert line["takeover_loss"] == mine["takeovers"]["fund_loss"].sum()
        assert line["adl_lots"] == mine["adl_fills"]["lots"].sum()
        assert line["adl_value"] == mine["adl_fills"]["value"].abs().sum()
        assert line["socialized"] == mine["socialized"]["amount"].clip(lower_bound=0).sum()
        assert mine["socialized"]["amount"].sum() == 0
        assert line["uncovered"] == mine["uncovered"]["amount"].sum()
        after = one.reserves().filter(pl.col("account") == "fund", pl.col("currency") == line["currency"])
        assert line["fund_equity_after"] == after["equity"].item()
        if (
            not report.summary["n_takeovers"].sum()
            and line["fund_equity_before"] == equity_before[line["currency"]]
        ):
            assert line["fund_equity_after"] - line["fund_equity_before"] == line["fees"] - line["fund_paid"]


# ---------------------------------------------------------------------- kinds of accounts


def test_currencies_have_nothing_to_do_with_each_other():
    listed = {
        "X": {"mark": "100"},
        "B": {"kind": "inverse", "contract_size": "100", "currency": "BTC", "mark": "50000"},
    }
    positions = f"{POSITIONS}\nlyn B 70 50000\nmax B -70 50000"
    money = {**CASH, "lyn": "0.01", "max": "0.01"}
    currency = ["USD"] * 3 + ["BTC"] * 2
    one = engine(
        positions, money, listed=listed, accounts={"currency": currency}, fund={"USD": "33", "BTC": "0.5"}
    )
    before = one.copy()
    report = one.tick({"X": 80, "B": "49999"})
    testing.check_invariants(before, report, one)
    assert report.takeovers.select("account", "lots", "currency").rows() == [("ann", 3, "USD")]
    assert set(report.adl_fills["currency"]) == {"USD"}
    assert {who: cash(one)[who] for who in ("lyn", "max")} == {"lyn": 10**6, "max": 10**6}
    assert lots(one)["lyn", "B"] == 70
    assert one.reserves().rows() == [
        ("fund", "BTC", 50_000_000, 50_000_000),
        ("market", "BTC", 0, 0),
        ("fund", "USD", 3300, 300),
        ("market", "USD", 0, 0),
    ]
    assert report.summary.select("currency", "bankrupt", "fund_equity_after").rows() == [
        ("BTC", 0, 50_000_000), ("USD", 1, 300)
    ]  # fmt: skip
    report = one.tick({"B": 1000})
    assert (report.liquidations["account"].to_list(), report.liquidations["currency"].to_list()) == (
        ["lyn"],
        ["BTC"],
    )


def test_an_isolated_account_is_closed_and_nothing_else_of_its_owner():
    one = engine(
        "ann X 10 100\nann2 X 1 100\nbob X -11 100",
        {"ann": "100", "ann2": "100", "bob": "900"},
        accounts={"owner": ["ann", "ann", "bob"], "margin_mode": ["isolated", "cross", "cross"]},
    )
    report = one.tick({"X": 80})
    assert report.liquidations["account"].to_list() == ["ann"]
    assert cash(one) == {"ann": 0, "ann2": 10000, "bob": 100000}
    assert lots(one) == {("ann2", "X"): 1, ("bob", "X"): -1}


def test_a_hedge_is_netted_at_mark_before_anybody_else_is_touched():
    one = engine("ann X 10 100\nann X -4 70\nbob X -6 100", {"ann": "100", "bob": "500"})
    report = one.tick({"X": 80})
    assert report.netted.select("account", "symbol", "lots", "realized_pnl").rows() == [
        ("ann", "X", 4, -12000)
    ]
    assert report.adl_fills.select("counterparty", "lots").rows() == [("bob", 6)]
    assert cash(one)["ann"] == 0


# ---------------------------------------------------------------------- reading


def test_rank_lists_one_side_best_first():
    shorts = "d X -4 90\nb X -4 90\na X -2 95\nc X -4 70\ne X -9 99\nz X -1 81"
    one = engine(
        f"{shorts}\nlong X 24 90", dict.fromkeys("dbacez", "500") | {"long": "900"},
        accounts={"adl_tier": [0, 0, 0, 0, 1, 0, 0]},
    )  # fmt: skip
    one.mark({"X": "80"})
    ranking = one.rank("X", "short")
    assert ranking.columns == [
        "rank", "account", "adl_tier", "lots", "score", "unrealized_pnl", "notional", "position_margin",
        "equity", "maintenance_margin", "gross", "leverage",
    ]  # fmt: skip
    assert ranking["account"].to_list() == ["b", "d", "a", "z", "c", "e"]
    assert ranking["rank"].to_list() == [1, 2, 3, 4, 5, 6]
    first = ranking.row(0, named=True)
    assert first["unrealized_pnl"] == 4000.0
    assert (first["equity"], first["gross"], first["maintenance_margin"]) == (54000.0, 32000.0, 320.0)
    assert first["leverage"] == 32000.0 / 54000.0
    assert first["score"] == 4000.0 / 36000.0 * first["leverage"]
    fills = one.tick({"X": "41"}).adl_fills
    assert fills["rank"].to_list() == list(range(1, len(fills) + 1))
    assert one.rank("X", "long").is_empty()
    with pytest.raises(InputError, match="long or short"):
        one.rank("X", "buy")
    with pytest.raises(InputError, match="name one of the instruments, such as X"):
        one.rank("Z", "long")


@settings(max_examples=fewer(60), deadline=None)
@given(st.data())
def test_equity_and_margin_are_exact(data):
    one = Engine(data.draw(testing.books()))
    one.mark(data.draw(testing.marks(one.book)))
    instruments, _, positions = one.book.columns()
    units = [
        item.unit_value(Fraction(str(mark)))
        for item, mark in zip(instruments, one.marks.tolist(), strict=True)
    ]
    equity = [Fraction(int(atoms)) for atoms in one.book.cash]
    margin = [Fraction(0) for _ in equity]
    for a, i, n, entry in zip(*(getattr(positions, c).tolist() for c in positions.__slots__), strict=True):
        equity[a] += n * units[i] - entry
        margin[a] += instruments[i].maintenance_margin(abs(n * units[i]))
    assert one.equity().tolist() == [floor(value) for value in equity]
    assert one.maintenance_margin().tolist() == [ceil(value) for value in margin]


def test_an_array_of_prices_is_in_the_order_of_symbols():
    listed = {"Y": {}, "X": {}, "B": {"kind": "inverse", "contract_size": "100"}}
    one = engine(listed=listed)
    assert one.symbols == ("Y", "X", "B")
    one.mark({"X": "80.1", "B": 7, "Y": 50.25})
    for prices in (
        [50.25, 80.1, 7],
        np.array([50.25, 80.1, 7.0]),
        pl.Series([50.25, 80.1, 7.0]),
        ("50.25", "80.1", "7"),
    ):
        other = engine(listed=listed)
        other.mark(prices)
        assert state_of(other) == state_of(one)
        assert other.marks.tolist() == [50.25, 80.1, 7.0]


def test_a_float_price_means_its_shortest_decimal():
    """What the float 0.1 has above a tenth would cost bob half an atom on so many lots."""
    positions = "ann X 9000000000000000 0.1\nbob X -9000000000000000 0.1"
    one = engine(positions, {"ann": "9", "bob": "9"}, listed={"X": {"contract_size": "0.1"}})
    one.mark([0.1])
    assert one.equity().tolist() == [900, 900]


def test_marks_are_a_copy():
    one = engine()
    one.mark({"X": 80})
    one.marks[0] = 1.0
    assert one.marks.tolist() == [80.0]


def test_the_book_of_an_engine_refuses_to_be_written():
    one = engine()
    seen = one.book
    for array in (*seen.rows, seen.slot, seen.reserve_lots, seen.reserve_entry, seen.adl_tier):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert one.tick({"X": 80}).summary["n_adl_fills"].item() == 2


def test_the_callers_book_stays_as_it_was_unless_it_is_given_away():
    own = book(POSITIONS, cash=CASH)
    given = own.copy()
    Engine(own).tick({"X": 80}, executions=executed(counterparty=["cy"]))
    testing.assert_books_equal(own, given)
    taker = Engine(own, copy=False)
    taker.tick({"X": 80})
    testing.assert_books_equal(own, taker.book)


def test_a_copy_goes_its_own_way():
    one = engine(fund=Fund("33", max_drawdown="0.1", peak_window=60))
    one.mark({"X": 100}, 10)
    other = one.copy()
    state = state_of(one)
    report = other.tick({"X": 80}, time=20)
    assert state_of(one) == state
    assert same_report(one.tick({"X": 80}, time=20), report)
    assert one.check().ok


# ---------------------------------------------------------------------- helpers of `fastadl.testing`


def test_unequal_books_are_told_by_table():
    with pytest.raises(AssertionError, match=r"^accounts: "):
        testing.assert_books_equal(book(POSITIONS, cash=CASH), book(POSITIONS, cash={**CASH, "cy": "5"}))
    with pytest.raises(AssertionError, match=r"^positions: "):
        testing.assert_books_equal(book(POSITIONS, cash=CASH), book(POSITIONS.replace("98", "97"), cash=CASH))


def test_a_broken_law_is_told():
    one = engine(fund="33")
    before = one.copy()
    report = one.tick({"X": 80})
    testing.check_invariants(before, report, one)
    richer = engine(money={**CASH, "cy": "501"}, fund="33")
    with pytest.raises(AssertionError, match="law 2, money in USD"):
        testing.check_invariants(richer, report, one)
    with pytest.raises(AssertionError, match="law 1, lots of X: 0 became 5"):
        testing.check_invariants(before, report, engine(f"{POSITIONS}\nfund X 5 100", fund="33"))
    with pytest.raises(AssertionError, match=r"old book plus report, cash of .*ann.*: 0 became 10000"):
        testing.check_invariants(before, report, engine(fund="33"))
    with pytest.raises(AssertionError, match=r"law 3, row .*: 6 lots closed of 4"):
        testing.check_invariants(engine("ann X 7 100\nbob X -3 100\ncy X -4 98", fund="33"), report, one)


# ---------------------------------------------------------------------- all or nothing


def test_a_reader_in_another_thread_sees_finished_ticks_only():
    one = engine(RICH_POSITIONS, RICH_CASH, listed=RICH, fund="5")
    one.mark({})
    done = threading.Event()
    seen: list[int] = []

    def read():
        while not done.is_set():
            snapshot = one.copy()
            assert one.check().ok
            assert len(one.equity()) == 5
            seen.append(len(snapshot.book.to_frames()[2]))
            assert snapshot.check().ok

    failures: list[BaseException] = []
    reader = threading.Thread(target=lambda: _caught(read, failures))
    reader.start()
    for i in range(60):
        one.tick({"X": 80 + i % 40}, executions=EXECUTIONS if i == 0 else None)
    done.set()
    reader.join()
    assert failures == []
    assert seen


def _caught(work, failures):
    try:
        work()
    except BaseException as error:
        failures.append(error)


STAGES = [
    (detect, "mark"), (detect, "detect"), (close_out, "settle"), (bankruptcy, "declare"),
    (fund_stage, "take_over"), (spread, "deleverage"), (spread, "pay_debts"), (spread, "report_uncovered"),
]  # fmt: skip
AT_ONCE = [lambda e: e.tick({"X": 80}, time=9, executions=EXECUTIONS)]
BY_STAGE = [
    lambda e: e.mark({"X": 80}, 9), lambda e: e.settle(EXECUTIONS), lambda e: e.takeover(),
    lambda e: e.deleverage(),
]  # fmt: skip


@pytest.mark.parametrize("calls", [AT_ONCE, BY_STAGE], ids=["tick", "stages"])
@pytest.mark.parametrize(("module", "name"), STAGES, ids=[name for _, name in STAGES])
def test_an_interrupted_call_leaves_nothing_behind_and_can_be_made_again(module, name, calls, monkeypatch):
    one = engine(RICH_POSITIONS, RICH_CASH, listed=RICH, fund=Fund("33", max_drawdown="0.9"))
    one.tick({}, time=5)
    undisturbed = one.copy()
    real, interruptions = getattr(module, name), []

    def interrupted(*arguments, **named):
        found = real(*arguments, **named)
        if not interruptions:
            interruptions.append(name)
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(module, name, interrupted)
    for call in calls:
        state = state_of(one)
        try:
            report = call(one)
        except KeyboardInterrupt:
            assert state_of(one) == state
            report = call(one)
    assert interruptions
    assert same_report(report, AT_ONCE[0](undisturbed))
    assert state_of(one) == state_of(undisturbed)


def test_thousands_of_fills_are_booked_alike_in_one_go_and_one_by_one():
    """Without a guard counterparties are settled in parallel; with one, fill by fill."""
    longs = [f"long{i:04d}" for i in range(9000)]
    shorts = ["big", *(f"short{i:04d}" for i in range(4000))]
    book = Book.from_frames(
        {"symbol": ["X"], "kind": ["linear"], "contract_size": ["1"], "lot": ["1"], "decimals": [2],
         "tiers": [[{"min_notional": "0", "maintenance_rate": "0.01"}]]},
        {"id": longs + shorts, "cash": [5] * 9000 + [1_000_000] + [500] * 4000},
        {"account": longs + shorts, "symbol": ["X"] * 13001, "qty": [1] * 9000 + [-5000] + [-1] * 4000,
         "entry_price": ["100.07"] * 9000 + ["110.01"] + ["99"] * 4000},
    )  # fmt: skip
    reports, engines = [], []
    for guard in ("none", "solvent"):
        engines.append(Engine(book, policy={"guard": guard, "score": "size"}))
        reports.append(engines[-1].tick({"X": "90.03"}))
    fills = reports[0].adl_fills
    assert (len(fills), fills["counterparty"].n_unique()) == (9000, 4001)
    assert fills.equals(reports[1].adl_fills)
    testing.assert_books_equal(engines[0].book, engines[1].book)
    assert engines[0].check().ok
    assert not np.any(engines[0].book.rows.lots)


def test_what_the_fund_has_is_rounded_down() -> None:
    """It holds a lot that is worth half an atom more than a whole number of them."""
    cash = {"ann": "9", "bob": "9"}
    engine = Engine(book("ann X 1 100\nbob X -1 100", cash=cash, listed={"X": {"mark": "100"}}), fund="100")
    report = engine.tick({"X": "90.005"})
    assert report.takeovers["lots"].to_list() == [1]
    assert report.summary["fund_equity_after"].to_list() == [9_900]
    assert engine.reserves()["equity"].to_list()[0] == 9_900
    assert engine.tick({}).summary["fund_equity_before"].to_list() == [9_900]


def test_a_call_that_fails_adds_nothing_to_the_tick_it_is_part_of(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(book("ann X 4 100\nbob X -4 100", cash={"ann": "30", "bob": "400"}))
    one = {"account": ["ann"], "symbol": ["X"], "side": ["long"], "qty": ["1"], "price": ["93"]}
    engine.mark({"X": "93"})
    engine.settle(one)
    with monkeypatch.context() as broken:
        broken.setattr(close_out, "_pay_fund", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.settle(one)
    report = engine.deleverage()
    assert report.liquidations["account"].to_list() == ["ann"]
    assert report.executions["lots"].to_list() == [1]
