"""Distance to deleveraging and to liquidation (R111, R112), and what is told of one position (R113)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastadl as fa
from engines import book, state_of
from fastadl import Book, Engine, InputError, StageError, synth
from fastadl.decimals import plain
from fastadl.engine.indicator.shocks import SIZES
from fastadl.policy import CHOICES
from fastadl.testing import books
from uncompiled import fewer

few = settings(max_examples=fewer(40), deadline=None, suppress_health_check=list(HealthCheck))
KEYS = ["account", "symbol", "side"]
X = {"X": {"mark": "100"}}


def shocked(engine: Engine, move: Fraction, symbol: str | None = None) -> Engine:
    """A copy at other prices: all of them, or one, moved by a part of themselves."""
    copy, prices = engine.copy(), dict(zip(engine.symbols, engine.marks.tolist(), strict=True))
    if symbol is not None:
        prices = {symbol: prices[symbol]}
    copy.mark({name: plain(Fraction(repr(price)) * (1 + move)) for name, price in prices.items()})
    return copy


def taken(engine: Engine, move: Fraction) -> set[tuple[str, str, str]]:
    """Positions that a tick at moved prices deleverages, of the side that the move is not against."""
    fills = shocked(engine, move).deleverage().adl_fills
    rows = fills.select("counterparty", "symbol", "side").iter_rows()  # the side is the bankrupt row's
    against = "short" if move > 0 else "long"
    return {(a, b, "long" if move > 0 else "short") for a, b, side in rows if side == against}


def brute(engine: Engine, sizes: Sequence[float]) -> dict[tuple[str, ...], float]:
    """Every position's distance: an engine runs a whole tick at each shock."""
    frame = engine.book.to_frames()[2]
    sides = ["long" if lots > 0 else "short" for lots in frame["lots"]]
    found = dict.fromkeys(zip(frame["account"], frame["symbol"], sides, strict=True), np.inf)
    for size in sorted(sizes, reverse=True):
        move = Fraction(repr(size))
        found |= dict.fromkeys(taken(engine, move) | taken(engine, -move), size)
    return found


def told(engine: Engine, **columns: Any) -> dict[tuple[str, ...], float]:
    """Distances to deleveraging by position."""
    frame = engine.distances(engine.demand(**columns)).frame()
    return {(a, b, c): adl for a, b, c, adl in frame.select(*KEYS, "adl").iter_rows()}


# ---------------------------------------------------------------- beside the engine


@pytest.mark.parametrize("shape", list(synth.SHAPES))
def test_distances_are_those_of_an_engine_run_at_every_shock(shape: str) -> None:
    engine = Engine(synth.book(shape, positions=400, accounts=160, instruments=6, seed=3))
    assert told(engine) == brute(engine, SIZES)


@pytest.mark.parametrize("score", CHOICES["score"])
def test_any_score_will_do(score: str) -> None:
    policy = {"score": score} | ({"seed": 7} if score == "random" else {})
    engine = Engine(synth.book("hedged", positions=300, accounts=120, instruments=4, seed=5), policy=policy)
    found = told(engine)
    assert found == brute(engine, SIZES)
    assert len(set(found.values())) > 3


@pytest.mark.parametrize(
    "policy", [{"score": "size", "then": ["leverage"]}, {"tiers": "delta_neutral", "delta_limit": "0.3"}]
)
def test_any_ranking_will_do(policy: dict[str, Any]) -> None:
    engine = Engine(synth.book("hedged", positions=300, accounts=120, instruments=4, seed=5), policy=policy)
    found = told(engine)
    assert found == brute(engine, SIZES)
    assert len(set(found.values())) > 3


@pytest.mark.parametrize("tiers", [False, True])
def test_who_is_exempt_or_in_liquidation_is_at_no_distance(tiers: bool) -> None:
    """Nor is what the latter hold taken over from them."""
    instruments, accounts, positions = synth.book(
        "hedged", positions=900, accounts=360, instruments=4, seed=5
    ).to_frames()
    number = pl.int_range(pl.len())
    accounts = accounts.with_columns(exempt=number % 7 == 0, adl_tier=(number % 3 * tiers).cast(pl.UInt8))
    engine = Engine(Book.from_frames(instruments, accounts, positions))
    for part in (0.99, 0.99, 0.99, 0.98, 0.98, 0.98, 0.97, 1.05):
        engine.mark(engine.marks * part)
        engine.order_liquidations()
        engine.deleverage()
    found, out = told(engine), set(engine.orders()["account"])
    spared = out | set(accounts.filter("exempt")["id"])
    assert len(out) > 3
    expected = brute(engine, SIZES)
    assert {each: at for each, at in found.items() if not np.isnan(at)} == {
        each: at for each, at in expected.items() if each[0] not in spared
    }
    assert {each[0] for each, at in found.items() if np.isnan(at)} == spared & {each[0] for each in found}
    for account, symbol, side in [
        next(each for each in found if each[0] in some) for some in (out, spared - out)
    ]:
        one = engine.explain(account, symbol, side=side)
        assert (one.rank, one.adl, one.choices["adl"].null_count()) == (None, None, len(one.choices))
        assert one.why_not == f"the account is {'in liquidation' if account in out else 'exempt'}"
        assert one.why_not in str(one)


def test_a_stale_demand_is_not_used() -> None:
    """What explain and distances keep for the next call is of this state and this policy."""
    money = {"ann": "100", "bob": "2000", "cy": "9000", "dan": "250"}
    drawn = book("ann X 10 80\nbob X 15 90\ncy X 15 100\ndan X -40 100", cash=money, listed=X)
    engine = Engine(drawn, policy={"score": "bitmex"})
    first = engine.distances().demand
    assert engine.distances().demand is first
    assert engine.explain("ann", "X").adl == 0.075
    engine.mark({"X": "101"})
    assert engine.explain("ann", "X").adl == 0.075
    engine.mark({"X": "104"})
    assert engine.explain("ann", "X").adl == 0.03
    assert engine.copy().explain("ann", "X").adl == 0.03
    other = engine.fork({"score": "size"})
    assert other.distances().demand is not engine.distances().demand
    engine.deposit({"account": ["dan"], "amount": ["1000"]})
    assert engine.explain("ann", "X").adl == 0.3
    trade = {"account": ["dan", "cy"], "symbol": ["X"] * 2, "lots": [39, -39], "price": ["104"] * 2}
    engine.apply_fills({**trade, "account": ["cy", "dan"]})
    assert engine.explain("ann", "X").adl == 0.15
    engine.apply_fills(trade)
    assert engine.explain("ann", "X").adl == 0.3


def test_nothing_is_kept_of_a_moment_within_a_tick() -> None:
    """An order book that asks the engine in the middle of a close-out leaves it no demand of then."""

    class Curious(fa.Liquidity):
        def fits(self, *given: Any) -> Any:
            engine.demand()
            engine.explain("ann", "X")
            return super().fits(*given)

    money = {"ann": "100", "bob": "2000", "cy": "9000", "dan": "250"}
    drawn = book("ann X 10 80\nbob X 15 90\ncy X 15 100\ndan X -40 100", cash=money, listed=X)
    engine = Engine(drawn, liquidity=Curious(depth={"X": "10"}))
    engine.tick({"X": "106"})
    assert engine.distances().demand.lots.tolist() == engine.demand().lots.tolist()


sizes_drawn = st.lists(
    st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999]), min_size=1, unique=True
).map(sorted)


@few
@given(
    found=books(),
    sizes=sizes_drawn,
    policy=st.sampled_from(["bitmex", "binance", "okx", "extended"]),
)
def test_distances_of_any_book(found: Book, sizes: list[float], policy: str) -> None:
    """Whatever lies on the edge too: accounts worth nothing at a shock, and equal scores."""
    engine = Engine(found, policy={"score": policy})
    engine.mark({})
    try:
        expected = brute(engine, sizes)
    except InputError:  # prices that no engine takes
        return
    assert told(engine, shocks=sizes) == expected


def test_a_fund_puts_everybody_farther_away() -> None:
    """Classes of depth are not kept whole: with a fund a distance may be off by one shock, seldom."""
    drawn = synth.book("retail", positions=600, accounts=300, instruments=4, seed=3)
    short = fa.Engine(drawn).copy()
    without, engine = told(short), Engine(drawn, fund="20000")
    found, expected = told(engine), brute(engine, SIZES)
    assert found.keys() == expected.keys() == without.keys()
    assert all(found[each] >= without[each] for each in found)
    assert sum(found[each] > without[each] for each in found) > 20
    same = sum(found[each] == expected[each] for each in found)
    assert same > 0.97 * len(found)


@few
@given(found=books())
def test_moves_that_liquidate_are_those_an_engine_finds(found: Book) -> None:
    """A little less does not, a little more does."""
    engine = Engine(found)
    frame = engine.distances().frame() if len(found.rows.lots) else None
    below = set(shocked(engine, Fraction(0)).liquidations()["account"])
    for account, symbol, side, _, move in () if frame is None else frame.head(6).iter_rows():
        sign = -1 if side == "long" else 1
        if account in below or move == 0.0:
            continue
        if np.isinf(move):
            far = shocked(engine, sign * Fraction(999, 1000), symbol)
            assert account not in set(far.liquidations()["account"])
            continue
        before, after = Fraction(move) * Fraction(999999, 10**6), Fraction(move) * Fraction(1000001, 10**6)
        if move < 100 and (side == "short" or after < 1):
            assert account in set(shocked(engine, sign * after, symbol).liquidations()["account"])
            assert account not in set(shocked(engine, sign * before, symbol).liquidations()["account"])


# ---------------------------------------------------------------- by hand


def test_a_queue_by_hand() -> None:
    """At +10 % the short of 30 lots is bankrupt; of the longs ann, then bob, then cy are ranked."""
    money = {"ann": "100", "bob": "2000", "cy": "9000", "dan": "250"}
    drawn = book("ann X 10 80\nbob X 15 90\ncy X 15 100\ndan X -30 100", cash=money, listed=X)
    engine = Engine(drawn)
    demand = engine.demand(shocks=["0.05", "0.08", "0.1"])
    assert demand.frame().rows() == [("X", "long", 0.1, 30)]
    distances = engine.distances(demand)
    frame = distances.frame()
    assert frame["adl"].to_list() == [0.1, 0.1, 0.1, np.inf]
    assert len(distances) == 4
    more = Engine(drawn, fund="25")
    assert more.demand(shocks=["0.1"]).lots[0, 0] == 15  # half of the 50 that dan lacks
    assert more.distances(more.demand(shocks=["0.1"])).frame()["adl"].to_list()[:3] == [0.1, 0.1, np.inf]
    for fund, lots in (("24", 16), ("26", 15)):  # 15.6 and 14.4: a lot is taken whole
        assert Engine(drawn, fund=fund).demand(shocks=["0.1"]).lots[0, 0] == lots


def test_a_position_is_reached_when_its_first_lot_is() -> None:
    money = {"ann": "100", "bob": "2000", "dan": "50", "eve": "9000"}
    for lots, expected in ((10, np.inf), (11, 0.1)):
        rows = f"ann X 10 80\nbob X 15 90\ndan X -{lots} 100\neve X -{25 - lots} 100"
        engine = Engine(book(rows, cash=money, listed=X))
        assert engine.distances(engine.demand(shocks=["0.1"])).frame()["adl"].to_list()[:2] == [0.1, expected]


@pytest.mark.parametrize("cent", ["99.99", "100", "100.01"])
@pytest.mark.parametrize("policy", [{"score": "bitmex"}, {"score": "bitmex", "then": ["size"]}])
def test_whoever_is_worth_nothing_at_a_shock_stands(cent: str, policy: dict[str, Any]) -> None:
    """At +10 % zed and bob have nothing to the cent: below that zed is out of line, and bob taken over."""
    rows = """zed X 10 100\nzed Y -20 100\nann X 15 100\nbob X -10 100\ncy X -15 100
        dan Y 25 100\neve Y -10 100\ngus Y 5 100"""
    money = {"zed": cent, "ann": "5000", "bob": cent, "cy": "9000", "dan": "200", "eve": "900", "gus": "900"}
    engine = Engine(book(rows, cash=money, listed=X | {"Y": {"mark": "100"}}), policy=policy)
    found = told(engine, shocks=["0.1", "0.11"])
    assert found == brute(engine, [0.1, 0.11])
    assert found["ann", "X", "long"] == (0.1 if cent == "99.99" else 0.11)
    assert found["eve", "Y", "short"] == 0.1
    wanted = engine.demand(shocks=["0.1", "0.11"])
    assert {each: engine.explain(each[0], each[1], demand=wanted).adl for each in found} == found


def test_whoever_is_worth_nothing_is_ahead() -> None:
    """What bob leaves at +10 % takes all of zed, who has nothing then, and none of ann, who comes after."""
    rows = "zed X 10 100\nzed Y -20 100\nann X 15 100\nbob X -10 100\ncy X -15 100\ngus Y 20 100"
    money = {"zed": "100", "ann": "5000", "bob": "50", "cy": "9000", "gus": "9000"}
    engine = Engine(book(rows, cash=money, listed=X | {"Y": {"mark": "100"}}))
    found = told(engine, shocks=["0.1"])
    assert found == brute(engine, [0.1])
    assert (found["zed", "X", "long"], found["ann", "X", "long"]) == (0.1, np.inf)
    wanted = engine.demand(shocks=["0.1"])
    assert {each: engine.explain(each[0], each[1], demand=wanted).adl for each in found} == found
    drawn = book("zed X 10 101\nann X 15 100\ncy X -25 100", cash={"zed": "10", "ann": "50", "cy": "9000"})
    now = Engine(drawn)
    now.mark({"X": "100"})  # at which zed has nothing
    one = now.explain("ann", "X")
    assert (one.rank, one.of, one.lots_of) == (1, 2, 25)


def test_further_keys_decide_in_an_explanation_too() -> None:
    """Of equal sizes the larger leverage comes first, against the order of the ids."""
    money = {"ann": "9000", "bob": "3000", "cy": "900", "dan": "200"}
    drawn = book("ann X 10 100\nbob X 10 100\ncy X 10 100\ndan X -30 100", cash=money, listed=X)
    engine = Engine(drawn, policy={"score": "size", "then": ["leverage"]})
    found = engine.distances().frame()
    for rank, account in enumerate(("cy", "bob", "ann"), 1):
        one = engine.explain(account, "X")
        assert (one.rank, one.lots_ahead) == (rank, 10 * (rank - 1))
        assert one.adl == found.filter(account=account)["adl"][0]


def test_a_larger_shock_may_take_less() -> None:
    """ann has 1000·f + 1440/f − 2420: below zero at +20 % alone; what that took is taken all the same."""
    listed = {"X": {"mark": "100"}, "B": {"kind": "inverse", "contract_size": "100", "mark": "100"}}
    rows = "ann X 10 100\nann B -1440 100\nbob X -10 100\ncy B 1440 100"
    engine = Engine(book(rows, cash={"ann": "20", "bob": "9000", "cy": "9000"}, listed=listed))
    demand = engine.demand(shocks=["0.005", "0.2", "0.5"])
    assert demand.lots[2].tolist() == [0, 1440, 0]
    for ranking in ("shocked", "present"):
        found = engine.distances(demand, ranking=ranking).frame()["adl"]
        assert found.to_list() == [np.inf, np.inf, np.inf, 0.2]
    assert engine.demand(shocks=["0.5"]).lots.sum() == 0


def test_only_shocks_against_the_other_side_count() -> None:
    money = {"ann": "10", "bob": "10"}
    engine = Engine(book("ann X 10 100\nbob X -10 100", cash=money, listed=X))
    demand = engine.demand(shocks=["0.02"])
    assert demand.frame().rows() == [("X", "long", 0.02, 10), ("X", "short", -0.02, 10)]


def test_a_part_of_the_loss_takes_a_part_of_the_lots() -> None:
    drawn = book("ann X 10 100\nbob X -10 100", cash={"ann": "10", "bob": "10"}, listed=X)
    engine = Engine(drawn, policy={"severity": "fraction", "fraction": "0.25"})
    assert engine.demand(shocks=["0.02"]).lots[0, 0] == 2
    assert engine.distances(engine.demand(shocks=["0.02"])).frame()["adl"].to_list() == [0.02, 0.02]
    assert sum(shocked(engine, Fraction(1, 50)).deleverage().adl_fills["lots"]) == 2


def test_a_part_of_the_lots_is_exact() -> None:
    """0.07 · 100 is more than 7 in float64, and 0.29 · 100 less than 29."""
    drawn = book("ann X 100 100\nbob X -100 100", cash={"ann": "10000", "bob": "10"}, listed=X)
    for part, expected in (("0.07", 7), ("0.29", 29), ("0.005", 0)):
        engine = Engine(drawn, policy={"severity": "fraction", "fraction": part})
        assert engine.demand(shocks=["0.02"]).lots[0, 0] == expected


def test_moves_by_hand() -> None:
    """A long of 10 at 100 with 100: equity 100 − 1000·x = 1 % of 1000·(1 − x) at x = 90/990."""
    rows = "ann X 10 100\nbob X -10 100\ncy X 10 100\ncy X -4 100\ndan X 1 100\neve X 1 100\neve X -1 100"
    money = {"ann": "100", "bob": "100", "cy": "100", "dan": "5000", "eve": "9"}
    engine = Engine(book(rows, cash=money, listed=X))
    frame = engine.distances().frame()
    moves = {(a, s): x for a, s, x in frame.select("account", "side", "liquidation").iter_rows()}
    assert moves["ann", "long"] == pytest.approx(90 / 990)
    assert moves["bob", "short"] == pytest.approx(90 / 1010)
    assert moves["cy", "long"] == pytest.approx((100 - 14) / (600 - 14))
    assert moves["cy", "short"] == np.inf or moves["cy", "short"] > 1
    assert moves["dan", "long"] == np.inf
    assert moves["eve", "long"] == np.inf  # margin falls with the price
    assert moves["eve", "short"] == pytest.approx(7 / 2)


def test_who_is_below_margin_has_no_way_left() -> None:
    drawn = book("ann X 10 100\nbob X 10 100\ncy X -20 100", cash={"ann": "9", "bob": "-1", "cy": "900"})
    engine = Engine(drawn)
    engine.mark({"X": "100"})
    frame = engine.distances().frame()
    assert frame["liquidation"].to_list()[:2] == [0.0, 0.0]
    assert frame["adl"].to_list() == [0.5, 0.5, 0.01]  # bob is above zero then


# ---------------------------------------------------------------- one position


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(synth.book("hedged", positions=600, accounts=200, instruments=5, seed=11))


def test_an_explanation_says_what_the_whole_book_says(engine: Engine) -> None:
    demand = engine.demand()
    distances = engine.distances(demand).frame()
    lights = {row[:3]: row[3] for row in engine.lights().frame().iter_rows()}
    shares = {row[:3]: row[3] for row in engine.percentiles().frame().iter_rows()}
    for account, symbol, side, adl, move in distances.gather_every(17).iter_rows():
        one = engine.explain(account, symbol, side=side, demand=demand)
        ranked = engine.rank(symbol, side)
        row = ranked.filter(account=account).row(0, named=True)
        assert (one.rank, one.of, one.adl_tier, one.lots) == (
            row["rank"],
            len(ranked),
            row["adl_tier"],
            row["lots"],
        )
        assert one.lots_ahead == ranked["lots"][: row["rank"] - 1].sum()
        assert one.lots_of == ranked["lots"].sum()
        assert one.parts == {name: row[name] for name in one.parts}
        assert (one.adl, one.liquidation) == (adl, move)
        assert one.light == lights[account, symbol, side]
        assert one.percentile == shares[account, symbol, side]


def after(engine: Engine, account: str, cash: int, lots: int, symbol: str, side: str) -> Engine:
    """An engine of the book after cash came and the row was closed at mark to so many lots."""
    instruments, accounts, positions = engine.book.to_frames()
    held = positions.filter(account=account, symbol=symbol).filter(
        pl.col("lots") > 0 if side == "long" else pl.col("lots") < 0
    )
    old, entry = held["lots"][0], held["entry_value_atoms"][0]
    sign = 1 if old > 0 else -1
    released = int(entry * (abs(old) - lots) / abs(old))
    mine = (pl.col("account") == account) & (pl.col("symbol") == symbol) & (pl.col("lots") == old)
    return Engine(
        Book.from_frames(
            instruments,
            accounts.with_columns(cash_atoms=pl.col("cash_atoms") + cash * (pl.col("id") == account)),
            positions.with_columns(
                lots=pl.when(mine).then(sign * lots).otherwise("lots"),
                entry_value_atoms=pl.when(mine).then(entry - released).otherwise("entry_value_atoms"),
            ),
        )
    )


def test_choices_are_what_an_engine_of_that_book_says(engine: Engine) -> None:
    demand = engine.demand()
    frame = engine.distances(demand).frame()
    for account, symbol, side, _, _ in frame.gather_every(61).iter_rows():
        one = engine.explain(account, symbol, side=side, demand=demand)
        for row in one.choices.iter_rows(named=True):
            there = after(engine, account, row["cash"], row["lots"], symbol, side)
            again = there.explain(account, symbol, side=side, demand=demand)
            assert row["lots"] == again.lots
            assert row["leverage"] == pytest.approx(again.parts["leverage"], rel=1e-9)
            assert row["score"] == pytest.approx(again.parts["score"], rel=1e-9)
            assert row["lots_ahead"] == again.lots_ahead
            assert row["adl"] == again.adl
            assert row["liquidation"] == pytest.approx(again.liquidation, rel=1e-6)


def test_what_a_part_closed_brings_is_rounded_down() -> None:
    """One lot of four is worth 100.003 and cost 100.00: a long gets 0.00 of it, and a short pays 0.01."""
    money = {"ann": "1000", "bob": "1000"}
    engine = Engine(book("ann X 4 100\nbob X -4 100", cash=money, listed={"X": {"mark": "100.003"}}))
    for account, atoms in (("ann", 0), ("bob", -1)):
        choices = engine.explain(account, "X").choices
        assert choices.filter(choice="close 25 %")["cash"].to_list() == [atoms]


def test_a_code_is_told_as_the_id_it_stands_for(engine: Engine) -> None:
    account, symbol, side = engine.distances().frame().row(0)[:3]
    code = int(engine.codes(accounts=[account])[0])
    assert (
        engine.explain(code, symbol, side=side).to_dict()
        == engine.explain(account, symbol, side=side).to_dict()
    )


def test_less_leverage_is_less_leverage(engine: Engine) -> None:
    account, symbol, side = engine.distances().frame().row(0)[:3]
    table = engine.explain(account, symbol, side=side).choices
    leverage = dict(table.select("choice", "leverage").iter_rows())
    assert leverage["leverage / 2"] == pytest.approx(leverage["as it is"] / 2, rel=1e-6)
    assert leverage["leverage / 4"] == pytest.approx(leverage["as it is"] / 4, rel=1e-6)


def test_an_explanation_as_text_and_as_data() -> None:
    money = {"ann": "100", "bob": "2000", "cy": "9000", "dan": "250"}
    drawn = book("ann X 10 80\nbob X 15 90\ncy X 15 100\ndan X -40 100", cash=money, listed=X)
    engine = Engine(drawn)
    one = engine.explain("bob", "X", demand=engine.demand(shocks=["0.05", "0.1"]))
    text = str(one)
    assert "bob: long X, 15 lots" in text
    assert "Rank 2 of 3: 10 of 40 lots are ahead" in text
    assert "Deleveraging reaches it when all prices go up by 10.0%" in text
    assert "close 25 %" in text
    data = one.to_dict()
    assert data["parts"]["equity"] == "2150.00 USD"
    assert data["choices"][0]["choice"] == "as it is"
    assert data["choices"][1]["lots"] == 12
    assert not any(name.startswith("_") for name in data)
    far = engine.explain("cy", "X", demand=engine.demand(shocks=["0.01"]))
    assert far.adl == np.inf
    assert "does not reach it" in str(far)
    assert far.to_dict()["adl"] is None


def test_who_cannot_be_deleveraged_is_told_so() -> None:
    drawn = book("ann X 10 100\ncy X -10 100", cash={"ann": "-1", "cy": "900"}, listed=X)
    one = Engine(drawn).explain("ann", "X")
    assert (one.rank, one.lots_ahead, one.light, one.percentile) == (None, None, 0, None)
    assert one.why_not == "its equity is below zero"
    assert "cannot be deleveraged now: its equity is below zero" in str(one)
    assert "below its maintenance margin now" in str(one)


# ---------------------------------------------------------------- what does not matter, what is refused


def test_reading_changes_nothing_and_threads_do_not_matter(engine: Engine) -> None:
    before = state_of(engine)
    frame = engine.distances().frame()
    engine.explain(*frame.row(0)[:2], side=frame.row(0)[2])
    assert state_of(engine) == before
    instruments, accounts, positions = engine.book.to_frames()
    mixed = Engine(
        Book.from_frames(instruments, accounts.reverse(), positions.sample(fraction=1, shuffle=True, seed=1)),
        threads=1,
    )
    assert mixed.distances().frame().sort(KEYS).equals(frame.sort(KEYS))


def test_an_empty_book_has_no_distances() -> None:
    engine = Engine(book("", cash={"ann": "1"}, listed=X))
    assert engine.distances().frame().shape == (0, 5)
    assert engine.demand().frame().is_empty()


@pytest.mark.parametrize(
    ("policy", "where"),
    [
        ({"trigger": "none"}, "policy, column trigger: none"),
        ({"trigger": "unfilled"}, "policy, column trigger: unfilled"),
        ({"space": "wealth"}, "policy, column space: wealth"),
        ({"allocation": "pro_rata_size"}, "policy, column allocation: pro_rata_size"),
    ],
)
def test_policies_without_a_queue_are_refused(policy: dict[str, Any], where: str) -> None:
    engine = Engine(book("ann X 1 100\nbob X -1 100", cash={"ann": "9", "bob": "9"}, listed=X), policy=policy)
    with pytest.raises(InputError, match=where):
        engine.demand()


@pytest.mark.parametrize(
    ("shocks", "text"),
    [
        ("0.1", "shocks: 0.1: give a list"),
        ([], "shocks: none: give at least one"),
        (["0"], "shocks, row 0: 0: give the size"),
        (["-0.1"], "shocks, row 0: -0.1: give the size"),
        (["1"], "shocks, row 0: 1: give the size"),
        (["0.2", "0.1"], "shocks, row 1: 0.1: give shocks in rising order"),
        (["much"], "shocks, row 0: much"),
        (np.linspace(0.001, 0.9, 101), "shocks: more than 100"),
    ],
)
def test_shocks_that_cannot_be_are_refused(engine: Engine, shocks: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        engine.demand(shocks=shocks)


def test_what_does_not_exist_is_refused(engine: Engine) -> None:
    account, symbol = engine.distances().frame().row(0)[:2]
    with pytest.raises(InputError, match="account: nobody: name an account"):
        engine.explain("nobody", symbol)
    for wrong in (account[:-1], f"{account}x", account.upper()):
        with pytest.raises(InputError, match=r"give its code below 200; did you mean \w+\?$"):
            engine.explain(wrong, symbol)
    with pytest.raises(InputError, match="symbol: BTC: name one of the instruments, such as"):
        engine.explain(account, "BTC")
    small = Engine(book("ann X 1 100\nbob X -1 100", cash={"ann": "9", "bob": "9", "cy": "1"}, listed=X))
    with pytest.raises(InputError, match="side: None: name a symbol it holds; it holds nothing"):
        small.explain("cy", "X")
    with pytest.raises(InputError, match="side: short: name a side the account holds: long"):
        small.explain("ann", "X", side="short")
    with pytest.raises(InputError, match=r"demand: int: give what Engine\.demand returned"):
        small.distances(7)
    with pytest.raises(InputError, match="the symbols are others"):
        small.distances(engine.demand())
    with pytest.raises(StageError, match="has no mark yet"):
        Engine(book("ann X 1 100\nbob X -1 100", cash={"ann": "9", "bob": "9"})).distances()


def test_groups_that_fills_have_made_and_nobody_uses_are_nobodys() -> None:
    grown = Engine(synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1))
    traders = np.arange(0, 400, 2)
    for symbol in range(5):
        lots = np.concatenate([np.ones(200, np.int64), -np.ones(200, np.int64)])
        fills = {
            "account": np.concatenate([traders, traders + 1]),
            "symbol": np.full(400, symbol),
            "lots": lots,
        }
        grown.apply_fills({**fills, "price": np.full(400, grown.marks[symbol])})
    anew = Engine(Book.from_frames(*grown.frames()))
    anew.mark(grown.marks)
    assert grown.liquidation_distances().equals(anew.liquidation_distances())
    assert grown.distances().frame().equals(anew.distances().frame())
    assert grown.percentiles().frame().equals(anew.percentiles().frame())
