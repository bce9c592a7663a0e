"""A stress test drives a book through a price path, conserves everything, and says what happened."""

from __future__ import annotations

import io
import json
import os
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from fastadl import stress
from fastadl.engine.results import LISTS
from fastadl.errors import InputError, PolicyError
from fastadl.stress import brackets, prices
from fastadl.stress.run import BETA, _Market
from fastadl.stress.shipped import MARCH_2020

pytest.importorskip("rich")
from rich.console import Console

from fastadl.report.stress import amount, show, watching

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data"))
TIERS = {
    "BTC/USDC:USDC": [{"minNotional": 0.0, "maintenanceMarginRate": 0.5}],
    "BTC/USDT:USDT": [
        {"tier": 1.0, "minNotional": 0.0, "maintenanceMarginRate": 0.004, "maxLeverage": 125.0, "info": {}},
        {"tier": 2.0, "minNotional": 50000.0, "maintenanceMarginRate": 0.005, "maxLeverage": 100.0},
    ],
    "BTC/USDT:USDT-241227": [{"minNotional": 0.0, "maintenanceMarginRate": 0.9}],
}
CRASH = "time,BTCUSD,ETH-PERP\n0,8000,200\n60,8000.5,200\n120,6000,130\n180,4000,80.25\n240,4100,85\n"


@pytest.fixture
def crash(tmp_path):
    file = tmp_path / "crash.csv"
    file.write_text(CRASH)
    return file


@pytest.fixture(scope="module")
def shipped():
    return stress.run(positions=3000, instruments=5)


def printed(result, width=80):
    out = io.StringIO()
    show(result, Console(file=out, width=width))
    return out.getvalue()


def test_the_shipped_path_liquidates_deleverages_and_keeps_every_law(shipped):
    assert shipped.ok
    assert shipped.checks == dict.fromkeys(("lots", "money", "fills", "bankrupt_closed_at_zero"), True)
    assert shipped.path == MARCH_2020
    assert shipped.accounts == 1200
    assert shipped.steps["time"].to_list() == list(MARCH_2020.times)
    assert shipped.steps["n_liquidations"][0] == 0
    assert shipped.steps["n_liquidations"].sum() >= shipped.distinct["liquidated"] > 0
    assert shipped.distinct["liquidated"] >= shipped.distinct["bankrupt"] > 0
    assert shipped.distinct["deleveraged"] > 0
    assert shipped.steps["takeover_value"].sum() > 0


def test_equal_arguments_give_equal_results(shipped):
    again = stress.run(positions=3000, instruments=5)
    clock = [name for name in shipped.steps.columns if name.startswith("seconds")]
    assert again.steps.drop(clock).equals(shipped.steps.drop(clock))
    other = stress.run(positions=3000, instruments=5, seed=2)
    assert not other.steps.drop(clock).equals(shipped.steps.drop(clock))


def test_the_fund_is_half_a_percent_of_open_interest_unless_given(shipped, crash):
    assert shipped.fund.cash == int(Fraction(shipped.open_interest, 200 * 10**6))
    assert shipped.steps["fund_equity_before"][0] == shipped.fund.cash * 10**6
    given = stress.run(positions=300, instruments=2, prices=crash, fund="123.45")
    assert given.steps["fund_equity_before"][0] == 123_450_000


def test_a_rich_fund_spares_everybody(crash):
    result = stress.run(positions=1000, instruments=3, prices=crash, fund="1000000000")
    assert result.distinct["bankrupt"] > 0
    assert result.distinct["deleveraged"] == 0
    assert result.steps["uncovered"].sum() == 0
    assert "nobody had to be deleveraged, and every loss was covered" in " ".join(printed(result).split())


def test_path_symbols_are_marked_exactly_and_others_by_a_power_of_the_median_return(crash):
    path = prices.read(crash)
    seen = []
    result = stress.run(
        positions=500, instruments=4, prices=crash, progress=lambda *state: seen.append(state)
    )

    book = result.stress._book(path)
    assert book.instruments.symbols == ("BTC-PERP", "ETH-PERP", "SOL-PERP", "XRP-PERP")
    assert [item.mark for item in book.instruments[:2]] == [8000, 200]
    market = _Market(path, book.instruments)
    marks = market.marks(3)
    assert (marks["BTC-PERP"], marks["ETH-PERP"]) == ("4000", "80.25")
    level = (0.5 * 80.25 / 200) ** 0.5
    assert result.steps["market"][3] == pytest.approx(level)
    assert float(marks["SOL-PERP"]) == pytest.approx(150 * level**BETA, rel=1e-7)
    assert {name: Fraction(mark) for name, mark in market.marks(0).items()} == {
        item.symbol: item.mark for item in book.instruments
    }
    assert [done for what, done, _ in seen if what == "marking"] == [0, 1, 2, 3, 4]
    assert seen[-1] == ("done", 5, 5)


def test_wealth_policies_charge_winners(crash):
    result = stress.run(positions=1000, instruments=2, prices=crash, policy={"space": "wealth"}, fund="0")
    assert result.steps["socialized"].sum() > 0
    assert result.ok
    assert "winners were charged" in " ".join(printed(result).split())


def test_out_writes_steps_and_one_parquet_per_list(crash, tmp_path):
    out = tmp_path / "deep" / "out"
    result = stress.run(positions=2000, instruments=3, prices=crash, out=out)
    names = {file.name for file in out.iterdir()}
    assert names == {
        "result.json",
        "steps.parquet",
        "notices.parquet",
        *(f"{name}.parquet" for name in LISTS),
    }
    assert pl.read_parquet(out / "steps.parquet").equals(result.steps)
    for name in LISTS:
        frame = pl.read_parquet(out / f"{name}.parquet")
        assert frame.columns[0] == "tick"
        assert frame.height == result.steps[f"n_{name}"].sum()
    fills = pl.read_parquet(out / "adl_fills.parquet")
    assert fills["counterparty"].n_unique() == result.distinct["deleveraged"]
    written = json.loads((out / "result.json").read_text())
    assert written["steps"][2]["fund_equity_after"] == format(
        Decimal(result.steps["fund_equity_after"][2]).scaleb(-6), ".6f"
    )
    assert written["checks"] == result.checks
    assert written["book"]["positions"] == 2000


def test_a_folder_in_use_or_an_interrupt_leaves_nothing(crash, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(InputError, match="new or empty folder"):
        stress.run(positions=50, instruments=2, prices=crash, out=tmp_path / "full")

    def interrupt(what, done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stress.run(positions=50, instruments=2, prices=crash, out=tmp_path / "new", progress=interrupt)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["crash.csv", "full"]
    assert (tmp_path / "full" / "x").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"positions": 0}, InputError, "positions: 0: give at least 1"),
        ({"positions": "5"}, InputError, "whole number"),
        ({"accounts": -1}, InputError, "accounts"),
        ({"instruments": 1}, InputError, "instruments: 1: give at least 2"),
        ({"shape": "paretto"}, InputError, "the nearest is pareto"),
        ({"policy": "bitmx"}, PolicyError, "bitmex"),
        ({"fund": "lots"}, InputError, "fund"),
        ({"prices": "/nowhere.csv"}, InputError, r"/nowhere\.csv"),
        ({"tiers": "/nowhere.json"}, InputError, r"/nowhere\.json"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(crash, change, error, match):
    with pytest.raises(error, match=match):
        stress.run(**{"positions": 50, "instruments": 2, "prices": crash, **change})


def tiers_file(folder, given):
    file = folder / "tiers.json"
    file.write_text(given if isinstance(given, str) else json.dumps(given))
    return file


def test_tiers_are_read_exactly_usdt_first_with_deductions_by_r4(tmp_path, crash):
    file = tiers_file(tmp_path, TIERS)
    (first, second) = brackets.read(file)["BTC"]
    assert (first.min_notional, first.maintenance_rate, first.max_leverage) == (0, Fraction(4, 1000), 125)
    assert (second.min_notional, second.maintenance_rate) == (50_000 * 10**6, Fraction(5, 1000))
    assert second.deduction == 50 * 10**6
    book = stress.Stress(positions=50, instruments=3, tiers=file)._book(prices.read(crash))
    assert [len(item.tiers) for item in book.instruments] == [2, 12, 12]


def tier(**fields):
    return {"minNotional": 0, "maintenanceMarginRate": 0.01, **fields}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ("{", "/: "),
        ("[1]", "/: list"),
        ('{"BTC/USDT:USDT": [{"minNotional": NaN}]}', "/: NaN is no number"),
        ({"BTC": []}, "/: no linear perpetual"),
        ({"BTC/USDT:USDT": 5}, "/BTC~1USDT:USDT: int"),
        ({"BTC/USDT:USDT": []}, "/BTC~1USDT:USDT"),
        ({"BTC/USDT:USDT": [tier(minNotional=1)]}, "/BTC~1USDT:USDT/0/minNotional: 1"),
        ({"BTC/USDT:USDT": [{"minNotional": 0}]}, "/BTC~1USDT:USDT/0/maintenanceMarginRate: missing"),
        ({"BTC/USDT:USDT": [tier(maxLeverage=0)]}, "/BTC~1USDT:USDT/0/maxLeverage: 0"),
        (
            {"BTC/USDT:USDT": [tier(), tier(minNotional=5, maintenanceMarginRate=0.001)]},
            "/BTC~1USDT:USDT/1/maintenanceMarginRate: 0.001",
        ),
    ],
)
def test_bad_tiers_are_refused_naming_file_symbol_tier_and_field(tmp_path, given, pointer):
    file = tiers_file(tmp_path, given)
    with pytest.raises(InputError) as error:
        brackets.read(file)
    assert str(error.value).startswith(f"{file}: {pointer}")


def test_tiers_without_the_paths_assets_are_refused(tmp_path, crash):
    file = tiers_file(tmp_path, {"DOGE/USDT:USDT": [tier()]})
    with pytest.raises(InputError, match="tiers of BTC, ETH"):
        stress.run(positions=50, instruments=2, prices=crash, tiers=file)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_its_rows_add_up(shipped, width):
    text = printed(shipped, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    assert f"{shipped.distinct['liquidated']:,} of 1,200 accounts fell below" in " ".join(text.split())
    assert "21 more" in text or "22 more" in text
    rows = [line.split() for line in text.splitlines() if re.match(r"\d\d-\d\d|\d+ more", line)]
    found = [0 if row[3] == "–" else int(row[3].replace(",", "")) for row in rows]
    assert sum(found) == shipped.steps["n_liquidations"].sum()


def test_a_quiet_path_says_so(tmp_path):
    file = tmp_path / "flat.csv"
    file.write_text("time,BTC\n0,100\n60,100\n120,100\n")
    text = printed(stress.run(positions=100, instruments=1, prices=file))
    assert "3 more" in text
    assert "Nobody fell below the maintenance margin." in text


def test_progress_is_told_to_a_bar(crash):
    out = io.StringIO()
    with watching(Console(file=out, force_terminal=True, width=80)) as tell:
        stress.run(positions=50, instruments=2, prices=crash, progress=tell)
    assert "5/5" in out.getvalue()
    out = io.StringIO()
    with watching(Console(file=out)) as tell:
        tell("marking", 1, 5)
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("atoms", "text"),
    [(0, "–"), (1, "0.0"), (-1_500_000, "-1.5"), (9_960_000, "10"), (999_400_000, "999"), (10**9, "1.0k"),
     (99_960 * 10**6, "100k"), (12_345_678 * 10**6, "12.3M"), (-2 * 10**15, "-2.0B")],
)  # fmt: skip
def test_amounts_are_short(atoms, text):
    assert amount(atoms) == text


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}")
def test_real_prices_and_real_tiers():
    result = stress.run(
        positions=2000,
        instruments=4,
        prices=sorted((DATA / "price_paths").glob("*2022-05*.csv")),
        tiers=DATA / "leverage_brackets" / "binance_leverage_tiers.json",
    )
    assert result.ok
    assert result.path.symbols == ("BTCUSDT", "ETHUSDT", "LUNAUSDT", "USTUSDT")
    assert result.distinct["bankrupt"] > 0
