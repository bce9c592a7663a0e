"""Performs trials on a Ray cluster: one that lives as long as the sweep, or one that is there already.

Ray is used by a process of its own. In this one it would write to standard output, take over signals, wait
minutes for a cluster that is not there, and end everything when it loses one.
"""

from __future__ import annotations

import os
import pickle
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import fastadl
from fastadl.errors import FastadlError, InputError
from fastadl.sweep import child
from fastadl.sweep.capacity import at_a_time
from fastadl.sweep.executor import ATTEMPTS, Found, Lost, Trial, Work
from fastadl.sweep.worker import ALONE

if TYPE_CHECKING:
    from fastadl.book import Book

__all__ = ["Ray", "serve"]

_PROGRAM = "from fastadl.sweep.on_ray import serve; serve()"

#: Seconds in which a running cluster answers, in which Ray lets go, and between looks for Ctrl-C.
_PATIENCE, _STOPPING, _BEAT = 8.0, 30.0, 0.2

#: Status of the process if no cluster answers; and what is heard last of any process.
_NO_ANSWER, _END = 3, object()

#: The longest folder in which the names of Ray's sockets are short enough, and one that always is.
_LONGEST, _SHORT = 24, "/tmp"


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
        else:
            _knock(self._address)
        with _folder() as folder, tempfile.TemporaryFile() as log, _driver(log) as driver:
            _send(driver, _Order(work, tuple(trials), workers, self._address, folder, _PATIENCE))
            for answer in _answers(driver):
                if answer is None:
                    return
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
            raise self._ended(driver, log)

    def _ended(self, driver: subprocess.Popen[bytes], log: IO[bytes]) -> InputError:
        """Why the process that uses Ray is no more."""
        if driver.wait() != _NO_ANSWER:
            return _no_cluster(self._address, "it is gone")
        log.seek(0)
        token = b"Unauthenticated" in log.read()
        why = "it wants its token, sent with RAY_AUTH_MODE=token" if token else "nothing there speaks Ray"
        return _no_cluster(self._address, why)


class _Order(NamedTuple):
    """What the process that uses Ray is told."""

    work: Work
    trials: tuple[Trial, ...]
    workers: int | None
    address: str | None
    folder: str
    patience: float


def _knock(address: str) -> None:
    """Refuse an address where nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return  # Ray may know what it means, or says that it does not
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str | None, why: str) -> InputError:
    where = ("executor", "ray") if address is None else ("address", address)
    return InputError(where[:1], where[1], f"no Ray cluster to work with: {why}")


def _folder() -> tempfile.TemporaryDirectory[str]:
    """For what Ray keeps while it runs; gone afterwards, also if the process that uses Ray is killed."""
    short = _SHORT if os.name == "posix" and len(tempfile.gettempdir()) > _LONGEST else None
    return tempfile.TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True)


@contextmanager
def _driver(log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The process that uses Ray; it ends when its standard input does."""
    process = child.start(_PROGRAM, log=log)
    try:
        yield process
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # what could not be sent any more
            process.stdin.close()
        try:
            process.wait(_STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _send(driver: subprocess.Popen[bytes], order: _Order) -> None:
    assert driver.stdin is not None
    with suppress(OSError):  # it has ended, which shows when it is asked for an answer
        child.say(driver.stdin, order)


def _answers(driver: subprocess.Popen[bytes]) -> Iterator[Any]:
    """What it says, as long as it does.

    Waits by turns: polars lets no Ctrl-C interrupt a wait.
    """
    assert driver.stdout is not None
    heard: SimpleQueue[Any] = SimpleQueue()
    child.listen(driver.stdout, heard.put, lambda: heard.put(_END))
    while True:
        try:
            answer = heard.get(timeout=_BEAT)
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
    if order.address is None and "RAY_AUTH_MODE" not in os.environ:  # or Ray leaves a token with the user
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        remedy = f'Ray cannot be used ({error}): pip install "fastadl[ray]" brings it'
        raise InputError(("executor",), "ray", remedy) from None
    with _cluster(ray, order):
        cores = int(ray.cluster_resources().get("CPU", 1))
        # as many again wait at the cluster, so that no core does
        room = 2 * cores if order.address is None or order.workers is None else order.workers
        yield from _Tasks(ray, order).results(max(1, room), gone)


@contextmanager
def _cluster(ray: Any, order: _Order) -> Iterator[None]:
    """Be connected to a cluster."""
    with ExitStack() as held:
        if order.address is None:
            address = "local"
            options: dict[str, Any] = {"num_cpus": order.workers, "include_dashboard": False}
            options["_temp_dir"] = order.folder
            held.callback(shutil.rmtree, order.folder, ignore_errors=True)  # if whoever made it was killed
        else:
            address, options = order.address, {}
        held.callback(ray.shutdown)
        late = threading.Timer(order.patience, os._exit, [_NO_ANSWER])
        if order.address is not None:
            late.start()
        try:
            environment = {"env_vars": ALONE}
            ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="error", **options)
        except Exception as error:
            raise _no_cluster(order.address, _line(error)) from None
        finally:
            late.cancel()
        yield


class _Tasks:
    """Trials as tasks of the cluster this process is connected to."""

    def __init__(self, ray: Any, order: _Order) -> None:
        self._ray, self._work, self._address = ray, order.work, order.address
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
            for task in self._ray.wait(list(begun), timeout=_BEAT)[0]:
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
            raise self._unable(ended)
        if times < ATTEMPTS:
            return None
        why = "its worker was ended for want of memory" if memory else "its worker was killed"
        return Lost(f"{why}, {ATTEMPTS} times")

    def _unable(self, error: BaseException) -> InputError:
        """A worker that did not come as far as the trial."""
        said = _line(error).rpartition("Error: ")[2]
        why = f"every node needs fastadl {fastadl.__version__}, as here, but there: {said}"
        return _no_cluster(self._address, why)

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


def _line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


# ---------------------------------------------------------------------- in the workers of the cluster


def _attempt(
    work: Work, version: str, trial: Trial, book: Book | FastadlError | None
) -> Found | FastadlError:
    """A trial. What stops the sweep is given back, since Ray would wrap what is raised."""
    if isinstance(book, FastadlError):
        return book
    try:
        _check(version)
        return work.attempt(trial, book)
    except FastadlError as error:
        return error


def _draw(work: Work, version: str, trial: Trial) -> Book | FastadlError:
    """The book of a trial."""
    try:
        _check(version)
        return work.draw(trial)
    except FastadlError as error:
        return error


def _check(version: str) -> None:
    """Refuse a node that might give other results."""
    if fastadl.__version__ != version:
        found = f"a node with fastadl {fastadl.__version__}"
        raise InputError(("address",), found, f"install fastadl {version} there, as here")
