"""Every way to get a book wrong: where the error points, what it says, that nothing is left behind."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fastadl import Book, io
from fastadl.errors import BoundsError, InputError

TIER = {"min_notional": "0", "maintenance_rate": "0.01"}
NEXT = {"min_notional": "1000", "maintenance_rate": "0.02"}
BASE: dict[str, dict[str, Any]] = {
    "instruments": {
        "symbol": ["X", "Y", "Z"],
        "kind": ["linear", "inverse", "linear"],
        "contract_size": ["1", "100", "1"],
        "lot": ["0.1", "1", "1"],
        "tiers": [[dict(TIER)], [dict(TIER), NEXT], [dict(TIER)]],
        "currency": ["USD", "BTC", "USD"],
        "decimals": [2, 8, 2],
        "mark": ["10", None, None],
    },
    "accounts": {
        "id": ["ann", "bob", "cy", "dee"],
        "currency": ["USD", "USD", "BTC", "USD"],
        "cash": ["100.00", "-5", "0", "7"],
        "owner": ["ann", "bob", "cy", "ann"],
        "margin_mode": ["cross", "cross", "cross", "isolated"],
        "adl_tier": [0, 1, 255, 0],
    },
    "positions": {
        "account": ["ann", "bob", "cy", "dee", "fund"],
        "symbol": ["X", "X", "Y", "X", "Z"],
        "qty": ["3.0", "-3", "2", "0.1", "5"],
        "entry_price": ["10", None, "50", "10.1", None],
        "entry_value": [None, "-30.00", None, None, "5"],
    },
}
GONE = object()


def refusal(tables: dict[str, dict[str, Any]]) -> InputError:
    with pytest.raises(InputError) as caught:
        io.tables(*tables.values())
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(caught.value.path[0])
    return caught.value


def changed(where: str, value: Any) -> dict[str, dict[str, Any]]:
    """The base with one column, or one cell, or one key of a tier replaced or taken away."""
    tables = copy.deepcopy(BASE)
    *path, last = [int(part) if part.isdigit() else part for part in re.split(r"[./]", where)]
    target: Any = tables
    for part in path:
        target = target[part]
    if value is GONE:
        del target[last]
    else:
        target[last] = value
    return tables


def test_the_base_is_a_book() -> None:
    assert len(Book.from_frames(*BASE.values())) == 5


LOT = "give a multiple of the lot 0.1"
NULL = "give a value in every row"
TEXT = "give texts"
EMPTY = "give a text that is not empty"
DECIMAL = "write a decimal such as 12.5"
FINITE = "give a finite number"
NUMBERS = "give String, Decimal, Int64 or Float64"
INTEGERS = "give integers (Int64)"
ABOVE = "give a number above 0"
BOUND = "keep it within ±2^53 (rule R1)"
DECIMALS = "has 2 decimals: give no finer amount"

#: what is changed, to what; where the error points if not there; fragment of the remedy
CASES: list[tuple[str, Any, str | None, str]] = [
    # instruments
    ("instruments.symbol", GONE, None, "add a column symbol"),
    ("instruments.Symbol", ["X", "Y", "Z"], None, "remove it; there are symbol, kind"),
    ("instruments.symbol", ["X", "Y"], "instruments.kind", "give 2, as many as the first column has"),
    ("instruments.symbol", "XYZ", None, "give a list, a one-dimensional array or a Series"),
    ("instruments.lot", np.ones((3, 1)), None, "give a list, a one-dimensional array or a Series"),
    ("instruments.symbol.1", None, None, EMPTY),
    ("instruments.symbol.1", "", None, EMPTY),
    ("instruments.symbol.1", 5, None, EMPTY),
    ("instruments.symbol.1", "\ud800", None, EMPTY),
    ("instruments.symbol.2", "X", None, "symbols are unique; row 0 has this one"),
    ("instruments.kind.1", "Inverse", None, "give linear, inverse, quanto"),
    ("instruments.kind.1", None, None, "give linear, inverse, quanto"),
    ("instruments.contract_size.1", "0", None, ABOVE),
    ("instruments.contract_size.1", -1, None, ABOVE),
    ("instruments.contract_size.1", None, None, "give a decimal text, Decimal, integer or float"),
    ("instruments.contract_size.1", "1e2", None, DECIMAL),
    ("instruments.lot.0", "0.0", None, ABOVE),
    ("instruments.lot.0", float("nan"), None, FINITE),
    ("instruments.lot.0", True, None, "not true or false"),
    ("instruments.mark.0", "0", None, ABOVE),
    ("instruments.mark.0", -0.5, None, ABOVE),
    ("instruments.mark.0", float("inf"), None, FINITE),
    ("instruments.mark.0", Decimal("NaN"), None, FINITE),
    ("instruments.currency.0", "", None, EMPTY),
    ("instruments.decimals.0", 13, None, "give an integer from 0 to 12"),
    ("instruments.decimals.0", -1, None, "give an integer from 0 to 12"),
    ("instruments.decimals.0", 2.0, None, "give an integer from 0 to 12"),
    ("instruments.decimals.0", None, None, "give an integer from 0 to 12"),
    ("instruments.decimals.2", 3, None, "USD has 2 decimals in an earlier row"),
    # tiers
    ("instruments.tiers.1", [], None, "give a list of at least one tier"),
    ("instruments.tiers.1", None, None, "give a list of at least one tier"),
    ("instruments.tiers.1", '[{"min_notional": "0"}]', None, "give a list of at least one tier"),
    ("instruments.tiers.1.1", "0", None, "give a struct of min_notional, maintenance_rate"),
    ("instruments.tiers.1.1.rate", "0", None, "remove it; there are min_notional"),
    ("instruments.tiers.1.1.min_notional", GONE, None, "every tier needs it"),
    ("instruments.tiers.1.1.maintenance_rate", GONE, None, "every tier needs it"),
    ("instruments.tiers.1.0.min_notional", "1", None, "the first tier starts at 0"),
    ("instruments.tiers.1.1.min_notional", "0", None, "give more than 0"),
    ("instruments.tiers.1.1.min_notional", "-5", None, "give more than 0"),
    ("instruments.tiers.1.1.min_notional", None, None, "give a decimal text"),
    ("instruments.tiers.1.1.maintenance_rate", "0.009", None, "rates do not fall: give at least 0.01"),
    ("instruments.tiers.1.1.maintenance_rate", "1", None, "give a rate in [0, 1)"),
    ("instruments.tiers.1.0.maintenance_rate", "-0.01", None, "give a rate in [0, 1)"),
    ("instruments.tiers.1.0.maintenance_rate", "1%", None, DECIMAL),
    ("instruments.tiers.1.1.deduction", "10", None, "give a deduction in all tiers or in none"),
    ("instruments.tiers.1.0.deduction", "0", "instruments.tiers.1.1.deduction", "in all tiers or in none"),
    ("instruments.tiers.1.0.deduction", "x", None, DECIMAL),
    ("instruments.tiers.1.1.max_leverage", "0", None, ABOVE),
    ("instruments.tiers.1.1.max_leverage", None, None, "give a decimal text"),
    # accounts
    ("accounts.id", GONE, None, "add a column id"),
    ("accounts.name", ["a"] * 4, None, "remove it; there are id, currency"),
    ("accounts.id", [1, 2, 3, 4], "accounts.id.0", TEXT),
    ("accounts.id.2", 3, None, "give a text"),
    ("accounts.id.2", None, None, NULL),
    ("accounts.id.2", "\ud800", None, "give a text"),
    ("accounts.id.2", "", None, EMPTY),
    ("accounts.id.2", "ann", None, "ids are unique"),
    ("accounts.id.2", "fund", None, "fund and market are reserved ids (rule R7)"),
    ("accounts.id.2", "market", None, "fund and market are reserved ids (rule R7)"),
    ("accounts.currency", GONE, None, "add the column: instruments settle in BTC, USD"),
    ("accounts.currency.2", "EUR", None, "instruments settle in BTC, USD"),
    ("accounts.currency.2", None, None, NULL),
    ("accounts.currency.2", "", None, "instruments settle in BTC, USD"),
    ("accounts.cash", GONE, None, "add a column cash or cash_atoms"),
    ("accounts.cash_atoms", [1, 2, 3, 4], None, "keep one of the two (rule R75)"),
    ("accounts.cash.1", None, None, NULL),
    ("accounts.cash.1", "", None, DECIMAL),
    ("accounts.cash.1", " 5", None, DECIMAL),
    ("accounts.cash.1", "1\n2", None, DECIMAL),
    ("accounts.cash.1", "0.001", None, DECIMALS),
    ("accounts.cash.1", "0." + "0" * 30 + "1", None, DECIMALS),
    ("accounts.cash.1", True, None, "not true or false"),
    ("accounts.cash", [True, False, True, True], "accounts.cash.0", NUMBERS),
    ("accounts.cash", [1.0, float("nan"), 2.0, 3.0], "accounts.cash.1", FINITE),
    ("accounts.cash", [1.0, 2.0, float("-inf"), 3.0], "accounts.cash.2", FINITE),
    ("accounts.cash", [1.0, 0.30000000000000004, 2.0, 3.0], "accounts.cash.1", DECIMALS),
    ("accounts.cash", np.ones(4, np.float32), "accounts.cash.0", NUMBERS),
    ("accounts.cash", [["1"]] * 4, "accounts.cash.0", "give a decimal text, Decimal, integer or float"),
    ("accounts.cash.1", "90071992547409.93", None, BOUND),
    ("accounts.cash.1", "-90071992547409.93", None, BOUND),
    ("accounts.cash.1", "1" + "0" * 30, None, BOUND),
    ("accounts.cash.1", 2**70, None, BOUND),
    ("accounts.owner.2", "", None, EMPTY),
    ("accounts.owner", [1, 2, 3, 4], "accounts.owner.0", TEXT),
    ("accounts.margin_mode.3", "Isolated", None, "give cross or isolated"),
    ("accounts.margin_mode.3", None, None, NULL),
    ("accounts.adl_tier.3", 256, None, "give 0 to 255"),
    ("accounts.adl_tier.3", -1, None, "give 0 to 255"),
    ("accounts.adl_tier.3", None, None, NULL),
    ("accounts.adl_tier.3", "1", None, "give an integer"),
    ("accounts.adl_tier", ["0", "1", "2", "3"], "accounts.adl_tier.0", INTEGERS),
    ("accounts.adl_tier", [0.0, 1.0, 2.0, 3.0], "accounts.adl_tier.0", INTEGERS),
    # positions
    ("positions.side", ["long"] * 5, None, "remove it; there are account, symbol"),
    ("positions.account", GONE, None, "add a column account"),
    ("positions.account.2", "zoe", None, "name an id of the accounts, or fund or market"),
    ("positions.account.2", "", None, EMPTY),
    ("positions.account.2", None, None, NULL),
    ("positions.symbol.3", "XX", None, "name one of the instruments, such as X"),
    ("positions.symbol.3", None, None, NULL),
    ("positions.symbol.3", "Y", None, "name one that settles in USD, as the account"),
    ("positions.qty", GONE, None, "add a column qty or lots"),
    ("positions.lots", [1] * 5, None, "keep one of the two (rule R75)"),
    ("positions.qty.3", "0.05", None, LOT),
    ("positions.qty.3", "0." + "3" * 30, None, LOT),
    ("positions.qty.3", "0", None, "at least one lot"),
    ("positions.qty.3", "-0.0", None, "at least one lot"),
    ("positions.qty.3", None, None, NULL),
    ("positions.qty.3", "900719925474099.3", None, BOUND),
    ("positions.qty.3", "-900719925474099.3", None, BOUND),
    ("positions.qty.3", "1" + "0" * 40, None, BOUND),
    ("positions.qty", [3.0, -3.0, 2.0, 0.15, 5.0], "positions.qty.3", LOT),
    ("positions.qty", [3.0, -3.0, float("nan"), 0.1, 5.0], "positions.qty.2", FINITE),
    ("positions.entry_price.3", None, None, "give entry_price or entry_value"),
    ("positions.entry_value.3", "1", None, "give entry_price or entry_value, not both"),
    ("positions.entry_price.3", "0", None, "give a price above 0"),
    ("positions.entry_price.3", "-1", None, "give a price above 0"),
    ("positions.entry_price.3", "-" + "1" * 30, None, "give a price above 0"),
    ("positions.entry_price.3", "1e5", None, DECIMAL),
    ("positions.entry_price.3", "1" + "0" * 15, None, BOUND),
    ("positions.entry_price.3", "1" + "0" * 40, None, BOUND),
    ("positions.entry_price.2", "0." + "0" * 40 + "1", None, BOUND),
    ("positions.entry_value.1", "30.00", None, "the row's value is negative: give that sign or 0"),
    ("positions.entry_value.4", "-0.01", None, "the row's value is positive: give that sign or 0"),
    ("positions.entry_value.1", "-30.001", None, DECIMALS),
    ("positions.entry_value.1", "-90071992547409.93", None, BOUND),
    ("positions.entry_value_atoms", [0] * 5, None, "keep one of the two (rule R75)"),
]


@pytest.mark.parametrize(
    ("where", "value", "at", "remedy"), CASES, ids=[f"{c[0]}={c[1]!a:.20}" for c in CASES]
)
def test_bad_input_is_named(where: str, value: Any, at: str | None, remedy: str) -> None:
    error = refusal(changed(where, value))
    expected = tuple(int(part) if part.isdigit() else part for part in (at or where).split("."))
    if expected[:2] == ("instruments", "tiers") and len(expected) > 2:
        expected = ("instruments", expected[2], "tiers", *expected[3:])
    elif len(expected) == 3:
        expected = (expected[0], expected[2], expected[1])
    assert error.path == expected
    assert remedy in error.remedy
    assert isinstance(error, BoundsError) == (remedy == BOUND)


def columns(table: str, **replaced: Any) -> dict[str, dict[str, Any]]:
    tables = copy.deepcopy(BASE)
    for name in ("qty", "entry_price", "entry_value") if table == "positions" else ("cash",):
        tables[table].pop(name)
    tables[table] |= replaced
    return tables


INTEGER_CASES: list[tuple[str, dict[str, Any], tuple[str | int, ...], str]] = [
    ("accounts", {"cash_atoms": [1.0, 2.0, 3.0, 4.0]}, ("accounts", 0, "cash_atoms"), INTEGERS),
    ("accounts", {"cash_atoms": ["1", "2", "3", "4"]}, ("accounts", 0, "cash_atoms"), INTEGERS),
    ("accounts", {"cash_atoms": [1, None, 3, 4]}, ("accounts", 1, "cash_atoms"), NULL),
    ("accounts", {"cash_atoms": [1, 2**53 + 1, 3, 4]}, ("accounts", 1, "cash_atoms"), BOUND),
    ("accounts", {"cash_atoms": [1, -(2**63), 3, 4]}, ("accounts", 1, "cash_atoms"), BOUND),
    ("accounts", {"cash_atoms": [1, 2**64, 3, 4]}, ("accounts", 1, "cash_atoms"), "give an integer within"),
    (
        "accounts",
        {"cash_atoms": np.array([1, 2**63, 3, 4], np.uint64)},
        ("accounts", 1, "cash_atoms"),
        "give an integer within",
    ),
    ("accounts", {"cash_atoms": [1, 2**200, 3, 4]}, ("accounts", 1, "cash_atoms"), "give an integer within"),
    (
        "positions",
        {"lots": [30, -30, 0, 1, 5], "entry_value_atoms": [0] * 5},
        ("positions", 2, "lots"),
        "at least one lot",
    ),
    (
        "positions",
        {"lots": [30, -30, -(2**53) - 1, 1, 5], "entry_value_atoms": [0] * 5},
        ("positions", 2, "lots"),
        BOUND,
    ),
    (
        "positions",
        {"lots": [30, -30, 2, 1, 5], "entry_value_atoms": [1, 1, 0, 0, 0]},
        ("positions", 1, "entry_value_atoms"),
        "the row's value is negative",
    ),
    (
        "positions",
        {"lots": [30, -30, 2, 1, 5], "entry_value_atoms": [1, -1, 1, 0, 0]},
        ("positions", 2, "entry_value_atoms"),
        "the row's value is negative",
    ),
    (
        "positions",
        {"lots": [30, -30, 2, 1, 5], "entry_value_atoms": [1, -(2**53) - 1, 0, 0, 0]},
        ("positions", 1, "entry_value_atoms"),
        BOUND,
    ),
    (
        "positions",
        {"lots": [30, -30, 2, 1, 5]},
        ("positions", "entry_price"),
        "add a column entry_price or entry_value",
    ),
    (
        "positions",
        {"lots": [1] * 5, "entry_price": ["1"] * 5, "entry_value_atoms": [0] * 5},
        ("positions", "entry_value_atoms"),
        "keep one of the two (rule R75)",
    ),
    (
        "positions",
        {"lots": [1] * 5, "entry_price": ["1", None, *"111"]},
        ("positions", 1, "entry_price"),
        NULL,
    ),
]


@pytest.mark.parametrize(("table", "replaced", "path", "remedy"), INTEGER_CASES)
def test_bad_integers_are_named(
    table: str, replaced: dict[str, Any], path: tuple[str | int, ...], remedy: str
) -> None:
    error = refusal(columns(table, **replaced))
    assert error.path == path
    assert remedy in error.remedy


def with_rows(*rows: tuple[str, str, str, str]) -> dict[str, dict[str, Any]]:
    tables = copy.deepcopy(BASE)
    names = ("account", "symbol", "qty", "entry_price")
    tables["positions"] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return tables


def test_one_row_per_account_symbol_and_side() -> None:
    hedge = [("ann", "X", "1", "10"), ("ann", "X", "-1", "10")]
    io.tables(*with_rows(*hedge).values())
    error = refusal(with_rows(*hedge, ("bob", "X", "1", "10"), ("ann", "X", "-0.1", "9")))
    assert error.path == ("positions", 3, "symbol")
    assert "one row per account, symbol and side" in error.remedy


@pytest.mark.parametrize("account", ["fund", "market"])
def test_reserved_accounts_hold_one_row_per_symbol(account: str) -> None:
    error = refusal(
        with_rows((account, "X", "1", "10"), (account, "Z", "1", "10"), (account, "X", "-1", "10"))
    )
    assert error.path == ("positions", 2, "symbol")
    assert "one row per symbol (rule R7)" in error.remedy


@pytest.mark.parametrize("second", [("dee", "Z", "1", "10"), ("dee", "X", "-1", "10")])
def test_an_isolated_account_holds_one_position(second: tuple[str, str, str, str]) -> None:
    error = refusal(with_rows(("dee", "X", "1", "10"), ("ann", "Z", "1", "10"), second))
    assert error.path == ("positions", 2, "account")
    assert "an isolated account holds at most one position" in error.remedy


def test_the_first_bad_row_wins_whatever_its_column() -> None:
    tables = copy.deepcopy(BASE)
    tables["positions"]["account"][4] = "zoe"
    tables["positions"]["symbol"][3] = "nope"
    tables["positions"]["qty"][2] = "0"
    tables["positions"]["entry_value"][1] = "1"
    assert refusal(tables).path == ("positions", 1, "entry_value")
    tables["positions"]["entry_value"][1] = "-1"
    assert refusal(tables).path == ("positions", 2, "qty")
    tables["positions"]["qty"][2] = "1"
    assert refusal(tables).path == ("positions", 3, "symbol")
    tables["positions"]["symbol"][3] = "X"
    assert refusal(tables).path == ("positions", 4, "account")


def test_in_one_row_the_first_bad_column_wins() -> None:
    tables = copy.deepcopy(BASE)
    rows = tables["positions"]
    rows["account"][1], rows["symbol"][1], rows["qty"][1], rows["entry_value"][1] = "zoe", "no", "0", "x"
    for column, good in (("account", "bob"), ("symbol", "X"), ("qty", "-3"), ("entry_value", "-1")):
        assert refusal(tables).path == ("positions", 1, column)
        rows[column][1] = good
    io.tables(*tables.values())


def test_an_earlier_table_wins() -> None:
    tables = changed("positions.qty.0", "0")
    tables["accounts"]["cash"][3] = "x"
    assert refusal(tables).path == ("accounts", 3, "cash")
    tables["instruments"]["lot"][2] = "x"
    assert refusal(tables).path == ("instruments", 2, "lot")


def many(count: int) -> dict[str, dict[str, Any]]:
    """So many accounts, each long 2^53 lots of Z at entry value 0."""
    ids = [f"a{i}" for i in range(count)]
    tables = copy.deepcopy(BASE)
    tables["accounts"] = {"id": ids, "currency": ["USD"] * count, "cash_atoms": [0] * count}
    tables["positions"] = {
        "account": ids,
        "symbol": ["Z"] * count,
        "lots": [2**53] * count,
        "entry_value_atoms": [0] * count,
    }
    return tables


def test_sums_stay_within_their_bound() -> None:
    """Rule R1: 2^62 is allowed, one more is not."""
    io.tables(*many(512).values())
    tables = many(513)
    tables["positions"]["lots"][512] = -1
    error = refusal(tables)
    assert isinstance(error, BoundsError)
    assert (error.path, error.value) == (("positions",), 2**62 + 1)
    assert "sum of all |lots| of Z within 2^62 (rule R1)" in error.remedy

    tables = many(512)
    tables["positions"]["lots"] = [1] * 512
    tables["positions"]["entry_value_atoms"] = [2**52] * 512
    tables["accounts"]["cash_atoms"] = [-(2**52)] * 512
    io.tables(*tables.values())
    tables["positions"]["entry_value_atoms"] = [2**52] * 511 + [2**53]
    tables["accounts"]["cash_atoms"] = [-(2**53)] * 512
    error = refusal(tables)
    assert isinstance(error, BoundsError)
    assert error.path == ("accounts",)
    assert error.value == 511 * 2**52 + 2**53 + 512 * 2**53
    assert "|entry value| in USD within 2^62 (rule R1)" in error.remedy


@pytest.mark.parametrize("table", [5, None, [1, 2], "frame"])
def test_a_table_is_a_frame_or_a_mapping(table: Any) -> None:
    with pytest.raises(InputError, match="give a polars DataFrame or a mapping of arrays") as caught:
        io.tables(BASE["instruments"], table, BASE["positions"])
    assert caught.value.path == ("accounts",)


def test_structs_of_polars_are_checked_too() -> None:
    frame = pl.DataFrame({**BASE["instruments"], "tiers": [[{**TIER, "rate": "0"}]] * 3})
    with pytest.raises(InputError) as caught:
        io.tables(frame, BASE["accounts"], BASE["positions"])
    assert caught.value.path == ("instruments", 0, "tiers", 0, "rate")


# ---------------------------------------------------------------------- files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good book as CSV."""
    return Book.from_frames(*BASE.values()).write(tmp_path / "book", format="csv")


def file_refusal(source: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        Book.read(source)
    text = str(caught.value)
    assert "\n" not in text
    if caught.value.file is not None:
        assert text.startswith(caught.value.file)
    return caught.value


@pytest.mark.parametrize("format", ["parquet", "arrow"])
@pytest.mark.parametrize("keep", [0, 3, 100, -1, -9])
def test_a_truncated_file(tmp_path: Path, format: str, keep: int) -> None:
    folder = Book.from_frames(*BASE.values()).write(tmp_path / "book", format=format)
    file = folder / f"positions.{format}"
    file.write_bytes(file.read_bytes()[:keep])
    error = file_refusal(folder)
    assert error.file == str(file)
    assert error.remedy == f"give a complete {format} file that can be read"


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_file_of_something_else(tmp_path: Path, folder: Path, ending: str) -> None:
    (folder / "accounts.csv").rename(folder / f"accounts.{ending}")
    assert file_refusal(folder).file == str(folder / f"accounts.{ending}")


CSV_CASES: list[tuple[str, Callable[[str], str], str, str]] = [
    ("accounts", lambda text: "", "/", "give a complete csv file that can be read"),
    ("accounts", lambda text: text.replace("bob", "ann"), "/accounts/1/id", "ids are unique"),
    ("accounts", lambda text: text.replace("-500", "-5.00"), "/accounts/1/cash_atoms", "give an integer"),
    ("accounts", lambda text: text.replace("-500", ""), "/accounts/1/cash_atoms", NULL),
    ("accounts", lambda text: text[: text.rindex(",0\n")], "/accounts/3/adl_tier", NULL),
    ("accounts", lambda text: text.replace("owner", "id"), "/accounts/id_duplicated_0", "remove it"),
    ("positions", lambda text: text.replace("lots", "size"), "/positions/size", "remove it"),
    ("positions", lambda text: text.replace("-30,", "0,"), "/positions/1/lots", "at least one lot"),
    ("instruments", lambda text: text.replace('""min_', '"min_'), "/", "give a complete csv file"),
    ("instruments", lambda text: text.replace("[{", "{"), "/instruments/0/tiers", "in CSV as JSON text"),
    (
        "instruments",
        lambda text: text.replace(
            '[{""min_notional"": ""0""', '[{""deduction"": ""0"", ""min_notional"": ""0""'
        ),
        "/instruments/0/tiers",
        "in CSV as JSON text",
    ),
    (
        "instruments",
        lambda text: text.replace('""0.02""', "NaN"),
        "/instruments/1/tiers/1/maintenance_rate",
        FINITE,
    ),
]


@pytest.mark.parametrize(("name", "edit", "pointer", "remedy"), CSV_CASES)
def test_a_bad_csv_file(
    folder: Path, name: str, edit: Callable[[str], str], pointer: str, remedy: str
) -> None:
    file = folder / f"{name}.csv"
    text = file.read_text()
    assert edit(text) != text
    file.write_text(edit(text))
    error = file_refusal(folder)
    assert error.file == str(file)
    assert error.pointer == pointer
    assert remedy in error.remedy


def test_a_csv_file_in_another_encoding(folder: Path) -> None:
    (folder / "accounts.csv").write_bytes((folder / "accounts.csv").read_bytes().replace(b"ann", b"\xe9\xff"))
    assert file_refusal(folder).file == str(folder / "accounts.csv")


def test_missing_files(tmp_path: Path, folder: Path) -> None:
    assert file_refusal(tmp_path / "none").file == str(tmp_path / "none")
    assert file_refusal(tmp_path / "none").value == "no such folder"
    files = {name: folder / f"{name}.csv" for name in BASE}
    (folder / "positions.csv").rename(folder / "rows.csv")
    error = file_refusal(folder)
    assert error.file == str(folder / "positions.*")
    assert "keep one file positions with one of the endings .parquet" in error.remedy
    error = file_refusal(files)
    assert (error.file, error.value) == (str(folder / "positions.csv"), "no such file")
    (folder / "accounts.parquet").write_bytes(b"")
    assert file_refusal(folder).value == "2 files of that name"


def test_files_of_other_names(folder: Path) -> None:
    files = {name: folder / f"{name}.csv" for name in BASE}
    with pytest.raises(InputError, match="name the files of instruments, accounts, positions"):
        Book.read({"instruments": files["instruments"]})
    (folder / "accounts.csv").rename(folder / "accounts.xlsx")
    error = file_refusal({**files, "accounts": folder / "accounts.xlsx"})
    assert error.value == "ending '.xlsx'"


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    book = Book.from_frames(*BASE.values())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for target, value in (
        (tmp_path / "full", "not an empty folder"),
        (tmp_path / "file", "not an empty folder"),
        (tmp_path / "file" / "book", "File exists"),
    ):
        with pytest.raises(InputError) as caught:
            book.write(target)
        assert caught.value.file == str(target)
        assert caught.value.value == value
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    with pytest.raises(InputError, match="give parquet, arrow, csv"):
        book.write(tmp_path / "new", format="xlsx")
    assert not (tmp_path / "new").exists()
