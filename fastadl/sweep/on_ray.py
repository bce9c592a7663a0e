"""Performs trials on a Ray cluster: one that lives as long as the sweep, or one that is there already."""

from __future__ import annotations

import pickle
import subprocess
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

import fastadl
from fastadl.cluster import child, join
from fastadl.cluster.join import BEAT, Cluster, check_version
from fastadl.errors import FastadlError
from fastadl.sweep.capacity import at_a_time
from fastadl.sweep.executor import ATTEMPTS, Found, Lost, Trial, Work
from fastadl.sweep.worker import ALONE

if TYPE_CHECKING:
    from fastadl.book import Book

__all__ = ["Ray", "serve"]

_PROGRAM = "from fastadl.sweep.on_ray import serve; serve()"

#: What is heard last of any process.
_END = object()


class Ray:
    """Tasks of a Ray cluster, each with one core and one thread; every node has one copy of a shared book.

    Parameters
    ----------
    workers : int, optional
        How many trials run at a time: one for each core of the cluster unless given, and on this machine as
        many as memory allows.
    address : str, optional
        Of a running cluster, ``host:port``, ``ray://host:port`` or ``auto``, which is left running. Unless
        given, one is started on this machine, and stopped.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        self._workers, self._address = workers, address

    def run(self, work: Work, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Found]]:
        """Give what comes of each trial, as `Executor.run` says.

        Raises
        ------
        InputError
            If Ray is not installed, if no cluster answers, if it cannot do the work, or if it is gone.
        MemoryLimitError
            If more workers are wanted on this machine than memory allows.
        """
        if not trials:
            return
        workers = self._workers
        if self._address is None:
            workers = at_a_time(workers, work, len(trials))
        with join.scratch() as folder, tempfile.TemporaryFile() as log:
            cluster = Cluster(self._address, ("executor", "ray"), folder, join.PATIENCE)
            cluster.knock()
            with join.driver(_PROGRAM, log) as driver:
                _send(driver, _Order(work, tuple(trials), workers, cluster))
                for answer in _answers(driver):
                    if answer is None:
                        return
                    if isinstance(answer, BaseException):
                        raise answer
                    yield answer
                raise cluster.ended(driver, log)


class _Order(NamedTuple):
    """What the process that uses Ray is told."""

    work: Work
    trials: tuple[Trial, ...]
    workers: int | None
    cluster: Cluster


def _send(driver: subprocess.Popen[bytes], order: _Order) -> None:
    assert driver.stdin is not None
    with suppress(OSError):  # it has ended, which shows when it is asked for an answer
        child.say(driver.stdin, order)


def _answers(driver: subprocess.Popen[bytes]) -> Iterator[Any]:
    """What it says, as long as it does."""
    assert driver.stdout is not None
    heard: SimpleQueue[Any] = SimpleQueue()
    child.listen(driver.stdout, heard.put, lambda: heard.put(_END))
    while True:
        try:
            answer = heard.get(timeout=BEAT)
        except Empty:
            continue
        if answer is _END:
            return
        yield answer


# ---------------------------------------------------------------------- in the process that uses Ray


def serve() -> None:
    """Perform the order on standard input; what comes of trials, or an error, goes out on standard output."""
    source, sink = child.begin()
    try:
        order: _Order = pickle.load(source)
    except EOFError:
        return
    gone = threading.Event()
    child.listen(source, lambda _: None, gone.set)
    try:
        for found in _performed(order, gone):
            child.say(sink, found)
        child.say(sink, None)
    except FastadlError as error:
        child.say(sink, error)
    except OSError:  # nobody listens any more
        pass


def _performed(order: _Order, gone: threading.Event) -> Iterator[tuple[Trial, Found]]:
    cluster = order.cluster
    ray = cluster.imported()
    with cluster.joined(ray, order.workers, ALONE):
        cores = int(ray.cluster_resources().get("CPU", 1))
        # as many again wait at the cluster, so that no core does
        room = 2 * cores if cluster.address is None or order.workers is None else order.workers
        yield from _Tasks(ray, order).results(max(1, room), gone)


class _Tasks:
    """Trials as tasks of the cluster this process is connected to."""

    def __init__(self, ray: Any, order: _Order) -> None:
        self._ray, self._work, self._cluster = ray, order.work, order.cluster
        self._left = deque((trial, 1) for trial in order.trials)
        self._wanted = Counter(map(order.work.book_key, order.trials))
        self._there = ray.put(order.work)
        self._books: dict[Hashable, Any] = {}
        self._draw = ray.remote(max_retries=ATTEMPTS - 1)(_draw)
        self._attempt = ray.remote(max_retries=0)(_attempt)

    def results(self, room: int, gone: threading.Event) -> Iterator[tuple[Trial, Found]]:
        """What comes of each trial, at most `room` of them begun at a time, until nobody waits for it."""
        begun: dict[Any, tuple[Trial, int]] = {}
        while (self._left or begun) and not gone.is_set():
            while self._left and len(begun) < room:
                trial, times = self._left.popleft()
                task = self._attempt.remote(self._there, fastadl.__version__, trial, self._book(trial))
                begun[task] = trial, times
            for task in self._ray.wait(list(begun), timeout=BEAT)[0]:
                trial, times = begun.pop(task)
                found = self._found(task, times)
                if found is None:
                    self._left.appendleft((trial, times + 1))
                else:
                    self._forget(trial)
                    yield trial, found

    def _found(self, task: Any, times: int) -> Found | None:
        """What came of a task; None if its worker was killed and it is worth another attempt."""
        errors = self._ray.exceptions
        try:
            found = self._ray.get(task)
        except errors.RayError as error:
            ended = error.cause if isinstance(error, errors.RayTaskError) else error
        else:
            if isinstance(found, FastadlError):
                raise found
            return found
        memory = isinstance(ended, errors.OutOfMemoryError)
        killed = (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError)
        if not memory and not isinstance(ended, killed):
            raise self._cluster.unable(ended)
        if times < ATTEMPTS:
            return None
        why = "its worker was ended for want of memory" if memory else "its worker was killed"
        return Lost(f"{why}, {ATTEMPTS} times")

    def _book(self, trial: Trial) -> Any:
        """Where the book of a trial is, or will be; None if it draws its own."""
        key = self._work.book_key(trial)
        if key is not None and key not in self._books:
            self._books[key] = self._draw.remote(self._there, fastadl.__version__, trial)
        return self._books.get(key)

    def _forget(self, trial: Trial) -> None:
        """The trial is done; nobody keeps a book that no other one needs."""
        key = self._work.book_key(trial)
        self._wanted[key] -= 1
        if not self._wanted[key]:
            self._books.pop(key, None)


# ---------------------------------------------------------------------- in the workers of the cluster


def _attempt(
    work: Work, version: str, trial: Trial, book: Book | FastadlError | None
) -> Found | FastadlError:
    """A trial. What stops the sweep is given back, since Ray would wrap what is raised."""
    if isinstance(book, FastadlError):
        return book
    try:
        check_version(version)
        return work.attempt(trial, book)
    except FastadlError as error:
        return error


def _draw(work: Work, version: str, trial: Trial) -> Book | FastadlError:
    """The book of a trial."""
    try:
        check_version(version)
        return work.draw(trial)
    except FastadlError as error:
        return error
