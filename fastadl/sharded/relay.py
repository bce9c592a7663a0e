"""The process that uses Ray for a coordinator, and the shards it starts.

The coordinator decides; here is only passed on what it says and what shards answer.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import IO, Any, NamedTuple

from fastadl.cluster import child
from fastadl.cluster.join import Cluster
from fastadl.errors import FastadlError
from fastadl.sharded.actor import Actor

__all__ = ["PROGRAM", "STORE", "Begin", "Call", "End", "Gone", "Heard", "Order", "serve"]

PROGRAM = "from fastadl.sharded.relay import serve; serve()"

#: Bytes of shared memory of a cluster that is started: nothing but messages passes through it.
STORE = 1 << 28


class Order(NamedTuple):
    """What the process is told first.

    Attributes
    ----------
    cluster : Cluster
    shards : int
    cores : int
        Of this machine.
    threads : int, optional
        Of each shard; together they use all cores unless given.
    """

    cluster: Cluster
    shards: int
    cores: int
    threads: int | None


class Begin(NamedTuple):
    """Start a shard, the last one of this number being given up, and have it do what `Actor.begin` says."""

    shard: int
    epoch: int
    number: int
    given: tuple[Any, ...]


class Call(NamedTuple):
    """Call a method of `Actor`."""

    shard: int
    epoch: int
    number: int
    what: str
    given: bytes | str


class End(NamedTuple):
    """Give up a shard, whatever it does."""

    shard: int


class Gone(NamedTuple):
    """A shard that is no more."""

    why: str


class Heard(NamedTuple):
    """What came of a message: what the actor answered, or why it does not."""

    shard: int
    epoch: int
    number: int
    answer: bytes | Gone | FastadlError


def serve() -> None:
    """Do what comes in on standard input until that ends."""
    source, sink = child.begin()
    try:
        order: Order = pickle.load(source)
    except EOFError:
        return
    with suppress(OSError):  # nobody listens any more
        try:
            ray = order.cluster.imported()
            known = order.cluster.address is None
            alike = _environment(order.threads or order.cores // order.shards) if known else {}
            with order.cluster.joined(ray, order.shards, alike, object_store_memory=STORE):
                relay = _Relay(ray, order, sink)
                child.say(sink, None)
                with suppress(EOFError):
                    while True:
                        relay.do(pickle.load(source))
        except FastadlError as error:
            child.say(sink, error)


def room(cores: Sequence[float], shards: int) -> float:
    """Cores that each of some shards can have on nodes of so many, in thousandths; 1 where nobody has any."""
    nodes = [int(1000 * each) for each in cores]
    shares = {each // k for each in nodes for k in range(1, shards + 1)} - {0}
    enough = (each for each in shares if sum(node // each for node in nodes) >= shards)
    return max(enough, default=1000) / 1000


def _environment(threads: int) -> dict[str, str]:
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(max(1, threads)))


class _Relay:
    """Shards as actors of the cluster this process is connected to."""

    def __init__(self, ray: Any, order: Order, sink: IO[bytes]) -> None:
        self._ray, self._cluster, self._sink = ray, order.cluster, sink
        self._actors: dict[int, tuple[int, Any]] = {}
        self._turn = threading.Lock()
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        if order.cluster.address is not None:
            cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
            most = room(cores, order.shards)
            threads = order.threads or max(1, int(most))
            options["runtime_env"] = {"env_vars": _environment(threads)}
            options["num_cpus"] = min(threads, most)
        self._actor = ray.remote(**options)(Actor)
        self._begun: set[int] = set()

    def do(self, told: Begin | Call | End) -> None:
        if isinstance(told, End):
            self._end(told.shard)
            return
        if isinstance(told, Begin):
            self._end(told.shard)
            again = {"num_cpus": 0} if told.shard in self._begun else {}  # where others have taken all cores
            actor = self._actor.options(**again).remote()
            self._begun.add(told.shard)
            self._actors[told.shard] = told.epoch, actor
            self._pass_on(told, actor.begin.remote(*told.given))
            return
        epoch, actor = self._actors.get(told.shard, (-1, None))
        if epoch != told.epoch:
            self._say(told, Gone("it was given up"))
        else:
            self._pass_on(told, getattr(actor, told.what).remote(told.given))

    def _end(self, shard: int) -> None:
        _, actor = self._actors.pop(shard, (-1, None))
        if actor is not None:
            with suppress(self._ray.exceptions.RayError):  # it is no more
                self._ray.kill(actor)

    def _pass_on(self, told: Begin | Call, reference: Any) -> None:
        """Have the answer told when it comes."""
        reference.future().add_done_callback(partial(self._heard, told))

    def _heard(self, told: Begin | Call, found: Future[bytes]) -> None:
        try:
            answer: bytes | Gone | FastadlError = found.result()
        except Exception as error:
            answer = self._why(error)
        self._say(told, answer)

    def _say(self, told: Begin | Call, answer: bytes | Gone | FastadlError) -> None:
        with self._turn, suppress(OSError):  # nobody listens any more
            child.say(self._sink, Heard(told.shard, told.epoch, told.number, answer))

    def _why(self, error: Exception) -> Gone | FastadlError:
        """Why there is no answer."""
        errors = self._ray.exceptions
        died = errors.RayActorError, errors.OutOfMemoryError, errors.NodeDiedError, errors.ObjectLostError
        if not isinstance(error, died) or getattr(error, "actor_init_failed", False):
            return self._cluster.unable(error)
        memory = isinstance(error, errors.OutOfMemoryError)
        return Gone("for want of memory" if memory else "its process is no more")
