"""How many lots each candidate gives: worked examples, laws and edges of rules R16, R43 and R84."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engines import book
from fastadl import AdlPolicy, Book, Engine, reference
from fastadl.engine import sharing
from fastadl.engine.allocation import NEEDS_DETAIL, quotas
from fastadl.engine.collective import alone
from fastadl.engine.ranking import Candidates, candidates
from fastadl.errors import BoundsError
from fastadl.policy import CHOICES
from fastadl.reference import levels


def fill_min_max(*arguments: Any) -> Any:
    return alone(sharing.fill_min_max(*arguments))


def fill_threshold(*arguments: Any) -> Any:
    return alone(sharing.fill_threshold(*arguments))


def fill_to_level(*arguments: Any) -> Any:
    return alone(sharing.fill_to_level(*arguments))


def proportional(*arguments: Any) -> Any:
    return alone(sharing.proportional(*arguments))


#: One atom a lot.
MARK = "0.01"
ALLOCATIONS = [name for name in CHOICES["allocation"] if name != "queue"]


def ints(values: Any) -> np.ndarray:
    return np.array(list(values), np.int64)


def by_id(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int32)


def shorts(lots: dict[str, int], equity: dict[str, int], *, paid: dict[str, int] | None = None) -> Book:
    """Shorts of X of so many lots, entered at the mark (or so many atoms away from it), and a long desk."""
    paid = paid or {}
    lines = [
        f"{name} X {-size} {(size + paid.get(name, 0)) / size / 100:.15f}" for name, size in lots.items()
    ]
    cash = {name: f"{(equity[name] - paid.get(name, 0)) / 100:.2f}" for name in lots}
    lines.append(f"desk X {sum(lots.values())} {MARK}")
    return book("\n".join(lines), cash={**cash, "desk": "99999999"})


def ranking(made: Book, policy: AdlPolicy, marks: dict[str, Any], side: int = 1) -> tuple[Engine, Candidates]:
    engine = Engine(made)
    engine.mark(marks)
    state = engine._state
    nobody = np.zeros(len(state.book.rows.cash), np.bool_)
    detail = policy.allocation in NEEDS_DETAIL
    return engine, candidates(state, [side], policy, nobody, 0, detail=detail)[0]


def shared(
    made: Book, need: int, side: int = 1, marks: dict[str, Any] | None = None, **choices: Any
) -> dict[str, int]:
    """Lots by account, of the shorts (or longs) of the first symbol."""
    policy = AdlPolicy.of(choices)
    engine, found = ranking(made, policy, marks or {"X": MARK}, side)
    quota = quotas(engine._state, found, policy, need)
    account = engine.book.rows.account[quota.slot]
    return dict(zip(engine.book.accounts.gather(account).to_list(), quota.lots.tolist(), strict=True))


# ---------------------------------------------------------------------- worked examples


class TestWorkedExamples:
    def test_the_most_levered_come_down_to_one_level(self) -> None:
        """Notionals 100, 60, 30, 10 on equities of 10: at level 4.5 they give 55 and 15."""
        made = shorts({"a": 100, "b": 60, "c": 30, "d": 10}, dict.fromkeys("abcd", 10))
        assert shared(made, 70, allocation="leverage_fill") == {"a": 55, "b": 15}

    def test_caps_bind_one_after_the_other(self) -> None:
        """Profits 8, 4, ½ of which 30, 100, 100 % may go: h = (.3, .57778, .57778) pay 5."""
        cap, weight = ints([2400, 4000, 500]), ints([8000, 4000, 500])
        assert fill_threshold(cap, weight, 5000, by_id(3)).tolist() == [2400, 2311, 289]

    @pytest.mark.parametrize(
        ("exponent", "least", "wanted"),
        [
            (0, "0", (0.166, 0.667, 0.167)),
            (1, "0", (0.164, 0.589, 0.247)),
            (2, "0", (0.154, 0.497, 0.349)),
            (1, "0.9", (0.1485, 0.1136, 0.7378)),
            (0, "0.95", (0.499, 0, 0.501)),
        ],
    )
    def test_risk_aware_shares(self, exponent: int, least: str, wanted: tuple[float, ...]) -> None:
        """Leverages 1.031, .925, 1.548 on equities .163, .728, .109; who is below the least gives nothing."""
        equity = {"a": 163_000, "b": 728_000, "c": 109_000}
        lots = {"a": 168_053, "b": 673_400, "c": 168_732}
        policy = {"allocation": "risk_aware", "exponent": exponent, "min_leverage": least}
        given = shared(shorts(lots, equity), 100_000, **policy)
        np.testing.assert_allclose([given.get(name, 0) / 100_000 for name in lots], wanted, atol=6e-4)

    def test_the_larger_pay_progressively_more(self) -> None:
        """Gains 10, 5, 1 pay 6 as their squares: h = (.47619, .2381, .047619)."""
        lots = {"a": 1_000_000, "b": 500_000, "c": 100_000}
        made = shorts(lots, dict.fromkeys("abc", 10**7), paid=lots)
        given = shared(made, 600_000, allocation="quadratic_projection")
        assert [given[name] / size for name, size in lots.items()] == pytest.approx(
            [0.47619, 0.2381, 0.047619], abs=1e-5
        )

    def test_by_equity(self) -> None:
        """Equities 60, 30, 10, 0: a's cap binds at 20 of 50, b and c share the rest 3 : 1, d comes last."""
        made = shorts(dict.fromkeys("abcd", 20) | {"b": 40}, {"a": 60, "b": 30, "c": 10, "d": 0})
        assert shared(made, 50, allocation="pro_rata_equity") == {"a": 20, "b": 23, "c": 7}
        assert shared(made, 90, allocation="pro_rata_equity") == {"a": 20, "b": 40, "c": 20, "d": 10}

    def test_nobody_gives_more_than_the_share(self) -> None:
        """Half of 9, 5 and 1 is 4, 2 and 0; three lots by size are 1.93 and 1.07."""
        made = shorts({"a": 9, "b": 5, "c": 1}, dict.fromkeys("abc", 100))
        assert shared(made, 3, allocation="capped_pro_rata") == {"a": 2, "b": 1}
        assert shared(made, 10, allocation="capped_pro_rata") == {"a": 4, "b": 2}
        assert shared(made, 99, allocation="capped_pro_rata", max_share="1") == {"a": 9, "b": 5, "c": 1}
        third = "0." + "3" * 25
        assert shared(made, 9, allocation="capped_pro_rata", max_share=third) == {"a": 2, "b": 1}

    def test_a_hedge_counts_for_its_net_exposure(self) -> None:
        """Short 100 X, long 100 Y beside a short of 50 X alone, equity 10 each."""
        made = book(
            "a X -100 0.01\na Y 100 0.01\nb X -50 0.01\ndesk X 150 0.01\ndesk Y -100 0.01",
            cash={"a": "0.10", "b": "0.10", "desk": "999"},
            listed={"X": {}, "Y": {}},
        )
        marks = {"X": MARK, "Y": MARK}

        def given(need: int, **betas: str) -> dict[str, int]:
            return shared(made, need, marks=marks, allocation="factor_fill", betas=betas)

        assert given(30) == {"b": 30}
        assert given(70) == {"b": 50, "a": 20}
        assert given(30, Y="0.5") == {"a": 15, "b": 15}
        assert given(30, Y="1", X="2") == {"a": 15, "b": 15}
        assert given(30, X="3") == {"a": 23, "b": 7}
        assert shared(made, 30, marks=marks, allocation="leverage_fill") == {"a": 30}
        longs = shared(made, 30, side=2, marks=marks, allocation="factor_fill")
        assert longs == {"a": 30}

    def test_the_net_exposure_of_inverse_contracts(self) -> None:
        """Both legs of one size leave none, which no float64 can tell; nobody's exposure is negative."""
        made = book(
            "a I 7 41234.567890123457\na I -7 41234.567890123457\nb I 5 41234.567890123457\n"
            "desk I -5 41234.567890123457",
            cash={"a": "1", "b": "1", "desk": "9"},
            listed={"I": {"kind": "inverse", "contract_size": "100", "currency": "BTC"}},
        )
        marks = {"I": "41234.567890123457"}
        assert shared(made, 3, side=0, marks=marks, allocation="factor_fill") == {"b": 3}
        assert shared(made, 3, side=1, marks=marks, allocation="factor_fill") == {"desk": 3}
        engine, _ = ranking(made, AdlPolicy(), marks)
        slots = engine._state.book.slot
        each = 5 * 100 * 10**8 / 41234.567890123457
        for long in (True, False):
            exposure = engine._state.exposure_floor(slots, long, (("I", Fraction(2)),))
            assert exposure.tolist() == [0, int(2 * each) * long, int(2 * each) * (not long)]

    def test_lots_one_by_one_to_the_least_share(self) -> None:
        """By equities 10, 5, 1: a a b a a b a a; where 2/10 = 1/5 and 6/10 = 3/5, a comes first."""
        made = shorts(dict.fromkeys("abcd", 9), {"a": 10, "b": 5, "c": 1, "d": 0})
        assert shared(made, 8, allocation="min_max") == {"a": 6, "b": 2}
        assert shared(made, 9, allocation="min_max") == {"a": 6, "b": 3}
        assert shared(made, 30, allocation="min_max") == {"a": 9, "b": 9, "c": 9, "d": 3}

    def test_one_tier_after_the_other(self) -> None:
        """Six lots: four are the half of tier 0, then tier 1 gives two."""
        made = book(
            f"a X -8 {MARK}\nb X -9 {MARK}\nc X -9 {MARK}\ndesk X 26 {MARK}",
            cash=dict.fromkeys("abc", "1") | {"desk": "9"},
            adl_tier=[0, 1, 1, 0],
        )
        assert shared(made, 6, allocation="capped_pro_rata") == {"a": 4, "b": 1, "c": 1}
        for allocation in ("pro_rata_equity", "min_max", "leverage_fill", "factor_fill", "risk_aware"):
            assert shared(made, 11, allocation=allocation) == {"a": 8, "b": 2, "c": 1}
            assert shared(made, 8, allocation=allocation) == {"a": 8}

    def test_whole_positions_down_the_ranking(self) -> None:
        """By size 9, 7, 4, 2: of 15 the first takes 9, 7 does not fit the six left, 4 and 2 do."""
        made = shorts({"a": 2, "b": 9, "c": 4, "d": 7}, dict.fromkeys("abcd", 100))
        assert shared(made, 15, allocation="whole", score="size") == {"b": 9, "c": 4, "a": 2}
        assert shared(made, 3, allocation="whole", score="size") == {"a": 2}


def test_what_the_caps_cannot_hold_stays_uncovered() -> None:
    """Ten bankrupt lots, of which the only counterparty may give three."""
    made = book("debtor X 10 10\nwinner X -10 10", cash={"debtor": "5", "winner": "100"})
    engine = Engine(made, policy={"allocation": "capped_pro_rata", "max_share": "0.3"})
    report = engine.tick({"X": "9"})
    assert report.adl_fills["lots"].to_list() == [3]
    left = dict(
        zip(*(engine.book.to_frames()[2][name].to_list() for name in ("account", "lots")), strict=True)
    )
    assert left == {"debtor": 7, "winner": -7}
    assert report.uncovered["account"].to_list() == ["debtor"]
    assert engine.check()


# ---------------------------------------------------------------------- laws


@st.composite
def crowds(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, int], dict[str, int], list[int]]:
    """Lots, equities, gains and tiers of up to twelve shorts."""
    names = [f"s{i:02}" for i in range(draw(st.integers(1, 12)))]

    def column(*values: st.SearchStrategy[int]) -> dict[str, int]:
        return {name: draw(st.one_of(*values)) for name in names}

    lots = column(st.integers(1, 3), st.integers(1, 400))
    equity = column(st.integers(0, 2), st.integers(0, 400), st.just(50))
    paid = {
        name: gain * size
        for (name, gain), size in zip(column(st.integers(0, 3)).items(), lots.values(), strict=True)
    }
    return lots, equity, paid, [draw(st.sampled_from([0, 0, 0, 2])) for _ in names]


def tiered(
    lots: dict[str, int], equity: dict[str, int], paid: dict[str, int], tiers: list[int], order: Any
) -> Book:
    names = [list(lots)[i] for i in order]
    lines = [f"{name} X {-lots[name]} {(lots[name] + paid[name]) / lots[name] / 100:.2f}" for name in names]
    cash = {name: f"{(equity[name] - paid[name]) / 100:.2f}" for name in names}
    lines.append(f"desk X {sum(lots.values())} {MARK}")
    return book("\n".join(lines), cash={**cash, "desk": "9999"}, adl_tier=[*(tiers[i] for i in order), 0])


def named(engine: Engine, found: Candidates, policy: AdlPolicy, need: int) -> dict[str, int]:
    """Lots by account, in rank order and with the ranks of the whole ranking."""
    quota = quotas(engine._state, found, policy, need)
    ranked = found.ranked()[quota.rank - 1]
    np.testing.assert_array_equal(found.row[ranked], quota.row)
    np.testing.assert_array_equal(found.slot[ranked], quota.slot)
    np.testing.assert_array_equal(found.parts[0][ranked], quota.score)
    assert (np.diff(quota.rank) > 0).all()
    assert (quota.lots > 0).all()
    accounts = engine.book.accounts.gather(engine.book.rows.account[quota.slot]).to_list()
    return dict(zip(accounts, quota.lots.tolist(), strict=True))


@settings(max_examples=5, deadline=None)
@given(crowd=crowds(), part=st.fractions(0, 1), data=st.data())
def test_budget_caps_ranks_and_the_order_of_rows(crowd: Any, part: Fraction, data: st.DataObject) -> None:
    """All of the need is given if caps allow, nobody beyond his cap, best rank first; rows in any order."""
    lots, *_ = crowd
    need = max(1, int(part * sum(lots.values())))
    detailed = AdlPolicy.of({"allocation": "risk_aware", "score": "profit", "then": ["size"]})
    orders = range(len(lots)), data.draw(st.permutations(range(len(lots))))
    books = [ranking(tiered(*crowd, order), detailed, {"X": MARK}) for order in orders]
    for allocation in ALLOCATIONS:
        policy = AdlPolicy.of({"allocation": allocation})
        given, again = (named(engine, found, policy, need) for engine, found in books)
        assert given == again
        most = {name: size // 2 if allocation == "capped_pro_rata" else size for name, size in lots.items()}
        assert all(size <= most[name] for name, size in given.items())
        if allocation == "whole":
            assert sum(given.values()) <= need
            assert all(given[name] == lots[name] for name in given)
        else:
            assert sum(given.values()) == min(need, sum(most.values()))


def test_few_who_give_have_the_ranks_they_would_have_among_many() -> None:
    """Forty candidates in two tiers, ties among them; three lots go to three of them."""
    lots = {f"s{i:02}": 1 + (i * 7) % 5 for i in range(40)}
    tiers = [i % 2 for i in range(40)]
    equity = {name: 500 + (i * 3) % 11 for i, name in enumerate(lots)}
    made = tiered(lots, equity, dict.fromkeys(lots, 0), tiers, range(40))
    policy = AdlPolicy.of({"allocation": "pro_rata_size", "score": "size"})
    engine, found = ranking(made, policy, {"X": MARK})
    for need in (2, 40, sum(size for size, tier in zip(lots.values(), tiers, strict=True) if not tier) + 2):
        assert sum(named(engine, found, policy, need).values()) == need


columns = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        *(st.lists(st.integers(1, most), min_size=n, max_size=n) for most in (10**6, 10**7, 10**9))
    )
)
widths = st.sampled_from([Fraction(1), Fraction(7, 3), Fraction(1001, 1000)])


def level_of(columns: Any, width: Fraction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cap, more, equity = columns
    return ints(cap), ints(int(c * width) + m for c, m in zip(cap, more, strict=True)), ints(equity)


@settings(max_examples=15, deadline=None)
@given(columns=columns, first=st.fractions(0, 1), second=st.fractions(0, 1))
def test_a_level_is_reached_in_one_step_or_in_two(columns: Any, first: Fraction, second: Fraction) -> None:
    """Path independence of leverage_fill, but for the lot that each step rounds to."""
    cap, exposure, equity = level_of(columns, Fraction(1))
    one, two = int(first * int(cap.sum() - 1)), 0
    two = int(second * (int(cap.sum()) - 1 - one))
    assume(one > 0 and two > 0)
    at_once = fill_to_level(cap, exposure, equity, Fraction(1), one + two, by_id(len(cap)))
    done = fill_to_level(cap, exposure, equity, Fraction(1), one, by_id(len(cap)))
    kept = np.flatnonzero(cap > done)
    done[kept] += fill_to_level(
        (cap - done)[kept], (exposure - done)[kept], equity[kept], Fraction(1), two, by_id(len(kept))
    )
    assert np.abs(done - at_once).max() <= 2


def fills(name: str, cap: np.ndarray, more: np.ndarray, equity: np.ndarray, need: int) -> np.ndarray:
    if name == "level":
        return fill_to_level(cap, cap + more, equity, Fraction(1), need, by_id(len(cap)))
    return fill_threshold(cap, equity, need, by_id(len(cap)))


@pytest.mark.parametrize("name", ["level", "weight"])
@settings(max_examples=15, deadline=None)
@given(columns=columns, part=st.fractions(0, 1))
def test_two_halves_give_what_the_whole_gave_and_tenfold_books_tenfold(
    name: str, columns: Any, part: Fraction
) -> None:
    """Sybil and scale: the shares are the same, so what is given differs by rounding only."""
    cap, more, equity = (ints(column) * 2 for column in columns)
    need = max(1, int(part * int(cap.sum() - 1)))
    once = fills(name, cap, more, equity, need)
    halved = [
        np.concatenate([column[:1] // 2, column[:1] // 2, column[1:]]) for column in (cap, more, equity)
    ]
    split = fills(name, *halved, need)
    assert abs(split[0] + split[1] - once[0]) <= 2
    assert np.abs(split[2:] - once[1:]).max(initial=0) <= 2
    tenfold = fills(name, cap * 10, more * 10, equity * 10, need * 10)
    assert np.abs(tenfold - once * 10).max() <= 10


@settings(max_examples=20, deadline=None)
@given(columns=columns, part=st.fractions(0, 1))
def test_who_has_more_gives_no_less(columns: Any, part: Fraction) -> None:
    cap, weight = (ints(sorted(column)) for column in columns[:2])
    need = max(1, int(part * int(cap.sum() - 1)))
    last_first = by_id(len(cap))[::-1].copy()
    for fill in (fill_threshold, fill_min_max):
        assert (np.diff(fill(cap, weight, need, last_first)) >= 0).all()


def test_leverage_fill_does_not_look_at_entry_prices() -> None:
    """So wash trades, which move profits only, change nothing."""
    lots, equity = {"a": 100, "b": 60, "c": 30}, {"a": 20, "b": 50, "c": 10}
    plain = shorts(lots, equity)
    traded = shorts(lots, equity, paid={"a": 200, "b": -30, "c": 60})
    for allocation in ("leverage_fill", "factor_fill", "min_max", "pro_rata_equity", "risk_aware"):
        assert shared(plain, 77, allocation=allocation) == shared(traded, 77, allocation=allocation)
    assert shared(plain, 77, allocation="pro_rata_profit") != shared(traded, 77, allocation="pro_rata_profit")


@pytest.mark.parametrize("equity", [(1, 1, 1), (3, 2, 1), (7, 1, 5), (2, 9, 9)], ids=str)
@pytest.mark.parametrize("cap", [(4, 4, 4), (1, 5, 3), (5, 2, 4)], ids=str)
def test_no_division_has_a_smaller_largest_share_of_equity(
    equity: tuple[int, ...], cap: tuple[int, ...]
) -> None:
    every = list(product(*(range(most + 1) for most in cap)))
    for need in range(1, sum(cap) + 1):
        given = fill_min_max(ints(cap), ints(equity), need, by_id(3))
        assert given.sum() == need
        best = min(
            max(Fraction(k, e) for k, e in zip(lots, equity, strict=True))
            for lots in every
            if sum(lots) == need
        )
        assert max(Fraction(int(k), e) for k, e in zip(given, equity, strict=True)) == best


# ---------------------------------------------------------------------- exact to the last lot


@st.composite
def hard_levels(draw: st.DrawFn) -> tuple[Any, ...]:
    """Many alike, whole shares, levels at the ends of caps, some hedged."""
    n = draw(st.integers(1, 7))
    few = st.sampled_from([1, 2, 10, 1000])
    cap = draw(st.lists(few, min_size=n, max_size=n))
    width = draw(st.sampled_from([Fraction(1), Fraction(10), Fraction(1, 3), Fraction(123457, 1000)]))
    times = draw(st.lists(st.sampled_from([0, 1, 2]), min_size=n, max_size=n))
    exposure = [int(c * width * k) for c, k in zip(cap, times, strict=True)]
    equity = draw(st.lists(st.one_of(few, st.integers(1, 10**12)), min_size=n, max_size=n))
    tie = draw(st.permutations(range(n)))
    return cap, exposure, equity, width, tie, draw(st.fractions(0, 1))


@settings(max_examples=40, deadline=None)
@given(case=hard_levels())
def test_shares_at_a_level_are_those_of_fractions(case: Any) -> None:
    cap, exposure, equity, width, tie, part = case
    need = int(part * (sum(cap) - 1))
    assume(need > 0)
    given = fill_to_level(ints(cap), ints(exposure), ints(equity), width, need, np.array(tie, np.int32))
    order = sorted(range(len(cap)), key=lambda i: tie[i])
    columns = ([column[i] for i in order] for column in (cap, exposure, equity))
    exact = reference.largest_remainder(reference.leverage_shares(*columns, width, need))
    assert given[order].tolist() == exact


def test_remainders_closer_than_float64_are_compared_exactly() -> None:
    """Levels over a large prime leave remainders that differ by its reciprocal."""
    prime, above = 10**18 + 9, 3 * 10**18 + 1
    step = pow(above, -1, prime)
    found = 0
    for start in range(10**16, 10**18, 3 * 10**15 + 1):
        equity = [start, (start - step) % prime]
        equity.append(prime - sum(equity))
        if min(equity) <= 0:
            continue
        exposure = [-(-above * e // prime) + 50 for e in equity]
        need = sum(exposure) - above
        rests = [-above * e % prime for e in equity]
        assert rests[1] == rests[0] + 1
        found += (rests[2] < rests[0]) == (sum(rests) == prime)  # the last to be rounded up is one of the two
        for tie in ([0, 1, 2], [1, 0, 2]):
            given = fill_to_level(
                ints([1000] * 3), ints(exposure), ints(equity), Fraction(1), need, np.array(tie, np.int32)
            )
            up = sorted(range(3), key=lambda i: -rests[i])[: sum(rests) // prime]
            assert given.tolist() == [50 + (i in up) for i in range(3)]
    assert found > 10


def test_a_level_that_float64_cannot_state_is_found_with_fractions() -> None:
    """A lot is a millionth of an atom, so that the float64 beside the level is many lots away."""
    cap, exposure, equity = [5, 8, 2], [0, 491899119499, 544192105118], [1, 1, 10]
    given = fill_to_level(ints(cap), ints(exposure), ints(equity), Fraction(1, 10**6), 9, by_id(3))
    assert given.tolist() == [0, 8, 1]


def test_weights_beyond_the_integers_of_kernels() -> None:
    cap, weight = ints([10, 20, 30]), ints([1 << 61, 1 << 60, 1 << 60])
    assert fill_threshold(cap, weight, 25, by_id(3)).tolist() == [10, 8, 7]
    assert fill_threshold(cap, ints([1 << 61, 0, 1 << 60]), 25, by_id(3)).tolist() == [10, 0, 15]


def test_profits_and_exposures_beyond_the_integers_of_kernels() -> None:
    lots = 1 << 52
    made = book(
        f"a X -{lots / 1000:.3f} 0.00001\nb X {lots / 1000:.3f} 0.00001",
        cash=dict.fromkeys("ab", "0"),
        listed={"X": {"lot": "0.001"}},
    )
    engine, found = ranking(made, AdlPolicy(), {"X": "10000"}, side=0)
    assert engine._state.row_profit_floor(found.row).tolist() == [lots * 1000 - lots // 10**6 - 1]
    assert engine._state.exposure_floor(found.slot, True, ()).tolist() == [lots * 1000]
    with pytest.raises(BoundsError, match="betas"):
        engine._state.exposure_floor(found.slot, True, (("X", Fraction(10**400)),))
    with pytest.raises(BoundsError, match="exposure"):
        engine._state.exposure_floor(found.slot, True, (("X", Fraction(2)),))


def test_nobody_is_lost_at_the_edge_of_a_chunk() -> None:
    """All alike but the last, whose twice as large weight, or larger exposure, counts."""
    count = 4097
    cap, weight, tie = np.full(count, 4, np.int64), np.full(count, 10, np.int64), by_id(count)
    weight[-1] = 20
    even = [1] * (count - 1) + [2]
    assert proportional(weight, count + 1, tie).tolist() == even
    assert fill_threshold(cap, weight, count + 1, tie).tolist() == even
    assert fill_min_max(cap, weight, count + 1, tie).tolist() == even
    cap[-1] = 1
    assert fill_threshold(cap, weight, count + 3, tie).tolist() == [2] * 3 + [1] * (count - 3)
    exposure = np.where(weight == 20, 12, 11)
    cap[-1] = 4
    given = fill_to_level(cap, exposure, np.full(count, 10, np.int64), Fraction(1), count + 1, tie)
    assert given.tolist() == even


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=7),
    scale=st.sampled_from([1, 3, 10**6, (1 << 52) + 1]),
    part=st.fractions(0, 1),
)
def test_lots_by_equity_are_those_handed_out_one_by_one(
    rows: list[tuple[int, int]], scale: int, part: Fraction
) -> None:
    cap, weight = [c for c, _ in rows], [w * scale for _, w in rows]
    need = max(1, int(part * sum(cap)))
    given = fill_min_max(ints(cap), ints(weight), need, by_id(len(cap)))
    assert given.tolist() == levels.min_max(cap, weight, need)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_neighbouring_shares_of_equity(step: int) -> None:
    """1/49 in float64 times 49 is below 1; next to it there is nothing between the shares to try."""
    weight = [49 << 54, (49 << 54) - 128 * step, 49 << 54]
    for need in range(1, 10):
        given = fill_min_max(ints([3, 3, 3]), ints(weight), need, by_id(3))
        assert given.tolist() == levels.min_max([3, 3, 3], weight, need)
