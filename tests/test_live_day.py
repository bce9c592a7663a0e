"""A day of a book that lives: fills of changing kinds, with laws, layout and memory looked at."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pytest

import fastadl as fa
from fastadl.engine.live import room as rooms
from fastadl.engine.live.regions import Region, carved
from fastadl.stress.payers import Holders
from fastadl.stress.portrait import _density
from test_live import Ledger, check_layout

_BATCH = 1000


def exchange(accounts: int, symbols: int) -> fa.Engine:
    """Everybody rich and nobody with a position."""
    book = fa.Book.from_frames(
        {
            "symbol": [f"S{i:02}" for i in range(symbols)],
            "kind": ["linear"] * symbols,
            "contract_size": ["1"] * symbols,
            "lot": ["1"] * symbols,
            "tiers": [[{"min_notional": "0", "maintenance_rate": "0.005", "max_leverage": "20"}]] * symbols,
            "mark": ["10"] * symbols,
        },
        {"id": [f"a{i:07}" for i in range(accounts)], "cash": ["1000000"] * accounts},
        {"account": [], "symbol": [], "lots": [], "entry_price": []},
    )
    return fa.Engine(book, fund="1000000", copy=False)


class Day:
    """Random trades between accounts of a moving crowd, who hold up to some number of symbols."""

    def __init__(self, engine: fa.Engine, seed: int) -> None:
        self.engine, self.random = engine, np.random.default_rng(seed)
        self.lots = np.zeros((len(engine.accounts), len(engine.symbols)), np.int64)

    def trade(self, crowd: slice, wide: int, size: int = _BATCH) -> None:
        """A batch: half of the trades close what an account of the crowd holds, the others open."""
        people = np.arange(len(self.lots))[crowd]
        count = size // 2
        first = self.random.choice(people, count)
        second = self.random.choice(people, count)
        second[first == second] = (first[first == second] + 1) % len(self.lots)
        symbol = (first * 7 + self.random.integers(0, wide, count)) % self.lots.shape[1]
        lots = self.random.integers(1, 5, count)
        held = self.lots[first, symbol]
        lots = np.where((held != 0) & (self.random.random(count) < 0.7), -held, lots)
        fills = {
            "account": np.stack([first, second], axis=1).astype(np.int32).ravel(),
            "symbol": np.repeat(symbol, 2).astype(np.int32),
            "lots": np.stack([lots, -lots], axis=1).ravel(),
        }
        fills["value_atoms"] = fills["lots"] * 10_000_000
        np.add.at(self.lots, (fills["account"], fills["symbol"]), fills["lots"])
        self.engine.apply_fills(fills)

    def flatten(self, crowd: slice) -> None:
        """Everybody of the crowd closes everything, against the last account."""
        account, symbol = np.nonzero(self.lots[crowd])
        account += np.arange(len(self.lots))[crowd][0]
        keep = account != len(self.lots) - 1
        account, symbol = account[keep], symbol[keep]
        for at in range(0, len(account), _BATCH // 2):
            who, what = account[at : at + _BATCH // 2], symbol[at : at + _BATCH // 2]
            lots = -self.lots[who, what]
            fills = {
                "account": np.stack([who, np.full_like(who, len(self.lots) - 1)], axis=1)
                .astype(np.int32)
                .ravel(),
                "symbol": np.repeat(what, 2).astype(np.int32),
                "lots": np.stack([lots, -lots], axis=1).ravel(),
            }
            fills["value_atoms"] = fills["lots"] * 10_000_000
            np.add.at(self.lots, (fills["account"], fills["symbol"]), fills["lots"])
            self.engine.apply_fills(fills)

    def same(self) -> None:
        """The book holds what was traded."""
        _, _, rows = self.engine.book.columns()
        found = np.zeros_like(self.lots)
        mine = rows.account >= 0
        np.add.at(found, (rows.account[mine], rows.instrument[mine]), rows.lots[mine])
        assert np.array_equal(found, self.lots)


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups so small that gaps come and go in a book of some thousand accounts."""
    monkeypatch.setattr(rooms, "_LEAST", 1 << 6)
    monkeypatch.setattr(rooms, "_MOST", 1 << 9)


@pytest.mark.slow
@pytest.mark.usefixtures("small_groups")
def test_memory_follows_what_is_held_while_crowds_come_and_go() -> None:
    engine = exchange(3000, 30)
    day, rows, slots, groups, most = Day(engine, 1), [], [], [], 0
    crowds = [slice(at, at + 1000) for at in (0, 1000, 2000)]
    for step in range(12):
        crowd = crowds[step % 3]
        for _ in range(8):
            day.trade(crowd, (3, 9, 20)[step % 2 + step % 3 // 2])
            most = max(most, len(engine.book))
        if step % 4 == 1:
            day.same()
            check_layout(engine)
            engine.tick(engine.marks * (1.0 + 0.001 * (step % 3)))
        day.flatten(crowd)
        table = engine.book.rows
        rows.append(len(table.lots))
        slots.append(len(table.cash))
        groups.append(len(table.group_rows))
    day.same()
    check_layout(engine)
    assert engine._trading._room._gap.any()
    assert rows[-1] <= 1.1 * rows[5]
    assert slots[-1] <= 1.1 * slots[5]
    assert rows[-1] < 4 * most
    assert max(groups[6:]) <= 1.5 * max(groups[:6])
    assert engine.check().ok


@pytest.mark.usefixtures("small_groups")
def test_a_tick_over_gaps_and_a_copy_without_them_say_the_same() -> None:
    engine = exchange(2000, 20)
    day = Day(engine, 2)
    for wide in (15, 2, 8):
        for _ in range(8):
            day.trade(slice(0, 2000), wide)
        day.flatten(slice(0, 1500))
    for _ in range(4):
        day.trade(slice(0, 2000), 4)
    assert engine._trading._room._gap.any()
    anew = fa.Engine(fa.Book.from_frames(*engine.book.to_frames()), fund="1000000")
    copied = engine.copy()
    for each in (engine, anew, copied):
        each.mark(each.marks * 0.6)
    assert engine.lights().frame().equals(anew.lights().frame())
    assert fa.stress.pressure(engine).frame.equals(fa.stress.pressure(anew).frame)
    holders = [Holders.of(each) for each in (engine, anew)]
    assert np.array_equal(holders[0].neutral, holders[1].neutral)
    seen = [_density(each, of) for each, of in zip((engine, anew), holders, strict=True)]
    assert seen[0].equals(seen[1])
    reports = [each.deleverage().frames() for each in (engine, anew, copied)]
    for name, frame in reports[0].items():
        if name != "summary":
            assert frame.equals(reports[1][name]), name
            assert frame.equals(reports[2][name]), name
    day.engine = copied
    day.lots = np.zeros_like(day.lots)
    _, _, rows = copied.book.columns()
    np.add.at(day.lots, (rows.account, rows.instrument), rows.lots)
    day.trade(slice(0, 2000), 15)
    day.same()
    check_layout(copied)


@pytest.mark.parametrize(
    ("slots", "rows", "many"), [(10, 10, 3), (10, 100, 1), (7, 0, 0), (5, 13, 2), (4, 8, 2)]
)
def test_what_is_carved_of_a_gap_uses_all_its_slots_and_rows(slots: int, rows: int, many: int) -> None:
    region = Region(0, 1, slots, rows)
    for count in range(1, region.fits(many) + 1):
        pieces = carved(region, many, count)
        assert pieces[0] == (many, count)
        assert sum(number for _, number in pieces) == slots
        assert sum(size * number for size, number in pieces) == rows


@pytest.mark.slow
def test_a_hundred_thousand_events_keep_every_law() -> None:
    engine = exchange(5000, 40)
    day, random = Day(engine, 3), np.random.default_rng(4)
    for step in range(96):
        day.trade(slice(0, 4000) if step % 2 else slice(2000, 5000), (4, 12)[step // 48])
        if step % 8 == 7:
            engine.tick(engine.marks * random.uniform(0.97, 1.03, len(engine.marks)))
            engine.pay_funding(dict.fromkeys(engine.symbols, "0.0001"))
            _money(engine, random)
        if step % 32 == 31:
            assert engine.check().ok
            day.same()
    check_layout(engine)
    Ledger(fa.Book.from_frames(*engine.frames())).same(engine.book)


def _money(engine: fa.Engine, random: np.random.Generator) -> None:
    who = random.integers(0, len(engine.accounts), 200).astype(np.int32)
    engine.deposit({"account": who, "amount_atoms": np.full(200, 5)})
    engine.withdraw({"account": who[:100], "amount_atoms": np.full(100, 3)})


@pytest.mark.soak
def test_ten_million_fills_take_no_more_memory() -> None:
    engine = exchange(100_000, 60)
    day = Day(engine, 5)
    sizes: list[Any] = []
    for step in range(10_000):
        phase = step // 500
        start = phase % 4 * 20_000
        day.trade(slice(start, start + 40_000), (3, 10, 25)[phase % 3])
        if step % 100 == 99:
            engine.tick(engine.marks)
        if step % 500 == 499:
            day.flatten(slice(start, start + 40_000))
            assert engine.check().ok
            table = engine.book.rows
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sizes.append((len(table.lots), len(table.cash), len(table.group_rows), peak))
    day.same()
    check_layout(engine)
    half = sizes[len(sizes) // 2]
    assert all(now <= 1.1 * then for now, then in zip(sizes[-1], half, strict=True)), sizes
