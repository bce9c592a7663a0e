"""The process that uses Ray, as the coordinator has it: told in the background, so that nothing waits."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from subprocess import Popen
from typing import IO, Any

from fastadl.cluster import child, join
from fastadl.cluster.join import BEAT, STOPPING, Cluster
from fastadl.errors import FastadlError
from fastadl.sharded.relay import PROGRAM, Heard, Order

__all__ = ["Speaking"]

_END = object()


class Speaking:
    """The process that uses Ray, connected.

    Parameters
    ----------
    address, shards, cores, threads
        As in `Order` and `Cluster`.

    Raises
    ------
    InputError
        If Ray is not installed, or if no cluster answers.
    """

    def __init__(self, address: str | None, shards: int, cores: int, threads: int | None) -> None:
        self._outgoing: SimpleQueue[Any] = SimpleQueue()
        self._heard: SimpleQueue[Any] = SimpleQueue()
        with ExitStack() as held:
            folder = held.enter_context(join.scratch())
            log = held.enter_context(tempfile.TemporaryFile())
            self._log: IO[bytes] = log
            self._cluster = Cluster(address, ("shards", "ray"), folder, join.PATIENCE)
            self._cluster.knock()
            self._process: Popen[bytes] = held.enter_context(join.driver(PROGRAM, log))
            assert self._process.stdout is not None
            child.listen(self._process.stdout, self._heard.put, lambda: self._heard.put(_END))
            self._thread = threading.Thread(target=self._say_all, daemon=True)
            self._thread.start()
            held.callback(self._say_no_more)
            self.tell([Order(self._cluster, shards, cores, threads)])
            self._wait()
            self._held = held.pop_all()

    def tell(self, messages: Iterable[Any]) -> None:
        """Have some said, all of them or none if this is interrupted."""
        self._outgoing.put(tuple(messages))

    def hear(self, timeout: float) -> Heard | None:
        """What it says next; None if nothing for so many seconds.

        Raises
        ------
        EOFError
            If it is no more.
        """
        try:
            found = self._heard.get(timeout=timeout)
        except Empty:
            return None
        if found is _END:
            raise EOFError
        return found

    def close(self) -> None:
        """Have it end."""
        self._held.close()

    def _wait(self) -> None:
        """Wait until it is connected."""
        while True:
            try:
                answer: Any = self._heard.get(timeout=BEAT)
            except Empty:
                continue
            if answer is _END:
                raise self._cluster.ended(self._process, self._log)
            if isinstance(answer, FastadlError):
                raise answer
            return

    def _say_all(self) -> None:
        """Say what there is to say until the end, or until nobody listens."""
        assert self._process.stdin is not None
        for messages in iter(self._outgoing.get, _END):
            try:
                for message in messages:
                    child.say(self._process.stdin, message)
            except OSError:
                return

    def _say_no_more(self) -> None:
        self._outgoing.put(_END)
        self._thread.join(STOPPING)
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join()
