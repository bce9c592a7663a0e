"""The engine of a book in shards: the coordinator, with the face of `Engine`."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Self

import numpy as np

from fastadl.book import Book
from fastadl.engine.crowd import Crowd
from fastadl.engine.detect import detect
from fastadl.engine.fund_rules import FundRule
from fastadl.engine.prices import Marks
from fastadl.engine.results import Tick
from fastadl.engine.settings import checked_funds, checked_liquidity, checked_policy, checked_threads
from fastadl.errors import InputError
from fastadl.kernels._threads import refuse_fork
from fastadl.policy import AdlPolicy, AnyOrderBook, Fund
from fastadl.sharded.crowd import ShardedCrowd
from fastadl.sharded.dataset import Dataset
from fastadl.sharded.docket import Docket
from fastadl.sharded.linking import INLINE, linked
from fastadl.sharded.reading import ShardedReadable
from fastadl.sharded.report import ShardedReport
from fastadl.sharded.source import Source

__all__ = ["ShardedEngine"]


class ShardedEngine(ShardedReadable):
    """An `Engine` whose accounts are divided over shards.

    Shards mark and detect. Accounts that a tick changes are lent to the coordinator, whose *docket* is an
    ordinary small book beside the fund and the market account: the stages of the waterfall work on it as they
    do in one process. What looks at everybody is asked of all shards in rounds.

    Parameters
    ----------
    book : Book, Dataset or path
        A book; or the folder of a dataset, whose partitions shards read themselves.
    policy, fund, liquidity
        As in `Engine`.
    threads : int, optional
        Of the kernels of each shard; together they use all cores unless given. No result depends on it.
    shards : int
        How many parts.
    by : str or int array (accounts)
        How the accounts of a book are divided, see `fastadl.sharded.divide.placed`.
    address : str, optional
        Of a running Ray cluster, ``host:port`` or ``auto``, which is left running.
        Unless given, one is started on this machine, and stopped. With ``inline`` all shards are in this
        process, one after another, without Ray: for tests, and to see what would be sent.
    deadline : float
        Seconds in which a shard answers; a call that takes longer is refused, and nothing has changed.
    folder : path, optional
        For snapshots of shards, from which they are made again; one that all machines of a cluster share.

    Raises
    ------
    InputError
        As `Engine`; for a dataset that cannot be read, an account that two partitions have, a cluster that
        does not answer, or Ray that is not installed.

    Examples
    --------
    >>> import fastadl as fa
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> with fa.ShardedEngine(book, fund="1000", shards=3, address="inline") as engine:
    ...     report = engine.tick(engine.marks * 0.8)
    >>> alone = fa.Engine(book, fund="1000").tick(engine.marks)
    >>> len(report.adl_fills), report.adl_fills.equals(alone.adl_fills)
    (157, True)
    """

    def __init__(  # noqa: PLR0913 - what an engine takes, and where its parts are
        self,
        book: Book | Dataset | Source | str | os.PathLike[str],
        *,
        policy: str | Mapping[str, Any] | AdlPolicy = "bitmex",
        fund: Any = "0",
        liquidity: Mapping[str, Any] | AnyOrderBook | None = None,
        threads: int | None = None,
        shards: int = 2,
        by: Any = "hash",
        address: str | None = None,
        deadline: float = 60.0,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        refuse_fork()
        source = Source.of(book, shards, by)
        desk = source.reserves
        self.policy = checked_policy(desk, policy)
        self.liquidity = checked_liquidity(desk, liquidity)
        self._threads = checked_threads(threads, elsewhere=address != INLINE)
        funds = checked_funds(desk, fund, self.policy)
        self._links = linked(
            source.parts, self.policy, address, deadline=deadline, folder=folder, threads=threads
        )
        try:
            source.place(self._links)
            docket = Docket(desk, self._links, source.accounts)
            if source.dataset is not None:
                _check_sums(docket, source.dataset)
            self._begin(docket, funds)
        except BaseException:
            self._links.close()
            raise

    def _begin(self, docket: Docket, funds: list[Fund]) -> None:
        """Have nothing done yet."""
        self._state, instruments = docket, docket.instruments
        for c, (each, decimals) in enumerate(zip(funds, instruments.decimals, strict=True)):
            self._state.endow(c, each.cash_atoms(decimals))
        self._rules = [FundRule(each, self.policy, instruments, c) for c, each in enumerate(funds)]
        self._totals = self._state.totals()
        self._lock = threading.RLock()
        self._time = 0
        self._number = -1
        self._tick = self._doomed = self._trading = None
        self._within = False
        self._inside = False
        self._reports: weakref.WeakSet[ShardedReport] = weakref.WeakSet()
        self._fills_lawful = self._closed_at_zero = True

    def close(self) -> None:
        """Let go of the shards, and of a cluster that was started for them."""
        self._links.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ------------------------------------------------------------------ stages

    def _mark(self, prices: Any, time: int | None, oracle: Any) -> Any:
        if self._doomed is None:
            self._go_home()
        return super()._mark(prices, time, oracle)

    def _detect(
        self, tick: Tick, named: Mapping[int, Fraction], spoken: Mapping[int, Fraction], before: Marks
    ) -> tuple[int, int]:
        state = self._state
        read = sorted({each.tick for each in self._reports if not each.fetched})
        answers = self._links.all("mark", named, spoken, tick.number, tick.time, self._everybody, read)
        state.admit([lent for _, lent in answers])
        stay = sum(liquidatable for liquidatable, _ in answers)
        detect(state, tick, named, before)
        bankrupt = int(np.count_nonzero(tick.was_bankrupt))
        return stay + len(tick.accounts), bankrupt

    def _crowd(self, policy: AdlPolicy, number: int) -> Crowd:
        return ShardedCrowd(self._state, self._links, policy, number)

    def _report(self, tick: Tick, policy: AdlPolicy, *, alone: bool = False) -> ShardedReport:
        state = self._state
        report = ShardedReport(tick, state.book, policy.cancel_orders, self._links, state.code)
        report.fetched = alone
        self._reports.add(report)
        return report


def _check_sums(docket: Docket, dataset: Dataset) -> None:
    """Refuse partitions that are too much together, as they are in one place (rule R1)."""
    try:
        docket.check_sums()
    except InputError as error:
        raise error.within(dataset.folder) from None
