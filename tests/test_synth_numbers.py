"""What a synthetic book is like: its numbers, and real accounts beside it."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest

from fastadl import Book, synth
from fastadl.errors import InputError
from test_synth import CRASH

# ---------------------------------------------------------------- numbers of a book


def by_hand():
    tiers = [{"min_notional": "0", "maintenance_rate": "0.01"}]
    return Book.from_frames(
        {
            "symbol": ["A", "B"],
            "kind": ["linear"] * 2,
            "contract_size": ["1"] * 2,
            "lot": ["1"] * 2,
            "tiers": [tiers] * 2,
            "mark": ["10", "100"],
        },
        {
            "id": ["ann", "bob", "cy", "idle"],
            "cash": ["100", "50", "1000", "5"],
            "margin_mode": ["cross", "isolated", "cross", "cross"],
        },
        {
            "account": ["ann", "ann", "bob", "cy", "cy"],
            "symbol": ["A", "B", "A", "A", "B"],
            "qty": ["30", "1", "-10", "-20", "-1"],
            "entry_price": ["9", "100", "10", "9", "100"],
        },
    )


def test_a_description_counts_what_is_there():
    found = synth.describe(by_hand())
    assert (found["accounts"], found["positions"], found["markets"]) == (4, 5, 2)
    assert found["open_interest"] == 400
    assert found["kinds"] == {
        "with_positions": 3,
        "hedged_in_one_market": 0,
        "near_delta_neutral": 0,
        "isolated": 1,
    }
    assert found["sides"]["long"] == {"positions": 2, "notional": 400.0, "accounts": 1}
    assert found["sides"]["short"] == {"positions": 3, "notional": 400.0, "accounts": 2}
    at = found["quantiles"]["at"].index(0.5)
    assert found["quantiles"]["position_size"][at] == 100
    assert found["quantiles"]["leverage_long"][at] == pytest.approx(400 / 130)
    assert found["quantiles"]["leverage_short"][at] == pytest.approx((300 / 980 + 100 / 50) / 2)
    assert found["holders"] == pytest.approx({"top_1": 0.5, "top_10": 1.0, "top_percent": 0.5, "gini": 0.25})
    first = found["largest_markets"][0]
    assert (first["symbol"], first["positions"]) == ("A", 3)
    assert (first["open_interest_share"], first["largest_position_share"]) == (0.75, 1.0)
    assert found["histograms"]["size"] == {
        "from": [100.0],
        "positions": [1.0],
        "value": [1.0],
    }
    classes = found["histograms"]["leverage"]
    assert classes["long"][classes["from"].index(3.0)] == 1.0
    assert classes["short"][0] == pytest.approx(0.75)


def test_a_description_of_a_book_without_positions_or_marks():
    book = by_hand()
    table, accounts, rows = book.columns()
    none = replace(rows, **{name: getattr(rows, name)[:0] for name in asdict(rows)})
    assert synth.describe(Book._from_columns(table, accounts, none))["positions"] == 0
    blind = type(table)([replace(item, mark=None) for item in table])
    with pytest.raises(InputError, match="a mark"):
        synth.describe(Book._from_columns(blind, accounts, rows))


# ---------------------------------------------------------------- beside real accounts


def study(folder, users=None, coins=None):
    """Files of two coins: A's shorts gained as much as a fall by a half explains, B's by a fifth."""
    users = users or {
        "adl_notional": [50.0, 180.0],
        "closed_pnl": [50.0, 100.0],
        "account_value_realtime": [50.0, 1000.0],
        "num_adl_events": [1, 2],
    }
    coins = coins or {
        "adl_notional": [150.0, 80.0],
        "closed_pnl": [150.0, 20.0],
        "num_users": [2, 1],
    }
    folder.mkdir(exist_ok=True)
    pl.DataFrame(users).write_csv(folder / "adl_by_user_REALTIME.csv")
    pl.DataFrame(coins).write_csv(folder / "adl_by_coin_REALTIME.csv")
    return folder


def test_winners_are_the_shorts_that_gain_when_markets_fall_as_far_as_the_real_ones(tmp_path):
    found = synth.against(by_hand(), study(tmp_path))
    assert found["users"] == {"real": 2, "winners": 2, "compared": 2}
    assert found["falls"]["drop"][1] == pytest.approx(0.35)
    for name in ("notional", "cash", "positions", "leverage"):
        line = found["quantiles"][name]
        assert line["drawn"] == pytest.approx(line["real"]), name
        assert line["distance"] == pytest.approx(0, abs=1e-12)
    drawn = found["quantiles"]["profit_share"]["drawn"]
    assert drawn[0] == pytest.approx(np.quantile([50 / 50, 100 / 180], 0.1))
    assert found["markets"]["notional"]["real"][0] == pytest.approx(150 / 230)
    assert found["markets"]["notional"]["drawn"][0] == pytest.approx(150 / 230)
    assert found["holders"]["drawn"] == pytest.approx(found["holders"]["real"])


def test_shorts_of_a_market_that_did_not_fall_are_no_winners(tmp_path):
    coins = {"adl_notional": [150.0, 80.0], "closed_pnl": [150.0, 0.0], "num_users": [2, 1]}
    found = synth.against(by_hand(), study(tmp_path, coins=coins))
    assert found["quantiles"]["positions"]["drawn"] == [1.0] * 8


def test_as_many_winners_are_taken_as_there_are_real_users(tmp_path):
    one = {
        "adl_notional": [50.0],
        "closed_pnl": [50.0],
        "account_value_realtime": [500.0],
        "num_adl_events": [1],
    }
    found = synth.against(by_hand(), study(tmp_path, users=one))
    assert found["users"] == {"real": 1, "winners": 2, "compared": 1}
    worst = found["quantiles"]["notional"]
    assert worst["distance"] == pytest.approx(abs(np.log(worst["drawn"][0] / worst["real"][0])))


def test_a_folder_without_the_files_or_columns_is_refused(tmp_path):
    book = by_hand()
    with pytest.raises(InputError, match="no such folder"):
        synth.against(book, tmp_path / "none")
    with pytest.raises(InputError, match="adl_by_user_REALTIME"):
        synth.against(book, tmp_path)
    study(tmp_path, coins={"adl_notional": [1.0], "num_users": [1]})
    with pytest.raises(InputError, match="closed_pnl: missing"):
        synth.against(book, tmp_path)
    study(tmp_path, coins={"adl_notional": ["much"], "closed_pnl": [1.0], "num_users": [1]})
    with pytest.raises(InputError, match="a finite number"):
        synth.against(book, tmp_path)


def test_the_shape_after_the_real_crash_is_near_its_winners():
    if not CRASH.is_dir():
        pytest.skip(f"the event's files are not at {CRASH}: set FASTADL_DATA to the folder that holds them")
    book = synth.book("hyperliquid_like", positions=250_000, accounts=100_000, instruments=200, seed=1)
    found = synth.against(book, CRASH)
    assert found["users"]["compared"] == found["users"]["real"] == 19_337
    for name in ("notional", "cash", "leverage", "positions"):
        assert found["quantiles"][name]["distance"] < np.log(1.8), name
    near = found["quantiles"]["profit_share"]
    assert np.abs(np.log(np.divide(near["drawn"], near["real"])))[:-1].max() < np.log(1.5)
    for kind in ("notional", "users"):
        assert found["markets"][kind]["drawn"] == pytest.approx(found["markets"][kind]["real"], abs=0.06)
    assert found["holders"]["drawn"]["top_percent"] == pytest.approx(0.842, abs=0.08)
    other = synth.book("retail", positions=250_000, accounts=100_000, instruments=200, seed=1)
    assert synth.against(other, CRASH)["distance"] > np.log(4)
