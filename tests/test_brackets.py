"""Margin ladders are read from files of leverage tiers, exactly."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from fastadl import stress
from fastadl.errors import InputError
from fastadl.stress import brackets

TIERS = {
    "BTC/USDC:USDC": [{"minNotional": 0.0, "maintenanceMarginRate": 0.5}],
    "BTC/USDT:USDT": [
        {"tier": 1.0, "minNotional": 0.0, "maintenanceMarginRate": 0.004, "maxLeverage": 125.0, "info": {}},
        {"tier": 2.0, "minNotional": 50000.0, "maintenanceMarginRate": 0.005, "maxLeverage": 100.0},
    ],
    "BTC/USDT:USDT-241227": [{"minNotional": 0.0, "maintenanceMarginRate": 0.9}],
}


def tiers_file(folder, given):
    file = folder / "tiers.json"
    file.write_text(given if isinstance(given, str) else json.dumps(given))
    return file


def test_tiers_are_read_exactly_usdt_first_with_deductions_by_r4(tmp_path):
    file = tiers_file(tmp_path, TIERS)
    (first, second) = brackets.read(file)["BTC"]
    assert (first.min_notional, first.maintenance_rate, first.max_leverage) == (0, Fraction(4, 1000), 125)
    assert (second.min_notional, second.maintenance_rate) == (50_000 * 10**6, Fraction(5, 1000))
    assert second.deduction == 50 * 10**6
    book = stress.Drawn(positions=50, instruments=3, tiers=str(file)).draw({"BTC": Fraction(8000)}, 1)
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


def test_tiers_without_the_paths_assets_are_refused(tmp_path):
    file = tiers_file(tmp_path, {"DOGE/USDT:USDT": [tier()]})
    with pytest.raises(InputError, match="tiers of BTC"):
        stress.run(book={"positions": 50, "instruments": 2, "tiers": str(file)})
