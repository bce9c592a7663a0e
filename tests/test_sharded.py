"""A book in shards ticks as one in one piece does, to the atom, whoever is at home where."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from functools import partial
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

import fastadl as fa
from fastadl import Scenario
from fastadl.decimals import plain
from fastadl.policy import VENUES
from fastadl.recording.entries import difference, outcome
from fastadl.sharded import engine
from fastadl.sharded.dataset import Dataset
from fastadl.sharded.divide import WAYS
from fastadl.sharded.links import Here
from fastadl.sharded.packing import packed, unpacked
from fastadl.sharded.writing import write_dataset
from live_draws import PERCENT, book_of, draw_world, funds_of
from model.strategies import scenarios
from test_own_scores import own_bitmex, own_newest
from test_sharded_dataset import change
from test_sharded_live import same_answer, same_state
from uncompiled import fewer
from walks import drawn

MOST_SHARDS = 7
seeds = st.integers(0, 2**32 - 1)


class Pair:
    """Two engines of one book, told the same: one in one piece, and one in shards, some of them empty."""

    def __init__(self, book: fa.Book, dice: Random, **options: Any) -> None:
        options = {"threads": 1, **options}
        shards = dice.randint(1, MOST_SHARDS)
        used = dice.sample(range(shards), dice.randint(1, shards))
        by = dice.choice([*WAYS, np.array([dice.choice(used) for _ in book.accounts], np.int64)])
        self.one = fa.Engine(book, **options)
        self.many = fa.ShardedEngine(book, **options, shards=shards, by=by, address="inline")

    def both(self, name: str, **given: Any) -> Any:
        """What both say to a call, and hold after it, which is the same."""
        return same_answer(self.one, self.many, name, given)


def walk(pair: Pair, dice: Random, count: int) -> None:
    """Ticks at once or stage by stage, with and without time, oracle prices and executions by hand."""
    instruments, time = pair.one.book.instruments, 0
    for number in range(count):
        given: dict[str, Any] = {"prices": prices(dice, instruments, every=number == 0)}
        if dice.random() < 0.5:
            given["oracle"] = prices(dice, instruments)
        if dice.random() < 0.7:
            time += dice.choice([0, 1, 30, 61, 50_000, 86_400])
            given["time"] = time
        if dice.random() < 0.6:
            pair.both("tick", **given)
            continue
        pair.both("mark", **given)
        pair.both("liquidations")
        if dice.random() < 0.7:
            pair.both("settle", executions=executions(pair.one, dice))
        pair.both("takeover")
        pair.both("deleverage")


def prices(dice: Random, instruments: Any, *, every: bool = False) -> dict[str, str]:
    """For all instruments or most: near the marks of the book, or far from them."""
    moved = {each.symbol: (each.mark or 100) * Fraction(dice.choice(PERCENT), 100) for each in instruments}
    return {k: plain(v) for k, v in moved.items() if every or dice.random() < 0.7}


def executions(told: fa.Engine, dice: Random) -> dict[str, list[Any]] | None:
    """Of some rows of those who were detected, at their marks."""
    marks = dict(zip(told.symbols, told.marks.tolist(), strict=True))
    detected = told.liquidations()["account"]
    found = defaultdict(list)
    for account, symbol, lots, _ in told.frames()[2].iter_rows():
        if account in detected and dice.random() < 0.5:
            row = {"account": account, "symbol": symbol, "side": "long" if lots > 0 else "short"}
            for name, value in {**row, "lots": dice.randint(1, abs(lots)), "price": marks[symbol]}.items():
                found[name].append(value)
    return found or None


# ---------------------------------------------------------------------- whatever is drawn


@settings(max_examples=fewer(40), deadline=None)
@given(scenarios(wide=True), seeds)
def test_scenarios_of_every_policy_run_alike(scenario, seed):
    """Ties, hedges, isolated accounts, tiers and rounding, as the model has them."""
    it = Scenario.load(scenario)
    pair = Pair(it.book, Random(seed), policy=it.policy, fund=it.fund, liquidity=it.liquidity)
    for step in it.steps:
        pair.both("tick", prices=step.marks, time=step.time, oracle=step.oracle or None)


@settings(max_examples=fewer(30), deadline=None)
@given(seeds)
def test_books_of_several_currencies_tick_alike(seed):
    """Owners, exempt accounts, an order book with slices, sessions, a fund of each currency."""
    dice = Random(seed)
    raw = draw_world(dice)
    options = {"policy": raw["policy"], "fund": funds_of(raw), "liquidity": raw["liquidity"]}
    walk(Pair(book_of(raw), dice, **options), dice, 4)


@settings(max_examples=fewer(25), deadline=None)
@given(seeds)
def test_books_of_large_numbers_tick_alike(seed):
    """Accounts at the edge of liquidation, and rows worth all that a row may be."""
    dice = Random(seed)
    fund = {"USD": dice.choice(["0", "100000"])}
    walk(Pair(drawn(dice, 9, 0.3), dice, policy=dice.choice([*VENUES]), fund=fund), dice, 3)


@pytest.mark.parametrize("name", [*VENUES][:: 3 if config.DISABLE_JIT else 1])
def test_every_preset_ticks_a_crowd_alike(name):
    dice, happened = Random(name), 0
    for seed, fund in enumerate(["0", "700"]):
        pair = Pair(crowd(seed), dice, policy=name, fund=fund)
        for number in range(3):
            report = pair.both("tick", prices=moved(pair.one, seed, number), time=5000 * number)
            happened += sum(len(report.get(f"result.{name}", ())) for name in ("adl_fills", "socialized"))
    assert happened > 20


@pytest.mark.parametrize(
    "policy",
    [
        {"space": "wealth", "socialization": "session_profit", "session": 10**6},
        {"space": "wealth", "socialization": "clawback", "session": 10**6},
        {"trigger": "unfilled", "price": "mark"},
    ],
    ids=lambda policy: policy.get("socialization", "unfilled"),
)
@pytest.mark.parametrize("depth", [0, 3])
def test_those_who_were_away_are_known_as_what_they_are(policy, depth):
    """What they had when the session began, and that they are closed out themselves."""
    dice = Random(depth)
    for seed in range(2):
        book = crowd(seed)
        liquidity = {"depth": {item.symbol: depth for item in book.instruments}}
        pair = Pair(book, dice, policy=policy, liquidity=liquidity)
        for number in range(4):
            pair.both("tick", prices=moved(pair.one, seed, number), time=5 * number)


def moved(told: fa.Engine, *seed: int) -> Any:
    return told.marks * np.random.default_rng(seed).uniform(0.8, 1.2, len(told.marks))


def crowd(seed: int) -> fa.Book:
    """Hundreds of accounts in threes of one kind, of which many tie; some exempt, isolated or of a tier."""
    instruments, accounts, positions = fa.synth.book(
        "pareto", positions=300, accounts=120, instruments=4, seed=seed
    ).to_frames()
    copies = [f"{place}" for place in np.random.default_rng(seed).permutation(3)]
    return fa.Book.from_frames(
        instruments,
        pl.concat([accounts.with_columns(id=pl.lit(copy) + pl.col("id")) for copy in copies]).with_columns(
            exempt=pl.int_range(pl.len()) % 17 == 3,
            adl_tier=(pl.int_range(pl.len()) % 11 == 5).cast(pl.UInt8),
        ),
        pl.concat([positions.with_columns(account=pl.lit(copy) + pl.col("account")) for copy in copies]),
    )


# ---------------------------------------------------------------------- scores of one's own


@fa.score
def halves(c: fa.Candidate) -> float:
    """Many tie."""
    return math.floor(c.profit / 1e9)


@fa.score
def of_the_poor(c: fa.Candidate) -> float:
    """None for those who have won much."""
    return math.nan if c.symbol_profit > 3e9 else c.profit


@pytest.mark.parametrize("allocation", ["queue", "pro_rata_size", "capped_pro_rata"])
@pytest.mark.parametrize("score", [own_bitmex, halves], ids=lambda score: score.name)
def test_own_scores_rank_alike(score, allocation):
    more = {"max_share": "0.4"} if allocation == "capped_pro_rata" else {}
    policy = {"score": score, "then": [halves, "size", own_newest], "allocation": allocation, **more}
    pair = Pair(crowd(3), Random(allocation), policy=policy)
    said = [pair.both("tick", prices=moved(pair.one, 7, number)) for number in range(3)]
    assert sum(len(each.get("result.adl_fills", ())) for each in said) > 20


@fa.score
def own_given(c: fa.Candidate) -> float:
    return -c.given


@pytest.mark.parametrize(
    "score", ["given", own_given, "newest", "random"], ids=lambda score: getattr(score, "name", score)
)
@pytest.mark.parametrize("last", [True, False])
def test_places_in_the_book_are_those_among_all(score, last):
    """By which many who tie are ranked."""
    policy = {"score": halves, "then": [score]} if last else {"score": score}
    for seed in range(2):
        pair = Pair(crowd(seed), Random(seed), policy=policy)
        for number in range(2):
            pair.both("tick", prices=moved(pair.one, 8, number))
            pair.both("open_accounts", accounts={"id": [f"0{number}"], "cash": ["5"]})


def test_a_score_that_is_no_number_changes_nothing():
    pair = Pair(crowd(5), Random(1), policy={"score": of_the_poor})
    said = [pair.both("tick", prices=moved(pair.one, 5, number)) for number in range(8)]
    refused = [each for each in said if not isinstance(each, dict)]
    assert {kind for kind, *_ in refused} == {fa.PolicyError}
    assert 0 < len(refused) < len(said)
    assert any("result.adl_fills" in each for each in said)


@pytest.mark.parametrize(
    "policy",
    [
        {"score": "bitmex", "then": ["profit", of_the_poor]},
        {"score": own_newest, "then": [of_the_poor]},
        {"score": halves, "then": [of_the_poor, own_newest], "allocation": "pro_rata_size"},
        {
            "trigger": "pool_profit",
            "pool_max": "0.01",
            "pool_min": "0.005",
            "score": of_the_poor,
            "price": "mark",
        },
    ],
    ids=["who tie", "nobody ties", "many tie", "pool"],
)
def test_who_is_asked_for_a_score_and_has_none_is_named_alike(policy):
    """Whoever is at home with whom; of those who tie, for the further scores (R97)."""
    refused, done = set(), 0
    for seed in range(3):
        fund = "100000" if "trigger" in policy else "0"
        pair = Pair(crowd(seed), Random(seed), policy=policy, fund=fund)
        for number in range(fewer(6)):
            said = pair.both("tick", prices=moved(pair.one, 5, number))
            if isinstance(said, dict):
                done += "result.adl_fills" in said
            else:
                refused.add(said)
    assert done > 0
    assert len(refused) > 1 or policy["score"] is own_newest
    assert {kind for kind, *_ in refused} <= {fa.PolicyError}


# ---------------------------------------------------------------------- what is refused


def test_prices_that_are_refused_change_nothing():
    pair = Pair(crowd(2), Random(2), fund="500")
    symbol = pair.one.symbols[0]
    for number, wrong in enumerate(["-1", "nan", 0, "1e15", "abc", None]):
        for told in ({"prices": {symbol: wrong}}, {"prices": {}, "oracle": {symbol: wrong}}):
            assert not isinstance(pair.both("tick", **told, time=100 * number + 50), dict)
        assert isinstance(pair.both("tick", prices=moved(pair.one, 2, number), time=100 * number), dict)
        assert not isinstance(pair.both("tick", prices={}, time=100 * number - 1), dict)
    assert not isinstance(pair.both("tick", prices={"nothing": "1"}), dict)
    assert not isinstance(pair.both("tick", prices=[1.0]), dict)


def test_the_first_tick_marks_all_that_any_shard_holds():
    book = Pair(crowd(2), Random(2)).one.book
    instruments, accounts, positions = book.to_frames()
    bare = fa.Book.from_frames(instruments.with_columns(mark=pl.lit(None, pl.String)), accounts, positions)
    pair = Pair(bare, Random(3))
    marks = {item.symbol: item.mark for item in book.instruments}
    for symbol in marks:
        kind, path, *_ = pair.both("tick", prices={k: v for k, v in marks.items() if k != symbol})
        assert (kind, path) == (fa.InputError, ("prices", symbol))
    pair.both("tick", prices=marks)


class Stopped(BaseException):
    """As an interrupt is."""


@pytest.mark.parametrize("name", ["bitmex", "okx_2025", "mango_v4", "gmx_v2"])
def test_a_tick_that_is_stopped_anywhere_changes_nothing(name, monkeypatch):
    """Between any two messages, when some shards have heard of it and some have not."""
    pair = Pair(crowd(4), Random(name), policy=name)
    pair.both("tick", prices=pair.one.marks * 0.97)
    prices, left = moved(pair.one, 2), [0]
    heard = Here._call

    def call_or_stop(links: Here, shard: Any, what: str, given: tuple[Any, ...]) -> Any:
        left[0] -= what not in ("commit", "rollback")
        if left[0] == 0 and what not in ("commit", "rollback"):
            raise Stopped
        return heard(links, shard, what, given)

    monkeypatch.setattr(Here, "_call", call_or_stop)
    for number in range(1, 10**6):
        left[0] = number
        try:
            pair.many.tick(prices)
            break
        except Stopped:
            left[0] = 0
            if number % 5 == 1:
                same_state(pair.one, pair.many)
    assert number > 2 * len(pair.many._links)
    left[0] = 0
    pair.one.tick(prices)
    same_state(pair.one, pair.many)
    pair.both("tick", prices=moved(pair.one, 3))


# ---------------------------------------------------------------------- datasets


@pytest.mark.parametrize("by", WAYS)
def test_shards_that_read_a_dataset_tick_as_its_book_does(tmp_path, by):
    folder = write_dataset(crowd(1), tmp_path / "set", shards=5, by=by)
    book = Dataset.open(folder).book()
    for shards in (1, 2, 3):
        pair = Pair(book, Random(by), fund="700")
        pair.many = fa.ShardedEngine(folder, fund="700", shards=shards, address="inline")
        for number in range(3):
            pair.both("tick", prices=moved(pair.one, 9, number))


def test_an_account_in_two_partitions_is_refused_by_name(tmp_path):
    for shards in (1, 2, 3):
        folder = write_dataset(crowd(1), tmp_path / f"{shards}", shards=3, by="order")
        files = sorted(folder.glob("part-*/accounts.parquet"))
        name = pl.read_parquet(files[0])["id"][0]
        was = pl.read_parquet(files[2])["id"][0]
        change(files[2], pl.col("id").replace(was, name))
        change(files[2].with_name("positions.parquet"), pl.col("account").replace(was, name))
        with pytest.raises(fa.InputError) as error:
            fa.ShardedEngine(folder, shards=shards, address="inline")
        assert name in str(error.value)
        assert "part-00002" in str(error.value)


def test_partitions_that_are_too_much_together_are_refused(tmp_path):
    """By whatever shards they are read."""
    instruments, accounts, positions = crowd(1).to_frames()
    twice = pl.concat([accounts, accounts.with_columns(id=pl.lit("again") + pl.col("id"))])
    book = fa.Book.from_frames(instruments, twice, positions)
    folder = write_dataset(book, tmp_path / "set", shards=2, by="round_robin")
    for file in folder.glob("part-*/accounts.parquet"):
        change(file, pl.lit(1 << 53).alias("cash_atoms"))
    said = set()
    for make in (Dataset.open(folder).book, *(partial(shards_of, folder, n) for n in (1, 2, 3))):
        with pytest.raises(fa.BoundsError, match="cash") as error:
            make()
        said.add(str(error.value))
    assert len(said) == 1


def shards_of(folder: Any, shards: int) -> None:
    fa.ShardedEngine(folder, shards=shards, address="inline")


def test_a_corrupt_file_is_named_before_anything_is_started(tmp_path, monkeypatch):
    folder = write_dataset(crowd(1), tmp_path / "set", shards=3)
    file = folder / "part-00001" / "positions.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    monkeypatch.setattr(engine, "linked", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(fa.InputError) as error:
        fa.ShardedEngine(folder, shards=2, address="inline")
    assert "part-00001/positions.parquet" in str(error.value)


# ---------------------------------------------------------------------- reports


def kept(many: fa.ShardedEngine) -> set[int]:
    """Ticks of which shards keep something for reports."""
    shards: Any = many._links
    return {number for shard in shards._shards for number in (*shard._stayed, *shard._charged)}


@pytest.mark.parametrize("name", ["bitmex", "mango_v4", "percolator"])
def test_reports_read_later_say_the_same(name):
    pair = Pair(crowd(6), Random(name), policy=name)
    reports = []
    for number in range(5):
        prices = moved(pair.one, 6, number)
        reports.append((outcome(pair.one.tick(prices)), pair.many.tick(prices)))
        new = {"id": [f"0{number}"], "cash": ["5"]}
        pair.both("open_accounts", accounts=new)
        assert not isinstance(pair.both("tick", prices={"nothing": 1}), dict)
    assert kept(pair.many) == set(range(5))
    for number in (3, 0, 4, 1, 2):
        expected, report = reports[number]
        assert expected["result.summary"].equals(outcome(report)["result.summary"])
        assert difference(expected, outcome(report)) is None
        assert difference(expected, outcome(report)) is None
    assert sum("result.liquidations" in expected for expected, _ in reports) > 2


def test_shards_keep_nothing_for_reports_that_are_dropped_or_read():
    pair = Pair(crowd(6), Random(1))
    first, second, third = (pair.many.tick(moved(pair.one, 6, number)) for number in range(3))
    assert kept(pair.many) == {0, 1, 2}
    del first
    assert len(second.liquidations)
    pair.many.tick(moved(pair.one, 6, 3))
    assert kept(pair.many) == {2, 3}
    del third
    pair.many.tick(moved(pair.one, 6, 4))
    assert kept(pair.many) == {4}


def test_shards_that_were_let_go_say_so():
    pair = Pair(crowd(6), Random(1))
    with pair.many as many:
        report = many.tick(pair.one.marks * 0.7)
    for read in (lambda: report.liquidations, lambda: many.tick({}), lambda: many.accounts):
        with pytest.raises(fa.StageError, match="let go"):
            read()
    assert len(report.adl_fills) > 0


# ---------------------------------------------------------------------- messages

TYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "f8")


@settings(max_examples=fewer(150), deadline=None)
@given(st.data())
def test_columns_are_unpacked_as_they_were(data):
    dtype = np.dtype(data.draw(st.sampled_from(TYPES)))
    edges = [0, 1] if dtype.kind in "bf" else [np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 1, 7, 100]
    few = np.array(data.draw(st.lists(st.sampled_from(edges), min_size=1, max_size=5)), dtype)
    column = np.resize(few, data.draw(st.sampled_from([0, 1, 63, 64, 65, 500])))
    before = column.copy()
    for sent in (column, column[::-1]):
        found = unpacked(packed({"a": [sent]}))["a"][0]
        assert (found.dtype, found.tobytes()) == (sent.dtype, sent.tobytes())
        assert found.flags.writeable
    assert column.tobytes() == before.tobytes()


@pytest.mark.parametrize("count", [0, 1, 100])
def test_ids_are_unpacked_as_they_were(count):
    ids = pl.Series("id", [f"é{i}" * (i % 3) + "x" * (i % 40) for i in range(count)], dtype=pl.String)
    for sent in (ids, ids.alias(""), ids.reverse()):
        found = unpacked(packed(sent))
        assert (found.name, found.dtype, found.to_list()) == (sent.name, pl.String, sent.to_list())


def test_columns_go_in_few_bytes():
    place = np.arange(1000, dtype=np.int64)
    assert len(packed(place + 2**40)) < 2200
    assert len(packed(place % 200)) < 1200
    assert len(packed(place % 3 == 0)) < 300
    assert len(packed(np.zeros(1000))) > 8000
    assert len(packed(np.zeros(1000, np.int64))) < 150


@pytest.mark.jit
@pytest.mark.parametrize("name", ["bitmex", "binance_2025", "pro_rata", "min_max"])
def test_a_crash_sends_no_more_than_promised(name):
    """Whatever the size of the book: per shard, row of a bankrupt, candidate chosen, and round of a leg."""
    book = fa.synth.book("pareto", positions=100_000, accounts=40_000, instruments=20, seed=3)
    many = fa.ShardedEngine(book, policy=name, shards=8, address="inline")
    links: Any = many._links
    told, rounds = links.all, [0]

    def count(what: str, *sent: Any) -> Any:
        rounds[0] += len(sent[0]) if what == "go_on" else 0
        return told(what, *sent)

    links.all = count
    chosen = 0
    for number, factor in enumerate((0.85, 0.8, 1.3)):
        held, rounds[0] = many.frames()[2]["account"], 0
        before = links.sent + links.received
        report = many.tick(many.marks * factor, time=5000 * number)
        sent = links.sent + links.received - before
        bankrupt = report.liquidations.filter(pl.col("status") == "bankrupt")["account"]
        fixed = 8 * 100_000 + 64 * int(held.is_in(bankrupt.implode()).sum()) + 64 * len(report.adl_fills)
        chosen += len(report.adl_fills)
        assert sent <= fixed + 16_000 * rounds[0]
    assert chosen > 10_000
