"""The border: every spelling of a number, frames and files there and back, exactly."""

from __future__ import annotations

import io as std_io
import os
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastadl import Book, io
from fastadl.contracts import Kind
from fastadl.decimals import exact, plain
from fastadl.errors import InputError
from fastadl.io.index import Index
from fastadl.io.numbers import numbers
from fastadl.io.table import Table
from fastadl.kernels import lookup
from fastadl.kernels.wide import muldiv
from fastadl.schema import ROW_BOUND, TABLES
from fastadl.schema import TIERS as TIER_COLUMNS

TIERS = [
    {"min_notional": "0", "maintenance_rate": "0.005", "max_leverage": "100"},
    {"min_notional": "1000.5", "maintenance_rate": "0.0123"},
]
INSTRUMENTS: dict[str, Any] = {
    "symbol": ["BTC-PERP", "BTCUSD", "nikkei"],
    "kind": ["linear", "inverse", "quanto"],
    "contract_size": ["1", "100", "0.25"],
    "lot": ["0.001", "1", "2"],
    "tiers": [TIERS, TIERS[:1], [{**TIERS[0], "deduction": "0"}, {**TIERS[1], "deduction": "7.3036"}]],
    "currency": ["USD", "BTC", "USD"],
    "decimals": [6, 8, 6],
    "mark": ["41000.5", None, "30000"],
}
ACCOUNTS: dict[str, Any] = {
    "id": ["ann", "bob", "cy", 'd,"e\n'],
    "currency": ["USD", "BTC", "USD", "USD"],
    "cash": ["800", "-0.00000001", "123.456789", "0"],
    "owner": ["ann", None, "ann", "dee"],
    "margin_mode": ["cross", "cross", "isolated", "cross"],
    "adl_tier": [0, 255, 1, 0],
}
POSITIONS: dict[str, Any] = {
    "account": ["cy", "ann", "ann", "bob", "fund", "market"],
    "symbol": ["BTC-PERP", "nikkei", "nikkei", "BTCUSD", "BTCUSD", "BTC-PERP"],
    "qty": ["0.007", "4", "-2", "7", "-3", "-12.5"],
    "entry_price": ["41234.56789", "30000.1", None, "50000", "46000", None],
    "entry_value": [None, None, "-15000.000001", None, None, "0"],
}


def a_book() -> Book:
    return Book.from_frames(INSTRUMENTS, ACCOUNTS, POSITIONS)


def same(one: Book, other: Book) -> bool:
    frames = zip(one.to_frames(), other.to_frames(), strict=True)
    return all(left.equals(right) for left, right in frames) and list(one.instruments) == list(
        other.instruments
    )


def positions_of(**columns: Any) -> Any:
    """Rows of ann in BTC-PERP, one lot each if nothing else is said."""
    height = max(len(values) for values in columns.values())
    rows = {"account": ["ann"] * height, "symbol": ["BTC-PERP"] * height, **columns}
    if "qty" not in rows and "lots" not in rows:
        rows["lots"] = [1] * height
    if not {"entry_price", "entry_value", "entry_value_atoms"} & set(rows):
        rows["entry_value"] = ["0"] * height
    return io.tables(INSTRUMENTS, ACCOUNTS, rows)[2]


# ---------------------------------------------------------------------- values


def test_tables_are_integers() -> None:
    instruments, accounts, positions = io.tables(INSTRUMENTS, ACCOUNTS, POSITIONS)
    assert instruments.currencies == ("BTC", "USD")
    assert [item.kind for item in instruments] == [Kind.LINEAR, Kind.INVERSE, Kind.QUANTO]
    assert instruments[0].mark == Fraction("41000.5")
    assert instruments[0].tiers[1].min_notional == 1000_500_000
    assert instruments[0].tiers[1].deduction == Fraction("1000.5") * Fraction("0.0073") * 10**6
    assert accounts.id.to_list() == ACCOUNTS["id"]
    assert accounts.owner is not None
    assert accounts.owner.to_list() == ["ann", "bob", "ann", "dee"]
    assert accounts.currency.tolist() == [1, 0, 1, 1]
    assert accounts.currency.dtype == np.int16
    assert accounts.cash.tolist() == [800_000_000, -1, 123_456_789, 0]
    assert accounts.isolated.tolist() == [False, False, True, False]
    assert accounts.adl_tier.tolist() == [0, 255, 1, 0]
    assert accounts.adl_tier.dtype == np.uint8
    assert positions.account.tolist() == [2, 0, 0, 1, -1, -2]
    assert positions.account.dtype == positions.instrument.dtype == np.int32
    assert positions.instrument.tolist() == [0, 2, 2, 1, 1, 0]
    assert positions.lots.tolist() == [7, 2, -1, 7, -3, -12500]
    assert positions.lots.dtype == positions.entry_value.dtype == np.int64
    assert positions.entry_value.tolist() == [
        288_641_976,  # ceil(0.007 · 41234.56789 · 10^6) = ceil(288641975.23)
        30_000_100_000,
        -15_000_000_001,
        -1_400_000,
        652_174,  # ceil(300 / 46000 · 10^8) = ceil(652173.91)
        0,
    ]


def test_entries_may_be_prices_and_values_in_any_mixture() -> None:
    mixed = {"lots": [1, 2, 3], "symbol": ["BTC-PERP", "nikkei", "nikkei"], "account": ["ann", "ann", "cy"]}
    expected = [50_000_000, 7, 15_000_000]
    for price, value in (
        (["50000", None, Decimal(10)], [None, "0.000007", None]),
        ([50000.0, None, 10.0], [None, 0.000007, None]),
        ([50000, None, 10], [None, Decimal("0.000007"), None]),
        ([None, None, None], ["50", Decimal("0.000007"), 15]),
    ):
        rows = positions_of(**mixed, entry_price=price, entry_value=value)
        assert rows.entry_value.tolist() == expected


def test_owner_is_the_id() -> None:
    for owners in (["ann", "bob", "cy", 'd,"e\n'], [None] * 4):
        assert io.tables(INSTRUMENTS, {**ACCOUNTS, "owner": owners}, POSITIONS)[1].owner is None


@pytest.mark.parametrize(
    "qty",
    [
        ["0.123", "-4.500"],
        [0.123, -4.5],
        [Decimal("0.123"), Decimal("-4.50")],
        pl.Series([Decimal("0.123"), Decimal("-4.5")], dtype=pl.Decimal(20, 5)),
        np.array([0.123, -4.5]),
        np.array(["0.123", "-4.5"]),
        np.array(["0.123", -4.5], dtype=object),
        ("0.123", Decimal("-4.5")),
        [Fraction(123, 1000), Fraction(-9, 2)],
        ["0.123" + "0" * 30, "-0004.5"],
    ],
    ids=lambda values: f"{type(values).__name__}-{type(values[0]).__name__}",
)
def test_every_spelling_of_a_quantity(qty: Any) -> None:
    assert positions_of(qty=qty).lots.tolist() == [123, -4500]


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int32, pl.Int64, pl.Int128, pl.UInt16, pl.UInt64])
def test_integers_are_whole_contracts_and_units(dtype: Any) -> None:
    whole = pl.Series([3], dtype=dtype)
    assert positions_of(qty=whole, entry_price=whole).entry_value.tolist() == [9_000_000]
    assert positions_of(qty=whole, entry_value=whole).entry_value.tolist() == [3_000_000]
    assert positions_of(lots=whole, entry_value_atoms=whole).entry_value.tolist() == [3]
    assert positions_of(lots=whole, entry_value_atoms=whole).lots.tolist() == [3]
    cash = io.tables(
        INSTRUMENTS, {"id": ["a"], "currency": ["BTC"], "cash": whole}, {**POSITIONS, **no_rows()}
    )[1].cash
    assert cash.tolist() == [300_000_000]


def no_rows() -> dict[str, list[Any]]:
    return {name: [] for name in POSITIONS}


@pytest.mark.parametrize(
    "dtype", [pl.Categorical, pl.Enum(["ann", "bob", "cy", "fund", "market", "BTC-PERP", "BTCUSD", "nikkei"])]
)
def test_texts_may_be_categories(dtype: Any) -> None:
    frame = pl.DataFrame(POSITIONS).with_columns(pl.col("account", "symbol").cast(dtype))
    plain_frame = pl.DataFrame(POSITIONS)
    assert same(
        Book.from_frames(INSTRUMENTS, ACCOUNTS, frame), Book.from_frames(INSTRUMENTS, ACCOUNTS, plain_frame)
    )


def test_frames_may_be_lazy_or_mappings() -> None:
    tiers = {"tiers": pl.List(pl.Struct({column.name: pl.String for column in TIER_COLUMNS}))}
    eager = [
        pl.DataFrame(INSTRUMENTS, schema_overrides=tiers),
        pl.DataFrame(ACCOUNTS),
        pl.DataFrame(POSITIONS),
    ]
    lazy = [frame.lazy() for frame in eager]
    mapped = [frame.to_dict() for frame in eager]
    for given_tables in (eager, lazy, mapped):
        assert same(Book.from_frames(*given_tables), a_book())


def test_arrow_tables_are_taken() -> None:
    class Arrow:
        def __init__(self, frame: pl.DataFrame) -> None:
            self._frame = frame

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self._frame.__arrow_c_stream__(requested_schema)

    frames = (Arrow(frame) for frame in a_book().to_frames())
    assert same(Book.from_frames(*frames), a_book())


def test_rows_in_several_chunks() -> None:
    frame = pl.concat([pl.DataFrame(POSITIONS)[:2], pl.DataFrame(POSITIONS)[2:]], rechunk=False)
    accounts = pl.concat([pl.DataFrame(ACCOUNTS)[:1], pl.DataFrame(ACCOUNTS)[1:]], rechunk=False)
    assert same(Book.from_frames(INSTRUMENTS, accounts, frame), a_book())


def test_defaults() -> None:
    instruments = {
        name: INSTRUMENTS[name][:1] for name in ("symbol", "kind", "contract_size", "lot", "tiers")
    }
    listed, accounts, positions = io.tables(
        instruments, {"id": ["a"], "cash": [1]}, {"account": [], "symbol": [], "qty": [], "entry_price": []}
    )
    assert (listed[0].currency, listed[0].decimals, listed[0].mark) == ("USD", 6, None)
    assert (accounts.cash[0], accounts.currency[0], accounts.isolated[0], accounts.adl_tier[0]) == (
        10**6,
        0,
        False,
        0,
    )
    assert accounts.owner is None
    assert len(positions.lots) == 0


def test_a_book_without_instruments_has_a_currency() -> None:
    none = {name: [] for name in INSTRUMENTS}
    listed, accounts, _ = io.tables(
        none, {"id": ["a"], "cash": ["1.00000001"]}, no_rows(), currency="BTC", decimals=8
    )
    assert listed.currencies == ("BTC",)
    assert accounts.cash.tolist() == [100_000_001]


def test_a_book_without_accounts_may_have_a_fund() -> None:
    rows = {"account": ["fund"], "symbol": ["BTCUSD"], "lots": [-3], "entry_price": [46000.0]}
    positions = io.tables(INSTRUMENTS, {name: [] for name in ACCOUNTS}, rows)[2]
    assert positions.entry_value.tolist() == [652_174]


def test_bounds_are_inclusive_and_do_not_bind_the_fund() -> None:
    rows = {"account": ["ann", "fund"], "symbol": ["BTC-PERP", "nikkei"], "entry_value": ["0", "0"]}
    positions = io.tables(INSTRUMENTS, ACCOUNTS, {**rows, "lots": [ROW_BOUND, -ROW_BOUND - 1]})[2]
    assert positions.lots.tolist() == [2**53, -(2**53) - 1]
    exempt = {"account": ["market"], "symbol": ["BTC-PERP"], "lots": [2**30], "entry_value": ["10000000000"]}
    assert io.tables(INSTRUMENTS, ACCOUNTS, exempt)[2].entry_value.tolist() == [10**16]


# ---------------------------------------------------------------------- exact numbers


def read_column(values: Any) -> list[Fraction]:
    table = Table("accounts", {"id": ["x"] * len(values), "cash": values})
    found = numbers(table, "cash")
    table.finish()
    return [found.at(row) for row in range(len(values))]


FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1e-9, 1e9),
    st.decimals(-(10**7), 10**7, places=4).map(float),
    st.integers(-(2**60), 2**60).map(float),
)


@settings(deadline=None, derandomize=True)
@given(st.lists(FLOATS, min_size=1))
@example(
    [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e22, 1e23, 9007199254740993.0, 2.0**-40, 123456789012345.6]
)
def test_a_float_means_its_shortest_decimal(values: list[float]) -> None:
    assert read_column(values) == [Fraction(Decimal(repr(value))) for value in values]
    assert read_column(pl.Series(values, dtype=pl.Float64)) == [exact(value) for value in values]


@settings(deadline=None, derandomize=True)
@given(
    st.lists(
        st.from_regex(
            r"-?[0-9]{1,25}(\.[0-9]{1,25})?|-?[0-9]{1,4}\.0{1,25}[1-9]{0,3}0{0,25}5?", fullmatch=True
        ),
        min_size=1,
    )
)
@example(
    [
        "1.500000000000000000000",
        "0.000000000000000000000000012300",
        "999999999999999999.9",
        "99999999999999999",
        "-0.0",
    ]
)
def test_a_text_means_what_it_says(values: list[str]) -> None:
    assert read_column(values) == [exact(value) for value in values]


@settings(deadline=None, derandomize=True)
@given(st.text(st.sampled_from("0159.-+eE \n,\"'_x٣"), max_size=8))
@example("")
@example("\n")
@example("1\n2")
def test_a_text_is_refused_if_and_only_if_it_is_no_decimal(text: str) -> None:
    try:
        value = exact(text)
    except ValueError:
        with pytest.raises(InputError) as caught:
            read_column(["1", text, "2"])
        assert caught.value.path == ("accounts", 1, "cash")
        assert caught.value.value == text
    else:
        assert read_column(["1", text, "2"]) == [1, value, 2]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=6), min_size=1))
def test_a_decimal_is_exact(values: list[Decimal]) -> None:
    assert read_column(values) == [Fraction(value) for value in values]


POSITIVE = st.decimals("0.000001", "9999999", places=6).map(lambda value: format(value, "f"))
PRICES = st.one_of(
    POSITIVE, st.floats(1e-9, 1e7).map(repr).map(Decimal).map(lambda value: format(value, "f"))
)


@settings(deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(["linear", "inverse", "quanto"]),
    contract_size=POSITIVE,
    lot=POSITIVE,
    decimals=st.integers(0, 12),
    lots=st.integers(-(10**6), 10**6).filter(bool),
    price=PRICES,
)
@example("linear", "1", "0.001", 6, -7, "41234.56789012345")
@example("linear", "1", "1", 12, 1, "99999999999999999")
@example("linear", "1", "1000", 6, 123, "0.000012345678901234567")
@example("inverse", "100", "1", 8, -3, "46000")
@example("inverse", "7", "3", 8, 999983, "0.1234567890123456")
def test_entry_value_is_rounded_against_the_holder(
    kind: str, contract_size: str, lot: str, decimals: int, lots: int, price: str
) -> None:
    """Rule R11."""
    instruments = {
        "symbol": ["X"],
        "kind": [kind],
        "contract_size": [contract_size],
        "lot": [lot],
        "decimals": [decimals],
        "tiers": [TIERS],
    }
    rows = {"account": ["market"], "symbol": ["X"], "lots": [lots], "entry_price": [price]}
    scale = Fraction(contract_size) * Fraction(lot) * 10**decimals
    unit = -scale / Fraction(price) if kind == "inverse" else scale * Fraction(price)
    expected = ceil(lots * unit)
    if abs(expected) > 2**62:
        with pytest.raises(InputError) as caught:
            io.tables(instruments, {"id": [], "cash": []}, rows)
        assert caught.value.pointer in {"/positions/0/entry_price", "/accounts"}
    else:
        assert io.tables(instruments, {"id": [], "cash": []}, rows)[2].entry_value.tolist() == [expected]


@settings(deadline=None, derandomize=True)
@given(lot=POSITIVE, lots=st.integers(-(10**9), 10**9).filter(bool), off=st.booleans())
def test_a_quantity_is_a_whole_number_of_lots(lot: str, lots: int, off: bool) -> None:
    instruments = {**{name: values[:1] for name, values in INSTRUMENTS.items()}, "lot": [lot]}
    qty = Fraction(lot) * lots + (Fraction(lot) / 2 if off else 0)
    rows = {"account": ["market"], "symbol": ["BTC-PERP"], "qty": [plain(qty)], "entry_value": ["0"]}
    if off:
        with pytest.raises(InputError, match="give a multiple of the lot"):
            io.tables(instruments, {"id": [], "cash": []}, rows)
    else:
        assert io.tables(instruments, {"id": [], "cash": []}, rows)[2].lots.tolist() == [lots]


@settings(deadline=None, derandomize=True)
@given(
    x=st.integers(-(2**62) + 1, 2**62 - 1),
    y=st.integers(0, 62).flatmap(lambda bits: st.integers(0, 2**bits - 1)),
    z=st.integers(1, 62).flatmap(lambda bits: st.integers(1, 2**bits - 1)),
)
@example(-2_999_999_999, 2_999_999_999, 4 * 10**18)  # a product within 64 bits, a divisor more is not
def test_muldiv(x: int, y: int, z: int) -> None:
    if abs(x) * y // z < 2**62 - 1:
        assert muldiv(np.int64(x), np.int64(y), np.int64(z)) == divmod(x * y, z)


@settings(deadline=None, derandomize=True)
@given(
    quotient=st.integers(0, 2**52),
    z=st.integers(2**20, 2**58 - 1),
    rest=st.integers(0, 2**58),
    bits=st.integers(2, 60),
    negative=st.booleans(),
)
@example(2**52, 2**58 - 1, 0, 55, False)
@example(2**40 + 1, 10**14, 10**14 - 1, 45, True)
@example(999_999_999_999, 10**17, 1, 50, False)
def test_muldiv_beside_a_whole_quotient(quotient: int, z: int, rest: int, bits: int, negative: bool) -> None:
    """Products beyond 64 bits, a quotient close to what float64 tells."""
    product = quotient * z + rest % z
    y = max(1, product >> bits)
    x = product // y
    if x < 2**62 and y < 2**62:
        x = -x if negative else x
        assert muldiv(np.int64(x), np.int64(y), np.int64(z)) == divmod(x * y, z)


def test_one_text_is_found_as_many_are():
    index = Index(pl.Series(["a", "b", "ß"]), {"later": 3})
    asked = ["ß", "a", "c", "later", "", "b"]
    assert (
        [index.one(text) for text in asked] == index.find(pl.Series(asked)).tolist() == [2, 0, -1, 3, -1, 1]
    )


def test_an_index_survives_equal_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ids of one hash are told apart by another seed."""
    entered = lookup.index
    calls = []

    def clashing(hashes: Any, table: Any) -> int:
        calls.append(len(hashes))
        return 1 if len(calls) == 1 else int(entered(hashes, table))

    monkeypatch.setattr(lookup, "index", clashing)
    index = Index(pl.Series(["a", "b"]))
    assert calls == [2, 2]
    assert index.duplicate is None
    assert index.find(pl.Series(["b", "b", "x", "a"])).tolist() == [1, 1, -1, 0]


def test_a_found_hash_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(pl.Series(["a", "b"]))
    monkeypatch.setattr(index, "_hash", lambda texts: np.repeat(index._hashes[:1], len(texts)))
    assert index.find(pl.Series(["x", "a", "y"])).tolist() == [-1, 0, -1]


# ---------------------------------------------------------------------- there and back


def test_frames_are_the_integer_spelling() -> None:
    instruments, accounts, positions = a_book().to_frames()
    assert accounts.schema == {
        "id": pl.String,
        "currency": pl.String,
        "cash_atoms": pl.Int64,
        "owner": pl.String,
        "margin_mode": pl.String,
        "adl_tier": pl.Int64,
    }
    assert positions.schema == {
        "account": pl.String,
        "symbol": pl.String,
        "lots": pl.Int64,
        "entry_value_atoms": pl.Int64,
    }
    assert instruments["tiers"].to_list()[0] == [
        {"min_notional": "0", "maintenance_rate": "0.005", "deduction": "0", "max_leverage": "100"},
        {
            "min_notional": "1000.5",
            "maintenance_rate": "0.0123",
            "deduction": "7.30365",
            "max_leverage": None,
        },
    ]
    assert instruments["mark"].to_list() == ["41000.5", None, "30000"]
    assert positions.rows()[-2:] == [("fund", "BTCUSD", -3, 652174), ("market", "BTC-PERP", -12500, 0)]
    for frame, table in zip((instruments, accounts, positions), TABLES.values(), strict=True):
        assert set(frame.columns) <= {column.name for column in table}


def test_frames_give_the_same_book() -> None:
    book = a_book()
    assert same(Book.from_frames(*book.to_frames()), book)


def test_an_empty_book_there_and_back(tmp_path: Path) -> None:
    none = [{name: [] for name in table} for table in (INSTRUMENTS, ACCOUNTS, POSITIONS)]
    book = Book.from_frames(*none)
    assert same(Book.from_frames(*book.to_frames()), book)
    for ending in ("parquet", "arrow", "csv"):
        assert same(Book.read(book.write(tmp_path / ending, format=ending)), book)


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv"])
def test_files_give_the_same_book(tmp_path: Path, format: str) -> None:
    book = a_book()
    folder = book.write(tmp_path / "new" / "book", format=format)
    assert sorted(os.listdir(folder)) == [
        f"{name}.{format}" for name in ("accounts", "instruments", "positions")
    ]
    assert os.listdir(folder.parent) == ["book"]
    assert same(Book.read(folder), book)
    assert same(Book.read({name: folder / f"{name}.{format}" for name in TABLES}), book)


@pytest.mark.parametrize("ending", ["ipc", "feather"])
def test_other_endings_of_arrow_files(tmp_path: Path, ending: str) -> None:
    folder = a_book().write(tmp_path / "book", format="arrow")
    for name in TABLES:
        (folder / f"{name}.arrow").rename(folder / f"{name}.{ending}")
    assert same(Book.read(folder), a_book())


def test_csv_numbers_stay_texts(tmp_path: Path) -> None:
    instruments = pl.DataFrame(
        {**INSTRUMENTS, "tiers": ['[{"min_notional": 0, "maintenance_rate": 0.005}]'] * 3}
    )
    cash = ["9007199254.740991", "0.1", "123.456789", "0"]
    columns = {**ACCOUNTS, "currency": ["USD"] * 4, "cash": cash}
    instruments.write_csv(tmp_path / "instruments.csv")
    pl.DataFrame(columns).write_csv(tmp_path / "accounts.csv")
    pl.DataFrame(POSITIONS)[1:3].write_csv(tmp_path / "positions.csv")
    book = Book.read(tmp_path)
    assert book.cash.tolist() == [2**53 - 1, 100_000, 123_456_789, 0]
    assert book.instruments[0].tiers[0].maintenance_rate == Fraction(5, 1000)


def test_a_written_folder_may_be_there_and_empty(tmp_path: Path) -> None:
    assert a_book().write(tmp_path) == tmp_path
    assert same(Book.read(str(tmp_path)), a_book())


#: As polars raises it on a disk that is full.
FULL = "parquet: File out of specification: underlying IO error: No space left on device (os error 28)"


@pytest.mark.parametrize(
    "failure",
    [OSError(28, "No space left on device"), pl.exceptions.ComputeError(FULL), KeyboardInterrupt()],
)
def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    written = []

    def fail(frame: pl.DataFrame, path: Path) -> None:
        path.write_bytes(b"half")
        written.append(path)
        if len(written) == 2:
            raise failure

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else InputError
    with pytest.raises(expected) as caught:
        a_book().write(tmp_path / "book")
    assert len(written) == 2
    assert list(tmp_path.iterdir()) == []
    if isinstance(caught.value, InputError):
        assert caught.value.file == str(tmp_path / "book")
        assert caught.value.value == "No space left on device"


def test_a_new_file_replaces_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("before")
    (tmp_path / "link").symlink_to("there")
    with io.new_file(tmp_path / "link") as partial:
        partial.write_text("after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "after"


def test_the_book_owns_its_columns() -> None:
    cash = np.array([10, 20, 30, 40])
    lots = np.array([5])
    book = Book.from_frames(
        INSTRUMENTS,
        {"id": ["a", "b", "c", "d"], "currency": ["USD"] * 4, "cash_atoms": cash},
        {"account": ["b"], "symbol": ["BTC-PERP"], "lots": lots, "entry_value_atoms": np.array([7])},
    )
    before = book.to_frames()
    cash[:] = 0
    lots[:] = 1
    assert all(left.equals(right) for left, right in zip(book.to_frames(), before, strict=True))


def test_polars_writes_the_shortest_decimal_of_a_float() -> None:
    """What the border relies on where 15 digits are not enough."""
    bits = np.random.default_rng(7).integers(0, 2**63, 2000, dtype=np.int64).view(np.float64)
    values = [*bits[np.isfinite(bits)].tolist(), *(2.0 ** np.arange(-1074.0, 1024.0, 7.0)).tolist()]
    buffer = std_io.BytesIO()
    pl.DataFrame({"x": values}).write_csv(buffer, include_header=False)
    written = buffer.getvalue().decode().split()
    assert [Decimal(text) for text in written] == [Decimal(repr(value)) for value in values]
