"""Marks that look at who wakes: what a tick costs when little moves, by how far and in books of what size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from fastadl import Engine, synth
from fastadl.bench.live import trades
from fastadl.bench.loads import Load
from fastadl.bench.registry import Group, Work
from fastadl.engine.wake.layout import laid_out
from fastadl.schema import Float64Array

__all__ = ["INCREMENTAL"]

_INSTRUMENTS, _SEED = 300, 1
#: Marks before any is timed, and marks of a round.
_WARM, _MARKS = 1000, 2000
#: Batches of a thousand fills in one round at most.
_BATCHES = 200
#: Furthest moves of a price, as a part of it.
_NEAR, _NEARER = 1e-3, 5e-4
#: What part of the way back a price goes at every move.
_PULL = 0.03
_LEFT_OUT = "building the book, a thousand marks before, making the prices; the report's frames"

#: One call: the engine's method and what it is given.
Call = Callable[[Any], Any]


class Book(NamedTuple):
    """A book in an engine that looks at who wakes and in one that looks at all, and prices on their way.

    Prices wander about where they began, so that nobody has to be liquidated for good.
    """

    waking: Engine
    plain: Engine
    began: Float64Array
    marks: Float64Array
    random: np.random.Generator

    @property
    def positions(self) -> int:
        """How many."""
        return len(self.waking.book)

    def one(self, most: float) -> tuple[str, float]:
        """A price that moved by up to so much, kept."""
        some = int(self.random.integers(_INSTRUMENTS))
        self._wander(some, self.random.uniform(-most, most))
        return self.waking.symbols[some], float(self.marks[some])

    def swing(self, most: float, many: int) -> list[dict[str, float]]:
        """So many marks: a price goes up to so far, then back; others follow."""
        found = []
        for _ in range(many // 2):
            some = int(self.random.integers(_INSTRUMENTS))
            here, symbol = float(self.marks[some]), self.waking.symbols[some]
            found += [{symbol: here * (1.0 + self.random.uniform(-most, most))}, {symbol: here}]
        return found

    def every(self, most: float) -> Float64Array:
        """All prices, each moved by up to so much, kept."""
        self._wander(slice(None), self.random.uniform(-most, most, _INSTRUMENTS))
        return self.marks.copy()

    def _wander(self, which: Any, move: Any) -> None:
        self.marks[which] *= (1.0 + move) * (self.began[which] / self.marks[which]) ** _PULL


def _book(positions: int) -> Book:
    drawn = synth.book(
        "pareto",
        positions=positions,
        accounts=max(positions * 4 // 10, 1),
        instruments=_INSTRUMENTS,
        seed=_SEED,
    )
    waking, plain = Engine(drawn, incremental=True), Engine(drawn, copy=False)
    book = Book(waking, plain, waking.marks, waking.marks, np.random.default_rng(_SEED))
    plain.mark(book.marks)
    for _ in range(_WARM):
        waking.mark(dict([book.one(_NEAR)]))
    return book


INCREMENTAL = Group(
    "incremental",
    "marks that look at who wakes",
    "What a tick costs when little moves: one price by up to 10 basis points, unless another move is named.",
    "mark",
    lambda loads: loads.once(lambda made: _book(made.positions)),
)


def _timed(call: Call, given: list[Any]) -> Float64Array:
    """Seconds of every call."""
    took = np.empty(len(given))
    for i, each in enumerate(given):
        start = perf_counter()
        call(each)
        took[i] = perf_counter() - start
    return took


def _facts(took: Float64Array) -> Mapping[str, float]:
    return {
        "median_seconds": float(np.median(took)),
        "p99_seconds": float(np.percentile(took, 99)),
        "longest_seconds": float(took.max()),
    }


def _marks(book: Book, call: Call, draw: Callable[[], Any], many: int = _MARKS) -> Work:
    """So many calls with prices drawn one by one, anew for every round."""
    return _calls(book, call, lambda: [draw() for _ in range(many)], many)


def _calls(book: Book, call: Call, draw: Callable[[], list[Any]], many: int) -> Work:
    """So many calls with prices drawn anew for every round; at the end both engines detect the same."""

    def check(_: Any) -> None:
        book.waking.mark(book.marks)
        book.plain.mark(book.marks)
        assert book.waking.liquidations().equals(book.plain.liquidations())

    def setup() -> tuple[Call, list[Any]]:
        return call, draw()

    return Work(_timed, many, setup=setup, check=check, facts=_facts)


@INCREMENTAL.case("fastadl, one price", left_out=_LEFT_OUT, held_back="Python, some 15 µs a call", rounds=3)
def _one(book: Book) -> Work:
    """Engine.mark with one symbol."""
    return _marks(book, book.waking.mark, lambda: dict([book.one(_NEAR)]))


@INCREMENTAL.case("fastadl, one price, in an array of all", left_out=_LEFT_OUT, rounds=3)
def _in_array(book: Book) -> Work:
    """Engine.mark with an array, of which one price is new."""

    def draw() -> Float64Array:
        book.one(_NEAR)
        return book.marks.copy()

    return _marks(book, book.waking.mark, draw)


@INCREMENTAL.case("fastadl, one price, a whole tick", left_out=_LEFT_OUT, unit="tick", rounds=3)
def _tick(book: Book) -> Work:
    """Engine.tick with one symbol."""
    return _marks(book, book.waking.tick, lambda: dict([book.one(_NEAR)]))


@INCREMENTAL.case("fastadl, all prices by up to 5 basis points", left_out=_LEFT_OUT, rounds=3)
def _all(book: Book) -> Work:
    """Engine.mark with an array, in which every price is new."""
    return _marks(book, book.waking.mark, lambda: book.every(_NEARER), many=200)


@INCREMENTAL.case("fastadl, a full pass", left_out="building the book, making the prices", rounds=3)
def _full(book: Book) -> Work:
    """Engine.mark with one symbol on an engine that looks at everybody, as a measure."""
    return _marks(book, book.plain.mark, lambda: dict([book.one(_NEAR)]), many=50)


def _by_move(points: int) -> None:
    @INCREMENTAL.case(
        f"fastadl, one price by up to {points} basis points",
        does="Engine.mark with one symbol, there and back; the further it goes the more wake.",
        left_out=_LEFT_OUT,
        rounds=3,
    )
    def make(book: Book) -> Work:
        return _calls(book, book.waking.mark, lambda: book.swing(points * 1e-4, 500), 500)


for _points in (1, 30, 100, 300, 1000):
    _by_move(_points)


def _by_size(divisor: int) -> None:
    @INCREMENTAL.case(
        f"fastadl, 1/{divisor} of the positions",
        does="Engine.mark with one symbol in a smaller book.",
        left_out=_LEFT_OUT,
        rounds=3,
    )
    def make(book: Book) -> Work:
        small = _book(max(book.positions // divisor, 1))
        return _marks(small, small.waking.mark, lambda: dict([small.one(_NEAR)]))


for _divisor in (10, 100):
    _by_size(_divisor)


@INCREMENTAL.case(
    "fastadl, all levels anew", left_out="guards that have to be made anew too", unit="position", rounds=3
)
def _anew(book: Book) -> Work:
    """Levels of every position, as after funding: `fastadl.engine.wake.layout.laid_out`."""
    state = book.waking._state
    wake = state.wake
    assert wake is not None
    size = wake.nbytes
    return Work(laid_out, book.positions, (state,), facts=lambda _: {"levels_bytes": size})


@INCREMENTAL.case(
    "fastadl, fills of a thousand, and a mark after each",
    unit="fill",
    left_out="the first batch, which moves the book to where it can grow; making the arrays",
    rounds=3,
)
def _fills(book: Book) -> Work:
    """Engine.apply_fills as in group live, then Engine.mark, which looks at all who traded; one core."""
    load = Load(book.plain.book, book.marks, book.marks)
    batches = trades(load, min(_BATCHES, max(book.positions // 1000, 2)))

    def setup() -> tuple[Engine, list[Any]]:
        each = book.waking.copy()
        each.apply_fills(batches[0])
        each.mark(book.marks)
        return each, batches[1:]

    def run(engine: Engine, some: list[Any]) -> Engine:
        for batch in some:
            engine.apply_fills(batch)
            engine.mark({})
        return engine

    def check(engine: Engine) -> None:
        assert engine.check().ok

    return Work(run, 1000 * (len(batches) - 1), setup=setup, check=check)
