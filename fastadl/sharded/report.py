"""The report of a tick whose lists are partly in shards until somebody reads them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fastadl.engine.results import LISTS, Report, Tick
from fastadl.engine.socialize.moves import Moves, by_id
from fastadl.schema import Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from fastadl.book import Book
    from fastadl.sharded.links import Links

__all__ = ["Detected", "ShardedReport", "in_codes", "people"]

#: Lists of which shards have entries.
_PARTED = ("liquidations", "socialized")


class Detected:
    """Detected accounts that stayed in their shard.

    Attributes
    ----------
    columns : dict
        As in the list ``liquidations``, accounts as positions in the shard.
    health : float64 (n)
    ids, currency, code : String, int16 and int64 (n), or None
        Of the accounts, code among those of all shards; None until somebody else is to read them.
    """

    def __init__(self, tick: Tick, stay: IntArray) -> None:
        self.columns: dict[str, Any] = {k: v[stay] for k, v in tick.columns("liquidations").items()}
        self.health: Float64Array = tick.health[stay]
        self.ids: pl.Series | None = None
        self.currency: IntArray | None = None
        self.code: Int64Array | None = None

    def named(self, book: Book, codes: Int64Array) -> Detected:
        """The same with ids, currencies and codes, to be read elsewhere."""
        account = self.columns["account"]
        self.ids = book.accounts.gather(account.astype(np.uint32)).rechunk()
        self.currency, self.code = book.currency[account], codes[account]
        return self


class _Lists(Tick):
    """A tick, some of whose lists are fetched when they are asked for."""

    report: weakref.ref[ShardedReport]

    def column(self, name: str, column: str) -> IntArray:
        report = self.report()
        if name in _PARTED and report is not None and not report.own:
            report.fetch()
        return super().column(name, column)


class ShardedReport(Report):
    """A `Report` whose detected accounts that nothing happened to are fetched from shards when read.

    Attributes
    ----------
    fetched : bool
        Whether they were.
    own : bool
        Whether only what is on the docket is read, for the moment.
    """

    own = False

    def __init__(self, tick: Tick, book: Book, cancel_orders: str, links: Links, code: Int64Array) -> None:
        lists = object.__new__(_Lists)
        lists.__dict__.update(tick.__dict__, lists=tick.lists.copy())  # what is fetched is its own
        lists.report = weakref.ref(self)
        super().__init__(lists, book, cancel_orders)
        self._links, self.fetched = links, False
        self._code = code

    def columns(self, name: str) -> dict[str, IntArray]:
        """As `Report.columns`, accounts as places among those of all shards."""
        columns = super().columns(name)
        for each in people(name) & columns.keys():
            columns[each] = in_codes(columns[each], self._code)
        return columns

    @cached_property
    def summary(self) -> pl.DataFrame:
        """As `Report.summary`; shards tell their numbers, and keep their lists."""
        own: pl.DataFrame
        if self.fetched:
            own = Report.summary.func(self)  # type: ignore[attr-defined]
            return own
        stayed, entries, paid = np.sum(self._links.all("tally", self.tick), axis=0)
        with self._without_shards():
            own = Report.summary.func(self)  # type: ignore[attr-defined]
        more = {"liquidatable": stayed, "n_liquidations": stayed, "n_socialized": entries, "socialized": paid}
        return own.with_columns(own[name] + pl.Series(name, each) for name, each in more.items())

    def _write(self, name: str, path: Path) -> None:
        """A frame of which shards have entries is a folder of parts, which they write themselves."""
        if name not in _PARTED or self.fetched:
            super()._write(name, path)
            return
        path.mkdir()
        with self._without_shards():
            frame: pl.DataFrame = getattr(Report, name).func(self)
        frame.write_parquet(path / "part-00000.parquet")
        parts = range(len(self._links))
        given = {i: (self.tick, name, str(path / f"part-{i + 1:05d}.parquet")) for i in parts}
        self._links.each("write_list", given)

    @contextmanager
    def _without_shards(self) -> Iterator[None]:
        self.own = True
        try:
            yield
        finally:
            self.own = False

    def fetch(self) -> None:
        """Have what is in shards here; it is asked for once."""
        if self.fetched:
            return
        detected, charged = self._links.all("detected", self.tick), self._links.all("charged", self.tick)
        self.fetched = True
        self._merge_detected(detected)
        self._merge_charged(charged)

    def _merge_detected(self, parts: list[Detected]) -> None:
        mine, health = self._mine("liquidations"), [self._tick.health]
        columns = {name: [column] for name, column in mine.items()}
        for part in parts:
            assert part.ids is not None
            assert part.currency is not None
            assert part.code is not None
            part.columns["account"] = self._add(part.ids, part.currency, part.code)
            for name, column in part.columns.items():
                columns[name].append(column)
            health.append(part.health)
        joined = {name: np.concatenate(column) for name, column in columns.items()}
        named = self._ids.gather(joined["account"].astype(np.uint32)).arg_sort().to_numpy()
        order = named[np.argsort(np.concatenate(health)[named], kind="stable")]
        self._keep("liquidations", {name: column[order] for name, column in joined.items()})

    def _merge_charged(self, parts: list[tuple[Moves, pl.Series, Int64Array]]) -> None:
        mine = self._mine("socialized", "place")
        if not any(len(ids) for _, ids, _ in parts):
            return
        found = [Moves(mine["place"], mine["account"], mine["currency"], mine["amount"])]
        for moves, ids, code in parts:
            found.append(replace(moves, account=self._add(ids, moves.currency, code)))
        merged = by_id(found)
        columns = {"account": merged.account, "currency": merged.currency, "amount": merged.amount}
        self._keep("socialized", columns)

    def _mine(self, name: str, *more: str) -> dict[str, IntArray]:
        """The entries of a list that are on the docket."""
        return {column: Tick.column(self._tick, name, column) for column in (*LISTS[name], *more)}

    def _keep(self, name: str, columns: dict[str, IntArray]) -> None:
        self._tick.lists[name] = [columns] if len(columns["account"]) else []

    def _add(self, ids: pl.Series, currency: IntArray, code: Int64Array) -> IntArray:
        """Know more accounts; their places in this report."""
        first = len(self._ids)
        self._ids = pl.concat([self._ids, ids.alias(self._ids.name)], rechunk=True)
        self._currency = np.concatenate([self._currency, currency])
        self._code = np.concatenate([self._code, code])
        return np.arange(first, len(self._ids))


def people(name: str) -> set[str]:
    """Columns of a list that are accounts."""
    return {"account"} if name == "liquidations" else {"account", "counterparty", "bankrupt"}


def in_codes(account: IntArray, code: Int64Array) -> IntArray:
    """Places among all for those among some; below zero they are reserves."""
    return account if not len(code) else np.where(account < 0, account, code[np.maximum(account, 0)])
