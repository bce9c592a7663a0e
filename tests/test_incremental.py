"""Ticks that cost what moved: answers are those of an engine that looks at all accounts (R124 to R126)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba import config

import fastadl as fa
from bites import BREAKS
from engines import book, state_of
from fastadl.engine.wake import Wake, layout
from fastadl.engine.wake import wake as policy
from fastadl.kernels import wake as kernels
from faulty import Faulty
from live_calls import made, perform
from test_live_interrupts import fills_of, interrupted_at
from test_live_stateful import Exchange
from uncompiled import fewer
from walks import Pair, calls, crowds, edges, falls, hunts, refusals, walk

SEEDS = st.integers(0, 2**32)
KINDS = st.sampled_from([walk, walk, hunts, falls, edges, crowds, refusals])
#: Fewer without compiling, where all of it takes longer.
WALKS, CALLS = (40, 4) if config.DISABLE_JIT else (600, 40)
HERE = Path(__file__).parent


@settings(max_examples=WALKS, suppress_health_check=list(HealthCheck))
@given(KINDS, SEEDS)
def test_walks_find_the_same(prices: Callable[[int], Pair], seed: int) -> None:
    prices(seed)


@settings(max_examples=CALLS, suppress_health_check=list(HealthCheck))
@given(SEEDS)
def test_whatever_is_called_it_answers_the_same(seed: int) -> None:
    calls(seed)


@pytest.mark.soak
@settings(max_examples=100_000, suppress_health_check=list(HealthCheck))
@given(KINDS, SEEDS)
def test_many_walks_find_the_same(prices: Callable[[int], Pair], seed: int) -> None:
    prices(seed)


@pytest.mark.soak
@settings(max_examples=5000, suppress_health_check=list(HealthCheck))
@given(SEEDS)
def test_long_walks_of_many_find_the_same(seed: int) -> None:
    walk(seed, 200, most=300)


@pytest.mark.soak
@settings(max_examples=5000, suppress_health_check=list(HealthCheck))
@given(SEEDS)
def test_for_long_it_answers_the_same(seed: int) -> None:
    calls(seed, 150)


class WakingExchange(Exchange):
    """The engine of `Exchange` that looks only at who wakes, and the model, told the same."""

    options = {"incremental": True}  # noqa: RUF012


class SoakWakingExchange(WakingExchange):
    """The same for longer."""


TestWakingExchange = WakingExchange.TestCase
TestWakingExchange.settings = settings(
    max_examples=fewer(5), stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSoakWakingExchange = pytest.mark.soak(SoakWakingExchange.TestCase)
TestSoakWakingExchange.settings = settings(
    TestWakingExchange.settings, max_examples=2000, stateful_step_count=100
)


@pytest.fixture(scope="module")
def walks_to_tell() -> dict[str, int]:
    """For each way to be wrong how many walks it took to tell; 0 where none did."""
    done = subprocess.run(
        [sys.executable, HERE / "bites.py", "100"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", BREAKS)
def test_the_walks_bite(walks_to_tell: dict[str, int], name: str) -> None:
    """An engine that is wrong in one place is told from the right one."""
    assert walks_to_tell[name]


# ---------------------------------------------------------------------- a real market


def market(positions: int = 3000) -> fa.Book:
    return fa.synth.book("pareto", positions=positions, accounts=positions * 2 // 5, instruments=30, seed=1)


def woke(pair: Pair) -> list[int | None]:
    """How many accounts each mark from now on finds by itself; None where it is a full pass."""
    told: list[int | None] = []
    waking, found = pair.waking._state.wake, Wake.found

    def telling(self: Wake, moved, before):
        answer = found(self, moved, before)
        told.append(None if answer is None else len(answer))
        return answer

    assert waking is not None
    waking.found = telling.__get__(waking)  # type: ignore[method-assign]
    return told


def test_a_quiet_market_needs_no_full_pass() -> None:
    pair, random = Pair(market()), np.random.default_rng(0)
    told, marks = woke(pair), pair.plain.marks
    for _ in range(fewer(400)):
        some = random.integers(0, 30)
        marks[some] *= 1 + random.uniform(-1e-3, 1e-3)
        pair.both("mark", {pair.plain.symbols[some]: float(marks[some])})
        pair.agree()
    for _ in range(fewer(100)):
        marks *= 1 + random.uniform(-5e-4, 5e-4, 30)
        pair.both("mark", marks)
        pair.agree()
    assert None not in told
    assert len(told) == fewer(500)


def test_a_crash_and_what_comes_after() -> None:
    pair = Pair(market(), fund="100000")
    told, marks = woke(pair), pair.plain.marks
    for factor in (0.9, 0.8, 1.3, 1.0, 0.7, *[1.001] * 300):
        marks *= factor
        pair.both("tick", marks)
        pair.agree()
    assert None in told
    assert told[-100:].count(None) == 0  # levels were made in time


def test_accounts_that_come_wake_as_those_who_were_there() -> None:
    """Each trades, in the first market too, and prices then go against it, by little and little."""
    pair = Pair(market())
    told, marks, symbols = woke(pair), pair.plain.marks, pair.plain.symbols
    rich = pair.plain.accounts[int(np.argmax(pair.plain.equity()))]
    pair.both("mark", marks)
    for number in range(6):
        name, i = f"new{number}", number // 2
        pair.both("open_accounts", {"id": [name], "cash": ["20000"]})
        lots = int(2e11 / pair.plain.unit_values[i]) * (1 if number % 2 else -1)
        fills = {"account": [name, rich], "symbol": [symbols[i]] * 2, "lots": [lots, -lots]}
        pair.both("apply_fills", {**fills, "price": [float(marks[i])] * 2})
        pair.both("mark", marks)
        pair.agree()
    fell = set()
    for factor in (*[1.002] * 70, *[0.998] * 125):
        marks[:3] *= factor
        pair.both("mark", marks)
        pair.agree()
        fell |= set(pair.plain.liquidations()["account"].to_list())
    assert {f"new{number}" for number in range(6)} <= fell
    assert None not in told


@pytest.mark.slow
def test_levels_are_made_seldom_where_everything_always_moves() -> None:
    """Nearly all marks are full passes, and levels are made once in hundreds of them."""
    pair, random, many = Pair(market()), np.random.default_rng(1), 600
    told, marks = woke(pair), pair.plain.marks.copy()
    with patch.object(policy, "laid_out", wraps=policy.laid_out) as laid:
        for _ in range(many):
            pair.both("mark", marks * random.uniform(0.5, 2.0, 30))
            pair.agree()
    assert told.count(None) > 0.9 * many
    assert laid.call_count == 1


def test_what_is_kept_is_small() -> None:
    engine = fa.Engine(market(100_000), incremental=True)
    engine.mark({})
    assert engine._state.wake is not None
    assert 0 < engine._state.wake.nbytes <= 24 * len(engine.book)


def test_an_engine_that_was_copied_looks_for_itself() -> None:
    pair = Pair(market())
    pair.both("mark", pair.plain.marks * 0.97)
    copies = object.__new__(Pair)
    copies.plain, copies.waking = pair.plain.copy(), pair.waking.copy()
    with patch.object(policy, "laid_out") as laid:
        copies.both("mark", copies.plain.marks * 0.9999)
        copies.agree()
        assert not laid.call_count  # it has the levels it was copied with
    for factor in (0.97, 1.1, 0.9):
        copies.both("tick", copies.plain.marks * factor)
        copies.agree()
    pair.both("tick", pair.plain.marks * 0.98)
    pair.agree()
    assert state_of(pair.waking) == state_of(pair.plain)


def test_a_leg_that_outgrows_its_room_has_full_passes_until_levels_are_made_anew() -> None:
    with patch.object(layout, "_SPARE", 10**9), patch.object(layout, "_LEAST", 0):
        pair, count = Pair(market()), 500
        told = woke(pair)
        opened = {
            "account": np.arange(count, dtype=np.int32),
            "symbol": np.zeros(count, np.int32),
            "lots": np.repeat([1, -1], count // 2),
            "value_atoms": np.repeat([100, -100], count // 2),
            "fee_atoms": np.zeros(count, np.int64),
        }
        pair.both("apply_fills", opened)
        waking = pair.waking._state.wake
        waking._few = count
        for factor in (1.0, 0.97, 1.05):
            pair.both("mark", pair.plain.marks * factor)
            pair.agree()
        assert told[0] is not None
        assert told[1:] == [None, None]
        waking._age = policy._APART
        for factor in (1.0, 0.999):
            pair.both("mark", pair.plain.marks * factor)
            pair.agree()
        assert None not in told[3:]


# ---------------------------------------------------------------------- interrupts

INTERRUPTED: dict[str, Any] = {
    "apply_fills": fills_of,
    "withdraw": lambda engine: {"account": engine.accounts[:6], "amount": ["0.01"] * 6},
    "mark": lambda engine: engine.marks * 0.93,
}


@pytest.mark.parametrize("name", INTERRUPTED)
@pytest.mark.parametrize(
    "place",
    [
        (policy, ""),
        pytest.param(
            (kernels, "_enlist"), marks=pytest.mark.skipif(not config.DISABLE_JIT, reason="compiled")
        ),
    ],
)
def test_nobody_who_wakes_is_lost_wherever_a_call_is_interrupted(name: str, place: tuple[Any, str]) -> None:
    """The call is undone; done again, and after prices fell, both have detected the same."""
    pair = Pair(**made(fund="1000"))
    for engine in (pair.plain, pair.waking):
        engine.prepare_live()
    free = pair.plain.free_collateral(np.arange(len(pair.plain.accounts), dtype=np.int32))
    some = np.flatnonzero(free > 0)[6:].astype(np.int32)
    pair.both("withdraw", {"account": some, "amount_atoms": free[some] * 9 // 10})
    pair.both("mark", {})
    pair.waking._state.wake._few = len(pair.plain.accounts)  # none of them is too many
    given, line, found = INTERRUPTED[name](pair.plain), 1, 0
    while True:
        both = object.__new__(Pair)
        both.plain, both.waking = pair.plain.copy(), pair.waking.copy()
        module, within = place
        call = partial(getattr(both.waking, name), given)
        if not interrupted_at(line, {module.__file__}, call, within):
            break
        both.both(name, given)
        for factor in (1.0, 0.97, 0.9, 1.4):
            both.both("mark", pair.plain.marks * factor)
            both.agree()
            found += len(both.plain._tick.accounts)
        line += max(1, line // 10)
    assert line > 5
    assert found > 0


# ---------------------------------------------------------------------- bad input


def test_headroom_of_exactly_nothing_is_safe_and_less_is_not() -> None:
    pair = Pair(book("ann X 10 100\nbob X -10 100", cash={"ann": "109", "bob": "1000"}))
    for price, many in (("100", 0), ("90", 0), ("89.9", 1), ("90", 0), ("89.9999999999999999", 1)):
        assert pair.both("mark", {"X": price})["result"]["liquidatable"] == many
        pair.agree()


def test_a_price_that_walks_along_a_level() -> None:
    pair = Pair(book("ann X 10 100\nann Y 10 100", cash={"ann": "300"}, listed={"X": {}, "Y": {}}))
    pair.both("mark", {"X": "100", "Y": "100"})
    for n in range(200):
        pair.both("mark", {"XY"[n % 2]: 100 - 15 * n / 200 + (-1) ** n * 1e-9})
        pair.agree()
    assert pair.both("mark", {"X": 85.5, "Y": 85.5})["result"]["liquidatable"] == 1


def test_prices_far_away_and_next_to_nothing() -> None:
    listed = {"X": {}, "I": {"kind": "inverse"}}
    pair = Pair(book("ann X 10 100\nbob X -10 100\nann I 10 100\nbob I -10 100",
                     cash={"ann": "500", "bob": "500"}, listed=listed))  # fmt: skip
    pair.both("mark", {"X": "100", "I": "100"})
    for price in (1e8, 1e-8, 100, 1e-300, 1e14, 5e-324, 100):
        for symbol in "XI":
            pair.both("mark", {symbol: price})
            pair.agree()


def test_accounts_without_margin_or_without_anything() -> None:
    free = {"X": {}, "Y": {"tiers": [{"min_notional": "0", "maintenance_rate": "0"}]}}
    pair = Pair(
        book(
            "ann X 10 100\nbob X -10 100\ncat Y 10 100\ndan Y -10 100",
            cash={"ann": "0", "bob": "0", "cat": "0", "dan": "0", "eve": "0"},
            listed=free,
        )
    )
    seen = set()
    for price in ("100", "100.01", "99.99", "100", "150", "50"):
        found = pair.both("mark", {"X": price, "Y": price})["result"]
        seen.add((found["liquidatable"], found["bankrupt"]))
        pair.agree()
    assert seen == {(2, 0), (1, 2), (0, 2)}


def test_an_instrument_that_has_never_been_marked() -> None:
    pair = Pair(**made(fund="1000"))
    tiers = [{"min_notional": "0", "maintenance_rate": "0.1"}]
    new = {"symbol": "N", "kind": "linear", "contract_size": "1", "lot": "1", "tiers": tiers, "mark": None}
    pair.both("list_instruments", {name: [value] for name, value in new.items()})
    pair.waking._state.wake._age = policy._APART
    code = len(pair.plain.symbols) - 1
    opened = {"account": [0, 1], "symbol": [code] * 2, "lots": [5, -5], "value_atoms": [50_000, -50_000]}
    pair.both("mark", {})
    assert "never marked" in pair.both("apply_fills", {**opened, "fee_atoms": [0, 0]})["result"]
    pair.both("mark", {"N": "100"})
    assert not isinstance(pair.both("apply_fills", {**opened, "fee_atoms": [0, 0]})["result"], str)
    pair.agree()
    found = 0
    for price in ("100", "101", "99", "100000", "0.01"):
        pair.both("mark", {"N": price})
        pair.agree()
        found += len(pair.plain._tick.accounts)
    assert found > 0


def test_two_threads_wait_for_each_other() -> None:
    pair = Pair(market())
    marks = pair.plain.marks * np.where(np.arange(30) % 2, 0.9, 1.08)

    def some(which: int) -> None:
        for step in range(1, 41):
            for i in range(which, 30, 2):
                price = float(pair.plain.marks[i] * (1 - step / 40) + marks[i] * step / 40)
                pair.waking.mark({pair.waking.symbols[i]: price})

    threads = [Thread(target=some, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = dict(zip(pair.plain.symbols, pair.waking.marks.tolist(), strict=True))
    pair.plain.mark(last)
    pair.waking.mark({})
    assert np.array_equal(pair.plain._tick.accounts, pair.waking._tick.accounts)
    assert len(pair.plain._tick.accounts) > 0


# ---------------------------------------------------------------------- journals


def test_journals_have_the_same_hash_and_are_done_again(tmp_path: Path) -> None:
    hashes = []
    for incremental in (False, True):
        folder = tmp_path / str(incremental)
        clock = iter(range(10**6)).__next__
        with fa.LiveEngine.create(
            folder, **made(5), incremental=incremental, disk=Faulty(), snapshot_every=12, clock=clock
        ) as engine:
            for number in range(80):
                perform(engine, number, 5)
            hashes.append(engine.journal.hash)
            last = state_of(engine.copy())
        with fa.LiveEngine.open(folder, incremental=not incremental, disk=Faulty()) as again:
            assert (again._state.wake is None) is incremental
            assert state_of(again.copy()) == last
            perform(again, 80, 5)
    assert hashes[0] == hashes[1]
    assert fa.replay(tmp_path / "True").ok
