"""The published arithmetic of venues at its edges; numbers of their own sources are in tests/conformance."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fastadl import InputError, published
from fastadl.published import (
    RefusedError,
    bitmex,
    bybit,
    dexextra,
    drift_v2,
    dydx_v1,
    dydx_v4,
    flox,
    gmx_v2,
    gte,
    isolated,
    kraken,
    mango_v4,
    paradex,
    percolator,
    vega,
)

BTC = {"BTC": dydx_v4.Market(4_999_999_937, -5, -8, 200_000, 500_000)}
COIN = 10**8


def test_every_module_is_listed_and_loaded_by_name() -> None:
    assert {"dydx_v4", "vega", "RefusedError"} <= set(dir(published))
    with pytest.raises(AttributeError, match="no attribute 'ftx'"):
        _ = published.ftx


# ---------------------------------------------------------------------- dYdX v4


def test_dydx_v4_cuts_notionals_toward_zero_and_rounds_margins_up() -> None:
    market = BTC["BTC"]
    assert (market.notional(3), market.notional(-3)) == (1499, -1499)
    assert market.margins(-3) == (300, 150)
    assert dydx_v4.Market(7, 0, -4, 333_333, 500_001).margins(1) == (234, 118)


def test_dydx_v4_bankruptcy_quotes_round_in_favour_of_the_account() -> None:
    for quote, held in ((-45_000_000_001, COIN), (54_999_000_001, -COIN)):
        account = dydx_v4.Subaccount(quote, {"BTC": held})
        parts = [dydx_v4.bankruptcy_quote(account, BTC, "BTC", -held // 4) for _ in range(4)]
        assert 4 * parts[0] >= dydx_v4.bankruptcy_quote(account, BTC, "BTC", -held) == -quote


def test_dydx_v4_needs_a_maintenance_requirement() -> None:
    free = {"BTC": dydx_v4.Market(1, 0, 0, 0, 0)}
    with pytest.raises(InputError, match="maintenance"):
        dydx_v4.bankruptcy_quote(dydx_v4.Subaccount(1, {"BTC": 5}), free, "BTC", -5)


@pytest.mark.parametrize(
    ("before", "after", "valid"),
    [
        ((-5, 20, 10), (20, 20, 10), True),  # has its initial margin
        ((5, 20, 10), (5, 20, 11), False),  # the requirement grows
        ((5, 20, 10), (4, 20, 8), True),  # 4/8 is 5/10
        ((5, 20, 10), (3, 20, 8), False),
        ((-5, 20, 10), (-4, 16, 8), True),
        ((-5, 20, 10), (-5, 16, 8), False),
        ((-5, 20, 10), (-5, 0, 0), False),  # nothing left, and nothing gained
        ((-5, 20, 10), (-4, 0, 0), True),
    ],
)
def test_dydx_v4_lets_an_account_go_to_no_worse_state(
    before: tuple[int, ...], after: tuple[int, ...], valid: bool
) -> None:
    assert dydx_v4.is_valid_update(dydx_v4.Risk(*before), dydx_v4.Risk(*after)) is valid


def test_dydx_v4_scans_at_most_500() -> None:
    accounts = {f"{k}": dydx_v4.Subaccount(10**9, {"BTC": 1}) for k in range(501)}
    accounts["x"] = dydx_v4.Subaccount(54_999, {"BTC": -501})
    done = dydx_v4.offset(accounts, BTC, "BTC", 501, "x", [f"{k}" for k in range(501)])
    assert (len(done.fills), done.remaining) == (500, 1)
    assert accounts["x"].positions == {"BTC": -501}


def test_dydx_v4_cuts_the_liquidation_fee() -> None:
    assert dydx_v4.insurance_fund_delta(-1000, -399, 5000) == 1
    assert dydx_v4.insurance_fund_delta(-399, -400, 5000) == -1


# ---------------------------------------------------------------------- dYdX v1


def test_dydx_v1_rounds_for_the_maker() -> None:
    long, short = dydx_v1.Account(-100, 3), dydx_v1.Account(100, -3)
    maker, taker = dydx_v1.deleverage(long, short, 33, 1)
    assert (maker.margin, taker.margin) == (-66, 66)
    maker, taker = dydx_v1.deleverage(short, long, 34, 1)
    assert (maker.margin, taker.margin) == (67, -67)


@pytest.mark.parametrize(
    ("maker", "taker", "amount", "reason"),
    [
        (dydx_v1.Account(-10, 2), dydx_v1.Account(99, -9), 3, "all_or_nothing_maker"),
        (dydx_v1.Account(-10, 2), dydx_v1.Account(99, -1), 2, "all_or_nothing_taker"),
        (dydx_v1.Account(-10, 2), dydx_v1.Account(99, 2), 2, "not_opposite"),
        (dydx_v1.Account(-2, 2), dydx_v1.Account(99, -2), 2, "maker_not_underwater"),
    ],
)
def test_dydx_v1_refuses(maker: dydx_v1.Account, taker: dydx_v1.Account, amount: int, reason: str) -> None:
    with pytest.raises(RefusedError) as error:
        dydx_v1.deleverage(maker, taker, 1, amount, all_or_nothing=True)
    assert error.value.reason == reason
    with pytest.raises(InputError, match="amount"):
        dydx_v1.deleverage(maker, taker, 1, -1)


# ---------------------------------------------------------------------- indices


def test_drift_pays_in_order_and_charges_no_less_than_the_loss() -> None:
    paid = drift_v2.resolve_perp(10, fund=3, fee_pool=4, oi_long=2 * 10**9, oi_short=-(10**9) - 1)
    assert (paid.fund, paid.fee_pool, paid.social_loss) == (3, 4, 3)
    assert paid.index_delta == 1000 * 1  # 0.999… units of 10^−6 a contract, rounded up
    assert drift_v2.resolve_perp(7, fund=3, fee_pool=4, oi_long=0, oi_short=0).social_loss == 0
    with pytest.raises(RefusedError, match="no_open_interest"):
        drift_v2.resolve_perp(8, fund=3, fee_pool=4, oi_long=0, oi_short=0)


def test_drift_takes_a_lost_borrow_off_deposits() -> None:
    after = drift_v2.resolve_spot(1, deposits=3, borrows=2, index=10)
    assert (after.index, after.deposits, after.borrows) == (6, 1, 1)
    with pytest.raises(InputError, match="loss"):
        drift_v2.resolve_spot(3, deposits=3, borrows=2, index=10)


@pytest.mark.parametrize(
    ("shortage", "position", "most", "fee"),
    [
        (0, (10**9, 10**6, 50_000, 10_000), 50_000, 38_000),
        (0, (10**9, 10**6, 50_000, 10_000), 20_000, 20_000),
        (1, (3 * 10**9, 10**6, 10, 0), 50_000, 9),
        (0, (10**9, 10**6, 50_000, 50_000), 50_000, 0),
        (0, (0, 10**6, 50_000, 10_000), 50_000, 0),
    ],
)
def test_drift_fund_fee(shortage: int, position: tuple[int, ...], most: int, fee: int) -> None:
    assert drift_v2.perp_fund_fee(shortage, drift_v2.Position(*position), most) == fee


# ---------------------------------------------------------------------- waterfalls


def test_mango_pays_the_liquidator_a_fee_in_whole_tokens() -> None:
    prices = mango_v4.Prices(settle=1, insurance=3, liquidation_fee="0.5")
    done = mango_v4.liquidate(mango_v4.Liqee(0, -10, 0), prices, fund=100, settle_limit=0, max_transfer=5)
    assert (done.insurance, done.taken_over, done.socialized) == (3, 5, 0)  # ⌈2.5⌉ tokens


def test_mango_stops_at_health_zero_and_refuses_winners() -> None:
    prices = mango_v4.Prices(settle=1, insurance=1)
    healthy = mango_v4.liquidate(mango_v4.Liqee(20, -10, 0), prices, fund=0, settle_limit=4, max_transfer=99)
    assert (healthy.settlement, healthy.socialized) == (4, 0)
    with pytest.raises(RefusedError, match="profitability_mismatch"):
        mango_v4.liquidate(mango_v4.Liqee(0, 0, 0), prices, fund=0, settle_limit=0, max_transfer=0)


def test_percolator_cuts_in_order_and_never_principal() -> None:
    accounts = {
        "a": percolator.Account(10, 8, warmed=3),
        "b": percolator.Account(10, -8),
        "c": percolator.Account(10, 8, warmed=99),
        "d": percolator.Account(10, 8),
    }
    cut = percolator.cut_profits(accounts, 15, 1)
    assert [account.pnl for account in cut.accounts.values()] == [3, -8, 8, 0]
    assert (cut.fund_paid, cut.uncovered) == (1, 1)
    with pytest.raises(InputError, match="loss"):
        percolator.cut_profits(accounts, -1, 1)


def test_percolator_crisis_without_equity_stays_open() -> None:
    crisis = percolator.crisis(0, 0, 5, 0, -9)
    assert (crisis.burned_warming, crisis.equity_haircut, crisis.deficit) == (5, 0, 9)
    assert percolator.crisis(4, 0, 0, 0, -9).equity_haircut == 1
    assert percolator.crisis(4, 0, 9, 0, 13).burned_warming == 0


def test_vega_hands_out_what_was_collected() -> None:
    assert vega.collect([7, 9, 5], [3, 20, 1], 5) == ([7, 9, 2], 0)
    assert vega.distribute(10, [3, 3, 3]) == [3, 3, 3]
    assert vega.distribute(5, [3, 3, 3]) == [1, 1, 3]
    assert vega.distribute(0, []) == []
    with pytest.raises(InputError, match="gains"):
        vega.distribute(1, [5, -1])


def test_flox_closes_whole_winners_only() -> None:
    winners = [flox.Winner(3, 1.0, 5), flox.Winner(2, 1.0, 5), flox.Winner(1, 9.0, -5)]
    taken = flox.absorb(12, winners)
    assert [account for account, _ in taken.closed] == [2, 3]
    assert taken.unpaid == 2
    assert flox.absorb(0, winners).closed == ()


def test_dexextra_cuts_at_the_caps_and_lets_the_fund_pay_first() -> None:
    loss = dexextra.liquidate(dexextra.Position(10, 100, 300), execution=50, anchor=60, fund=30)
    assert (loss.seized, loss.from_fund, loss.socialised, loss.bad_debt) == (300, 30, 70, 100)
    people = {"a": dexextra.Position(-5, 70, -40), "b": dexextra.Position(-5, 70, 500)}
    cut = dexextra.haircuts(31, people, 60, 0)
    assert (cut.charged, cut.caps, cut.uncovered) == ({"a": 10, "b": 15}, {"a": 10, "b": 550}, 6)
    assert dexextra.haircuts(31, {}, 60, 0).uncovered == 31
    with pytest.raises(InputError, match="loss"):
        dexextra.haircuts(-1, people, 60, 0)


# ---------------------------------------------------------------------- pools and partial closes


@pytest.mark.parametrize(
    ("size", "price", "reason"),
    [
        (100, 100, "adl_not_required"),
        (1000, 300, "pnl_overcorrected"),
        (1001, 300, "invalid_size_delta_for_adl"),
    ],
)
def test_gmx_refuses(size: int, price: int, reason: str) -> None:
    with pytest.raises(RefusedError) as error:
        gmx_v2.deleverage(
            [gmx_v2.Position(1000, 10, True)], 0, size, price=price, pool=5000, most="0.1", least="0.02"
        )
    assert error.value.reason == reason


def test_gmx_closes_a_part_at_the_price_of_the_oracle() -> None:
    left, paid = gmx_v2.close(gmx_v2.Position(1000, 10, False), 250, 60)
    assert (left.size_usd, left.size_tokens, paid) == (750, Fraction(15, 2), 100)
    losers = [gmx_v2.Position(1000, 10, True), gmx_v2.Position(9000, 10, True)]
    with pytest.raises(RefusedError, match="invalid_adl"):  # to close a loser makes it worse
        gmx_v2.deleverage(losers, 1, 9000, price=800, pool=10**5, most="0.01", least=0)


def test_paradex_closes_everything_where_no_share_is_enough() -> None:
    held = [paradex.Position(1, 100, 50)]
    shares, chosen = paradex.liquidation_share(held, 51, maintenance_rate="0.5", step="0.4")
    assert [each.share for each in shares] == [Fraction(2, 5), Fraction(4, 5), 1]
    assert chosen.share == 1
    assert chosen.margin_ratio is None
    with pytest.raises(InputError, match="step"):
        paradex.liquidation_share(held, 51, maintenance_rate="0.5", step=0)


# ---------------------------------------------------------------------- prices


def test_gte_cuts_every_part_and_floors_at_zero() -> None:
    part = {"size": 3, "open_notional": 10, "close": 2}
    assert gte.bankruptcy_price(is_long=True, margin=-5, **part) == 9 * gte.ONE // 2  # 6 + 3
    assert gte.bankruptcy_price(is_long=False, margin=-50, **part) == 0
    with pytest.raises(InputError, match="close"):
        gte.bankruptcy_price(is_long=True, size=3, open_notional=10, margin=0, close=4)


def test_isolated_prices_of_inverse_positions() -> None:
    assert isolated.bankruptcy_price(100, 100, "0.5", inverse=True) == Fraction(200, 3)
    assert isolated.bankruptcy_price(-100, 100, "0.5", inverse=True) == 200
    assert isolated.bankruptcy_price(-100, 100, 1, inverse=True) is None
    assert isolated.bankruptcy_price(1, 100, 101) == 0
    short = kraken.levels(-100, 100, 1, initial_rate="0.1", maintenance_rate="0.05")
    assert (short.liquidation, short.bankruptcy) == (None, None)


def test_prices_on_the_line_and_lights_at_the_fifths() -> None:
    assert bybit.settlement_price(105, 100) == 105
    assert bybit.settlement_price("94.99", 100) == 100
    assert bybit.to_tick("0.25", "0.5") == Fraction(1, 2)
    assert bitmex.percentiles([1, 1, 1, 1, 1]) == [20, 40, 60, 80, 100]
    with pytest.raises(InputError, match="quantity"):
        bitmex.percentiles([1, 0])
