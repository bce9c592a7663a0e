"""Who pays debts, and what is won from a pool, is the same of a book in parts (rules R90 to R95)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastadl as fa
from engines import state_of
from fastadl.engine import stages
from fastadl.engine.allocation import Quotas
from fastadl.engine.collective import alone
from fastadl.engine.collectives.ranked import Queue
from fastadl.engine.everybody import Everybody
from fastadl.engine.holdings import Holdings, holdings
from fastadl.engine.pool import first_batch
from fastadl.engine.ranking import Candidates, candidates
from fastadl.engine.socialize import winners
from fastadl.engine.socialize.charged import Bill, Charges
from fastadl.engine.socialize.charging import charge
from fastadl.engine.socialize.moves import Moves, by_id, move
from fastadl.engine.socialize.sessions import Session, begin_session, forget_ended, slots_in_debt
from fastadl.engine.state import State, places
from fastadl.policy import AdlPolicy
from fastadl.schema import IntArray
from parted import Part, book_of, divided, together

KINDS = (
    "profit", "profit_floor", "haircut", "open_interest", "opposite_side", "session_profit", "clawback"
)  # fmt: skip
SEVERITIES = ({}, {"severity": "matched"}, {"severity": "fraction", "fraction": "0.37"},
              {"severity": "trigger_loss"})  # fmt: skip
WEALTH = [
    {"space": "wealth", "socialization": kind, "split": "notional", **severity}
    | ({"session": 10} if kind in ("session_profit", "clawback") else {})
    for kind in KINDS
    for severity in SEVERITIES
    if (kind, severity.get("severity")) != ("clawback", "trigger_loss")
]
POOL = [
    {
        "trigger": "pool_profit",
        "price": "mark",
        "pool_max": "0.02",
        "pool_min": "0.01",
        "rerank": rerank,
        **more,
    }
    for rerank in ("never", "each")
    for more in (
        {},
        {"score": "random"},
        {"score": "size", "then": ["low_cash", "newest"]},
        {"pool_max": "2"},
    )
]
TIMES = (0, 5, 10, 20)
NOBODY = Quotas(*np.empty((4, 0), np.int64), np.empty(0))


def named(policy: dict[str, Any]) -> str:
    return " ".join(str(value) for value in policy.values())


# ---------------------------------------------------------------------- a crowd divided when it is asked


@dataclass(frozen=True)
class Divided:
    """In the place of `Everybody`: what is asked is asked of parts, into which the state is cut just then."""

    home: IntArray
    lent: IntArray
    state: State
    policy: AdlPolicy
    number: int

    def parts(self) -> list[Part]:
        return divided(self.state, self.home, self.lent)

    def slots(self, part: Part) -> IntArray:
        """Slot in the whole state by slot in a part."""
        return self.state.book.slot[part.accounts[part.state.book.rows.account]]

    def holdings(self) -> Holdings:
        found = together([holdings(part.state, part.lent) for part in self.parts()])
        for other in found:
            np.testing.assert_array_equal(other, found[0])
        return found[0]

    def in_debt(self) -> IntArray:
        slots = [
            self.slots(part)[np.setdiff1d(slots_in_debt(part.state), part.lent)] for part in self.parts()
        ]
        found = np.concatenate(slots)
        return found[np.argsort(self.state.book.rank[self.state.book.rows.account[found]])]

    def forget_ended(self) -> None:
        forget_ended(self.state)

    def charge(self, bill: Bill) -> Charges:
        parts = self.parts()
        found = together([charge(part.state, bill, self.policy, part.lent) for part in parts])
        amount = np.zeros(len(self.state.book.rows.cash), np.int64)
        for part, each in zip(parts, found, strict=True):
            assert not each.amount[part.lent].any()
            amount[self.slots(part)] += each.amount
            assert (each.covered, each.rest) == (found[0].covered, found[0].rest)
            assert each.fund_place == found[0].fund_place
        return Charges(amount, found[0].covered, found[0].rest, found[0].fund_place)

    def rankings(self, legs: list[int], excluded: IntArray) -> list[Any]:
        parts, own = self.parts(), []
        for part in parts:
            among = np.isin(self.slots(part), excluded)
            among[part.lent] = True
            own.append(candidates(part.state, legs, self.policy, among, self.number, apart=True))
        return [partial(self.ranked, parts, each) for each in zip(*own, strict=True)]

    def ranked(self, parts: list[Part], found: Sequence[Candidates], share: Fraction) -> Quotas:
        (need,) = set(together([first_batch(each, share) for each in found]))
        batches = self.batches(parts, found, need)
        return replace(next(batches, NOBODY), further=batches)

    def batches(self, parts: list[Part], found: Sequence[Candidates], need: int) -> Iterator[Quotas]:
        """Batches of all parts, each in rank order once it is in one place."""
        queues, before = [Queue(each, need) for each in found], 0
        while (chosen := together([queue.further() for queue in queues]))[0] is not None:
            came = [each.of(some) for each, some in zip(found, chosen, strict=True)]
            words = np.concatenate(
                [np.stack([word.astype(np.int64) for word in each.words]) for each in came], 1
            )
            slots = [self.slots(part)[each.slot] for part, each in zip(parts, came, strict=True)]
            order = np.lexsort(words[::-1])
            slot = np.concatenate(slots)[order]
            yield Quotas(
                row=np.array([self.row(each, found[0].leg) for each in slot.tolist()], np.int64),
                slot=slot,
                lots=np.concatenate([each.lots for each in came])[order],
                rank=np.arange(before + 1, before + 1 + len(slot)),
                score=np.concatenate([each.parts[0] for each in came])[order],
            )
            before += len(slot)

    def row(self, slot: int, leg: int) -> int:
        """A row of the whole state."""
        row = places(self.state.book, np.array([slot]))
        return int(row[self.state.book.rows.leg[row] == leg][0])


def told(engine: fa.Engine, path: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All that can be read after each tick."""
    found = []
    for time, prices in zip(TIMES, path, strict=False):
        report = engine.tick(prices, time=time)
        frames = {name: frame.to_dicts() for name, frame in report.frames().items() if name != "summary"}
        found.append({**frames, "state": state_of(engine)})
    return found


def both(one: fa.Engine, path: Any, home: IntArray, lent: IntArray) -> list[dict[str, Any]]:
    """What an engine of everybody told, having been compared with one of a divided crowd."""
    two = one.copy()
    found = told(one, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "Everybody", partial(Divided, home, lent))
        assert told(two, path) == found
    return found


def count(ticks: list[dict[str, Any]], name: str) -> int:
    return sum(len(tick[name]) for tick in ticks)


def pareto(dice: np.random.Generator) -> tuple[fa.Book, list[dict[str, Any]]]:
    """A book of fifty accounts, some exempt, and prices at which some of them are bankrupt."""
    book = fa.synth.book("pareto", positions=120, accounts=50, instruments=3, seed=int(dice.integers(9)))
    book.exempt[:] = dice.random(50) < 0.1
    marks = dict(zip(book.instruments.symbols, fa.Engine(book).marks, strict=True))
    return book, [{name: mark * change for name, mark in marks.items()} for change in (1.0, 0.8, 1.04, 1.25)]


def cut(dice: np.random.Generator, accounts: int) -> tuple[IntArray, IntArray]:
    """Where everybody is at home, in one to five parts, and who is on loan."""
    home = dice.integers(0, dice.integers(1, 6), accounts)
    return home, np.flatnonzero(dice.random(accounts) < dice.choice([0.0, 0.3, 0.9]))


@pytest.mark.parametrize("policy", WEALTH, ids=named)
def test_a_divided_crowd_is_charged_alike(policy: dict[str, Any]) -> None:
    dice = np.random.default_rng(WEALTH.index(policy))
    book, path = pareto(dice)
    liquidity = {"depth": dict.fromkeys(book.instruments.symbols, "9"), "slippage": "0.3"}
    one = fa.Engine(book, policy=policy, fund="10", liquidity=liquidity)
    assert count(both(one, path, *cut(dice, 50)), "socialized")


def hard(data: st.DataObject) -> tuple[fa.Book, list[dict[str, str]]]:
    """Hedges, isolated accounts, two currencies, inverse and quanto contracts, debts from the beginning."""
    book = data.draw(fa.testing.books(max_accounts=15))
    flags = st.sampled_from((*[False] * 5, True))
    book.exempt[:] = [data.draw(flags) for _ in book.exempt]
    return book, [data.draw(fa.testing.marks(book, every=not i)) for i in range(len(TIMES))]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_divided_crowds_of_hard_books_are_charged_alike(data: st.DataObject) -> None:
    book, path = hard(data)
    fund = dict.fromkeys(book.instruments.currencies, data.draw(st.sampled_from(("0", "0.01"))))
    one = fa.Engine(book, policy=data.draw(st.sampled_from(WEALTH)), fund=fund)
    both(one, path, *cut(np.random.default_rng(data.draw(st.integers(0, 2**32))), len(book.accounts)))


@pytest.mark.parametrize("policy", POOL, ids=named)
def test_a_pool_is_won_from_alike(policy: dict[str, Any]) -> None:
    dice = np.random.default_rng(200 + POOL.index(policy))
    book, path = pareto(dice)
    pools = [fa.Engine(book, policy=policy, fund=worth) for worth in ("100", "10000", "1000000")]
    assert sum(count(both(each, path, *cut(dice, 50)), "adl_fills") for each in pools)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_pools_of_hard_books_are_won_from_alike(data: st.DataObject) -> None:
    book, path = hard(data)
    fund = dict.fromkeys(
        book.instruments.currencies, data.draw(st.sampled_from(("0", "1", "1000", "100000")))
    )
    one = fa.Engine(book, policy=data.draw(st.sampled_from(POOL)), fund=fund)
    both(one, path, *cut(np.random.default_rng(data.draw(st.integers(0, 2**32))), len(book.accounts)))


# ---------------------------------------------------------------------- money beyond 64 bits


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_winnings_of_all_parts_may_pass_64_bits(data: st.DataObject) -> None:
    size = st.sampled_from((0, 1, 3, 10**6, 2**52 + 1, 2**60 - 1, 2**60))
    people = st.tuples(size, size, st.integers(0, 4))
    who = data.draw(st.lists(people, min_size=1, max_size=12))
    profit, equity, home = np.array(who, np.int64).T
    tie = np.array(data.draw(st.permutations(range(len(who)))), np.int32)
    budget = data.draw(st.sampled_from((1, 5, 10**6, 2**53, 2**61 + 3)))
    rest_to_fund = data.draw(st.booleans())

    def standing(members: IntArray) -> winners.Standing:
        some = tie[members], profit[members], equity[members]
        return winners.Standing(members, np.zeros(len(members), np.int16), *some)

    def steps(which: int, among: winners.Standing) -> Any:
        if which:
            return winners.charge_floored(among, rest_to_fund, 0, budget)
        return winners.charge_capped(among, among.profit, 0, budget)

    parts = [np.flatnonzero(home == which) for which in range(5)]
    for which in range(2):
        whole = alone(steps(which, standing(np.arange(len(who)))))
        found = together([steps(which, standing(members)) for members in parts])
        amount = {int(members[s]): int(a) for members, each in zip(parts, found, strict=True)
                  for s, a in zip(each.slot, each.amount, strict=True)}  # fmt: skip
        assert amount == dict(zip(whole.slot.tolist(), whole.amount.tolist(), strict=True))
        assert {(each.covered, each.total) for each in found} == {(whole.covered, whole.total)}
        assert sum(whole.amount.tolist()) == whole.total
    backing = together([standing(members).backing(0) for members in parts])
    assert set(backing) == {alone(standing(np.arange(len(who))).backing(0))}


# ---------------------------------------------------------------------- a docket and shards


class Sharded:
    """An engine of the accounts on loan, and the states in which all accounts are at home.

    Parameters
    ----------
    engine : Engine
        Of everybody, not marked yet.
    home, lent : int (accounts), int (n)
    fund : as of `Engine`
    """

    def __init__(self, engine: fa.Engine, home: IntArray, lent: IntArray, **options: Any) -> None:
        self.docket = fa.Engine(book_of(engine.book, lent, reserves=True), policy=engine.policy, **options)
        self.docket._state.book.rank = engine._state.book.rank[lent]
        self.shards = divided(engine._state, home, lent)[1:]
        self.lent, self.whole = lent, engine._state.book
        self.pending: list[Charges] = []

    def tick(self, prices: Any, time: int) -> tuple[fa.Report, Moves]:
        """A tick of the docket, and of the shards; what is listed as socialised."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stages, "Everybody", partial(self.marked, time))
            report = self.docket.tick(prices, time=time)
        moves = by_id([self.listed(report), *map(self.kept, self.shards, self.pending)])
        for shard in self.shards:
            session = self.docket._state.session
            if session is not None and session.ended is None:
                forget_ended(shard.state)
            shard.state.commit()
        return report, moves

    def marked(self, time: int, state: State, policy: AdlPolicy, number: int) -> Docket:
        """The crowd, the shards having been marked."""
        for shard in self.shards:
            shard.state.set_prices(state.prices())
            begin_session(shard.state, policy, time)
        self.pending = []
        return Docket(state, policy, number, self)

    def kept(self, shard: Part, charges: Charges) -> Moves:
        """What a shard does when the tick is kept."""
        moves = move(shard.state, -charges.amount)
        return Moves(moves.place, shard.accounts[moves.account], moves.currency, moves.amount)

    def listed(self, report: fa.Report) -> Moves:
        """What the docket lists, with the accounts of everybody."""
        columns = report._tick.columns("socialized")
        account = np.append(self.lent, -1)[columns["account"]]
        place = np.append(
            2 * self.whole.rank.astype(np.int64), self.pending[0].fund_place if self.pending else -1
        )
        return Moves(place[account], account, columns["currency"], columns["amount"])

    def cash(self) -> list[int]:
        """Of everybody."""
        cash = np.empty(len(self.whole.slot), np.int64)
        for shard in self.shards:
            cash[shard.accounts] = shard.state.book.cash
        cash[self.lent] = self.docket._state.book.cash
        return cash.tolist()


@dataclass(frozen=True)
class Docket(Everybody):
    """The crowd of a docket: everybody who is on loan, and the shards."""

    sharded: Sharded

    def charge(self, bill: Bill) -> Charges:
        shards = [charge(shard.state, bill, self.policy, shard.lent) for shard in self.sharded.shards]
        docket = charge(self.state, bill, self.policy, np.empty(0, np.int64))
        mine, *self.sharded.pending = together([docket, *shards])
        return mine


@pytest.mark.parametrize("policy", WEALTH, ids=named)
def test_a_docket_and_shards_do_what_an_engine_does(policy: dict[str, Any]) -> None:
    dice = np.random.default_rng(100 + WEALTH.index(policy))
    book, path = pareto(dice)
    options: Any = {"fund": "10", "liquidity": {"depth": dict.fromkeys(book.instruments.symbols, "9")}}
    one = fa.Engine(book, policy=policy, **options)
    found, reports = one.copy(), []
    for time, prices in zip(TIMES, path, strict=True):
        report = found.tick(prices, time=time)
        reports.append((report, found.book.cash.tolist(), found.reserves().to_dicts()))
    home, lent = cut(dice, 50)
    touched = np.concatenate([report._tick.accounts for report, *_ in reports])
    sharded = Sharded(one, home, np.union1d(lent, touched), **options)
    for time, prices, (report, cash, reserves) in zip(TIMES, path, reports, strict=True):
        seen, moves = sharded.tick(prices, time)
        columns = report._tick.columns("socialized")
        assert not book.exempt[columns["account"][columns["amount"] < 0]].any()
        for name in ("account", "currency", "amount"):
            assert getattr(moves, name).tolist() == columns[name].tolist()
        for name in ("liquidations", "takeovers", "fund_payments", "uncovered"):
            assert seen.frames()[name].to_dicts() == report.frames()[name].to_dicts()
        assert sharded.cash() == cash
        assert sharded.docket.reserves().to_dicts() == reserves
    assert any(len(report.socialized) for report, *_ in reports)


def test_the_memory_of_a_session_travels_with_accounts() -> None:
    for ended in (None, np.array([9, 8, 7])):
        session = Session(4, np.array([1, 2, 3]), ended)
        lent = session.of(np.array([2])).and_of(session.of(np.array([0, 1])))
        assert (lent.number, lent.opening.tolist()) == (4, [3, 1, 2])
        assert lent.ended is None if ended is None else lent.ended.tolist() == [7, 9, 8]
