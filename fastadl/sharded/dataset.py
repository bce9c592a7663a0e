"""A book on disk in partitions: what a driver learns from footers, and what each shard reads for itself."""

from __future__ import annotations

import heapq
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fastadl.book import Book
from fastadl.contracts import Instruments
from fastadl.errors import InputError
from fastadl.io.files import load, readable
from fastadl.io.frames import check_memory, check_sums, columns
from fastadl.io.instruments import read_instruments
from fastadl.io.table import Table
from fastadl.kernels._threads import refuse_fork
from fastadl.schema import FUND, MARKET, RESERVED, AccountColumns, Int64Array, PositionColumns
from fastadl.sharded.divide import check_count
from fastadl.sharded.ranks import Ranks, check_accounts

__all__ = ["FORMAT", "Dataset", "Partition", "assign", "read_part", "told"]

#: What the files of a dataset say of themselves; files of others say nothing and are taken as they are.
FORMAT = "1"
_FORMAT, _PARTITIONS = "fastadl.format", "fastadl.partitions"
_INSTRUMENTS, _RESERVES = "instruments.parquet", "reserves.parquet"
_FOLDERS = "part-*"
_NOBODY: Mapping[str, Any] = {"id": [], "cash_atoms": []}
_NOTHING: Mapping[str, Any] = {"account": [], "symbol": [], "lots": [], "entry_value_atoms": []}
#: A shard with more than so many times the mean of positions is told of.
_UNEVEN = 1.5


def told(partitions: int) -> dict[str, str]:
    """What every file of a dataset says in its footer."""
    return {_FORMAT: FORMAT, _PARTITIONS: str(partitions)}


@dataclass(frozen=True, slots=True)
class Partition:
    """Some accounts and all their positions.

    Attributes
    ----------
    accounts_file, positions_file : str
    accounts, positions : int
        Rows of the files.
    """

    accounts_file: str
    positions_file: str
    accounts: int
    positions: int


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A book in partitions, of which only instruments, reserves and footers were read.

    The folder holds ``instruments.parquet``; for each partition a folder ``part-00000``, ``part-00001``, …
    with ``accounts.parquet`` and ``positions.parquet``; and ``reserves.parquet``, a table of positions of
    ``fund`` and ``market``. Columns are those of `Book.read`, the same in all partitions. What `Book.write`
    writes as Parquet is a dataset of one partition.

    Attributes
    ----------
    folder : str
    partitions : tuple of Partition
        By the names of their folders.
    reserves : Book
        The instruments, no account, and what ``fund`` and ``market`` hold.
    whole : bool
        Whether it is what `Book.write` writes: positions of ``fund`` and ``market`` stand among the others.
    """

    folder: str
    partitions: tuple[Partition, ...]
    reserves: Book
    whole: bool

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Dataset:
        """Check all files by their footers.

        Raises
        ------
        InputError
            Naming a file that is missing, that no partition has, that cannot be read, is of another version,
            or has other columns than the first of its kind; or one that says how many partitions there were,
            where some are missing.
        """
        refuse_fork()
        path = Path(folder).absolute()  # a shard may run elsewhere
        if not path.is_dir():
            raise InputError((), "no such folder", "give the folder of a dataset", str(folder))
        inner = sorted(path.glob(_FOLDERS))
        if inner and (path / "accounts.parquet").exists():
            remedy = f"keep it, or the folders {_FOLDERS} beside it"
            raise InputError((), "accounts beside partitions", remedy, str(path / "accounts.parquet"))
        for home in inner:
            _check_alone(home)
        homes = inner or [path]
        listed = _instruments(path / _INSTRUMENTS)
        footers = [
            (_footer("accounts", home / "accounts.parquet"), _footer("positions", home / "positions.parquet"))
            for home in homes
        ]
        reserves = _footer("positions", path / _RESERVES) if inner else None
        for kind in zip(*footers, strict=True):
            _check_alike(kind)
        every = [footer for pair in footers for footer in pair]
        _check_complete([*every, *([reserves] if reserves else [])], len(homes))
        check_accounts(sum(accounts.rows for accounts, _ in footers))
        return cls(
            folder=str(path),
            partitions=tuple(Partition(str(a.path), str(p.path), a.rows, p.rows) for a, p in footers),
            reserves=_reserves(listed, reserves or footers[0][1]),
            whole=reserves is None,
        )

    @property
    def instruments(self) -> Instruments:
        """All instruments; partitions hold some of them."""
        return self.reserves.instruments

    def codes(self, partitions: Sequence[int]) -> Int64Array:
        """Positions among the accounts of all partitions, one after another: int64 (accounts of these)."""
        start = np.cumsum([0, *(part.accounts for part in self.partitions)])
        ranges = [np.arange(start[i], start[i + 1]) for i in partitions]
        return np.concatenate([np.empty(0, np.int64), *ranges])

    def found(self, name: str) -> list[tuple[str, int]]:
        """Files and rows of the accounts that have an id; all files of accounts are searched."""
        places = []
        for part in self.partitions:
            ids = pl.scan_parquet(part.accounts_file, glob=False).select(pl.col("id").cast(pl.String) == name)
            with readable(Path(part.accounts_file)):
                rows = ids.collect().to_series().arg_true().to_list()
            places += [(part.accounts_file, row) for row in rows]
        return places

    def book(self) -> Book:
        """The whole book, read by this process."""
        book = read_part(self, range(len(self.partitions)))
        book.reserve_lots, book.reserve_entry = self.reserves.reserve_lots, self.reserves.reserve_entry
        return book


def assign(dataset: Dataset, shards: int) -> list[list[int]]:
    """Partitions of each shard, so that shards hold about as many positions: the largest first, to the least.

    Warns when a shard has more than 1.5 times the mean, for every tick waits for it.

    Raises
    ------
    InputError
        For a number of shards below 1 or above 32,768.
    """
    check_count("shards", shards)
    given: list[list[int]] = [[] for _ in range(shards)]
    loads = [(0, 0, shard) for shard in range(shards)]
    size = [(part.positions, part.accounts) for part in dataset.partitions]
    for i in sorted(range(len(size)), key=lambda i: size[i], reverse=True):
        positions, accounts, shard = loads[0]
        given[shard].append(i)
        heapq.heapreplace(loads, (positions + size[i][0], accounts + size[i][1], shard))
    most, _, shard = max(loads)
    total = sum(positions for positions, _ in size)
    if most * shards > _UNEVEN * total:
        warnings.warn(
            f"{dataset.folder}: shard {shard} of {shards} gets {most:,} of {total:,} positions, "
            f"{most * shards / total:.1f} times the mean, and every tick waits for it: write the dataset in "
            "more, or more even, partitions",
            stacklevel=2,
        )
    return [sorted(own) for own in given]


def read_part(dataset: Dataset, partitions: Sequence[int]) -> Book:
    """The book of some partitions, in their order.

    It has all instruments, no reserves, and ranks among its own accounts.

    Parameters
    ----------
    dataset : Dataset
    partitions : sequence of int
        Positions in ``dataset.partitions``, each once.

    Raises
    ------
    InputError
        Naming file, row and column, as `Book.read` does; if a file has changed since the dataset was opened;
        or if an account is in two of the partitions.
    MemoryLimitError
        If it does not fit the memory that is free.
    """
    refuse_fork()
    own = [dataset.partitions[i] for i in partitions]
    try:
        check_memory(sum(part.positions for part in own), sum(part.accounts for part in own))
        read = [_columns(dataset, part) for part in own]
        read = read or [columns(dataset.instruments, _NOBODY, _NOTHING)]
        accounts, positions = _joined([people for people, _ in read]), _moved(read)
        if len(own) > 1:
            check_sums(dataset.instruments, accounts, positions)
    except InputError as error:
        raise error if error.file else error.within(dataset.folder) from None
    book = Book._from_columns(dataset.instruments, accounts, positions)
    if len(own) > 1:
        Ranks(book, dataset.found)
    return book


# ---------------------------------------------------------------------- footers


@dataclass(frozen=True, slots=True)
class _Footer:
    """What a Parquet file says at its end."""

    path: Path
    rows: int
    schema: Mapping[str, pl.DataType]
    says: Mapping[str, str]


def _footer(name: str, path: Path) -> _Footer:
    if not path.is_file():
        remedy = (
            f"restore it: a dataset has {_INSTRUMENTS}, {_RESERVES} and two files in every folder {_FOLDERS}"
        )
        raise InputError((), "no such file", remedy, str(path))
    with readable(path):
        table = pl.scan_parquet(path, glob=False)
        rows = int(table.select(pl.len()).collect().item())
        found = _Footer(path, rows, table.collect_schema(), pl.read_parquet_metadata(path))
    version = found.says.get(_FORMAT, FORMAT)
    if version != FORMAT:
        remedy = f"this version reads format {FORMAT}: write the dataset again with it"
        raise InputError((), f"format {version} of a dataset", remedy, str(path))
    try:
        Table(name, pl.DataFrame(schema=found.schema))
    except InputError as error:
        raise error.within(str(path)) from None
    return found


def _check_alone(home: Path) -> None:
    """Refuse more tables of a partition than are read."""
    more = sorted({*home.glob("*.parquet")} - {home / "accounts.parquet", home / "positions.parquet"})
    if more:
        remedy = (
            "a partition has accounts.parquet and positions.parquet alone: add its rows to these, or move it"
        )
        raise InputError((), "a file too many", remedy, str(more[0]))


def _check_alike(footers: Sequence[_Footer]) -> None:
    first, *others = footers
    for other in others:
        for name in {**first.schema, **other.schema}:
            wanted, found = (footer.schema.get(name, "no such column") for footer in (first, other))
            if wanted != found:
                remedy = f"columns are the same in all partitions: {wanted} in {first.path}"
                raise InputError((other.path.stem, name), str(found), remedy, str(other.path))


def _check_complete(footers: Sequence[_Footer], count: int) -> None:
    for footer in footers:
        said = footer.says.get(_PARTITIONS, str(count))
        if said != str(count):
            remedy = f"there are {count}: restore those that are missing, or write the dataset again"
            raise InputError((), f"a file of {said} partitions", remedy, str(footer.path))


def _instruments(path: Path) -> Instruments:
    _footer("instruments", path)
    try:
        return read_instruments(load("instruments", path), "USD", 6)
    except InputError as error:
        raise error if error.file else error.within(str(path)) from None


def _reserves(instruments: Instruments, footer: _Footer) -> Book:
    """A book of what fund and market hold; the rows of others are never in memory all at once."""
    rows = pl.scan_parquet(footer.path, glob=False, row_index_name="in file")
    with readable(footer.path):
        if not footer.path.name.startswith(Path(_RESERVES).stem):
            rows = rows.filter(pl.col("account").cast(pl.String).is_in(RESERVED))
        found = rows.collect(engine="streaming")
    try:
        return Book._from_columns(instruments, *columns(instruments, _NOBODY, found.drop("in file")))
    except InputError as error:
        raise _at_row(error, found["in file"]).within(str(footer.path)) from None


def _at_row(error: InputError, row: pl.Series) -> InputError:
    """The error with the row of the file in place of that among the rows read."""
    path = tuple(int(row[part]) if isinstance(part, int) else part for part in error.path)
    return type(error)(path, error.value, error.remedy)


# ---------------------------------------------------------------------- what a shard reads


def _columns(dataset: Dataset, part: Partition) -> tuple[AccountColumns, PositionColumns]:
    """The columns of one partition, without the reserves."""
    files = {"accounts": part.accounts_file, "positions": part.positions_file}
    loaded = {name: load(name, Path(file)) for name, file in files.items()}
    for name, many in (("accounts", part.accounts), ("positions", part.positions)):
        if len(loaded[name]) != many:
            remedy = f"it had {many:,} when the dataset was opened: leave files alone while they are in use"
            raise InputError((), f"{len(loaded[name]):,} rows", remedy, files[name])
    try:
        accounts, positions = columns(dataset.instruments, *loaded.values())
    except InputError as error:
        raise error.within(files[str(error.path[0])]) from None
    reserved = positions.account < 0
    if not reserved.any():
        return accounts, positions
    if not dataset.whole:
        row = int(reserved.argmax())
        name = FUND if positions.account[row] == -1 else MARKET
        remedy = f"move the row to {_RESERVES}"
        raise InputError(("positions", row, "account"), name, remedy, part.positions_file)
    kept = ~reserved
    return accounts, PositionColumns(
        positions.account[kept], positions.instrument[kept], positions.lots[kept], positions.entry_value[kept]
    )


def _joined(parts: Sequence[AccountColumns]) -> AccountColumns:
    """Accounts one after another."""
    one, *others = parts
    if not others:
        return one
    owners = [part.id if part.owner is None else part.owner for part in parts]
    exempt = [np.zeros(len(part.id), np.bool_) if part.exempt is None else part.exempt for part in parts]
    return AccountColumns(
        id=pl.concat([part.id for part in parts]),
        owner=None if all(part.owner is None for part in parts) else pl.concat(owners),
        currency=np.concatenate([part.currency for part in parts]),
        isolated=np.concatenate([part.isolated for part in parts]),
        adl_tier=np.concatenate([part.adl_tier for part in parts]),
        cash=np.concatenate([part.cash for part in parts]),
        exempt=np.concatenate(exempt),
    )


def _moved(parts: Sequence[tuple[AccountColumns, PositionColumns]]) -> PositionColumns:
    """Positions one after another, of accounts one after another."""
    first = np.cumsum([0, *(len(accounts.id) for accounts, _ in parts)]).tolist()
    held = [positions for _, positions in parts]
    return PositionColumns(
        account=np.concatenate([rows.account + at for rows, at in zip(held, first[:-1], strict=True)]),
        instrument=np.concatenate([rows.instrument for rows in held]),
        lots=np.concatenate([rows.lots for rows in held]),
        entry_value=np.concatenate([rows.entry_value for rows in held]),
    )
