"""A book divided into parts is the same book: every account once, whole, in its place among all."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import fastadl as fa
from fastadl import testing
from fastadl.schema import RESERVED
from fastadl.sharded.divide import WAYS, divide

TIERS = [{"min_notional": "0", "maintenance_rate": "0.005"}]
EVERYTHING = fa.Book.from_frames(
    {
        "symbol": ["X", "B"],
        "kind": ["linear", "inverse"],
        "contract_size": ["1", "100"],
        "lot": ["0.1", "1"],
        "tiers": [TIERS] * 2,
        "currency": ["USD", "BTC"],
        "decimals": [2, 8],
        "mark": ["100", "50000"],
    },
    {
        "id": ["é", "b", "😀", "a", "Z"],
        "currency": ["USD", "BTC", "USD", "USD", "BTC"],
        "cash": ["1", "2", "-3", "0", "5"],
        "owner": ["é", "é", "😀", "z", "Z"],
        "margin_mode": ["cross", "isolated", "cross", "cross", "cross"],
        "adl_tier": [0, 3, 255, 0, 1],
        "exempt": [False, False, True, False, True],
    },
    {
        "account": ["é", "é", "b", "😀", "fund", "market", "market"],
        "symbol": ["X", "X", "B", "X", "X", "B", "X"],
        "qty": ["0.3", "-0.1", "7", "-0.5", "1.1", "-7", "-0.8"],
        "entry_price": ["101", "99", "49000", "100", "100", "48000", "103"],
    },
)


def assert_parts_are(book: fa.Book, parts: list[tuple[fa.Book, np.ndarray]]) -> None:
    """Raise unless the parts hold every account of a book once, each as it is there."""
    instruments, accounts, positions = book.to_frames()
    codes = np.concatenate([codes for _, codes in parts])
    assert sorted(codes.tolist()) == list(range(len(accounts)))
    held = []
    for part, own in parts:
        assert part.instruments is book.instruments
        assert own.dtype == np.int64
        assert (np.diff(own) > 0).all()
        listed, people, rows = part.to_frames()
        if "exempt" in accounts.columns and "exempt" not in people.columns:
            people = people.with_columns(exempt=False)
        assert_frame_equal(listed, instruments)
        assert_frame_equal(people, accounts[own])
        held.append(rows)
        assert part.rank.dtype == np.int32
        assert part.rank.tolist() == book.rank[own].tolist()
        assert not part.reserve_lots.any()
        assert not part.reserve_entry.any()
        assert_laid_out_like(part, fa.Book.from_frames(instruments, people, rows))
    traders = positions.filter(~pl.col("account").is_in(RESERVED))
    assert_frame_equal(pl.concat(held).sort(pl.all()), traders.sort(pl.all()))


def assert_laid_out_like(part: fa.Book, other: fa.Book) -> None:
    for name, one, two in zip(part.rows._fields, part.rows, other.rows, strict=True):
        assert one.dtype == two.dtype, name
        np.testing.assert_array_equal(one, two, err_msg=name)
    for name in ("slot", "currency", "isolated", "adl_tier", "exempt"):
        one, two = getattr(part, name), getattr(other, name)
        assert one.dtype == two.dtype, name
        np.testing.assert_array_equal(one, two, err_msg=name)
    assert (part._owner is None) == (other._owner is None)


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_parts_keep_everything_that_is_said_of_an_account(by, shards):
    assert_parts_are(EVERYTHING, divide(EVERYTHING, shards, by))


@given(st.data())
def test_parts_of_any_division_are_the_book(data):
    book = data.draw(testing.books())
    shards = data.draw(st.integers(1, 7))
    accounts = len(book.accounts)
    own = st.lists(st.integers(0, shards - 1), min_size=accounts, max_size=accounts)
    by = data.draw(st.one_of(st.sampled_from(WAYS), own))
    parts = divide(book, shards, by)
    assert len(parts) == shards
    assert_parts_are(book, parts)
    if not isinstance(by, str):
        assert [by[code] for _, codes in parts for code in codes] == sorted(by)


def test_a_book_that_grew_is_divided_as_what_is_held():
    engine = fa.Engine(EVERYTHING, policy="bitmex")
    engine.open_accounts({"id": [f"n{i}" for i in range(9)], "currency": ["USD"] * 9, "cash": ["900"] * 9})
    engine.apply_fills(
        {
            "account": ["n1", "é", "n1", "n7"],
            "symbol": ["X"] * 4,
            "qty": ["0.3", "-0.3", "0.2", "-0.2"],
            "price": ["100"] * 4,
        }
    )
    for by in (*WAYS, [i % 3 for i in range(14)]):
        assert_parts_are(engine.book, divide(engine.book, 3, by))


def test_the_book_is_left_alone_and_shares_nothing():
    book = EVERYTHING.copy()
    (part, _), *_ = divide(book, 1)
    part.rows.cash[:] = 7
    part.rows.lots[:] = 7
    part.exempt[:] = True
    part.rank[:] = 7
    testing.assert_books_equal(book, EVERYTHING)
    assert book.rank.tolist() == EVERYTHING.rank.tolist()


def test_ids_alone_say_where_hash_puts_an_account():
    book = fa.synth.book("pareto", positions=900, accounts=500, instruments=3, seed=1)
    instruments, accounts, positions = book.to_frames()
    turned = fa.Book.from_frames(instruments, accounts.reverse(), positions)
    for (one, _), (other, _) in zip(divide(book, 4), divide(turned, 4), strict=True):
        assert one.accounts.to_list() == other.accounts.to_list()[::-1]
        assert 90 < len(one.accounts) < 160


def test_order_gives_neighbours_and_about_as_many_positions_to_each():
    book = fa.synth.book("pareto", positions=3000, accounts=1000, instruments=9, seed=1)
    parts = divide(book, 5, "order")
    assert np.concatenate([codes for _, codes in parts]).tolist() == list(range(1000))
    assert max(len(part) for part, _ in parts) < 1.1 * 3000 / 5


def test_parts_without_accounts_are_books():
    parts = divide(EVERYTHING, 9, [8, 0, 0, 0, 8])
    assert [len(codes) for _, codes in parts] == [3, 0, 0, 0, 0, 0, 0, 0, 2]
    engine = fa.Engine(parts[4][0], policy="bitmex")
    assert engine.tick({"X": "50", "B": "1"}).summary is not None


@pytest.mark.parametrize(
    ("shards", "by", "told"),
    [
        (0, "hash", "shards: 0: give a whole number from 1 to 32,768"),
        (1 << 15 | 1, "hash", "shards: 32769: give a whole number from 1 to 32,768"),
        (True, "hash", "shards: True: give a whole number from 1 to 32,768"),
        (2.0, "hash", "shards: 2.0: give a whole number from 1 to 32,768"),
        (2, "size", "by: size: give hash, round_robin, order, or the part of every account"),
        (2, [0, 1], "by: an array of shape (2,): give 5 parts, one for every account"),
        (2, [0, 1, 0, 2, -1], "by, row 3: 2: give a part from 0 to 1"),
        (2, [0, 1, 0, -1, 2], "by, row 3: -1: give a part from 0 to 1"),
        (2, [0.0] * 5, "by: an array of float64: give whole numbers, the part of every account"),
        (2, [True] * 5, "by: an array of bool: give whole numbers, the part of every account"),
    ],
)
def test_what_is_no_division_is_refused(shards, by, told):
    with pytest.raises(fa.InputError) as error:
        divide(EVERYTHING, shards, by)
    assert str(error.value) == told
