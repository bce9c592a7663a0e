"""Node fills fold into the positions they say they do, and what they contradict is reported."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import permutations
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadl.borders import hyperliquid
from fastadl.decimals import plain
from fastadl.errors import BoundsError, InputError

META = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "HYPE", "szDecimals": 2, "maxLeverage": 3, "marginTableId": 3},
        {"name": "GONE", "szDecimals": 0, "maxLeverage": 5, "isDelisted": True},
    ],
    "marginTables": [
        [
            56,
            {
                "description": "tiered 40x",
                "marginTiers": [
                    {"lowerBound": "0.0", "maxLeverage": 40},
                    {"lowerBound": "150000000.0", "maxLeverage": 20},
                ],
            },
        ]
    ],
}


def fill(side="B", sz="1", px="100", start="0", pnl="0.0", time=1, fee="0.0", **fields):
    """A fill of 0xa in BTC, as a node writes it."""
    stated = {"coin": "BTC", "px": px, "sz": sz, "side": side, "time": time, "startPosition": start}
    result = {"closedPnl": pnl, "fee": fee, "feeToken": "USDC", "tid": 7, "dir": "Open Long", "crossed": True}
    return {"user": "0xa", **stated, **result, **fields}


#: Buys 2 at 100 and 1 at 130, sells 1 at 120 (entry 110), sells 4 at 105: flat, and short 2.
STORY = [
    fill("B", "2", "100", "0", time=1, fee="0.2"),
    fill("B", "1", "130", "2", time=2),
    fill("A", "1", "120", "3", "10.0", time=3, fee="-0.000001"),
    fill("A", "4", "105", "2", "-10.0", time=4),
]


def rows(frame):
    return [tuple(row) for row in frame.rows()]


def test_a_position_is_at_average_cost_and_turns_over():
    folded = hyperliquid.fold(STORY)
    assert rows(folded.positions) == [("0xa", "BTC", "-2", -210_000_000, "fills")]
    assert rows(folded.accounts) == [("0xa", 4, 0, 199_999)]
    assert folded.differences.is_empty()
    assert (folded.fills, folded.spot, folded.starts, folded.profits) == (4, 0, 3, 4)


def test_the_three_forms_of_a_line_say_the_same(tmp_path):
    pairs = [[each["user"], {k: v for k, v in each.items() if k != "user"}] for each in STORY]
    block = {"local_time": "x", "block_time": "y", "block_number": 1, "events": pairs[1:]}
    wanted = hyperliquid.fold(STORY).positions
    for source in (pairs, [pairs[0], block], [json.dumps(pairs[0]), b"", json.dumps(block).encode()]):
        assert hyperliquid.fold(source).positions.equals(wanted)
    file = tmp_path / "fills.jsonl"
    file.write_text("\n".join(map(json.dumps, pairs)) + "\n\n")
    assert hyperliquid.fold(file).positions.equals(wanted)
    assert hyperliquid.fold(str(file)).positions.equals(wanted)


TRADES = st.lists(
    st.tuples(st.integers(-400, 400).filter(bool), st.integers(1, 10**6)), min_size=1, max_size=30
)


def told(trades, skip=0):
    """Fills of trades (hundredths, ten-thousandths) with the profits of average cost, by Fraction."""
    size, entry, told = Fraction(0), Fraction(0), []
    for time, (hundredths, price) in enumerate(trades):
        change, price = Fraction(hundredths, 100), Fraction(price, 10**4)
        start, profit = size, Fraction(0)
        if size * change < 0:
            closed = min(abs(change), abs(size)) * (1 if size > 0 else -1)
            profit = closed * price - entry * closed / size
            entry -= entry * closed / size
            size -= closed
            change += closed
        size, entry = size + change, entry + change * price
        stated = plain(Fraction(round(profit * 10**6), 10**6))
        whole = plain(abs(Fraction(hundredths, 100)))
        told.append(fill("B" if hundredths > 0 else "A", whole, plain(price), plain(start), stated, time))
    return told[skip:], size, entry


@given(TRADES)
@settings(deadline=None)
def test_what_average_cost_says_is_never_a_difference(trades):
    fills, size, entry = told(trades)
    folded = hyperliquid.fold(fills)
    assert folded.differences.is_empty()
    assert folded.profits == len(fills)
    if not size:
        assert folded.positions.is_empty()
        return
    ((_, _, qty, atoms, origin),) = rows(folded.positions)
    assert (Fraction(qty), origin) == (size, "fills")
    assert atoms == ceil(round(entry * 10**6, 6))


@given(TRADES, st.integers(1, 29))
@settings(deadline=None)
def test_a_history_that_begins_in_the_middle_is_no_difference(trades, skip):
    fills, size, _ = told(trades, min(skip, len(trades) - 1))
    folded = hyperliquid.fold(fills)
    assert folded.differences.is_empty()
    assert [Fraction(qty) for qty in folded.positions["qty"]] == ([size] if size else [])


def test_the_first_close_tells_the_entry_of_a_position_opened_before():
    first = fill("A", "1", "120", "3", "20.0", time=1)
    folded = hyperliquid.fold([first])
    assert rows(folded.positions) == [("0xa", "BTC", "2", 200_000_000, "closed_pnl")]
    assert (folded.starts, folded.profits) == (0, 0)
    folded = hyperliquid.fold([first, fill("A", "1", "120", "2", "20.00001", time=2)])
    assert rows(folded.differences.select("line", "field", "folded")) == [(2, "closedPnl", "20")]
    folded = hyperliquid.fold([fill("B", "1", "120", "3", time=1)])
    assert rows(folded.positions) == [("0xa", "BTC", "4", 480_000_000, "first_price")]


def test_a_derived_entry_is_in_doubt_by_what_a_printed_profit_leaves_open():
    # 0.01 of 300 closed: half an atom of its profit is 15,000 atoms of the rest
    first = fill("A", "0.01", "120", "300", "0.2", time=1)
    second = fill("A", "299.99", "120", "299.99", "5999.845", time=2)
    assert hyperliquid.fold([first, second]).differences.is_empty()
    worse = {**second, "closedPnl": "5999.7"}
    assert rows(hyperliquid.fold([first, worse]).differences.select("line")) == [(2,)]


def test_what_is_closed_takes_its_share_of_the_doubt_with_it():
    fills = [fill("A", "0.01", "120", "300", "0.2"), fill("A", "150", "120", "299.99", "3000", time=2)]
    last = fill("A", "149.99", "120", "149.99", "2999.84", time=3)
    assert hyperliquid.fold([*fills, last], tolerance="0.0101").differences.is_empty()
    assert hyperliquid.fold([*fills, last]).differences["line"].to_list() == [3]


def test_after_nothing_is_left_a_position_is_built_by_fills():
    last = fill("B", "1", "100", "0", time=2)
    assert hyperliquid.fold([fill("A", "3", "120", "3", "60.0"), last]).positions["entry_from"][0] == "fills"


def test_an_impossible_profit_is_a_difference_and_teaches_nothing():
    folded = hyperliquid.fold([fill("A", "1", "120", "3", "121", time=1)])
    assert rows(folded.differences.select("field", "stated", "folded")) == [("closedPnl", "121", "0")]
    assert folded.positions["entry_from"].to_list() == ["first_price"]


def test_positions_handed_in_are_held_against_the_fills():
    before = {"account": "0xa", "symbol": "BTC", "qty": "3", "entry_price": "100"}
    other = {"account": "0xb", "symbol": "HYPE", "qty": -1, "entry_price": 20}
    folded = hyperliquid.fold([fill("A", "1", "120", "3", "20.0")], opening=[before, other])
    assert folded.differences.is_empty()
    assert (folded.starts, folded.profits) == (1, 1)
    assert rows(folded.positions) == [
        ("0xa", "BTC", "2", 200_000_000, "given"),
        ("0xb", "HYPE", "-1", -20_000_000, "given"),
    ]
    assert rows(folded.accounts) == [("0xa", 1, 20_000_000, 0), ("0xb", 0, 0, 0)]
    folded = hyperliquid.fold([fill("A", "1", "120", "4", "20.0")], opening=[before])
    assert rows(folded.differences.select("field", "stated", "folded", "difference")) == [
        ("startPosition", "4", "3", 1.0)
    ]


@pytest.mark.parametrize(
    ("off", "found"), [("0.000003", 0), ("0.0000031", 1), ("-0.000003", 0), ("-0.0000031", 1)]
)
def test_a_closed_pnl_may_differ_by_two_atoms_and_one_a_lot(off, found):
    story = [*STORY[:2], {**STORY[2], "closedPnl": plain(10 + Fraction(off))}]
    assert hyperliquid.fold(story).differences.height == found
    assert hyperliquid.fold(story, tolerance="0.000004").differences.height == 0
    assert hyperliquid.fold(story, tolerance=0).differences.height == 1
    assert hyperliquid.fold(story, meta=META, tolerance=0).differences.height == 0


def test_an_entry_price_may_be_rounded_as_the_venue_rounds_it():
    # 0.00009 bought at 118,136 and 0.00002 at 118,137: the mean of 118,136.18 is stated with one decimal
    fills = [fill("B", "0.00009", "118136", "0"), fill("B", "0.00002", "118137", "0.00009", time=2)]
    close = fill("A", "0.00011", "118200.0", "0.00011", "0.007018", time=3)
    assert hyperliquid.fold([*fills, close], meta=META).differences.is_empty()
    assert hyperliquid.fold([*fills, {**close, "closedPnl": "0.007"}], meta=META).differences.height == 1


def test_sizes_that_are_no_lots_are_named():
    for line, name in ((fill(sz="0.000001"), "sz"), (fill(start="0.0000001"), "startPosition")):
        with pytest.raises(InputError) as caught:
            hyperliquid.fold([line], meta=META)
        assert caught.value.path == ("fills", 1, name)
    with pytest.raises(InputError, match="lists SOL"):
        hyperliquid.fold([fill(coin="SOL")], meta=META)


def test_profit_of_a_fill_that_closes_nothing_is_a_difference():
    folded = hyperliquid.fold([fill(pnl="1.5")])
    assert rows(folded.differences) == [(1, "0xa", "BTC", 1, 7, "closedPnl", "1.5", "0", 1.5)]


@pytest.mark.parametrize("lost", [1, 2])
def test_a_missing_fill_is_found_at_the_next_and_the_position_goes_on(lost):
    story = STORY[:lost] + STORY[lost + 1 :]
    folded = hyperliquid.fold(story)
    (first, *_) = folded.differences.to_dicts()
    assert (first["line"], first["field"]) == (lost + 1, "startPosition")
    assert folded.positions["qty"].to_list() == ["-2"]


def test_differences_are_in_the_order_of_lines():
    lines = [fill(pnl="1"), fill(user="0xb", pnl="1"), fill(start="1", pnl="1", time=2)]
    assert hyperliquid.fold(lines).differences["line"].to_list() == [1, 2, 3]


def test_profits_are_rounded_down_and_fees_up():
    folded = hyperliquid.fold([fill(pnl="-0.0000005", fee="0.0000005")])
    assert rows(folded.accounts) == [("0xa", 1, -1, 1)]


def test_numbers_of_json_are_taken_exactly():
    line = json.dumps(fill(sz=0)).replace('"sz": 0', '"sz": 0.10000000000000000001')
    assert hyperliquid.fold([line]).positions["qty"].to_list() == ["0.10000000000000000001"]


def test_a_lot_is_the_finest_step_of_sizes_and_starts():
    before = {"account": "0xa", "symbol": "BTC", "qty": "3.5", "entry_price": "100"}
    assert hyperliquid.fold(
        [fill("A", "1", "120", "3.5", "20.00001")], opening=[before]
    ).differences.is_empty()
    before["qty"] = 3
    assert not hyperliquid.fold(
        [fill("A", "1", "120", "3", "20.00001")], opening=[before]
    ).differences.is_empty()


def test_a_fill_that_says_the_same_as_one_before_is_counted_and_left_out():
    wanted = hyperliquid.fold(STORY)
    for again in ([*STORY, *STORY[2:]], [*STORY[:3], *STORY[1:]], [*STORY, STORY[0]]):
        folded = hyperliquid.fold(again)
        assert folded.positions.equals(wanted.positions)
        assert folded.accounts.equals(wanted.accounts)
        assert folded.differences.is_empty()
        assert (folded.fills, folded.repeated) == (4, len(again) - 4)


@pytest.mark.parametrize("other", [{"tid": 8}, {"fee": "0.1"}, {"closedPnl": "0.000001"}, {"px": "101"}])
def test_a_fill_that_says_anything_else_is_another(other):
    # bought twice from 0, then sold once: the walk of one moment takes the second after the sale
    moment = [fill("B", "1", "100", "0"), fill("A", "1", "100", "1")]
    for order in permutations([*moment, {**moment[0], **other}]):
        assert hyperliquid.fold(order).positions["qty"].to_list() == ["1"]
    assert hyperliquid.fold([*moment, moment[0]]).positions.is_empty()


def test_fills_without_a_trade_are_never_repeated():
    again = {name: value for name, value in fill("B", "1", "100", "0").items() if name != "tid"}
    folded = hyperliquid.fold([again, again])
    assert (folded.fills, folded.repeated) == (2, 0)
    assert folded.differences["field"].to_list() == ["startPosition"]


def test_fills_of_one_moment_are_taken_where_each_starts():
    before, *moment = [STORY[0], *({**each, "time": 5} for each in STORY[1:])]
    wanted = hyperliquid.fold(STORY)
    for order in permutations(moment):
        folded = hyperliquid.fold([before, *order])
        assert folded.differences.is_empty()
        assert folded.positions.equals(wanted.positions)
    for order in permutations([before, *moment]):
        assert hyperliquid.fold([{**each, "time": 5} for each in order]).differences.is_empty()


def test_the_order_given_of_one_moment_is_kept_where_it_can_be():
    # two round trips from 0, which no start tells apart
    moment = [fill("B", "1", "10", "0"), fill("A", "1", "11", "1", "1.0")]
    moment += [fill("B", "1", "20", "0"), fill("A", "1", "22", "1", "2.0")]
    assert hyperliquid.fold(moment).differences.is_empty()


def test_fills_of_one_moment_begin_where_the_moment_before_ended():
    round_trip = [fill("B", "1", "10", "0", time=2), fill("A", "1", "10", "1", time=2)]
    assert hyperliquid.fold([fill("B", "1", "10", "0"), *round_trip]).differences.is_empty()


def test_where_fills_of_one_moment_make_no_chain_their_order_stays():
    moment = [fill("B", "1", "10", "0"), fill("B", "1", "10", "5"), fill("B", "1", "10", "1")]
    folded = hyperliquid.fold(moment)
    assert folded.differences["line"].to_list() == [2, 3]


def test_fills_out_of_order_are_refused_by_line_or_sorted():
    backwards = [STORY[0], STORY[2], STORY[1], STORY[3]]
    with pytest.raises(InputError) as caught:
        hyperliquid.fold(backwards)
    assert (caught.value.path, caught.value.value) == (("fills", 3, "time"), 2)
    assert "line 2" in caught.value.remedy
    folded = hyperliquid.fold(backwards[::-1], sort=True)
    assert folded.positions.equals(hyperliquid.fold(STORY).positions)


def test_only_fills_of_one_user_and_coin_have_an_order():
    others = [{**each, "user": "0xb", "time": each["time"] - 10} for each in STORY]
    coins = [{**each, "coin": "HYPE", "time": each["time"] - 20} for each in STORY]
    mixed = hyperliquid.fold([*STORY, *others, *coins])
    turned = hyperliquid.fold([*coins, *others, *STORY])
    assert mixed.positions.equals(turned.positions)
    assert mixed.accounts.equals(turned.accounts)
    assert mixed.positions["account"].to_list() == ["0xa", "0xa", "0xb"]


def test_fills_of_spot_pairs_and_outcomes_are_counted_and_left_out():
    spot = [fill(coin="@107", feeToken="UBTC"), fill(coin="PURR/USDC", startPosition=None), fill(coin="#20")]
    folded = hyperliquid.fold([*spot, *STORY])
    assert (folded.fills, folded.spot) == (4, 3)
    assert folded.positions.height == 1


def test_nothing_folds_into_nothing():
    folded = hyperliquid.fold([])
    assert folded.positions.is_empty()
    assert folded.accounts.is_empty()
    assert len(folded.book(hyperliquid.instruments(META)).accounts) == 0


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        ("{", ("fills", 2), None),
        ('{"px": NaN}', ("fills", 2), "NaN is no number"),
        ([1, 2], ("fills", 2), [1, 2]),
        ({"events": [["0xa"]]}, ("fills", 2), ["0xa"]),
        ({"events": 5}, ("fills", 2), 5),
        (7, ("fills", 2), 7),
        (fill(user=None), ("fills", 2, "user"), None),
        (fill(coin=""), ("fills", 2, "coin"), ""),
        (fill(time="2024-07-26"), ("fills", 2, "time"), "2024-07-26"),
        (fill(time=True), ("fills", 2, "time"), True),
        (fill(tid="7"), ("fills", 2, "tid"), "7"),
        (fill(side="S"), ("fills", 2, "side"), "S"),
        (fill(feeToken="USDH"), ("fills", 2, "feeToken"), "USDH"),
        (fill(side=["B"]), ("fills", 2, "side"), ["B"]),
        (fill(px="0"), ("fills", 2, "px"), "0"),
        (fill(sz="-1"), ("fills", 2, "sz"), "-1"),
        (fill(px="1e3"), ("fills", 2, "px"), "1e3"),
        ({"user": "0xa", "coin": "BTC", "time": 1, "side": "B"}, ("fills", 2, "px"), "missing"),
        (fill(closedPnl=None), ("fills", 2, "closedPnl"), None),
        (fill(fee="none"), ("fills", 2, "fee"), "none"),
        (fill(fee="9007199255"), ("fills", 2, "fee"), "9007199255"),
        (fill(closedPnl="-9007199255"), ("fills", 2, "closedPnl"), "-9007199255"),
        (fill(sz="90071993"), ("fills", 2, "sz"), "90071993"),
        (fill(start="-90071993"), ("fills", 2, "sz"), "1"),
        (fill(px="9" * 399), ("fills", 2, "sz"), "1"),
    ],
)
def test_a_bad_line_is_named(line, path, value):
    with pytest.raises(InputError) as caught:
        hyperliquid.fold(["", line])
    assert caught.value.path == path
    assert value is None or caught.value.value == value


@pytest.mark.parametrize(
    ("last", "name"),
    [
        (fill(fee="8000000000", start="90000000"), "fee"),
        (fill(pnl="8000000000", start="90000000"), "closedPnl"),
        (fill(sz="100000000", px="1", start="90000000"), "px"),
    ],
)
def test_what_adds_up_to_more_than_money_can_be_is_named(last, name):
    first = fill(sz="90000000", px="100", pnl="2000000000", fee="2000000000")
    assert hyperliquid.fold([first]).fills == 1
    with pytest.raises(BoundsError) as caught:
        hyperliquid.fold([first, {**last, "px": last["px"] if name == "px" else "50", "time": 2}])
    assert caught.value.path == ("fills", 2, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("time", 2**63), ("time", True), ("tid", -(2**63) - 1), ("user", "\ud800"), ("coin", "\ud800")],
)
def test_what_no_frame_can_hold_is_named(name, value):
    with pytest.raises(InputError) as caught:
        hyperliquid.fold([fill(), {**fill(), name: value}])
    assert caught.value.path == ("fills", 2, name)


def test_a_bad_file_is_named(tmp_path):
    file = tmp_path / "fills.jsonl"
    with pytest.raises(InputError, match=r"fills\.jsonl: /: No such file"):
        hyperliquid.fold(file)
    with pytest.raises(InputError, match="/: embedded null byte: give a readable file"):
        hyperliquid.fold(f"{file}\0")
    with pytest.raises(InputError, match="source: 7: give a file, or its lines"):
        hyperliquid.fold(7)
    file.write_text("{}")
    with pytest.raises(InputError, match=r"fills\.jsonl: /fills/1/user: None: give the user's address"):
        hyperliquid.fold(file)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"tolerance": -1}, ("tolerance",)),
        ({"tolerance": "x"}, ("tolerance",)),
        ({"opening": [{"account": "0xa", "symbol": "BTC", "qty": 1}]}, ("opening", 0, "entry_price")),
        (
            {"opening": [{"account": "0xa", "symbol": "BTC", "qty": 1, "entry_price": 0}]},
            ("opening", 0, "entry_price"),
        ),
        (
            {"opening": [{"account": "0xa", "symbol": "BTC", "qty": 0, "entry_price": 1}]},
            ("opening", 0, "qty"),
        ),
        (
            {"opening": [{"account": "0xa", "symbol": "BTC", "qty": 1, "entry_price": 1}] * 2},
            ("opening", 1, "symbol"),
        ),
        ({"opening": [{"symbol": "BTC", "qty": 1, "entry_price": 1}]}, ("opening", 0, "account")),
        (
            {"opening": [{"account": 7, "symbol": "BTC", "qty": 1, "entry_price": 1}]},
            ("opening", 0, "account"),
        ),
        (
            {"opening": [{"account": "0xa", "symbol": ["BTC"], "qty": 1, "entry_price": 1}]},
            ("opening", 0, "symbol"),
        ),
        (
            {"opening": [{"account": "0xa", "symbol": "BTC", "qty": -(10**9), "entry_price": 10}]},
            ("opening", 0, "qty"),
        ),
        ({"opening": 5}, ("opening",)),
    ],
)
def test_bad_options_are_named(options, path):
    with pytest.raises(InputError) as caught:
        hyperliquid.fold(STORY, **options)
    assert caught.value.path == path


def test_the_book_has_the_positions_and_the_cash_that_moved():
    folded = hyperliquid.fold(
        [*STORY, fill(user="0xb", coin="HYPE", sz="0.5", px="40", pnl="-0.5", fee="0.0000005")]
    )
    book = folded.book(hyperliquid.instruments(META), cash={"0xa": "1000.5"})
    _, accounts, positions = book.to_frames()
    assert rows(accounts.select("id", "currency", "cash_atoms")) == [
        ("0xa", "USDC", 1_000_300_001),
        ("0xb", "USDC", -500_001),
    ]
    assert rows(positions) == [("0xa", "BTC", -200_000, -210_000_000), ("0xb", "HYPE", 50, 20_000_000)]


def test_margins_are_half_the_initial_ones_of_the_tier():
    btc, hype = hyperliquid.fold([]).book(hyperliquid.instruments(META)).instruments
    assert [tier.maintenance_rate for tier in btc.tiers] == [Fraction(1, 80), Fraction(1, 40)]
    assert btc.tiers[1].deduction == 150_000_000 * 10**6 * Fraction(1, 80)
    assert [tier.maintenance_rate for tier in hype.tiers] == [Fraction(1, 6)]
    assert (btc.lot, hype.lot, btc.currency) == (Fraction(1, 10**5), Fraction(1, 100), "USDC")
    assert hyperliquid.instruments(META, coins=["GONE"])["symbol"] == ["GONE"]


def test_what_is_missing_of_the_universe_is_named():
    with pytest.raises(InputError, match="lists ETH"):
        hyperliquid.instruments(META, coins=["ETH"])
    with pytest.raises(InputError) as caught:
        hyperliquid.instruments({"universe": []})
    assert caught.value.path == ("meta", "marginTables")
    with pytest.raises(InputError) as caught:
        hyperliquid.fold(STORY).book(hyperliquid.instruments(META), cash={"0xc": 1})
    assert caught.value.path == ("cash", "0xc")
    with pytest.raises(InputError) as caught:
        hyperliquid.fold(STORY).book(hyperliquid.instruments(META), cash={"0xa": None})
    assert caught.value.path == ("cash", "0xa")
    with pytest.raises(BoundsError) as caught:
        hyperliquid.fold(STORY).book(hyperliquid.instruments(META), cash={"0xa": 10**30})
    assert caught.value.path == ("cash", "0xa")
    with pytest.raises(InputError) as caught:
        hyperliquid.instruments(META, coins="BTC")
    assert caught.value.path == ("coins",)


@pytest.mark.parametrize("table", [None, 3, 49])
def test_small_margin_tables_are_flat_and_not_listed(table):
    meta = {"universe": [{**META["universe"][1], "marginTableId": table}], "marginTables": []}
    (ladder,) = hyperliquid.instruments(meta)["tiers"]
    assert [(tier["max_leverage"], tier["maintenance_rate"]) for tier in ladder] == [(3, Fraction(1, 6))]


@pytest.mark.parametrize(
    ("meta", "path"),
    [
        ([], ("meta",)),
        ({"universe": [5], "marginTables": []}, ("meta", "universe", 0)),
        ({"universe": [{}], "marginTables": []}, ("meta", "universe", 0, "name")),
        ({"universe": [{"name": "A"}], "marginTables": []}, ("meta", "A", "szDecimals")),
        ({"universe": [{"name": "A", "szDecimals": 7}], "marginTables": []}, ("meta", "A", "szDecimals")),
        ({"universe": [{"name": "A", "szDecimals": 1}], "marginTables": []}, ("meta", "A", "maxLeverage")),
        (
            {"universe": [{"name": "A", "szDecimals": 1, "maxLeverage": 0}], "marginTables": []},
            ("meta", "A", 0, "maxLeverage"),
        ),
        ({"universe": [], "marginTables": [5]}, ("meta", "marginTables", 0)),
        ({"universe": [], "marginTables": [[5, 6]]}, ("meta", "marginTables", 0)),
        ({"universe": [], "marginTables": [[[5], {}]]}, ("meta", "marginTables", 0)),
        ({"universe": [{"name": ["A"]}], "marginTables": []}, ("meta", "universe", 0, "name")),
        ({"universe": [{"name": "A", "szDecimals": True}], "marginTables": []}, ("meta", "A", "szDecimals")),
        (
            {
                "universe": [{"name": "A", "szDecimals": 1, "maxLeverage": 5, "marginTableId": 50}],
                "marginTables": [],
            },
            ("meta", "A", "marginTableId"),
        ),
        (
            {
                "universe": [{"name": "A", "szDecimals": 1, "maxLeverage": 5, "marginTableId": "50"}],
                "marginTables": [],
            },
            ("meta", "A", "marginTableId"),
        ),
        (
            {
                "universe": [{"name": "A", "szDecimals": 1, "maxLeverage": 5, "marginTableId": 50}],
                "marginTables": [[50, {"marginTiers": 7}]],
            },
            ("meta", "A", "marginTiers"),
        ),
        (
            {
                "universe": [{"name": "A", "szDecimals": 1, "maxLeverage": 5, "marginTableId": 5}],
                "marginTables": [[5, {"marginTiers": [7]}]],
            },
            ("meta", "A", 0),
        ),
    ],
)
def test_a_bad_universe_is_named(meta, path):
    with pytest.raises(InputError) as caught:
        hyperliquid.instruments(meta)
    assert caught.value.path == path


def test_an_entry_value_is_rounded_against_the_holder():
    sizes = [fill("A", "0.00001", "0.15"), fill("B", "0.00001", "0.15", user="0xb")]
    atoms = hyperliquid.fold(sizes).positions["entry_value_atoms"].to_list()
    assert atoms == [ceil(Fraction(-15, 10)), ceil(Fraction(15, 10))]
