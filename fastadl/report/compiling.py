"""Kernels being compiled, told while it lasts; and what a warm-up compiled or found in the cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from subprocess import DEVNULL, Popen
from time import perf_counter
from typing import Any

from numba.core.config import DISABLE_JIT
from rich.console import Console
from rich.status import Status
from rich.text import Text

from fastadl.compilation import Kernel, Progress, warmup, watching
from fastadl.kernels._cache import cache_directory
from fastadl.report.terminal import table

__all__ = ["Warmed", "compiling", "show", "warm"]

#: Seconds between two lines where there is no terminal.
_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Warmed:
    """What a warm-up took.

    Attributes
    ----------
    kernels : list of Kernel
    seconds : float
        From beginning to end, loading and running the kernels included.
    cache : str or None
        Folder of compiled kernels.
    helped : bool
        Whether a second process compiled for the cache at the same time.
    """

    kernels: list[Kernel]
    seconds: float
    cache: str | None
    helped: bool

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        fresh = [kernel.seconds for kernel in self.kernels if not kernel.cached]
        return {
            "kernels": [asdict(kernel) for kernel in self.kernels],
            "cached": len(self.kernels) - len(fresh),
            "compiled": len(fresh),
            "seconds_compiling": sum(fresh),
            "seconds": self.seconds,
            "cache": self.cache,
        }


def warm(console: Console) -> Warmed | None:
    """Compile or load every kernel, and say on `console` how far it has come; None if interrupted."""
    start = perf_counter()
    compiled: list[Kernel] = []
    try:
        with _helper() as helped, compiling(console, done=compiled.append, of_all=True):
            kernels = warmup()
    except KeyboardInterrupt:
        kept = "are kept, the next warmup goes on from there" if _cache() else "are lost, there is no cache"
        line = f"fastadl: interrupted; the {len(compiled)} kernels compiled so far {kept}"
        console.print(Text(line), soft_wrap=True)
        return None
    return Warmed(kernels, perf_counter() - start, _cache(), helped)


@contextmanager
def _helper() -> Iterator[bool]:
    """A second process that compiles from the other end, if there is a core for it and a cache to meet in."""
    folder = cache_directory()
    if folder is None or not os.access(folder, os.W_OK) or DISABLE_JIT or _cores() < 2:
        yield False
        return
    call = "from fastadl.compilation import compile_backwards; compile_backwards()"
    with Popen([sys.executable, "-c", call], stdout=DEVNULL, stderr=DEVNULL) as other:
        try:
            yield True
        finally:
            other.kill()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def show(warmed: Warmed, console: Console) -> None:
    """Print what was compiled, what came from the cache, and where that is."""
    found = warmed.to_dict()
    entries = [
        {"kernel": k.name, "seconds": round(k.seconds, 2), "from": "cache" if k.cached else "compiler"}
        for k in warmed.kernels
    ]
    if entries:
        columns = [(name, lambda entry, name=name: entry[name]) for name in entries[0]]
        console.print(table("Kernels", columns, entries))
    where = f"cache: {warmed.cache}" if warmed.cache else "no cache: nothing is kept for the next process"
    took = f"{found['compiled']} compiled in {found['seconds_compiling']:.1f} s"
    if warmed.helped and found["compiled"]:
        took += ", while a second process compiled others for the cache"
    console.print(Text(f"{where}\n{found['cached']} kernels from the cache, {took}"), soft_wrap=True)


@contextmanager
def compiling(
    console: Console,
    say: Callable[[str], object] | None = None,
    *,
    done: Callable[[Kernel], object] | None = None,
    of_all: bool = False,
) -> Iterator[None]:
    """Say which kernels are compiled within the block, if any.

    Parameters
    ----------
    console : Console
        A terminal shows one line that changes; anything else gets a line every few seconds.
    say : callable, optional
        Takes the line that changes in place of the terminal.
    done : callable, optional
        Told of every kernel that is ready.
    of_all : bool
        Whether all kernels are going to be compiled, so that their number says how much is left.
    """
    status = Status("", console=console)
    spoken = float("-inf")
    count = 0

    def tell(progress: Progress) -> None:
        nonlocal spoken, count
        if progress.kernel is not None:
            count += 1
            if done is not None:
                done(progress.kernel)
            return
        far = f"{progress.done} of {progress.total} ready" if of_all else f"{count} compiled"
        line = f"compiling kernels (once per version): {far}, {progress.seconds:.0f} s, {progress.name}"
        if say is not None:
            say(line)
        elif console.is_terminal:
            status.update(line)
            status.start()
        elif progress.seconds - spoken >= _EVERY:
            spoken = progress.seconds
            console.print(Text(f"fastadl: {line}"), soft_wrap=True)

    try:
        with watching(tell):
            yield
    finally:
        status.stop()


def _cache() -> str | None:
    folder = cache_directory()
    return None if folder is None else str(folder)
