"""An engine forked in the middle of a tick does under its new policy what one of its own would have done."""

from __future__ import annotations

from typing import Any

import pytest
from polars.testing import assert_frame_equal

from fastadl import Engine, InputError, synth
from fastadl.engine.results import LISTS

FALL = 0.8
#: All of one split: by notional.
ALIKE: list[Any] = [
    "bitmex",
    "hyperliquid_2025",
    "hyperliquid_recovered",
    {"preset": "bitmex", "allocation": "leverage_fill"},
    {"space": "wealth", "split": "notional"},
    {"trigger": "none", "split": "notional"},
]


def engine(policy: Any = "bitmex", fund: str = "100") -> Engine:
    book = synth.book("pareto", positions=600, accounts=240, instruments=3, seed=1)
    return Engine(book, policy=policy, fund=fund)


def before_the_loss(**given: Any) -> Engine:
    """After the take-over of a tick."""
    made = engine(**given)
    made.mark(made.marks * FALL)
    made.takeover()
    return made


@pytest.mark.parametrize("policy", ALIKE, ids=str)
def test_a_fork_does_what_an_engine_of_its_own_does(policy: Any) -> None:
    shared, own = before_the_loss(), engine(policy)
    assert shared.left() > 0
    expected, fork = own.tick(own.marks * FALL), shared.fork(policy)
    report = fork.deleverage()
    for name in LISTS:
        assert_frame_equal(getattr(report, name), getattr(expected, name))
    assert fork.check() == own.check()
    assert_frame_equal(fork.reserves(), own.reserves())
    assert_frame_equal(*(each.tick(each.marks * 0.9).adl_fills for each in (fork, own)))
    assert shared.left() > 0
    alone = engine()
    assert_frame_equal(shared.deleverage().adl_fills, alone.tick(alone.marks * FALL).adl_fills)


def test_nothing_is_left_where_the_fund_takes_all_nor_outside_a_tick() -> None:
    assert engine().left() == 0
    assert before_the_loss(fund="1000000000").left() == 0
    made = before_the_loss()
    made.deleverage()
    assert made.left() == 0


@pytest.mark.parametrize("policy", ["kucoin_2025", "htx", "deribit", "gmx_v2", "leverage_fill"])
def test_policies_that_would_have_come_elsewhere_are_refused(policy: str) -> None:
    with pytest.raises(InputError, match="it would have come elsewhere"):
        before_the_loss().fork(policy)
    if policy != "leverage_fill":
        with pytest.raises(InputError, match="it would have come elsewhere"):
            engine(policy).fork(policy)
