"""What parts of a crowd find out together is what one place finds out, whatever the parts."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines import book
from fastadl import AdlPolicy, Book, Engine, reference
from fastadl.engine.allocation import NEEDS_DETAIL, allocate, quotas
from fastadl.engine.collective import Reduction, Rounds, alone, apart
from fastadl.engine.collectives import cut as cutting
from fastadl.engine.collectives import min_max, whole
from fastadl.engine.collectives.ranked import Best, Queue
from fastadl.engine.collectives.take import Take
from fastadl.engine.ranking import Candidates, candidates, merge_order, turns
from fastadl.engine.refusing import refuse_missing
from fastadl.engine.sharing import _Crowd, fill_min_max, fill_threshold
from fastadl.errors import PolicyError
from fastadl.kernels.measure import FIELDS
from fastadl.kernels.rank import keys
from fastadl.policy import CHOICES, VENUES, OwnScore
from fastadl.policy.choices import alone as with_choice

#: What a part may hand over in a round.
MOST_BYTES = 16_000
#: How many rounds allocations take at most among 3000 candidates of one tier.
ROUNDS = {
    "queue": 4,
    "whole": 15,
    "pro_rata_size": 11,
    "pro_rata_profit": 15,
    "leverage_fill": 40,
    "pro_rata_equity": 20,
    "capped_pro_rata": 15,
    "risk_aware": 20,
    "quadratic_projection": 20,
    "factor_fill": 40,
    "min_max": 20,
}


@dataclass
class Exchange:
    """Advances parts in lockstep, and notes what they exchange.

    Attributes
    ----------
    most : int
        Bytes that a part may hand over, or be told, in a round.
    """

    most: int = MOST_BYTES
    sizes: list[int] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        return len(self.sizes)

    def run(self, parts: Sequence[Rounds[Any]]) -> list[Any]:
        """What each part returns."""
        answers: list[Any] = [None] * len(parts)
        sent: Any = None
        while True:
            handed: list[Reduction] = []
            for i, part in enumerate(parts):
                try:
                    handed.append(pickle.loads(pickle.dumps(part.send(sent))))
                except StopIteration as end:
                    answers[i] = end.value
            if not handed:
                return answers
            assert len(handed) == len(parts)
            assert len({type(each) for each in handed}) == 1
            sent = type(handed[0]).merge(handed)
            self.sizes.append(max(len(pickle.dumps(each)) for each in (*handed, sent)))
            assert self.sizes[-1] <= self.most


def key_of(scores: Any) -> np.ndarray:
    scores = np.asarray(scores, np.float64) + 0.0
    found = np.empty(len(scores), np.int64)
    keys(scores.view(np.int64), found)
    return found


def crowd(
    lots: Any, scores: Any, tier: Any = None, further: Any = (), parts: Any = None, tie: Any = None
) -> Candidates:
    """Candidates as one place sees them; the further keys are scores too."""
    count = len(lots)
    who = np.arange(count, dtype=np.int32)
    tie = who if tie is None else np.asarray(tie, np.int32)
    if parts is None:
        parts = np.ones((8, count))
    parts[0] = scores
    words = np.stack([key_of(each) for each in further]) if len(further) else None
    return Candidates(
        leg=1,
        row=who.astype(np.int64),
        slot=who,
        lots=np.asarray(lots, np.int64),
        parts=parts,
        key=key_of(scores),
        turn=tie if words is None else turns(words, tie),
        tie=tie,
        tier=np.zeros(count, np.uint8) if tier is None else np.asarray(tier, np.uint8),
        further=words,
    )


def divided(found: Candidates, owner: Any, count: int) -> list[Candidates]:
    """The same in parts, each with a local order of its own."""
    parts = [found.of(np.flatnonzero(np.asarray(owner) == part)) for part in range(count)]
    return [
        part if part.further is None else replace(part, turn=turns(part.further, part.tie)) for part in parts
    ]


few = st.sampled_from([-0.0, 0.0, 0.5, -2.0, float("inf")])
wide = st.floats(allow_nan=False)
shares = st.sampled_from([Fraction(n, 60) for n in (0, 1, 7, 20, 30, 45, 59, 60)])


@st.composite
def crowds(draw: st.DrawFn, most: int = 40) -> tuple[Candidates, list[Candidates]]:
    """Candidates with ties on purpose, in one place and in one to seven parts, some of them empty."""
    count = draw(st.sampled_from([0, 1, 2, 5, most // 2, most]))

    def column(*values: Any) -> Any:
        return draw(st.lists(st.one_of(*values), min_size=count, max_size=count))

    scores = column(draw(st.sampled_from([few, wide, st.just(1.0)])))
    lots = column(st.integers(1, 3), st.integers(1, 1 << draw(st.sampled_from([3, 20, 53]))))
    tier = column(st.sampled_from(draw(st.sampled_from([[0], [3], [0, 1, 200]]))))
    further = [column(few) for _ in range(draw(st.integers(0, 2)))]
    tie = draw(st.permutations(range(count)))
    found = crowd(lots, scores, tier, further, tie=tie)
    parts = draw(st.integers(1, 7))
    owner = column(st.integers(0, parts - 1))
    return found, divided(found, owner, parts)


def merged(parts: Sequence[Candidates], chosen: Sequence[np.ndarray]) -> list[int]:
    """Rows of all parts in rank order; each part's own are in that order already."""
    for part, members in zip(parts, chosen, strict=True):
        np.testing.assert_array_equal(members, part.in_order(members))
    columns = [part.of(members) for part, members in zip(parts, chosen, strict=True)]
    row = np.concatenate([each.row for each in columns])
    return row[merge_order([each.words for each in columns])].tolist()


@pytest.mark.parametrize("few_bytes", [cutting.FEW_BYTES, 0], ids=["gathered", "to the last bit"])
@settings(max_examples=80, deadline=None)
@given(crowd=crowds(), place=st.integers(0, 40), more=st.sampled_from([0, -1, 1, 1 << 61]))
def test_the_best_are_the_best_of_all(few_bytes: int, crowd: Any, place: int, more: int) -> None:
    """The need is met by the last lot of somebody, by the one before or after it, or by nobody."""
    found, parts = crowd
    reached = np.cumsum(found.lots[found.ranked()])
    need = max(1, int(reached[place % len(found)]) + more if len(found) else 1)
    wanted = found.row[alone(_only(Best(found, need)))].tolist() if len(found) else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "FEW_BYTES", few_bytes)
        exchange = Exchange()
        chosen = exchange.run([apart(_only(Best(each, need))) for each in parts])
    assert merged(parts, chosen) == wanted
    assert exchange.rounds <= (2 if few_bytes else 30)


def _only(asked: Any) -> Any:
    return (yield asked)


@settings(max_examples=30, deadline=None)
@given(crowd=crowds(), need=st.integers(1, 50))
def test_batches_go_on_until_all_are_ranked(crowd: Any, need: int) -> None:
    found, parts = crowd
    queue, wanted = Queue(found, need), []
    while (batch := alone(queue.further())) is not None:
        wanted.append(found.row[batch].tolist())
    queues, exchange, got = [Queue(part, need) for part in parts], Exchange(), []
    while (batch := exchange.run([apart(queue.further()) for queue in queues]))[0] is not None:
        got.append(merged(parts, batch))
    assert batch == [None] * len(parts)
    assert got == wanted
    assert list(chain(*wanted)) == found.row[found.ranked()].tolist()


# ---------------------------------------------------------------------- allocations


@dataclass
class Figures:
    """What allocations read of a state; rows and slots are the places of the columns."""

    profit: np.ndarray
    gross: np.ndarray
    equity: np.ndarray
    unit: Fraction

    @property
    def marks(self) -> Any:
        return SimpleNamespace(units=[self.unit])

    instruments = SimpleNamespace(symbols=["X"])

    def row_profit_floor(self, row: Any) -> Any:
        return self.profit[row]

    def gross_floor(self, slot: Any) -> Any:
        return self.gross[slot]

    def equity_floor(self, slot: Any) -> Any:
        return self.equity[slot]

    def exposure_floor(self, slot: Any, long: bool, betas: Any) -> Any:
        assert not long
        return self.gross[slot] // 3


@st.composite
def markets(draw: st.DrawFn) -> tuple[Candidates, list[Candidates], Figures]:
    """Crowds whose figures are alike, small, without weight, or as large as bounds allow."""
    found, parts = draw(crowds(most=30))
    count = len(found)
    large = st.sampled_from([(1 << 62) - 1, 1 << 61, (1 << 58) + 1])

    def column(*values: Any) -> Any:
        chosen = draw(st.sampled_from([*values, st.one_of(*values)]))
        return np.array(draw(st.lists(chosen, min_size=count, max_size=count)), np.int64)

    equity = column(st.just(50), st.integers(0, 3), st.integers(0, 10**12), large)
    gross = column(st.just(700), st.integers(0, 3), st.integers(0, 10**13), large)
    profit = column(st.just(0), st.integers(-3, 3), st.integers(-(10**12), 10**12), large)
    unit = draw(st.sampled_from([Fraction(1), Fraction(10**6 + 1, 7), Fraction(1, 1000)]))
    figures = dict.fromkeys(FIELDS, np.ones(count))
    figures |= {"score": found.parts[0], "equity": equity, "gross": gross, "profit": profit}
    figures["error"] = np.where(equity < 1 << 52, 0.25, 4096.0)
    found = replace(found, parts=np.stack([figures[name].astype(float) for name in FIELDS]))
    parts = [replace(part, parts=found.parts[:, part.row]) for part in parts]
    return found, parts, Figures(profit, gross, equity, unit)


def check_allocation(
    found: Candidates, parts: list[Candidates], state: Any, policy: AdlPolicy, need: int
) -> Exchange:
    """Lots, order and ranks are those of one place; what it took."""
    wanted = quotas(state, found, policy, need)
    exchange = Exchange()
    given = exchange.run([apart(allocate(state, part, policy, need)) for part in parts])
    order = merge_order([part.words for part in given])
    for part in given:
        np.testing.assert_array_equal(merge_order([part.words]), np.arange(len(part.chosen)))
    for name in ("row", "slot"):
        column = np.concatenate([getattr(part.found, name)[part.chosen] for part in given])
        np.testing.assert_array_equal(column[order], getattr(wanted, name))
    np.testing.assert_array_equal(np.concatenate([part.lots for part in given])[order], wanted.lots)
    numbering = Exchange(most=1000 + 64 * len(wanted.row))
    places = numbering.run([apart(part.among_all()) for part in given])
    ranks = np.arange(len(order)) if places[0] is None else np.concatenate(places)[order]
    np.testing.assert_array_equal(ranks + 1, wanted.rank)
    assert numbering.rounds <= 3
    return exchange


@pytest.mark.parametrize("few_bytes", [cutting.FEW_BYTES, 64], ids=["few", "next to nobody"])
@pytest.mark.parametrize("allocation", CHOICES["allocation"])
@settings(max_examples=25, deadline=None)
@given(market=markets(), share=shares)
def test_lots_and_ranks_are_those_of_one_place(
    allocation: str, few_bytes: int, market: Any, share: Fraction
) -> None:
    found, parts, state = market
    policy = AdlPolicy.of(with_choice("allocation", allocation))
    with pytest.MonkeyPatch.context() as patch:
        for module in (cutting, min_max, whole):
            patch.setattr(module, "FEW_BYTES", few_bytes)
        check_allocation(found, parts, state, policy, max(1, int(share * int(found.lots.sum()))))


@pytest.mark.parametrize("allocation", CHOICES["allocation"])
def test_many_candidates_take_few_rounds(allocation: str) -> None:
    """Of sizes, scores and equities as markets have them; one part has a tenth of another's, one nobody."""
    count, random = 3000, np.random.default_rng(7)
    lots = np.ceil(random.lognormal(4, 2, count)).astype(np.int64)
    score = random.standard_normal(count) * random.lognormal(0, 2, count)
    equity = random.lognormal(20, 2, count).astype(np.int64)
    gross = (lots * random.lognormal(15, 1, count)).astype(np.int64)
    profit = (lots * random.normal(0, 2e5, count)).astype(np.int64)
    figures = dict.fromkeys(FIELDS, np.full(count, 0.01))
    figures |= {"score": score, "equity": equity, "gross": gross, "profit": profit}
    columns = np.stack([np.asarray(figures[name], np.float64) for name in FIELDS])
    found = crowd(lots, score, parts=columns, tie=random.permutation(count))
    parts = divided(found, np.array([0] * 10 + [1, 3, 3])[random.integers(0, 13, count)], 4)
    policy = AdlPolicy.of(with_choice("allocation", allocation))
    for part in (0.001, 0.1, 0.6):
        state = Figures(profit, gross, equity, Fraction(10**6))
        found_out = check_allocation(found, parts, state, policy, int(part * lots.sum()))
        assert found_out.rounds <= ROUNDS[allocation]


@pytest.mark.parametrize("weight", [(700, 700), (49 << 54, (49 << 54) - 128)], ids=["alike", "neighbours"])
def test_lots_of_one_quotient_too_many_to_hand_over(weight: tuple[int, int]) -> None:
    """Of many who are alike, or whose quotients are next to each other, some second lots are needed."""
    count = 3400
    cap, weights = np.full(count, 3, np.int64), np.array(weight * (count // 2), np.int64)
    weights[17] *= 2
    tie = np.random.default_rng(1).permutation(count).astype(np.int32)
    parts = [np.flatnonzero(np.arange(count) % 3 == part) for part in range(3)]
    for need in (3400 + 5, 3400 + 1701, 3400 + 3000):
        wanted = alone(fill_min_max(cap, weights, need, tie))
        assert wanted.sum() == need
        exchange = Exchange()
        given = exchange.run(
            [apart(fill_min_max(cap[part], weights[part], need, tie[part])) for part in parts]
        )
        for part, lots in zip(parts, given, strict=True):
            np.testing.assert_array_equal(lots, wanted[part])
        assert exchange.rounds <= 16


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([(1 << 62) - 1, (1 << 61) + 12345, 3 << 60, 7, 0])),
        min_size=1,
        max_size=9,
    ),
    share=shares,
    cut_at=st.integers(0, 9),
    random=st.randoms(use_true_random=False),
)
def test_weights_beyond_the_integers_of_kernels(rows: Any, share: Fraction, cut_at: int, random: Any) -> None:
    cap, weight = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    tie = np.array(random.sample(range(len(cap)), len(cap)), np.int32)
    by_id = sorted(np.flatnonzero(weight).tolist(), key=tie.tolist().__getitem__)
    budget = int(share * int(cap[by_id].sum()))
    wanted = np.zeros(len(cap), np.int64)
    wanted[by_id] = reference.largest_remainder(
        reference.threshold_shares(cap[by_id].tolist(), weight[by_id].tolist(), budget)
    )
    assert alone(fill_threshold(cap, weight, budget, tie)).tolist() == wanted.tolist()
    parts = slice(None, cut_at), slice(cut_at, None)
    given = Exchange().run(
        [apart(fill_threshold(cap[part], weight[part], budget, tie[part])) for part in parts]
    )
    assert np.concatenate(given).tolist() == wanted.tolist()


@pytest.mark.parametrize("few_bytes", [cutting.FEW_BYTES, 64], ids=["few", "next to nobody"])
@settings(max_examples=40, deadline=None)
@given(held=st.lists(st.integers(0, 6).map(lambda bits: 1 << bits), min_size=1, max_size=40), share=shares)
@example(held=[64, 2, 2, 2, 2], share=Fraction(7, 60))
def test_positions_that_fit_are_walked_by_and_by(few_bytes: int, held: list[int], share: Fraction) -> None:
    found = crowd(held, -np.arange(len(held)))
    need = max(1, int(share * sum(held)))
    wanted, left = [], need
    for size in held:
        wanted.append(size if size <= left else 0)
        left -= wanted[-1]

    def asked(part: Candidates) -> Any:
        return (yield whole.Whole(part.words, part.key, part.turn, part.lots, need))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "FEW_BYTES", few_bytes)
        parts = divided(found, np.arange(len(held)) % 3, 3)
        given = Exchange().run([apart(asked(part)) for part in parts])
    assert alone(asked(found)).tolist() == wanted
    for part, lots in zip(parts, given, strict=True):
        assert lots.tolist() == [wanted[row] for row in part.row]


@pytest.mark.parametrize("width", [Fraction(1, 1000), Fraction(10**9, 3)])
def test_between_its_ends_lies_every_level(width: Fraction) -> None:
    """Everyone gives all he has at one, and nobody anything at the other."""
    columns = [9, 1, 1 << 52], [0, 1 << 61, 5], [1, 7, 1 << 60]
    low, high = alone(_Crowd(*(np.array(column) for column in columns), width).ends())
    assert reference.at_level(low, *columns, width) == columns[0]
    assert reference.at_level(high, *columns, width) == [0, 0, 0]


@pytest.mark.parametrize("words", [1, 2])
def test_the_last_who_is_taken_gives_what_is_missing(words: int) -> None:
    """By words (1, 0), (1, 5), (2, 0): of five lots the first gives two, the second three of its four."""
    columns = np.array([[2, 1, 1], [0, 5, 0]])[:words]
    tie, lots = np.array([0, 2, 1], np.int32), np.array([9, 4, 2])

    def asked(part: slice) -> Any:
        return (yield Take(tuple(columns[:, part]), tie[part], lots[part], 5))

    parts = slice(0, 2), slice(2, 3)
    assert alone(asked(slice(None))).tolist() == [0, 3, 2]
    assert np.concatenate(Exchange().run([apart(asked(part)) for part in parts])).tolist() == [0, 3, 2]


# ---------------------------------------------------------------------- a book


def traders(count: int, seed: int) -> Book:
    """Shorts of X, some with longs of Y, in two given tiers; sizes, entries and cash repeat."""
    random = np.random.default_rng(seed)
    names = [f"s{i:03}" for i in random.permutation(count)]
    lines, cash, sizes = [], {}, 0
    for i, name in enumerate(names):
        size = int(random.integers(1, 6)) * (1 + 50 * (i % 7 == 0)) + 10 * i * (i % 5 == 0)
        lines.append(f"{name} X -{size} {random.choice([95, 100, 105, 130])}")
        if i % 3 == 0:
            lines.append(f"{name} Y {size} 10")
        cash[name] = str(size * random.choice([3, 20, 400]))
        sizes += size
    lines += [f"desk X {sizes} 100", f"desk Y -{sizes} 10"]
    listed = {"X": {}, "Y": {}}
    tiers = [*(random.random(count) < 0.3).astype(int).tolist(), 0]
    return book("\n".join(lines), cash={**cash, "desk": "9999999"}, listed=listed, adl_tier=tiers)


POLICIES: dict[str, Any] = {
    **{name: name for name in VENUES},
    "further keys": {"score": "size", "then": ["profit_ratio", "low_cash"]},
    "neutral last": {"score": "size", "tiers": "delta_neutral", "delta_limit": "0.1", "then": ["profit"]},
}


@pytest.mark.parametrize("name", POLICIES)
def test_candidates_of_parts_of_a_book(name: str) -> None:
    """Every part leaves out the accounts of the others, and keeps the further keys of its own."""
    policy = AdlPolicy.of(POLICIES[name])
    engine = Engine(traders(60, len(name)))
    engine.mark({"X": "100", "Y": "10"})
    state = engine._state
    detail = policy.allocation in NEEDS_DETAIL
    owner = np.random.default_rng(5).integers(0, 4, len(state.book.rows.cash))

    def ranked(aside: Any, apart: bool) -> Candidates:
        return candidates(state, [1], policy, aside, 0, detail=detail, apart=apart)[0]

    found = ranked(owner < 0, apart=False)
    parts = [ranked(owner != part, apart=True) for part in range(4)]
    assert found.further is None
    for need in (1, 40, 400, 10**6):
        check_allocation(found, parts, state, policy, need)


def not_of(*places: int) -> OwnScore:
    """A score of all but some, by the places of their ids."""
    return OwnScore(f"not of {places}", lambda candidate: float("nan") if candidate.place in places else 1.0)


@pytest.mark.parametrize(
    ("then", "sizes", "named"),
    [
        ([not_of(0, 1, 2, 3)], (1, 2, 3, 4), None),
        ([not_of(0, 1, 2, 3)], (1, 2, 2, 4), "b"),
        ([not_of(3)], (1, 1, 2, 2), "d"),
        ([not_of(0), not_of(1)], (2, 2, 2, 2), "b"),
        ([not_of(1), not_of(0)], (2, 2, 2, 2), "a"),
        ([not_of(0), not_of(3)], (1, 1, 2, 2), "d"),
    ],
)
def test_a_further_score_is_asked_only_of_those_who_tie_wherever_they_are(then, sizes, named) -> None:
    """The last of them first, then the first account by its id."""
    policy = AdlPolicy(score="size", then=("profit", *then))
    held = {name: 10 * size for name, size in zip("abcd", sizes, strict=True)}
    rows = "".join(f"{name} X -{lots} 100\n" for name, lots in held.items())
    cash = dict.fromkeys([*held, "desk"], "9000")
    engine = Engine(book(f"{rows}desk X {sum(held.values())} 100", cash=cash))
    engine.mark({"X": "100"})
    state, owner = engine._state, np.arange(5) % 3

    def together() -> Any:
        parts = [candidates(state, [1], policy, owner != part, 0, apart=True) for part in range(3)]
        return Exchange().run([apart(refuse_missing(state, policy, found)) for found in parts])

    def alone() -> Any:
        return candidates(state, [1], policy, owner < 0, 0)

    if named is None:
        assert together() == [None] * 3
        assert len(alone()[0]) == 4
        return
    said = set()
    for refused in (together, alone):
        with pytest.raises(PolicyError, match=f"for account {named} it is NaN") as error:
            refused()
        said.add(str(error.value))
    assert len(said) == 1
