"""Shards as actors of a Ray cluster; one that is lost is made again, from its snapshot and what it was told.

Ray is used by a process of its own (`fastadl.cluster.join` says why), which passes messages on. What happens
is decided here: what shards were told is noted before it is sent, and a commit or rollback is done as soon as
it is noted. So none of the two can fail, or wait for a shard: one that has not heard of it is told when it is
made again.
"""

from __future__ import annotations

import itertools
import os
import pickle
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import fastadl
from fastadl.cluster.join import BEAT
from fastadl.errors import FastadlError, InputError, LateError, ShardError
from fastadl.policy import AdlPolicy
from fastadl.sharded.actor import Defect, Facts, Plan, answer_of
from fastadl.sharded.keeping import Kept, discard, write
from fastadl.sharded.linking import check_deadline
from fastadl.sharded.links import refuse_closed
from fastadl.sharded.log import COMMIT, ROLLBACK, Log, message
from fastadl.sharded.relay import Begin, Call, End, Gone, Heard
from fastadl.sharded.shard import Shard
from fastadl.sharded.source import Part
from fastadl.sharded.speaking import Speaking

__all__ = ["RayLinks"]

#: Seconds in which a shard is made, or made again.
_BEGINNING = 600.0
#: Times that a shard may be lost during one call.
_ATTEMPTS = 3
_DECISIONS = {"commit": COMMIT, "rollback": ROLLBACK}


class RayLinks:
    """Shards in processes of a Ray cluster, called at the same time.

    Every call either gives what all shards answered, or is refused. A shard whose process is killed is made
    again, wherever it was, and the call goes on; the answers are the same.

    Parameters
    ----------
    parts : iterable of `fastadl.sharded.source.Part`
        One for each shard: its book and codes, taken one after another; or what gives these, called in the
        process of the shard, which has to be able to import it.
    policy : AdlPolicy
    address : str, optional
        Of a running cluster, ``host:port`` or ``auto``, which is left running. Unless
        given, one is started on this machine, and stopped.
    deadline : float
        Seconds in which a shard answers a call, without those in which it is made.
    folder : path, optional
        For snapshots, of which shards write and read their own: on a cluster of several machines one that
        all of them share. In the folder for temporary files unless given. What is put there is removed in
        the end.
    every : int
        Commits from one snapshot of a shard to the next. What was told since is kept in this process, and is
        done again where a shard is lost.
    threads : int, optional
        Of the kernels of each shard; together they use all cores unless given. No result depends on it.

    Attributes
    ----------
    sent, received : int
        Bytes to and from shards.
    calls : int
        One for each shard.
    restarts : int
        How often a shard was made again.

    Raises
    ------
    InputError
        If Ray is not installed, if no cluster answers, if a node has another version of this package, or if
        parts do not belong together.
    """

    def __init__(
        self,
        parts: Iterable[Part],
        policy: AdlPolicy,
        *,
        address: str | None = None,
        deadline: float = 60.0,
        folder: str | os.PathLike[str] | None = None,
        every: int = 64,
        threads: int | None = None,
    ) -> None:
        self.sent = self.received = self.calls = self.restarts = 0
        check_deadline(deadline)
        self._policy, self._deadline = policy, float(deadline)
        self._turn = threading.RLock()
        self._numbers = itertools.count()
        self._folder = _folder(folder)
        self._seal = Path(self._folder.name) / "seal"
        self._speaking: Speaking | None = None
        self._closed = False
        self._address, self._threads = address, threads
        try:
            self._seal.touch()
            self._log = Log([self._origin(i, part) for i, part in enumerate(parts)], _whole("every", every))
            if not len(self._log):
                raise InputError(("shards",), 0, "give at least one part")
            self._epoch: list[int | None] = [None] * len(self._log)
            self._epochs = itertools.count()
            self._saves: dict[int, tuple[int, int, Path]] = {}
            self._decided: set[int] = set()
            self._facts: dict[int, Facts] = {}
            self._call("", dict.fromkeys(range(len(self._log)), b""))
            self._check_alike()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._log)

    def __enter__(self) -> RayLinks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, and a cluster that was started."""
        with self._turn:
            speaking, self._speaking, self._closed = self._speaking, None, True
            try:
                if speaking is not None:
                    speaking.close()
            finally:
                self._folder.cleanup()

    # ------------------------------------------------------------------ calls

    def all(self, what: str, *given: Any) -> list[Any]:
        """Call a method of every shard alike; what each answered.

        Raises
        ------
        FastadlError
            That a shard raised.
        LateError
            If a shard does not answer in time; it is given up, and made again when it is called next.
        ShardError
            If a shard cannot go on.
        InputError
            If the cluster is gone, and none comes in its place.
        """
        with self._turn:
            refuse_closed(self._closed)
            if what in _DECISIONS:
                self._decide(what)
                return [None] * len(self)
            text = message(what, given)
            found = self._call(what, dict.fromkeys(range(len(self)), text))
            return [found[shard] for shard in range(len(self))]

    def each(self, what: str, given: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Call a method of some shards, each with its own arguments; raises what `all` does."""
        with self._turn:
            refuse_closed(self._closed)
            alike = {id(mine): mine for mine in given.values()}
            texts = {key: message(what, mine) for key, mine in alike.items()}  # one of what many are told
            found = self._call(what, {shard: texts[id(mine)] for shard, mine in given.items()})
            return {shard: found[shard] for shard in given}

    def _call(self, what: str, texts: Mapping[int, bytes]) -> dict[int, Any]:
        """What some shards answered."""
        for shard, text in texts.items() if what else ():
            self._log.told(shard, what, text)
        call = _Underway(what, texts)
        for shard in texts:
            self._ask(call, shard)
        while call.awaited:
            for shard in self._heard(call):
                self._ask(call, shard)
        for shard in sorted(texts):
            error = call.errors.get(shard)
            if isinstance(error, Defect):
                self._give_up(shard)  # nobody knows what it left
                wrong = ShardError(shard, f"{what} failed there: {error.line}")
                wrong.add_note(error.trace)
                raise wrong
            if error is not None:
                raise error
        return call.answers

    def _ask(self, call: _Underway, shard: int) -> None:
        """Send a shard its message, made first if it is not there."""
        told: list[Any] = []
        epoch = self._epoch[shard]
        if epoch is None:
            epoch, number = next(self._epochs), next(self._numbers)
            plan = pickle.dumps(Plan(self._log.origins[shard], self._policy, self._seal, not call.what))
            history = self._log.history(shard, call.what)
            told.append(Begin(shard, epoch, number, (fastadl.__version__, plan, history)))
            call.awaited[number] = shard, True
            self.sent += sum(map(len, history))
        text = call.texts[shard]
        if call.what:
            number = next(self._numbers)
            told.append(Call(shard, epoch, number, "call", text))
            call.awaited[number] = shard, False
            self.sent += len(text)
            self.calls += 1
        patience = self._deadline if self._epoch[shard] == epoch else max(self._deadline, _BEGINNING)
        call.until[shard] = time.monotonic() + patience
        self._connected().tell(told)
        self._epoch[shard] = epoch

    def _connected(self) -> Speaking:
        if self._speaking is None:
            self._speaking = Speaking(self._address, len(self), _cores(), self._threads)
        return self._speaking

    # ------------------------------------------------------------------ what is heard

    def _heard(self, call: _Underway) -> list[int]:
        """Take in what is heard next; shards that are to be asked again."""
        try:
            heard = self._connected().hear(min(BEAT, max(0.0, call.next_late - time.monotonic())))
        except EOFError:
            return self._all_gone(call)
        if heard is None:
            self._refuse_late(call)
            return []
        shard = heard.shard
        if heard.epoch != self._epoch[shard]:
            return []  # from a process that was given up
        if isinstance(heard.answer, Gone):
            return [shard] if self._lost(call, shard, heard.answer.why) else []
        if isinstance(heard.answer, FastadlError):
            self._give_up(shard)
            raise heard.answer
        return self._answered(call, heard, *answer_of(heard.answer))

    def _answered(
        self, call: _Underway, heard: Heard, found: Any, error: FastadlError | Defect | None
    ) -> list[int]:
        """Take in an answer; shards that are to be asked again."""
        shard, number = heard.shard, heard.number
        if number in self._saves:
            self._saved(number, found, error)
        elif number in call.awaited:
            begins = call.awaited.pop(number)[1]
            if begins:
                self._begun(shard, found, error)
            else:
                assert isinstance(heard.answer, bytes)
                self.received += len(heard.answer)
                call.answers[shard], call.errors[shard] = found, error
        elif number in self._decided:
            self._decided.discard(number)
            if error is not None:
                return [shard] if self._lost(call, shard, "it could not commit") else []
        return []

    def _begun(self, shard: int, found: Facts, error: FastadlError | Defect | None) -> None:
        if error is not None:
            self._give_up(shard)
            if isinstance(error, Defect):
                raise ShardError(shard, f"it could not be made: {error.line}")
            raise error
        self._facts[shard] = found

    def _all_gone(self, call: _Underway) -> list[int]:
        """The process that uses Ray is no more, and no shard is; those to be asked again."""
        speaking, self._speaking = self._speaking, None
        if speaking is not None:
            speaking.close()
        return [s for s in range(len(self)) if self._lost(call, s, "the cluster is gone")]

    def _lost(self, call: _Underway, shard: int, why: str) -> bool:
        """A shard is no more; whether it is to be asked again."""
        self._forget(shard)
        if not call.forget(shard):
            return False
        if call.lost[shard] >= _ATTEMPTS:
            raise ShardError(shard, f"{call.what or 'beginning'} lost it {_ATTEMPTS} times: {why}")
        self.restarts += 1
        return True

    def _refuse_late(self, call: _Underway) -> None:
        """Raise where a shard is late."""
        now = time.monotonic()
        late = [shard for shard in call.waiting if call.until[shard] <= now]
        for shard in late:
            self._give_up(shard)
        if late:
            if any(begins and shard == late[0] for shard, begins in call.awaited.values()):
                raise LateError(late[0], "it was not made in time: ray status says whether there is room")
            raise LateError(late[0], f"no answer to {call.what} in time")

    def _give_up(self, shard: int) -> None:
        """Have a process end, whatever it does."""
        self._forget(shard)
        if self._speaking is not None:
            self._speaking.tell([End(shard)])

    def _forget(self, shard: int) -> None:
        self._epoch[shard] = None
        for number in [number for number, save in self._saves.items() if save[0] == shard]:
            discard(self._saves.pop(number)[2])

    # ------------------------------------------------------------------ commits and snapshots

    def _decide(self, what: str) -> None:
        """Commit or roll back, and tell those shards for which it makes a difference."""
        text = _DECISIONS[what]
        shards = self._log.commit() if text is COMMIT else self._log.rollback()
        told = []
        for shard in shards:
            epoch = self._epoch[shard]
            if epoch is None:
                continue
            number = next(self._numbers)
            self._decided.add(number)
            told.append(Call(shard, epoch, number, "call", text))
            if (
                text is COMMIT
                and self._log.due(shard)
                and all(shard != save[0] for save in self._saves.values())
            ):
                path = Path(self._folder.name) / f"{shard}-{self._log.count}.pickle"
                number = next(self._numbers)
                self._saves[number] = shard, self._log.count, path
                told.append(Call(shard, epoch, number, "save", str(path)))
        if told and self._speaking is not None:
            self._speaking.tell(told)

    def _saved(self, number: int, found: Kept, error: FastadlError | Defect | None) -> None:
        """A snapshot was written, or could not be: what would be done again then goes on growing."""
        shard, count, path = self._saves.pop(number)
        if error is not None:
            why = error.line if isinstance(error, Defect) else str(error)
            warnings.warn(f"no snapshot of shard {shard}: {path}: {why}", RuntimeWarning, stacklevel=2)
            return
        self._begin_with(shard, count, found)

    def begin_with(self, made: Sequence[Callable[[], Shard]]) -> None:
        """Have a shard that is lost begin with what gives it as it is now."""
        with self._turn:
            for number in list(self._saves):
                discard(self._saves.pop(number)[2])
            for shard, each in enumerate(made):
                self._begin_with(shard, self._log.count, each)

    def _begin_with(self, shard: int, count: int, origin: Any) -> None:
        before = self._log.origins[shard]
        self._log.cut(shard, count, origin)
        if isinstance(before, Kept):
            discard(before.path)

    # ------------------------------------------------------------------ beginning

    def _origin(self, shard: int, part: Part) -> Any:
        """Where a shard begins."""
        if isinstance(part, tuple):
            return write(Path(self._folder.name) / f"{shard}.pickle", part)
        if not callable(part):
            raise InputError(("shards", shard), part, "give a book and codes, or what gives them")
        try:
            pickle.dumps(part)
        except Exception as error:
            remedy = f"give a function that the process of the shard can import ({error})"
            raise InputError(("shards", shard), part, remedy) from None
        return part

    def _check_alike(self) -> None:
        """Refuse shards of different books."""
        for shard, facts in sorted(self._facts.items()):
            if facts.instruments != self._facts[0].instruments:
                remedy = "give parts of one book: those of shard 0 are others"
                raise InputError(("shards", shard), "its instruments", remedy)


class _Underway:
    """A call that has not been answered by all.

    Attributes
    ----------
    awaited : dict
        Shard of each number that an answer is awaited of, and whether it says that the shard was made.
    until : dict
        When each shard is late.
    lost : Counter
        How often each was lost.
    """

    def __init__(self, what: str, texts: Mapping[int, bytes]) -> None:
        self.what, self.texts = what, texts
        self.awaited: dict[int, tuple[int, bool]] = {}
        self.until: dict[int, float] = {}
        self.lost: Counter[int] = Counter()
        self.answers: dict[int, Any] = {}
        self.errors: dict[int, FastadlError | Defect | None] = {}

    @property
    def waiting(self) -> list[int]:
        """Shards that have not answered."""
        return sorted({shard for shard, _ in self.awaited.values()})

    @property
    def next_late(self) -> float:
        """When the first of them is late."""
        return min(self.until[shard] for shard in self.waiting)

    def forget(self, shard: int) -> bool:
        """Await nothing of a shard that was lost; whether anything was."""
        mine = [number for number, (each, _) in self.awaited.items() if each == shard]
        for number in mine:
            del self.awaited[number]
        self.lost[shard] += bool(mine)
        return bool(mine)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError((name,), value, "give a whole number above 0")
    return value


def _folder(given: str | os.PathLike[str] | None) -> tempfile.TemporaryDirectory[str]:
    """For snapshots."""
    try:
        return tempfile.TemporaryDirectory(prefix="shards-", dir=given, ignore_cleanup_errors=True)
    except OSError as error:
        raise InputError(("folder",), str(given), f"give a folder to write to: {error.strerror}") from None
