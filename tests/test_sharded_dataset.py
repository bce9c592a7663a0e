"""A book on disk in partitions: what is written is read, whoever reads which part; what is wrong is named."""

from __future__ import annotations

import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import fastadl as fa
from fastadl import memory, synth, testing
from fastadl.sharded import ranks
from fastadl.sharded.dataset import Dataset, assign, read_part
from fastadl.sharded.divide import WAYS, divide
from fastadl.sharded.ranks import MOST_ACCOUNTS, Ranks
from fastadl.sharded.writing import write_dataset, write_parts
from test_divide import EVERYTHING

BOOK = synth.book("pareto", positions=900, accounts=400, instruments=9, seed=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The dataset `EVERYTHING`: é and b in part 0, 😀 and a in part 1, Z in part 2."""
    return write_dataset(EVERYTHING, tmp_path / "set", shards=3, by=[0, 0, 1, 1, 2])


def refused(said: str, call, *given) -> None:
    with pytest.raises(fa.InputError) as error:
        call(*given)
    assert str(error.value) == said


def change(file: Path, *columns: pl.Expr, **metadata: str) -> None:
    """Write a file again, with other columns or other words in its footer."""
    says = {k: v for k, v in pl.read_parquet_metadata(file).items() if k.startswith("fastadl.")}
    pl.read_parquet(file).with_columns(*columns).write_parquet(file, metadata=says | metadata)


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("shards", [1, 2, 7])
@pytest.mark.parametrize("by", WAYS)
def test_what_is_written_is_read(tmp_path, shards, by):
    dataset = Dataset.open(write_dataset(BOOK, tmp_path / "set", shards=shards, by=by))
    codes = np.concatenate([codes for _, codes in divide(BOOK, shards, by)])
    whole = dataset.book()
    assert whole.accounts.to_list() == BOOK.accounts.gather(codes).to_list()
    instruments, accounts, positions = BOOK.to_frames()
    testing.assert_books_equal(whole, fa.Book.from_frames(instruments, accounts[codes], positions))
    assert len(dataset.partitions) == shards
    assert sum(part.positions for part in dataset.partitions) == 900
    if by == "order":
        testing.assert_books_equal(whole, BOOK)


@settings(max_examples=20)
@given(st.data())
def test_any_book_in_any_partitions_is_the_same(tmp_path_factory, data):
    book = data.draw(testing.books())
    shards = data.draw(st.integers(1, 4))
    folder = tmp_path_factory.mktemp("any") / "set"
    dataset = Dataset.open(write_dataset(book, folder, shards=shards, by="order"))
    testing.assert_books_equal(dataset.book(), book)


def test_everything_said_of_accounts_and_reserves_is_kept(folder):
    dataset = Dataset.open(folder)
    testing.assert_books_equal(dataset.book(), EVERYTHING)
    assert dataset.reserves.reserve_lots.tolist() == EVERYTHING.reserve_lots.tolist()
    assert dataset.reserves.reserve_entry.tolist() == EVERYTHING.reserve_entry.tolist()
    assert not len(dataset.reserves.accounts)
    part = read_part(dataset, [1])
    assert part.accounts.to_list() == ["😀", "a"]
    assert not part.reserve_lots.any()


def test_partitions_of_one_shard_are_read_in_the_order_asked_for(folder):
    dataset = pickle.loads(pickle.dumps(Dataset.open(folder)))  # as it comes to a shard
    part = read_part(dataset, [2, 0])
    instruments, accounts, positions = EVERYTHING.to_frames()
    own = ["Z", "é", "b"]
    rows = accounts[[4, 0, 1]]
    expected = fa.Book.from_frames(instruments, rows, positions.filter(pl.col("account").is_in(own)))
    testing.assert_books_equal(part, expected)
    assert dataset.codes([2, 0]).tolist() == [4, 0, 1]
    assert dataset.codes([2, 0]).dtype == np.int64
    assert part.instruments is dataset.instruments


def test_a_shard_may_run_in_another_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = Dataset.open(folder.name)
    monkeypatch.chdir("/")
    testing.assert_books_equal(dataset.book(), EVERYTHING)


def test_a_shard_without_partitions_has_an_empty_book(folder):
    dataset = Dataset.open(folder)
    book = read_part(dataset, [])
    assert (len(book.accounts), len(book), len(book.instruments)) == (0, 0, 2)
    assert dataset.codes([]).tolist() == []


def test_frames_are_written_as_a_book_is(tmp_path):
    frames = EVERYTHING.to_frames()
    dataset = Dataset.open(write_dataset(frames, tmp_path / "set", shards=2))
    testing.assert_books_equal(dataset.book(), EVERYTHING)


def test_a_folder_of_book_write_is_a_dataset_of_one_partition(tmp_path):
    dataset = Dataset.open(EVERYTHING.write(tmp_path / "book"))
    assert len(dataset.partitions) == 1
    testing.assert_books_equal(dataset.book(), EVERYTHING)
    assert not read_part(dataset, [0]).reserve_lots.any()


def test_polars_reads_all_partitions_at_once(folder):
    accounts = pl.read_parquet(folder / "part-*" / "accounts.parquet")
    assert_frame_equal(accounts, EVERYTHING.to_frames()[1])


def test_partitions_written_by_other_tools_are_read(tmp_path, folder):
    for file in folder.rglob("*.parquet"):
        pl.read_parquet(file).write_parquet(file)
    for number in range(3):
        (folder / f"part-0000{number}").rename(folder / f"part-[{number}]")
    dataset = Dataset.open(folder)
    testing.assert_books_equal(dataset.book(), EVERYTHING)
    assert dataset.found("a") == [(str(folder / "part-[1]" / "accounts.parquet"), 1)]


# ---------------------------------------------------------------- written whole or not at all


def test_nothing_is_left_of_a_dataset_that_was_not_written_whole(tmp_path):
    def parts():
        yield BOOK
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_parts(parts(), tmp_path / "set", shards=2)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused(folder):
    refused(f"{folder}: /: not an empty folder: give a new or empty folder", write, folder)


def write(folder: Path) -> None:
    write_dataset(EVERYTHING, folder, shards=2)


def test_a_division_that_is_none_writes_nothing(tmp_path):
    for by in ("size", [0, 1]):
        with pytest.raises(fa.InputError):
            write_dataset(EVERYTHING, tmp_path / "set", shards=2, by=by)
    with pytest.raises(fa.InputError):
        write_dataset(EVERYTHING, tmp_path / "set", shards=0)
    assert not list(tmp_path.iterdir())


def test_fewer_parts_than_promised_are_not_written(tmp_path):
    with pytest.raises(fa.InputError, match="a file of 2 partitions: there are 1"):
        write_parts([BOOK], tmp_path / "set", shards=2)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- files that are not as they should be


@pytest.mark.parametrize(
    "name",
    [
        "instruments.parquet",
        "reserves.parquet",
        "part-00001/accounts.parquet",
        "part-00002/positions.parquet",
    ],
)
def test_a_file_that_is_missing_or_torn_is_named_when_the_dataset_is_opened(folder, name):
    file = folder / name
    whole = file.read_bytes()
    file.unlink()
    remedy = (
        "restore it: a dataset has instruments.parquet, reserves.parquet and two files in every folder part-*"
    )
    refused(f"{file}: /: no such file: {remedy}", Dataset.open, folder)
    for torn in (b"", b"PAR1", whole[:-9], whole[: len(whole) // 2]):
        file.write_bytes(torn)
        with pytest.raises(fa.InputError) as error:
            Dataset.open(folder)
        assert error.value.file == str(file)
        assert error.value.remedy == "give a complete parquet file that can be read"


@pytest.mark.parametrize("name", ["accounts", "positions"])
def test_a_corrupt_page_is_named_by_the_shard_that_reads_it(folder, name):
    file = folder / "part-00001" / f"{name}.parquet"
    content = bytearray(file.read_bytes())
    content[4:40] = b"\xff" * 36
    file.write_bytes(content)
    dataset = Dataset.open(folder)
    read_part(dataset, [0, 2])
    with pytest.raises(fa.InputError) as error:
        read_part(dataset, [0, 1])
    assert error.value.file == str(file)
    assert error.value.remedy == "give a complete parquet file that can be read"


def test_a_partition_that_is_gone_is_missed(folder):
    shutil.rmtree(folder / "part-00002")
    file = folder / "part-00000" / "accounts.parquet"
    remedy = "there are 2: restore those that are missing, or write the dataset again"
    refused(f"{file}: /: a file of 3 partitions: {remedy}", Dataset.open, folder)


@pytest.mark.parametrize("name", ["positions-1.parquet", "instruments.parquet"])
def test_a_table_that_no_partition_has_is_named(folder, name):
    file = folder / "part-00001" / name
    shutil.copy(folder / "part-00001" / "positions.parquet", file)
    remedy = "a partition has accounts.parquet and positions.parquet alone: add its rows to these, or move it"
    refused(f"{file}: /: a file too many: {remedy}", Dataset.open, folder)


def test_a_version_that_is_not_known_is_named(folder):
    file = folder / "part-00001" / "positions.parquet"
    change(file, **{"fastadl.format": "2"})
    remedy = "this version reads format 1: write the dataset again with it"
    refused(f"{file}: /: format 2 of a dataset: {remedy}", Dataset.open, folder)


def test_columns_that_differ_between_partitions_are_named(folder):
    first, file = (folder / f"part-0000{i}" / "accounts.parquet" for i in (0, 1))
    change(file, pl.col("adl_tier").cast(pl.Int16))
    remedy = f"columns are the same in all partitions: Int64 in {first}"
    refused(f"{file}: /accounts/adl_tier: Int16: {remedy}", Dataset.open, folder)
    pl.read_parquet(file).drop("adl_tier").write_parquet(file)
    refused(f"{file}: /accounts/adl_tier: no such column: {remedy}", Dataset.open, folder)


def test_columns_that_no_table_has_are_named(folder):
    file = folder / "part-00001" / "positions.parquet"
    change(file, pl.lit(1).alias("size"))
    remedy = "remove it; there are account, symbol, qty, lots, entry_price, entry_value, entry_value_atoms"
    refused(f"{file}: /positions/size: unknown column: {remedy}", Dataset.open, folder)


def test_what_is_no_dataset_is_refused(tmp_path, folder):
    refused(
        f"{tmp_path / 'no'}: /: no such folder: give the folder of a dataset", Dataset.open, tmp_path / "no"
    )
    EVERYTHING.write(tmp_path / "csv", format="csv")
    with pytest.raises(fa.InputError, match=r"instruments\.parquet: /: no such file"):
        Dataset.open(tmp_path / "csv")
    shutil.copy(folder / "part-00001" / "accounts.parquet", folder)
    file = folder / "accounts.parquet"
    remedy = "keep it, or the folders part-* beside it"
    refused(f"{file}: /: accounts beside partitions: {remedy}", Dataset.open, folder)


def test_bad_values_are_named_by_file_row_and_column(folder):
    listed = folder / "instruments.parquet"
    whole = listed.read_bytes()
    change(listed, pl.lit("linaer").alias("kind"))
    refused(f"{listed}: /instruments/0/kind: linaer: give linear, inverse, quanto", Dataset.open, folder)
    listed.write_bytes(whole)
    file = folder / "part-00001" / "positions.parquet"
    change(file, pl.lit("é").alias("account"))
    said = f"{file}: /positions/0/account: é: name an id of the accounts, or fund or market"
    refused(said, read_part, Dataset.open(folder), [0, 1])


def test_reserves_stand_beside_the_partitions(folder):
    file = folder / "part-00001" / "positions.parquet"
    change(file, pl.lit("fund").alias("account"))
    said = f"{file}: /positions/0/account: fund: move the row to reserves.parquet"
    refused(said, read_part, Dataset.open(folder), [1])
    file = folder / "reserves.parquet"
    change(file, pl.when(pl.col("symbol") == "B").then(pl.lit("é")).otherwise("account").alias("account"))
    row = pl.read_parquet(file)["account"].to_list().index("é")
    said = f"{file}: /positions/{row}/account: é: name an id of the accounts, or fund or market"
    refused(said, Dataset.open, folder)


def test_rows_of_reserves_among_others_are_named_where_they_stand(tmp_path):
    file = EVERYTHING.write(tmp_path / "book") / "positions.parquet"
    rows = pl.read_parquet(file)
    row = rows["account"].to_list().index("fund")
    change(file, pl.when(pl.col("account") == "fund").then(0).otherwise("lots").alias("lots"))
    said = f"{file}: /positions/{row}/lots: 0: a position holds at least one lot: leave the row out"
    refused(said, Dataset.open, tmp_path / "book")


def test_a_file_that_changes_while_it_is_in_use_is_named(folder):
    dataset = Dataset.open(folder)
    file = folder / "part-00002" / "accounts.parquet"
    pl.read_parquet(file).clear().write_parquet(file)
    remedy = "it had 1 when the dataset was opened: leave files alone while they are in use"
    refused(f"{file}: /: 0 rows: {remedy}", read_part, dataset, [2])


def test_sums_are_bounded_over_all_partitions_of_a_shard(tmp_path):
    many, most = 1024, 1 << 53
    instruments, *_ = EVERYTHING.to_frames()
    accounts = {
        "id": [f"a{i}" for i in range(many)],
        "currency": ["USD"] * many,
        "cash_atoms": [most] * many,
    }
    half = many // 2

    def part(own: slice) -> fa.Book:
        none = {"account": [], "symbol": [], "lots": [], "entry_value_atoms": []}
        return fa.Book.from_frames(instruments, {name: of[own] for name, of in accounts.items()}, none)

    parts = [part(slice(half)), part(slice(half, many))]
    dataset = Dataset.open(write_parts(parts, tmp_path / "set", shards=2))
    read_part(dataset, [0])
    with pytest.raises(fa.BoundsError) as error:
        read_part(dataset, [0, 1])
    assert error.value.file == str(tmp_path / "set")


# ---------------------------------------------------------------- who reads what


def sizes(tmp_path: Path, *positions: int) -> Dataset:
    """A dataset of partitions of so many positions each."""
    held = np.repeat(np.arange(len(positions)), positions)
    count = len(held)
    book = fa.Book.from_frames(
        EVERYTHING.to_frames()[0],
        {"id": [f"a{i}" for i in range(count)], "currency": ["USD"] * count, "cash": ["1"] * count},
        {
            "account": [f"a{i}" for i in range(count)],
            "symbol": ["X"] * count,
            "qty": ["0.1"] * count,
            "entry_price": ["100"] * count,
        },
    )
    return Dataset.open(write_dataset(book, tmp_path / "sizes", shards=len(positions), by=held))


def test_partitions_go_to_the_shard_that_holds_least(tmp_path):
    dataset = sizes(tmp_path, 2, 7, 3, 5, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert assign(dataset, 2) == [[1, 2], [0, 3, 4]]
        assert assign(dataset, 1) == [[0, 1, 2, 3, 4]]
        assert sorted(i for own in assign(dataset, 3) for i in own) == [0, 1, 2, 3, 4]


def test_shards_that_are_uneven_are_told_of(tmp_path):
    dataset = sizes(tmp_path, 1, 9, 1)
    told = "shard 0 of 2 gets 9 of 11 positions, 1.6 times the mean"
    with pytest.warns(UserWarning, match=told):
        assert assign(dataset, 2) == [[1], [0, 2]]
    with pytest.warns(UserWarning, match="shard 0 of 5 gets 9 of 11 positions"):
        assert [len(own) for own in assign(dataset, 5)].count(0) == 2
    refused("shards: 0: give a whole number from 1 to 32,768", assign, dataset, 0)


# ---------------------------------------------------------------- ranks among all


def ranked(parts: list[fa.Book], chunk: int, *, spans: bool = True) -> None:
    """Give every part its ranks among all, as shards do."""
    every = [Ranks(part, lambda name: []) for part in parts]
    for i, one in enumerate(every):
        for j, other in enumerate(every):
            if i == j or other.span is None or (spans and one.beside(other.span)):
                continue
            for ids in other.chunks(chunk):
                one.add(ids)
    for part, rank in zip(parts, every, strict=True):
        part.rank = rank.of_all()


@given(st.data())
def test_ranks_are_places_among_all_by_code_point(data):
    text = st.text("ab\N{GREEK SMALL LETTER ALPHA}\N{GRINNING FACE}\uffff", min_size=1, max_size=4)
    ids = data.draw(st.lists(text, min_size=1, max_size=30, unique=True))
    own = data.draw(st.lists(st.integers(0, 3), min_size=len(ids), max_size=len(ids)))
    none = {"account": [], "symbol": [], "lots": [], "entry_value_atoms": []}
    frames = EVERYTHING.to_frames()[0], {"id": ids, "currency": ["USD"] * len(ids)}, none
    if "cash" not in frames[1]:
        frames[1]["cash"] = ["0"] * len(ids)
    book = fa.Book.from_frames(*frames)
    parts = divide(book, 4, own)
    for part, _ in parts:
        part.rank = np.argsort(np.argsort(part.rank)).astype(np.int32)
    ranked([part for part, _ in parts], data.draw(st.integers(1, 9)), spans=data.draw(st.booleans()))
    for part, codes in parts:
        assert part.rank.dtype == np.int32
        assert part.rank.tolist() == book.rank[codes].tolist()
    assert [ids[i] for i in np.argsort(book.rank)] == sorted(ids)


def test_ranks_of_shards_that_read_for_themselves_are_those_of_one_book(tmp_path):
    dataset = Dataset.open(write_dataset(BOOK, tmp_path / "set", shards=5, by="hash"))
    whole = dataset.book()
    own = assign(dataset, 3)
    parts = [read_part(dataset, some) for some in own]
    ranked(parts, 50)
    for part, some in zip(parts, own, strict=True):
        assert part.rank.tolist() == whole.rank[dataset.codes(some)].tolist()


def test_spans_are_enough_where_ids_do_not_mix(tmp_path):
    parts = [part for part, _ in divide(BOOK, 3, "order")]
    one, two, three = (Ranks(part, lambda name: []) for part in parts)
    assert two.beside(one.span)
    assert two.beside(three.span)
    first = len(parts[0].accounts)
    assert two.of_all().tolist() == [first + i for i in range(len(parts[1].accounts))]
    mixed, other = (Ranks(part, lambda name: []) for part, _ in divide(BOOK, 2, "round_robin"))
    assert not mixed.beside(other.span)
    assert not mixed.beside(mixed.span)


def test_more_accounts_than_ranks_are_refused():
    mine = Ranks(EVERYTHING, lambda name: [])
    assert mine.beside(("0", "1", MOST_ACCOUNTS - 5))
    assert mine.of_all().max() == MOST_ACCOUNTS - 1
    assert mine.beside(("😁", "😁", 1))
    refused("accounts: 2147483649: all shards together have at most 2,147,483,648 accounts", mine.of_all)


def test_a_dataset_of_more_accounts_than_ranks_is_refused(folder, monkeypatch):
    monkeypatch.setattr(ranks, "MOST_ACCOUNTS", 5)
    dataset = Dataset.open(folder)
    monkeypatch.setattr(ranks, "MOST_ACCOUNTS", 4)
    refused("accounts: 5: all shards together have at most 4 accounts", Dataset.open, folder)
    assert len(dataset.book().accounts) == 5


@pytest.mark.parametrize("name", ["é", "b", "😀", "a", "Z"])
def test_an_account_in_two_shards_is_named_with_both_partitions(folder, name):
    extra = folder / "part-00003"
    shutil.copytree(folder / "part-00002", extra)
    for file in folder.rglob("*.parquet"):
        change(file, **{"fastadl.partitions": "4"})
    change(extra / "accounts.parquet", pl.lit(name).alias("id"))
    dataset = Dataset.open(folder)
    before = next(
        f"row {part['id'].to_list().index(name)} of {file}"
        for file in sorted(folder.glob("part-*/accounts.parquet"))
        if name in (part := pl.read_parquet(file))["id"].to_list()
    )
    remedy = f"ids are unique, and {before} has this one: keep each account in one partition"
    said = f"{extra / 'accounts.parquet'}: /accounts/0/id: {name}: {remedy}"
    refused(said, read_part, dataset, [0, 1, 2, 3])
    one, two = (Ranks(read_part(dataset, own), dataset.found) for own in ([0, 1, 2], [3]))
    for mine, theirs in ((one, two), (two, one)):
        assert not mine.beside(theirs.span)

        def add(mine=mine, theirs=theirs) -> None:
            for ids in theirs.chunks():
                mine.add(ids)

        refused(said, add)


# ---------------------------------------------------------------- books drawn part by part

DRAWN = {"positions": 1003, "accounts": 402, "instruments": 7, "seed": 5}


def test_parts_drawn_one_by_one_are_one_book(tmp_path):
    parts = list(synth.parts("whale", **DRAWN, shards=4))
    assert [len(part) - np.count_nonzero(part.reserve_lots) for part in parts] == [251, 251, 251, 250]
    ids = [f"a{i:07d}" for i in range(402)]
    assert [name for part in parts for name in part.accounts] == ids
    dataset = Dataset.open(write_parts(parts, tmp_path / "set", shards=4))
    book = dataset.book()
    assert fa.Engine(book).tick({}).liquidations.is_empty()
    lots = book.to_frames()[2].group_by("symbol").agg(pl.col("lots").sum())["lots"]
    assert lots.to_list() == [0] * 7


def test_parts_drawn_one_by_one_are_drawn_again_from_the_same_seed():
    one, two = (list(synth.parts("pareto", **DRAWN, shards=3)) for _ in range(2))
    for left, right in zip(one, two, strict=True):
        testing.assert_books_equal(left, right)
    first, second, _ = one
    assert not (first.cash[:134] == second.cash[:134]).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shards": 0}, "shards: 0: give a whole number from 1 to 32,768"),
        ({"shards": 403}, "accounts: 402: give at least 403"),
        ({"accounts": 1 << 32}, "accounts: 4294967296: give at most 2147483648"),
        ({"positions": 3}, "positions: 3: give at least 4"),
        ({"seed": -1}, "seed: -1: give at least 0"),
    ],
)
def test_parts_that_cannot_be_drawn_are_refused_at_once(changes, said):
    refused(said, lambda: synth.parts("pareto", **DRAWN | {"shards": 4} | changes))


def test_parts_that_fit_no_memory_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    synth.parts("pareto", **DRAWN, shards=4)
    monkeypatch.setattr(memory, "available", lambda: 9000)
    with pytest.raises(fa.MemoryLimitError, match="251 positions of 101 accounts"):
        synth.parts("pareto", **DRAWN, shards=4)
