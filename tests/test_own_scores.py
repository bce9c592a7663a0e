"""Scores of one's own (rule R97)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import fastadl as fa
from fastadl.engine.scoring import scoring
from fastadl.kernels.measure import measure
from fastadl.kernels.scores import COSTLY, needed, read_figures
from test_scores import LOSER, WINNER, Accounts, book, crowd, keyed, ranked


@fa.score
def own_bitmex(c: fa.Candidate) -> float:
    roi = c.profit / max(c.cost, 1.0)
    leverage = c.gross / max(c.equity, 1.0)
    return roi * leverage if roi > 0.0 else roi / leverage


@fa.score
def own_binance(c: fa.Candidate) -> float:
    ratio = c.margin / c.equity if c.equity > 0.0 else 0.0
    return max(0.0, c.symbol_profit) / max(c.cash, c.one) * ratio


@fa.score
def own_kucoin(c: fa.Candidate) -> float:
    return c.max_leverage * (c.profit / max(c.cost / c.max_leverage, 1.0))


@fa.score
def own_newest(c: fa.Candidate) -> float:
    return c.place


@pytest.mark.parametrize(
    ("own", "score"),
    [(own_bitmex, "bitmex"), (own_binance, "binance"), (own_kucoin, "kucoin_v1"), (own_newest, "newest")],
    ids=lambda score: score if isinstance(score, str) else "",
)
def test_an_own_score_equals_the_built_in_one_of_its_formula(own: fa.OwnScore, score: str) -> None:
    found = book(crowd())
    ours, theirs = fa.Engine(found, policy={"score": own}), fa.Engine(found, policy={"score": score})
    assert ours.rank("A", "long").equals(theirs.rank("A", "long"))
    one, other = ours.tick({"A": "165"}), theirs.tick({"A": "165"})
    assert len(one.adl_fills) > 10
    assert one.adl_fills.equals(other.adl_fills)


def test_own_scores_decide_ties_too() -> None:
    found = book(crowd())
    ours = ranked(found, score="size", then=[own_bitmex, own_newest])
    assert ours == ranked(found, score="size", then=["bitmex", "newest"])
    assert list(ours) == keyed(found, ["size", "bitmex", "newest"])


def test_functions_of_one_name_are_never_taken_for_each_other() -> None:
    found = book({"ann": WINNER})

    def make(factor: float) -> fa.OwnScore:
        @fa.score
        def same_name(c: fa.Candidate) -> float:
            return factor * c.profit

        return same_name

    two, three = make(2.0), make(3.0)
    for own, wanted in ((two, 1000.0), (three, 1500.0), (two, 1000.0)):
        assert ranked(found, score=own) == {"ann": wanted}


def test_minus_zero_is_no_score_of_its_own() -> None:
    accounts: Accounts = {"won": WINNER, "even": (1000, {"A": (10, 150)}, 0)}
    own = fa.score(lambda c: -0.0 if c.profit > 0.0 else 0.0)
    scores = ranked(book(accounts), score=own)
    assert list(scores) == ["even", "won"]
    assert [math.copysign(1.0, score) for score in scores.values()] == [1.0, 1.0]


def test_dividing_by_zero_ranks_first_or_last() -> None:
    accounts: Accounts = {"won": WINNER, "even": (0, {"A": (1, 100)}, 0), "lost": LOSER}
    own = fa.score(lambda c: c.profit / (c.cash * 0.0) if c.cash > 0.0 else 7.0)
    assert ranked(book(accounts), score=own) == {"won": math.inf, "even": 7.0, "lost": -math.inf}


def _helped(c: Any) -> float:
    if c.cash > 900.0:
        raise ValueError(c.cash)
    return 1.0


@pytest.mark.jit
def test_a_function_that_fails_is_refused_as_nan_is() -> None:
    from numba import njit

    helper = njit(_helped)
    own = fa.score(lambda c: helper(c))
    with pytest.raises(fa.PolicyError, match="for account ann it is NaN, or fails"):
        ranked(book({"bob": WINNER, "ann": (1000, {"A": (1, 100)}, 0)}), score=own)


@pytest.mark.parametrize("then", [False, True])
def test_nan_is_refused_with_the_account_named_and_nothing_changed(then: bool) -> None:
    @fa.score
    def worthless(c: fa.Candidate) -> float:
        return (c.cash - 90.0) / (c.cash - 90.0)

    accounts = crowd()
    least = min(name for name, (cash, rows, _) in accounts.items() if cash == 90 and rows["A"][0] > 0)
    policy = {"score": "size", "then": [worthless]} if then else {"score": worthless}
    engine = fa.Engine(book(accounts), policy=policy, fund="5")
    before = engine.book.to_frames(), engine.reserves(), engine.marks
    for call in (lambda: engine.tick({"A": "165"}), lambda: engine.rank("A", "long")):
        with pytest.raises(fa.PolicyError, match=f"worthless.*account {least} it is NaN.*R97"):
            call()
    after = engine.book.to_frames(), engine.reserves(), engine.marks
    assert all(one.equals(other) for one, other in zip(before[0], after[0], strict=True))
    assert before[1].equals(after[1])
    np.testing.assert_array_equal(before[2], after[2])
    assert engine.check().ok


def test_a_further_key_is_asked_only_about_ties() -> None:
    own = fa.score(lambda c: math.nan)
    accounts: Accounts = {"a": (1000, {"A": (1, 100)}, 0), "b": (1000, {"A": (2, 100)}, 0)}
    assert list(ranked(book(accounts), score="size", then=[own])) == ["b", "a"]
    accounts["c"] = accounts["b"]
    with pytest.raises(fa.PolicyError, match="for account b "):
        ranked(book(accounts), score="size", then=[own])


def text(c: Any) -> Any:
    return "7"


def nothing(c: Any) -> Any:
    return None


def two_numbers(c: Any) -> Any:
    return c.profit, c.cash


def complex_number(c: Any) -> Any:
    return c.profit * 1j


@pytest.mark.parametrize("function", [text, nothing, two_numbers, complex_number])
def test_what_is_no_number_is_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(fa.PolicyError, match=f"{function.__name__}.*let it return a float.*R97"):
        ranked(book({"ann": WINNER}), score=fa.score(function))


def test_whole_numbers_and_truth_values_are_numbers() -> None:
    accounts: Accounts = {"won": WINNER, "lost": LOSER}
    assert ranked(book(accounts), score=fa.score(lambda c: c.profit > 0.0)) == {"won": 1.0, "lost": 0.0}
    assert ranked(book(accounts), score=fa.score(lambda c: 7)) == {"won": 7.0, "lost": 7.0}


def test_a_figure_that_does_not_exist_is_refused_before_any_tick() -> None:
    own = fa.score(lambda c: c.proft)
    with pytest.raises(fa.PolicyError, match="a candidate has no proft; did you mean profit"):
        fa.Engine(book({"ann": WINNER}), policy={"then": [own]})


@pytest.mark.jit
def test_what_numba_cannot_compile_is_refused_before_any_tick() -> None:
    @fa.score
    def opens(c: fa.Candidate) -> float:
        return pl.Series([c.profit]).sum()

    with pytest.raises(fa.PolicyError, match=r"opens: let it return a float, .* numba can compile"):
        fa.Engine(book({"ann": WINNER}), policy={"score": opens})


@pytest.mark.jit
def test_one_compiled_kernel_serves_all_functions() -> None:
    ranked(book(crowd()), score=fa.score(lambda c: c.profit))
    before = len(measure.signatures)
    ranked(book(crowd()), score=fa.score(lambda c: c.profit + c.cash))
    assert len(measure.signatures) == before


@pytest.mark.jit
def test_a_compiled_function_is_taken_with_our_rounding() -> None:
    from numba import njit

    own = fa.score(njit(own_bitmex.function, fastmath=True))
    assert ranked(book(crowd()), score=own) == ranked(book(crowd()), score="bitmex")


def rebinding(c: Any) -> Any:
    c = c._replace(margin=1.0)
    return c.margin


@pytest.mark.parametrize(
    ("function", "read"),
    [
        (own_bitmex.function, {"profit", "cost", "gross", "equity"}),
        (own_binance.function, {"margin", "equity", "symbol_profit", "cash", "one"}),
        (lambda c: c.place - c.given, {"place", "given"}),
        (lambda c: c[0], None),
        (lambda c: own_bitmex(c), None),
        (lambda c: (lambda: c.margin)(), None),
        (rebinding, None),
    ],
)
def test_what_a_score_reads_is_seen_or_everything_is_worked_out(function: Any, read: set[str] | None) -> None:
    assert read_figures(function) == read
    assert needed(read) == sum({COSTLY[name] for name in COSTLY if read is None or name in read})


def test_a_candidate_handed_on_has_all_its_figures() -> None:
    own = fa.score(lambda c: c[SECOND_LAST] + 0.0)
    assert ranked(book({"ann": WINNER, "bob": LOSER}), score=own) == {"bob": 1.0, "ann": 0.0}


SECOND_LAST = fa.Candidate._fields.index("given")


@pytest.mark.parametrize("function", ["bitmex", 7, math.sqrt, lambda: 1.0, lambda c, d: 1.0, lambda *c: 1.0])
def test_what_is_not_a_function_of_one_candidate_is_refused(function: Any) -> None:
    with pytest.raises(fa.PolicyError, match="decorate a function of one candidate"):
        fa.score(function)


def test_a_score_is_compiled_once() -> None:
    assert scoring(own_bitmex) is scoring(own_bitmex)
    assert scoring(own_bitmex).number < 0
