"""A Ray cluster on this machine, for several who use it one after another."""

from __future__ import annotations

import os
import pickle
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

from fastadl.cluster import child, join
from fastadl.cluster.join import BEAT, Cluster
from fastadl.errors import FastadlError

__all__ = ["serve", "started"]

_PROGRAM = "from fastadl.cluster.local import serve; serve()"
_END = object()


@contextmanager
def started(asked: tuple[str, str], cores: int, store: int) -> Iterator[str]:
    """Have a cluster for the time of the block.

    Parameters
    ----------
    asked : tuple of str
        Argument and value by which Ray was asked for.
    cores : int
    store : int
        Bytes of shared memory.

    Yields
    ------
    str
        Its address, for processes that have the environment of this one.

    Raises
    ------
    InputError
        If Ray is not installed, or does not start.
    """
    with ExitStack() as held:
        folder = held.enter_context(join.scratch())
        log = held.enter_context(tempfile.TemporaryFile())
        held.enter_context(_token())
        cluster, heard = Cluster(None, asked, folder, join.PATIENCE), SimpleQueue[Any]()
        process = held.enter_context(join.driver(_PROGRAM, log))
        assert process.stdin is not None
        assert process.stdout is not None
        child.listen(process.stdout, heard.put, lambda: heard.put(_END))
        with suppress(OSError):  # it has ended, which is heard
            child.say(process.stdin, (cluster, cores, store))
        answer = _next(heard)
        if answer is _END:
            raise cluster.ended(process, log)
        if isinstance(answer, FastadlError):
            raise answer
        yield answer


def serve() -> None:
    """Keep a cluster until standard input ends."""
    source, sink = child.begin()
    with suppress(OSError, EOFError):  # nobody listens any more
        cluster, cores, store = pickle.load(source)
        try:
            ray = cluster.imported()
            with cluster.joined(ray, cores, {}, object_store_memory=store):
                child.say(sink, ray.get_runtime_context().gcs_address)
                source.read()
        except FastadlError as error:
            child.say(sink, error)


@contextmanager
def _token() -> Iterator[None]:
    """Have a token in the environment that nobody else has, unless there is one."""
    if "RAY_AUTH_MODE" in os.environ:
        yield
        return
    mine = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    before = os.environ.get("RAY_AUTH_TOKEN")
    os.environ |= mine
    try:
        yield
    finally:
        for name in mine:
            del os.environ[name]
        if before is not None:
            os.environ["RAY_AUTH_TOKEN"] = before


def _next(heard: SimpleQueue[Any]) -> Any:
    while True:
        with suppress(Empty):
            return heard.get(timeout=BEAT)
