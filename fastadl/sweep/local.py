"""Performs trials on this machine: in this process, or in one process for each core."""

from __future__ import annotations

import pickle
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from fastadl.engine.settings import running_on
from fastadl.errors import InputError
from fastadl.sweep.capacity import at_a_time
from fastadl.sweep.executor import ATTEMPTS, Found, Lost, Shelf, Trial, Work
from fastadl.sweep.worker import EndedError, Worker

__all__ = ["Local"]

#: Seconds between looks for Ctrl-C.
_BEAT = 0.2


class Local:
    """Processes of this machine, each on one thread: trials keep all cores busy.

    Parameters
    ----------
    workers : int, optional
        One for each core unless given, or as many as memory allows; a single one runs in this process.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers

    def run(self, work: Work, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Found]]:
        """Give what comes of each trial, as `Executor.run` says."""
        count = at_a_time(self._workers, work, len(trials))
        if count > 1:
            yield from _Crew(work, trials, count).results()
            return
        shelf = Shelf(work)
        for trial in trials:
            with running_on(1):
                found = shelf.attempt(trial)
            yield trial, found


class _Crew:
    """Worker processes, each minded by a thread of this one.

    Parameters
    ----------
    work : Work
    trials : sequence of Trial
    count : int
    """

    def __init__(self, work: Work, trials: Sequence[Trial], count: int) -> None:
        self._work = pickle.dumps(work)
        self._left = deque(trials)
        self._count = count
        self._found: SimpleQueue[tuple[Trial, Found] | BaseException] = SimpleQueue()
        self._turn = threading.Lock()
        self._workers: set[Worker] = set()
        self._over = False

    def results(self) -> Iterator[tuple[Trial, Found]]:
        """What comes of each trial; the processes live as long as this iterator."""
        awaited = len(self._left)
        threads = [threading.Thread(target=self._mind, daemon=True) for _ in range(self._count)]
        try:
            for thread in threads:
                thread.start()
            for _ in range(awaited):
                found = self._next_found()
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _next_found(self) -> tuple[Trial, Found] | BaseException:
        """Waits by turns: polars lets no Ctrl-C interrupt a wait."""
        while True:
            with suppress(Empty):
                return self._found.get(timeout=_BEAT)

    def _stop(self) -> None:
        with self._turn:
            self._over = True
            self._left.clear()
            for worker in self._workers:
                worker.kill()

    def _mind(self) -> None:
        """Have one trial after another performed by a worker, and by another one if it is killed."""
        worker: Worker | None = None
        try:
            while (trial := self._next()) is not None:
                worker, found = self._perform(worker, trial)
                self._found.put((trial, found))
        except BaseException as error:
            self._found.put(error)
        finally:
            self._end(worker)

    def _next(self) -> Trial | None:
        with self._turn:
            return self._left.popleft() if self._left else None

    def _perform(self, worker: Worker | None, trial: Trial) -> tuple[Worker | None, Found]:
        why = ""
        for _ in range(ATTEMPTS):
            worker = worker or self._start()
            try:
                return worker, worker.perform(trial)
            except EndedError as error:
                self._end(worker)
                worker, why = None, str(error)
                if self._over:
                    break
        return None, Lost(f"{why}, {ATTEMPTS} times")

    def _start(self) -> Worker:
        """A worker that is ready."""
        why = ""
        for _ in range(ATTEMPTS):
            with self._turn:
                if self._over:
                    break
                try:
                    worker = Worker(self._work)
                except OSError as error:
                    why = error.strerror or str(error)
                    break
                self._workers.add(worker)
            try:
                worker.begin()
            except EndedError as error:
                self._end(worker)
                why = str(error)
            else:
                return worker
        raise InputError(("workers",), why, "give 1, which is this process itself")

    def _end(self, worker: Worker | None) -> None:
        if worker is None:
            return
        with self._turn:
            self._workers.discard(worker)
        worker.close()
