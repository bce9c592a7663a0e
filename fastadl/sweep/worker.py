"""A process that performs trials: they come in on its standard input, results go out on its output."""

from __future__ import annotations

import os
import pickle
import signal
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

from fastadl.cluster import child
from fastadl.sweep.executor import Found, Shelf, Trial, Work

__all__ = ["ALONE", "EndedError", "Worker", "serve"]

#: One thread each: trials keep all cores busy, and threads would only wait for each other.
ALONE = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
_PROGRAM = "from fastadl.sweep.worker import serve; serve()"


class EndedError(Exception):
    """The process is gone."""


class Worker:
    """The end of a worker process that is in this one.

    Parameters
    ----------
    work : bytes
        The pickled `Work`.
    """

    def __init__(self, work: bytes) -> None:
        self._process = child.start(_PROGRAM, environment=ALONE)
        self._work = work

    def begin(self) -> None:
        """Wait until it is ready.

        Raises
        ------
        EndedError
            Saying how it ended instead.
        """
        self._send(self._work)
        self._receive()

    def perform(self, trial: Trial) -> Found:
        """Have a trial performed.

        Raises
        ------
        EndedError
            Saying how it ended instead.
        InputError
            As `Work.attempt` does.
        """
        self._send(pickle.dumps(trial))
        found = self._receive()
        if isinstance(found, BaseException):
            raise found
        return found

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the process to be gone."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):  # what could not be sent any more
                stream.close()
        self._process.wait()

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._ended() from None

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            raise self._ended() from None

    def _ended(self) -> EndedError:
        """How it ended; what is left of a message then is of no use."""
        self.kill()
        code = self._process.wait()
        if code >= 0:
            return EndedError(f"its process ended with status {code}")
        try:
            return EndedError(f"its process was ended by {signal.Signals(-code).name}")
        except ValueError:
            return EndedError(f"its process was ended by signal {-code}")


def serve() -> None:
    """Perform what comes in on standard input, and end when that does, even amid a trial."""
    source, sink = child.begin()
    try:
        work: Work = pickle.load(source)
    except EOFError:
        return
    _answer(sink, None)
    trials: SimpleQueue[Trial] = SimpleQueue()
    child.listen(source, trials.put, _leave)
    shelf = Shelf(work)
    while True:
        trial = trials.get()
        try:
            found: Any = shelf.attempt(trial)
        except Exception as error:
            found = error
        _answer(sink, found)


def _answer(sink: IO[bytes], found: Any) -> None:
    try:
        child.say(sink, found)
    except OSError:
        _leave()


def _leave() -> None:
    """Whoever asked is gone, and nobody waits for what is being done."""
    os._exit(0)
