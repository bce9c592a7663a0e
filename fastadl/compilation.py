"""Compiling on purpose: every kernel, for the types the engine calls it with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
from numba.core import event

from fastadl.book import Book
from fastadl.engine import Engine
from fastadl.engine.pressure import shocked_units, sums
from fastadl.engine.settings import running_on
from fastadl.kernels import _jit
from fastadl.policy import CHOICES, AdlPolicy, Fund, Liquidity, score
from fastadl.policy.choices import alone

__all__ = ["Kernel", "Progress", "compile_backwards", "warmup", "watching"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel that has become ready to run.

    Attributes
    ----------
    name : str
        Module and function.
    seconds : float
        Time it took to compile, without that of the kernels it calls; 0 if it came from the cache.
    cached : bool
        Whether its machine code was found on disk.
    """

    name: str
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far compiling has come.

    Attributes
    ----------
    name : str
        The kernel that is being compiled now, or the one that was just ready.
    done : int
        Kernels that are ready, compiled or from the cache.
    total : int
        Kernels there are. From a full cache fewer are loaded: those that others call are part of them.
    seconds : float
        Since compiling was begun.
    kernel : Kernel or None
        The one that was just ready; None when one is begun.
    """

    name: str
    done: int
    total: int
    seconds: float
    kernel: Kernel | None


def warmup(progress: Callable[[Progress], object] | None = None) -> list[Kernel]:
    """Compile every kernel the engine uses, or load it from the cache, so that no later tick waits.

    A small book goes through every stage, once with each value of every choice of rule R66. Each kernel is
    kept on disk as soon as it is compiled: after an interruption the next call goes on from there.

    Parameters
    ----------
    progress : callable, optional
        Called with a `Progress` when a kernel is begun and when it is ready.

    Returns
    -------
    list of Kernel
        By name. Kernels that were ready before are left out; with ``NUMBA_DISABLE_JIT=1`` all are.

    Examples
    --------
    >>> import fastadl as fa
    >>> kernels = fa.warmup()
    >>> fa.warmup()
    []
    """
    before = _loads()
    with watching(progress) as compiled, running_on(1):  # on a busy machine threads would wait for each other
        for work in _works():
            work()
    loaded = [Kernel(name, 0.0, True) for name, loads in _loads().items() if loads > before.get(name, 0)]
    return sorted([*compiled, *loaded], key=lambda kernel: kernel.name)


def compile_backwards() -> None:
    """Compile what `warmup` comes to last, for a process that has begun it and finds this in the cache."""
    with running_on(1):
        for work in reversed(_works()):
            work()


def _works() -> list[Callable[[], object]]:
    """What calls every kernel."""
    book = Book.from_frames(*_frames(str))
    return [
        *(partial(Book.from_frames, *_frames(number)) for number in (int, float)),
        lambda: Book.from_frames(*book.to_frames()),
        *(partial(_run, book, policy) for policy in _policies()),
        partial(_stand, book),
        partial(_press, book),
        partial(_wake, book),
    ]


@contextmanager
def watching(progress: Callable[[Progress], object] | None) -> Iterator[list[Kernel]]:
    """Tell of every kernel that is compiled within the block; gives the list of them, which grows."""
    listener = _Listener(progress)
    with event.install_listener("numba:compile", listener):
        yield listener.compiled


class _Listener(event.Listener):  # type: ignore[misc]
    """Times compilations, which nest where a kernel calls another one."""

    def __init__(self, progress: Callable[[Progress], object] | None) -> None:
        self.compiled: list[Kernel] = []
        self._names = {id(dispatcher): name for name, dispatcher in _jit.compiled.items()}
        self._progress = progress
        self._begun = time.perf_counter()
        self._started: list[float] = []
        self._inside: list[float] = []

    def on_start(self, compilation: Any) -> None:
        self._started.append(time.perf_counter())
        self._inside.append(0.0)
        self._tell(self._name(compilation), None)

    def on_end(self, compilation: Any) -> None:
        whole = time.perf_counter() - self._started.pop()
        inside = self._inside.pop()
        own, name = whole - inside, self._name(compilation)
        if self._inside:  # what numba compiles of its own counts for the kernel that asked for it
            self._inside[-1] += inside if name is None else whole
        if name is not None:
            self.compiled.append(Kernel(name, own, False))
            self._tell(name, self.compiled[-1])

    def _name(self, compilation: Any) -> str | None:
        return self._names.get(id(compilation.data["dispatcher"]))

    def _tell(self, name: str | None, kernel: Kernel | None) -> None:
        if name is None or self._progress is None:
            return
        ready = {name for name, dispatcher in _jit.compiled.items() if dispatcher.overloads}
        if kernel is not None:
            ready.add(name)
        seconds = time.perf_counter() - self._begun
        self._progress(Progress(name, len(ready), len(_jit.compiled), seconds, kernel))


def _loads() -> dict[str, int]:
    """How often each kernel was loaded from the cache."""
    stats = ((name, getattr(dispatcher, "stats", None)) for name, dispatcher in _jit.compiled.items())
    return {name: sum(found.cache_hits.values()) for name, found in stats if found is not None}


def _policies() -> list[AdlPolicy]:
    """Every value of every choice at least once, several at a time where they go together."""
    together = ("score", "allocation", "price", "split", "tiers")
    rows = zip_longest(*(CHOICES[choice] for choice in together))
    mixed: list[dict[str, Any]] = [
        {c: value for c, value in zip(together, row, strict=True) if value is not None} for row in rows
    ]
    others = [
        alone(choice, value)
        for choice, values in CHOICES.items()
        if choice not in together
        for value in values[1:]
    ]
    ties: dict[str, Any] = {"score": "size", "then": ["leverage", "newest"]}
    own = score(lambda c: c.profit)
    return [AdlPolicy.of(choices) for choices in (*mixed, *others, ties, {"score": own, "then": [own]})]


def _frames(number: Callable[[int], Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Cross and hedged accounts with up to three rows, bankrupt on either side; numbers as asked."""
    tiers = [
        {"min_notional": "0", "maintenance_rate": "0.01"},
        {"min_notional": "1000", "maintenance_rate": "0.02"},
    ]
    instruments = {
        "symbol": ["A", "B"],
        "kind": ["linear", "inverse"],
        "contract_size": ["1", "100"],
        "lot": ["0.1", "1"],
        "tiers": [tiers, tiers],
        "mark": ["100", "100"],
    }
    cash = {"a": 50, "b": 60, "c": 40, "d": 300, "e": 300, "f": 45, "g": 0}
    rows = [
        ("a", "A", 7, 100), ("a", "B", 3, 90), ("b", "A", 8, 100), ("b", "A", -2, 105), ("b", "B", 2, 100),
        ("c", "A", 20, 100), ("d", "A", -30, 101), ("d", "B", -2, 110), ("e", "A", -13, 99),
        ("e", "B", -4, 100), ("f", "A", 10, 95),
    ]  # fmt: skip
    account, symbol, qty, price = map(list, zip(*rows, strict=True))
    positions = {
        "account": [*account, "f"],
        "symbol": [*symbol, "B"],
        "qty": [number(lots) for lots in (*qty, 1)],
        "entry_price": [*map(number, price), None],
        "entry_value": [*[None] * len(price), number(-1)],
    }
    accounts = {"id": list(cash), "cash": [*map(number, cash.values())], "adl_tier": [0, 0, 0, 0, 1, 0, 0]}
    return instruments, accounts, positions


def _stand(book: Book) -> None:
    """What is told of all positions of a book of one tier, at an array of prices, and of one of them."""
    instruments, accounts, positions = book.to_frames()
    engine = Engine(Book.from_frames(instruments, accounts.drop("adl_tier"), positions), fund="9")
    engine.mark(engine.marks)
    engine.lights(), engine.percentiles(), engine.exposures()
    engine.distances(), engine.distances(ranking="present")
    engine.explain(*positions.select("account", "symbol").row(0))


def _press(book: Book) -> None:
    """The sums of a pressure curve."""
    engine = Engine(book)
    state, moves = engine._state, np.array([-0.5, 0.0])
    units = shocked_units(state, moves, np.ones(len(book.instruments)))
    sums(state, units, np.ones((len(book.instruments.currencies), len(moves))), by_notional=True)


def _wake(book: Book) -> None:
    """Marks that look at who wakes, of a book that trades between them."""
    engine = Engine(book, incremental=True)
    engine.mark({"A": "100", "B": "100"})
    engine.deposit({"account": ["d"], "amount_atoms": [1]})
    engine.mark({"A": "99"})


def _run(book: Book, policy: AdlPolicy) -> None:
    """A fall and a rise, with and without an order book; the stages by `tick` and one by one."""
    liquidity = Liquidity(depth={"A": "1.5", "B": "1"}, slippage="0.01", fee="0.001", surplus="fund")
    drawdown = None if policy.trigger == "drawdown" else "0.9"
    for fund, orders in ((Fund("7", max_drawdown=drawdown), liquidity), (Fund("0"), None)):
        engine = Engine(book, policy=policy, fund=fund, liquidity=orders)
        for price in ("90", "140", "100"):
            engine.tick({"A": price, "B": price})
        engine.rank("A", side="short")
        engine.equity(), engine.maintenance_margin(), engine.check()
    engine = Engine(book, policy=policy)
    engine.mark({"A": "90"})
    fills = {"account": ["c"], "symbol": ["A"], "side": ["long"], "qty": ["1"], "price": ["89"]}
    engine.settle(fills)
    engine.takeover()
    engine.deleverage()
