"""What is read of a book in shards is what is read of one in one piece."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl.borders.ccxt import outgoing
from fastadl.report.queue import places
from fastadl.sharded.engine import ShardedEngine
from fastadl.stress import pressure
from test_sharded_live import same_answer, same_state

#: Points of a tick at which everything is read.
MOMENTS = ("between", "marked", "taken over")


@pytest.fixture(params=MOMENTS)
def both(request):
    book = fa.synth.book("pareto", positions=400, accounts=150, instruments=4, seed=3)
    given = {"fund": "1000", "policy": "bitmex"}
    one, many = fa.Engine(book, **given), ShardedEngine(book, **given, shards=3, address="inline")
    for engine in (one, many):
        engine.tick(engine.marks)
        if request.param != "between":
            engine.mark(engine.marks * 0.8)
        if request.param == "taken over":
            engine.takeover()
    return one, many


def test_what_accounts_are_worth(both):
    one, many = both
    assert one.equity().tolist() == many.equity().tolist()
    assert one.maintenance_margin().tolist() == many.maintenance_margin().tolist()
    for expected, found in zip(one.values(), many.values(), strict=True):
        assert expected.tolist() == found.tolist()
    expected, found = one.estimates(), many.estimates()
    for name in ("equity", "maintenance_margin", "gross"):
        assert getattr(expected, name) == pytest.approx(getattr(found, name), rel=1e-12)
    assert one.left() == many.left()


def test_what_is_said_of_named_accounts(both):
    one, many = both
    some = one.accounts.gather([5, 140, 77, 5])
    codes = one.codes(accounts=some)
    assert codes.tolist() == many.codes(accounts=some).tolist() == [5, 140, 77, 5]
    before = len(many._state.book.slot)
    for accounts in (some, codes, some.to_list(), codes.tolist()):
        assert one.free_collateral(accounts).tolist() == many.free_collateral(accounts).tolist()
        assert one.in_liquidation(accounts).tolist() == many.in_liquidation(accounts).tolist()
    for account in (5, some[1], np.int32(77)):
        assert one.free_collateral(account) == many.free_collateral(account)
        assert one.positions(account).equals(many.positions(account))
    orders = {"account": some, "symbol": [0, 1, 2, 3], "lots": [3, -4, 5, -6], "price": one.marks}
    assert one.initial_margin(orders).tolist() == many.initial_margin(orders).tolist()
    assert len(many._state.book.slot) == before
    for name in ("free_collateral", "in_liquidation"):
        same_answer(one, many, name, {"accounts": ["nobody"]})
        same_answer(one, many, name, {"accounts": 150})
    same_answer(one, many, "positions", {"account": -1})
    same_answer(one, many, "codes", {"accounts": [some[0], "nobody"]})
    same_answer(one, many, "codes", {})


def test_what_ranks_everybody(both):
    one, many = both
    symbol = one.symbols[0]
    for side in ("long", "short"):
        assert one.rank(symbol, side).equals(many.rank(symbol, side))
    for name in ("lights", "percentiles", "distances"):
        assert getattr(one, name)().frame().equals(getattr(many, name)().frame())
    assert one.demand().frame().equals(many.demand().frame())
    assert one.liquidation_distances().equals(many.liquidation_distances())
    assert repr(one.exposures()) == repr(many.exposures())
    row = one.frames()[2].row(0, named=True)
    side = "long" if row["lots"] > 0 else "short"
    told = [engine.explain(row["account"], row["symbol"], side=side) for engine in both]
    assert str(told[0]) == str(told[1])


def test_copies_and_forks_go_on_alike(both):
    one, many = both
    copies = [engine.copy() for engine in both]
    forks = [engine.fork({"preset": "bitmex", "allocation": "pro_rata_size"}) for engine in both]
    for pair in (copies, forks):
        reports = [engine.deleverage() for engine in pair]
        for name in ("liquidations", "adl_fills", "takeovers", "uncovered", "netted"):
            assert getattr(reports[0], name).equals(getattr(reports[1], name)), name
        for expected, found in zip(pair[0].frames(), pair[1].frames(), strict=True):
            assert expected.equals(found)
    same_state(one, many)
    assert one.deleverage().adl_fills.equals(many.deleverage().adl_fills)
    same_state(one, many)


def test_room_for_more_changes_nothing(both):
    one, many = both
    for engine in both:
        engine.prepare_live(positions=4000, accounts=900)
    same_state(one, many)
    same_answer(one, many, "prepare_live", {"positions": -1})


def test_a_report_is_fetched_when_read(both):
    reports = [engine.deleverage() for engine in both]
    early = [engine.liquidations() for engine in both]
    for engine in both:
        engine.tick(engine.marks * 0.9)
        engine.open_accounts({"id": ["aa", "b"], "cash": ["1", "1"]})
    assert early[0].equals(early[1])
    assert reports[0].liquidations.equals(reports[1].liquidations)


def test_nothing_is_said_of_shards_that_were_let_go(both):
    _, many = both
    report = many.deleverage()
    many.close()
    for read in (many.frames, many.equity, lambda: many.tick(many.marks), lambda: report.liquidations):
        with pytest.raises(fa.StageError, match="have been let go"):
            read()
    assert "have been let go" in repr(many)


def test_its_name_says_how_large_it_is(both):
    _, many = both
    accounts, positions = len(many.accounts), len(many.book)
    assert repr(many).startswith(
        f"<ShardedEngine: {accounts} accounts, 4 instruments, {positions} positions, "
    )
    assert isinstance(many.accounts, pl.Series)


@pytest.mark.parametrize("policy", ["bitmex", "vega"])
def test_shards_write_what_a_report_says_of_their_accounts(policy, tmp_path):
    """Of accounts that stayed where they are, and of those charged, nothing comes here."""
    book = fa.synth.book("pareto", positions=1500, accounts=500, instruments=4, seed=3)
    one = fa.Engine(book, fund="0", policy=policy)
    many = ShardedEngine(book, fund="0", policy=policy, shards=3, address="inline")
    expected, found = one.tick(one.marks * 0.9), many.tick(one.marks)
    parts = found.to_parquet(tmp_path / "many")
    assert not found.fetched
    whole = expected.to_parquet(tmp_path / "one")
    assert sum(len(list(parts.glob(f"{name}.parquet/*"))) for name in ("liquidations", "socialized")) == 8
    frames = expected.frames()
    assert sorted(path.stem for path in whole.iterdir()) == sorted(path.stem for path in parts.iterdir())
    for name, frame in frames.items():
        assert pl.read_parquet(whole / f"{name}.parquet").equals(frame)
        written = pl.read_parquet(parts / f"{name}.parquet")
        if name == "summary":
            seconds = [column for column in frame.columns if column.startswith("seconds_")]
            assert written.drop(seconds).equals(frame.drop(seconds))
        elif name in ("liquidations", "socialized"):
            assert written.sort("account").equals(frame.sort("account"))
        else:
            assert written.equals(frame)
    stayed = len(frames["liquidations"]) - int(frames["summary"]["bankrupt"].sum())
    assert stayed > 1
    assert len(frames["socialized"]) > 5 or policy == "bitmex"
    assert found.liquidations.equals(expected.liquidations)
    with pytest.raises(fa.InputError, match="not an empty folder"):
        found.to_parquet(parts)


def test_what_others_make_of_an_engine(both):
    """They look at everybody too."""
    one, many = both
    for given in ({}, {"symbol": one.symbols[0]}, {"fund": "5", "shocks": ["-0.2", "0.1"]}):
        curves = [pressure(engine, **given) for engine in both]
        assert curves[0].frame.equals(curves[1].frame)
        assert curves[0].by_instrument.equals(curves[1].by_instrument)
    assert outgoing.positions(one) == outgoing.positions(many)
    assert outgoing.adl_ranks(one) == outgoing.adl_ranks(many)
    account = one.frames()[2].row(0, named=True)["account"]
    assert str(places(one, account)) == str(places(many, account))
