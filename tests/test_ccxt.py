"""ccxt's unified structures come in as real exchanges leave them, and go out whole."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastadl as fa
from fastadl.borders import ccxt
from fastadl.errors import BoundsError, InputError, StageError

DATA = Path(os.environ.get("FASTADL_DATA", Path(__file__).parents[2] / "shared" / "data"))

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
MARKETS = {
    LINEAR: {
        "symbol": LINEAR,
        "settle": "USDT",
        "linear": True,
        "inverse": False,
        "contractSize": 0.001,
        "precision": {"amount": 0.1, "price": 0.5},
    },
    INVERSE: {
        "symbol": INVERSE,
        "settle": "BTC",
        "linear": False,
        "inverse": True,
        "contractSize": 1.0,
        "precision": {"amount": 1.0},
    },
    "BTC/USDT": {"symbol": "BTC/USDT", "settle": None, "linear": None, "inverse": None},
}
TIERS = {
    LINEAR: [
        {
            "tier": 1.0,
            "currency": "USDT",
            "minNotional": 0.0,
            "maxNotional": 5e4,
            "maintenanceMarginRate": 0.004,
            "maxLeverage": 125.0,
            "info": {},
        },
        {
            "tier": 2.0,
            "currency": "USDT",
            "minNotional": 5e4,
            "maxNotional": None,
            "maintenanceMarginRate": 0.005,
            "maxLeverage": None,
            "info": {},
        },
    ],
    INVERSE: [{"currency": None, "minNotional": 0, "maintenanceMarginRate": 0.01, "maxLeverage": 50}],
}
#: What ccxt's manual and types name, in its order.
KEYS = [
    *("info", "id", "symbol", "timestamp", "datetime", "contracts", "contractSize", "side", "notional"),
    *("leverage", "unrealizedPnl", "realizedPnl", "positionMargin", "collateral", "entryPrice", "markPrice"),
    *("liquidationPrice", "marginMode", "hedged", "maintenanceMargin", "maintenanceMarginPercentage"),
    *("initialMargin", "initialMarginPercentage", "marginRatio", "lastUpdateTimestamp", "lastPrice"),
    *("stopLossPrice", "takeProfitPrice", "percentage"),
]


def position(**fields):
    """A cross position as an exchange that states little leaves it: most fields None."""
    stated = {"symbol": LINEAR, "side": "long", "contracts": 5.0, "entryPrice": 50000.5, "info": {}}
    return {**dict.fromkeys(KEYS), **stated, **fields}


def isolated(**fields):
    given = {"marginMode": "isolated", "collateral": 10.5, "unrealizedPnl": -0.25}
    return position(**{**given, **fields})


def book(*held, cash=None, markets=MARKETS, tiers=TIERS, **options):
    cash = {"ann": {"USDT": 1000.0, "BTC": 0.5}} if cash is None else cash
    return ccxt.book({"ann": list(held)}, markets, tiers, cash=cash, **options)


def rows(frame):
    return [tuple(row) for row in frame.rows()]


# ---------------------------------------------------------------- in


def test_a_position_with_none_in_every_field_that_may_be_empty_is_read():
    instruments, accounts, positions = book(position()).to_frames()
    assert rows(
        instruments.select("symbol", "kind", "contract_size", "lot", "currency", "decimals", "mark")
    ) == [(LINEAR, "linear", "0.001", "0.1", "USDT", 6, None)]
    assert rows(accounts) == [("ann:USDT", "USDT", 1_000_000_000, "ann", "cross", 0)]
    assert rows(positions) == [("ann:USDT", LINEAR, 50, 250_002_500)]


def test_contracts_of_an_inverse_contract_are_dollars():
    held = position(symbol=INVERSE, side="short", contracts=100.0, entryPrice=50000.0, contractSize=1)
    instruments, accounts, positions = book(held).to_frames()
    assert rows(instruments.select("kind", "currency", "decimals")) == [("inverse", "BTC", 8)]
    assert rows(accounts.select("id", "cash_atoms")) == [("ann:BTC", 50_000_000)]
    assert rows(positions.select("lots", "entry_value_atoms")) == [(-100, 200_000)]


def test_an_isolated_position_is_an_account_whose_cash_is_its_collateral_less_profit():
    both = (
        position(side="short"),
        isolated(side="short", contracts=1.0),
        isolated(contracts=2.0, collateral=0.3),
    )
    _, accounts, positions = book(*both).to_frames()
    assert rows(accounts.select("id", "owner", "margin_mode", "cash_atoms")) == [
        ("ann:USDT", "ann", "cross", 1_000_000_000),
        (f"ann:{LINEAR}:short", "ann", "isolated", 10_750_000),
        (f"ann:{LINEAR}:long", "ann", "isolated", 550_000),
    ]
    assert positions["lots"].to_list() == [-50, -10, 20]


def test_the_stated_margin_mode_stands_for_none():
    held = position(collateral=1.0, unrealizedPnl=0.0)
    assert book(held).accounts.to_list() == ["ann:USDT", "ann:BTC"][:1]
    assert f"ann:{LINEAR}:long" in book(held, margin_mode="isolated").accounts.to_list()


def test_the_margin_of_a_position_is_its_cash_whatever_the_collateral_includes():
    held = isolated(positionMargin=10.5, collateral=10.5, unrealizedPnl=-0.25)
    assert min(book(held).to_frames()[1]["cash_atoms"]) == 10_500_000
    held = isolated(positionMargin=0.0, collateral=None, unrealizedPnl=None)
    assert min(book(held).to_frames()[1]["cash_atoms"]) == 0


def stated(**fields):
    return fields


#: Fields as ccxt 4.5.90 parses the sample answers in its own sources; the market's contract size and step;
#: and what they come to: lots, entry value and, of an isolated position, cash in atoms.
PARSED = {
    "binance": (
        stated(symbol=INVERSE, side="long", contracts=2.0, contractSize=100.0, entryPrice=37643.10000021)
        | stated(markPrice=38103.05510455, notional=0.00524892, marginMode="isolated", collateral=0.00274471)
        | stated(positionMargin=0.00268058, unrealizedPnl=6.413e-05, hedged=False, leverage=2.0),
        (100.0, 1.0),
        (2, -531_305, 268_058),
    ),
    "bybit": (
        stated(side="long", contracts=0.01, contractSize=1.0, entryPrice=177489.6, markPrice=177188.0)
        | stated(notional=1774.896, unrealizedPnl=-3.016, hedged=False),
        (1.0, 0.001),
        (10, 1_774_896_000, None),
    ),
    "okx": (
        stated(side="long", contracts=1.0, contractSize=0.01, entryPrice=34131.1, markPrice=34151.271773621)
        | stated(notional=341.5130010779638, marginMode="cross", collateral=170.6717912538436, hedged=True)
        | stated(unrealizedPnl=0.0108608358957281, leverage=2.0),
        (0.01, 1.0),
        (1, 341_311_000, None),
    ),
    "hyperliquid": (
        stated(side="short", contracts=0.2259, contractSize=1.0, entryPrice=2213.9, markPrice=2213.9)
        | stated(notional=500.12001, marginMode="isolated", collateral=24.88097, positionMargin=24.88097)
        | stated(unrealizedPnl=0.0, hedged=None, leverage=20.0, initialMargin=24.88097),
        (1.0, 0.0001),
        (-2259, -500_120_010, 24_880_970),
    ),
    "kucoin": (  # the notional is that of the entry
        stated(side="long", contracts=2.0, contractSize=0.01, entryPrice=4189.35, markPrice=4183.38)
        | stated(notional=83.787, marginMode="isolated", collateral=3.28436309, positionMargin=3.40376309)
        | stated(unrealizedPnl=-0.1194, leverage=25.92),
        (0.01, 1.0),
        (2, 83_787_000, 3_403_763),
    ),
    "gate": (
        stated(side="short", contracts=1.0, contractSize=0.0001, entryPrice=46030.3, markPrice=46051.6)
        | stated(notional=4.60516, marginMode="isolated", collateral=0.995568485, positionMargin=0.997698485)
        | stated(unrealizedPnl=-0.00213, leverage=10.0),
        (0.0001, 1.0),
        (-1, -4_603_030, 997_698),
    ),
}


@pytest.mark.parametrize("exchange", PARSED)
def test_what_ccxt_parses_is_read(exchange):
    fields, (size, step), (lots, value, cash) = PARSED[exchange]
    held = position(**fields)
    listing = {**MARKETS[held["symbol"]], "contractSize": size, "precision": {"amount": step}}
    instruments, accounts, positions = book(held, markets={held["symbol"]: listing}).to_frames()
    assert rows(positions.select("lots", "entry_value_atoms")) == [(lots, value)]
    assert instruments["mark"].to_list() == [str(held["markPrice"]).removesuffix(".0")]
    alone = accounts.filter(margin_mode="isolated")["cash_atoms"].to_list()
    assert alone == ([] if cash is None else [cash])


def dollars(**fields):
    """Deribit's perpetual, whose size is 50 dollars, though its contracts are of 10."""
    stated = {"contracts": 50.0, "notional": 0.006687487, "entryPrice": 7440.18, "markPrice": 7476.65}
    return position(**{"symbol": INVERSE, **stated, **fields})


def tens(size=10.0, symbol=INVERSE):
    return {symbol: {**MARKETS[symbol], "contractSize": size, "precision": {"amount": 1.0}}}


@pytest.mark.parametrize(
    ("held", "markets"),
    [
        (dollars(), tens()),
        (dollars(side="short", contracts=-50.0), tens()),
        (dollars(markPrice=None, entryPrice=7476.65), tens()),
        (position(contracts=2.0, notional=2.0, markPrice=50100.0), tens(0.001, LINEAR)),
        (position(contracts=2.0, notional=1e5, markPrice=50100.0), tens(0.001, LINEAR)),
        (position(contracts=2, notional=100_000, entryPrice=50000), tens(0.001, LINEAR)),
    ],
)
def test_contracts_that_are_dollars_or_coins_are_refused(held, markets):
    with pytest.raises(InputError, match="give a market of contractSize 1") as caught:
        book(held, markets=markets)
    assert (caught.value.path, caught.value.value) == (
        ("positions", "ann", 0, "contracts"),
        held["contracts"],
    )


@pytest.mark.parametrize(
    ("held", "markets"),
    [
        (dollars(contracts=5.0), tens()),
        (dollars(), tens(1.0)),
        (dollars(notional=None), tens()),
        (position(contracts=2.0, notional=2.0), tens(1.0, LINEAR)),  # in coins
        (dollars(notional=500.0), tens()),  # in dollars
        (dollars(notional="0.006687487"), tens()),
        (position(contracts=2.0, notional=100.0, entryPrice=50000.0, markPrice=90000.0), tens(0.001, LINEAR)),
        # the notional at entry is that of one unit of price
        (position(contracts=2.0, notional=2.0, entryPrice=0.01, markPrice=0.05), tens(100.0, LINEAR)),
    ],
)
def test_contracts_that_notional_does_not_contradict_are_taken(held, markets):
    assert len(book(held, markets=markets)) == 1


def test_a_short_may_count_its_contracts_below_zero():
    assert book(position(side="short", contracts=-5.0)).to_frames()[2]["lots"].to_list() == [-50]


def test_a_long_and_a_short_are_two_rows_and_closed_positions_none():
    closed = [
        position(contracts=0.0, side=None),
        position(contracts="0.00", symbol=None),
        position(contracts=0),
    ]
    assert len(book(position(), *closed, position(side="short"))) == 2


def test_money_finer_than_an_atom_is_rounded_down():
    held = isolated(collateral=0.1, unrealizedPnl=0.3000001)
    _, accounts, _ = book(held, cash={"ann": {"USDT": 1.0000019}}).to_frames()
    assert sorted(accounts["cash_atoms"]) == [-200_001, 1_000_001]
    _, accounts, _ = book(position(), decimals={"USDT": 8}, cash={"ann": {"USDT": "1.00000199"}}).to_frames()
    assert accounts["cash_atoms"].to_list() == [100_000_199]


def test_cash_without_positions_is_an_account_unless_nothing_settles_in_it():
    cash = {"ann": {"USDT": 1, "DOGE": 5.5, "BTC": None}, "bob": {"USDT": Decimal("2.5")}}
    _, accounts, _ = book(position(), cash=cash).to_frames()
    assert rows(accounts.select("id", "cash_atoms")) == [("ann:USDT", 1_000_000), ("bob:USDT", 2_500_000)]


def test_cash_of_none_is_no_account():
    held = {"ann": [position()], "bob": [position(symbol=INVERSE)]}
    cash = {"ann": {"USDT": 1, "BTC": None}, "bob": {"BTC": 1}}
    assert ccxt.book(held, MARKETS, TIERS, cash=cash).accounts.to_list() == ["ann:USDT", "bob:BTC"]


def test_collateral_less_profit_is_exact_however_far_apart_they_are():
    _, accounts, _ = book(isolated(collateral=123456789.123, unrealizedPnl=1e-25)).to_frames()
    assert max(accounts["cash_atoms"]) == 123_456_789_122_999


@pytest.mark.parametrize("spelling", [str, Decimal, float])
def test_numbers_are_taken_exactly_in_any_spelling(spelling):
    held = [
        position(contracts=spelling("0.3"), entryPrice=spelling("50000.1")),
        position(side="short", contracts=3, entryPrice=50000),
    ]
    _, _, positions = book(*held).to_frames()
    assert rows(positions.select("lots", "entry_value_atoms")) == [(3, 15_000_030), (-30, -150_000_000)]


def test_a_mark_is_what_all_positions_of_a_symbol_agree_on():
    held = [position(markPrice=51000.0), position(side="short", markPrice=None)]
    assert book(*held).instruments[0].mark == 51000
    assert book(position(markPrice=51000.0), position(side="short", markPrice="51000")).instruments[0].mark
    assert book(*held, isolated(markPrice=51000.5)).instruments[0].mark is None


def test_what_is_given_does_not_depend_on_the_order_of_markets_or_accounts():
    held = {"ann": [position()], "bob": [position(symbol=INVERSE, side="short", contracts=5)]}
    cash = {"ann": {"USDT": 1.0}, "bob": {"BTC": 1.0}}
    one = ccxt.book(held, MARKETS, TIERS, cash=cash)
    other = ccxt.book(dict(reversed(held.items())), list(MARKETS.values())[::-1], TIERS, cash=cash)
    assert one.instruments.symbols == other.instruments.symbols == (INVERSE, LINEAR)
    for frame, turned in zip(one.to_frames()[1:], other.to_frames()[1:], strict=True):
        assert frame.sort(frame.columns).equals(turned.sort(turned.columns))


HERE = ("positions", "ann", 1)


@pytest.mark.parametrize(
    ("fields", "path", "value"),
    [
        ({"contracts": None}, (*HERE, "contracts"), None),
        ({"side": "long", "contracts": -2.0}, (*HERE, "contracts"), -2.0),
        ({"side": "long", "contracts": "-2"}, (*HERE, "contracts"), "-2"),
        ({"contracts": 0.25}, (*HERE, "contracts"), 0.25),
        ({"contracts": float("nan")}, (*HERE, "contracts"), None),
        ({"contracts": "five"}, (*HERE, "contracts"), "five"),
        ({"contracts": [5]}, (*HERE, "contracts"), [5]),
        ({"contracts": True}, (*HERE, "contracts"), True),
        ({"side": None}, (*HERE, "side"), None),
        ({"side": "both"}, (*HERE, "side"), "both"),
        ({"side": ["short"]}, (*HERE, "side"), ["short"]),
        ({"symbol": [LINEAR]}, (*HERE, "symbol"), [LINEAR]),
        ({"markPrice": [5]}, (*HERE, "markPrice"), [5]),
        ({"markPrice": float("nan")}, (*HERE, "markPrice"), None),
        ({"contracts": 10**400}, (*HERE, "contracts"), None),
        ({"contractSize": Decimal("sNaN")}, (*HERE, "contractSize"), None),
        ({"marginMode": "isolated", "positionMargin": "x"}, (*HERE, "positionMargin"), "x"),
        ({"entryPrice": None}, (*HERE, "entryPrice"), None),
        ({"entryPrice": 0.0}, (*HERE, "entryPrice"), 0.0),
        ({"symbol": None}, (*HERE, "symbol"), None),
        ({"symbol": "BTC/USDT:USD"}, (*HERE, "symbol"), "BTC/USDT:USD"),
        ({"contractSize": 1}, (*HERE, "contractSize"), 1),
        ({"contractSize": "x"}, (*HERE, "contractSize"), "x"),
        ({"marginMode": "portfolio"}, (*HERE, "marginMode"), "portfolio"),
        ({"marginMode": "isolated"}, (*HERE, "collateral"), None),
        ({"marginMode": "isolated", "collateral": 5.0}, (*HERE, "unrealizedPnl"), None),
        ({"marginMode": "isolated", "collateral": "x", "unrealizedPnl": 0}, (*HERE, "collateral"), "x"),
        ({"marginMode": "isolated", "collateral": 5, "unrealizedPnl": "x"}, (*HERE, "unrealizedPnl"), "x"),
        ({"side": "long"}, (*HERE, "symbol"), LINEAR),
        ({"symbol": "BTC/USDT"}, ("markets", "BTC/USDT", "settle"), None),
    ],
)
def test_a_bad_position_is_named(fields, path, value):
    with pytest.raises(InputError) as caught:
        book(position(), position(**{"side": "short", **fields}))
    assert caught.value.path == path
    assert caught.value.value == value or value is None
    assert caught.value.remedy


def test_a_symbol_that_is_no_market_is_told_the_nearest():
    with pytest.raises(InputError, match=f"such as {LINEAR}"):
        book(position(symbol="BTC/USDT:USDt"))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"positions": [position()]}, ("positions",)),
        ({"positions": {"ann": position()}}, ("positions", "ann")),
        ({"positions": {"ann": "long"}}, ("positions", "ann")),
        ({"markets": None}, ("markets",)),
        ({"markets": {LINEAR: {**MARKETS[LINEAR], "precision": 0.1}}}, ("markets", LINEAR, "precision")),
        ({"decimals": [6]}, ("decimals",)),
        ({"decimals": {"USDT": None}}, ("decimals", "USDT")),
        ({"decimals": {"USDT": 13}}, ("decimals", "USDT")),
        ({"decimals": {"USDT": True}}, ("decimals", "USDT")),
        ({"positions": {"ann": ["long"]}}, ("positions", "ann", 0)),
        ({"positions": {7: [position()]}}, ("positions", "7")),
        ({"cash": {7: {"USDT": 1}}}, ("cash", "7")),
        ({"cash": [5]}, ("cash",)),
        ({"cash": {"ann": 5}}, ("cash", "ann")),
        ({"markets": [5]}, ("markets", 0)),
        ({"markets": [{}]}, ("markets", 0, "symbol")),
        ({"markets": {LINEAR: 5}}, ("markets", LINEAR)),
        ({"tiers": []}, ("tiers",)),
        ({"tiers": {LINEAR: 5}}, ("tiers", LINEAR)),
        ({"tiers": {LINEAR: [5]}}, ("tiers", LINEAR, 0)),
    ],
)
def test_what_has_the_wrong_shape_is_named(given, path):
    whole = {
        "positions": {"ann": [position()]},
        "markets": MARKETS,
        "tiers": TIERS,
        "cash": {"ann": {"USDT": 1}},
    }
    with pytest.raises(InputError) as caught:
        ccxt.book(**{**whole, **given})
    assert caught.value.path == path


def test_a_bad_mark_is_named():
    with pytest.raises(InputError) as caught:
        book(position(markPrice=0.0))
    assert (caught.value.path, caught.value.value) == (("markPrice", LINEAR), 0.0)


def test_cash_that_is_missing_or_too_large_is_named():
    with pytest.raises(InputError) as caught:
        book(position(), cash={"ann": {"USDT": None}})
    assert (caught.value.path, caught.value.value) == (("cash", "ann", "USDT"), "missing")
    with pytest.raises(BoundsError) as caught:
        book(position(), cash={"ann": {"USDT": 1e12}})
    assert caught.value.path == ("cash", "ann", "USDT")
    with pytest.raises(BoundsError) as caught:
        book(isolated(collateral=1e12))
    assert caught.value.path == ("positions", "ann", 0, "collateral")
    with pytest.raises(InputError, match="give a decimal number"):
        book(position(), cash={"ann": {"USDT": Fraction(1, 3)}})
    with pytest.raises(InputError, match="give cross or isolated"):
        book(position(), margin_mode="both")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"settle": ""}, ("markets", LINEAR, "settle")),
        ({"linear": False}, ("markets", LINEAR, "linear")),
        ({"inverse": True}, ("markets", LINEAR, "linear")),
        ({"option": True}, ("markets", LINEAR, "option")),
        ({"contractSize": None}, ("markets", LINEAR, "contractSize")),
        ({"contractSize": -1}, ("markets", LINEAR, "contractSize")),
        ({"precision": None}, ("markets", LINEAR, "precision", "amount")),
        ({"precision": {"amount": None}}, ("markets", LINEAR, "precision", "amount")),
        ({"precision": {"amount": 0}}, ("markets", LINEAR, "precision", "amount")),
    ],
)
def test_a_bad_market_is_named(fields, path):
    with pytest.raises(InputError) as caught:
        book(position(), markets={LINEAR: {**MARKETS[LINEAR], **fields}})
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("tier", "path"),
    [
        ({"currency": "BTC"}, ("tiers", LINEAR, 1, "currency")),
        ({"minNotional": None}, ("tiers", LINEAR, 1, "minNotional")),
        ({"minNotional": 0.0}, ("tiers", LINEAR, 1, "minNotional")),
        ({"maintenanceMarginRate": None}, ("tiers", LINEAR, 1, "maintenanceMarginRate")),
        ({"maintenanceMarginRate": 0.001}, ("tiers", LINEAR, 1, "maintenanceMarginRate")),
        ({"maxLeverage": 0}, ("tiers", LINEAR, 1, "maxLeverage")),
    ],
)
def test_a_bad_tier_is_named(tier, path):
    with pytest.raises(InputError) as caught:
        book(position(), tiers={LINEAR: [TIERS[LINEAR][0], {**TIERS[LINEAR][1], **tier}]})
    assert caught.value.path == path


def test_symbols_that_are_no_list_are_named():
    for symbols in (LINEAR, 5):
        with pytest.raises(InputError) as caught:
            ccxt.instruments(MARKETS, TIERS, symbols=symbols)
        assert caught.value.path == ("symbols",)


@pytest.mark.parametrize("tiers", [{}, {LINEAR: []}, {LINEAR: None}])
def test_a_symbol_without_tiers_is_named(tiers):
    with pytest.raises(InputError) as caught:
        book(position(), tiers=tiers)
    assert caught.value.path == ("tiers", LINEAR)


@pytest.mark.parametrize(("places", "lot"), [(3, "0.001"), (0, "1"), (-2, "100"), (1.0, "0.1")])
def test_a_precision_may_be_decimal_places(places, lot):
    markets = {LINEAR: {**MARKETS[LINEAR], "precision": {"amount": places}}}
    (found,) = ccxt.instruments(markets, TIERS, precision_mode=2)["lot"]
    assert found == Fraction(lot)


def test_a_precision_that_is_no_number_of_places_is_named():
    for mode, step, path in (
        (2, 0.1, ("markets", LINEAR, "precision", "amount")),
        (2, "x", ("markets", LINEAR, "precision", "amount")),
        (2, 31, ("markets", LINEAR, "precision", "amount")),
        (3, 5, ("precision_mode",)),
    ):
        markets = {LINEAR: {**MARKETS[LINEAR], "precision": {"amount": step}}}
        with pytest.raises(InputError) as caught:
            ccxt.instruments(markets, TIERS, precision_mode=mode)
        assert caught.value.path == path


# ---------------------------------------------------------------- out


@pytest.fixture(scope="module")
def engine():
    """Some hundred positions, cross and isolated, linear and inverse, away from their entry."""
    rng = np.random.default_rng(3)
    positions, cash = {}, {}
    for i in range(40):
        name, held = f"t{i:02}", []
        for symbol, step, most in ((LINEAR, 0.1, 40_000), (INVERSE, 1.0, 9000)):
            for side in ("long", "short"):
                lots, price = int(rng.integers(0, most)), float(round(rng.normal(50000, 2000), 1))
                fields = {
                    "symbol": symbol,
                    "side": side,
                    "contracts": round(lots * step, 1),
                    "entryPrice": price,
                }
                alone = {"marginMode": "isolated", "collateral": 50.0, "unrealizedPnl": 0.0}
                held.append(position(**fields, **(alone if i % 4 == 0 else {})))
        positions[name], cash[name] = held, {"USDT": 5000.0, "BTC": 0.3}
    made = fa.Engine(ccxt.book(positions, MARKETS, TIERS, cash=cash))
    made.mark({LINEAR: 50123.5, INVERSE: 50100})
    return made


def test_positions_have_every_unified_key(engine):
    found = ccxt.positions(engine, timestamp=1760130964831)
    assert sum(map(len, found.values())) == len(engine.book)
    for held in found.values():
        for each in held:
            assert list(each) == KEYS
            assert (each["timestamp"], each["datetime"]) == (1760130964831, "2025-10-10T21:16:04.831Z")
            json.dumps(each, allow_nan=False)
    assert ccxt.positions(engine)["t01:USDT"][0]["datetime"] is None


def test_positions_say_what_the_engine_says(engine):
    atoms = {"USDT": 10**6, "BTC": 10**8}
    equity, required = engine.equity(), engine.maintenance_margin()
    for account, held in ccxt.positions(engine).items():
        i = engine.codes(accounts=[account])[0]
        unit = atoms["BTC" if held[0]["symbol"] == INVERSE else "USDT"]
        margin = sum(each["maintenanceMargin"] for each in held) * unit
        assert margin == pytest.approx(required[i], abs=1.5)
        for each in held:
            assert each["collateral"] * unit == pytest.approx(equity[i], abs=1.5)
            size, price = each["contracts"] * each["contractSize"], each["markPrice"]
            value = size / price if unit == 10**8 else size * price
            opened = size / each["entryPrice"] if unit == 10**8 else size * each["entryPrice"]
            gain = (value - opened) * (1 if each["side"] == "long" else -1) * (-1 if unit == 10**8 else 1)
            assert each["notional"] == pytest.approx(value)
            assert each["unrealizedPnl"] == pytest.approx(gain, abs=2 / unit)
            assert each["maintenanceMarginPercentage"] == pytest.approx(each["maintenanceMargin"] / value)
            ratio = required[i] / equity[i] if equity[i] > 0 else None
            assert each["marginRatio"] == (ratio and pytest.approx(ratio, rel=1e-4))
            assert each["hedged"] == (len(held) == 2)
            alone = each["marginMode"] == "isolated"
            assert each["positionMargin"] == (engine.book.cash[i] / unit if alone else None)
            assert each["marginMode"] == ("isolated" if ":" in account.removesuffix(":USDT")[4:] else "cross")


def test_an_account_without_equity_has_no_margin_ratio():
    poor = fa.Engine(book(position(side="short"), cash={"ann": {"USDT": 1.0}}))
    poor.mark({LINEAR: 60000})
    ((each,),) = ccxt.positions(poor).values()
    assert each["marginRatio"] is None
    assert each["collateral"] < 0


def come_back(marked):
    """The book that positions, tiers and cash going out make again."""
    given, cash = {}, {}
    for account, held in ccxt.positions(marked).items():
        given.setdefault(account[:3], []).extend(held)
    for account, currency, atoms in marked.book.to_frames()[1].select("id", "currency", "cash_atoms").rows():
        if account.count(":") == 1:
            cash.setdefault(account[:3], {})[currency] = atoms / 10 ** (8 if currency == "BTC" else 6)
    return ccxt.book(given, MARKETS, ccxt.leverage_tiers(marked.book.instruments), cash=cash)


def same(one, other):
    for left, right in zip(one.to_frames(), other.to_frames(), strict=True):
        left, right = (frame.sort(frame.columns[:2]) for frame in (left, right))
        assert left.drop("mark", strict=False).equals(right.drop("mark", strict=False))


def test_positions_come_back_as_the_book_they_were(engine):
    same(come_back(engine), engine.book)


HELD = st.lists(
    st.tuples(
        st.sampled_from(["t00", "t01"]),
        st.sampled_from([LINEAR, INVERSE]),
        st.sampled_from(["long", "short"]),
        st.integers(1, 10**7),
        st.decimals("0.5", "200000", places=5),
        st.one_of(st.none(), st.decimals("0", "100000", places=6)),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each[:3],
)


@given(HELD)
@settings(deadline=None)
def test_any_positions_come_back_to_the_last_atom(held):
    given = {}
    for name, symbol, side, lots, price, margin in held:
        mode = "cross" if margin is None else "isolated"
        stated = {"symbol": symbol, "side": side, "contracts": lots / (10 if symbol == LINEAR else 1)}
        given.setdefault(name, []).append(
            position(**stated, entryPrice=price, marginMode=mode, positionMargin=margin)
        )
    marked = fa.Engine(
        ccxt.book(given, MARKETS, TIERS, cash={name: {"USDT": 10, "BTC": 1} for name in given})
    )
    marked.mark(dict.fromkeys(marked.symbols, 30000))
    same(come_back(marked), marked.book)


def test_an_entry_price_that_is_a_decimal_goes_out_as_it_came(engine):
    price = 50000.1
    marked = fa.Engine(book(position(entryPrice=price), position(side="short", entryPrice=price)))
    marked.mark({LINEAR: 50000})
    ((long, short),) = ccxt.positions(marked).values()
    assert (long["entryPrice"], short["entryPrice"]) == (price, price)


def test_an_entry_value_of_nothing_has_no_price():
    tiny = {LINEAR: {**MARKETS[LINEAR], "contractSize": 1e-12}}
    marked = fa.Engine(book(position(side="short", contracts=0.1), markets=tiny))
    marked.mark({LINEAR: 50000})
    ((each,),) = ccxt.positions(marked).values()
    assert each["entryPrice"] is None


def test_liquidation_prices_are_those_of_the_engine(engine):
    found = 0
    for account, held in ccxt.positions(engine).items():
        for each, wanted in zip(held, engine.positions(account)["liquidation_price"], strict=True):
            assert each["liquidationPrice"] == (wanted and pytest.approx(wanted, rel=1e-9))
            found += wanted is not None
    assert found > 50
    moves = engine.distances().frame().drop("adl")
    assert engine.liquidation_distances().equals(moves)


def test_of_two_liquidation_prices_the_nearer_is_told_of_an_inverse_hedge_too():
    steep = {"currency": None, "minNotional": 0.002, "maintenanceMarginRate": 0.5}
    hedge = (
        position(symbol=INVERSE, contracts=100.0, entryPrice=50000.0),
        position(symbol=INVERSE, side="short", contracts=216.0, entryPrice=50000.0),
    )
    marked = fa.Engine(
        book(*hedge, cash={"ann": {"BTC": 0.001942}}, tiers={INVERSE: [TIERS[INVERSE][0], steep]})
    )
    marked.mark({INVERSE: 50000})
    down, up = marked.liquidation_distances()["liquidation"]
    assert 0 < down < 1 < up < np.inf
    for found in (
        marked.positions("ann:BTC")["liquidation_price"].to_list(),
        [each["liquidationPrice"] for each in ccxt.positions(marked)["ann:BTC"]],
    ):
        assert found == pytest.approx([50000 * (1 - down)] * 2)


def test_fund_and_market_have_no_positions():
    _, accounts, held = book(position()).to_frames()
    made = fa.Book.from_frames(
        book(position()).to_frames()[0],
        accounts,
        {
            "account": ["ann:USDT", "fund", "market"],
            "symbol": [LINEAR] * 3,
            "lots": [50, -20, -30],
            "entry_value_atoms": [held["entry_value_atoms"][0], -1, -1],
        },
    )
    marked = fa.Engine(made)
    marked.mark({LINEAR: 50000})
    assert list(ccxt.positions(marked)) == ["ann:USDT"]


def test_leverage_tiers_come_back_as_they_were():
    there = ccxt.leverage_tiers(book(position(), position(symbol=INVERSE)).instruments)
    for tier, found in zip(TIERS[LINEAR], there[LINEAR], strict=True):
        assert {name: found[name] for name in tier if name != "info"} == {
            name: value for name, value in tier.items() if name != "info"
        }
    assert [tier["info"] for tier in there[LINEAR]] == [{"deduction": 0.0}, {"deduction": 50.0}]
    assert (there[INVERSE][0]["currency"], there[INVERSE][0]["maxNotional"]) == ("BTC", None)


@pytest.mark.parametrize("timestamp", ["x", 1.5, 10**20])
def test_what_is_no_time_is_refused(engine, timestamp):
    for call in (ccxt.adl_ranks, ccxt.positions):
        with pytest.raises(InputError, match=r"timestamp: .*: give milliseconds of the epoch"):
            call(engine, timestamp=timestamp)
    found = ccxt.adl_ranks(engine, timestamp=np.int64(7))
    assert '"1970-01-01T00:00:00.007Z"' in json.dumps(found)


def test_adl_ranks_are_the_lights_and_what_comes_after(engine):
    found = ccxt.adl_ranks(engine, timestamp=1760130964831)
    for side in ("long", "short"):
        ranking = engine.rank(LINEAR, side)
        total = ranking["lots"].sum()
        after = total - ranking["lots"].cum_sum()
        for account, lots_after in zip(ranking["account"], after, strict=True):
            (each,) = [
                each for each in found[account] if (each["symbol"], each["info"]["side"]) == (LINEAR, side)
            ]
            assert list(each) == ["info", "symbol", "rank", "rating", "percentage", "timestamp", "datetime"]
            assert each["percentage"] == pytest.approx(100 * lots_after / total, abs=1e-9)
            assert each["rating"] == str(each["rank"])
            assert 1 <= each["rank"] <= 5
            assert each["datetime"] == "2025-10-10T21:16:04.831Z"
            json.dumps(each)
    lights = engine.lights(by="count").frame()
    counted = ccxt.adl_ranks(engine, by="count")
    assert [each["rank"] for held in counted.values() for each in held] == lights["light"].to_list()


def test_an_engine_that_was_never_marked_says_so():
    fresh = fa.Engine(book(position()))
    for ask in (ccxt.positions, ccxt.adl_ranks):
        with pytest.raises(StageError):
            ask(fresh)


def test_the_leverage_tiers_of_an_exchange_load():
    file = DATA / "leverage_brackets" / "binance_leverage_tiers.json"
    if not file.is_file():
        pytest.skip(f"the tiers are not at {file}: set FASTADL_DATA to the folder that holds them")
    tiers = json.loads(file.read_text())
    markets = {
        symbol: {
            "symbol": symbol,
            "settle": ladder[0]["currency"],
            "linear": True,
            "contractSize": 1.0,
            "precision": {"amount": 0.001},
        }
        for symbol, ladder in tiers.items()
    }
    table = ccxt.instruments(markets, tiers)
    made = fa.Book.from_frames(
        table,
        {"id": [], "cash": [], "currency": []},
        {"account": [], "symbol": [], "qty": [], "entry_price": []},
    )
    assert len(made.instruments) == len(tiers)
    there = ccxt.leverage_tiers(made.instruments)
    for symbol, ladder in tiers.items():
        for tier, found in zip(ladder, there[symbol], strict=True):
            names = ("tier", "currency", "minNotional", "maintenanceMarginRate", "maxLeverage")
            assert [found[name] for name in names] == [tier[name] for name in names]
            cum = tier["info"].get("cum")
            assert cum is None or found["info"]["deduction"] == pytest.approx(float(cum), abs=0.01)
