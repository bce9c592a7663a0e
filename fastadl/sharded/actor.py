"""A shard in a process of its own."""

from __future__ import annotations

import os
import pickle
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from fastadl.book import Book
from fastadl.cluster.join import BEAT, check_version, line
from fastadl.errors import FastadlError, InputError
from fastadl.io.instruments import instrument_frame
from fastadl.kernels._cache import cache_directory
from fastadl.lock import Lock
from fastadl.policy import AdlPolicy
from fastadl.schema import Int64Array
from fastadl.sharded.keeping import Kept, read, write
from fastadl.sharded.packing import packed
from fastadl.sharded.rehearsal import rehearse
from fastadl.sharded.shard import Shard

__all__ = ["Actor", "Defect", "Facts", "Plan", "answer_of"]


class Plan(NamedTuple):
    """What a shard is made of.

    Attributes
    ----------
    origin : Kept or callable
        A file that holds its book and codes or, later, itself; or what gives these, called there.
    policy : AdlPolicy
    seal : path
        A file that the coordinator wrote.
    anew : bool
        Whether nothing like it may have run where it is made.
    """

    origin: Kept | Callable[[], tuple[Book, Int64Array] | Shard]
    policy: AdlPolicy
    seal: Path
    anew: bool


class Facts(NamedTuple):
    """What the coordinator learns of a shard that was begun.

    Attributes
    ----------
    process : int
    instruments : str
        A digest of them, with currencies and decimals.
    """

    process: int
    instruments: str


class Defect(NamedTuple):
    """An error that nobody foresaw, in one line and in full."""

    line: str
    trace: str


class Actor:
    """Keeps a shard, and does what it is told.

    Every answer is a pickle: of what a method gave, and of the error it raised or None.
    """

    def __init__(self) -> None:
        self._shard: Any = None

    def begin(self, version: str, plan: bytes, told: Sequence[bytes]) -> bytes:
        """Make the shard, and have it do again what it was told; `Facts`."""

        def made() -> Facts:
            check_version(version)
            self._shard = _made(pickle.loads(plan))
            for each in told:
                self._do(each)
            instruments = self._shard.state.instruments
            said = instrument_frame(instruments).write_json(), instruments.currencies, instruments.decimals
            digest = sha256(repr(said).encode()).hexdigest()
            return Facts(os.getpid(), digest)

        return _answer(made)

    def call(self, message: bytes) -> bytes:
        """Have the shard do something."""
        return _answer(lambda: self._do(message))

    def save(self, path: str) -> bytes:
        """Write a snapshot of the shard."""
        return _answer(lambda: write(Path(path), self._shard))

    def _do(self, message: bytes) -> Any:
        what, given = pickle.loads(message)
        return getattr(self._shard, what)(*given)


def answer_of(text: bytes) -> tuple[Any, FastadlError | Defect | None]:
    """What `Actor` answered, and the error if there was one."""
    return pickle.loads(text)


def _made(plan: Plan) -> Shard:
    origin = plan.origin
    if not plan.seal.exists():
        remedy = "give a folder that every node of the cluster reads and writes"
        raise InputError(("folder",), str(plan.seal.parent), remedy)
    found = read(origin) if isinstance(origin, Kept) else origin()
    if isinstance(found, Shard):
        return found
    book, codes = found
    if plan.anew:
        with _alone():
            rehearse(book, plan.policy)
    return Shard(book, plan.policy, codes)


def _answer(done: Callable[[], Any]) -> bytes:
    """An answer whatever happens: Ray would wrap an error that is raised."""
    try:
        return packed((done(), None))
    except Exception as error:
        if isinstance(error, FastadlError):
            with suppress(Exception):  # it holds what cannot be pickled
                return pickle.dumps((None, error), pickle.HIGHEST_PROTOCOL)
        kind, said = type(error).__name__, line(error)
        defect = Defect(kind if said == kind else f"{kind}: {said}", traceback.format_exc())
        return pickle.dumps((None, defect))


@contextmanager
def _alone() -> Iterator[None]:
    """Hold while kernels are compiled: the other shards of this machine then find them on disk."""
    folder, lock = cache_directory(), None
    while folder is not None and lock is None:
        try:
            lock = Lock(folder / "compiling", "cache")
        except InputError:
            time.sleep(BEAT / 4)
        except OSError:  # nothing can be written there either
            break
    try:
        yield
    finally:
        if lock is not None:
            lock.__exit__(None, None, None)
