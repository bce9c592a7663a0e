"""A Python process of one's own, told and answering in pickles on its standard input and output.

It is no `multiprocessing.Process`, which would run the user's own script again to begin with.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

__all__ = ["begin", "listen", "say", "start"]


def start(
    program: str, *, environment: Mapping[str, str] | None = None, log: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that imports what this one does; it shall end when its standard input does.

    Parameters
    ----------
    program : str
        Its text; it calls `begin`.
    environment : mapping of str to str, optional
        On top of that of this process.
    log : file, optional
        Takes what it writes to standard error, and prints.
    """
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, **(environment or {}), "PYTHONPATH": paths},
        start_new_session=True,  # a terminal's Ctrl-C is for this process alone, which then ends that one
    )


def begin() -> tuple[IO[bytes], IO[bytes]]:
    """In the process that was started: where it is told, and where it answers."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return source, sink


def say(stream: IO[bytes], message: Any) -> None:
    """Send a message.

    Raises
    ------
    OSError
        If nobody listens any more.
    """
    pickle.dump(message, stream)
    stream.flush()


def listen(stream: IO[bytes], hear: Callable[[Any], object], ended: Callable[[], object]) -> None:
    """Have every message heard that comes, by a thread, and be told when no more can come."""

    def hear_all() -> None:
        try:
            with suppress(OSError, EOFError, ValueError, pickle.UnpicklingError):
                while True:
                    hear(pickle.load(stream))
        finally:
            ended()

    threading.Thread(target=hear_all, daemon=True).start()
