"""Trials whose doings a test asks for; workers of a cluster import them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fastadl import synth
from fastadl.book import Book
from fastadl.errors import InputError
from fastadl.sweep import Trial


@dataclass(frozen=True)
class Scripted:
    """Trials that do what their seed says; what is done is noted in a folder."""

    folder: Path
    shared: bool = False

    def attempt(self, trial: Trial, book: Book | None = None) -> pl.DataFrame:
        with (self.folder / f"trial-{trial.seed}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        getattr(self, f"seed_{trial.seed}", lambda _: None)(book)
        names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS")
        return pl.DataFrame({name: os.environ.get(name) for name in names})

    def times(self, seed: int) -> int:
        """How often a trial was begun."""
        return len((self.folder / f"trial-{seed}").read_text().split())

    def seed_100(self, book: Book | None) -> None:
        if self.times(100) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def seed_101(self, book: Book | None) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def seed_102(self, book: Book | None) -> None:
        raise InputError(("fund",), "seventy", "give a number")

    def seed_103(self, book: Book | None) -> None:
        time.sleep(600)

    def seed_105(self, book: Book | None) -> None:
        """Fails unless it runs alone."""
        running = self.folder / "running"
        running.touch(exist_ok=False)
        time.sleep(2)  # in which another worker could have begun
        running.unlink()

    def seed_106(self, book: Book | None) -> None:
        raise RuntimeError("no such thing")

    def seed_104(self, book: Book | None) -> None:
        """Every column is a view of the memory that all workers of the node have in common."""
        assert book is not None
        for column in (book.rows.lots, book.slot, book.rank):
            start, shared = column.__array_interface__["data"][0], False
            for line in Path("/proc/self/maps").read_text().splitlines():
                low, high = (int(end, 16) for end in line.split()[0].split("-"))
                shared |= low <= start and start + column.nbytes <= high and " rw-s " in line
            assert shared
            assert not column.flags.writeable

    def book_key(self, trial: Trial) -> int | None:
        return 1 if self.shared else None

    def draw(self, trial: Trial) -> Book:
        with (self.folder / "drawn").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return synth.book("pareto", positions=100_000, accounts=40_000, instruments=2, seed=1)
