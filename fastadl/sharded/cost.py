"""What a tick of a sharded book comes to at sizes nobody has at hand, from what it came to at small ones.

What a tick costs a shard is in two parts: what any shard costs whatever it holds (the prices, a histogram of
every leg and round), and its share of what the book holds (positions that are looked at, accounts that are
lent). Two runs with different numbers of shards tell them apart. The coordinator pays for every shard, for
every instrument, and for the accounts that a tick changes as one process would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastadl.errors import InputError
from fastadl.sharded.ranks import MOST_ACCOUNTS

__all__ = ["Cost", "Forecast", "Model", "Seen", "Shared", "forecast", "most_positions"]


@dataclass(frozen=True, slots=True)
class Shared:
    """What one shard of several has of something.

    Attributes
    ----------
    each : float
        What every shard has, whatever it holds.
    whole : float
        What all shards have together beside that.
    """

    each: float
    whole: float

    @classmethod
    def fit(cls, seen: Mapping[int, float]) -> Shared:
        """From what one shard had, in the mean, in runs with two numbers of shards.

        Raises
        ------
        InputError
            Unless there are two.
        """
        if len(seen) != 2:
            raise InputError(("seen",), len(seen), "give runs with two numbers of shards")
        (few, of_few), (many, of_many) = sorted(seen.items())
        whole = (of_few - of_many) / (1.0 / few - 1.0 / many)
        return cls(of_many - whole / many, whole)

    def of(self, shards: int, times: float = 1.0) -> float:
        """What one of so many shards has, of a book so many times as large."""
        return self.each + times * self.whole / shards


@dataclass(frozen=True, slots=True)
class Seen:
    """What one tick came to, by shard in the mean.

    Attributes
    ----------
    work : float
        Seconds of a shard.
    directing : float
        Seconds of the coordinator, messages included, over the number of shards.
    sent, received : float
        Bytes to and from a shard.
    calls : float
        Messages to a shard whose answers are waited for, one after another.
    docket : float
        Bytes of the accounts on loan, over the number of shards.
    """

    work: float
    directing: float
    sent: float
    received: float
    calls: float
    docket: float


@dataclass(frozen=True, slots=True)
class Cost:
    """`Seen`, by what each shard costs and what the book does."""

    work: Shared
    directing: Shared
    sent: Shared
    received: Shared
    calls: Shared
    docket: Shared

    @classmethod
    def fit(cls, seen: Mapping[int, Seen]) -> Cost:
        """From runs with two numbers of shards."""
        return cls(
            *(
                Shared.fit({shards: getattr(each, name) for shards, each in seen.items()})
                for name in cls.__slots__
            )
        )


@dataclass(frozen=True, slots=True)
class Model:
    """What was measured on a book, and on a cluster.

    Attributes
    ----------
    positions, accounts : int
        Of the book.
    nbytes : int
        Of its tables, guards included.
    idle : float
        Seconds that the tick takes the coordinator whatever the book holds, beside what each shard costs it.
    waiting, message : float
        Seconds from a call of one shard to its answer on the cluster, and what each further shard that is
        called along with it adds.
    """

    positions: int
    accounts: int
    nbytes: int
    idle: float
    waiting: float
    message: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a tick would come to.

    Attributes
    ----------
    working, directing, messages : float
        Seconds in which the shards work, side by side; the coordinator; and messages are under way.
    sent, received : float
        Bytes of one shard.
    memory : float
        Bytes of the book by core.
    docket : float
        Bytes of the accounts on loan.
    """

    working: float
    directing: float
    messages: float
    sent: float
    received: float
    memory: float
    docket: float

    @property
    def seconds(self) -> float:
        """All one after another."""
        return self.working + self.directing + self.messages


def forecast(model: Model, cost: Cost, positions: int, shards: int, threads: int = 1) -> Forecast:
    """A tick like the one measured, of a larger book of the same instruments.

    Parameters
    ----------
    model : Model
    cost : Cost
        Of that tick; as many in a hundred fall, and give lots, in the larger book.
    positions : int
    shards : int
    threads : int
        Cores of each shard, over which its share of the book is spread evenly.
    """
    times = positions / model.positions
    work = cost.work
    return Forecast(
        working=work.each + times * work.whole / (shards * threads),
        directing=shards * cost.directing.each + model.idle + times * (cost.directing.whole - model.idle),
        messages=cost.calls.of(shards) * (model.waiting + (shards - 1) * model.message),
        sent=cost.sent.of(shards, times),
        received=cost.received.of(shards, times),
        memory=model.nbytes * times / (shards * threads),
        docket=times * cost.docket.whole,
    )


def most_positions(model: Model) -> int:
    """Positions of the largest book of as many accounts a position: ranks are int32."""
    return MOST_ACCOUNTS * model.positions // model.accounts
